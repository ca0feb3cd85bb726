// Tensors out of numbers: filled ones, ranges, masks.
#include <cmath>
#include <cstring>

#include "tl/ops/batch/rules.h"
#include "tl/ops/create/create.h"

namespace tl {

Result<Shape> checked_shape(const std::vector<i64>& dims, DType dtype) {
  if (dims.size() > static_cast<size_t>(kMaxRank)) {
    return fail(Code::BadProgram, "a shape of {} dims, want at most {}", dims.size(), kMaxRank);
  }
  if (info(dtype).block_elements != 1 || info(dtype).kind == DTypeClass::Packed) {
    return fail(Code::BadProgram, "cannot make a tensor of {}, want a type of single elements",
                name_of(dtype));
  }
  const Shape shape{std::span<const i64>(dims)};
  for (const i64 d : shape) {
    if (d < 0) return fail(Code::BadProgram, "found the negative dim {} in [{}]", d, fmt::join(dims, ", "));
  }
  TL_TRY_DO(check_addressable({dtype, shape}));
  return shape;
}

namespace {

// --- zeros, ones, full ---

// A number of a program must be one that the named type has, but for its fraction.
Result<void> check_fits(double value, DType dtype) {
  if (is_float(dtype)) return {};
  const IntRange range = int_range(dtype);
  // The ends of int64 are not doubles: 2^63 stands for the largest, which is how it arrives.
  const bool fits = value > static_cast<double>(range.low) - 1 && value < static_cast<double>(range.high) + 1;
  if (fits || (dtype == DType::I64 && std::abs(value) == 0x1p63) || dtype == DType::Bool) return {};
  return fail(Code::BadProgram, "{} does not fit in {}", value, name_of(dtype));
}

template <int dtype_at>
Result<TensorType> infer_filled(const InferContext& c) {
  const DType dtype = c.attrs().dtype_at(dtype_at);
  TL_TRY(const Shape shape, checked_shape(c.attrs().ints(), dtype));
  return TensorType{dtype, shape};
}
Result<TensorType> infer_full(const InferContext& c) {
  TL_TRY(TensorType type, infer_filled<1>(c));
  TL_TRY_DO(check_fits(c.attrs().float_at(0), type.dtype));
  return type;
}

void fill(KernelCall& call, double value) {
  const auto bytes = static_cast<size_t>(size_of(call.out.dtype)), begin = static_cast<size_t>(call.begin),
             end = static_cast<size_t>(call.end);
  if (begin >= end) return;
  std::byte* data = call.out.data;
  store_from_double(call.out.dtype, data, call.begin, value);
  for (size_t i = begin + 1; i < end; ++i) std::memcpy(data + i * bytes, data + begin * bytes, bytes);
}

void run_zeros(KernelCall& call) {
  const auto bytes = static_cast<size_t>(size_of(call.out.dtype));
  if (call.begin >= call.end) return;
  std::memset(call.out.data + static_cast<size_t>(call.begin) * bytes, 0,
              static_cast<size_t>(call.end - call.begin) * bytes);
}
void run_ones(KernelCall& call) {
  fill(call, 1);
}
void run_full(KernelCall& call) {
  fill(call, call.attrs->float_at(0));
}

// --- arange, linspace ---

struct Range {
  double start, stop, step;
  DType dtype;
};
// One number is the end; fractions make the result float32 where no type is named.
Range range_of(const Attrs& attrs) {
  Range r{attrs.float_at(0), attrs.float_at(1), attrs.float_at(2), attrs.dtype_at(3)};
  if (std::isnan(r.stop)) r.stop = std::exchange(r.start, 0);
  const bool is_whole = r.start == std::trunc(r.start) && r.step == std::trunc(r.step);
  if (r.dtype == DType::I64 && !is_whole) r.dtype = DType::F32;
  return r;
}

Result<TensorType> infer_arange(const InferContext& c) {
  const Range r = range_of(c.attrs());
  if (r.step == 0 || !std::isfinite(r.start) || !std::isfinite(r.stop) || !std::isfinite(r.step)) {
    return fail(Code::BadProgram, "no range from {} to {} in steps of {}", r.start, r.stop, r.step);
  }
  const double count = std::max(0.0, std::ceil((r.stop - r.start) / r.step));
  if (!(count <= static_cast<double>(kMaxElements))) {
    return fail(Code::BadProgram, "a range of {} numbers is too large", count);
  }
  TL_TRY(const Shape shape, checked_shape({static_cast<i64>(count)}, r.dtype));
  if (count > 0) {
    TL_TRY_DO(check_fits(r.start, r.dtype));
    TL_TRY_DO(check_fits(r.start + (count - 1) * r.step, r.dtype));
  }
  return TensorType{r.dtype, shape};
}

void run_arange(KernelCall& call) {
  const Range r = range_of(*call.attrs);
  if (is_int(call.out.dtype) && std::abs(r.start) < 0x1p62 && std::abs(r.stop) < 0x1p62) {
    const auto start = static_cast<i64>(r.start), step = static_cast<i64>(r.step);
    for (i64 i = call.begin; i < call.end; ++i)
      store_from_int(call.out.dtype, call.out.data, i, start + i * step);
    return;
  }
  for (i64 i = call.begin; i < call.end; ++i) {
    store_from_double(call.out.dtype, call.out.data, i, r.start + static_cast<double>(i) * r.step);
  }
}

Result<TensorType> infer_linspace(const InferContext& c) {
  const i64 count = c.attrs().int_at(2);
  if (count < 0) return fail(Code::BadProgram, "found {} numbers, want 0 or more", count);
  TL_TRY(const Shape shape, checked_shape({count}, c.attrs().dtype_at(3)));
  return TensorType{c.attrs().dtype_at(3), shape};
}

// The last number is `stop` itself.
void run_linspace(KernelCall& call) {
  const double start = call.attrs->float_at(0), stop = call.attrs->float_at(1);
  const i64 last = call.out.numel() - 1;
  for (i64 i = call.begin; i < call.end; ++i) {
    const double part = last > 0 ? static_cast<double>(i) / static_cast<double>(last) : 0;
    store_from_double(call.out.dtype, call.out.data, i,
                      i == last && last > 0 ? stop : start + (stop - start) * part);
  }
}

// --- eye, causal_mask: rows with ones somewhere ---

Result<TensorType> infer_eye(const InferContext& c) {
  const i64 n = c.attrs().int_at(0);
  TL_TRY(const Shape shape, checked_shape({n, n}, c.attrs().dtype_at(1)));
  return TensorType{c.attrs().dtype_at(1), shape};
}

void run_eye(KernelCall& call) {
  const i64 n = call.out.cols();
  for (i64 row = call.begin; row < call.end; ++row) {
    for (i64 i = 0; i < n; ++i) store_from_int(call.out.dtype, call.out.data, row * n + i, i == row);
  }
}

Result<TensorType> infer_causal_mask(const InferContext& c) {
  const i64 rows = c.attrs().int_at(0), cols = c.attrs().int_at(1);
  TL_TRY(const Shape shape, checked_shape({rows, cols == -1 ? rows : cols}, DType::F32));
  return TensorType{DType::F32, shape};
}

void run_causal_mask(KernelCall& call) {
  const i64 cols = call.out.cols(), offset = call.attrs->int_at(2);
  for (i64 row = call.begin; row < call.end; ++row) {
    float* to = call.out.mutable_ptr<float>() + row * cols;
    for (i64 i = 0; i < cols; ++i) to[i] = i - row <= offset ? 1.0f : 0.0f;
  }
}

i64 row_units(const KernelCall& call) {
  return call.out.rows();
}
double row_cost(const KernelCall& call) {
  return static_cast<double>(call.out.cols());
}
double fill_cost(const KernelCall&) {
  return 0.3;
}
double number_cost(const KernelCall&) {
  return 3;
}

template <void (*run)(KernelCall&)>
constexpr Kernel kFill = {.run = run, .unit_cost = fill_cost};
template <void (*run)(KernelCall&)>
constexpr Kernel kNumbers = {.run = run, .unit_cost = number_cost};
template <void (*run)(KernelCall&)>
constexpr Kernel kRows = {.run = run, .units = row_units, .unit_cost = row_cost};

}  // namespace

// The plain loops are oracle and kernel; the case tables hold written results.
const OpDef op_zeros = {
    .name = "zeros",
    .signature = "(shape: ints, dtype: dtype = float32) -> tensor",
    .doc = "A tensor of zeros.",
    .example = "zeros([2])  //~ [0.0000 0.0000] shape=[2] float32",
    .infer = infer_filled<0>,
    .batch = batch::kNoInputs,
    .reference = kFill<run_zeros>,
    .cpu = kFill<run_zeros>,
};

const OpDef op_ones = {
    .name = "ones",
    .signature = "(shape: ints, dtype: dtype = float32) -> tensor",
    .doc = "A tensor of ones.",
    .example = "ones([2])  //~ [1.0000 1.0000] shape=[2] float32",
    .infer = infer_filled<0>,
    .batch = batch::kNoInputs,
    .reference = kFill<run_ones>,
    .cpu = kFill<run_ones>,
};

const OpDef op_full = {
    .name = "full",
    .signature = "(shape: ints, value: float, dtype: dtype = float32) -> tensor",
    .doc = "A tensor of one number.",
    .example = "full([2], 7.0)  //~ [7.0000 7.0000] shape=[2] float32",
    .infer = infer_full,
    .batch = batch::kNoInputs,
    .reference = kFill<run_full>,
    .cpu = kFill<run_full>,
};

const OpDef op_arange = {
    .name = "arange",
    .signature = "(start: float, stop: float = nan, step: float = 1.0, dtype: dtype = int64) -> tensor",
    .doc = "start, start + step, … before stop; with one number, 0 up to it. Fractions give float32.",
    .example = "arange(3)  //~ [0 1 2] shape=[3] int64",
    .infer = infer_arange,
    .batch = batch::kNoInputs,
    .reference = kNumbers<run_arange>,
    .cpu = kNumbers<run_arange>,
};

const OpDef op_linspace = {
    .name = "linspace",
    .signature = "(start: float, stop: float, count: int, dtype: dtype = float32) -> tensor",
    .doc = "Evenly spaced numbers from start to stop, both included.",
    .example = "linspace(0.0, 1.0, 3)  //~ [0.0000 0.5000 1.0000] shape=[3] float32",
    .infer = infer_linspace,
    .batch = batch::kNoInputs,
    .reference = kNumbers<run_linspace>,
    .cpu = kNumbers<run_linspace>,
};

const OpDef op_eye = {
    .name = "eye",
    .signature = "(n: int, dtype: dtype = float32) -> tensor",
    .doc = "The identity matrix.",
    .example = "eye(2)  //~ [[1.0000 0.0000] [0.0000 1.0000]] shape=[2, 2] float32",
    .infer = infer_eye,
    .batch = batch::kNoInputs,
    .reference = kRows<run_eye>,
    .cpu = kRows<run_eye>,
};

const OpDef op_causal_mask = {
    .name = "causal_mask",
    .signature = "(rows: int, cols: int = -1, offset: int = 0) -> tensor",
    .doc = "1 where column <= row + offset (may be looked at), else 0; square unless cols is given.",
    .example = "causal_mask(2)  //~ [[1.0000 0.0000] [1.0000 1.0000]] shape=[2, 2] float32",
    .infer = infer_causal_mask,
    .batch = batch::kNoInputs,
    .reference = kRows<run_causal_mask>,
    .cpu = kRows<run_causal_mask>,
    .makes_infinity = always,
};

}  // namespace tl
