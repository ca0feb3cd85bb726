#include "tl/ops/norm/masks.h"

#include <limits>

#include "tl/ops/batch/rules.h"
#include "tl/ops/ops.h"
#include "tl/ops/reduce/strided_index.h"

namespace tl {

static i64 mask_rows(const KernelCall& call) {
  return call.out.rows();
}
static double mask_row_cost(const KernelCall& call) {
  return 40 + 0.3 * static_cast<double>(call.out.cols());
}

static Result<TensorType> infer_apply(const InferContext& c) {
  const TensorType& scores = c.input(0);
  if (!is_float(scores.dtype)) {
    return fail(Code::BadProgram, "scores are {}, want a float tensor", name_of(scores.dtype));
  }
  const std::optional<Shape> both = broadcast(scores.shape, c.shape(1));
  bool fits = both && both->size() == scores.rank();
  for (int i = 0; fits && i < scores.rank(); ++i) fits = same_dim((*both)[i], scores.shape[i]);
  if (fits) return scores;
  return fail(Code::BadProgram, "a mask of {} does not fit scores of {}", to_string(c.shape(1)),
              to_string(scores.shape));
}

static Result<TensorType> infer_padding(const InferContext& c) {
  Shape shape = c.shape(0);
  const i64 length = c.attrs().int_at(0);
  if (length < 0) return fail(Code::BadProgram, "length is {}, want 0 or more", length);
  if (shape.size() == kMaxRank) return fail(Code::BadProgram, "more than {} axes", kMaxRank);
  shape.push_back(length);
  return TensorType{DType::F32, shape};
}

static Result<TensorType> infer_combine(const InferContext& c) {
  const std::optional<Shape> both = broadcast(c.shape(0), c.shape(1));
  if (both) return TensorType{promote(c.input(0).dtype, c.input(1).dtype), *both};
  return fail(Code::BadProgram, "masks of {} and {} do not fit", to_string(c.shape(0)),
              to_string(c.shape(1)));
}

namespace ref {

// Element `index` of x read as one of `shape`.
static double load_broadcast(const Operand& x, const Shape& shape, i64 index) {
  return load_as_double(x.dtype, x.address(),
                        strided_offset(index, shape, broadcast_strides(x.dims, x.strides, shape)));
}

void apply_attention_mask(KernelCall& call) {
  const Operand& y = call.out;
  const i64 cols = y.cols();
  for (i64 i = call.begin * cols; i < call.end * cols; ++i) {
    const bool keeps = load_broadcast(call.in[1], y.dims, i) != 0;
    const double score = load_broadcast(call.in[0], y.dims, i);
    store_from_double(y.dtype, y.data, i, keeps ? score : -std::numeric_limits<double>::infinity());
  }
}

void padding_mask(KernelCall& call) {
  const Operand &lengths = call.in[0], &y = call.out;
  for (i64 r = call.begin; r < call.end; ++r) {
    const i64 at = strided_offset(r, lengths.dims, lengths.strides);
    const double length = load_as_double(lengths.dtype, lengths.address(), at);
    float* row = y.mutable_ptr<float>() + r * y.cols();
    for (i64 i = 0; i < y.cols(); ++i) row[i] = static_cast<double>(i) < length ? 1.0f : 0.0f;
  }
}

void combine_masks(KernelCall& call) {
  const Operand& y = call.out;
  for (i64 i = call.begin; i < call.end; ++i) {
    const bool keeps =
        load_broadcast(call.in[0], y.dims, i) != 0 && load_broadcast(call.in[1], y.dims, i) != 0;
    store_from_int(y.dtype, y.data, i, keeps ? 1 : 0);
  }
}

}  // namespace ref

const OpDef op_apply_attention_mask = {
    .name = "apply_attention_mask",
    .signature = "(scores: tensor, mask: tensor) -> tensor",
    .doc = "Scores where the mask is not 0, else -inf, so that softmax gives exactly 0 there.",
    .example = "apply_attention_mask([1.0, 2.0], [1.0, 0.0])  //~ [1.0000 -inf] shape=[2] float32",
    .infer = infer_apply,
    .batch = batch::onto_first,
    .layout = Layout::Any,
    .reference = {ref::apply_attention_mask, mask_rows, mask_row_cost},
    .cpu = {cpu::apply_attention_mask, mask_rows, mask_row_cost},
    .makes_infinity = always,
};

// Made once per batch: the oracle's loops serve the CPU too.
const OpDef op_padding_mask = {
    .name = "padding_mask",
    .signature = "(lengths: tensor, length: int) -> tensor",
    .doc = "For each length a row of that many ones, then zeros.",
    .example = "padding_mask([1, 2], 2)  //~ [[1.0000 0.0000] [1.0000 1.0000]] shape=[2, 2] float32",
    .infer = infer_padding,
    .batch = batch::leading<0>,
    .layout = Layout::Any,
    .reference = {ref::padding_mask, mask_rows, mask_row_cost},
    .cpu = {ref::padding_mask, mask_rows, mask_row_cost},
    .makes_infinity = always,
};

const OpDef op_combine_masks = {
    .name = "combine_masks",
    .signature = "(a: tensor, b: tensor) -> tensor",
    .doc = "1 where neither mask is 0.",
    .example = "combine_masks([1.0, 1.0], [1.0, 0.0])  //~ [1.0000 0.0000] shape=[2] float32",
    .infer = infer_combine,
    .batch = batch::elementwise,
    .layout = Layout::Any,
    .reference = {ref::combine_masks},
    .cpu = {ref::combine_masks},
    .makes_infinity = always,
};

}  // namespace tl
