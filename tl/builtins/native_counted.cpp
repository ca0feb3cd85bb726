// Builtins whose results are as long as the data say: they wait for the count. The ops counted_… do not.
#include "tl/builtins/convert.h"
#include "tl/builtins/families.h"
#include "tl/builtins/tensor_index.h"
#include "tl/ops/bitset/bitset.h"
#include "tl/ops/ops.h"

namespace tl::lang {
namespace {

Result<Value> native_nonzero(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Tensor x, to_tensor(ctx, args[0]));
  TL_TRY(const std::vector<Tensor> both, ctx.executor().apply_all(op_counted_nonzero, {&x, 1}, {}, ctx.span));
  TL_TRY(Tensor rows, cut_rows(ctx, both[0], both[1]));
  return make_tensor(std::move(rows));
}

Result<Value> native_unique(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Tensor x, to_tensor(ctx, args[0]));
  TL_TRY(const std::vector<Tensor> all, ctx.executor().apply_all(op_counted_unique, {&x, 1}, {}, ctx.span));
  TL_TRY(Tensor values, cut_rows(ctx, all[0], all[3]));
  if (!args[1].as_bool() && !args[2].as_bool()) return make_tensor(std::move(values));
  std::vector<Value> parts{make_tensor(std::move(values))};
  if (args[1].as_bool()) parts.push_back(make_tensor(all[1]));
  if (args[2].as_bool()) {
    TL_TRY(Tensor counts, cut_rows(ctx, all[2], all[3]));
    parts.push_back(make_tensor(std::move(counts)));
  }
  return make_tuple(std::move(parts));
}

Result<Value> native_bitset(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Tensor x, to_tensor(ctx, args[0]));
  auto packed = ctx.executor().pack(kBitset, x, ctx.span);
  if (!packed.ok()) return std::move(packed).error().within("bitset");
  return make_tensor(std::move(packed).value());
}

const Builtin kRows[] = {
    {"bitset", "(x: any) -> tensor",
     "A matrix of bool as bits with the count of each row: @ (true where there is a way through), logical_or "
     "and "
     "count_true work on the bits, and everything else on the truth values.",
     "bitset([[true, false], [true, true]])  //~ [[ true false] [ true  true]] shape=[2, 2] bool",
     Effect::Pure, native_bitset},
    {"nonzero", "(x: any) -> tensor", "Where x is not zero, in row order: a row of indices for each place.",
     "nonzero([[0, 5], [7, 0]])  //~ [[0 1] [1 0]] shape=[2, 2] int64", Effect::Pure, native_nonzero},
    {"unique", "(x: any, inverse: bool = false, counts: bool = false) -> any",
     "The different elements in rising order; if asked for, which of them each element is, and how often "
     "each is "
     "there.",
     "unique([7, 5, 7])  //~ [5 7] shape=[2] int64", Effect::Pure, native_unique},
};

}  // namespace

std::span<const Builtin> counted_natives() {
  return kRows;
}

}  // namespace tl::lang
