#include "tl/ops/attention/masked_attention.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "tl/ops/batch/rules.h"
#include "tl/ops/elementwise/fused.h"
#include "tl/ops/linear/linear.h"
#include "tl/ops/norm/norm.h"
#include "tl/ops/ops.h"

namespace tl {

// Rows of scores that are worked on together: they stay in the second cache, and keys and values are read
// once for all of them.
static constexpr i64 kRowsAtOnce = 24;
// With fewer units than this, heads that share keys are split among workers.
static constexpr i64 kFewUnits = 4;

static HeadMatrices plain_heads(const Operand& x) {
  HeadMatrices m;
  m.heads = x.dims[0], m.rows = x.dims[1], m.columns = x.dims[2];
  m.group_stride = x.strides[0], m.row_stride = x.strides[1], m.column_stride = x.strides[2];
  m.by_lanes = m.row_stride == 1;
  return m;
}

// Of [t, groups, group, d], which stands for a copy [t, groups * group, d].
static HeadMatrices grouped_heads(const Operand& x) {
  HeadMatrices m;
  m.heads = x.dims[1] * x.dims[2], m.group = x.dims[2];
  m.group_stride = x.strides[1], m.head_stride = x.strides[2];
  return m;
}

static HeadMatrices keys_of(const Operand& x, bool is_grouped) {
  if (!is_grouped) return plain_heads(x);
  HeadMatrices m = grouped_heads(x);
  m.rows = x.dims[3], m.columns = x.dims[0];
  m.row_stride = x.strides[3], m.column_stride = x.strides[0];
  m.by_lanes = true;  // the copy is contiguous along d
  return m;
}

static HeadMatrices values_of(const Operand& x, bool is_grouped) {
  if (!is_grouped) return plain_heads(x);
  HeadMatrices m = grouped_heads(x);
  m.rows = x.dims[0], m.columns = x.dims[3];
  m.row_stride = x.strides[0], m.column_stride = x.strides[3];
  m.by_lanes = m.heads * m.columns == 1;  // rows of the copy are that far apart
  return m;
}

static i64 broadcast_dim(i64 a, i64 b) {
  return a == 1 ? b : a;
}

MaskedAttentionShape::MaskedAttentionShape(const KernelCall& call) {
  const i64 grouped = call.attrs->int_at(0);
  const Operand& q = call.in[0];
  k = keys_of(call.in[1], (grouped & kKeysAreGrouped) != 0);
  v = values_of(call.in[2], (grouped & kValuesAreGrouped) != 0);
  heads = broadcast_dim(broadcast_dim(q.dims[0], k.heads), v.heads);
  queries = q.dims[1], keys = k.columns, depth = q.dims[2], width = v.columns;
  q_head_stride = q.dims[0] == 1 ? 0 : q.strides[0];
  const bool are_shared =
      k.heads == heads && v.heads == heads && k.group == v.group && k.head_stride == 0 && v.head_stride == 0;
  const i64 group = are_shared ? std::max<i64>(k.group, 1) : 1;
  block_queries = std::min(queries, std::max<i64>(1, kRowsAtOnce / group));
  query_blocks = block_queries == 0 ? 0 : (queries + block_queries - 1) / block_queries;
  block_heads = heads / group * query_blocks < kFewUnits ? 1 : group;
}

Operand part_of_scores(const Operand& x, i64 head, i64 heads, i64 query, i64 queries) {
  Operand part = x;
  const int rank = x.rank();
  i64 offset = 0;
  const auto cut = [&](int axis, i64 first, i64 count) {
    if (axis < 0 || x.dims[axis] == 1) return;
    offset += first * x.strides[axis];
    part.dims[axis] = count;
  };
  cut(rank - 3, head, heads);
  cut(rank - 2, query, queries);
  if (part.data != nullptr) part.data += offset * size_of(x.dtype);
  return part;
}

namespace ref {

static Operand matrix(void* data, DType dtype, Dims dims, Strides strides) {
  Operand o;
  o.data = static_cast<std::byte*>(data);
  o.dtype = dtype;
  o.dims = std::move(dims);
  o.strides = std::move(strides);
  return o;
}

static Operand matrix(const Operand& x, i64 offset, Dims dims, Strides strides) {
  return matrix(x.data + offset * size_of(x.dtype), x.dtype, std::move(dims), std::move(strides));
}

// The ops one after the other, for one row of scores at a time.
void masked_attention(KernelCall& call) {
  const MaskedAttentionShape s(call);
  const Operand &q = call.in[0], &k = call.in[1], &v = call.in[2];
  std::vector<float> row(static_cast<size_t>(s.keys) + 1);
  const Operand scores = matrix(row.data(), DType::F32, {1, 1, s.keys}, {s.keys, s.keys, 1});
  const Operand line = matrix(row.data(), DType::F32, {1, s.keys}, {s.keys, 1});
  const auto run = [&](void (*kernel)(KernelCall&), std::span<const Operand> in, const Operand& out,
                       const Attrs& attrs, i64 units) {
    KernelCall part{.in = in, .out = out, .attrs = &attrs, .end = units};
    part.scratch = call.scratch;
    kernel(part);
    if (!part.failure.empty()) call.fail(part.failure);
  };
  const Attrs none, last_axis = Attrs().with_int(-1);
  const Attrs program = Attrs().with_ints(call.attrs->ints());
  for (i64 unit = call.begin; unit < call.end; ++unit) {
    const i64 head = unit / s.queries, query = unit % s.queries;
    const Operand left[] = {
        matrix(q, head * s.q_head_stride + query * q.strides[1], {1, s.depth},
               {s.depth * q.strides[2], q.strides[2]}),
        matrix(k, s.k.offset(head), {s.depth, s.keys}, {s.k.row_stride, s.k.column_stride})};
    run(matmul, left, line, none, s.keys);
    if (!program.ints().empty()) {
      std::vector<Operand> in{scores};
      for (size_t i = 3; i < call.in.size(); ++i) in.push_back(part_of_scores(call.in[i], head, 1, query, 1));
      run(fused, in, scores, program, s.keys);
    }
    if (s.keys > 0) run(softmax, {&line, 1}, line, last_axis, 1);
    const Operand right[] = {
        line, matrix(v, s.v.offset(head), {s.keys, s.width}, {s.v.row_stride, s.v.column_stride})};
    const Operand out = matrix(call.out, unit * s.width, {1, s.width}, {s.width, 1});
    run(matmul, right, out, none, s.width);
  }
}

static i64 masked_attention_units(const KernelCall& call) {
  const MaskedAttentionShape s(call);
  return s.heads * s.queries;
}
static double masked_attention_unit_cost(const KernelCall& call) {
  const MaskedAttentionShape s(call);
  return 4 * static_cast<double>((s.keys + 1) * (s.depth + s.width));
}

}  // namespace ref

// [heads, rows, columns] of k or v.
static Shape matrices_of(const Shape& x, bool is_grouped, bool is_keys) {
  if (!is_grouped) return x;
  const i64 heads = x[1] == kUnknownDim || x[2] == kUnknownDim ? kUnknownDim : x[1] * x[2];
  return is_keys ? Shape{heads, x[3], x[0]} : Shape{heads, x[0], x[3]};
}

// What the element-wise work reads must broadcast to the scores without making them larger.
static Result<void> check_pass(const InferContext& c, const Shape& scores) {
  int inputs = 1;
  if (!c.attrs().ints().empty()) {
    const std::optional<FusedProgram> program = decode_program(c.attrs().ints());
    if (!program || program->steps.empty() || program->steps.back().out != DType::F32)
      return fail(Code::BadProgram, "no program that gives float32");
    inputs = program->inputs;
  }
  if (inputs != c.count() - 2)
    return fail(Code::BadProgram, "a program of {} inputs, found {}", inputs, c.count() - 2);
  for (int i = 3; i < c.count(); ++i) {
    if (broadcast(scores, c.shape(i)) != scores) {
      return fail(Code::BadProgram, "{} does not broadcast to scores of {}", to_string(c.shape(i)),
                  to_string(scores));
    }
  }
  return {};
}

static Result<TensorType> infer_masked_attention(const InferContext& c) {
  const bool k_grouped = (c.attrs().int_at(0) & kKeysAreGrouped) != 0,
             v_grouped = (c.attrs().int_at(0) & kValuesAreGrouped) != 0;
  const int k_rank = k_grouped ? 4 : 3, v_rank = v_grouped ? 4 : 3;
  const bool has_ranks =
      c.count() >= 3 && c.shape(0).size() == 3 && c.shape(1).size() == k_rank && c.shape(2).size() == v_rank;
  if (!has_ranks)
    return fail(Code::BadProgram, "want q [h, s, d], k and v of {} and {} axes", k_rank, v_rank);
  for (int i = 0; i < 3; ++i) {
    if (!is_float(c.input(i).dtype) || c.input(i).dtype == DType::F64)
      return fail(Code::BadProgram, "found {} values, want floats of at most 32 bits",
                  name_of(c.input(i).dtype));
  }
  const Shape& q = c.shape(0);
  const Shape k = matrices_of(c.shape(1), k_grouped, true), v = matrices_of(c.shape(2), v_grouped, false);
  const std::optional<Shape> scored = broadcast({q[0]}, {k[0]});
  const std::optional<Shape> heads = scored ? broadcast(*scored, {v[0]}) : std::nullopt;
  if (!heads || !same_dim(q[2], k[1]) || !same_dim(k[2], v[1])) {
    return fail(Code::BadProgram, "dimensions of q, k and v do not fit: {}, {} and {}", to_string(q),
                to_string(c.shape(1)), to_string(c.shape(2)));
  }
  TL_TRY_DO(check_pass(c, {(*scored)[0], q[1], k[2]}));
  return TensorType{DType::F32, {(*heads)[0], q[1], v[2]}};
}

static i64 masked_attention_units(const KernelCall& call) {
  return MaskedAttentionShape(call).units();
}

static double masked_attention_unit_cost(const KernelCall& call) {
  const MaskedAttentionShape s(call);
  const double keys = static_cast<double>(s.rows() * s.keys),
               numbers = static_cast<double>(s.depth + s.width);
  return 200 + keys * (3 + 0.04 * numbers);
}

static Cost masked_attention_cost(const KernelCall& call) {
  const MaskedAttentionShape s(call);
  return {2.0 * static_cast<double>(s.heads * s.queries) * static_cast<double>(s.keys * (s.depth + s.width)),
          traffic(call)};
}

// As one op after the other would have had it.
static void masked_attention_parts(const Attrs& attrs, std::vector<std::string_view>& names) {
  names.push_back("matmul");
  add_step_names(attrs.ints(), names);
  names.insert(names.end(), {"softmax", "matmul"});
}

const OpDef op_masked_attention = {
    .name = "masked_attention",
    .signature = "(program: ints, grouped: int, q: tensor, k: tensor, v: tensor, x: tensor...) -> tensor",
    .doc = "softmax(program(q k, x...)) v per head, as one command.",
    .infer = infer_masked_attention,
    .batch = batch::kPlanned,
    .layout = Layout::Any,
    .reference = {.run = ref::masked_attention,
                  .units = ref::masked_attention_units,
                  .unit_cost = ref::masked_attention_unit_cost},
    .cpu = {.run = cpu::masked_attention,
            .units = masked_attention_units,
            .unit_cost = masked_attention_unit_cost},
    .cost = masked_attention_cost,
    .parts = masked_attention_parts,
    .is_internal = true,
};

}  // namespace tl
