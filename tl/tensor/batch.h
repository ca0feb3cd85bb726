// Running a recorded graph on many examples at once: the ops are recorded again, each in the form its
// batching rule gives it (Batching, tl/tensor/op.h).
#pragma once

#include <functional>
#include <vector>

#include "tl/tensor/graph.h"

namespace tl {

// Records one application, as Executor::apply_all does.
using RecordOp = std::function<Result<std::vector<Tensor>>(const OpDef& op, std::span<const Tensor> inputs,
                                                           Attrs attrs, Span origin)>;

// What a batching rule sees of one application.
struct BatchCall {
  const OpDef& op;
  std::span<const Tensor> inputs;
  u32 batched = 0;  // bit i: input i has the axis of examples in front; at least one has
  const Attrs& attrs;
  i64 examples = 0;
  Span origin;
  const RecordOp& record_op;

  int count() const { return static_cast<int>(inputs.size()); }
  const Tensor& input(int i) const { return inputs[static_cast<size_t>(i)]; }
  bool is_batched(int i) const { return (batched >> i & 1u) != 0; }
  // Of one example.
  int rank(int i) const { return input(i).rank() - (is_batched(i) ? 1 : 0); }
  Result<OutputTypes> example_types() const;

  Result<std::vector<Tensor>> record(std::span<const Tensor> in, Attrs with) const {
    return record_op(op, in, std::move(with), origin);
  }
  // Another op, with one output.
  Result<Tensor> apply(const OpDef& other, std::span<const Tensor> in, Attrs with = {}) const;
};

// By the op's rule; an error that says why it has none.
Result<std::vector<Tensor>> record_batched(const BatchCall& call);

// A tensor of a graph, and what takes its place: the values of all examples, one axis more in front.
struct BatchedInput {
  Tensor example, all;
};
struct BatchedOutput {
  Tensor tensor;
  bool is_batched = false;  // else it does not depend on an input: the same for every example
};

// Records again what leads from `inputs` to `outputs`, for all examples at once. The nodes between must still
// have their inputs: pending, or recorded in a KeepInputs scope. Fails with the line of an op that has no
// rule.
Result<std::vector<BatchedOutput>> batch_graph(std::span<const Tensor> outputs,
                                               std::span<const BatchedInput> inputs, i64 examples,
                                               const RecordOp& record);

}  // namespace tl
