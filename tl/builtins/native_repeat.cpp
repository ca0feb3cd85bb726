// repeat_until: rounds that run on the device until a count is zero.
#include "tl/builtins/convert.h"
#include "tl/builtins/families.h"
#include "tl/exec/repeat.h"

namespace tl::lang {
namespace {

// The state as the rounds have it: of a value that owns several buffers each.
std::vector<Tensor> in_parts(std::span<const Tensor> state) {
  std::vector<Tensor> all;
  for (const Tensor& t : state) {
    if (t->parts == nullptr) all.push_back(t);
    if (t->parts != nullptr) all.insert(all.end(), t->parts->tensors.begin(), t->parts->tensors.end());
  }
  return all;
}

// And back: values like `state` of those parts.
std::vector<Tensor> of_parts(std::span<const Tensor> state, std::span<const Tensor> parts) {
  std::vector<Tensor> all;
  size_t at = 0;
  for (const Tensor& t : state) {
    const size_t count = t->parts == nullptr ? 1 : static_cast<size_t>(t->parts->tensors.size());
    all.push_back(t->parts == nullptr ? parts[at]
                                      : packed_tensor(t.type(), *t->parts->format, parts.subspan(at, count)));
    at += count;
  }
  return all;
}

// A list of tensors, or one: f gets and gives what it is called with.
Result<std::vector<Tensor>> to_state(CallContext& ctx, const Value& value, bool& is_list) {
  std::vector<Tensor> state;
  const auto* list = value.get_if<List>();
  is_list = list != nullptr && !list->items.empty() && list->items[0].is(ObjectKind::Tensor);
  if (!is_list) {
    TL_TRY(Tensor only, to_tensor(ctx, value));
    return std::vector<Tensor>{std::move(only)};
  }
  for (const Value& item : list->items) {
    TL_TRY(Tensor t, to_tensor(ctx, item));
    state.push_back(std::move(t));
  }
  return state;
}

Value from_state(std::span<const Tensor> state, bool is_list) {
  if (!is_list) return make_tensor(state[0]);
  std::vector<Value> items;
  for (const Tensor& t : state) items.push_back(make_tensor(t));
  return make_list(std::move(items));
}

// What f gives in the formats that the state has.
Result<std::vector<Tensor>> like(CallContext& ctx, std::span<const Tensor> state, std::vector<Tensor> next) {
  for (size_t i = 0; i < next.size(); ++i) {
    const Parts* const parts = i < state.size() ? state[i]->parts.get() : nullptr;
    if (parts != nullptr && next[i].type() != state[i].type()) {
      return fail(Code::BadProgram, "a round makes {} of {} (number {} of the state)",
                  to_string(next[i].type()), to_string(state[i].type()), i);
    }
    if (parts == nullptr) {
      TL_TRY(next[i], ctx.executor().unpack(next[i], ctx.span));
    } else if (next[i]->parts == nullptr || next[i]->parts->format != parts->format) {
      TL_TRY(next[i], ctx.executor().pack(*parts->format, next[i], ctx.span));
    }
  }
  return in_parts(next);
}

// f of the state as (state, count).
Result<std::unique_ptr<Trace>> record_round(CallContext& ctx, const Value& f, std::span<const Tensor> state,
                                            bool is_list) {
  RoundRecorder recorder(ctx.executor(), ctx.span);
  TL_TRY_DO(recorder.begin(in_parts(state)));
  std::vector<Tensor> next;
  Tensor count;
  {
    const Value given = from_state(of_parts(state, recorder.state()), is_list);
    TL_TRY(const Value made, ctx.call_pure(f, {&given, 1}));
    const auto* both = made.get_if<Tuple>();
    if (both == nullptr || both->items.size() != 2)
      return fail(Code::BadProgram, "f gives {}, want (state, count)", type_name(made));
    bool gives_list = false;
    TL_TRY(next, to_state(ctx, both->items[0], gives_list));
    if (gives_list != is_list)
      return fail(Code::BadProgram, "f gives {} as the state, want {}", type_name(both->items[0]),
                  type_name(given));
    TL_TRY(count, to_tensor(ctx, both->items[1]));
    TL_TRY(next, like(ctx, state, std::move(next)));
  }
  return recorder.finish(std::move(next), std::move(count));
}

Result<Value> native_repeat_until(CallContext& ctx, std::span<Value> args) {
  const auto within = [](Error error) { return std::move(error).within("repeat_until"); };
  const i64 limit = args[2].as_int();
  if (limit < 1) return within(fail(Code::BadProgram, "limit is {}, want at least 1", limit));
  bool is_list = false;
  auto state = to_state(ctx, args[1], is_list);
  if (!state.ok()) return within(std::move(state).error());
  auto round = record_round(ctx, args[0], *state, is_list);
  if (!round.ok()) return within(std::move(round).error());
  auto after = ctx.executor().repeat(std::move(round).value(), in_parts(*state), limit, ctx.span);
  if (!after.ok()) return within(std::move(after).error());
  const Tensor count = after->back();
  after->pop_back();
  return make_tuple({from_state(of_parts(*state, *after), is_list), make_tensor(count)});
}

const Builtin kRows[] = {
    {"repeat_until", "(f: any, state: any, limit: int = 1000000) -> tuple",
     "(state, count) after f(state) = (state, count) is done until the count is 0, at most `limit` times; f "
     "is called "
     "once, and its rounds run without the interpreter.",
     "repeat_until(|x| (x - 1, sum(x - 1)), [3])  //~ ([0] shape=[1] int64, 0)", Effect::Io,
     native_repeat_until},
};

}  // namespace

std::span<const Builtin> repeat_natives() {
  return kRows;
}

}  // namespace tl::lang
