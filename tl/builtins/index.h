// x[...], x[...] = v and x.field on values of any kind.
#pragma once

#include "tl/builtins/context.h"
#include "tl/value/map.h"

namespace tl::lang {

struct IndexItem {
  enum class Kind : u8 { At, Slice, Ellipsis };
  Kind kind = Kind::At;
  Value value = {};                       // At
  Value begin = {}, end = {}, step = {};  // Slice; Empty where not written
};

struct SliceBounds {
  i64 begin = 0, end = 0, step = 1;
  i64 count() const;  // places from `begin` on, before `end`
};
// Where a slice of `size` items begins and ends. Python's rule: out-of-range bounds are cut, negative ones
// count from the end.
Result<SliceBounds> slice_bounds(CallContext& ctx, const IndexItem& item, i64 size);

// One plain index, the common case.
Result<Value> index_at(CallContext& ctx, const Value& object, const Value& at);
Result<Value> index(CallContext& ctx, const Value& object, std::span<const IndexItem> items);
// Gives what the variable holds afterwards: the same list, or (tensors never change) a new tensor.
Result<Value> set_index(CallContext& ctx, const Value& object, std::span<const IndexItem> items,
                        const Value& value);
inline Result<Value> set_index(CallContext& ctx, const Value& object, std::initializer_list<IndexItem> items,
                               const Value& value) {
  return set_index(ctx, object, std::span<const IndexItem>(items.begin(), items.size()), value);
}

// A key as maps have it: a tensor of one number is that number.
struct MapKey {
  Value value;
  u64 hash;
};
Result<MapKey> map_key(CallContext& ctx, const Value& key);
Result<Value> map_at(CallContext& ctx, const Map& map, const Value& key);
Result<void> set_in_map(CallContext& ctx, Map& map, const Value& key, const Value& value);

Result<Value> get_field(CallContext& ctx, const Value& object, std::string_view name);

// Pieces of `size` items of a list, or of a tensor along an axis; the last may be shorter.
Result<Value> split_parts(CallContext& ctx, const Value& x, i64 size, i64 axis);
// Rows [begin, end) of a tensor along an axis.
Result<Value> slice_axis(CallContext& ctx, const Value& tensor, i64 axis, i64 begin, i64 end);

}  // namespace tl::lang
