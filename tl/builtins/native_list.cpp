// Lists, tuples and ranges. Lists are shared and mutable: what pushes or sets is seen under every name of the
// list.
#include <algorithm>

#include "tl/base/utf8.h"
#include "tl/builtins/convert.h"
#include "tl/builtins/families.h"
#include "tl/builtins/index.h"
#include "tl/builtins/kv_cache.h"
#include "tl/builtins/model.h"
#include "tl/builtins/npy_writer.h"
#include "tl/builtins/operators.h"

namespace tl::lang {
namespace {

constexpr i64 kMaxListItems = i64{1} << 28;

Result<List*> list_of(const Value& value, std::string_view builtin) {
  if (auto* list = value.get_if<List>()) return list;
  return fail(Code::BadProgram, "{}: argument 'list' is {}, want a list", builtin, type_name(value));
}

Result<Value> native_len(CallContext&, std::span<Value> args) {
  const Value& x = args[0];
  if (const auto* text = x.get_if<String>()) return Value(utf8::count_chars(text->text));
  if (const auto* list = x.get_if<List>()) return Value(static_cast<i64>(list->items.size()));
  if (const auto* tuple = x.get_if<Tuple>()) return Value(static_cast<i64>(tuple->items.size()));
  if (const auto* range = x.get_if<Range>()) return Value(range->size());
  if (const auto* cache = x.get_if<KVCache>()) return Value(cache->length());
  if (const Tensor* t = tensor_of(x); t != nullptr && t->rank() > 0) return Value(t->shape()[0]);
  return fail(Code::BadProgram, "len: argument 'x' is {}, want something with items", type_name(x));
}

Result<Value> native_range(CallContext&, std::span<Value> args) {
  const i64 first = args[0].as_int();
  if (args[1].is_empty()) return Value(new Range(0, first, 1));
  const i64 step = args[2].as_int();
  if (step == 0) return fail(Code::BadProgram, "range: argument 'step' is 0");
  return Value(new Range(first, args[1].as_int(), step));
}

Result<Value> native_push(CallContext&, std::span<Value> args) {
  TL_TRY(List * list, list_of(args[0], "push"));
  for (const Value& v : args.subspan(1)) list->items.push_back(v);
  return Value::unit();
}

// One name for several things: lists, token ids, tensors that grow, caches, files of rows.
Result<Value> native_append(CallContext& ctx, std::span<Value> args) {
  if (auto* file = args[0].get_if<NpyWriterValue>(); file != nullptr && args.size() == 2) {
    TL_TRY(const Tensor rows, to_tensor(ctx, args[1]));
    TL_TRY_DO(file->append(ctx.executor(), rows));
    return Value::unit();
  }
  if (auto* cache = args[0].get_if<KVCache>()) {
    if (args.size() != 4 && args.size() != 5)
      return fail(Code::BadProgram,
                  "append: a KVCache takes (layer, k, v) or (layer, k, v, counts), got {} arguments",
                  args.size() - 1);
    return append_to_cache(ctx, *cache, args[1], args[2], args[3], args.size() == 5 ? args[4] : Value());
  }
  if (args[0].is(ObjectKind::Tensor)) {
    if (args.size() != 2)
      return fail(Code::BadProgram, "append: a tensor takes one tensor of rows, got {} arguments",
                  args.size() - 1);
    return call_op(ctx, "append_rows", {args[0], args[1]});
  }
  TL_TRY(List * list, list_of(args[0], "append"));
  for (const Value& v : args.subspan(1)) list->items.push_back(v);
  return args[0];
}

Result<Value> native_extend(CallContext& ctx, std::span<Value> args) {
  TL_TRY(List * list, list_of(args[0], "extend"));
  TL_TRY(const std::vector<Value> more, to_items(ctx, args[1]));
  list->items.insert(list->items.end(), more.begin(), more.end());
  return Value::unit();
}

Result<Value> native_pop(CallContext&, std::span<Value> args) {
  TL_TRY(List * list, list_of(args[0], "pop"));
  if (list->items.empty()) return fail(Code::BadProgram, "pop: the list is empty");
  Value last = std::move(list->items.back());
  list->items.pop_back();
  return last;
}

Result<Value> native_set(CallContext& ctx, std::span<Value> args) {
  if (auto* cache = args[0].get_if<KVCache>()) {
    if (args.size() != 4)
      return fail(Code::BadProgram, "set: a KVCache takes (layer, k, v), got {} arguments", args.size() - 1);
    return set_in_cache(ctx, *cache, args[1], args[2], args[3]);
  }
  if (args.size() != 3)
    return fail(Code::BadProgram, "set: a list takes (index, value), got {} arguments", args.size() - 1);
  TL_TRY_DO(list_of(args[0], "set").ok() ? Result<void>() : Result<void>(list_of(args[0], "set").error()));
  TL_TRY_DO(set_index(ctx, args[0], {IndexItem{.value = args[1]}}, args[2]));
  return Value::unit();
}

Result<Value> native_get(CallContext& ctx, std::span<Value> args) {
  if (args[0].is(ObjectKind::Metadata)) return metadata_get(ctx, args[0], args[1], args[2]);
  auto item = index_at(ctx, args[0], args[1]);
  if (!item.ok() && !args[2].is_empty()) return args[2];
  return item;
}

Result<Value> native_clear(CallContext&, std::span<Value> args) {
  if (auto* cache = args[0].get_if<KVCache>()) {
    cache->clear();
    return Value::unit();
  }
  TL_TRY(List * list, list_of(args[0], "clear"));
  list->items.clear();
  return Value::unit();
}

Result<Value> native_is_empty(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Value size, native_len(ctx, args.first(1)));
  return Value(size.as_int() == 0);
}

Result<Value> native_contains(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const bool found, contains(ctx, args[1], args[0]));
  return Value(found);
}

Result<Value> native_index_of(CallContext& ctx, std::span<Value> args) {
  if (const auto* text = args[0].get_if<String>()) {
    TL_TRY(const std::string_view part, to_text(args[1]));
    const size_t at = text->text.find(part);
    return Value(at == std::string::npos ? i64{-1}
                                         : utf8::count_chars(std::string_view(text->text).substr(0, at)));
  }
  TL_TRY(const std::vector<Value> items, to_items(ctx, args[0]));
  for (size_t i = 0; i < items.size(); ++i) {
    TL_TRY(const bool same, equal(items[i], args[1]));
    if (same) return Value(static_cast<i64>(i));
  }
  return Value(i64{-1});
}

Result<Value> native_insert(CallContext&, std::span<Value> args) {
  TL_TRY(List * list, list_of(args[0], "insert"));
  const i64 size = static_cast<i64>(list->items.size()),
            at = args[1].as_int() < 0 ? args[1].as_int() + size : args[1].as_int();
  if (at < 0 || at > size)
    return fail(Code::BadProgram, "insert: index {} is outside of a list of {}", args[1].as_int(), size);
  list->items.insert(list->items.begin() + at, args[2]);
  return Value::unit();
}

Result<Value> native_remove(CallContext&, std::span<Value> args) {
  TL_TRY(List * list, list_of(args[0], "remove"));
  const i64 size = static_cast<i64>(list->items.size()),
            at = args[1].as_int() < 0 ? args[1].as_int() + size : args[1].as_int();
  if (at < 0 || at >= size)
    return fail(Code::BadProgram, "remove: index {} is outside of a list of {}", args[1].as_int(), size);
  Value out = std::move(list->items[static_cast<size_t>(at)]);
  list->items.erase(list->items.begin() + at);
  return out;
}

Result<Value> native_copy(CallContext& ctx, std::span<Value> args) {
  if (const auto* cache = args[0].get_if<KVCache>()) return cache->copy();
  if (tensor_of(args[0]) != nullptr) return args[0];
  if (const auto* object = args[0].get_if<Struct>()) {
    auto* copy = new Struct(object->type);
    Value out(copy);
    copy->fields = object->fields;
    return out;
  }
  TL_TRY(std::vector<Value> items, to_items(ctx, args[0]));
  return make_list(std::move(items));
}

Result<Value> native_list(CallContext& ctx, std::span<Value> args) {
  if (args[0].is_empty()) return make_list({});
  TL_TRY(std::vector<Value> items, to_items(ctx, args[0]));
  return make_list(std::move(items));
}

Result<Value> native_new_vec(CallContext&, std::span<Value>) {
  Value list = make_list({});
  list.as<List>().is_vec = true;
  return list;
}

Result<Value> native_filled(CallContext&, std::span<Value> args) {
  const i64 count = args[1].as_int();
  if (count < 0 || count > kMaxListItems) return fail(Code::BadProgram, "filled: a list of {} items", count);
  return make_list(std::vector<Value>(static_cast<size_t>(count), args[0]));
}

Result<Value> native_reversed(CallContext& ctx, std::span<Value> args) {
  TL_TRY(std::vector<Value> items, to_items(ctx, args[0]));
  std::reverse(items.begin(), items.end());
  return make_list(std::move(items));
}

Result<Value> native_sorted(CallContext& ctx, std::span<Value> args) {
  TL_TRY(std::vector<Value> items, to_items(ctx, args[0]));
  std::optional<Error> failure;
  u32 compared = 0;
  const auto before = [&](const Value& a, const Value& b) {
    if (failure) return false;
    if ((++compared & 0xfff) == 0) {
      if (auto on = ctx.go_on(); !on.ok()) return failure = std::move(on).error(), false;
    }
    auto less = apply_operator(ctx, Operator::Less, a, b);
    if (less.ok() && less->is_bool()) return less->as_bool();
    failure = less.ok()
                  ? fail(Code::BadProgram, "sorted: {} and {} have no order", type_name(a), type_name(b))
                  : std::move(less).error();
    return false;
  };
  // Merge sort keeps within bounds even when the order is no order (NaN).
  std::stable_sort(items.begin(), items.end(), before);
  if (failure) return *failure;
  if (args[1].as_bool()) std::reverse(items.begin(), items.end());
  return make_list(std::move(items));
}

Result<Value> native_enumerate(CallContext& ctx, std::span<Value> args) {
  TL_TRY(std::vector<Value> items, to_items(ctx, args[0]));
  for (size_t i = 0; i < items.size(); ++i) items[i] = make_tuple({Value(static_cast<i64>(i)), items[i]});
  return make_list(std::move(items));
}

Result<Value> native_zip(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const std::vector<Value> a, to_items(ctx, args[0]));
  TL_TRY(const std::vector<Value> b, to_items(ctx, args[1]));
  std::vector<Value> out;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) out.push_back(make_tuple({a[i], b[i]}));
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
    TL_TRY_DO(ctx.go_on());
    TL_TRY(const Value keep, ctx.call(args[1], {&item, 1}));
    TL_TRY(const bool yes, condition(ctx, keep));
    if (yes) out.push_back(item);
  }
  return make_list(std::move(out));
}

Result<Value> native_fold(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const std::vector<Value> items, to_items(ctx, args[0]));
  Value state = args[1];
  for (const Value& item : items) {
    TL_TRY_DO(ctx.go_on());
    const Value pair[] = {state, item};
    TL_TRY(state, ctx.call(args[2], pair));
  }
  return state;
}

const Builtin kRows[] = {
    {"append", "(to: any, values: any...) -> any",
     "Adds values at the end of a list, rows to a tensor (giving the longer one), or (layer, k, v) to a "
     "KVCache; of several sequences, with how many rows each of them takes if not all.",
     "append([1, 2], 3)  //~ [1, 2, 3]", Effect::Mutates, native_append},
    {"clear", "(list: any) -> unit", "Removes all items.", "{ let xs = [1, 2]; xs.clear(); xs }  //~ []",
     Effect::Mutates, native_clear},
    {"contains", "(xs: any, item: any) -> bool", "True if item is in the list, or is part of the string.",
     "contains([1, 2], 2)  //~ true", Effect::Pure, native_contains},
    {"copy", "(x: any) -> any",
     "A list, or struct, of its own with the same items; a cache of its own with the same positions, for "
     "free.",
     "copy([1, 2])  //~ [1, 2]", Effect::Pure, native_copy},
    {"enumerate", "(xs: any) -> list", "Pairs of index and item.",
     "enumerate([\"a\", \"b\"])  //~ [(0, \"a\"), (1, \"b\")]", Effect::Pure, native_enumerate},
    {"extend", "(list: any, more: any) -> unit", "Adds every item of more at the end.",
     "{ let xs = [1]; xs.extend([2, 3]); xs }  //~ [1, 2, 3]", Effect::Mutates, native_extend},
    {"filled", "(value: any, count: int) -> list", "A list of count times the value, like [value; count].",
     "filled(0, 3)  //~ [0, 0, 0]", Effect::Pure, native_filled},
    {"filter", "(xs: any, keep: any) -> list", "The items for which keep(item) is true.",
     "filter([1, 2, 3], |x| x > 1)  //~ [2, 3]", Effect::Pure, native_filter},
    {"fold", "(xs: any, start: any, f: any) -> any", "f(f(f(start, x0), x1), ...).",
     "fold([1, 2, 3], 0, |a, x| a + x)  //~ 6", Effect::Pure, native_fold},
    {"get", "(xs: any, at: any, default: any = none) -> any",
     "Item `at`, counted from the end where negative; where there is none, the default if given.",
     "get([1, 2, 3], -1)  //~ 3", Effect::Pure, native_get, true},
    {"index_of", "(xs: any, item: any) -> int", "Where item first is in a list or string, -1 if nowhere.",
     "index_of([4, 5], 5)  //~ 1", Effect::Pure, native_index_of},
    {"insert", "(list: any, at: int, value: any) -> unit", "Puts value before item `at`.",
     "{ let xs = [1, 3]; xs.insert(1, 2); xs }  //~ [1, 2, 3]", Effect::Mutates, native_insert},
    {"is_empty", "(x: any) -> bool", "True if there are no items.", "is_empty([])  //~ true", Effect::Pure,
     native_is_empty},
    {"len", "(x: any) -> int", "How many items; characters of a string, rows of a tensor.",
     "len(\"abc\")  //~ 3", Effect::Pure, native_len},
    {"list", "(x: any = none) -> list", "A new list of the items of x.", "list(1..4)  //~ [1, 2, 3]",
     Effect::Pure, native_list},
    {"map", "(xs: any, f: any) -> list", "f of every item.", "map([1, 2], |x| x * 10)  //~ [10, 20]",
     Effect::Pure, native_map},
    {"new_vec", "() -> list", "An empty list; what IntVec::new() and its kin give.", "len(new_vec())  //~ 0",
     Effect::Pure, native_new_vec},
    {"pop", "(list: any) -> any", "Removes the last item and gives it.", "pop([1, 2])  //~ 2",
     Effect::Mutates, native_pop},
    {"push", "(list: any, values: any...) -> unit", "Adds values at the end of the list.",
     "{ let xs = [1]; xs.push(2); xs }  //~ [1, 2]", Effect::Mutates, native_push},
    {"range", "(first: int, end: int = none, step: int = 1) -> range",
     "The ints from first (0 if alone) up to, but not including, end.", "range(2, 5)  //~ [2, 3, 4]",
     Effect::Pure, native_range},
    {"range_i", "(first: int, end: int = none, step: int = 1) -> range", "The same as range.",
     "range_i(3)  //~ [0, 1, 2]", Effect::Pure, native_range},
    {"remove", "(list: any, at: int) -> any", "Removes item `at` and gives it.",
     "remove([5, 6, 7], 1)  //~ 6", Effect::Mutates, native_remove},
    {"reversed", "(xs: any) -> list", "The items, last first.", "reversed([1, 2, 3])  //~ [3, 2, 1]",
     Effect::Pure, native_reversed},
    {"set", "(to: any, values: any...) -> unit",
     "Sets item (index, value) of a list, or layer (layer, k, v) of a KVCache.",
     "{ let xs = [1, 2]; xs.set(0, 9); xs }  //~ [9, 2]", Effect::Mutates, native_set},
    {"sorted", "(xs: any, descending: bool = false) -> list", "The items in rising order.",
     "sorted([3, 1, 2])  //~ [1, 2, 3]", Effect::Pure, native_sorted},
    {"zip", "(xs: any, ys: any) -> list", "Pairs of items, as many as the shorter has.",
     "zip([1, 2], [3, 4])  //~ [(1, 3), (2, 4)]", Effect::Pure, native_zip},
};

}  // namespace

std::span<const Builtin> list_natives() {
  return kRows;
}

}  // namespace tl::lang
