// Lists, tuples and ranges. Lists are shared and mutable: what pushes or sets is seen under every name of the
// list.
#include <algorithm>
#include <array>
#include <cstring>

#include "tl/base/utf8.h"
#include "tl/builtins/convert.h"
#include "tl/builtins/families.h"
#include "tl/builtins/index.h"
#include "tl/builtins/kv_cache.h"
#include "tl/builtins/map_natives.h"
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
  if (const auto* text = x.get_if<String>()) return Value(text->chars());
  if (const auto* list = x.get_if<List>()) return Value(static_cast<i64>(list->items.size()));
  if (const auto* tuple = x.get_if<Tuple>()) return Value(static_cast<i64>(tuple->items.size()));
  if (const auto* range = x.get_if<Range>()) return Value(range->size());
  if (const Keyed* keyed = keyed_of(x)) return Value(keyed->size());
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

Result<Value> native_push(CallContext& ctx, std::span<Value> args) {
  if (auto* set = args[0].get_if<Set>()) {
    for (const Value& v : args.subspan(1)) {
      TL_TRY(const MapKey key, map_key(ctx, v));
      set->add(key.value, key.hash);
    }
    return Value::unit();
  }
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

// Nothing in a Value knows where it lies, so that rows of them may be moved as memory.
void move_items(Value* to, const Value* from, size_t count) {
  std::memmove(static_cast<void*>(to), static_cast<const void*>(from), count * sizeof(Value));
}

// From `at` to the end and back, as memory.
void to_end(std::vector<Value>& items, size_t at) {
  std::array<std::byte, sizeof(Value)> one;
  std::memcpy(one.data(), static_cast<const void*>(&items[at]), sizeof(Value));
  move_items(&items[at], &items[at] + 1, items.size() - at - 1);
  std::memcpy(static_cast<void*>(&items.back()), one.data(), sizeof(Value));
}
void from_end(std::vector<Value>& items, size_t at) {
  std::array<std::byte, sizeof(Value)> one;
  std::memcpy(one.data(), static_cast<const void*>(&items.back()), sizeof(Value));
  move_items(&items[at] + 1, &items[at], items.size() - at - 1);
  std::memcpy(static_cast<void*>(&items[at]), one.data(), sizeof(Value));
}

Result<Value> native_remove(CallContext& ctx, std::span<Value> args) {
  if (Keyed* keyed = keyed_of(args[0])) return remove_key(ctx, *keyed, args[1], Value());
  TL_TRY(List * list, list_of(args[0], "remove"));
  auto index = to_int(ctx, args[1]);
  if (!index.ok()) return fail(Code::BadProgram, "remove: argument 'at' {}", index.error().message);
  const i64 size = static_cast<i64>(list->items.size()), at = *index < 0 ? *index + size : *index;
  if (at < 0 || at >= size)
    return fail(Code::BadProgram, "remove: index {} is outside of a list of {}", *index, size);
  to_end(list->items, static_cast<size_t>(at));
  Value out = std::move(list->items.back());
  list->items.pop_back();
  return out;
}

Result<Value> native_pop(CallContext& ctx, std::span<Value> args) {
  if (Keyed* keyed = keyed_of(args[0])) {
    if (!args[1].is_empty()) return remove_key(ctx, *keyed, args[1], args[2]);
    return fail(Code::BadProgram, "pop: argument 'at' is missing: a key");
  }
  TL_TRY(List * list, list_of(args[0], "pop"));
  if (list->items.empty()) return fail(Code::BadProgram, "pop: the list is empty");
  if (!args[1].is_empty()) return native_remove(ctx, args);
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
  if (args.size() == 1) return new_set(ctx, args[0]);
  if (args.size() != 3)
    return fail(Code::BadProgram, "set: a list takes (index, value), got {} arguments", args.size() - 1);
  if (auto* map = args[0].get_if<Map>()) {
    TL_TRY_DO(set_in_map(ctx, *map, args[1], args[2]));
    return Value::unit();
  }
  TL_TRY_DO(list_of(args[0], "set").ok() ? Result<void>() : Result<void>(list_of(args[0], "set").error()));
  TL_TRY_DO(set_index(ctx, args[0], {IndexItem{.value = args[1]}}, args[2]));
  return Value::unit();
}

Result<Value> native_get(CallContext& ctx, std::span<Value> args) {
  if (args[0].is(ObjectKind::Metadata)) return metadata_get(ctx, args[0], args[1], args[2]);
  if (const auto* map = args[0].get_if<Map>()) {
    TL_TRY(const MapKey key, map_key(ctx, args[1]));
    const size_t at = map->find(key.value, key.hash);
    return at != Keyed::kNowhere ? map->value(at) : args[2].is_empty() ? Value::unit() : args[2];
  }
  auto item = index_at(ctx, args[0], args[1]);
  if (!item.ok() && !args[2].is_empty()) return args[2];
  return item;
}

Result<Value> native_clear(CallContext&, std::span<Value> args) {
  if (auto* cache = args[0].get_if<KVCache>()) {
    cache->clear();
    return Value::unit();
  }
  if (Keyed* keyed = keyed_of(args[0])) {
    keyed->clear();
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
  list->items.push_back(args[2]);
  from_end(list->items, static_cast<size_t>(at));
  return Value::unit();
}

Result<Value> native_copy(CallContext& ctx, std::span<Value> args) {
  if (const auto* cache = args[0].get_if<KVCache>()) return cache->copy();
  if (tensor_of(args[0]) != nullptr) return args[0];
  if (keyed_of(args[0]) != nullptr) return copy_of(args[0]);
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
     "A list, map, set or struct of its own with the same items; a cache of its own with the same "
     "positions, for "
     "free.",
     "copy([1, 2])  //~ [1, 2]", Effect::Pure, native_copy},
    {"extend", "(list: any, more: any) -> unit", "Adds every item of more at the end.",
     "{ let xs = [1]; xs.extend([2, 3]); xs }  //~ [1, 2, 3]", Effect::Mutates, native_extend},
    {"filled", "(value: any, count: int) -> list", "A list of count times the value, like [value; count].",
     "filled(0, 3)  //~ [0, 0, 0]", Effect::Pure, native_filled},
    {"get", "(xs: any, at: any, default: any = none) -> any",
     "Item `at`, counted from the end where negative; where there is none, the default if given. Of a map, "
     "what "
     "the key has, or the default, or none.",
     "get([1, 2, 3], -1)  //~ 3", Effect::Pure, native_get, true},
    {"index_of", "(xs: any, item: any) -> int", "Where item first is in a list or string, -1 if nowhere.",
     "index_of([4, 5], 5)  //~ 1", Effect::Pure, native_index_of},
    {"insert", "(list: any, at: int, value: any) -> unit", "Puts value before item `at`.",
     "{ let xs = [1, 3]; xs.insert(1, 2); xs }  //~ [1, 2, 3]", Effect::Mutates, native_insert},
    {"is_empty", "(x: any) -> bool", "True if there are no items.", "is_empty([])  //~ true", Effect::Pure,
     native_is_empty},
    {"len", "(x: any) -> int", "How many items or keys; characters of a string, rows of a tensor.",
     "len(\"abc\")  //~ 3", Effect::Pure, native_len},
    {"list", "(x: any = none) -> list", "A new list of the items of x.", "list(1..4)  //~ [1, 2, 3]",
     Effect::Pure, native_list},
    {"new_vec", "() -> list", "An empty list; what IntVec::new() and its kin give.", "len(new_vec())  //~ 0",
     Effect::Pure, native_new_vec},
    {"pop", "(list: any, at: any = none, default: any = none) -> any",
     "Removes the last item, or item `at`, and gives it; of a map, what the key `at` has, or the default.",
     "pop([1, 2])  //~ 2", Effect::Mutates, native_pop},
    {"push", "(list: any, values: any...) -> unit", "Adds values at the end of the list, or to a set.",
     "{ let xs = [1]; xs.push(2); xs }  //~ [1, 2]", Effect::Mutates, native_push},
    {"range", "(first: int, end: int = none, step: int = 1) -> range",
     "The ints from first (0 if alone) up to, but not including, end.", "range(2, 5)  //~ [2, 3, 4]",
     Effect::Pure, native_range},
    {"range_i", "(first: int, end: int = none, step: int = 1) -> range", "The same as range.",
     "range_i(3)  //~ [0, 1, 2]", Effect::Pure, native_range},
    {"remove", "(list: any, at: any) -> any", "Removes item `at` and gives it; the key `at` of a map or set.",
     "remove([5, 6, 7], 1)  //~ 6", Effect::Mutates, native_remove},
    {"reversed", "(xs: any) -> list", "The items, last first.", "reversed([1, 2, 3])  //~ [3, 2, 1]",
     Effect::Pure, native_reversed},
    {"set", "(to: any = none, values: any...) -> any",
     "Sets item (index, value) of a list, value (key, value) of a map, or layer (layer, k, v) of a KVCache; "
     "alone, a new set of the items of something, set() an empty one.",
     "{ let xs = [1, 2]; xs.set(0, 9); xs }  //~ [9, 2]", Effect::Mutates, native_set},
};

}  // namespace

std::span<const Builtin> list_natives() {
  return kRows;
}

}  // namespace tl::lang
