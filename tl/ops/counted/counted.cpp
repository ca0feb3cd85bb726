#include "tl/ops/counted/counted.h"
#include "tl/ops/batch/rules.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "tl/ops/ops.h"

namespace tl {

i64 counted_elements(KernelCall& call) {
  const Operand& x = call.in[0];
  if (call.in.size() == 1) return x.numel();
  const i64 rows = x.rank() == 0 ? 1 : x.dims[0], count = load_as_int(DType::I64, call.in[1].address(), 0);
  if (count >= 0 && count <= rows) return rows == 0 ? 0 : x.numel() / rows * count;
  call.fail(fmt::format("the count is {}, of {} rows", count, rows));
  return -1;
}

static i64 block_units(const KernelCall& call) {
  return std::max<i64>(1, (call.outs[0].dims[0] + kCountedBlock - 1) / kCountedBlock);
}
static double block_cost(const KernelCall& call) {
  const Operand& rows = call.outs[0];
  const double row = static_cast<double>(rows.numel()) / static_cast<double>(std::max<i64>(rows.dims[0], 1));
  return kCountedBlock * (1 + 0.3 * row);
}
// Sorting is one piece.
static i64 one_unit(const KernelCall&) {
  return 1;
}
static double unique_cost(const KernelCall& call) {
  const double n = static_cast<double>(call.in[0].numel());
  return 20 + n * (5 + 3 * std::log2(n + 2));
}

static i64 capacity_of(const Shape& shape) {
  return is_known(shape) ? numel(shape) : kUnknownDim;
}

static Result<OutputTypes> infer_rows(const InferContext& c) {
  const TensorType &x = c.input(0), &mask = c.input(1);
  if (mask.dtype != DType::Bool)
    return fail(Code::BadProgram, "found a mask of {}, want bool", name_of(mask.dtype));
  bool fits = mask.rank() > 0 && mask.rank() <= x.rank();
  for (int i = 0; fits && i < mask.rank(); ++i) fits = same_dim(mask.shape[i], x.shape[i]);
  if (!fits) {
    return fail(Code::BadProgram, "a mask of {} does not fit {}", to_string(mask.shape), to_string(x));
  }
  Shape rows{capacity_of(mask.shape)};
  for (int i = mask.rank(); i < x.rank(); ++i) rows.push_back(x.shape[i]);
  return OutputTypes{{x.dtype, rows}, {DType::I64, {}}};
}

static Result<OutputTypes> infer_nonzero(const InferContext& c) {
  const Shape& x = c.shape(0);
  return OutputTypes{{DType::I64, {capacity_of(x), x.size()}}, {DType::I64, {}}};
}

static Result<OutputTypes> infer_unique(const InferContext& c) {
  if (c.count() > 2) return fail(Code::BadProgram, "found {} tensors, want one and its count", c.count());
  if (c.count() == 2 && c.input(1) != TensorType{DType::I64, {}})
    return fail(Code::BadProgram, "found a count of {}, want int64[]", to_string(c.input(1)));
  const Shape flat{capacity_of(c.shape(0))};
  return OutputTypes{
      {c.input(0).dtype, flat}, {DType::I64, c.shape(0)}, {DType::I64, flat}, {DType::I64, {}}};
}

namespace ref {
namespace {

// Zeros in the rows from `count` on, and the count itself.
void finish(KernelCall& call, size_t outputs, i64 count) {
  for (size_t k = 0; k < outputs; ++k) {
    const Operand& o = call.outs[k];
    const i64 row = o.dims[0] == 0 ? 0 : o.numel() / o.dims[0] * size_of(o.dtype);
    std::memset(o.data + count * row, 0, static_cast<size_t>((o.dims[0] - count) * row));
  }
  *call.outs.back().mutable_ptr<i64>() = count;
}

}  // namespace

void counted_rows(KernelCall& call) {
  if (call.begin > 0) return;
  const Operand &x = call.in[0], &mask = call.in[1], &rows = call.outs[0];
  const i64 n = mask.numel(), row = n == 0 ? 0 : x.numel() / n * size_of(x.dtype);
  i64 count = 0;
  for (i64 i = 0; i < n; ++i) {
    if (load_as_int(DType::Bool, mask.address(), i) == 0) continue;
    std::memcpy(rows.data + count * row, x.data + i * row, static_cast<size_t>(row));
    ++count;
  }
  finish(call, 1, count);
}

void counted_nonzero(KernelCall& call) {
  if (call.begin > 0) return;
  const Operand& x = call.in[0];
  const Strides steps = contiguous_strides(x.dims);
  i64* to = call.outs[0].mutable_ptr<i64>();
  i64 count = 0;
  for (i64 i = 0; i < x.numel(); ++i) {
    const bool is_zero = is_float(x.dtype) ? load_as_double(x.dtype, x.address(), i) == 0
                                           : load_as_int(x.dtype, x.address(), i) == 0;
    if (is_zero) continue;
    for (int d = 0; d < x.rank(); ++d) *to++ = i / steps[d] % x.dims[d];
    ++count;
  }
  finish(call, 1, count);
}

void counted_unique(KernelCall& call) {
  const i64 n = counted_elements(call);
  if (n < 0) return;
  const Operand& x = call.in[0];
  std::vector<i64> places(static_cast<size_t>(n));
  std::iota(places.begin(), places.end(), 0);
  // NaN is the largest, and one value.
  const auto less = [&](i64 i, i64 j) {
    if (!is_float(x.dtype))
      return load_as_int(x.dtype, x.address(), i) < load_as_int(x.dtype, x.address(), j);
    const double a = load_as_double(x.dtype, x.address(), i), b = load_as_double(x.dtype, x.address(), j);
    return std::isnan(a) || std::isnan(b) ? !std::isnan(a) && std::isnan(b) : a < b;
  };
  std::stable_sort(places.begin(), places.end(), less);
  const i64 bytes = size_of(x.dtype);
  i64 *inverse = call.outs[1].mutable_ptr<i64>(), *counts = call.outs[2].mutable_ptr<i64>();
  std::fill_n(inverse, call.outs[1].numel(), 0);
  i64 count = 0;
  for (size_t k = 0; k < places.size(); ++k) {
    if (k == 0 || less(places[k - 1], places[k])) {
      std::memcpy(call.outs[0].data + count * bytes,
                  static_cast<const std::byte*>(x.address()) + places[k] * bytes, static_cast<size_t>(bytes));
      counts[count++] = 0;
    }
    ++counts[count - 1];
    inverse[places[k]] = count - 1;
  }
  std::fill_n(counts + count, call.outs[2].numel() - count, 0);
  finish(call, 1, count);
}

}  // namespace ref

const OpDef op_counted_rows = {
    .name = "counted_rows",
    .signature = "(x: tensor, mask: tensor) -> tuple",
    .doc =
        "The rows of x that a mask of its first axes picks, zeros behind them, and how many there are; "
        "x[mask] waits for that and gives the rows alone.",
    .example =
        "counted_rows([5.0, 6.0, 7.0], [true, false, true])[0]  //~ [5.0000 7.0000 0.0000] shape=[3] float32",
    .infer_outputs = infer_rows,
    .batch = batch::one_by_one,
    .reference = {ref::counted_rows, block_units, block_cost},
    .cpu = {cpu::counted_rows, block_units, block_cost},
    .counted_outputs = 1,
};

const OpDef op_counted_nonzero = {
    .name = "counted_nonzero",
    .signature = "(x: tensor) -> tuple",
    .doc =
        "Where x is not zero, in row order: a row of indices for each place, zeros behind them, and how many "
        "there are.",
    .example = "counted_nonzero([0.0, 6.0, 7.0])[1]  //~ 2",
    .infer_outputs = infer_nonzero,
    .batch = batch::one_by_one,
    .reference = {ref::counted_nonzero, block_units, block_cost},
    .cpu = {cpu::counted_nonzero, block_units, block_cost},
    .counted_outputs = 1,
};

const OpDef op_counted_unique = {
    .name = "counted_unique",
    .signature = "(x: tensor, count: tensor...) -> tuple",
    .doc =
        "The different elements of x, or of its first `count` rows, in rising order; which of them each "
        "element is; how often each is there; and how many there are.",
    .example = "counted_unique([7, 5, 7])[0]  //~ [5 7 0] shape=[3] int64",
    .infer_outputs = infer_unique,
    .batch = batch::one_by_one,
    .reference = {ref::counted_unique, one_unit, unique_cost},
    .cpu = {cpu::counted_unique, one_unit, unique_cost},
    .counted_outputs = 1 | 1 << 2,
};

}  // namespace tl
