// The next token from logits, as a number that the host knows: the first implementation's names. The op
// `sample` does the same without waiting.
#include "tl/builtins/chain.h"
#include "tl/builtins/convert.h"
#include "tl/builtins/families.h"
#include "tl/builtins/index.h"
#include "tl/builtins/model.h"

namespace tl::lang {
namespace {

constexpr f64 kGreedy = 1e-4;  // temperatures up to this take the largest

// Of several rows the last: what follows a text.
Result<Value> last_row(CallContext& ctx, const Value& logits) {
  Value row = logits;
  while (tensor_of(row)->rank() > 1) {
    TL_TRY(row, index_at(ctx, row, Value(i64{-1})));
  }
  return row;
}

Result<Value> draw(CallContext& ctx, const Value& logits, f64 temperature, i64 top_k, f64 top_p) {
  TL_TRY(const Value row, last_row(ctx, logits));
  if (temperature <= kGreedy) temperature = 0;
  TL_TRY(const Value token,
         call_op(ctx, "sample", {row, Value(temperature), Value(top_k), Value(top_p), Value(), Value()}));
  return to_scalar(ctx, token);
}

Result<Value> native_temperature_sample(CallContext& ctx, std::span<Value> args) {
  return draw(ctx, args[0], args[1].as_float(), 0, 1);
}
Result<Value> native_top_p_sample(CallContext& ctx, std::span<Value> args) {
  return draw(ctx, args[0], args[2].as_float(), 0, args[1].as_float());
}
Result<Value> native_sample_top_k(CallContext& ctx, std::span<Value> args) {
  return draw(ctx, args[0], args[2].as_float(), args[1].as_int(), 1);
}

// sample(p) draws by probabilities, if that is what p holds: nothing negative, and 1 in all.
bool is_other_sample(std::span<const Value> args) {
  for (const Value& v : args.subspan(1)) {
    if (!v.is_empty() && !v.is_unit()) return false;
  }
  return true;
}
Result<Value> native_sample(CallContext& ctx, std::span<Value> args) {
  Chain c(ctx);
  const Value last(i64{-1}), wide = c.op("cast", {args[0], Value(DType::F32)});
  const Value off = c.op("abs", {c.sub(c.op("sum", {wide, last, Value(true)}), Value(1.0))});
  const Value is_whole = c.op("less", {off, Value(0.01)});
  const Value is_positive = c.op("all", {c.op("greater_equal", {wide, Value(0.0)}), last, Value(true)});
  const Value is_share = c.op("logical_and", {is_whole, is_positive});
  // The logarithm of what it does not take would be infinite or none; there it is that of 1.
  const Value weights = c.op("where", {is_share, wide, Value(1.0)});
  return c.give(c.op("sample", {c.op("where", {is_share, c.op("log", {weights}), wide})}));
}

Result<Value> native_print_top_k(CallContext& ctx, std::span<Value> args) {
  const Tokenizer* tokenizer = nullptr;
  i64 k = 10;
  for (const Value& v : args.subspan(1)) {
    if (const auto* t = v.get_if<TokenizerValue>()) {
      tokenizer = t->tokenizer.get();
    } else if (!v.is_empty()) {
      auto count = to_int(ctx, v);
      if (!count.ok()) return std::move(count).error().within("argument 'k'");
      k = *count;
    }
  }
  TL_TRY(const Value row, last_row(ctx, args[0]));
  k = std::min(k, numel(tensor_of(row)->shape()));
  TL_TRY(const Value best, call_op(ctx, "topk", {row, Value(k)}));
  const auto& both = best.as<Tuple>().items;
  TL_TRY(const HostTensor logits, ctx.executor().read(*tensor_of(both[0])));
  TL_TRY(const HostTensor ids, ctx.executor().read(*tensor_of(both[1])));
  for (i64 i = 0; i < k; ++i) {
    std::string line = fmt::format("{}: token {} logit {:.4f}", i + 1, ids.as_int(i), logits.as_double(i));
    if (tokenizer != nullptr && ids.as_int(i) < static_cast<i64>(tokenizer->size()))
      line += fmt::format(" \"{}\"", tokenizer->piece(static_cast<TokenId>(ids.as_int(i))));
    TL_TRY_DO(ctx.host.out.write(line + "\n"));
  }
  return Value::unit();
}

// What draws is not pure: it must not become a constant of a replayed call.
const Builtin kRows[] = {
    {"print_top_k", "(logits: tensor, k: any = none, tokenizer: any = none) -> unit",
     "Prints the k (10) largest logits of the last row with their tokens.", "print_top_k([1.0], 0)",
     Effect::Io, native_print_top_k},
    {.name = "sample",
     .signature = "(logits: tensor, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, "
                  "min_p: float = 0.0, typical_p: float = 1.0, seed: int = none, position: int = none, "
                  "generator: any = none) -> tensor",
     .doc = "One token per row, drawn after the filters; temperature 0 takes the largest. Seed and position "
            "decide the draw. Rows of probabilities, given alone, are drawn from as they are.",
     .example = "sample([1.0, 3.0, 2.0], temperature: 0.0)  //~ 1",
     .native = native_sample,
     .is_other_form = is_other_sample},
    {"sample_top_k", "(logits: tensor, k: int = 40, temperature: float = 1.0) -> int",
     "A token drawn from the k likeliest of the last row.", "sample_top_k([1.0, 3.0, 2.0], 1)  //~ 1",
     Effect::Mutates, native_sample_top_k},
    {"temperature_sample", "(logits: tensor, temperature: float = 1.0) -> int",
     "A token drawn from the last row of logits divided by the temperature; up to 1e-4 the likeliest.",
     "temperature_sample([[9.0, 3.0], [1.0, 3.0]], 0.0)  //~ 1", Effect::Mutates, native_temperature_sample},
    {"top_p_sample", "(logits: tensor, p: float = 0.9, temperature: float = 1.0) -> int",
     "A token drawn from the likeliest of the last row that together have probability p.",
     "top_p_sample([1.0, 30.0, 2.0], 0.5)  //~ 1", Effect::Mutates, native_top_p_sample},
};

}  // namespace

std::span<const Builtin> sampling_natives() {
  return kRows;
}

}  // namespace tl::lang
