#include "tl/ops/reduce/reduce.h"

#include <bit>
#include <cmath>
#include <limits>

#include "tl/ops/batch/rules.h"
#include "tl/ops/ops.h"

namespace tl {

// One bit per axis that is reduced; no axes named means all of them.
static u32 axis_bits(const std::vector<i64>& axes, int rank) {
  if (axes.empty()) return (1u << rank) - 1;
  u32 bits = 0;
  for (const i64 a : axes) bits |= 1u << (a < 0 ? a + rank : a);
  return bits;
}

ReduceAxes::ReduceAxes(const KernelCall& call) {
  const Operand& x = call.in[0];
  const u32 bits = axis_bits(call.attrs->ints(), x.rank());
  for (int i = 0; i < x.rank(); ++i) (bits >> i & 1 ? reduced : kept).add_axis(x.dims[i], x.strides[i]);
}

static double reduce_unit_cost(const KernelCall& call) {
  const i64 outputs = call.out.numel();
  return 10 + (outputs == 0 ? 0 : 0.4 * static_cast<double>(call.in[0].numel() / outputs));
}

// The shape after reducing; also checks the axes.
static Result<Shape> reduced_shape(const InferContext& c, i64& reduced) {
  const Shape& x = c.shape(0);
  for (const i64 axis : c.attrs().ints()) {
    TL_TRY_DO(checked_axis(axis, x));
  }
  const u32 bits = axis_bits(c.attrs().ints(), x.size());
  if (!c.attrs().ints().empty() && std::popcount(bits) != static_cast<int>(c.attrs().ints().size())) {
    return fail(Code::BadProgram, "an axis of {} is named twice", to_string(x));
  }
  Shape out;
  reduced = 1;
  for (int i = 0; i < x.size(); ++i) {
    if ((bits >> i & 1) == 0) {
      out.push_back(x[i]);
    } else {
      reduced = x[i] == kUnknownDim || reduced == kUnknownDim ? kUnknownDim : reduced * x[i];
      if (c.attrs().bool_at(0)) out.push_back(1);
    }
  }
  return out;
}

static DType sum_type(DType t) {
  return is_float(t) ? t : DType::I64;
}

template <DType (*kType)(DType)>
static Result<TensorType> infer_reduce(const InferContext& c) {
  i64 reduced = 0;
  TL_TRY(const Shape shape, reduced_shape(c, reduced));
  return TensorType{kType(c.input(0).dtype), shape};
}

static DType bool_type(DType) {
  return DType::Bool;
}

// max and min, argmax and argmin: nothing to choose from is an error.
static Result<TensorType> infer_choice(const InferContext& c, bool is_index) {
  i64 reduced = 0;
  TL_TRY(const Shape shape, reduced_shape(c, reduced));
  if (reduced == 0)
    return fail(Code::BadProgram, "found no elements to choose from in {}", to_string(c.shape(0)));
  if (is_index && c.attrs().ints().size() > 1) {
    return fail(Code::BadProgram, "found {} axes, want one axis or none", c.attrs().ints().size());
  }
  return TensorType{is_index ? DType::I64 : c.input(0).dtype, shape};
}
static Result<TensorType> infer_extremum(const InferContext& c) {
  return infer_choice(c, false);
}
static Result<TensorType> infer_index(const InferContext& c) {
  return infer_choice(c, true);
}

static Result<TensorType> infer_cumsum(const InferContext& c) {
  TL_TRY_DO(checked_axis(c.attrs().int_at(0), c.shape(0)));
  return TensorType{sum_type(c.input(0).dtype), c.shape(0)};
}

static i64 cumsum_units(const KernelCall& call) {
  const AxisLines lines(call.in[0], call.attrs->int_at(0));
  return lines.length == 0 ? 0 : lines.lines.count();
}
static double cumsum_unit_cost(const KernelCall& call) {
  return 10 + 1.5 * static_cast<double>(AxisLines(call.in[0], call.attrs->int_at(0)).length);
}

namespace ref {

// f(element number, offset) for all elements of one output, in order.
template <typename F>
static void each_element(const ReduceAxes& axes, i64 output, F&& f) {
  const i64 base = axes.kept.offset(output);
  for (i64 i = 0; i < axes.reduced.count(); ++i) f(i, base + axes.reduced.offset(i));
}

static double load(const Operand& x, i64 offset) {
  return load_as_double(x.dtype, x.address(), offset);
}

void sum(KernelCall& call) {
  const ReduceAxes axes(call);
  const Operand& x = call.in[0];
  for (i64 o = call.begin; o < call.end; ++o) {
    double total = 0;
    u64 exact = 0;  // whole numbers wrap around, as they do element by element
    each_element(axes, o, [&](i64, i64 at) {
      if (is_float(x.dtype)) {
        total += load(x, at);
      } else {
        exact += static_cast<u64>(load_as_int(x.dtype, x.address(), at));
      }
    });
    if (is_float(x.dtype)) {
      store_from_double(call.out.dtype, call.out.data, o, total);
    } else {
      store_from_int(call.out.dtype, call.out.data, o, static_cast<i64>(exact));
    }
  }
}

void prod(KernelCall& call) {
  const ReduceAxes axes(call);
  const Operand& x = call.in[0];
  for (i64 o = call.begin; o < call.end; ++o) {
    double product = 1;
    u64 exact = 1;
    each_element(axes, o, [&](i64, i64 at) {
      if (is_float(x.dtype)) {
        product *= load(x, at);
      } else {
        exact *= static_cast<u64>(load_as_int(x.dtype, x.address(), at));
      }
    });
    if (is_float(x.dtype)) {
      store_from_double(call.out.dtype, call.out.data, o, product);
    } else {
      store_from_int(call.out.dtype, call.out.data, o, static_cast<i64>(exact));
    }
  }
}

static Mean mean_of(const ReduceAxes& axes, const Operand& x, i64 output) {
  double total = 0;
  i128 exact = 0;
  each_element(axes, output, [&](i64, i64 at) {
    if (is_float(x.dtype)) {
      total += load(x, at);
    } else {
      exact += load_as_int(x.dtype, x.address(), at);
    }
  });
  if (!is_float(x.dtype)) return whole_mean(exact, axes.reduced.count());
  return {.fraction = total / static_cast<double>(axes.reduced.count())};
}

static double variance_of(const KernelCall& call, const ReduceAxes& axes, i64 output) {
  const Operand& x = call.in[0];
  const Mean mean = mean_of(axes, x, output);
  double squares = 0;
  each_element(axes, output, [&](i64, i64 at) {
    const double d = is_float(x.dtype) ? load(x, at) - mean.fraction
                                       : mean.distance(load_as_int(x.dtype, x.address(), at));
    squares += d * d;
  });
  return squares / static_cast<double>(axes.reduced.count() - call.attrs->int_at(1));
}

// value(axes, output) for each output, stored as a float.
template <typename F>
static void each_output(KernelCall& call, F&& value) {
  const ReduceAxes axes(call);
  for (i64 o = call.begin; o < call.end; ++o)
    store_from_double(call.out.dtype, call.out.data, o, value(axes, o));
}

void mean(KernelCall& call) {
  each_output(call, [&](const ReduceAxes& axes, i64 o) { return mean_of(axes, call.in[0], o).value(); });
}
void variance(KernelCall& call) {
  each_output(call, [&](const ReduceAxes& axes, i64 o) { return variance_of(call, axes, o); });
}
void std(KernelCall& call) {
  each_output(call, [&](const ReduceAxes& axes, i64 o) { return std::sqrt(variance_of(call, axes, o)); });
}
void norm(KernelCall& call) {
  each_output(call, [&](const ReduceAxes& axes, i64 o) {
    double squares = 0;
    each_element(axes, o, [&](i64, i64 at) { squares += load(call.in[0], at) * load(call.in[0], at); });
    return std::sqrt(squares);
  });
}
void any(KernelCall& call) {
  each_output(call, [&](const ReduceAxes& axes, i64 o) {
    bool found = false;
    each_element(axes, o, [&](i64, i64 at) { found |= load(call.in[0], at) != 0; });
    return found;
  });
}
void all(KernelCall& call) {
  each_output(call, [&](const ReduceAxes& axes, i64 o) {
    bool holds = true;
    each_element(axes, o, [&](i64, i64 at) { holds &= load(call.in[0], at) != 0; });
    return holds;
  });
}

// Number of the chosen element: the first NaN, else the first of the largest (smallest).
static i64 choose(const KernelCall& call, const ReduceAxes& axes, i64 output, bool largest, i64& offset) {
  const Operand& x = call.in[0];
  i64 best = 0;
  offset = axes.kept.offset(output);
  each_element(axes, output, [&](i64 i, i64 at) {
    bool better;
    if (is_float(x.dtype)) {
      const double v = load(x, at), b = load(x, offset);
      better = std::isnan(v) ? !std::isnan(b) : (largest ? v > b : v < b);
    } else {
      const i64 v = load_as_int(x.dtype, x.address(), at), b = load_as_int(x.dtype, x.address(), offset);
      better = largest ? v > b : v < b;
    }
    if (!better) return;
    best = i;
    offset = at;
  });
  return best;
}

static void extremum(KernelCall& call, bool largest) {
  const ReduceAxes axes(call);
  const Operand& x = call.in[0];
  for (i64 o = call.begin; o < call.end; ++o) {
    i64 at = 0;
    choose(call, axes, o, largest, at);
    if (is_float(x.dtype)) {
      store_from_double(call.out.dtype, call.out.data, o, load(x, at));
    } else {
      store_from_int(call.out.dtype, call.out.data, o, load_as_int(x.dtype, x.address(), at));
    }
  }
}
void max(KernelCall& call) {
  extremum(call, true);
}
void min(KernelCall& call) {
  extremum(call, false);
}

static void arg_extremum(KernelCall& call, bool largest) {
  const ReduceAxes axes(call);
  for (i64 o = call.begin; o < call.end; ++o) {
    i64 at = 0;
    call.out.mutable_ptr<i64>()[o] = choose(call, axes, o, largest, at);
  }
}
void argmax(KernelCall& call) {
  arg_extremum(call, true);
}
void argmin(KernelCall& call) {
  arg_extremum(call, false);
}

void cumsum(KernelCall& call) {
  const Operand& x = call.in[0];
  const AxisLines in(x, call.attrs->int_at(0)), out(call.out, call.attrs->int_at(0));
  for (i64 r = call.begin; r < call.end; ++r) {
    double total = 0;
    u64 exact = 0;
    for (i64 i = 0; i < in.length; ++i) {
      const i64 from = in.lines.offset(r) + i * in.stride, to = out.lines.offset(r) + i * out.stride;
      if (is_float(x.dtype)) {
        store_from_double(call.out.dtype, call.out.data, to, total += load(x, from));
      } else {
        exact += static_cast<u64>(load_as_int(x.dtype, x.address(), from));
        store_from_int(call.out.dtype, call.out.data, to, static_cast<i64>(exact));
      }
    }
  }
}

}  // namespace ref

static Cost reduce_cost(const KernelCall& call) {
  return {static_cast<double>(call.in[0].numel()), traffic(call)};
}

#define TL_AXES "axis: ints = [], keepdim: bool = false"

// The rows of OpDef that all reductions share.
#define TL_REDUCTION(name_, parameters, doc_, example_, infer_) \
  const OpDef op_##name_ = {                                    \
      .name = #name_,                                           \
      .signature = "(x: tensor, " parameters ") -> tensor",     \
      .doc = doc_,                                              \
      .example = example_,                                      \
      .infer = infer_,                                          \
      .batch = batch::along_axes,                               \
      .layout = Layout::Any,                                    \
      .reference = {ref::name_, nullptr, reduce_unit_cost},     \
      .cpu = {cpu::name_, nullptr, reduce_unit_cost},           \
      .cost = reduce_cost,                                      \
  };

TL_REDUCTION(sum, TL_AXES, "Sum along the axes, or of everything; whole numbers give an exact int64.",
             "sum([[1.0, 2.0], [3.0, 4.0]], [0])  //~ [4.0000 6.0000] shape=[2] float32",
             infer_reduce<sum_type>)
TL_REDUCTION(mean, TL_AXES, "Mean along the axes, or of everything.",
             "mean([[1.0, 2.0], [3.0, 4.0]], [1])  //~ [1.5000 3.5000] shape=[2] float32",
             infer_reduce<float_result>)
TL_REDUCTION(prod, TL_AXES, "Product along the axes, or of everything; whole numbers give an int64.",
             "prod([[1.0, 2.0], [3.0, 4.0]], [1])  //~ [2.0000 12.0000] shape=[2] float32",
             infer_reduce<sum_type>)
TL_REDUCTION(max, TL_AXES, "Largest element along the axes, or of everything; NaN wins.",
             "max([[1.0, 5.0], [3.0, 4.0]], [0])  //~ [3.0000 5.0000] shape=[2] float32", infer_extremum)
TL_REDUCTION(min, TL_AXES, "Smallest element along the axes, or of everything; NaN wins.",
             "min([[1.0, 5.0], [3.0, 4.0]], [0])  //~ [1.0000 4.0000] shape=[2] float32", infer_extremum)
TL_REDUCTION(any, TL_AXES, "True where some element along the axes is not 0.",
             "any([[0.0, 2.0], [0.0, 0.0]], [1])  //~ [true false] shape=[2] bool", infer_reduce<bool_type>)
TL_REDUCTION(all, TL_AXES, "True where no element along the axes is 0.",
             "all([[1.0, 2.0], [0.0, 1.0]], [1])  //~ [true false] shape=[2] bool", infer_reduce<bool_type>)
TL_REDUCTION(variance, TL_AXES ", correction: int = 0",
             "Mean squared distance from the mean; the sum is divided by the count less correction.",
             "variance([[1.0, 3.0], [2.0, 2.0]], [1])  //~ [1.0000 0.0000] shape=[2] float32",
             infer_reduce<float_result>)
TL_REDUCTION(std, TL_AXES ", correction: int = 0", "Square root of the variance.",
             "std([[1.0, 5.0], [2.0, 2.0]], [1])  //~ [2.0000 0.0000] shape=[2] float32",
             infer_reduce<float_result>)
TL_REDUCTION(norm, TL_AXES, "Euclidean length: the square root of the sum of squares.",
             "norm([[3.0, 4.0]], [1])  //~ [5.0000] shape=[1] float32", infer_reduce<float_result>)
TL_REDUCTION(argmax, TL_AXES,
             "Place of the largest element along one axis, or in row order; the first of equals.",
             "argmax([[1.0, 5.0], [4.0, 3.0]], [1])  //~ [1 0] shape=[2] int64", infer_index)
TL_REDUCTION(argmin, TL_AXES,
             "Place of the smallest element along one axis, or in row order; the first of equals.",
             "argmin([[1.0, 5.0], [4.0, 3.0]], [1])  //~ [0 1] shape=[2] int64", infer_index)
#undef TL_REDUCTION

const OpDef op_cumsum = {
    .name = "cumsum",
    .signature = "(x: tensor, axis: int = -1) -> tensor",
    .doc = "Running sum along an axis; whole numbers give an int64.",
    .example = "cumsum([1.0, 2.0, 3.0])  //~ [1.0000 3.0000 6.0000] shape=[3] float32",
    .infer = infer_cumsum,
    .batch = batch::along_axis,
    .layout = Layout::Any,
    .reference = {ref::cumsum, cumsum_units, cumsum_unit_cost},
    .cpu = {cpu::cumsum, cumsum_units, cumsum_unit_cost},
    .cost = reduce_cost,
};

}  // namespace tl
