#include "tl/builtins/tensor_index.h"

#include "tl/builtins/builtins.h"
#include "tl/builtins/convert.h"

namespace tl::lang {
namespace {

// What the op `index` takes for one axis.
struct AxisRange {
  i64 start = 0, count = 0, step = 1;
  bool drop = false;
};

// The items as one per axis, '...' spelled out. Gathers (lists of ints) stay items of kind At.
Result<std::vector<IndexItem>> one_per_axis(std::span<const IndexItem> items, const Tensor& tensor) {
  std::vector<IndexItem> out;
  size_t ellipses = 0;
  for (const IndexItem& item : items) ellipses += item.kind == IndexItem::Kind::Ellipsis ? 1 : 0;
  const size_t rank = static_cast<size_t>(tensor.rank()), given = items.size() - ellipses;
  if (ellipses > 1) return fail(Code::BadProgram, "index has '...' {} times, want it once", ellipses);
  if (given > rank) return fail(Code::BadProgram, "{} indices into {}", given, to_string(tensor.type()));
  const IndexItem all{.kind = IndexItem::Kind::Slice};
  for (const IndexItem& item : items) {
    if (item.kind == IndexItem::Kind::Ellipsis) {
      out.insert(out.end(), rank - given, all);
    } else {
      out.push_back(item);
    }
  }
  out.resize(rank, all);
  return out;
}

Result<AxisRange> range_of(CallContext& ctx, const IndexItem& item, i64 size, int axis) {
  AxisRange r;
  if (item.kind == IndexItem::Kind::At) {
    TL_TRY(const i64 at, item.value.is_int() ? Result<i64>(item.value.as_int()) : to_int(ctx, item.value));
    r = {at < 0 ? at + size : at, 1, 1, true};
    if (r.start < 0 || r.start >= size) {
      return fail(Code::BadProgram, "index {} is outside of axis {} of {}", at, axis, size);
    }
    return r;
  }
  TL_TRY(const SliceBounds b, slice_bounds(ctx, item, size));
  r.start = b.begin, r.step = b.step;
  r.count = b.count();
  if (r.count == 0) r.start = 0;
  if (r.count <= 1) r.step = 1;
  return r;
}

bool is_gather(const IndexItem& item) {
  if (item.kind != IndexItem::Kind::At) return false;
  const Tensor* t = tensor_of(item.value);
  return item.value.is(ObjectKind::List) || item.value.is(ObjectKind::Range) ||
         (t != nullptr && t->rank() > 0);
}

// x[[2, 0]] along `axis`: rows picked by a list, through embedding, which looks rows up along axis 0.
Result<Value> gather_axis(CallContext& ctx, const Value& x, int axis, const Value& ids) {
  TL_TRY(Tensor places, to_tensor(ctx, ids));
  if (places.rank() != 1)
    return fail(Code::BadProgram, "an index of {}, want a list of ints", to_string(places.type()));
  return call_op(ctx, "index_select", {x, Value(static_cast<i64>(axis)), make_tensor(std::move(places))});
}

}  // namespace

Result<Value> index_tensor(CallContext& ctx, const Value& tensor, std::span<const IndexItem> items) {
  const Tensor& x = *tensor_of(tensor);
  TL_TRY(std::vector<IndexItem> axes, one_per_axis(items, x));
  std::vector<i64> ranges;
  std::vector<std::pair<int, Value>> gathers;  // axis of the result, ids
  int out_axis = 0;
  bool is_all = true;
  for (size_t i = 0; i < axes.size(); ++i) {
    const int axis = static_cast<int>(i);
    if (is_gather(axes[i])) {
      gathers.emplace_back(out_axis, axes[i].value);
      axes[i] = IndexItem{.kind = IndexItem::Kind::Slice};
    }
    TL_TRY(const AxisRange r, range_of(ctx, axes[i], x.shape()[axis], axis));
    is_all = is_all && !r.drop && r.count == x.shape()[axis] && r.step == 1;
    ranges.insert(ranges.end(), {r.start, r.count, r.step, r.drop ? 1 : 0});
    out_axis += r.drop ? 0 : 1;
  }
  Value result = tensor;
  if (!is_all) {
    TL_TRY(result, call_op(ctx, "index", {tensor, make_ints(ranges)}));
  }
  for (const auto& [axis, ids] : gathers) {
    TL_TRY(result, gather_axis(ctx, result, axis, ids));
  }
  return result;
}

Result<Value> set_in_tensor(CallContext&, const Value&, std::span<const IndexItem>, const Value&) {
  return fail(Code::BadProgram, "not implemented yet: setting parts of tensors");
}

}  // namespace tl::lang
