// concat, index_select and gather: copies that pick where elements come from. Units are rows of the last
// axis.
#include "tl/ops/batch/rules.h"
#include "tl/ops/ops.h"
#include "tl/ops/view/copy.h"
#include "tl/ops/whole.h"

namespace tl {
namespace {

i64 row_units(const KernelCall& call) {
  return call.out.rows();
}
double row_cost(const KernelCall& call) {
  return 10 + static_cast<double>(call.out.cols()) * 0.5;
}

const std::byte* element(const Operand& x, i64 offset) {
  return static_cast<const std::byte*>(x.address()) + offset * size_of(x.dtype);
}

// Coordinates of the first element of an output row.
Dims row_coordinates(i64 row, const Dims& dims) {
  Dims at = Dims::filled(dims.size(), 0);
  for (int i = dims.size() - 2; i >= 0; --i) {
    at[i] = row % dims[i];
    row /= dims[i];
  }
  return at;
}

i64 offset_of(const Dims& at, const Strides& strides) {
  i64 offset = 0;
  for (int i = 0; i < at.size(); ++i) offset += at[i] * strides[i];
  return offset;
}

// The same dims but for `axis`, as far as they are known.
bool agree_besides(int axis, const Shape& a, const Shape& b) {
  bool agree = a.size() == b.size();
  for (int i = 0; agree && i < a.size(); ++i) agree = i == axis || same_dim(a[i], b[i]);
  return agree;
}

// What every kernel here fills, row by row, and the axis along which it picks places.
struct Rows {
  const Dims& dims;
  int axis, last;
  i64 bytes, cols;  // of an element; in a row
};
Rows rows_of(const KernelCall& call) {
  const Dims& dims = call.out.dims;
  const int axis = *normalise_axis(call.attrs->int_at(0), dims.size()), last = dims.size() - 1;
  return {dims, axis, last, size_of(call.out.dtype), dims[last]};
}

// --- concat ---

Result<TensorType> infer_concat(const InferContext& c) {
  if (c.count() == 0) return fail(Code::BadProgram, "found no tensors to join");
  TensorType out = c.input(0);
  TL_TRY(const int axis, checked_axis(c.attrs().int_at(0), out.shape));
  for (int k = 1; k < c.count(); ++k) {
    const TensorType& more = c.input(k);
    if (!agree_besides(axis, out.shape, more.shape)) {
      return fail(Code::BadProgram, "cannot join {} and {} along axis {}: other dims differ",
                  to_string(c.shape(0)), to_string(more.shape), axis);
    }
    out.dtype = promote(out.dtype, more.dtype);
    for (int i = 0; i < out.rank(); ++i) {
      i64& x = out.shape[i];
      const i64 y = more.shape[i];
      if (i == axis)
        x = x == kUnknownDim || y == kUnknownDim ? kUnknownDim : x + y;
      else if (x == kUnknownDim)
        x = y;
    }
  }
  return out;
}

// A run of x from `offset` on, in the output's type.
void join_run(const Operand& x, i64 offset, std::byte* to, i64 count, const Operand& out) {
  const i64 stride = x.strides.back();
  if (x.dtype == out.dtype) return copy_run(element(x, offset), stride, to, count, size_of(x.dtype));
  for (i64 i = 0; i < count; ++i) {
    if (is_float(out.dtype)) {
      store_from_double(out.dtype, to, i, load_as_double(x.dtype, x.address(), offset + i * stride));
    } else {
      store_from_int(out.dtype, to, i, load_as_int(x.dtype, x.address(), offset + i * stride));
    }
  }
}

void run_concat(KernelCall& call) {
  const auto [dims, axis, last, bytes, cols] = rows_of(call);
  for (i64 row = call.begin; row < call.end; ++row) {
    Dims at = row_coordinates(row, dims);
    std::byte* to = call.out.data + row * cols * bytes;
    if (axis == last) {
      for (const Operand& x : call.in) {
        join_run(x, offset_of(at, x.strides), to, x.dims[last], call.out);
        to += x.dims[last] * bytes;
      }
      continue;
    }
    size_t from = 0;
    for (; at[axis] >= call.in[from].dims[axis]; ++from) at[axis] -= call.in[from].dims[axis];
    const Operand& x = call.in[from];
    join_run(x, offset_of(at, x.strides), to, cols, call.out);
  }
}

// --- index_select and gather ---

Result<void> want_whole(const TensorType& index) {
  if (is_int(index.dtype)) return {};
  return fail(Code::BadProgram, "found an index of {}, want whole numbers", name_of(index.dtype));
}

// Place `i` of `index` along an axis of `size`; negative numbers count from the end.
i64 place(KernelCall& call, const Operand& index, i64 offset, int axis, i64 size) {
  i64 number = 0;
  if (!load_whole(index.dtype, index.address(), offset, number)) {
    call.fail(
        fmt::format("index {} is no whole number", load_as_double(index.dtype, index.address(), offset)));
    return -1;
  }
  const i64 at = number < 0 ? number + size : number;
  if (at >= 0 && at < size) return at;
  call.fail(fmt::format("index {} is out of range for axis {} of size {}", number, axis, size));
  return -1;
}

Result<TensorType> infer_index_select(const InferContext& c) {
  const TensorType &x = c.input(0), &index = c.input(1);
  TL_TRY(const int axis, checked_axis(c.attrs().int_at(0), x.shape));
  TL_TRY_DO(want_whole(index));
  if (index.rank() != 1)
    return fail(Code::BadProgram, "found an index of shape {}, want one axis", to_string(index.shape));
  TensorType out = x;
  out.shape[axis] = index.shape[0];
  return out;
}

void run_index_select(KernelCall& call) {
  const Operand &x = call.in[0], &index = call.in[1];
  const auto [dims, axis, last, bytes, cols] = rows_of(call);
  for (i64 row = call.begin; row < call.end; ++row) {
    Dims at = row_coordinates(row, dims);
    std::byte* to = call.out.data + row * cols * bytes;
    if (axis != last) {
      at[axis] = place(call, index, at[axis] * index.strides[0], axis, x.dims[axis]);
      if (at[axis] < 0) return;
      copy_run(element(x, offset_of(at, x.strides)), x.strides[last], to, cols, bytes);
      continue;
    }
    const i64 start = offset_of(at, x.strides);
    for (i64 i = 0; i < cols; ++i) {
      const i64 from = place(call, index, i * index.strides[0], axis, x.dims[axis]);
      if (from < 0) return;
      std::memcpy(to + i * bytes, element(x, start + from * x.strides[last]), static_cast<size_t>(bytes));
    }
  }
}

Result<TensorType> infer_gather(const InferContext& c) {
  const TensorType &x = c.input(0), &index = c.input(1);
  TL_TRY(const int axis, checked_axis(c.attrs().int_at(0), x.shape));
  if (!is_float(index.dtype)) TL_TRY_DO(want_whole(index));
  if (!agree_besides(axis, x.shape, index.shape)) {
    return fail(Code::BadProgram, "cannot gather from {} with an index of {} along axis {}",
                to_string(x.shape), to_string(index.shape), axis);
  }
  TensorType out{x.dtype, index.shape};
  for (int i = 0; i < x.rank(); ++i) {
    if (i != axis && out.shape[i] == kUnknownDim) out.shape[i] = x.shape[i];
  }
  return out;
}

void run_gather(KernelCall& call) {
  const Operand &x = call.in[0], &index = call.in[1];
  const auto [dims, axis, last, bytes, cols] = rows_of(call);
  for (i64 row = call.begin; row < call.end; ++row) {
    Dims at = row_coordinates(row, dims);
    for (at[last] = 0; at[last] < cols; ++at[last]) {
      Dims from = at;
      from[axis] = place(call, index, offset_of(at, index.strides), axis, x.dims[axis]);
      if (from[axis] < 0) return;
      std::memcpy(call.out.data + (row * cols + at[last]) * bytes, element(x, offset_of(from, x.strides)),
                  static_cast<size_t>(bytes));
    }
  }
}

template <void (*run)(KernelCall&)>
constexpr Kernel kRows = {.run = run, .units = row_units, .unit_cost = row_cost};

}  // namespace

// These only move bits, so that the plain loops are oracle and kernel; the case tables hold written results.
const OpDef op_concat = {
    .name = "concat",
    .signature = "(axis: int, x: tensor...) -> tensor",
    .doc = "Tensors one after the other along an axis, in the wider of their types.",
    .example = "concat([1.0], [2.0, 3.0])  //~ [1.0000 2.0000 3.0000] shape=[3] float32",
    .infer = infer_concat,
    .batch = batch::joint_axis,
    .layout = Layout::Any,
    .reference = kRows<run_concat>,
    .cpu = kRows<run_concat>,
};

// What is picked, read and written.
static Cost picking_cost(const KernelCall& call) {
  return {0, 2 * operand_bytes(call.out) + operand_bytes(call.in[1])};
}

const OpDef op_index_select = {
    .name = "index_select",
    .signature = "(x: tensor, axis: int, index: tensor) -> tensor",
    .doc = "The named places along one axis; negative ones count from the end.",
    .example = "index_select([1.0, 2.0, 3.0], 0, [2, 0])  //~ [3.0000 1.0000] shape=[2] float32",
    .infer = infer_index_select,
    .batch = batch::along_axis,
    .layout = Layout::Any,
    .reference = kRows<run_index_select>,
    .cpu = kRows<run_index_select>,
    .cost = picking_cost,
};

const OpDef op_gather = {
    .name = "gather",
    .signature = "(x: tensor, axis: int, index: tensor) -> tensor",
    .doc = "For every element of index: the element of x there along the axis, elsewhere at the same place.",
    .example =
        "gather([[1.0, 2.0], [3.0, 4.0]], 1, [[1], [0]])  //~ [[2.0000] [3.0000]] shape=[2, 1] float32",
    .infer = infer_gather,
    .batch = batch::joint_axis,
    .layout = Layout::Any,
    .reference = kRows<run_gather>,
    .cpu = kRows<run_gather>,
    .cost = picking_cost,
};

}  // namespace tl
