#include "tl/ops/batch/rules.h"

#include "tl/ops/ops.h"

namespace tl::batch {
namespace {

using Tensors = InlineVector<Tensor, kMaxInputs>;

Tensors inputs_of(const BatchCall& call) {
  Tensors all;
  for (const Tensor& t : call.inputs) all.push_back(t);
  return all;
}

// Axes of 1 behind the examples, until each has `rank`: as broadcasting would put them in front.
Result<Tensor> align(const BatchCall& call, Tensor x, int rank) {
  while (x.rank() - 1 < rank) {
    TL_TRY(x, call.apply(op_unsqueeze, {&x, 1}, Attrs().with_int(1)));
  }
  return x;
}

// An input with the axis of examples, repeated without a copy where it lacks it.
Result<Tensor> batched_input(const BatchCall& call, int i) {
  const Tensor& x = call.input(i);
  if (call.is_batched(i)) return x;
  Shape shape = x.shape();
  shape.insert(0, call.examples);
  return call.apply(op_broadcast_to, {&x, 1}, Attrs().with_ints({shape.begin(), shape.end()}));
}

i64 behind_examples(i64 axis) {
  return axis >= 0 ? axis + 1 : axis;
}

std::vector<i64> dims_of(const Shape& shape) {
  return {shape.begin(), shape.end()};
}

// The first result of `call`, in the shape of the examples' results.
Results in_shape(const BatchCall& call, const Tensor& x, Shape shape) {
  shape.insert(0, call.examples);
  TL_TRY(Tensor y, call.apply(op_reshape, {&x, 1}, Attrs().with_ints(dims_of(shape))));
  return std::vector<Tensor>{std::move(y)};
}

// Whole along the axis of examples, then what `spec` says (tl/ops/view/window.h).
std::vector<i64> window_of_all(const BatchCall& call) {
  std::vector<i64> spec = {0, call.examples, 1, 0};
  spec.insert(spec.end(), call.attrs.ints().begin(), call.attrs.ints().end());
  return spec;
}

Attrs with_list(const Attrs& attrs, std::vector<i64> list) {
  Attrs changed = attrs;
  changed.with_ints(std::move(list));
  return changed;
}

Attrs with_axis(const Attrs& attrs, int at) {
  Attrs changed = attrs;
  changed.set_int(at, behind_examples(attrs.int_at(at)));
  return changed;
}

// Joined along a new first axis; an op takes kMaxInputs tensors at most.
Result<Tensor> stack(const BatchCall& call, std::vector<Tensor> parts) {
  for (Tensor& part : parts) {
    TL_TRY(part, call.apply(op_unsqueeze, {&part, 1}, Attrs().with_int(0)));
  }
  while (parts.size() > 1) {
    std::vector<Tensor> joined;
    for (size_t i = 0; i < parts.size(); i += kMaxInputs) {
      const size_t count = std::min(parts.size() - i, static_cast<size_t>(kMaxInputs));
      TL_TRY(Tensor some, call.apply(op_concat, {&parts[i], count}, Attrs().with_int(0)));
      joined.push_back(std::move(some));
    }
    parts = std::move(joined);
  }
  return parts[0];
}

Result<Tensor> example_of(const BatchCall& call, int i, i64 number) {
  const Tensor& x = call.input(i);
  if (!call.is_batched(i)) return x;
  std::vector<i64> spec = {number, 1, 1, 1};
  for (int axis = 1; axis < x.rank(); ++axis) spec.insert(spec.end(), {0, x.shape()[axis], 1, 0});
  return call.apply(op_index, {&x, 1}, Attrs().with_ints(std::move(spec)));
}

// The positions that a first one stands for: the others count on from it.
Result<Tensor> all_positions(const BatchCall& call, const Tensor& first, i64 count) {
  const DType dtype = first.dtype();
  TL_TRY(const Tensor steps,
         call.apply(
             op_arange, {},
             Attrs().with_float(0).with_float(static_cast<double>(count)).with_float(1).with_dtype(dtype)));
  const Tensor both[] = {first, steps};
  return call.apply(op_add, both);
}

}  // namespace

Results one_by_one(const BatchCall& call) {
  TL_TRY(const OutputTypes types, call.example_types());
  std::vector<std::vector<Tensor>> parts(static_cast<size_t>(types.size()));
  for (i64 number = 0; number < call.examples; ++number) {
    Tensors in;
    for (int i = 0; i < call.count(); ++i) {
      TL_TRY(Tensor x, example_of(call, i, number));
      in.push_back(std::move(x));
    }
    TL_TRY(const std::vector<Tensor> results, call.record(in, call.attrs));
    for (size_t k = 0; k < results.size(); ++k) parts[k].push_back(results[k]);
  }
  std::vector<Tensor> joined;
  for (int k = 0; k < types.size(); ++k) {
    if (call.examples == 0) {
      Shape shape = types[k].shape;
      shape.insert(0, 0);
      TL_TRY(Tensor none,
             call.apply(op_zeros, {}, Attrs().with_ints(dims_of(shape)).with_dtype(types[k].dtype)));
      joined.push_back(std::move(none));
      continue;
    }
    TL_TRY(Tensor all, stack(call, std::move(parts[static_cast<size_t>(k)])));
    joined.push_back(std::move(all));
  }
  return joined;
}

Results elementwise(const BatchCall& call) {
  int rank = 0;
  for (int i = 0; i < call.count(); ++i) rank = std::max(rank, call.rank(i));
  Tensors in = inputs_of(call);
  for (int i = 0; i < call.count(); ++i) {
    if (call.is_batched(i)) {
      TL_TRY(in[i], align(call, in[i], rank));
    }
  }
  return call.record(in, call.attrs);
}

Results onto_first(const BatchCall& call) {
  Tensors in = inputs_of(call);
  TL_TRY(in[0], batched_input(call, 0));
  for (int i = 1; i < call.count(); ++i) {
    if (call.is_batched(i)) {
      TL_TRY(in[i], align(call, in[i], call.rank(0)));
    }
  }
  return call.record(in, call.attrs);
}

Results along_axis(const BatchCall& call) {
  return call.batched != 1 ? one_by_one(call) : call.record(call.inputs, with_axis(call.attrs, 0));
}

Results joint_axis(const BatchCall& call) {
  Tensors in;
  for (int i = 0; i < call.count(); ++i) {
    TL_TRY(Tensor x, batched_input(call, i));
    in.push_back(std::move(x));
  }
  return call.record(in, with_axis(call.attrs, 0));
}

Results along_axes(const BatchCall& call) {
  TL_TRY(const OutputTypes types, call.example_types());
  std::vector<i64> axes = call.attrs.ints();
  for (i64& axis : axes) axis = behind_examples(axis);
  if (!axes.empty()) return call.record(call.inputs, with_list(call.attrs, axes));
  // All of them: one axis of all elements, in their order.
  const Tensor& x = call.input(0);
  i64 elements = 1;  // of an example
  for (int axis = 1; axis < x.rank(); ++axis) elements *= x.shape()[axis];
  TL_TRY(const Tensor flat, call.apply(op_reshape, {&x, 1}, Attrs().with_ints({call.examples, elements})));
  TL_TRY(const std::vector<Tensor> results, call.record({&flat, 1}, with_list(call.attrs, {1})));
  return in_shape(call, results[0], types[0].shape);
}

Results reshaped(const BatchCall& call) {
  TL_TRY(const OutputTypes types, call.example_types());
  return in_shape(call, call.input(0), types[0].shape);
}

Results append_rows(const BatchCall& call) {
  TL_TRY(const Tensor old, batched_input(call, 0));
  TL_TRY(const Tensor more, batched_input(call, 1));
  const Tensor both[] = {old, more};
  TL_TRY(Tensor joined, call.apply(op_concat, both, Attrs().with_int(1)));
  return std::vector<Tensor>{std::move(joined)};
}

// It has a form for several sequences.
Results attention(const BatchCall& call) {
  if (call.rank(0) > 3) return one_by_one(call);
  Tensors in;
  for (int i = 0; i < call.count(); ++i) {
    TL_TRY(Tensor x, batched_input(call, i));
    in.push_back(std::move(x));
  }
  return call.record(in, call.attrs);
}

Results broadcast_to(const BatchCall& call) {
  std::vector<i64> dims = call.attrs.ints();
  TL_TRY(const Tensor x, align(call, call.input(0), static_cast<int>(dims.size())));
  dims.insert(dims.begin(), call.examples);
  return call.record({&x, 1}, with_list(call.attrs, dims));
}

Results index(const BatchCall& call) {
  return call.record(call.inputs, with_list(call.attrs, window_of_all(call)));
}

Results index_put(const BatchCall& call) {
  if (call.is_batched(1)) return one_by_one(call);
  Tensors in = inputs_of(call);
  TL_TRY(in[0], batched_input(call, 0));
  if (call.is_batched(2)) {
    TL_TRY(in[2], align(call, in[2], call.rank(0)));
  }
  return call.record(in, with_axis(call.attrs, 0));
}

// A vector keeps its place where the other has no examples, else it is a matrix of one row or column for a
// while.
Results matmul(const BatchCall& call) {
  TL_TRY(const OutputTypes types, call.example_types());
  Tensors in = inputs_of(call);
  const bool is_row = call.rank(0) == 1, is_column = call.rank(1) == 1;
  if (is_row && call.is_batched(0)) {
    TL_TRY(in[0], align(call, in[0], 2));
  }
  if (is_column && call.is_batched(1)) {
    TL_TRY(in[1], call.apply(op_unsqueeze, {&in[1], 1}, Attrs().with_int(2)));
  }
  const int rank = std::max(call.rank(0), call.rank(1));
  for (int i = 0; i < 2; ++i) {
    if (call.is_batched(i)) {
      TL_TRY(in[i], align(call, in[i], rank));
    }
  }
  TL_TRY(const std::vector<Tensor> results, call.record(in, call.attrs));
  return in_shape(call, results[0], types[0].shape);
}

Results permute(const BatchCall& call) {
  std::vector<i64> axes = {0};
  for (const i64 axis : call.attrs.ints()) axes.push_back(behind_examples(axis));
  return call.record(call.inputs, with_list(call.attrs, axes));
}

// Positions broadcast to the axes of x before heads and rows.
Results rope(const BatchCall& call) {
  if (call.count() > 2 && call.is_batched(2)) return one_by_one(call);
  Tensors in = inputs_of(call);
  TL_TRY(in[0], batched_input(call, 0));
  if (call.is_batched(1)) {
    TL_TRY(in[1], align(call, in[1], call.rank(0) - 2));
  }
  if (call.is_batched(1) && call.rank(1) == 0) {
    const Shape& x = call.input(0).shape();
    TL_TRY(in[1], all_positions(call, in[1], x[x.size() - 3]));
  }
  return call.record(in, call.attrs);
}

Results set_item(const BatchCall& call) {
  Tensors in = inputs_of(call);
  TL_TRY(in[0], batched_input(call, 0));
  int rank = call.rank(0);  // of the part that is set
  for (size_t i = 3; i < call.attrs.ints().size(); i += 4) rank -= call.attrs.ints()[i] != 0 ? 1 : 0;
  if (call.is_batched(1)) {
    TL_TRY(in[1], align(call, in[1], rank));
  }
  return call.record(in, with_list(call.attrs, window_of_all(call)));
}

Results transpose(const BatchCall& call) {
  Attrs attrs = with_axis(call.attrs, 0);
  attrs.set_int(1, behind_examples(attrs.int_at(1)));
  return call.record(call.inputs, attrs);
}

}  // namespace tl::batch
