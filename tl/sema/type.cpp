#include "tl/sema/type.h"

#include <fmt/format.h>

#include <algorithm>

namespace tl::sema {

bool Type::may_be_scalar() const {
  if (is_any() || is_number() || is(Kind::Bool)) return true;
  if (!is(Kind::Tensor)) return false;
  return !tensor.rank_known || std::all_of(tensor.shape.begin(), tensor.shape.end(),
                                           [](i64 d) { return d == 1 || d == kUnknownDim; });
}

Type make_type(Kind kind) {
  Type t;
  t.kind = kind;
  if (kind == Kind::Tensor) t.tensor.rank_known = false;
  return t;
}
Type int_type(std::optional<i64> value) {
  Type t = make_type(Kind::Int);
  t.whole = value;
  return t;
}
Type float_type(std::optional<f64> value) {
  Type t = make_type(Kind::Float);
  t.real = value;
  return t;
}
Type tensor_type(const Shape& shape, std::optional<DType> dtype) {
  Type t = make_type(Kind::Tensor);
  t.tensor = {dtype.value_or(DType::F32), shape};
  t.dtype_known = dtype.has_value();
  return t;
}
Type list_type(std::vector<Type> items) {
  Type t = make_type(Kind::List);
  t.items = std::move(items);
  t.items_known = true;
  return t;
}

const FieldInfo* StructInfo::find(std::string_view field) const {
  const auto it = std::find_if(fields.begin(), fields.end(), [&](const auto& f) { return f.name == field; });
  return it == fields.end() ? nullptr : &*it;
}
const ast::Fn* StructInfo::find_method(std::string_view method) const {
  const auto it =
      std::find_if(methods.begin(), methods.end(), [&](const auto* m) { return m->name.text == method; });
  return it == methods.end() ? nullptr : *it;
}

std::string describe(const Type& type) {
  switch (type.kind) {
    case Kind::Any:
      return "any";
    case Kind::Unit:
      return "none";
    case Kind::Int:
      return "int";
    case Kind::Float:
      return "float";
    case Kind::Bool:
      return "bool";
    case Kind::String:
      return "string";
    case Kind::DType:
      return "an element type";
    case Kind::List:
      return "list";
    case Kind::Tuple:
      return "tuple";
    case Kind::Range:
      return "range";
    case Kind::Tensor:
      if (!type.tensor.rank_known) return "tensor";
      return (type.dtype_known ? std::string(name_of(type.tensor.dtype)) : "tensor ") +
             to_string(type.tensor.shape);
    case Kind::Struct:
      return type.of->name;
    case Kind::Enum:
      return type.of_enum->name;
    case Kind::Function:
      return "function";
  }
  return "?";
}

std::string shape_text(const Type& type) {
  if (type.has_rank()) return to_string(type.tensor.shape);
  return type.is(Kind::Tensor) ? "a tensor" : describe(type);
}

static std::string text_of_dim(const ast::Dim& dim) {
  if (dim.kind == ast::Dim::Kind::Any) return "?";
  if (dim.kind == ast::Dim::Kind::Rest) return dim.name ? ".." + dim.name.text : "...";
  if (const auto* value = ast::get_if<ast::Int>(dim.value)) return fmt::format("{}", value->value);
  if (const auto* name = ast::get_if<ast::Name>(dim.value)) return name->text;
  return "?";
}

std::string text_of(const ast::Type& type) {
  std::string inside;
  const auto add = [&](const std::string& text) { inside += (inside.empty() ? "" : ", ") + text; };
  if (type.kind == ast::TypeKind::Tensor) {
    for (const ast::Dim& dim : type.dims) add(text_of_dim(dim));
    return type.name.text + "[" + inside + "]";
  }
  for (const auto& item : type.items) add(text_of(*item));
  if (type.kind == ast::TypeKind::Tuple) return "(" + inside + ")";
  if (type.kind == ast::TypeKind::List) return "[" + inside + "]";
  if (type.kind == ast::TypeKind::Fn) return "function";
  return type.name.text + (inside.empty() ? "" : "<" + inside + ">");
}

namespace {

Type join_tensors(const Type& a, const Type& b) {
  Type out = make_type(Kind::Tensor);
  out.dtype_known = a.dtype_known && b.dtype_known && a.tensor.dtype == b.tensor.dtype;
  out.tensor.dtype = a.tensor.dtype;
  const Shape &x = a.tensor.shape, &y = b.tensor.shape;
  if (!a.tensor.rank_known || !b.tensor.rank_known || x.size() != y.size()) return out;
  out.tensor.rank_known = true;
  for (int i = 0; i < x.size(); ++i) out.tensor.shape.push_back(x[i] == y[i] ? x[i] : kUnknownDim);
  return out;
}

}  // namespace

Type join(const Type& a, const Type& b) {
  if (a.kind != b.kind) return {};
  switch (a.kind) {
    case Kind::Int:
      return int_type(a.whole == b.whole ? a.whole : std::nullopt);
    case Kind::Float:
      return float_type(a.real == b.real ? a.real : std::nullopt);
    case Kind::Tensor:
      return join_tensors(a, b);
    case Kind::DType:
      return a.dtype_known && b.dtype_known && a.tensor.dtype == b.tensor.dtype ? a : make_type(Kind::DType);
    case Kind::Struct:
      return a.of == b.of ? a : Type{};
    case Kind::Tuple: {
      if (!a.items_known || !b.items_known || a.items.size() != b.items.size()) return make_type(Kind::Tuple);
      Type out = a;
      for (size_t i = 0; i < out.items.size(); ++i) out.items[i] = join(a.items[i], b.items[i]);
      return out;
    }
    case Kind::List:
    case Kind::String:
    case Kind::Function:
      return make_type(a.kind);
    default:
      return a;
  }
}

Type as_variable(Type type) {
  if (type.is(Kind::List)) return make_type(Kind::List);
  if (type.is(Kind::Tuple)) {
    for (Type& item : type.items) item = as_variable(std::move(item));
  }
  return type;
}

Type refine(const Type& declared, const Type& value) {
  if (value.is_any()) return declared;
  const std::optional<Type> made = to_tensor(value);
  if (!made || value.is_number() || value.is(Kind::Bool)) return {};  // a number stays one
  if (!declared.has_rank() || !made->has_rank()) return declared.has_rank() ? declared : *made;
  Type out = *made;
  if (out.tensor.rank() != declared.tensor.rank()) return {};
  for (int i = 0; i < out.tensor.rank(); ++i) {
    if (declared.tensor.shape[i] != kUnknownDim) out.tensor.shape[i] = declared.tensor.shape[i];
  }
  return out;
}

std::optional<Type> to_tensor(const Type& type) {
  switch (type.kind) {
    case Kind::Any:
    case Kind::Tensor:
      return type;
    case Kind::Int:
    case Kind::Float:
    case Kind::Bool:
      return tensor_type({});
    case Kind::Range:
      return tensor_type({kUnknownDim});
    case Kind::List:
    case Kind::Tuple: {
      if (!type.items_known) return make_type(Kind::Tensor);
      const auto is_plain = [](const Type& t) { return t.is_number() || t.is(Kind::Bool); };
      if (std::all_of(type.items.begin(), type.items.end(), is_plain))
        return tensor_type({static_cast<i64>(type.items.size())});
      const auto is_text = [](const Type& t) { return t.is(Kind::String); };
      if (std::any_of(type.items.begin(), type.items.end(), is_text)) return std::nullopt;
      return make_type(Kind::Tensor);
    }
    default:
      return std::nullopt;
  }
}

}  // namespace tl::sema
