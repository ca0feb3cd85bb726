#include "tl/ops/linear/linear.h"

#include <vector>

#include "tl/ops/batch/rules.h"
#include "tl/ops/ops.h"
#include "tl/tensor/quant.h"

namespace tl {

i64 row_count(const Operand& x) {
  i64 rows = 1;
  for (int i = 0; i + 1 < x.rank(); ++i) rows *= x.dims[i];
  return rows;
}

i64 row_offset(const Operand& x, i64 row) {
  i64 offset = 0;
  for (int i = x.rank() - 2; i >= 0; --i) {
    offset += row % x.dims[i] * x.strides[i];
    row /= x.dims[i];
  }
  return offset;
}

static bool is_weight(DType dtype) {
  return is_float(dtype) || is_quantised(dtype);
}

static Result<TensorType> infer_linear(const InferContext& c) {
  const TensorType &x = c.input(0), &w = c.input(1);
  if (!is_float(x.dtype))
    return fail(Code::BadProgram, "found {} values, want a float type", name_of(x.dtype));
  if (!is_weight(w.dtype))
    return fail(Code::BadProgram, "found a weight of {}, want a float or quantised type", name_of(w.dtype));
  if (x.rank() == 0 || w.rank() != 2) {
    return fail(Code::BadProgram, "found {} and {}, want rows [..., k] and a weight [n, k]",
                to_string(x.shape), to_string(w.shape));
  }
  if (!same_dim(x.shape.back(), w.shape[1])) {
    return fail(Code::BadProgram, "inner dimensions differ: {} and {} ({} and {})", x.shape.back(),
                w.shape[1], to_string(x.shape), to_string(w.shape));
  }
  Shape shape = x.shape;
  shape.back() = w.shape[0];
  return TensorType{x.dtype, shape};
}

static Result<TensorType> infer_pack_planes(const InferContext& c) {
  const TensorType& x = c.input(0);
  if (!is_float(x.dtype) || x.rank() == 0)
    return fail(Code::BadProgram, "found {}, want rows of a float type", to_string(x));
  if (x.shape.back() != kUnknownDim && x.shape.back() % 32 != 0)
    return fail(Code::BadProgram, "found rows of {}, want whole blocks of 32", x.shape.back());
  return TensorType{DType::Planes, x.shape};
}

namespace ref {

// Row `row` of a matrix of any stored type, as the numbers it stands for.
static std::vector<double> values_of_row(const Operand& w, i64 row) {
  const i64 k = w.cols();
  std::vector<double> values(static_cast<size_t>(k));
  if (is_quantised(w.dtype)) {
    std::vector<float> floats(values.size());
    dequantize_row(w.dtype, w.ptr<u8>() + row_bytes(w.dtype, row * w.strides[0]), floats.data(), k);
    values.assign(floats.begin(), floats.end());
  } else {
    for (i64 i = 0; i < k; ++i)
      values[static_cast<size_t>(i)] =
          load_as_double(w.dtype, w.address(), row * w.strides[0] + i * w.strides[1]);
  }
  return values;
}

static void linear(KernelCall& call) {
  const Operand &x = call.in[0], &w = call.in[1];
  const i64 n = w.dims[0], k = w.dims[1], rows = row_count(x);
  for (i64 c = call.begin; c < call.end; ++c) {
    const std::vector<double> weights = values_of_row(w, c);
    for (i64 r = 0; r < rows; ++r) {
      const i64 start = row_offset(x, r);
      double sum = 0;
      for (i64 i = 0; i < k; ++i)
        sum += load_as_double(x.dtype, x.address(), start + i) * weights[static_cast<size_t>(i)];
      store_from_double(call.out.dtype, call.out.data, r * n + c, sum);
    }
  }
}

static i64 linear_units(const KernelCall& call) {
  return call.in[1].dims[0];
}
static double linear_unit_cost(const KernelCall& call) {
  return 4 * static_cast<double>(call.in[1].dims[1] * (row_count(call.in[0]) + 1));
}

}  // namespace ref

// The quantised path wants x as planes; x's own type decides the rest.
static Conversion prepare_linear(int i, std::span<const TensorType> inputs) {
  return {i == 0 && is_quantised(inputs[1].dtype) ? &op_pack_planes : nullptr};
}

static Cost linear_cost(const KernelCall& call) {
  return {2.0 * static_cast<double>(call.out.numel() * call.in[0].cols()), traffic(call)};
}

const OpDef op_linear = {
    .name = "linear",
    .signature = "(x: tensor, weight: tensor) -> tensor",
    .doc = "Products of the rows of x with the rows of weight, which may be quantised.",
    .example = "linear([1.0, 2.0], [[3.0, 4.0], [5.0, 6.0]])  //~ [11.0000 17.0000] shape=[2] float32",
    .infer = infer_linear,
    .batch = batch::leading<0>,
    .layout = Layout::Rows,
    .reference = {.run = ref::linear, .units = ref::linear_units, .unit_cost = ref::linear_unit_cost},
    .cpu = {.run = cpu::linear,
            .units = cpu::linear_units,
            .unit_cost = cpu::linear_unit_cost,
            .prepare = prepare_linear},
    .quantised_inputs = 2,
    .cost = linear_cost,
};

const OpDef op_pack_planes = {
    .name = "pack_planes",
    .signature = "(x: tensor) -> tensor",
    .doc = "Rows as integers of 16 bits and a scale per 32, for products with quantised weights.",
    .infer = infer_pack_planes,
    .batch = batch::kPlanned,
    .layout = Layout::Rows,
    .cpu = {.run = cpu::pack_planes,
            .units = [](const KernelCall& call) { return row_count(call.in[0]); },
            .unit_cost =
                [](const KernelCall& call) { return 20 + 0.2 * static_cast<double>(call.in[0].cols()); }},
    .is_internal = true,
};

}  // namespace tl
