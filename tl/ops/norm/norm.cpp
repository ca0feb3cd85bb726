#include "tl/ops/norm/norm.h"

#include <cmath>
#include <limits>
#include <vector>

#include "tl/ops/batch/rules.h"
#include "tl/ops/ops.h"
#include "tl/ops/reduce/strided_index.h"

namespace tl {

// Ops without an axis attribute work on the last axis.
static i64 axis_of(const KernelCall& call) {
  return call.attrs->count() > 0 ? call.attrs->int_at(0) : -1;
}

i64 norm_units(const KernelCall& call) {
  const i64 length = call.in[0].cols();
  return length == 0 ? 0 : call.in[0].numel() / length;
}
double norm_unit_cost(const KernelCall& call) {
  return 20 + 0.25 * static_cast<double>(call.in[0].cols());
}

static i64 axis_units(const KernelCall& call) {
  const AxisLines lines(call.in[0], axis_of(call));
  return lines.length == 0 ? 0 : lines.lines.count();
}
static double axis_unit_cost(const KernelCall& call) {
  const AxisLines lines(call.in[0], axis_of(call));
  return 20 + (lines.stride == 1 ? 1 : 4) * static_cast<double>(lines.length);
}

static Result<TensorType> infer_axis(const InferContext& c) {
  TL_TRY_DO(checked_axis(c.attrs().int_at(0), c.shape(0)));
  return TensorType{float_result(c.input(0).dtype), c.shape(0)};
}

// Input 0 by its last axis, every further input one number per column.
static Result<TensorType> infer_rows(const InferContext& c) {
  const Shape& x = c.shape(0);
  if (x.empty()) return fail(Code::BadProgram, "found a single number, want rows to normalise");
  for (int i = 1; i < c.count(); ++i) {
    const Shape& w = c.shape(i);
    if (c.input(i).rank_known && (w.size() != 1 || !same_dim(w[0], x.back()))) {
      return fail(Code::BadProgram, "{} is {}, want [{}] for rows of {}", i == 1 ? "weight" : "bias",
                  to_string(w), x.back() == kUnknownDim ? "?" : fmt::format("{}", x.back()), to_string(x));
    }
  }
  return TensorType{float_result(c.input(0).dtype), x};
}

namespace ref {

// Calls f(row) for this part's lines along `axis`; f changes the row, which then becomes the output's.
template <typename F>
static void each_row(KernelCall& call, i64 axis, F&& f) {
  const AxisLines in(call.in[0], axis), out(call.out, axis);
  std::vector<double> row(static_cast<size_t>(in.length));
  for (i64 r = call.begin; r < call.end; ++r) {
    const i64 from = in.lines.offset(r), to = out.lines.offset(r);
    for (i64 i = 0; i < in.length; ++i) {
      row[static_cast<size_t>(i)] =
          load_as_double(call.in[0].dtype, call.in[0].address(), from + i * in.stride);
    }
    f(row);
    for (i64 i = 0; i < in.length; ++i) {
      store_from_double(call.out.dtype, call.out.data, to + i * out.stride, row[static_cast<size_t>(i)]);
    }
  }
}

static double load_column(const Operand& w, size_t column) {
  return load_as_double(w.dtype, w.address(), static_cast<i64>(column) * w.strides[0]);
}

// NaN wherever it is makes the whole row NaN; a row of -inf only has maximum 0, so that nothing subtracts
// infinities.
static double row_max(const std::vector<double>& row) {
  double m = -std::numeric_limits<double>::infinity();
  for (const double v : row) {
    if (std::isnan(v)) return v;
    m = std::max(m, v);
  }
  return std::isinf(m) && m < 0 ? 0 : m;
}

void softmax(KernelCall& call) {
  each_row(call, axis_of(call), [](std::vector<double>& row) {
    const double m = row_max(row);
    double total = 0;
    for (double& v : row) total += v = std::exp(v - m);
    if (total == 0) return;  // everything masked: zeros
    for (double& v : row) v /= total;
  });
}

void log_softmax(KernelCall& call) {
  each_row(call, axis_of(call), [](std::vector<double>& row) {
    const double m = row_max(row);
    double total = 0;
    for (const double v : row) total += std::exp(v - m);
    const double log_total = total == 0 ? 0 : std::log(total);
    for (double& v : row) v = v - m - log_total;
  });
}

void rms_norm(KernelCall& call) {
  const double eps = call.attrs->float_at(0);
  each_row(call, -1, [&](std::vector<double>& row) {
    double squares = 0;
    for (const double v : row) squares += v * v;
    const double scale = 1 / std::sqrt(squares / static_cast<double>(row.size()) + eps);
    for (size_t i = 0; i < row.size(); ++i) row[i] *= scale * load_column(call.in[1], i);
  });
}

static void standardise(std::vector<double>& row, double eps) {
  double sum = 0, squares = 0;
  for (const double v : row) sum += v;
  const double n = static_cast<double>(row.size()), mean = sum / n;
  for (const double v : row) squares += (v - mean) * (v - mean);
  const double scale = 1 / std::sqrt(squares / n + eps);
  for (double& v : row) v = (v - mean) * scale;
}

void layer_norm(KernelCall& call) {
  each_row(call, -1, [&](std::vector<double>& row) { standardise(row, call.attrs->float_at(0)); });
}

void layer_norm_affine(KernelCall& call) {
  each_row(call, -1, [&](std::vector<double>& row) {
    standardise(row, call.attrs->float_at(0));
    for (size_t i = 0; i < row.size(); ++i)
      row[i] = row[i] * load_column(call.in[1], i) + load_column(call.in[2], i);
  });
}

void l2_normalize(KernelCall& call) {
  const double eps = call.attrs->float_at(1);
  each_row(call, axis_of(call), [&](std::vector<double>& row) {
    double squares = 0;
    for (const double v : row) squares += v * v;
    const double length = std::sqrt(squares);
    for (double& v : row) v /= length > eps || std::isnan(length) ? length : eps;
  });
}

}  // namespace ref

// A few operations an element: the square or the exponential, the sum, the scaling.
static Cost norm_cost(const KernelCall& call) {
  return {4.0 * static_cast<double>(call.in[0].numel()), traffic(call)};
}

const OpDef op_softmax = {
    .name = "softmax",
    .signature = "(x: tensor, axis: int = -1) -> tensor",
    .doc =
        "exp(x) divided by its sum along an axis; entries of -inf give exactly 0, and so does a row of "
        "nothing else.",
    .example = "softmax([0.0, 0.0])  //~ [0.5000 0.5000] shape=[2] float32",
    .infer = infer_axis,
    .batch = batch::along_axis,
    .layout = Layout::Any,
    .reference = {ref::softmax, axis_units, axis_unit_cost},
    .cpu = {cpu::softmax, axis_units, axis_unit_cost},
    .cost = norm_cost,
};

const OpDef op_log_softmax = {
    .name = "log_softmax",
    .signature = "(x: tensor, axis: int = -1) -> tensor",
    .doc = "The logarithm of softmax, without its underflow.",
    .example = "log_softmax([0.0, 0.0])  //~ [-0.6931 -0.6931] shape=[2] float32",
    .infer = infer_axis,
    .batch = batch::along_axis,
    .layout = Layout::Any,
    .reference = {ref::log_softmax, axis_units, axis_unit_cost},
    .cpu = {cpu::log_softmax, axis_units, axis_unit_cost},
    .cost = norm_cost,
};

// y = x / sqrt(mean(x^2) + eps) * weight. Zhang and Sennrich, 2019.
const OpDef op_rms_norm = {
    .name = "rms_norm",
    .signature = "(x: tensor, weight: tensor, eps: float = 1e-6) -> tensor",
    .doc = "Scales each row to unit root-mean-square, then by weight.",
    .example = "rms_norm([[3.0, 4.0]], [1.0, 1.0])  //~ [[0.8485 1.1314]] shape=[1, 2] float32",
    .infer = infer_rows,
    .batch = batch::leading<0>,
    .layout = Layout::Rows,
    .reference = {ref::rms_norm, norm_units, norm_unit_cost},
    .cpu = {cpu::rms_norm, norm_units, norm_unit_cost},
    .cost = norm_cost,
};

// y = (x - mean(x)) / sqrt(variance(x) + eps). Ba, Kiros and Hinton, 2016.
const OpDef op_layer_norm = {
    .name = "layer_norm",
    .signature = "(x: tensor, eps: float = 1e-5) -> tensor",
    .doc = "Shifts and scales each row to mean 0 and variance 1.",
    .example = "layer_norm([1.0, 3.0], eps: 0.0)  //~ [-1.0000 1.0000] shape=[2] float32",
    .infer = infer_rows,
    .batch = batch::leading<0>,
    .layout = Layout::Rows,
    .reference = {ref::layer_norm, norm_units, norm_unit_cost},
    .cpu = {cpu::layer_norm, norm_units, norm_unit_cost},
    .cost = norm_cost,
};

const OpDef op_layer_norm_affine = {
    .name = "layer_norm_affine",
    .signature = "(x: tensor, weight: tensor, bias: tensor, eps: float = 1e-5) -> tensor",
    .doc = "layer_norm, then times weight plus bias, one number of each per column.",
    .example =
        "layer_norm_affine([1.0, 3.0], [2.0, 2.0], [1.0, 1.0], eps: 0.0)  //~ [-1.0000 3.0000] shape=[2] "
        "float32",
    .infer = infer_rows,
    .batch = batch::leading<0>,
    .layout = Layout::Rows,
    .reference = {ref::layer_norm_affine, norm_units, norm_unit_cost},
    .cpu = {cpu::layer_norm_affine, norm_units, norm_unit_cost},
    .cost = norm_cost,
};

const OpDef op_l2_normalize = {
    .name = "l2_normalize",
    .signature = "(x: tensor, axis: int = -1, eps: float = 1e-12) -> tensor",
    .doc = "Divides by the Euclidean length along an axis, or by eps where that is smaller.",
    .example = "l2_normalize([3.0, 4.0])  //~ [0.6000 0.8000] shape=[2] float32",
    .infer = infer_axis,
    .batch = batch::along_axis,
    .layout = Layout::Any,
    .reference = {ref::l2_normalize, axis_units, axis_unit_cost},
    .cpu = {cpu::l2_normalize, axis_units, axis_unit_cost},
    .cost = norm_cost,
};

}  // namespace tl
