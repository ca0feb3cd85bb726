// x[...] of tensors and sequences.
#include <algorithm>

#include "tl/sema/checker.h"

namespace tl::sema {

Type Checker::index(const ast::Index& e, Type* of) {
  const Type object = expression(*e.object);
  if (of != nullptr) *of = object;
  std::vector<Type> at;
  for (const ast::IndexItem& item : e.items) {
    if (item.kind == ast::IndexItem::Kind::Normalised || item.kind == ast::IndexItem::Kind::Virtual)
      return {};
    for (const auto* bound : {&item.begin, &item.end, &item.step}) {
      if (*bound == nullptr) continue;
      const Type t = expression(**bound);
      if (t.is(Kind::String) || t.is(Kind::List) || t.is(Kind::Bool))
        diags_.report(DiagCode::TypeMismatch, (*bound)->span, "index", describe(t), "int");
    }
    at.push_back(item.value != nullptr ? expression(*item.value) : Type{});
  }
  switch (object.kind) {
    case Kind::Any:
      return {};
    case Kind::Tensor:
      return object.tensor.rank_known ? index_tensor(e, object, at) : Type{};
    case Kind::List:
    case Kind::Tuple:
    case Kind::String:
    case Kind::Range:
      return e.items.size() == 1 ? index_sequence(e, object, at[0]) : Type{};
    default:
      diags_.report(DiagCode::NotIndexable, e.object->span, describe(object));
      return {};
  }
}

// x[...] = value
void Checker::set_part(const ast::Index& target, const Type& value) {
  Type object;
  const Type part = index(target, &object);
  if (object.is(Kind::String) || object.is(Kind::Tuple) || object.is(Kind::Range)) {
    diags_.report(DiagCode::BadAssignTarget, target.span, fmt::format("an item of a {}", describe(object)));
    return;
  }
  if (!object.is(Kind::Tensor) || value.is_any()) return;
  const std::optional<Type> put = to_tensor(value);
  if (!put) {
    diags_.report(DiagCode::TypeMismatch, target.span, "value", describe(value), "tensor");
    return;
  }
  if (!put->has_rank() || !part.has_rank()) return;
  const Shape &from = put->tensor.shape, &to = part.tensor.shape;
  const std::optional<Shape> both = broadcast(from, to);
  bool fits = both && both->size() == to.size();
  for (int i = 0; fits && i < to.size(); ++i) fits = same_dim((*both)[i], to[i]);
  if (fits) return;
  diags_.report(DiagCode::NoBroadcast, target.span, to_string(from), to_string(to))
      .also(target.object->span, "this is {}", shape_text(object));
}

Type Checker::index_sequence(const ast::Index& e, const Type& object, const Type& at) {
  if (e.items[0].kind != ast::IndexItem::Kind::At) {
    return object.is(Kind::String) ? object : object.is(Kind::Range) ? Type{} : make_type(object.kind);
  }
  const Span span = e.items[0].value->span;
  if (at.is(Kind::String) || at.is(Kind::Bool)) {
    diags_.report(DiagCode::TypeMismatch, span, "index", describe(at), "int");
    return {};
  }
  if (object.is(Kind::String)) return make_type(Kind::String);
  if (object.is(Kind::Range)) return int_type();
  if (!object.items_known || !at.whole) return {};
  const auto size = static_cast<i64>(object.items.size());
  const i64 place = *at.whole < 0 ? *at.whole + size : *at.whole;
  if (place >= 0 && place < size) return object.items[static_cast<size_t>(place)];
  diags_.report(DiagCode::IndexRange, span, *at.whole, fmt::format("a {} of {}", describe(object), size));
  return {};
}

// How many a slice takes of an axis of `size`; bounds beyond the ends are cut.
i64 Checker::slice_size(const ast::IndexItem& item, i64 size) {
  const auto constant = [&](const ast::ExprPtr& e) -> std::optional<i64> {
    if (const auto* number = ast::get_if<ast::Int>(e)) return number->value;
    const auto* minus = ast::get_if<ast::Unary>(e);
    const auto* number = minus != nullptr ? ast::get_if<ast::Int>(minus->operand) : nullptr;
    if (number == nullptr || minus->op != ast::UnaryOp::Minus) return {};
    return -number->value;
  };
  const std::optional<i64> step = item.step == nullptr ? 1 : constant(item.step);
  if (item.begin == nullptr && item.end == nullptr && step && (*step == 1 || *step == -1)) return size;
  if (size == kUnknownDim || !step || *step == 0 || *step > size || *step < -size) return kUnknownDim;
  const i64 low = *step > 0 ? 0 : -1, high = *step > 0 ? size : size - 1;
  const auto bound = [&](const ast::ExprPtr& e, i64 missing) -> std::optional<i64> {
    if (e == nullptr) return missing;
    const std::optional<i64> at = constant(e);
    if (!at) return {};
    return std::clamp(*at < 0 ? *at + size : *at, low, high);
  };
  const auto begin = bound(item.begin, *step > 0 ? low : high), end = bound(item.end, *step > 0 ? high : low);
  if (!begin || !end) return kUnknownDim;
  const i64 distance = *step > 0 ? *end - *begin : *begin - *end, stride = *step > 0 ? *step : -*step;
  return distance <= 0 ? 0 : (distance + stride - 1) / stride;
}

Type Checker::index_tensor(const ast::Index& e, const Type& object, const std::vector<Type>& at) {
  const Shape& from = object.tensor.shape;
  const auto is_dots = [](const auto& item) { return item.kind == ast::IndexItem::Kind::Ellipsis; };
  const auto dots = std::count_if(e.items.begin(), e.items.end(), is_dots);
  const auto is_new = [](const Type& t) { return t.is(Kind::Unit); };  // x[:, none]: an axis of 1
  const auto made = std::count_if(at.begin(), at.end(), is_new);
  const int given = static_cast<int>(e.items.size()) - static_cast<int>(dots) - static_cast<int>(made);
  const auto is_list = [](const Type& t) {
    return t.is(Kind::List) || t.is(Kind::Range) || (t.has_rank() && t.tensor.rank() > 0);
  };
  const bool picks_together = std::count_if(at.begin(), at.end(), is_list) > 1;
  if (given > from.size()) {
    diags_.report(DiagCode::TooManyIndices, e.span, given, describe(object))
        .also(e.object->span, "this is {}", shape_text(object));
    return {};
  }
  if (dots > 1) return {};
  Type out = object;
  out.tensor.shape = {};
  int axis = 0;
  bool known = true;
  for (size_t i = 0; i < e.items.size(); ++i) {
    const ast::IndexItem& item = e.items[i];
    if (is_dots(item)) {
      for (int n = from.size() - given; n > 0; --n) out.tensor.shape.push_back(from[axis++]);
      continue;
    }
    if (is_new(at[i])) {
      out.tensor.shape.push_back(1);
      continue;
    }
    const i64 size = from[axis];
    const Type& index = at[i];
    if (item.kind == ast::IndexItem::Kind::Slice) {
      out.tensor.shape.push_back(slice_size(item, size));
    } else if (index.is_number()) {
      if (index.whole && size != kUnknownDim && (*index.whole >= size || *index.whole < -size)) {
        diags_
            .report(DiagCode::IndexRange, item.value->span, *index.whole,
                    fmt::format("axis {} of {}", axis, shape_text(object)))
            .also(e.object->span, "this is {}", shape_text(object));
      }
    } else if (index.is(Kind::List) || index.is(Kind::Range) || index.has_rank()) {
      const std::optional<Type> ids = to_tensor(index);
      const bool is_mask = index.is(Kind::List)
                               ? index.items_known && !index.items.empty() && index.items[0].is(Kind::Bool)
                               : index.dtype_known && index.tensor.dtype == DType::Bool;
      if (is_mask) return {};  // as many places as are true, and of as many axes as it has
      if (!ids || !ids->has_rank()) {
        out.tensor.shape.push_back(kUnknownDim);
      } else if (ids->tensor.rank() == 1) {
        out.tensor.shape.push_back(ids->tensor.shape[0]);
      } else if (ids->tensor.rank() > 1) {
        known = false;
      }
    } else if (index.is(Kind::String) || index.is(Kind::Bool)) {
      diags_.report(DiagCode::TypeMismatch, item.value->span, "index", describe(index), "int");
      known = false;
    } else {
      known = false;  // one place or many
    }
    ++axis;
  }
  if (!known || picks_together) return {};
  while (axis < from.size()) out.tensor.shape.push_back(from[axis++]);
  return out;
}

}  // namespace tl::sema
