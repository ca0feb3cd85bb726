// What goes over the items of anything that has some: lists, tuples, ranges, maps, sets, strings, tensors by
// rows.
#include <algorithm>

#include "tl/builtins/convert.h"
#include "tl/builtins/families.h"
#include "tl/builtins/operators.h"
#include "tl/value/map.h"

namespace tl::lang {
namespace {

// f(item), of which the builtin decides something.
Result<Value> ask(CallContext& ctx, const Value& f, const Value& item) {
  TL_TRY_DO(ctx.go_on());
  TL_TRY(Value out, ctx.call(f, {&item, 1}));
  if (ctx.tracer != nullptr) ctx.tracer->looks_at(out);
  return out;
}

bool is_function(const Value& v) {
  return v.is(ObjectKind::Function) || v.is(ObjectKind::Builtin);
}

// ---- Order ------------------------------------------------------------------------------------------------

// What stands in order already, or in the opposite one, is not sorted.
template <typename Less>
bool is_in_order(std::vector<u32>& places, bool reverse, Less less) {
  const auto falls = [&](u32 a, u32 b) { return less(b, a); };
  const auto same_way = [&](u32 a, u32 b) { return !falls(a, b); };
  const auto other_way = [&](u32 a, u32 b) { return !less(a, b); };
  const bool is_rising = std::adjacent_find(places.begin(), places.end(), falls) == places.end();
  if (is_rising && !reverse) return true;
  const bool is_falling = std::adjacent_find(places.begin(), places.end(), less) == places.end();
  if (is_falling && reverse) return true;
  const bool is_opposite =
      reverse ? is_rising && std::adjacent_find(places.begin(), places.end(), other_way) == places.end()
              : is_falling && std::adjacent_find(places.begin(), places.end(), same_way) == places.end();
  if (is_opposite) std::reverse(places.begin(), places.end());
  return is_opposite;
}

template <typename Less>
void sort_places(std::vector<u32>& places, bool reverse, Less less) {
  // Merge sort keeps within bounds even when the order is no order (NaN), and equals in their order.
  if (reverse)
    std::stable_sort(places.begin(), places.end(), [&](u32 a, u32 b) { return less(b, a); });
  else
    std::stable_sort(places.begin(), places.end(), less);
}

bool all_are(const std::vector<Value>& keys, bool (*is)(const Value&)) {
  return std::all_of(keys.begin(), keys.end(), is);
}

Result<void> sort_by(CallContext& ctx, const std::vector<Value>& keys, std::vector<u32>& places,
                     bool reverse) {
  if (all_are(keys, [](const Value& v) { return v.is_int(); })) {
    const auto less = [&](u32 a, u32 b) { return keys[a].as_int() < keys[b].as_int(); };
    if (!is_in_order(places, reverse, less)) sort_places(places, reverse, less);
    return {};
  }
  if (all_are(keys, [](const Value& v) { return v.is_number(); })) {
    sort_places(places, reverse, [&](u32 a, u32 b) { return keys[a].number() < keys[b].number(); });
    return {};
  }
  if (all_are(keys, [](const Value& v) { return v.is(ObjectKind::String); })) {
    const auto less = [&](u32 a, u32 b) { return keys[a].as<String>().text < keys[b].as<String>().text; };
    if (!is_in_order(places, reverse, less)) sort_places(places, reverse, less);
    return {};
  }
  std::optional<Error> failure;
  u32 compared = 0;
  sort_places(places, reverse, [&](u32 a, u32 b) {
    if (failure) return false;
    if ((++compared & 0xfff) == 0) {
      if (auto on = ctx.go_on(); !on.ok()) return failure = std::move(on).error(), false;
    }
    Result<bool> before = comes_before(ctx, keys[a], keys[b]);
    if (!before.ok()) failure = std::move(before).error();
    return before.ok() && *before;
  });
  return failure ? Result<void>(*failure) : Result<void>();
}

Result<std::vector<Value>> in_order(CallContext& ctx, std::vector<Value> items, const Value& key,
                                    bool reverse) {
  if (items.size() > UINT32_MAX) return fail(Code::BadProgram, "{} items to sort", items.size());
  std::vector<Value> keys;
  if (!key.is_empty()) {
    keys.reserve(items.size());
    for (const Value& item : items) {
      TL_TRY(Value made, ask(ctx, key, item));
      keys.push_back(std::move(made));
    }
  }
  std::vector<u32> places(items.size());
  for (size_t i = 0; i < places.size(); ++i) places[i] = static_cast<u32>(i);
  TL_TRY_DO(sort_by(ctx, key.is_empty() ? items : keys, places, reverse));
  std::vector<Value> out;
  out.reserve(items.size());
  for (const u32 at : places) out.push_back(std::move(items[at]));
  return out;
}

// The second argument used to be whether the order falls.
Result<Value> native_sorted(CallContext& ctx, std::span<Value> args) {
  const bool falls = args[1].is_bool() && args[1].as_bool();
  TL_TRY(std::vector<Value> items, to_items(ctx, args[0]));
  TL_TRY(std::vector<Value> out, in_order(ctx, std::move(items), args[1].is_bool() ? Value() : args[1],
                                          falls || args[2].as_bool() || args[3].as_bool()));
  return make_list(std::move(out));
}

// A list is sorted where it is; of a tensor the op makes a new one.
Result<Value> native_sort(CallContext& ctx, std::span<Value> args) {
  if (auto* list = args[0].get_if<List>()) {
    TL_TRY(std::vector<Value> out,
           in_order(ctx, list->items, args[3], args[2].as_bool() || args[4].as_bool()));
    list->items = std::move(out);
    return args[0];
  }
  return call_op(ctx, "sort", {args[0], args[1], Value(args[2].as_bool() || args[4].as_bool())});
}

// ---- All to one -------------------------------------------------------------------------------------------

// The sum of plain numbers; Empty: they are no such.
Result<Value> sum_of_numbers(std::span<const Value> items) {
  i64 whole = 0;
  f64 total = 0;
  bool has_float = false;
  for (const Value& v : items) {
    if (v.is_float()) {
      if (!has_float) total = static_cast<f64>(whole);
      has_float = true;
      total += v.as_float();
    } else if (v.is_int() || v.is_bool()) {
      const i64 i = v.is_int() ? v.as_int() : v.as_bool() ? 1 : 0;
      if (has_float)
        total += static_cast<f64>(i);
      else if (__builtin_add_overflow(whole, i, &whole))
        return fail(Code::BadProgram, "integer overflow: the sum does not fit in 64 bits");
    } else {
      return Value();
    }
  }
  return has_float ? Value(total) : Value(whole);
}

// Of whole numbers in turn: first to last, `count` of them.
Result<Value> sum_of_range(const Range& range) {
  const i64 count = range.size();
  if (count == 0) return Value(i64{0});
  const __int128 whole = (static_cast<__int128>(range.at(0)) + range.at(count - 1)) * count / 2;
  if (whole > INT64_MAX || whole < INT64_MIN)
    return fail(Code::BadProgram, "integer overflow: the sum does not fit in 64 bits");
  return Value(static_cast<i64>(whole));
}

Result<Value> native_sum(CallContext& ctx, std::span<Value> args) {
  const Value& x = args[0];
  if (!args[3].is_empty()) {
    TL_TRY(std::vector<Value> items, to_items(ctx, x));
    for (Value& item : items) {
      TL_TRY(item, ask(ctx, args[3], item));
    }
    TL_TRY(const Value sum, sum_of_numbers(items));
    return sum.is_empty() ? call_op(ctx, "sum", {make_list(std::move(items))}) : sum;
  }
  const bool is_whole =
      args[1].is_empty() || (args[1].is(ObjectKind::List) && args[1].as<List>().items.empty());
  if (is_whole && !args[2].as_bool()) {
    if (const auto* range = x.get_if<Range>()) return sum_of_range(*range);
    Value sum;
    if (const auto* list = x.get_if<List>()) {
      TL_TRY(sum, sum_of_numbers(list->items));
    } else if (x.is(ObjectKind::Tuple) || keyed_of(x) != nullptr) {
      TL_TRY(const std::vector<Value> items, to_items(ctx, x));
      TL_TRY(sum, sum_of_numbers(items));
    }
    if (!sum.is_empty()) return sum;
  }
  return call_op(ctx, "sum", {x, args[1], args[2]});
}

// any(xs), any(xs, axis, keepdim) of tensors; any(xs, f) of anything.
Result<Value> quantified(CallContext& ctx, std::span<Value> args, bool is_any) {
  const Value& x = args[0];
  const bool asks = is_function(args[1]);
  const bool is_items = x.is(ObjectKind::List) || x.is(ObjectKind::Tuple) || keyed_of(x) != nullptr;
  const auto is_truth = [](const Value& v) { return v.is_bool(); };
  std::vector<Value> items;
  if (asks || is_items) {
    TL_TRY(items, to_items(ctx, x));
  }
  if (!asks && (!is_items || !all_are(items, is_truth) || !args[1].is_empty()))
    return call_op(ctx, is_any ? "any" : "all", {x, args[1], args[2]});
  for (const Value& item : items) {
    Value answer = item;
    if (asks) {
      TL_TRY(answer, ask(ctx, args[1], item));
    }
    TL_TRY(const bool holds, condition(ctx, answer));
    if (holds == is_any) return Value(is_any);
  }
  return Value(!is_any);
}
Result<Value> native_any(CallContext& ctx, std::span<Value> args) {
  return quantified(ctx, args, true);
}
Result<Value> native_all(CallContext& ctx, std::span<Value> args) {
  return quantified(ctx, args, false);
}

Result<Value> folded(CallContext& ctx, std::span<const Value> items, Value state, const Value& f) {
  for (const Value& item : items) {
    TL_TRY_DO(ctx.go_on());
    const Value pair[] = {state, item};
    TL_TRY(state, ctx.call(f, pair));
  }
  return state;
}
Result<Value> native_fold(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const std::vector<Value> items, to_items(ctx, args[0]));
  return folded(ctx, items, args[1], args[2]);
}
Result<Value> native_reduce(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const std::vector<Value> items, to_items(ctx, args[0]));
  if (!args[2].is_empty()) return folded(ctx, items, args[2], args[1]);
  if (items.empty()) return fail(Code::BadProgram, "reduce: there are no items, and no start is given");
  return folded(ctx, std::span(items).subspan(1), items[0], args[1]);
}

Result<Value> native_count(CallContext& ctx, std::span<Value> args) {
  i64 count = 0;
  if (const auto* text = args[0].get_if<String>()) {
    TL_TRY(const std::string_view part, to_text(args[1]));
    if (part.empty()) return Value(text->chars() + 1);
    for (size_t at = text->text.find(part); at != std::string::npos;
         at = text->text.find(part, at + part.size()))
      ++count;
    return Value(count);
  }
  TL_TRY(const std::vector<Value> items, to_items(ctx, args[0]));
  for (const Value& item : items) {
    if (is_function(args[1])) {
      TL_TRY(const Value answer, ask(ctx, args[1], item));
      TL_TRY(const bool holds, condition(ctx, answer));
      count += holds ? 1 : 0;
    } else {
      TL_TRY(const bool same, equal(item, args[1]));
      count += same ? 1 : 0;
    }
  }
  return Value(count);
}

// ---- Each
// ---------------------------------------------------------------------------------------------------

Result<Value> native_enumerate(CallContext& ctx, std::span<Value> args) {
  TL_TRY(std::vector<Value> items, to_items(ctx, args[0]));
  i64 number = args[1].as_int();
  for (Value& item : items) item = make_tuple({Value(number++), item});
  return make_list(std::move(items));
}

Result<Value> native_zip(CallContext& ctx, std::span<Value> args) {
  std::vector<std::vector<Value>> rows;
  size_t count = SIZE_MAX;
  for (const Value& arg : args) {
    TL_TRY(std::vector<Value> items, to_items(ctx, arg));
    count = std::min(count, items.size());
    rows.push_back(std::move(items));
  }
  std::vector<Value> out;
  out.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    std::vector<Value> one;
    for (const auto& row : rows) one.push_back(row[i]);
    out.push_back(make_tuple(std::move(one)));
  }
  return make_list(std::move(out));
}

Result<Value> native_map(CallContext& ctx, std::span<Value> args) {
  TL_TRY(std::vector<Value> items, to_items(ctx, args[0]));
  for (Value& item : items) {
    TL_TRY_DO(ctx.go_on());
    TL_TRY(item, ctx.call(args[1], {&item, 1}));
  }
  return make_list(std::move(items));
}

Result<Value> native_filter(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const std::vector<Value> items, to_items(ctx, args[0]));
  std::vector<Value> out;
  for (const Value& item : items) {
    TL_TRY(const Value keep, ask(ctx, args[1], item));
    TL_TRY(const bool yes, condition(ctx, keep));
    if (yes) out.push_back(item);
  }
  return make_list(std::move(out));
}

Result<Value> native_group_by(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const std::vector<Value> items, to_items(ctx, args[0]));
  auto* const groups = new Map;
  Value made(groups);
  for (const Value& item : items) {
    TL_TRY(const Value key, ask(ctx, args[1], item));
    TL_TRY(const u64 hash, hash_of(key));
    Value& group = groups->value(groups->add(key, hash));
    if (group.is_empty()) group = make_list({});
    group.as<List>().items.push_back(item);
  }
  return made;
}

const Builtin kRows[] = {
    {"all", "(x: any, axis: any = none, keepdim: bool = false) -> any",
     "True if all elements are, or none is 0, along the axes or of everything; with a function, if it is "
     "true "
     "of every item.",
     "all([1, 2, 3], |x| x > 0)  //~ true", Effect::Pure, native_all},
    {"any", "(x: any, axis: any = none, keepdim: bool = false) -> any",
     "True if any element is, or is not 0, along the axes or of everything; with a function, if it is true "
     "of "
     "an item.",
     "any([1, 2, 3], |x| x > 2)  //~ true", Effect::Pure, native_any},
    {"count", "(xs: any, item: any) -> int",
     "How often the item is in a list, or the part in a string, or how many items a function is true of.",
     "count([1, 2, 1], 1)  //~ 2", Effect::Pure, native_count},
    {"enumerate", "(xs: any, start: int = 0) -> list",
     "Pairs of number and item, the first number being start.",
     "enumerate([\"a\", \"b\"])  //~ [(0, \"a\"), (1, \"b\")]", Effect::Pure, native_enumerate},
    {"filter", "(xs: any, keep: any) -> list", "The items for which keep(item) is true.",
     "filter([1, 2, 3], |x| x > 1)  //~ [2, 3]", Effect::Pure, native_filter},
    {"fold", "(xs: any, start: any, f: any) -> any", "f(f(f(start, x0), x1), ...).",
     "fold([1, 2, 3], 0, |a, x| a + x)  //~ 6", Effect::Pure, native_fold},
    {"group_by", "(xs: any, key: any) -> any", "A map from key(item) to the list of the items that have it.",
     "group_by([1, 2, 3], |x| x % 2)  //~ {1: [1, 3], 0: [2]}", Effect::Pure, native_group_by},
    {"map", "(xs: any, f: any) -> list", "f of every item.", "map([1, 2], |x| x * 10)  //~ [10, 20]",
     Effect::Pure, native_map},
    {"reduce", "(xs: any, f: any, start: any = none) -> any",
     "f(f(x0, x1), x2) and so on; from start on where it is given.", "reduce([1, 2, 3], |a, x| a * x)  //~ 6",
     Effect::Pure, native_reduce},
    {"sort",
     "(x: any, axis: int = -1, descending: bool = false, key: any = none, reverse: bool = false) -> any",
     "Sorts a list where it is, by key(item) if there is a key, and gives it; of a tensor, a new one sorted "
     "along an axis.",
     "{ let xs = [3, 1, 2]; xs.sort(); xs }  //~ [1, 2, 3]", Effect::Mutates, native_sort},
    {"sorted", "(xs: any, key: any = none, reverse: bool = false, descending: bool = false) -> list",
     "The items in rising order, of key(item) if there is a key; equals stay in their order.",
     "sorted([\"bb\", \"a\"], key: |s| len(s))  //~ [\"a\", \"bb\"]", Effect::Pure, native_sorted},
    {"sum", "(x: any, axis: any = none, keepdim: bool = false, key: any = none) -> any",
     "Sum of the numbers of a list, or of a tensor along the axes or of everything (whole numbers give an "
     "exact "
     "int64); of key(item) if there is a key.",
     "sum([1, 2, 3])  //~ 6", Effect::Pure, native_sum},
    {"zip", "(xs: any, ys: any, more: any...) -> list", "Tuples of items, as many as the shortest has.",
     "zip([1, 2], [3, 4])  //~ [(1, 3), (2, 4)]", Effect::Pure, native_zip},
};

}  // namespace

std::span<const Builtin> sequence_natives() {
  return kRows;
}

}  // namespace tl::lang
