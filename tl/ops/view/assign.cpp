// set_item and index_put: a tensor with a part of it replaced. In place where nobody else needs the old one
// (OpDef::donates): what is written is then what changes, and nothing else is touched.
#include <cstring>

#include "tl/ops/batch/rules.h"
#include "tl/ops/ops.h"
#include "tl/ops/view/copy.h"
#include "tl/ops/view/window.h"

namespace tl {
namespace {

bool is_in_place(const KernelCall& call) {
  return call.out.data == call.in[0].data;
}

// The value that comes along is of x's type and broadcasts to the part of shape `part`.
Result<void> check_value(const TensorType& x, const TensorType& value, const Shape& part) {
  if (info(x.dtype).block_elements != 1 || info(x.dtype).kind == DTypeClass::Packed)
    return fail(Code::BadProgram, "parts of {} cannot be set", to_string(x));
  if (value.dtype != x.dtype)
    return fail(Code::BadProgram, "cannot put {} into {}: the types differ", to_string(value), to_string(x));
  const std::optional<Shape> both = broadcast(value.shape, part);
  bool fits = both && both->size() == part.size();
  for (int i = 0; fits && i < part.size(); ++i) fits = same_dim((*both)[i], part[i]);
  if (fits) return {};
  return fail(Code::BadProgram, "{} cannot be broadcast to the part {} of {}", to_string(value.shape),
              to_string(part), to_string(x.shape));
}

// Copies `count` elements between strided runs.
void copy_elements(const std::byte* from, i64 from_step, std::byte* to, i64 to_step, i64 count, i64 bytes) {
  if (to_step == 1) return copy_run(from, from_step, to, count, bytes);
  for (i64 i = 0; i < count; ++i) {
    std::memcpy(to + i * to_step * bytes, from + i * from_step * bytes, static_cast<size_t>(bytes));
  }
}

const std::byte* element(const Operand& x, i64 offset) {
  return static_cast<const std::byte*>(x.address()) + offset * size_of(x.dtype);
}

// Row `row` of the output as input 0 has it.
void copy_row(const KernelCall& call, i64 row) {
  const Operand& x = call.in[0];
  const i64 cols = call.out.cols(), bytes = size_of(x.dtype);
  const i64 at = strided_offset(row * cols, x.dims, x.strides);
  copy_run(element(x, at), x.rank() == 0 ? 1 : x.strides.back(), call.out.data + row * cols * bytes, cols,
           bytes);
}

// --- set_item: four numbers an axis, as `index` takes them ---

Result<TensorType> infer_set_item(const InferContext& c) {
  const TensorType &x = c.input(0), &value = c.input(1);
  TL_TRY(const Shape part, window_shape(c.attrs().ints(), x.shape));
  TL_TRY_DO(check_value(x, value, part));
  return x;
}

// The part that is set: the rows of its last axis, and where they lie in x and in the value. Axes that the
// index drops are axes of 1 here.
struct Window {
  Dims dims;
  Strides to, from;
  i64 offset = 0;

  explicit Window(const KernelCall& call) {
    const Operand &out = call.out, &value = call.in[1];
    const std::vector<i64>& spec = call.attrs->ints();
    Shape part;
    for (int i = 0; i < out.rank(); ++i) {
      const AxisWindow w = axis_window(spec, i);
      dims.push_back(w.count);
      to.push_back(w.count > 1 ? out.strides[i] * w.step : out.strides[i]);
      if (w.count > 0) offset += w.start * out.strides[i];
      if (!w.is_dropped) part.push_back(w.count);
    }
    const Strides wide = broadcast_strides(value.dims, value.strides, part);
    for (int i = 0, next = 0; i < out.rank(); ++i)
      from.push_back(axis_window(spec, i).is_dropped ? 0 : wide[next++]);
    if (dims.empty()) dims = {1}, to = {0}, from = {0};
  }
  i64 cols() const { return dims.back(); }
  i64 rows() const { return cols() == 0 ? 0 : numel(dims) / cols(); }
};

i64 set_item_units(const KernelCall& call) {
  return is_in_place(call) ? Window(call).rows() : call.out.rows();
}
double set_item_cost(const KernelCall& call) {
  return 20 + 0.5 * static_cast<double>(is_in_place(call) ? Window(call).cols() : call.out.cols());
}

// Writes row `row` of the window.
void put_row(const KernelCall& call, const Window& w, i64 row) {
  const i64 first = row * w.cols(), bytes = size_of(call.out.dtype);
  const i64 to = w.offset + strided_offset(first, w.dims, w.to), from = strided_offset(first, w.dims, w.from);
  copy_elements(element(call.in[1], from), w.from.back(), call.out.data + to * bytes, w.to.back(), w.cols(),
                bytes);
}

// The window's row that lies in row `row` of the output; -1 where none does.
i64 window_row(const KernelCall& call, i64 row) {
  i64 number = 0, scale = 1;
  for (int i = call.out.rank() - 2; i >= 0; --i) {
    const AxisWindow w = axis_window(call.attrs->ints(), i);
    const i64 at = row % call.out.dims[i] - w.start;
    row /= call.out.dims[i];
    const i64 step = w.count > 1 ? w.step : 1;
    if (w.count == 0 || at % step != 0 || at / step < 0 || at / step >= w.count) return -1;
    number += at / step * scale;
    scale *= w.count;
  }
  return number;
}

void run_set_item(KernelCall& call) {
  const Window w(call);
  for (i64 unit = call.begin; unit < call.end; ++unit) {
    if (is_in_place(call)) {
      put_row(call, w, unit);
      continue;
    }
    copy_row(call, unit);
    const i64 row = w.rows() == 0 ? -1 : window_row(call, unit);
    if (row >= 0) put_row(call, w, row);
  }
}

// --- index_put: places along one axis, named by a tensor ---

Result<TensorType> infer_index_put(const InferContext& c) {
  const TensorType &x = c.input(0), &index = c.input(1);
  TL_TRY(const int axis, checked_axis(c.attrs().int_at(0), x.shape));
  if (!is_int(index.dtype))
    return fail(Code::BadProgram, "found an index of {}, want whole numbers", name_of(index.dtype));
  if (index.rank() != 1)
    return fail(Code::BadProgram, "found an index of shape {}, want one axis", to_string(index.shape));
  Shape part = x.shape;
  part[axis] = index.shape[0];
  TL_TRY_DO(check_value(x, c.input(2), part));
  return x;
}

// A unit is everything at one place of the axes before the named one: where an index names a place twice, the
// later value stays, whoever works on what.
struct PutAxes {
  int axis;
  i64 outer = 1, inner = 1;
  explicit PutAxes(const KernelCall& call) : axis(*normalise_axis(call.attrs->int_at(0), call.out.rank())) {
    const Dims& dims = call.out.dims;
    for (int i = 0; i < axis; ++i) outer *= dims[i];
    for (int i = axis + 1; i < dims.size(); ++i) inner *= dims[i];
  }
};

i64 index_put_units(const KernelCall& call) {
  return call.out.numel() == 0 && call.in[1].numel() == 0 ? 0 : PutAxes(call).outer;
}
double index_put_cost(const KernelCall& call) {
  const PutAxes a(call);
  const i64 places = call.in[1].numel() + (is_in_place(call) ? 0 : call.out.dims[a.axis]);
  return 20 + static_cast<double>(places) * (5 + 0.5 * static_cast<double>(a.inner));
}

void run_index_put(KernelCall& call) {
  const PutAxes a(call);
  const Operand &x = call.in[0], &index = call.in[1], &value = call.in[2];
  const i64 size = call.out.dims[a.axis], count = index.numel(), bytes = size_of(x.dtype);
  Shape part = call.out.dims;
  part[a.axis] = count;
  const Strides wide = broadcast_strides(value.dims, value.strides, part);
  for (i64 unit = call.begin; unit < call.end; ++unit) {
    std::byte* const to = call.out.data + unit * size * a.inner * bytes;
    if (!is_in_place(call)) {
      const i64 first = unit * size * a.inner;
      for (i64 i = 0; i < size * a.inner; ++i) {
        std::memcpy(to + i * bytes, element(x, strided_offset(first + i, x.dims, x.strides)),
                    static_cast<size_t>(bytes));
      }
    }
    for (i64 k = 0; k < count; ++k) {
      const i64 number = load_as_int(index.dtype, index.address(), k * index.strides[0]);
      const i64 at = number < 0 ? number + size : number;
      if (at < 0 || at >= size)
        return call.fail(
            fmt::format("index {} is out of range for axis {} of size {}", number, a.axis, size));
      for (i64 i = 0; i < a.inner; ++i) {
        const i64 from = strided_offset((unit * count + k) * a.inner + i, part, wide);
        std::memcpy(to + (at * a.inner + i) * bytes, element(value, from), static_cast<size_t>(bytes));
      }
    }
  }
}

constexpr Kernel kSetItem = {.run = run_set_item, .units = set_item_units, .unit_cost = set_item_cost};
constexpr Kernel kIndexPut = {.run = run_index_put, .units = index_put_units, .unit_cost = index_put_cost};

}  // namespace

// These only move bits, so that the plain loops are oracle and kernel; the case tables hold written results.
const OpDef op_set_item = {
    .name = "set_item",
    .signature = "(x: tensor, value: tensor, ranges: ints) -> tensor",
    .doc = "What x[i, a:b:c] = value records: x with that part replaced.",
    .example = "set_item([1.0, 2.0, 3.0], 9.0, [1, 2, 1, 0])  //~ [1.0000 9.0000 9.0000] shape=[3] float32",
    .infer = infer_set_item,
    .batch = batch::set_item,
    .layout = Layout::Any,
    .reference = kSetItem,
    .cpu = kSetItem,
    .donates = true,
    .is_internal = true,
};

const OpDef op_index_put = {
    .name = "index_put",
    .signature = "(x: tensor, axis: int, index: tensor, value: tensor) -> tensor",
    .doc = "x with the named places along an axis replaced; of a place named twice the last value stays.",
    .example = "index_put([1.0, 2.0, 3.0], 0, [2, 0], 9.0)  //~ [9.0000 2.0000 9.0000] shape=[3] float32",
    .infer = infer_index_put,
    .batch = batch::index_put,
    .layout = Layout::Any,
    .reference = kIndexPut,
    .cpu = kIndexPut,
    .donates = true,
};

}  // namespace tl
