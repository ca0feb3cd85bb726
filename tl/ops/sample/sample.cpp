#include "tl/ops/sample/sample.h"

#include "tl/base/philox.h"
#include "tl/ops/batch/rules.h"
#include "tl/ops/ops.h"
#include "tl/ops/reduce/strided_index.h"

namespace tl {

double sample_fraction(u64 seed, u64 position, i64 row) {
  const PhiloxWords words = philox(seed, position, static_cast<u64>(row));
  return philox_unit_f64(words[0], words[1]);
}

RowIds::RowIds(const Operand& logits, const Operand& ids)
    : ids_(ids), lead_(logits.dims), count_(ids.cols()), stride_(ids.rank() == 0 ? 0 : ids.strides.back()) {
  lead_.pop_back();
  Dims dims = ids.dims;
  strides_ = ids.strides;
  if (!dims.empty()) {
    dims.pop_back();
    strides_.pop_back();
  }
  strides_ = broadcast_strides(dims, strides_, lead_);
}

i64 RowIds::at(i64 row, i64 i) const {
  return load_as_int(ids_.dtype, ids_.address(), strided_offset(row, lead_, strides_) + i * stride_);
}

static i64 row_units(const KernelCall& call) {
  return call.in[0].rows();
}
static double row_cost(const KernelCall& call) {
  return 50 + static_cast<double>(call.in[0].cols());
}
static double sorting_cost(const KernelCall& call) {
  return 200 + 10 * static_cast<double>(call.in[0].cols());
}

static Result<TensorType> infer_logits(const InferContext& c) {
  const TensorType& x = c.input(0);
  if (!is_float(x.dtype)) return fail(Code::BadProgram, "found {}, want a float tensor", name_of(x.dtype));
  if (x.rank() == 0) return fail(Code::BadProgram, "found a single number, want rows");
  return x;
}

// A number that must lie in [low, high]; `name` is the parameter's.
static Result<void> check_range(double value, std::string_view name, double low, double high) {
  if (value >= low && value <= high) return {};
  return fail(Code::BadProgram, "{} is {}, want {} to {}", name, value, low, high);
}

static Result<void> check_at_least(double value, std::string_view name, double low) {
  if (value >= low) return {};
  return fail(Code::BadProgram, "{} is {}, want {} or more", name, value, low);
}

static Result<TensorType> infer_penalty(const InferContext& c) {
  TL_TRY(const TensorType x, infer_logits(c));
  const TensorType& ids = c.input(1);
  if (!is_int(ids.dtype)) return fail(Code::BadProgram, "ids are {}, want whole numbers", name_of(ids.dtype));
  if (!ids.rank_known || ids.rank() <= 1) return x;
  Shape rows = x.shape, lead = ids.shape;
  rows.pop_back();
  lead.pop_back();
  const std::optional<Shape> both = broadcast(lead, rows);
  bool fits = both && both->size() == rows.size();
  for (int i = 0; fits && i < rows.size(); ++i) fits = same_dim((*both)[i], rows[i]);
  if (!fits)
    return fail(Code::BadProgram, "ids of {} do not fit logits of {}", to_string(ids.shape),
                to_string(x.shape));
  return x;
}

static Result<TensorType> infer_repetition(const InferContext& c) {
  if (!(c.attrs().float_at(0) > 0)) {
    return fail(Code::BadProgram, "penalty is {}, want more than 0", c.attrs().float_at(0));
  }
  return infer_penalty(c);
}

static Result<TensorType> infer_top_k(const InferContext& c) {
  TL_TRY_DO(check_at_least(static_cast<double>(c.attrs().int_at(0)), "k", 0));
  return infer_logits(c);
}
static Result<TensorType> infer_share(const InferContext& c) {
  TL_TRY_DO(check_range(c.attrs().float_at(0), "p", 0, 1));
  return infer_logits(c);
}
static Result<TensorType> infer_temperature(const InferContext& c) {
  TL_TRY_DO(check_at_least(c.attrs().float_at(0), "temperature", 0));
  return infer_logits(c);
}

// One whole number per row.
static Result<TensorType> infer_draw(const InferContext& c) {
  TL_TRY(TensorType x, infer_logits(c));
  if (x.shape.back() == 0)
    return fail(Code::BadProgram, "found no token to choose from in {}", to_string(x.shape));
  x.shape.pop_back();
  return TensorType{DType::I64, x.shape};
}

static Result<TensorType> infer_sample(const InferContext& c) {
  const SampleAttrs a(c.attrs());
  TL_TRY_DO(check_at_least(a.temperature, "temperature", 0));
  TL_TRY_DO(check_at_least(static_cast<double>(a.top_k), "top_k", 0));
  TL_TRY_DO(check_range(a.top_p, "top_p", 0, 1));
  TL_TRY_DO(check_range(a.min_p, "min_p", 0, 1));
  TL_TRY_DO(check_range(a.typical_p, "typical_p", 0, 1));
  return infer_draw(c);
}

const OpDef op_repetition_penalty = {
    .name = "repetition_penalty",
    .signature = "(logits: tensor, ids: tensor, penalty: float = 1.1) -> tensor",
    .doc =
        "Makes tokens seen in ids less likely: positive logits are divided by the penalty, others "
        "multiplied.",
    .example =
        "repetition_penalty([2.0, -1.0, 3.0], [0, 1, 1], 2.0)  //~ [1.0000 -2.0000 3.0000] shape=[3] float32",
    .infer = infer_repetition,
    .batch = batch::onto_first,
    .layout = Layout::Rows,
    .reference = {ref::repetition_penalty, row_units, row_cost},
    .cpu = {cpu::repetition_penalty, row_units, row_cost},
};

const OpDef op_frequency_penalty = {
    .name = "frequency_penalty",
    .signature = "(logits: tensor, ids: tensor, frequency: float = 0.0, presence: float = 0.0) -> tensor",
    .doc = "Takes frequency from a logit for every time its token is in ids, and presence once.",
    .example =
        "frequency_penalty([2.0, 2.0, 2.0], [0, 1, 1], 0.5, 0.25)  //~ [1.2500 0.7500 2.0000] shape=[3] "
        "float32",
    .infer = infer_penalty,
    .batch = batch::onto_first,
    .layout = Layout::Rows,
    .reference = {ref::frequency_penalty, row_units, row_cost},
    .cpu = {cpu::frequency_penalty, row_units, row_cost},
};

// Keeps exactly k where there are as many; of equals, the first.
const OpDef op_top_k = {
    .name = "top_k",
    .signature = "(logits: tensor, k: int) -> tensor",
    .doc = "Keeps the k largest of each row (0: all); the others become -inf.",
    .example = "top_k([1.0, 3.0, 2.0], 2)  //~ [-inf 3.0000 2.0000] shape=[3] float32",
    .infer = infer_top_k,
    .batch = batch::leading<0>,
    .layout = Layout::Rows,
    .reference = {ref::top_k, row_units, sorting_cost},
    .cpu = {cpu::top_k, row_units, sorting_cost},
    .makes_infinity = always,
};

// In falling order (of equals, the first first) until the kept share is at least p; always one. Holtzman et
// al., 2020.
const OpDef op_top_p = {
    .name = "top_p",
    .signature = "(logits: tensor, p: float) -> tensor",
    .doc =
        "Keeps the most likely tokens of each row that together have probability p; the others become -inf.",
    .example = "top_p([1.0, 3.0, 2.0], 0.8)  //~ [-inf 3.0000 2.0000] shape=[3] float32",
    .infer = infer_share,
    .batch = batch::leading<0>,
    .layout = Layout::Rows,
    .reference = {ref::top_p, row_units, sorting_cost},
    .cpu = {cpu::top_p, row_units, sorting_cost},
    .makes_infinity = always,
};

const OpDef op_min_p = {
    .name = "min_p",
    .signature = "(logits: tensor, p: float) -> tensor",
    .doc = "Keeps tokens at least p times as likely as the most likely one; the others become -inf.",
    .example = "min_p([1.0, 3.0, 2.0], 0.2)  //~ [-inf 3.0000 2.0000] shape=[3] float32",
    .infer = infer_share,
    .batch = batch::leading<0>,
    .layout = Layout::Rows,
    .reference = {ref::min_p, row_units, row_cost},
    .cpu = {cpu::min_p, row_units, row_cost},
    .makes_infinity = always,
};

// By rising distance of -log p from the row's entropy (of equals, the first first) until the kept share
// exceeds p; always one. Meister et al., 2023.
const OpDef op_typical_p = {
    .name = "typical_p",
    .signature = "(logits: tensor, p: float) -> tensor",
    .doc =
        "Keeps the tokens whose surprise is closest to the expected one, up to probability p; the others "
        "become -inf.",
    .example = "typical_p([0.0, 0.0, -9.0], 0.5)  //~ [0.0000 0.0000 -inf] shape=[3] float32",
    .infer = infer_share,
    .batch = batch::leading<0>,
    .layout = Layout::Rows,
    .reference = {ref::typical_p, row_units, sorting_cost},
    .cpu = {cpu::typical_p, row_units, sorting_cost},
    .makes_infinity = always,
};

const OpDef op_temperature = {
    .name = "temperature",
    .signature = "(logits: tensor, t: float) -> tensor",
    .doc = "Divides by the temperature; 0 keeps the largest of each row alone, the others become -inf.",
    .example = "temperature([1.0, 3.0], 0.5)  //~ [2.0000 6.0000] shape=[2] float32",
    .infer = infer_temperature,
    .batch = batch::leading<0>,
    .layout = Layout::Rows,
    .reference = {ref::temperature, row_units, row_cost},
    .cpu = {cpu::temperature, row_units, row_cost},
};

// The filters work at temperature 1, in llama.cpp's order: top_k, typical_p, top_p, min_p; the draw walks
// what is left in order of index until its share of exp(logit / temperature) exceeds the random fraction.
const OpDef op_sample = {
    .name = "sample",
    .signature =
        "(logits: tensor, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0, "
        "typical_p: float = 1.0) -> tensor",
    .doc =
        "One token per row, drawn after the filters; temperature 0 takes the largest. Seed and position "
        "decide the "
        "draw.",
    .example = "sample([1.0, 3.0, 2.0], temperature: 0.0)  //~ 1",
    .infer = infer_sample,
    .batch = batch::one_by_one,
    .layout = Layout::Rows,
    .reference = {ref::sample, row_units, sorting_cost},
    .cpu = {cpu::sample, row_units, sorting_cost},
    .is_random = true,
};

const OpDef op_sample_probs = {
    .name = "sample_probs",
    .signature = "(probs: tensor) -> tensor",
    .doc = "One index per row, drawn by weights of 0 or more that need not sum to 1.",
    .example = "sample_probs([0.0, 1.0, 0.0])  //~ 1",
    .infer = infer_draw,
    .batch = batch::one_by_one,
    .layout = Layout::Rows,
    .reference = {ref::sample_probs, row_units, row_cost},
    .cpu = {cpu::sample_probs, row_units, row_cost},
    .is_random = true,
};

}  // namespace tl
