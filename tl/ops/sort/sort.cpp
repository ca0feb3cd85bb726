#include "tl/ops/sort/sort.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "tl/ops/batch/rules.h"
#include "tl/ops/ops.h"
#include "tl/ops/reduce/strided_index.h"

namespace tl {

static i64 sort_units(const KernelCall& call) {
  const AxisLines lines(call.in[0], call.attrs->int_at(0));
  return lines.length == 0 ? 0 : lines.lines.count();
}
static double sort_unit_cost(const KernelCall& call) {
  const double n = static_cast<double>(AxisLines(call.in[0], call.attrs->int_at(0)).length);
  return 20 + 3 * n * std::log2(n + 2);
}
static i64 topk_units(const KernelCall& call) {
  return call.out.rows();
}
static double topk_unit_cost(const KernelCall& call) {
  return 20 + 10 * static_cast<double>(call.in[0].cols());
}

static Result<TensorType> infer_sort(const InferContext& c) {
  TL_TRY_DO(checked_axis(c.attrs().int_at(0), c.shape(0)));
  return c.input(0);
}

static Result<TensorType> infer_argsort(const InferContext& c) {
  TL_TRY(const TensorType x, infer_sort(c));
  return TensorType{DType::I64, x.shape};
}

static Result<OutputTypes> infer_topk(const InferContext& c) {
  TL_TRY_DO(checked_axis(-1, c.shape(0)));
  const i64 k = c.attrs().int_at(0), n = c.shape(0).back();
  if (k < 0 || (n != kUnknownDim && k > n)) {
    return fail(Code::BadProgram, "k is {}, want at most the length of a row of {}", k,
                to_string(c.shape(0)));
  }
  TensorType values = c.input(0);
  values.shape.back() = k;
  return OutputTypes{values, {DType::I64, values.shape}};
}

SortJob sort_job(const KernelCall& call, bool wants_places) {
  const i64 axis = call.attrs->int_at(0);
  const Operand* out = &call.out;
  return {axis, call.attrs->bool_at(1), AxisLines(call.in[0], axis).length, wants_places ? nullptr : out,
          wants_places ? out : nullptr};
}
SortJob topk_job(const KernelCall& call) {
  return {-1, true, call.attrs->int_at(0), &call.outs[0], &call.outs[1]};
}

namespace ref {

// Places of one line's elements in sorted order.
static std::vector<i64> sorted_places(const Operand& x, i64 offset, i64 n, i64 stride, bool is_descending) {
  std::vector<i64> places(static_cast<size_t>(n));
  std::iota(places.begin(), places.end(), 0);
  std::stable_sort(places.begin(), places.end(), [&](i64 i, i64 j) {
    if (!is_float(x.dtype)) {
      const i64 a = load_as_int(x.dtype, x.address(), offset + i * stride);
      const i64 b = load_as_int(x.dtype, x.address(), offset + j * stride);
      return is_descending ? a > b : a < b;
    }
    const double a = load_as_double(x.dtype, x.address(), offset + i * stride);
    const double b = load_as_double(x.dtype, x.address(), offset + j * stride);
    if (std::isnan(a) || std::isnan(b)) return !std::isnan(a) && std::isnan(b);
    return is_descending ? a > b : a < b;
  });
  return places;
}

static void copy_element(const Operand& from, i64 at, const Operand& to, i64 place) {
  if (is_float(from.dtype))
    return store_from_double(to.dtype, to.data, place, load_as_double(from.dtype, from.address(), at));
  store_from_int(to.dtype, to.data, place, load_as_int(from.dtype, from.address(), at));
}

static void sort_lines(KernelCall& call, const SortJob& job) {
  const AxisLines in(call.in[0], job.axis), out(call.out, job.axis);
  for (i64 r = call.begin; r < call.end; ++r) {
    const i64 from = in.lines.offset(r), to = out.lines.offset(r);
    const std::vector<i64> places = sorted_places(call.in[0], from, in.length, in.stride, job.is_descending);
    for (i64 i = 0; i < job.count; ++i) {
      const i64 place = places[static_cast<size_t>(i)], at = to + i * out.stride;
      if (job.places != nullptr) job.places->mutable_ptr<i64>()[at] = place;
      if (job.values != nullptr) copy_element(call.in[0], from + place * in.stride, *job.values, at);
    }
  }
}

void sort(KernelCall& call) {
  sort_lines(call, sort_job(call, false));
}
void argsort(KernelCall& call) {
  sort_lines(call, sort_job(call, true));
}
void topk(KernelCall& call) {
  sort_lines(call, topk_job(call));
}

}  // namespace ref

const OpDef op_sort = {
    .name = "sort",
    .signature = "(x: tensor, axis: int = -1, descending: bool = false) -> tensor",
    .doc = "Sorts along an axis; NaN comes last in both directions.",
    .example = "sort([3.0, 1.0, 2.0])  //~ [1.0000 2.0000 3.0000] shape=[3] float32",
    .infer = infer_sort,
    .batch = batch::along_axis,
    .layout = Layout::Any,
    .reference = {ref::sort, sort_units, sort_unit_cost},
    .cpu = {cpu::sort, sort_units, sort_unit_cost},
};

const OpDef op_argsort = {
    .name = "argsort",
    .signature = "(x: tensor, axis: int = -1, descending: bool = false) -> tensor",
    .doc = "Where the elements of the sorted tensor come from, as int64; equals keep their order.",
    .example = "argsort([3.0, 1.0, 2.0])  //~ [1 2 0] shape=[3] int64",
    .infer = infer_argsort,
    .batch = batch::along_axis,
    .layout = Layout::Any,
    .reference = {ref::argsort, sort_units, sort_unit_cost},
    .cpu = {cpu::argsort, sort_units, sort_unit_cost},
};

const OpDef op_topk = {
    .name = "topk",
    .signature = "(x: tensor, k: int) -> tuple",
    .doc = "The k largest of each row in falling order, and where they are; the first of equals comes first.",
    .example = "topk([3.0, 1.0, 2.0], 2)[1]  //~ [0 2] shape=[2] int64",
    .infer_outputs = infer_topk,
    .batch = batch::leading<0>,
    .layout = Layout::Any,
    .reference = {ref::topk, topk_units, topk_unit_cost},
    .cpu = {cpu::topk, topk_units, topk_unit_cost},
};

}  // namespace tl
