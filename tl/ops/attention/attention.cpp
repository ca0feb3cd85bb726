#include "tl/ops/attention/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "tl/ops/batch/rules.h"
#include "tl/ops/ops.h"

namespace tl {

static Result<void> check_heads(const InferContext& c) {
  const Shape &q = c.shape(0), &k = c.shape(1), &v = c.shape(2), &p = c.shape(3);
  const int rank = q.size(), first = rank - 3;
  if (rank < 3 || rank > 4 || k.size() != rank || v.size() != rank) {
    return fail(Code::BadProgram, "found q {}, k {}, v {}, want q [s, heads, d] and k, v [t, heads, d]",
                to_string(q), to_string(k), to_string(v));
  }
  bool fits = same_dim(q[rank - 1], k[rank - 1]);
  for (int i = 0; i < rank; ++i) fits = fits && same_dim(k[i], v[i]) && (i >= first || same_dim(q[i], k[i]));
  if (!fits) {
    return fail(Code::BadProgram, "dimensions of q, k and v do not fit: {}, {} and {}", to_string(q),
                to_string(k), to_string(v));
  }
  const i64 heads = q[first + 1], kv_heads = k[first + 1];
  if (heads != kUnknownDim && kv_heads != kUnknownDim && (kv_heads == 0 || heads % kv_heads != 0))
    return fail(Code::BadProgram, "{} query heads on {} key heads, want a multiple", heads, kv_heads);
  bool placed = p.size() == first + 1;
  for (int i = 0; placed && i <= first; ++i) placed = same_dim(p[i], q[i]);
  if (!placed) {
    return fail(Code::BadProgram, "positions are {}, want one number per query of {}", to_string(p),
                to_string(q));
  }
  return {};
}

static Result<TensorType> infer_attention(const InferContext& c) {
  for (int i = 0; i < 3; ++i) {
    if (!is_float(c.input(i).dtype))
      return fail(Code::BadProgram, "found {} values, want a float type", name_of(c.input(i).dtype));
  }
  if (!is_int(c.input(3).dtype))
    return fail(Code::BadProgram, "found positions of {}, want an int type", name_of(c.input(3).dtype));
  TL_TRY_DO(check_heads(c));
  if (c.attrs().int_at(1) < 0)
    return fail(Code::BadProgram, "found a window of {}, want 0 or more", c.attrs().int_at(1));
  return c.input(0);
}

// Query rows (of all heads of a unit) that are worked on together: their scores stay in the second cache, and
// keys and values are read once for all of them.
static constexpr i64 kRowsAtOnce = 24;
// With fewer groups than this, the heads of a group are split among workers, who then read the same keys.
static constexpr i64 kFewUnits = 4;

AttentionShape attention_shape(const KernelCall& call) {
  const Operand &q = call.in[0], &k = call.in[1];
  const int first = q.rank() - 3;
  AttentionShape a;
  a.first = first;
  a.b = first == 1 ? q.dims[0] : 1;
  a.s = q.dims[first], a.h = q.dims[first + 1], a.d = q.dims[first + 2];
  a.t = k.dims[first], a.hk = k.dims[first + 1];
  a.scale = static_cast<float>(call.attrs->float_at(0));
  a.window = call.attrs->int_at(1);
  const i64 group = a.h / a.hk;
  a.queries = std::max<i64>(1, kRowsAtOnce / std::max<i64>(1, group));
  a.query_blocks = (a.s + a.queries - 1) / a.queries;
  a.head_parts = a.b * a.hk * a.query_blocks < kFewUnits ? group : 1;
  a.heads = a.head_parts == 0 ? 0 : group / a.head_parts;
  return a;
}

AttentionShape::Range AttentionShape::visible(i64 position) const {
  const i64 end = position < 0 ? 0 : std::min(t, position >= t ? t : position + 1);
  const i64 begin = window == 0 || position < window ? 0 : position - window + 1;
  return {std::min(begin, end), end};
}

i64 attention_offset(const Operand& x, int first, i64 batch, i64 index, i64 head) {
  return (first == 1 ? batch * x.strides[0] : 0) + index * x.strides[first] + head * x.strides[first + 1];
}

i64 position_of(const Operand& positions, i64 batch, i64 index) {
  const i64 at =
      (positions.rank() == 2 ? batch * positions.strides[0] : 0) + index * positions.strides.back();
  return load_as_int(positions.dtype, positions.address(), at);
}

namespace ref {

// A unit is one query of one head.
void attention(KernelCall& call) {
  const AttentionShape a = attention_shape(call);
  const Operand &q = call.in[0], &k = call.in[1], &v = call.in[2];
  std::vector<double> scores(static_cast<size_t>(a.t));
  for (i64 unit = call.begin; unit < call.end; ++unit) {
    const i64 head = unit % a.h, s = unit / a.h % a.s, batch = unit / a.h / a.s,
              kv_head = head / (a.h / a.hk);
    const auto [begin, end] = a.visible(position_of(call.in[3], batch, s));
    const i64 query = attention_offset(q, a.first, batch, s, head);
    double largest = -std::numeric_limits<double>::infinity(), total = 0;
    for (i64 j = begin; j < end; ++j) {
      double sum = 0;
      const i64 key = attention_offset(k, a.first, batch, j, kv_head);
      for (i64 i = 0; i < a.d; ++i)
        sum +=
            load_as_double(q.dtype, q.address(), query + i) * load_as_double(k.dtype, k.address(), key + i);
      scores[static_cast<size_t>(j)] = sum * call.attrs->float_at(0);
      largest = std::max(largest, scores[static_cast<size_t>(j)]);
    }
    for (i64 j = begin; j < end; ++j)
      total += scores[static_cast<size_t>(j)] = std::exp(scores[static_cast<size_t>(j)] - largest);
    for (i64 i = 0; i < a.d; ++i) {
      double sum = 0;
      for (i64 j = begin; j < end; ++j)
        sum += scores[static_cast<size_t>(j)] / total *
               load_as_double(v.dtype, v.address(), attention_offset(v, a.first, batch, j, kv_head) + i);
      store_from_double(call.out.dtype, call.out.data, unit * a.d + i, sum);
    }
  }
}

static i64 attention_units(const KernelCall& call) {
  const AttentionShape a = attention_shape(call);
  return a.b * a.s * a.h;
}
static double attention_unit_cost(const KernelCall& call) {
  const AttentionShape a = attention_shape(call);
  return 8 * static_cast<double>((a.t + 1) * a.d);
}

}  // namespace ref

// float64 takes the oracle's loops, and so the oracle's units.
static bool in_doubles(const KernelCall& call) {
  return call.in[0].dtype == DType::F64 || call.in[1].dtype == DType::F64 || call.in[2].dtype == DType::F64;
}

static i64 attention_units(const KernelCall& call) {
  if (in_doubles(call)) return ref::attention_units(call);
  const AttentionShape a = attention_shape(call);
  return a.b * a.query_blocks * a.hk * a.head_parts;
}

static double attention_unit_cost(const KernelCall& call) {
  if (in_doubles(call)) return ref::attention_unit_cost(call);
  const AttentionShape a = attention_shape(call);
  const double rows = static_cast<double>(a.heads * std::min(a.queries, a.s));
  return 50 + rows * static_cast<double>(a.t) * (2 + 0.08 * static_cast<double>(a.d));
}

static void run_attention(KernelCall& call) {
  if (in_doubles(call)) return ref::attention(call);
  cpu::attention(call);
}

// Scores and mixing: a multiply-add for each number of each key that a query sees.
static Cost attention_cost(const KernelCall& call) {
  const AttentionShape shape = attention_shape(call);
  double keys = 0;
  for (i64 batch = 0; batch < shape.b; ++batch) {
    for (i64 i = 0; i < shape.s; ++i) {
      const auto seen = shape.visible(position_of(call.in[3], batch, i));
      keys += static_cast<double>(seen.end - seen.begin);
    }
  }
  return {4.0 * keys * static_cast<double>(shape.h * shape.d), traffic(call)};
}

const OpDef op_attention = {
    .name = "attention",
    .signature =
        "(q: tensor, k: tensor, v: tensor, positions: tensor, scale: float, window: int = 0) -> tensor",
    .doc =
        "softmax(q k^T * scale) v per head; a query sees the keys up to its position, at most `window` if "
        "not 0.",
    .example = "attention(ones([1, 2, 4]), ones([3, 1, 4]), ones([3, 1, 4]), [2], 0.5)",
    .infer = infer_attention,
    .batch = batch::attention,
    .layout = Layout::Rows,
    .reference = {.run = ref::attention,
                  .units = ref::attention_units,
                  .unit_cost = ref::attention_unit_cost},
    .cpu = {.run = run_attention, .units = attention_units, .unit_cost = attention_unit_cost},
    .cost = attention_cost,
};

}  // namespace tl
