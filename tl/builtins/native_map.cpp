// Maps and sets: keys with values, and keys alone, in the order in which they came.
#include "tl/builtins/convert.h"
#include "tl/builtins/families.h"
#include "tl/builtins/index.h"
#include "tl/builtins/map_natives.h"

namespace tl::lang {
namespace {

Error no_map(std::string_view builtin, const Value& value, std::string_view wanted) {
  return fail(Code::BadProgram, "{}: found {}, want a {}", builtin, type_name(value), wanted);
}

Result<Map*> map_of(const Value& value, std::string_view builtin) {
  if (auto* map = value.get_if<Map>()) return map;
  return no_map(builtin, value, "map");
}

Result<void> add_pair(CallContext& ctx, Map& map, const Value& pair) {
  auto both = to_items(ctx, pair);
  if (!both.ok() || both->size() != 2)
    return fail(Code::BadProgram, "dict: found {} among the pairs, want (key, value)", type_name(pair));
  return set_in_map(ctx, map, (*both)[0], (*both)[1]);
}

Result<void> add_entries(CallContext& ctx, Map& map, const Value& from) {
  if (const auto* other = from.get_if<Map>()) {
    if (other == &map) return {};
    for (size_t at = other->first(); at != Keyed::kNowhere; at = other->after(at))
      TL_TRY_DO(set_in_map(ctx, map, other->key(at), other->value(at)));
    return {};
  }
  TL_TRY(const std::vector<Value> pairs, to_items(ctx, from));
  for (const Value& pair : pairs) TL_TRY_DO(add_pair(ctx, map, pair));
  return {};
}

Result<void> add_items(CallContext& ctx, Set& set, std::span<const Value> items) {
  for (const Value& item : items) {
    TL_TRY(const MapKey key, map_key(ctx, item));
    set.add(key.value, key.hash);
  }
  return {};
}

Result<Value> native_dict(CallContext& ctx, std::span<Value> args) {
  auto* const map = new Map;
  Value made(map);
  if (args.size() == 1) {
    TL_TRY_DO(add_entries(ctx, *map, args[0]));
    return made;
  }
  if (args.size() % 2 != 0)
    return fail(Code::BadProgram, "dict: found {} arguments, want a list of pairs, or a value to each key",
                args.size());
  for (size_t i = 0; i < args.size(); i += 2) TL_TRY_DO(set_in_map(ctx, *map, args[i], args[i + 1]));
  return made;
}

Result<Value> native_set_of(CallContext& ctx, std::span<Value> args) {
  auto* const set = new Set;
  Value made(set);
  TL_TRY_DO(add_items(ctx, *set, args));
  return made;
}

Result<Value> native_keys(CallContext&, std::span<Value> args) {
  const Keyed* const keyed = keyed_of(args[0]);
  if (keyed == nullptr) return no_map("keys", args[0], "map");
  return make_list(keys_of(*keyed));
}
Result<Value> native_values(CallContext&, std::span<Value> args) {
  TL_TRY(const Map* const map, map_of(args[0], "values"));
  return make_list(values_of(*map));
}
Result<Value> native_items(CallContext&, std::span<Value> args) {
  TL_TRY(const Map* const map, map_of(args[0], "items"));
  return make_list(pairs_of(*map));
}

Result<Value> native_update(CallContext& ctx, std::span<Value> args) {
  if (auto* set = args[0].get_if<Set>()) {
    TL_TRY(const std::vector<Value> items, to_items(ctx, args[1]));
    TL_TRY_DO(add_items(ctx, *set, items));
    return Value::unit();
  }
  TL_TRY(Map* const map, map_of(args[0], "update"));
  TL_TRY_DO(add_entries(ctx, *map, args[1]));
  return Value::unit();
}

// A new one with what is in both, or not in the other; of maps by their keys.
Result<Value> kept(CallContext& ctx, const Value& of, const Value& other, bool wants_inside,
                   std::string_view builtin) {
  const Keyed* const from = keyed_of(of);
  if (from == nullptr) return no_map(builtin, of, "set or map");
  Value among = other;
  if (keyed_of(other) == nullptr) {
    TL_TRY(std::vector<Value> items, to_items(ctx, other));
    TL_TRY(among, native_set_of(ctx, items));
  }
  Value made = from->has_values() ? Value(new Map) : Value(new Set);
  Keyed& to = *keyed_of(made);
  for (size_t at = from->first(); at != Keyed::kNowhere; at = from->after(at)) {
    TL_TRY(const u64 hash, hash_of(from->key(at)));
    if ((keyed_of(among)->find(from->key(at), hash) != Keyed::kNowhere) != wants_inside) continue;
    const size_t place = to.add(from->key(at), hash);
    if (to.has_values()) to.value(place) = from->value(at);
  }
  return made;
}

Result<Value> native_union(CallContext& ctx, std::span<Value> args) {
  if (keyed_of(args[0]) == nullptr) return no_map("union", args[0], "set or map");
  TL_TRY(const Value whole, copy_of(args[0]));
  Value both[] = {whole, args[1]};
  TL_TRY_DO(native_update(ctx, both));
  return whole;
}
Result<Value> native_intersect(CallContext& ctx, std::span<Value> args) {
  return kept(ctx, args[0], args[1], true, "intersect");
}
Result<Value> native_difference(CallContext& ctx, std::span<Value> args) {
  return kept(ctx, args[0], args[1], false, "difference");
}
Result<Value> native_is_subset(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Value rest, kept(ctx, args[0], args[1], false, "is_subset"));
  return Value(keyed_of(rest)->size() == 0);
}

Result<Value> native_has(CallContext& ctx, std::span<Value> args) {
  const Keyed* const keyed = keyed_of(args[0]);
  if (keyed == nullptr) return no_map("has", args[0], "map or set");
  TL_TRY(const MapKey key, map_key(ctx, args[1]));
  return Value(keyed->find(key.value, key.hash) != Keyed::kNowhere);
}

// The op add is of tensors.
bool is_of_a_set(std::span<const Value> args) {
  return !args.empty() && args[0].is(ObjectKind::Set);
}
Result<Value> native_add(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const MapKey key, map_key(ctx, args[1]));
  args[0].as<Set>().add(key.value, key.hash);
  return Value::unit();
}

const Builtin kRows[] = {
    {.name = "add",
     .signature = "(a: tensor, b: tensor) -> tensor",
     .doc = "The sum, element by element; of a set and a value: the set has the value from then on.",
     .example = "add([1.0, 2.0], 1.0)  //~ [2.0000 3.0000] shape=[2] float32",
     .native = native_add,
     .is_other_form = is_of_a_set},
    {"dict", "(items: any...) -> any",
     "A new map of a list of pairs or of another map, or of keys and values in turn, like {key: value}.",
     "dict([(\"a\", 1), (\"b\", 2)])  //~ {\"a\": 1, \"b\": 2}", Effect::Pure, native_dict},
    {"difference", "(a: any, b: any) -> any", "What is in the set a, or is a key of the map a, and not in b.",
     "difference({1, 2, 3}, {2})  //~ {1, 3}", Effect::Pure, native_difference},
    {"has", "(map: any, key: any) -> bool", "True if the key is in the map or set, like key in map.",
     "has({\"a\": 1}, \"a\")  //~ true", Effect::Pure, native_has},
    {"intersect", "(a: any, b: any) -> any", "What is in the set a, or is a key of the map a, and also in b.",
     "intersect({1, 2, 3}, {3, 2})  //~ {2, 3}", Effect::Pure, native_intersect},
    {"is_subset", "(a: any, b: any) -> bool", "True if all of a is in b.", "is_subset({1}, {1, 2})  //~ true",
     Effect::Pure, native_is_subset},
    {"items", "(map: any) -> list", "The pairs (key, value), in the order in which the keys came.",
     "items({\"a\": 1})  //~ [(\"a\", 1)]", Effect::Pure, native_items},
    {"keys", "(map: any) -> list", "The keys, in the order in which they came.",
     "keys({\"a\": 1, \"b\": 2})  //~ [\"a\", \"b\"]", Effect::Pure, native_keys},
    {"set_of", "(items: any...) -> any", "A new set of the items, like {a, b}.",
     "set_of(2, 1, 2)  //~ {2, 1}", Effect::Pure, native_set_of},
    {"union", "(a: any, b: any) -> any", "All of a and b; where both maps have a key, with the value of b.",
     "union({1, 2}, {2, 3})  //~ {1, 2, 3}", Effect::Pure, native_union},
    {"update", "(map: any, more: any) -> unit", "Adds the pairs of another map, or the items to a set.",
     "{ let m = {\"a\": 1}; m.update({\"a\": 2, \"b\": 3}); m }  //~ {\"a\": 2, \"b\": 3}", Effect::Mutates,
     native_update},
    {"values", "(map: any) -> list", "The values, in the order in which their keys came.",
     "values({\"a\": 1, \"b\": 2})  //~ [1, 2]", Effect::Pure, native_values},
};

}  // namespace

Result<Value> copy_of(const Value& keyed) {
  const Keyed& from = *keyed_of(keyed);
  Value made = from.has_values() ? Value(new Map) : Value(new Set);
  keyed_of(made)->copy_keys(from);
  keyed_of(made)->entries() = from.entries();
  return made;
}

Result<Value> new_set(CallContext& ctx, const Value& items) {
  if (items.is_empty()) return native_set_of(ctx, {});
  TL_TRY(std::vector<Value> all, to_items(ctx, items));
  return native_set_of(ctx, all);
}

Result<Value> remove_key(CallContext& ctx, Keyed& keyed, const Value& key, const Value& otherwise) {
  TL_TRY(const MapKey k, map_key(ctx, key));
  const size_t at = keyed.find(k.value, k.hash);
  if (at == Keyed::kNowhere) {
    if (!otherwise.is_empty()) return otherwise;
    TL_TRY(const std::string text, text_of(ctx.reader(), make_tuple({k.value})));
    return fail(Code::BadProgram, "remove: no key {} in a {} of {}", text.substr(1, text.size() - 3),
                keyed.has_values() ? "map" : "set", keyed.size());
  }
  const Value out = keyed.has_values() ? keyed.value(at) : keyed.key(at);
  keyed.remove(at);
  return out;
}

std::span<const Builtin> map_natives() {
  return kRows;
}

}  // namespace tl::lang
