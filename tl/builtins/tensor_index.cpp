#include "tl/builtins/tensor_index.h"

#include <algorithm>
#include <array>

#include "tl/builtins/builtins.h"
#include "tl/builtins/convert.h"
#include "tl/builtins/operators.h"
#include "tl/ops/ops.h"

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
  TL_TRY(Tensor places, to_tensor(ctx, ids, DType::I64));
  if (places.rank() != 1)
    return fail(Code::BadProgram, "an index of {}, want a list of ints", to_string(places.type()));
  return call_op(ctx, "index_select", {x, Value(static_cast<i64>(axis)), make_tensor(std::move(places))});
}

// What an index names: a window, and of the window's axes the places that lists pick.
struct Selection {
  std::vector<i64> ranges;                     // what the op `index` takes
  bool is_all = true;                          // the window is the whole tensor
  std::vector<std::pair<int, Value>> gathers;  // axis of the window, ids
  bool picks_together() const {
    return gathers.size() > 1 || (gathers.size() == 1 && tensor_of(gathers[0].second) != nullptr &&
                                  tensor_of(gathers[0].second)->rank() > 1);
  }
};

Result<Selection> select(CallContext& ctx, const Tensor& x, std::span<const IndexItem> items) {
  TL_TRY(std::vector<IndexItem> axes, one_per_axis(items, x));
  Selection s;
  int out_axis = 0;
  for (size_t i = 0; i < axes.size(); ++i) {
    const int axis = static_cast<int>(i);
    if (is_gather(axes[i])) {
      s.gathers.emplace_back(out_axis, axes[i].value);
      axes[i] = IndexItem{.kind = IndexItem::Kind::Slice};
    }
    TL_TRY(const AxisRange r, range_of(ctx, axes[i], x.shape()[axis], axis));
    s.is_all = s.is_all && !r.drop && r.count == x.shape()[axis] && r.step == 1;
    s.ranges.insert(s.ranges.end(), {r.start, r.count, r.step, r.drop ? 1 : 0});
    out_axis += r.drop ? 0 : 1;
  }
  return s;
}

// The program does not name the ops that index.
Error as_written(Error error) {
  for (const OpDef* op :
       {&op_index, &op_index_select, &op_set_item, &op_index_put, &op_broadcast_to, &op_counted_rows}) {
    const std::string prefix = fmt::format("{}: ", op->name);
    if (error.message.starts_with(prefix)) error.message.erase(0, prefix.size());
  }
  return error;
}

// ---- Masks ----------------------------------------------------------------------------------------------

// x[mask] of the leading axes, in one pass over both.
Result<Value> pick_rows(CallContext& ctx, const Tensor& x, const Value& mask) {
  TL_TRY(const Tensor picked, to_tensor(ctx, mask));
  auto both = ctx.executor().apply_all(op_counted_rows, std::array{x, picked}, {}, ctx.span);
  if (!both.ok()) return as_written(std::move(both).error());
  TL_TRY(Tensor rows, cut_rows(ctx, (*both)[0], (*both)[1]));
  return make_tensor(std::move(rows));
}

// The places where a mask is true, of all its axes as one.
Result<Tensor> places_of(CallContext& ctx, const Tensor& mask) {
  const auto reshaped = [&](const Tensor& t, std::vector<i64> shape) {
    return ctx.executor().apply(op_reshape, {t}, Attrs().with_ints(std::move(shape)), ctx.span);
  };
  TL_TRY(const Tensor flat, reshaped(mask, {-1}));
  TL_TRY(const std::vector<Tensor> both,
         ctx.executor().apply_all(op_counted_nonzero, {&flat, 1}, {}, ctx.span));
  TL_TRY(const Tensor places, cut_rows(ctx, both[0], both[1]));
  return reshaped(places, {places.shape()[0]});
}

// Masks beside other indices: the axes of each are one, of which a list of places picks.
struct Unmasked {
  Tensor x;
  std::vector<IndexItem> items;
};
Result<Unmasked> without_masks(CallContext& ctx, const Tensor& x, std::span<const IndexItem> items) {
  Unmasked out{x, {items.begin(), items.end()}};
  std::vector<Tensor> masks(items.size());
  int taken = 0;  // axes that are named
  for (size_t i = 0; i < items.size(); ++i) {
    if (is_mask(items[i])) {
      TL_TRY(masks[i], to_tensor(ctx, items[i].value));
    }
    if (items[i].kind != IndexItem::Kind::Ellipsis) taken += masks[i] ? masks[i].rank() : 1;
  }
  std::vector<i64> shape;
  int axis = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    const bool is_rest = items[i].kind == IndexItem::Kind::Ellipsis;
    const int axes = is_rest ? x.rank() - taken : masks[i] ? masks[i].rank() : 1;
    if (axes < 0 || axis + axes > x.rank())
      return fail(Code::BadProgram, "indices of {} axes into {}", taken, to_string(x.type()));
    const std::span<const i64> dims(x.shape().begin() + axis, static_cast<size_t>(axes));
    axis += axes;
    if (!masks[i]) {
      shape.insert(shape.end(), dims.begin(), dims.end());
      continue;
    }
    if (!std::equal(dims.begin(), dims.end(), masks[i].shape().begin()))
      return fail(Code::BadProgram, "a mask of {} does not fit the axes from {} on of {}",
                  to_string(masks[i].shape()), axis - axes, to_string(x.type()));
    shape.push_back(numel(masks[i].shape()));
    TL_TRY(Tensor places, places_of(ctx, masks[i]));
    out.items[i].value = make_tensor(std::move(places));
  }
  shape.insert(shape.end(), x.shape().begin() + axis, x.shape().end());
  if (static_cast<int>(shape.size()) == x.rank()) return out;
  TL_TRY(out.x, ctx.executor().apply(op_reshape, {x}, Attrs().with_ints(std::move(shape)), ctx.span));
  return out;
}

// ---- New axes ---------------------------------------------------------------------------------------------

bool is_new_axis(const IndexItem& item) {
  return item.kind == IndexItem::Kind::At && item.value.is_unit();
}

// The items without those that make axes, and where these are in the result. What drops an axis has none in
// it, '...' as many as are left. Lists that pick together are no place to count from.
struct NewAxes {
  std::vector<IndexItem> others;
  std::vector<i64> places;
};
Result<NewAxes> new_axes(const Tensor& x, std::span<const IndexItem> items) {
  NewAxes out;
  i64 at = 0, named = 0;
  for (const IndexItem& item : items)
    named += is_new_axis(item) || item.kind == IndexItem::Kind::Ellipsis ? 0 : 1;
  for (const IndexItem& item : items) {
    if (is_new_axis(item)) {
      out.places.push_back(at++);
      continue;
    }
    out.others.push_back(item);
    if (is_gather(item) || is_mask(item))
      return fail(Code::BadProgram, "an index of none beside a list or mask: take x[list] first");
    if (item.kind == IndexItem::Kind::Slice) ++at;
    if (item.kind == IndexItem::Kind::Ellipsis) at += std::max<i64>(x.rank() - named, 0);
  }
  return out;
}

// ---- Lists that pick together -----------------------------------------------------------------------------

// NumPy's rule for several lists: they are broadcast to one shape, and pick a place for each of its numbers.
// The axes they pick from become one, of which the places are computed; where the lists do not stand side by
// side, its axes come first.
struct Together {
  Tensor x;                // the axes that are picked from side by side, as one
  int axis = 0;            // that one
  Tensor places;           // of it, flat
  Shape shape;             // of the lists together
  std::vector<int> order;  // of the axes of the tensor that x is a view of
  Shape permuted;          // its dims in that order
};

Result<Tensor> apply(CallContext& ctx, const OpDef& op, std::initializer_list<Tensor> inputs,
                     Attrs attrs = {}) {
  return ctx.executor().apply(op, inputs, std::move(attrs), ctx.span);
}
Result<Tensor> reshaped(CallContext& ctx, const Tensor& t, std::span<const i64> dims) {
  return apply(ctx, op_reshape, {t}, Attrs().with_ints({dims.begin(), dims.end()}));
}

// Ints as places of an axis: negative ones count from its end, and others that it does not have fail when
// they are looked at.
Result<Value> checked_places(CallContext& ctx, const Tensor& ids, i64 size) {
  const i64 flat[] = {-1};
  TL_TRY(const Tensor row, reshaped(ctx, ids, flat));
  TL_TRY(const Value all, call_op(ctx, "arange", {Value(0.0), Value(static_cast<f64>(size))}));
  TL_TRY(const Tensor places, apply(ctx, op_index_select, {*tensor_of(all), row}, Attrs().with_int(0)));
  TL_TRY(Tensor shaped, reshaped(ctx, places, ids.shape()));
  return make_tensor(std::move(shaped));
}

// The lists of places along axes of x, in order.
Result<Together> together(CallContext& ctx, const Tensor& x, std::span<const std::pair<int, Value>> gathers) {
  Together out;
  std::vector<Tensor> lists;
  for (const auto& [axis, ids] : gathers) {
    TL_TRY(Tensor t, to_tensor(ctx, ids, DType::I64));
    if (!is_int(t.dtype())) return fail(Code::BadProgram, "an index of {}, want ints", to_string(t.type()));
    const auto both = lists.empty() ? std::optional(t.shape()) : broadcast(out.shape, t.shape());
    if (!both) {
      return fail(Code::BadProgram, "lists of {} and {} do not pick together", to_string(out.shape),
                  to_string(t.shape()));
    }
    out.shape = *both;
    lists.push_back(std::move(t));
  }
  const int first = gathers.front().first, count = static_cast<int>(gathers.size());
  const bool are_neighbours = gathers.back().first - first + 1 == count;
  const auto is_picked = [&](int axis) {
    return std::any_of(gathers.begin(), gathers.end(), [&](const auto& g) { return g.first == axis; });
  };
  out.axis = are_neighbours ? first : 0;
  for (int i = 0; i < out.axis; ++i) out.order.push_back(i);
  for (const auto& g : gathers) out.order.push_back(g.first);
  for (int i = 0; i < x.rank(); ++i) {
    if (!is_picked(i) && i >= out.axis) out.order.push_back(i);
  }
  std::vector<i64> order(out.order.begin(), out.order.end()), dims;
  for (const int i : out.order) out.permuted.push_back(x.shape()[i]);
  Tensor turned = x;
  if (!are_neighbours) {
    TL_TRY(turned, apply(ctx, op_permute, {x}, Attrs().with_ints(order)));
  }
  i64 whole = 1;
  for (int i = 0; i < x.rank(); ++i) {
    const i64 dim = out.permuted[i];
    if (i >= out.axis && i < out.axis + count) {
      whole *= dim;
      if (i + 1 == out.axis + count) dims.push_back(whole);
    } else {
      dims.push_back(dim);
    }
  }
  TL_TRY(out.x, reshaped(ctx, turned, dims));
  Value places;
  for (int k = 0; k < count; ++k) {
    TL_TRY(Value ids, checked_places(ctx, lists[static_cast<size_t>(k)],
                                     x.shape()[gathers[static_cast<size_t>(k)].first]));
    if (k > 0) {
      TL_TRY(places, apply_operator(ctx, Operator::Mul, places,
                                    Value(x.shape()[gathers[static_cast<size_t>(k)].first])));
      TL_TRY(ids, apply_operator(ctx, Operator::Add, places, ids));
    }
    places = std::move(ids);
  }
  const i64 flat[] = {-1};
  TL_TRY(out.places, reshaped(ctx, *tensor_of(places), flat));
  return out;
}

// Dims of x with the picked axis spelled out as the lists' shape, or as `count` dims from `from`.
std::vector<i64> spelled(const Tensor& x, int axis, std::span<const i64> instead) {
  std::vector<i64> dims(x.shape().begin(), x.shape().begin() + axis);
  dims.insert(dims.end(), instead.begin(), instead.end());
  dims.insert(dims.end(), x.shape().begin() + axis + 1, x.shape().end());
  return dims;
}

Result<Tensor> pick_together(CallContext& ctx, const Tensor& x,
                             std::span<const std::pair<int, Value>> gathers) {
  TL_TRY(const Together t, together(ctx, x, gathers));
  TL_TRY(const Tensor rows, apply(ctx, op_index_select, {t.x, t.places}, Attrs().with_int(t.axis)));
  return reshaped(ctx, rows, spelled(rows, t.axis, t.shape));
}

Result<Tensor> put_together(CallContext& ctx, const Tensor& x, std::span<const std::pair<int, Value>> gathers,
                            const Tensor& put) {
  TL_TRY(const Together t, together(ctx, x, gathers));
  const std::vector<i64> wanted = spelled(t.x, t.axis, t.shape);
  std::vector<i64> laid(t.x.shape().begin(), t.x.shape().end());
  laid[static_cast<size_t>(t.axis)] = numel(t.shape);
  TL_TRY(const Tensor wide, apply(ctx, op_broadcast_to, {put}, Attrs().with_ints(wanted)));
  TL_TRY(const Tensor rows, reshaped(ctx, wide, laid));
  TL_TRY(const Tensor changed, apply(ctx, op_index_put, {t.x, t.places, rows}, Attrs().with_int(t.axis)));
  TL_TRY(const Tensor turned, reshaped(ctx, changed, t.permuted));
  std::vector<i64> back(t.order.size());
  bool is_turned = false;
  for (size_t i = 0; i < t.order.size(); ++i) {
    back[static_cast<size_t>(t.order[i])] = static_cast<i64>(i);
    is_turned = is_turned || t.order[i] != static_cast<int>(i);
  }
  if (!is_turned) return turned;
  return apply(ctx, op_permute, {turned}, Attrs().with_ints(back));
}

bool has_mask(std::span<const IndexItem> items) {
  return std::any_of(items.begin(), items.end(), is_mask);
}

// ---- Setting ----------------------------------------------------------------------------------------------

// A value as it goes into a part of x, which keeps its type: only what has a place in it is taken.
Result<Tensor> as_part(CallContext& ctx, const Tensor& x, const Value& value) {
  auto made = to_tensor(ctx, value, x.dtype());
  if (!made.ok()) {
    made.error().message = "value " + made.error().message;
    return std::move(made).error();
  }
  const DType from = made->dtype(), to = x.dtype();
  if (from == to) return made;
  const bool fits = is_float(to) ? !is_quantised(from) : is_int(to) && !is_float(from) && !is_quantised(from);
  if (!fits) {
    return fail(Code::BadProgram, "value is {}, which does not fit into {}: cast one of them",
                to_string(made->type()), to_string(x.type()));
  }
  return ctx.executor().apply(op_cast, {*made}, Attrs().with_dtype(to), ctx.span);
}

// The value has one number for all places, or one for every place of x, those that stay among them: how many
// the mask picks is not known before it is computed.
Result<Value> set_where(CallContext& ctx, const Tensor& x, Tensor mask, const Tensor& put) {
  bool fits = mask.rank() <= x.rank();
  for (int i = 0; fits && i < mask.rank(); ++i) fits = mask.shape()[i] == x.shape()[i];
  if (!fits) {
    return fail(Code::BadProgram, "a mask of {} does not fit {}", to_string(mask.shape()),
                to_string(x.type()));
  }
  const auto both = broadcast(put.shape(), x.shape());
  if (!both || !(*both == x.shape())) {
    return fail(Code::BadProgram, "{} cannot be broadcast to {}, of which a mask picks",
                to_string(put.shape()), to_string(x.shape()));
  }
  while (mask.rank() < x.rank()) {
    TL_TRY(mask, ctx.executor().apply(op_unsqueeze, {mask}, Attrs().with_int(mask.rank()), ctx.span));
  }
  TL_TRY(Tensor after, ctx.executor().apply(op_where, {mask, put, x}, {}, ctx.span));
  return make_tensor(std::move(after));
}

Result<Tensor> put_gathers(CallContext& ctx, const Tensor& x, std::span<const std::pair<int, Value>> gathers,
                           const Tensor& put) {
  const auto& [axis, ids] = gathers.front();
  TL_TRY(const Tensor places, to_tensor(ctx, ids, DType::I64));
  if (gathers.size() == 1 && places.rank() == 1)
    return ctx.executor().apply(op_index_put, {x, places, put}, Attrs().with_int(axis), ctx.span);
  return put_together(ctx, x, gathers, put);
}

// Records what the executor does in place where nobody else holds x by then.
Result<Tensor> set_selection(CallContext& ctx, const Tensor& x, const Selection& s, const Tensor& put) {
  const auto window = [&](const OpDef& op, std::initializer_list<Tensor> inputs) {
    return ctx.executor().apply(op, inputs, Attrs().with_ints(s.ranges), ctx.span);
  };
  if (s.gathers.empty()) return window(op_set_item, {x, put});
  if (s.is_all) return put_gathers(ctx, x, s.gathers, put);
  TL_TRY(const Tensor part, window(op_index, {x}));
  TL_TRY(const Tensor changed, put_gathers(ctx, part, s.gathers, put));
  return window(op_set_item, {x, changed});
}

}  // namespace

bool is_mask(const IndexItem& item) {
  if (item.kind != IndexItem::Kind::At) return false;
  if (const auto* list = item.value.get_if<List>()) return !list->items.empty() && list->items[0].is_bool();
  const Tensor* t = tensor_of(item.value);
  return t != nullptr && t->rank() > 0 && t->dtype() == DType::Bool;
}

Result<Tensor> cut_rows(CallContext& ctx, const Tensor& rows, const Tensor& count) {
  TL_TRY(const i64 n, ctx.executor().item_int(count));
  const i64 capacity = rows.shape()[0];
  if (n == capacity) return rows;
  std::vector<i64> ranges{0, n, 1, 0};
  for (int i = 1; i < rows.rank(); ++i) ranges.insert(ranges.end(), {0, rows.shape()[i], 1, 0});
  TL_TRY(Tensor part, ctx.executor().apply(op_index, {rows}, Attrs().with_ints(std::move(ranges)), ctx.span));
  if (n > capacity / 2) return part;
  return ctx.executor().apply(op_contiguous, {part}, {}, ctx.span);
}

Result<Value> index_tensor(CallContext& ctx, const Value& tensor, std::span<const IndexItem> items) {
  if (std::any_of(items.begin(), items.end(), is_new_axis)) {
    TL_TRY(const NewAxes axes, new_axes(*tensor_of(tensor), items));
    TL_TRY(Value part, index_tensor(ctx, tensor, axes.others));
    for (const i64 at : axes.places) {
      TL_TRY(part, call_op(ctx, "unsqueeze", {part, Value(at)}));
    }
    return part;
  }
  if (has_mask(items)) {
    const Tensor& x = *tensor_of(tensor);
    if (items.size() == 1) return pick_rows(ctx, x, items[0].value);
    TL_TRY(const Unmasked plain, without_masks(ctx, x, items));
    return index_tensor(ctx, make_tensor(plain.x), plain.items);
  }
  TL_TRY(const Selection s, select(ctx, *tensor_of(tensor), items));
  Value result = tensor;
  if (!s.is_all) {
    TL_TRY(result, call_op(ctx, "index", {tensor, make_ints(s.ranges)}));
  }
  if (s.picks_together()) {
    auto picked = pick_together(ctx, *tensor_of(result), s.gathers);
    if (!picked.ok()) return as_written(std::move(picked).error());
    return make_tensor(std::move(picked).value());
  }
  for (const auto& [axis, ids] : s.gathers) {
    auto gathered = gather_axis(ctx, result, axis, ids);
    if (!gathered.ok()) return as_written(std::move(gathered).error());
    result = std::move(gathered).value();
  }
  return result;
}

Result<Value> set_in_tensor(CallContext& ctx, const Value& tensor, std::span<const IndexItem> items,
                            const Value& value) {
  const Tensor& x = *tensor_of(tensor);
  TL_TRY(Tensor put, as_part(ctx, x, value));
  if (items.size() == 1 && is_mask(items[0])) {
    TL_TRY(Tensor mask, to_tensor(ctx, items[0].value));
    return set_where(ctx, x, std::move(mask), put);
  }
  if (has_mask(items)) {
    TL_TRY(const Unmasked plain, without_masks(ctx, x, items));
    TL_TRY(const Selection part, select(ctx, plain.x, plain.items));
    TL_TRY(const Tensor after, set_selection(ctx, plain.x, part, put));
    return call_op(ctx, "reshape", {make_tensor(after), make_ints(x.shape())});
  }
  TL_TRY(const Selection part, select(ctx, x, items));
  auto after = set_selection(ctx, x, part, put);
  if (!after.ok()) return as_written(std::move(after).error());
  return make_tensor(std::move(after).value());
}

}  // namespace tl::lang
