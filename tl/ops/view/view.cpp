// Ops that only look at memory another way: shapes, strides and an offset change, nothing moves.
#include <algorithm>

#include "tl/ops/batch/rules.h"
#include "tl/ops/ops.h"
#include "tl/ops/view/window.h"

namespace tl {
namespace {

Result<Shape> shape_from(const std::vector<i64>& dims) {
  if (dims.size() > static_cast<size_t>(kMaxRank)) {
    return fail(Code::BadProgram, "a shape of {} dims, want at most {}", dims.size(), kMaxRank);
  }
  return Shape(std::span<const i64>(dims));
}

// --- reshape ---

Result<TensorType> infer_reshape(const InferContext& c) {
  TL_TRY(Shape to, shape_from(c.attrs().ints()));
  const Shape& from = c.shape(0);
  i64 known = 1;
  int open = -1;
  for (int i = 0; i < to.size(); ++i) {
    if (to[i] == -1) {
      if (open >= 0) return fail(Code::BadProgram, "two dims of {} are -1, want at most one", to_string(to));
      open = i;
    } else if (to[i] < 0) {
      return fail(Code::BadProgram, "found the negative dim {}", to[i]);
    }
  }
  TL_TRY_DO(check_addressable({c.input(0).dtype, to}));
  for (const i64 d : to) known *= d == kUnknownDim ? 1 : d;
  if (!is_known(from)) return TensorType{c.input(0).dtype, to};
  const i64 size = numel(from);
  if (open >= 0) {
    if (known == 0 || size % known != 0) {
      return fail(Code::BadProgram, "{} has {} elements, which {} cannot hold", to_string(from), size,
                  to_string(to));
    }
    to[open] = size / known;
  } else if (known != size) {
    return fail(Code::BadProgram, "{} has {} elements, {} has {}", to_string(from), size, to_string(to),
                known);
  }
  if (is_quantised(c.input(0).dtype) && (to.empty() || from.empty() || to.back() != from.back())) {
    return fail(Code::BadProgram, "rows of {} cannot change their length ({} to {})",
                name_of(c.input(0).dtype), to_string(from), to_string(to));
  }
  return TensorType{c.input(0).dtype, to};
}

bool view_reshape(const View& in, const TensorType& out, const Attrs&, View& result) {
  const auto strides = reshape_strides(in.shape, in.strides, out.shape);
  if (!strides) return false;
  result = {out.shape, *strides, in.offset};
  return true;
}

Result<TensorType> infer_flatten(const InferContext& c) {
  const i64 size = is_known(c.shape(0)) ? numel(c.shape(0)) : kUnknownDim;
  return TensorType{c.input(0).dtype, {size}};
}

// --- axes in another order, or only some of them ---

Result<TensorType> infer_transpose(const InferContext& c) {
  TensorType t = c.input(0);
  TL_TRY(const int a, checked_axis(c.attrs().int_at(0), t.shape));
  TL_TRY(const int b, checked_axis(c.attrs().int_at(1), t.shape));
  if (is_quantised(t.dtype) && a != b && (a == t.rank() - 1 || b == t.rank() - 1)) {
    return fail(Code::BadProgram, "the last axis of {} cannot move", to_string(t));
  }
  std::swap(t.shape[a], t.shape[b]);
  return t;
}

bool view_transpose(const View& in, const TensorType&, const Attrs& attrs, View& result) {
  const int a = *normalise_axis(attrs.int_at(0), in.shape.size()),
            b = *normalise_axis(attrs.int_at(1), in.shape.size());
  result = in;
  std::swap(result.shape[a], result.shape[b]);
  std::swap(result.strides[a], result.strides[b]);
  return true;
}

Result<TensorType> infer_permute(const InferContext& c) {
  const Shape& from = c.shape(0);
  const std::vector<i64>& axes = c.attrs().ints();
  TensorType out{c.input(0).dtype, {}};
  std::array<bool, kMaxRank> seen{};
  if (axes.size() != static_cast<size_t>(from.size())) {
    return fail(Code::BadProgram, "found {} axes for {}, want {}", axes.size(), to_string(from), from.size());
  }
  for (const i64 axis : axes) {
    TL_TRY(const int a, checked_axis(axis, from));
    if (std::exchange(seen[static_cast<size_t>(a)], true))
      return fail(Code::BadProgram, "axis {} is named twice", axis);
    out.shape.push_back(from[a]);
  }
  if (is_quantised(out.dtype) && !axes.empty() &&
      *normalise_axis(axes.back(), from.size()) != from.size() - 1) {
    return fail(Code::BadProgram, "the last axis of {} cannot move", to_string(c.input(0)));
  }
  return out;
}

bool view_permute(const View& in, const TensorType& out, const Attrs& attrs, View& result) {
  result = {out.shape, {}, in.offset};
  for (const i64 axis : attrs.ints())
    result.strides.push_back(in.strides[*normalise_axis(axis, in.shape.size())]);
  return true;
}

Result<TensorType> infer_squeeze(const InferContext& c) {
  TensorType out{c.input(0).dtype, {}};
  std::array<bool, kMaxRank> drop{};
  const Shape& from = c.shape(0);
  if (c.attrs().ints().empty() && !is_known(from)) {  // which axes go is known at run time only
    out.rank_known = false;
    return out;
  }
  for (const i64 axis : c.attrs().ints()) {
    TL_TRY(const int a, checked_axis(axis, from));
    if (!same_dim(from[a], 1)) return fail(Code::BadProgram, "axis {} of {} is not 1", axis, to_string(from));
    drop[static_cast<size_t>(a)] = true;
  }
  for (int i = 0; i < from.size(); ++i) {
    const bool gone = c.attrs().ints().empty() ? from[i] == 1 : drop[static_cast<size_t>(i)];
    if (!gone) out.shape.push_back(from[i]);
  }
  return out;
}

Result<TensorType> infer_unsqueeze(const InferContext& c) {
  TensorType out = c.input(0);
  const i64 axis = c.attrs().int_at(0), rank = out.rank();
  if (axis < -rank - 1 || axis > rank) {
    return fail(Code::BadProgram, "axis {} is out of range for a new axis of {}", axis, to_string(out.shape));
  }
  if (rank == kMaxRank)
    return fail(Code::BadProgram, "{} has {} axes already", to_string(out.shape), kMaxRank);
  out.shape.insert(static_cast<int>(axis < 0 ? axis + rank + 1 : axis), 1);
  return out;
}

// --- broadcast_to ---

Result<TensorType> infer_broadcast_to(const InferContext& c) {
  TL_TRY(const Shape to, shape_from(c.attrs().ints()));
  for (const i64 d : to) {
    if (d < 0) return fail(Code::BadProgram, "found the negative dim {}", d);
  }
  const auto both = broadcast(c.shape(0), to);
  if (!both || (is_known(*both) && *both != to)) {
    return fail(Code::BadProgram, "{} cannot be broadcast to {}", to_string(c.shape(0)), to_string(to));
  }
  return TensorType{c.input(0).dtype, to};
}

bool view_broadcast_to(const View& in, const TensorType& out, const Attrs&, View& result) {
  result = {out.shape, broadcast_strides(in.shape, in.strides, out.shape), in.offset};
  return true;
}

// --- index: x[i, a:b, …] ---

Result<void> check_window(const AxisWindow& w, int axis, const Shape& from) {
  if (w.count < 0) return fail(Code::BadProgram, "found {} places along axis {}", w.count, axis);
  if (w.count == 0 || from[axis] == kUnknownDim) return {};
  const auto inside = [&](i64 at) { return at >= 0 && at < from[axis]; };
  i64 last = 0;
  const bool wraps =
      __builtin_mul_overflow(w.count - 1, w.step, &last) || __builtin_add_overflow(last, w.start, &last);
  if (inside(w.start) && !wraps && inside(last)) return {};
  if (inside(w.start) && wraps) {
    return fail(Code::BadProgram, "{} places in steps of {} are out of range for axis {} of {}", w.count,
                w.step, axis, to_string(from));
  }
  return fail(Code::BadProgram, "index {} is out of range for axis {} of {}",
              inside(w.start) ? last : w.start, axis, to_string(from));
}

Result<TensorType> infer_index(const InferContext& c) {
  const TensorType& x = c.input(0);
  TL_TRY(const Shape part, window_shape(c.attrs().ints(), x.shape));
  if (is_quantised(x.dtype) && x.rank() > 0) {
    const AxisWindow w = axis_window(c.attrs().ints(), x.rank() - 1);
    if (w.start != 0 || w.count != x.shape.back() || w.step != 1)
      return fail(Code::BadProgram, "rows of {} can only be taken whole", to_string(x));
  }
  return TensorType{x.dtype, part};
}

bool view_index(const View& in, const TensorType& out, const Attrs& attrs, View& result) {
  result = {out.shape, {}, in.offset};
  for (int i = 0; i < in.shape.size(); ++i) {
    const AxisWindow w = axis_window(attrs.ints(), i);
    if (w.count > 0) result.offset += w.start * in.strides[i];
    // A single place has no neighbour, however long the step: the product could leave 64 bits.
    if (!w.is_dropped) result.strides.push_back(w.count > 1 ? in.strides[i] * w.step : in.strides[i]);
  }
  return true;
}

}  // namespace

Result<Shape> window_shape(const std::vector<i64>& spec, const Shape& from) {
  if (spec.size() != 4 * static_cast<size_t>(from.size())) {
    return fail(Code::BadProgram, "found {} numbers for {}, want four an axis", spec.size(), to_string(from));
  }
  Shape part;
  for (int i = 0; i < from.size(); ++i) {
    const AxisWindow w = axis_window(spec, i);
    TL_TRY_DO(check_window(w, i, from));
    if (!w.is_dropped) part.push_back(w.count);
  }
  return part;
}

const OpDef op_reshape = {
    .name = "reshape",
    .signature = "(x: tensor, shape: ints) -> tensor",
    .doc = "The same elements in another shape; one dim may be -1.",
    .example = "shape(reshape(arange(6), [2, -1]))  //~ [2, 3]",
    .infer = infer_reshape,
    .batch = batch::reshaped,
    .kind = OpKind::View,
    .view = view_reshape,
};

const OpDef op_flatten = {
    .name = "flatten",
    .signature = "(x: tensor) -> tensor",
    .doc = "All elements in one axis, in row order.",
    .example = "shape(flatten(zeros([2, 3])))  //~ [6]",
    .infer = infer_flatten,
    .batch = batch::reshaped,
    .kind = OpKind::View,
    .view = view_reshape,
};

const OpDef op_transpose = {
    .name = "transpose",
    .signature = "(x: tensor, a: int = -2, b: int = -1) -> tensor",
    .doc = "Swaps two axes, the last two if none are named.",
    .example = "shape(transpose(zeros([2, 3])))  //~ [3, 2]",
    .infer = infer_transpose,
    .batch = batch::transpose,
    .kind = OpKind::View,
    .view = view_transpose,
};

const OpDef op_permute = {
    .name = "permute",
    .signature = "(x: tensor, axes: ints) -> tensor",
    .doc = "Axis i of the result is axis axes[i] of x.",
    .example = "shape(permute(zeros([2, 3, 4]), [2, 0, 1]))  //~ [4, 2, 3]",
    .infer = infer_permute,
    .batch = batch::permute,
    .kind = OpKind::View,
    .view = view_permute,
};

const OpDef op_squeeze = {
    .name = "squeeze",
    .signature = "(x: tensor, axis: ints = []) -> tensor",
    .doc = "Drops axes of 1: the named ones, or all.",
    .example = "shape(squeeze(zeros([1, 3, 1])))  //~ [3]",
    .infer = infer_squeeze,
    .batch = batch::reshaped,
    .kind = OpKind::View,
    .view = view_reshape,
};

const OpDef op_unsqueeze = {
    .name = "unsqueeze",
    .signature = "(x: tensor, axis: int) -> tensor",
    .doc = "Puts an axis of 1 in front of the named one.",
    .example = "shape(unsqueeze(zeros([3]), 0))  //~ [1, 3]",
    .infer = infer_unsqueeze,
    .batch = batch::reshaped,
    .kind = OpKind::View,
    .view = view_reshape,
};

const OpDef op_broadcast_to = {
    .name = "broadcast_to",
    .signature = "(x: tensor, shape: ints) -> tensor",
    .doc = "Repeats axes of 1, and adds axes in front, without copying.",
    .example =
        "broadcast_to([[1.0], [2.0]], [2, 2])  //~ [[1.0000 1.0000] [2.0000 2.0000]] shape=[2, 2] float32",
    .infer = infer_broadcast_to,
    .batch = batch::broadcast_to,
    .kind = OpKind::View,
    .view = view_broadcast_to,
};

const OpDef op_index = {
    .name = "index",
    .signature = "(x: tensor, ranges: ints) -> tensor",
    .doc = "What x[i, a:b:c] records: start, count, step and 1 if the axis goes, for every axis.",
    .example = "index([1.0, 2.0, 3.0], [1, 2, 1, 0])  //~ [2.0000 3.0000] shape=[2] float32",
    .infer = infer_index,
    .batch = batch::index,
    .kind = OpKind::View,
    .view = view_index,
    .is_internal = true,
};

}  // namespace tl
