// Expressions, except calls and indices.
#include <algorithm>
#include <cmath>

#include "tl/sema/checker.h"

namespace tl::sema {

Type Checker::expression(const ast::Expr& e) {
  switch (e.kind) {
    case ast::ExprKind::Int:
      return int_type(ast::as<ast::Int>(e).value);
    case ast::ExprKind::Float:
      return float_type(ast::as<ast::Float>(e).value);
    case ast::ExprKind::Bool:
      return make_type(Kind::Bool);
    case ast::ExprKind::String: {
      const auto& text = ast::as<ast::String>(e);
      for (const ast::StringPart& part : text.parts) {
        if (part.value != nullptr) expression(*part.value);
      }
      Type out = make_type(Kind::String);
      if (text.is_plain()) out.text = &text;
      return out;
    }
    case ast::ExprKind::Name:
      return name(ast::as<ast::Name>(e));
    case ast::ExprKind::List:
      return list(ast::as<ast::List>(e));
    case ast::ExprKind::RepeatList:
      expression(*ast::as<ast::RepeatList>(e).value);
      expression(*ast::as<ast::RepeatList>(e).count);
      return make_type(Kind::List);
    case ast::ExprKind::Tuple: {
      const auto& items = ast::as<ast::Tuple>(e).items;
      Type out = make_type(items.empty() ? Kind::Unit : Kind::Tuple);
      for (const auto& item : items) out.items.push_back(expression(*item));
      out.items_known = true;
      return out;
    }
    case ast::ExprKind::Range: {
      const auto& range = ast::as<ast::Range>(e);
      if (range.begin != nullptr) expression(*range.begin);
      if (range.end != nullptr) expression(*range.end);
      return make_type(Kind::Range);
    }
    case ast::ExprKind::Call:
      return call(ast::as<ast::Call>(e));
    case ast::ExprKind::MethodCall:
      return method_call(ast::as<ast::MethodCall>(e));
    case ast::ExprKind::Field:
      return field(ast::as<ast::Field>(e));
    case ast::ExprKind::Index:
      return index(ast::as<ast::Index>(e));
    case ast::ExprKind::Unary:
      return unary(ast::as<ast::Unary>(e));
    case ast::ExprKind::Binary:
      return binary(ast::as<ast::Binary>(e));
    case ast::ExprKind::Cast:
      return cast(ast::as<ast::Cast>(e));
    case ast::ExprKind::If:
      return if_value(ast::as<ast::If>(e));
    case ast::ExprKind::Match:
      return match(ast::as<ast::Match>(e));
    case ast::ExprKind::Closure:
      return closure(ast::as<ast::Closure>(e));
    case ast::ExprKind::StructLiteral:
      return struct_literal(ast::as<ast::StructLiteral>(e));
    case ast::ExprKind::Try:
      return try_value(ast::as<ast::Try>(e));
    case ast::ExprKind::BlockExpr: {
      Type value;
      const End end = block(ast::as<ast::BlockExpr>(e).block, &value);
      return end == End::Leaves ? Type{} : value;
    }
    default:
      is_opaque_ = is_opaque_ || function_ > 0;
      return {};  // what could not be parsed, and logic
  }
}

// ---- Names and literals -----------------------------------------------------------------------------------

Type Checker::name(const ast::Name& e) {
  if (const size_t at = scopes_.find(e.text); at != Scopes::kNowhere) {
    auto& variable = scopes_.at(at);
    variable.is_used = true;
    if (variable.is_loose) return {};
    if (variable.function == function_) return variable.type;
    // Seen from another function: only what nobody assigns to is certain.
    if (variable.function > 0)
      return writes_[module_].is_written_in(e.text, outermost_) ? Type{} : variable.type;
    for (const Writes& writes : writes_) {
      if (writes.is_written(e.text)) return {};
    }
    return variable.type;
  }
  if (const Symbol symbol = find_symbol(e.text); symbol.variant != nullptr) {
    return symbol.variant->fields.empty() ? variant_value(symbol, {}, {}) : Type{};
  } else if (symbol.of_enum != nullptr || symbol.file != nullptr) {
    return {};
  } else if (symbol.fn != nullptr) {
    Type type = make_type(Kind::Function);
    type.params = &symbol.fn->params;
    type.result = symbol.fn->result.get();
    type.generics = &symbol.fn->generics;
    return type;
  } else if (symbol.of != nullptr) {
    return {};
  }
  for (size_t i = 0; i < module_; ++i) {  // a variable of another file
    if (globals_[i].find(e.text) != globals_[i].end()) return {};
  }
  if (e.text == "none") return make_type(Kind::Unit);
  if (const auto dtype = find_dtype(e.text)) {
    Type type = make_type(Kind::DType);
    type.tensor.dtype = *dtype;
    type.dtype_known = true;
    return type;
  }
  if (lang::find_builtin(e.text) != nullptr) return make_type(Kind::Function);
  if (e.text == "pi") return float_type(3.14159265358979323846);
  if (e.text == "inf" || e.text == "nan") return float_type();
  return {};
}

Type Checker::list(const ast::List& e) {
  if (e.is_set) {
    for (const auto& item : e.items) expression(*item);
    return {};
  }
  std::vector<Type> items;
  for (const auto& item : e.items) items.push_back(expression(*item));
  return ast::is_tensor_literal(e) ? literal_tensor(e, items) : list_type(std::move(items));
}

// Rows are lists of numbers or, nested deeper, tensors themselves.
Type Checker::literal_tensor(const ast::List& e, const std::vector<Type>& items) {
  std::optional<Type> row;
  size_t row_at = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    const std::optional<Type> made = to_tensor(items[i]);
    if (!made || !made->has_rank()) {
      row.reset();
      break;
    }
    if (!row) {
      row = made;
      row_at = i;
      continue;
    }
    const Shape &a = row->tensor.shape, &b = made->tensor.shape;
    bool same = a.size() == b.size();
    for (int d = 0; same && d < a.size(); ++d) same = same_dim(a[d], b[d]);
    if (same) continue;
    diags_.report(DiagCode::RaggedLiteral, e.items[i]->span, to_string(a), to_string(b))
        .also(e.items[row_at]->span, "this is {}", to_string(a));
    return make_type(Kind::Tensor);
  }
  if (!row || row->tensor.rank() == kMaxRank) return make_type(Kind::Tensor);
  Type out = tensor_type(row->tensor.shape);  // numbers take the type of what they meet
  out.tensor.shape.insert(0, static_cast<i64>(items.size()));
  const bool is_bool = std::all_of(items.begin(), items.end(), [](const Type& item) {
    return item.is(Kind::Bool) ||
           (item.is(Kind::Tensor) && item.dtype_known && item.tensor.dtype == DType::Bool) ||
           (item.is(Kind::List) && !item.items.empty() &&
            std::all_of(item.items.begin(), item.items.end(),
                        [](const Type& t) { return t.is(Kind::Bool); }));
  });
  if (is_bool) out.tensor.dtype = DType::Bool, out.dtype_known = true;
  return out;
}

Type Checker::struct_literal(const ast::StructLiteral& e) {
  const StructInfo* of = e.type != nullptr ? find_struct(e.type->name.text) : nullptr;
  for (const ast::FieldInit& init : e.fields) {
    const Operand value{expression(*init.value), init.value->span};
    const FieldInfo* info = of != nullptr ? of->find(init.name.text) : nullptr;
    if (info != nullptr && !value.type.is(Kind::Unit))
      expect(info->declared, value, fmt::format("'{}'", init.name.text));
  }
  if (of == nullptr) return {};
  Type out = make_type(Kind::Struct);
  out.of = of;
  return out;
}

// ---- Operators --------------------------------------------------------------------------------------------

Type Checker::unary(const ast::Unary& e) {
  const Type t = expression(*e.operand);
  const auto unfit = [&] {
    diags_.report(DiagCode::BadOperand, e.span, ast::spelling(e.op), describe(t))
        .also(e.operand->span, "this is {}", describe(t));
    return Type{};
  };
  if (t.is_any() || e.op == ast::UnaryOp::Inverse) return {};
  if (e.op == ast::UnaryOp::Not) {
    if (t.is(Kind::Bool)) return t;
    if (!t.is(Kind::Tensor)) return unfit();
    Type out = t;
    out.tensor.dtype = DType::Bool;
    out.dtype_known = true;
    return out;
  }
  if (t.is(Kind::Int))
    return int_type(t.whole && *t.whole != INT64_MIN ? std::optional(-*t.whole) : std::nullopt);
  if (t.is(Kind::Float)) return float_type(t.real ? std::optional(-*t.real) : std::nullopt);
  if (t.is(Kind::Tensor)) return t;
  if (t.is(Kind::List) || t.is(Kind::Range)) return to_tensor(t).value_or(Type{});
  return unfit();
}

Type Checker::binary(const ast::Binary& e) {
  if (e.op == ast::BinaryOp::And || e.op == ast::BinaryOp::Or) {
    condition(*e.lhs);
    const size_t mark = scopes_.trail();
    condition(*e.rhs);
    scopes_.merge({{}, scopes_.roll_back(mark)});
    return make_type(Kind::Bool);
  }
  const Operand a{expression(*e.lhs), e.lhs->span}, b{expression(*e.rhs), e.rhs->span};
  return operator_type(e.op, a, b, e.span);
}

Type Checker::cast(const ast::Cast& e) {
  const Type from = expression(*e.value);
  const std::string name = e.type != nullptr ? e.type->name.text : std::string();
  const bool is_plain = from.is_number() || from.is(Kind::Bool) || from.is(Kind::String);
  if (name == "string") return make_type(Kind::String);
  if (is_plain && (name == "int" || name == "i64" || name == "i32")) return int_type();
  if (is_plain && (name == "float" || name == "f64" || name == "f32")) return float_type();
  const std::optional<Type> made = from.is_any() ? std::nullopt : to_tensor(from);
  if (!made || is_plain || made->may_be_scalar()) return {};
  Type out = *made;
  const auto dtype = find_dtype(name);
  out.dtype_known = dtype.has_value();
  if (dtype) out.tensor.dtype = *dtype;
  return out;
}

Type Checker::field(const ast::Field& e) {
  const std::string& name = e.name.text;
  if (const auto member = find_member(*e.object, name)) {
    if (member->variant != nullptr && member->variant->fields.empty()) return variant_value(*member, {}, {});
    return {};
  }
  const Type t = expression(*e.object);
  if (t.is_any() || t.is(Kind::Enum)) return {};  // which variant it is, running tells
  if (t.is(Kind::Struct)) {
    if (const FieldInfo* info = t.of->find(name)) return info->type;
    if (t.of->find_method(name) != nullptr) return {};
  } else if (t.is(Kind::Tuple) && name.size() < 9 &&
             name.find_first_not_of("0123456789") == std::string::npos && !name.empty()) {
    const size_t at = std::stoul(name);
    if (!t.items_known) return {};
    if (at < t.items.size()) return t.items[at];
  } else if (t.is(Kind::Tensor)) {
    if (name == "shape" && t.has_rank()) {
      std::vector<Type> dims;
      for (const i64 d : t.tensor.shape)
        dims.push_back(int_type(d == kUnknownDim ? std::nullopt : std::optional(d)));
      return list_type(std::move(dims));
    }
    if (name == "dtype") return make_type(Kind::DType);
    if (name == "ndim" || name == "rank")
      return int_type(t.has_rank() ? std::optional<i64>(t.tensor.rank()) : std::nullopt);
    if (name == "shape" || name == "T") return {};
  }
  Diagnostic& d = diags_.report(DiagCode::UnknownField, e.name.span, describe(t), name);
  if (t.is(Kind::Struct)) d.also(t.of->tree->name.span, "'{}' is declared here", t.of->name);
  return {};
}

// ---- Choices ----------------------------------------------------------------------------------------------

Type Checker::if_value(const ast::If& e) {
  std::vector<Scopes::Changes> ways;
  std::optional<Type> value;
  const auto follow = [&](const ast::Block& body) {
    const size_t mark = scopes_.trail();
    Type here;
    const End end = block(body, &here);
    Scopes::Changes changes = scopes_.roll_back(mark);
    if (end == End::Leaves) return;
    ways.push_back(std::move(changes));
    value = value ? join(*value, here) : here;
  };
  for (const ast::IfBranch& branch : e.branches) {
    condition(*branch.condition);
    follow(branch.body);
  }
  if (e.otherwise) {
    follow(*e.otherwise);
  } else {
    ways.emplace_back();
    value = Type{};
  }
  const bool runs_on = !ways.empty();
  scopes_.merge(ways);
  branch_ends_ = runs_on ? End::Runs : End::Leaves;
  return value.value_or(Type{});
}

Type Checker::closure(const ast::Closure& e) {
  tie(e.span);
  check_function(e.params, e.result.get(), nullptr, e.body.get(), nullptr);
  Type out = make_type(Kind::Function);
  out.params = &e.params;
  out.result = e.result.get();
  return out;
}

}  // namespace tl::sema
