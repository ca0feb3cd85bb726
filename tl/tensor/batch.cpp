#include "tl/tensor/batch.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace tl {

Result<OutputTypes> BatchCall::example_types() const {
  InlineVector<TensorType, kMaxInputs> types;
  for (int i = 0; i < count(); ++i) {
    TensorType type = input(i).type();
    if (is_batched(i)) type.shape.erase(0);
    types.push_back(std::move(type));
  }
  return infer_types(op, types, attrs);
}

Result<Tensor> BatchCall::apply(const OpDef& other, std::span<const Tensor> in, Attrs with) const {
  TL_TRY(const std::vector<Tensor> made, record_op(other, in, std::move(with), origin));
  return made[0];
}

Result<std::vector<Tensor>> record_batched(const BatchCall& call) {
  TL_CHECK(call.batched != 0, "{} on examples without an input that has them", call.op.name);
  if (call.op.batch.rule == nullptr) {
    return fail(Code::BadProgram, "{} does not run on examples at once: it {}", call.op.name,
                call.op.batch.why_not)
        .at(call.origin);
  }
  return call.op.batch.rule(call);
}

namespace {

// The nodes between inputs and outputs, in the order of their recording.
std::vector<Node*> nodes_between(std::span<const Tensor> outputs, std::span<const BatchedInput> inputs) {
  std::unordered_set<const Node*> ends, seen;
  for (const BatchedInput& in : inputs) ends.insert(in.example.node());
  std::vector<Node*> open, found;
  const auto visit = [&](const Tensor& t) {
    if (t->op != nullptr && !ends.contains(t.node()) && seen.insert(t.node()).second)
      open.push_back(t.node());
  };
  for (const Tensor& t : outputs) visit(t);
  while (!open.empty()) {
    Node* const node = open.back();
    open.pop_back();
    found.push_back(node);
    for (const Tensor& in : node->inputs) visit(in);
  }
  std::sort(found.begin(), found.end(),
            [](const Node* a, const Node* b) { return a->sequence < b->sequence; });
  return found;
}

}  // namespace

Result<std::vector<BatchedOutput>> batch_graph(std::span<const Tensor> outputs,
                                               std::span<const BatchedInput> inputs, i64 examples,
                                               const RecordOp& record) {
  std::unordered_map<const Node*, std::vector<Tensor>>
      made;  // all outputs of each node that depends on an input
  for (const BatchedInput& in : inputs) made[in.example.node()] = {in.all};
  for (const Node* node : nodes_between(outputs, inputs)) {
    InlineVector<Tensor, kMaxInputs> in;
    u32 batched = 0;
    for (int i = 0; i < node->inputs.size(); ++i) {
      const auto it = made.find(node->inputs[i].node());
      if (it != made.end()) batched |= 1u << i;
      in.push_back(it != made.end() ? it->second[0] : node->inputs[i]);
    }
    if (batched == 0) continue;
    if (node->op->kind == OpKind::Output) {
      made[node] = {made[node->inputs[0].node()][static_cast<size_t>(node->attrs.int_at(0))]};
      continue;
    }
    const BatchCall call{*node->op, in, batched, node->attrs, examples, node->origin, record};
    TL_TRY(made[node], record_batched(call));
  }
  std::vector<BatchedOutput> results;
  for (const Tensor& t : outputs) {
    const auto it = made.find(t.node());
    results.push_back(it != made.end() ? BatchedOutput{it->second[0], true} : BatchedOutput{t, false});
  }
  return results;
}

}  // namespace tl
