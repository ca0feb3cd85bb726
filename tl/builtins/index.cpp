#include "tl/builtins/index.h"

#include "tl/base/utf8.h"
#include "tl/builtins/builtins.h"
#include "tl/builtins/convert.h"
#include "tl/builtins/model.h"
#include "tl/builtins/tensor_index.h"

namespace tl::lang {
namespace {

// -1 is the last of `size`.
Result<i64> position(i64 index, i64 size, std::string_view what) {
  const i64 at = index < 0 ? index + size : index;
  if (at < 0 || at >= size)
    return fail(Code::BadProgram, "index {} is outside of a {} of {}", index, what, size);
  return at;
}

Result<Value> string_at(const String& s, i64 index) {
  TL_TRY(const i64 at, position(index, s.chars(), "string"));
  if (s.is_bytes()) return make_string(std::string(1, s.text[static_cast<size_t>(at)]));
  const std::string_view rest = std::string_view(s.text).substr(utf8::char_offset(s.text, at));
  return make_string(std::string(rest.substr(0, utf8::char_offset(rest, 1))));
}

// The bytes of characters [begin, end).
std::string_view characters(const String& s, i64 begin, i64 end) {
  const std::string_view text = s.text;
  if (end <= begin) return {};
  if (s.is_bytes()) return text.substr(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
  const std::string_view rest = text.substr(utf8::char_offset(text, begin));
  return rest.substr(0, utf8::char_offset(rest, end - begin));
}

Result<Value> slice_string(CallContext& ctx, const String& s, const IndexItem& item) {
  TL_TRY(const SliceBounds b, slice_bounds(ctx, item, s.chars()));
  if (b.step == 1) return make_string(std::string(characters(s, b.begin, b.end)));
  const std::string_view text = s.text;
  std::vector<size_t> starts;
  for (size_t at = 0; at < text.size(); at += utf8::char_offset(text.substr(at), 1)) starts.push_back(at);
  starts.push_back(text.size());
  std::string out;
  for (i64 n = b.count(), i = b.begin; n > 0; --n, i += n > 0 ? b.step : 0) {
    out += text.substr(starts[static_cast<size_t>(i)],
                       starts[static_cast<size_t>(i) + 1] - starts[static_cast<size_t>(i)]);
  }
  return make_string(std::move(out));
}

// Looks at no other items than it takes.
Result<Value> slice(CallContext& ctx, const Value& object, const IndexItem& item) {
  if (const auto* s = object.get_if<String>()) return slice_string(ctx, *s, item);
  std::vector<Value> made;
  std::span<const Value> items;
  const auto* const range = object.get_if<Range>();
  if (const auto* list = object.get_if<List>()) {
    items = list->items;
  } else if (const auto* tuple = object.get_if<Tuple>()) {
    items = tuple->items;
  } else if (keyed_of(object) != nullptr) {
    return fail(Code::BadProgram, "a {} has no order to cut from: take list(...) of it", type_name(object));
  } else if (range == nullptr) {
    TL_TRY(made, to_items(ctx, object));
    items = made;
  }
  const i64 size = range != nullptr ? range->size() : static_cast<i64>(items.size());
  TL_TRY(const SliceBounds b, slice_bounds(ctx, item, size));
  std::vector<Value> out;
  out.reserve(static_cast<size_t>(b.count()));
  for (i64 n = b.count(), i = b.begin; n > 0; --n, i += n > 0 ? b.step : 0)
    out.push_back(range != nullptr ? Value(range->at(i)) : items[static_cast<size_t>(i)]);
  return object.is(ObjectKind::Tuple) ? make_tuple(std::move(out)) : make_list(std::move(out));
}

// m[a, b] is m[(a, b)].
Result<Value> tuple_key(std::span<const IndexItem> items) {
  std::vector<Value> parts;
  for (const IndexItem& item : items) {
    if (item.kind != IndexItem::Kind::At) return fail(Code::BadProgram, "a slice is no key of a map");
    parts.push_back(item.value);
  }
  return parts.size() == 1 ? parts[0] : make_tuple(std::move(parts));
}

bool is_index_tensor(const Value& v) {
  const Tensor* t = tensor_of(v);
  return t != nullptr && t->rank() > 0;
}

}  // namespace

i64 SliceBounds::count() const {
  const i64 distance = step > 0 ? end - begin : begin - end;
  if (distance <= 0) return 0;
  const u64 stride = step > 0 ? static_cast<u64>(step) : -static_cast<u64>(step);  // of the lowest i64 too
  return 1 + static_cast<i64>(static_cast<u64>(distance - 1) / stride);
}

Result<SliceBounds> slice_bounds(CallContext& ctx, const IndexItem& item, i64 size) {
  SliceBounds b;
  if (!item.step.is_empty()) {
    TL_TRY(b.step, to_int(ctx, item.step));
  }
  if (b.step == 0) return fail(Code::BadProgram, "slice step is 0");
  const i64 low = b.step > 0 ? 0 : -1, high = b.step > 0 ? size : size - 1;
  const auto bound = [&](const Value& v, i64 missing) -> Result<i64> {
    if (v.is_empty()) return missing;
    TL_TRY(i64 at, to_int(ctx, v));
    if (at < 0) at += size;
    return std::min(std::max(at, low), high);
  };
  TL_TRY(b.begin, bound(item.begin, b.step > 0 ? low : high));
  TL_TRY(b.end, bound(item.end, b.step > 0 ? high : low));
  return b;
}

Result<MapKey> map_key(CallContext& ctx, const Value& key) {
  if (const Tensor* t = tensor_of(key); t != nullptr && t->rank() == 0) {
    TL_TRY(const Value number, to_scalar(ctx, key));
    TL_TRY(const u64 hash, hash_of(number));
    return MapKey{number, hash};
  }
  TL_TRY(const u64 hash, hash_of(key));
  return MapKey{key, hash};
}

Result<Value> map_at(CallContext& ctx, const Map& map, const Value& key) {
  if (u64 hash = 0; quick_hash(key, hash)) {
    const size_t at = map.find(key, hash);
    if (at != Keyed::kNowhere) return map.value(at);
  }
  TL_TRY(const MapKey k, map_key(ctx, key));
  const size_t at = map.find(k.value, k.hash);
  if (at != Keyed::kNowhere) return map.value(at);
  TL_TRY(const std::string text, text_of(ctx.reader(), make_tuple({k.value})));
  return fail(Code::BadProgram, "no key {} in a map of {}", text.substr(1, text.size() - 3), map.size());
}

Result<void> set_in_map(CallContext& ctx, Map& map, const Value& key, const Value& value) {
  Value old = value;
  if (u64 hash = 0; quick_hash(key, hash)) {
    map.value(map.add(key, hash)).swap(old);
    return {};
  }
  TL_TRY(const MapKey k, map_key(ctx, key));
  map.value(map.add(k.value, k.hash)).swap(old);
  return {};
}

Result<Value> index_at(CallContext& ctx, const Value& object, const Value& at) {
  if (object.is_object()) {
    switch (object.object()->kind) {
      case ObjectKind::List:
      case ObjectKind::Tuple: {
        const auto& items = object.is(ObjectKind::List) ? object.as<List>().items : object.as<Tuple>().items;
        TL_TRY(const i64 i, at.is_int() ? Result<i64>(at.as_int()) : to_int(ctx, at));
        TL_TRY(const i64 p,
               position(i, static_cast<i64>(items.size()), object.is(ObjectKind::List) ? "list" : "tuple"));
        return items[static_cast<size_t>(p)];
      }
      case ObjectKind::Range: {
        TL_TRY(const i64 i, to_int(ctx, at));
        TL_TRY(const i64 p, position(i, object.as<Range>().size(), "range"));
        return Value(object.as<Range>().at(p));
      }
      case ObjectKind::String: {
        TL_TRY(const i64 i, to_int(ctx, at));
        return string_at(object.as<String>(), i);
      }
      case ObjectKind::ModelPath: {
        if (at.is_int()) {
          auto inside = model_path_index(ctx, object, at.as_int());
          if (inside.ok()) return inside;
        }
        TL_TRY(Tensor tensor, model_path_tensor(ctx, object));
        return index_at(ctx, make_tensor(std::move(tensor)), at);
      }
      case ObjectKind::Metadata:
        return metadata_get(ctx, object, at, Value());
      case ObjectKind::Map:
        return map_at(ctx, object.as<Map>(), at);
      case ObjectKind::Tensor: {
        const IndexItem item{.value = at};
        return index_tensor(ctx, object, {&item, 1});
      }
      default:
        break;
    }
  }
  return fail(Code::BadProgram, "{} cannot be indexed", type_name(object));
}

Result<Value> index(CallContext& ctx, const Value& object, std::span<const IndexItem> items) {
  if (object.is(ObjectKind::Tensor)) return index_tensor(ctx, object, items);
  if (object.is(ObjectKind::ModelPath)) {
    if (items.size() == 1 && items[0].kind == IndexItem::Kind::At)
      return index_at(ctx, object, items[0].value);
    TL_TRY(Tensor tensor, model_path_tensor(ctx, object));
    return index_tensor(ctx, make_tensor(std::move(tensor)), items);
  }
  if (items.size() == 1) {
    if (items[0].kind == IndexItem::Kind::At) {
      if (object.is(ObjectKind::List) &&
          (items[0].value.is(ObjectKind::List) || is_index_tensor(items[0].value))) {
        TL_TRY(Tensor tensor, to_tensor(ctx, object));
        return index_tensor(ctx, make_tensor(std::move(tensor)), items);
      }
      return index_at(ctx, object, items[0].value);
    }
    if (items[0].kind == IndexItem::Kind::Slice) return slice(ctx, object, items[0]);
  }
  if (const auto* map = object.get_if<Map>()) {
    TL_TRY(const Value key, tuple_key(items));
    return map_at(ctx, *map, key);
  }
  if (object.is(ObjectKind::List)) {  // several indices: a tensor is wanted
    TL_TRY(Tensor tensor, to_tensor(ctx, object));
    return index_tensor(ctx, make_tensor(std::move(tensor)), items);
  }
  return fail(Code::BadProgram, "{} cannot take {} indices", type_name(object), items.size());
}

Result<Value> set_index(CallContext& ctx, const Value& object, std::span<const IndexItem> items,
                        const Value& value) {
  if (auto* list = object.get_if<List>()) {
    if (items.size() != 1 || items[0].kind != IndexItem::Kind::At) {
      return fail(Code::BadProgram, "an item of a list is set by one index");
    }
    TL_TRY(const i64 i, to_int(ctx, items[0].value));
    TL_TRY(const i64 p, position(i, static_cast<i64>(list->items.size()), "list"));
    list->items[static_cast<size_t>(p)] = value;
    return object;
  }
  if (auto* map = object.get_if<Map>()) {
    TL_TRY(const Value key, tuple_key(items));
    TL_TRY_DO(set_in_map(ctx, *map, key, value));
    return object;
  }
  if (object.is(ObjectKind::Tensor)) return set_in_tensor(ctx, object, items, value);
  return fail(Code::BadProgram, "items of {} cannot be set", type_name(object));
}

Result<Value> get_field(CallContext& ctx, const Value& object, std::string_view name) {
  if (const auto* s = object.get_if<Struct>()) {
    const int at = s->type.find(name);
    if (at >= 0) return s->fields[static_cast<size_t>(at)];
    return fail(Code::BadProgram, "{} has no field '{}'", s->type.name, name);
  }
  const bool is_number =
      !name.empty() && name.find_first_not_of("0123456789") == std::string_view::npos && name.size() < 10;
  if (const auto* tuple = object.get_if<Tuple>(); tuple != nullptr && is_number) {
    const size_t at = std::stoul(std::string(name));
    if (at < tuple->items.size()) return tuple->items[at];
    return fail(Code::BadProgram, "a tuple of {} has no field '{}'", tuple->items.size(), name);
  }
  if (object.is(ObjectKind::Model) || object.is(ObjectKind::ModelPath) || object.is(ObjectKind::Tokenizer)) {
    return model_field(ctx, object, name);
  }
  if (const Tensor* t = tensor_of(object)) {  // NumPy's habits
    if (name == "shape") return make_ints(t->shape());
    if (name == "dtype") return Value(t->dtype());
    if (name == "ndim" || name == "rank") return Value(static_cast<i64>(t->rank()));
    if (name == "T") return call_op(ctx, "transpose", {object});
  }
  return fail(Code::BadProgram, "{} has no field '{}'", type_name(object), name);
}

Result<Value> split_parts(CallContext& ctx, const Value& x, i64 size, i64 axis) {
  if (size < 1) return fail(Code::BadProgram, "split: a part has {} items, want at least 1", size);
  std::vector<Value> parts;
  if (const Tensor* t = tensor_of(x)) {
    auto at = checked_axis(axis, t->shape());
    if (!at.ok()) return std::move(at).error().within("split");
    const i64 total = t->shape()[*at];
    size = std::min(size, std::max<i64>(total, 1));
    for (i64 i = 0; i < total; i += size) {
      TL_TRY(Value part, slice_axis(ctx, x, *at, i, std::min(i + size, total)));
      parts.push_back(std::move(part));
    }
    return make_list(std::move(parts));
  }
  TL_TRY(const std::vector<Value> items, to_items(ctx, x));
  size = std::min(size, std::max<i64>(static_cast<i64>(items.size()), 1));
  for (size_t i = 0; i < items.size(); i += static_cast<size_t>(size)) {
    const size_t end = std::min(items.size(), i + static_cast<size_t>(size));
    parts.push_back(make_list(
        {items.begin() + static_cast<std::ptrdiff_t>(i), items.begin() + static_cast<std::ptrdiff_t>(end)}));
  }
  return make_list(std::move(parts));
}

Result<Value> slice_axis(CallContext& ctx, const Value& tensor, i64 axis, i64 begin, i64 end) {
  std::vector<IndexItem> items(static_cast<size_t>(axis) + 1);
  for (IndexItem& item : items) item.kind = IndexItem::Kind::Slice;
  items.back().begin = Value(begin);
  items.back().end = Value(end);
  return index_tensor(ctx, tensor, items);
}

}  // namespace tl::lang
