// Scores, losses and ranks of knowledge graphs, and the parts of graph networks.
#include "tl/builtins/chain.h"
#include "tl/builtins/convert.h"
#include "tl/builtins/families.h"
#include "tl/builtins/index.h"

namespace tl::lang {
namespace {

// Over the last axis, which stays as one number where there is no other.
Value total(Chain& c, std::string_view reduce, const Value& x) {
  const Tensor* t = tensor_of(x);
  const bool alone = t == nullptr || t->rank() < 2;
  return c.op(reduce, {x, Value(i64{-1}), Value(alone)});
}

// The distance that a name means: "L1" or "L2".
Result<bool> is_l1(const Value& name, std::string_view what) {
  const std::string& text = name.as<String>().text;
  if (text == "L1" || text == "l1") return true;
  if (text == "L2" || text == "l2") return false;
  return fail(Code::BadProgram, "argument '{}' is \"{}\", want \"L1\" or \"L2\"", what, text);
}

// ---- Entities ---------------------------------------------------------------------------------------------

Result<Value> native_entity_dim(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const std::vector<Value> members, to_items(ctx, args[0]));
  return Value(static_cast<i64>(members.size()));
}

Result<Value> native_entity_onehot(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const std::vector<Value> members, to_items(ctx, args[0]));
  for (size_t i = 0; i < members.size(); ++i) {
    TL_TRY(const Value same, apply_operator(ctx, Operator::Equal, members[i], args[1]));
    if (!same.is_bool() || !same.as_bool()) continue;
    Chain c(ctx);
    const i64 shape[] = {static_cast<i64>(members.size())};
    const Value hit = c.op("equal", {c.op("arange", {Value(shape[0])}), Value(static_cast<i64>(i))});
    return c.give(c.op("cast", {hit, Value(DType::F16)}));
  }
  return fail(Code::BadProgram, "argument 'entity' is none of the {} entities", members.size());
}

// ---- Scores -----------------------------------------------------------------------------------------------

Result<Value> native_transe_score(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const bool l1, is_l1(args[3], "norm"));
  Chain c(ctx);
  const Value off = c.sub(c.add(args[0], args[1]), args[2]);
  const Value distance = l1 ? total(c, "sum", c.op("abs", {off})) : total(c, "norm", off);
  return c.give(c.op("neg", {distance}));
}

Result<Value> native_distmult_score(CallContext& ctx, std::span<Value> args) {
  Chain c(ctx);
  return c.give(total(c, "sum", c.mul(c.mul(args[0], args[1]), args[2])));
}

// Re(<h, r, conj t>) of complex vectors, each given as two of reals.
Result<Value> native_complex_score(CallContext& ctx, std::span<Value> args) {
  const Value &hr = args[0], &hi = args[1], &rr = args[2], &ri = args[3], &tr = args[4], &ti = args[5];
  Chain c(ctx);
  const Value real = c.add(c.mul(c.mul(hr, rr), tr), c.mul(c.mul(hr, ri), ti));
  const Value imaginary = c.sub(c.mul(c.mul(hi, rr), ti), c.mul(c.mul(hi, ri), tr));
  return c.give(total(c, "sum", c.add(real, imaginary)));
}

// ---- Losses -----------------------------------------------------------------------------------------------

Result<Value> native_margin_ranking_loss(CallContext& ctx, std::span<Value> args) {
  Chain c(ctx);
  return c.give(c.op("relu", {c.add(c.sub(args[1], args[0]), args[2])}));
}

// -t log s(x) - (1 - t) log(1 - s(x)), without the logarithm of 0: max(x, 0) - x t + log(1 + exp(-|x|)).
Result<Value> native_binary_cross_entropy(CallContext& ctx, std::span<Value> args) {
  Chain c(ctx);
  const Value& x = args[0];
  const Value tail = c.op("exp", {c.op("neg", {c.op("abs", {x})})});
  const Value linear = c.sub(c.op("relu", {x}), c.mul(x, args[1]));
  return c.give(c.add(linear, c.op("log", {c.add(tail, Value(1.0))})));
}

// ---- Ranks ------------------------------------------------------------------------------------------------

// How many are above: a count, or the scores of the others.
Result<Value> native_compute_rank(CallContext& ctx, std::span<Value> args) {
  const Tensor* others = tensor_of(args[1]);
  const bool is_scores = args[1].is(ObjectKind::List) || (others != nullptr && numel(others->shape()) > 1);
  if (!is_scores) {
    TL_TRY(const i64 higher, to_int(ctx, args[1]));
    return Value(higher + 1);
  }
  TL_TRY(const f64 score, to_float(ctx, args[0]));
  TL_TRY(const Tensor scores, to_tensor(ctx, args[1]));
  TL_TRY(const HostTensor host, ctx.executor().read(scores));
  i64 rank = 1;
  for (i64 i = 0; i < host.numel(); ++i) rank += host.as_double(i) > score ? 1 : 0;
  return Value(rank);
}

Result<std::vector<f64>> to_ranks(CallContext& ctx, const Value& ranks) {
  std::vector<f64> out;
  if (ranks.is_number()) return std::vector<f64>{ranks.number()};
  TL_TRY(const Tensor t, to_tensor(ctx, ranks));
  TL_TRY(const HostTensor host, ctx.executor().read(t));
  for (i64 i = 0; i < host.numel(); ++i) out.push_back(host.as_double(i));
  if (out.empty()) return fail(Code::BadProgram, "found no ranks");
  return out;
}

template <typename Part>
Result<Value> mean_of_ranks(CallContext& ctx, const Value& ranks, Part part) {
  TL_TRY(const std::vector<f64> all, to_ranks(ctx, ranks));
  f64 sum = 0;
  for (const f64 rank : all) {
    if (!(rank >= 1)) return fail(Code::BadProgram, "found a rank of {}, want 1 or more", rank);
    sum += part(rank);
  }
  return Value(sum / static_cast<f64>(all.size()));
}

Result<Value> native_compute_mrr(CallContext& ctx, std::span<Value> args) {
  return mean_of_ranks(ctx, args[0], [](f64 rank) { return 1 / rank; });
}
Result<Value> native_compute_hits_at_k(CallContext& ctx, std::span<Value> args) {
  const auto k = static_cast<f64>(args[1].as_int());
  return mean_of_ranks(ctx, args[0], [k](f64 rank) { return rank <= k ? 1.0 : 0.0; });
}
Result<Value> native_compute_mean_rank(CallContext& ctx, std::span<Value> args) {
  if (args[1].is_empty()) return mean_of_ranks(ctx, args[0], [](f64 rank) { return rank; });
  TL_TRY(const f64 sum, to_float(ctx, args[0]));
  TL_TRY(const f64 count, to_float(ctx, args[1]));
  if (!(count > 0)) return fail(Code::BadProgram, "argument 'count' is {}, want more than 0", count);
  return Value(sum / count);
}

// ---- Graph networks ---------------------------------------------------------------------------------------

// Features [neighbors, width], the first `count` of them; or [width], their sum.
Result<Value> native_aggregate_neighbors(CallContext& ctx, std::span<Value> args) {
  const std::string& how = args[2].as<String>().text;
  if (how != "mean" && how != "sum" && how != "max")
    return fail(Code::BadProgram, "argument 'how' is \"{}\", want \"mean\", \"sum\" or \"max\"", how);
  const Tensor x = *tensor_of(args[0]);
  TL_TRY(const i64 given,
         args[1].is_empty() ? Result<i64>(x.rank() > 1 ? x.shape()[0] : 1) : to_int(ctx, args[1]));
  Chain c(ctx);
  if (x.rank() < 2) return given > 0 && how == "mean" ? c.give(c.div(args[0], Value(given))) : args[0];
  if (given < 0 || given > x.shape()[0])
    return fail(Code::BadProgram, "argument 'count' is {}, want 0 to {} rows", given, x.shape()[0]);
  TL_TRY(const Value rows, slice_axis(ctx, args[0], 0, 0, given));
  if (given == 0) return call_op(ctx, "sum", {rows, Value(i64{0})});  // of nobody: zeros
  return call_op(ctx, how, {rows, Value(i64{0})});
}

Result<Value> native_relational_aggregate(CallContext& ctx, std::span<Value> args) {
  Chain c(ctx);
  return c.give(c.add(args[0], c.mul(args[1], args[2])));
}

Result<Value> native_graph_attention(CallContext& ctx, std::span<Value> args) {
  Chain c(ctx);
  const Value match = c.op("sum", {c.mul(args[0], args[1]), Value(i64{-1}), Value(true)});
  return c.give(c.mul(c.op("sigmoid", {match}), args[2]));
}

Result<Value> native_normalize_features(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const bool l1, is_l1(args[1], "norm"));
  if (!l1) return call_op(ctx, "l2_normalize", {args[0]});
  Chain c(ctx);
  const Value size = c.op("sum", {c.op("abs", {args[0]}), Value(i64{-1}), Value(true)});
  return c.give(c.div(args[0], c.op("maximum", {size, Value(1e-12)})));
}

#define TL_TRANSE "(head: tensor, relation: tensor, tail: tensor, norm: string = \"L2\") -> tensor"
#define TL_DISTMULT "(head: tensor, relation: tensor, tail: tensor) -> tensor"
#define TL_COMPLEX                                                                                          \
  "(head_re: tensor, head_im: tensor, relation_re: tensor, relation_im: tensor, tail_re: tensor, tail_im: " \
  "tensor) -> tensor"

const Builtin kRows[] = {
    {"aggregate_neighbors", "(features: tensor, count: any = none, how: string = \"mean\") -> tensor",
     "The mean, sum or max of the first `count` rows of features; of one row, which is their sum, its share.",
     "aggregate_neighbors([[1.0, 2.0], [3.0, 6.0]], 2)  //~ [2.0000 4.0000] shape=[2] float32", Effect::Pure,
     native_aggregate_neighbors},
    {"binary_cross_entropy", "(score: tensor, target: tensor) -> tensor",
     "-t log sigmoid(x) - (1 - t) log(1 - sigmoid(x)) of every score.",
     "binary_cross_entropy([0.0], [1.0])  //~ [0.6931] shape=[1] float32", Effect::Pure,
     native_binary_cross_entropy},
    {"complex_score", TL_COMPLEX, "ComplEx: the real part of the sum of head * relation * conj(tail).",
     "complex_score([1.0], [2.0], [3.0], [4.0], [5.0], [6.0])  //~ [35.0000] shape=[1] float32", Effect::Pure,
     native_complex_score},
    {"compute_hits_at_k", "(rank: any, k: int = 10) -> float",
     "1 if the rank is at most k, else 0; the mean of it of several.",
     "compute_hits_at_k([1, 5, 20], 5)  //~ 0.6666666666666666", Effect::Pure, native_compute_hits_at_k},
    {"compute_mean_rank", "(sum: any, count: any = none) -> float",
     "The sum of ranks through their count; or the mean of several ranks.", "compute_mean_rank(12, 4)  //~ 3",
     Effect::Pure, native_compute_mean_rank},
    {"compute_mrr", "(rank: any) -> float", "1 / rank; the mean of it of several.",
     "compute_mrr(4)  //~ 0.25", Effect::Pure, native_compute_mrr},
    {"compute_rank", "(score: any, higher: any) -> int",
     "1 more than how many scores are higher, given as a count or as the scores.",
     "compute_rank(0.5, [0.9, 0.1, 0.7])  //~ 3", Effect::Pure, native_compute_rank},
    {"distmult_score", TL_DISTMULT, "DistMult: the sum of head * relation * tail.",
     "distmult_score([1.0, 2.0], [3.0, 4.0], [5.0, 6.0])  //~ [63.0000] shape=[1] float32", Effect::Pure,
     native_distmult_score},
    {"entity_dim", "(type: any) -> int", "How many entities there are.",
     "entity_dim([\"ann\", \"bob\"])  //~ 2", Effect::Pure, native_entity_dim},
    {"entity_onehot", "(type: any, entity: any) -> tensor", "1 at the place of an entity among all, else 0.",
     "entity_onehot([\"ann\", \"bob\"], \"bob\")  //~ [0.0000 1.0000] shape=[2] float16", Effect::Pure,
     native_entity_onehot},
    {"graph_attention", "(query: tensor, key: tensor, value: tensor) -> tensor",
     "The value times sigmoid of the product of query and key.",
     "graph_attention([0.0], [1.0], [4.0])  //~ [2.0000] shape=[1] float32", Effect::Pure,
     native_graph_attention},
    {"margin_ranking_loss", "(positive: tensor, negative: tensor, margin: float = 1.0) -> tensor",
     "relu(negative - positive + margin).",
     "margin_ranking_loss([2.0], [1.5], 1.0)  //~ [0.5000] shape=[1] float32", Effect::Pure,
     native_margin_ranking_loss},
    {"normalize_features", "(x: tensor, norm: string = \"l2\") -> tensor", "Each row through its length.",
     "normalize_features([3.0, 4.0])  //~ [0.6000 0.8000] shape=[2] float32", Effect::Pure,
     native_normalize_features},
    {"predict_head_complex", TL_COMPLEX, "The score of one head, as complex_score gives it.",
     "predict_head_complex([1.0], [0.0], [3.0], [0.0], [5.0], [0.0])  //~ [15.0000] shape=[1] float32",
     Effect::Pure, native_complex_score},
    {"predict_head_distmult", TL_DISTMULT, "The score of one head, as distmult_score gives it.",
     "predict_head_distmult([1.0], [3.0], [5.0])  //~ [15.0000] shape=[1] float32", Effect::Pure,
     native_distmult_score},
    {"predict_head_transe", TL_TRANSE, "The score of one head, as transe_score gives it.",
     "predict_head_transe([1.0], [3.0], [5.0])  //~ [-1.0000] shape=[1] float32", Effect::Pure,
     native_transe_score},
    {"predict_tail_complex", TL_COMPLEX, "The score of one tail, as complex_score gives it.",
     "predict_tail_complex([1.0], [0.0], [3.0], [0.0], [5.0], [0.0])  //~ [15.0000] shape=[1] float32",
     Effect::Pure, native_complex_score},
    {"predict_tail_distmult", TL_DISTMULT, "The score of one tail, as distmult_score gives it.",
     "predict_tail_distmult([1.0], [3.0], [5.0])  //~ [15.0000] shape=[1] float32", Effect::Pure,
     native_distmult_score},
    {"predict_tail_transe", TL_TRANSE, "The score of one tail, as transe_score gives it.",
     "predict_tail_transe([1.0], [3.0], [5.0])  //~ [-1.0000] shape=[1] float32", Effect::Pure,
     native_transe_score},
    {"relational_aggregate", "(node: tensor, relation: tensor, neighbors: tensor) -> tensor",
     "node + relation * neighbors.",
     "relational_aggregate([1.0], [2.0], [3.0])  //~ [7.0000] shape=[1] float32", Effect::Pure,
     native_relational_aggregate},
    {"transe_score", TL_TRANSE, "TransE: minus the distance (L2 or L1) of head + relation from tail.",
     "transe_score([1.0, 2.0], [2.0, 2.0], [0.0, 0.0])  //~ [-5.0000] shape=[1] float32", Effect::Pure,
     native_transe_score},
};

}  // namespace

std::span<const Builtin> graph_natives() {
  return kRows;
}

}  // namespace tl::lang
