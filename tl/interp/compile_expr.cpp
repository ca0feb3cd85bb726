// Expressions, except calls.
#include <algorithm>
#include <cmath>

#include "tl/interp/compiler.h"

namespace tl::interp {

u16 Compiler::expression(const ast::Expr& e) {
  if (const auto* name = ast::get_if<ast::Name>(&e); name != nullptr && !is_self(name->text)) {
    const Place place = find(name->text);
    if (place.kind == Place::Kind::Register) return place.reg();
  }
  return temporary(e);
}

u16 Compiler::temporary(const ast::Expr& e) {
  const u16 reg = new_register(e.span);
  expression_to(e, reg);
  fn_->next_register = static_cast<u16>(reg + 1);
  return reg;
}

void Compiler::expression_to(const ast::Expr& e, u16 dst) {
  const u16 mark = fn_->next_register;
  switch (e.kind) {
    case ast::ExprKind::Error:
      break;  // reported
    case ast::ExprKind::Int: {
      const i64 value = ast::as<ast::Int>(e).value;
      if (value == static_cast<i32>(value)) {
        fn_->proto->code[emit(Op::LoadInt, e.span, dst)].set_wide(static_cast<i32>(value));
      } else {
        emit(Op::LoadConstant, e.span, dst, constant(Value(value)));
      }
      break;
    }
    case ast::ExprKind::Float:
      emit(Op::LoadConstant, e.span, dst, constant(Value(ast::as<ast::Float>(e).value)));
      break;
    case ast::ExprKind::Bool:
      emit(Op::LoadBool, e.span, dst, ast::as<ast::Bool>(e).value ? 1 : 0);
      break;
    case ast::ExprKind::Imaginary:
      not_yet(e.span, "complex numbers");
      break;
    case ast::ExprKind::String:
      string(ast::as<ast::String>(e), dst);
      break;
    case ast::ExprKind::Name:
      name(ast::as<ast::Name>(e), dst);
      break;
    case ast::ExprKind::Path:
      path_value(ast::as<ast::Path>(e), dst);
      break;
    case ast::ExprKind::List:
      literal_list(ast::as<ast::List>(e), dst);
      break;
    case ast::ExprKind::RepeatList: {
      const u16 value = expression(*ast::as<ast::RepeatList>(e).value),
                count = expression(*ast::as<ast::RepeatList>(e).count);
      emit(Op::RepeatList, e.span, dst, value, count);
      break;
    }
    case ast::ExprKind::Tuple: {
      const auto& items = ast::as<ast::Tuple>(e).items;
      if (items.empty()) {
        emit(Op::LoadUnit, e.span, dst);
        break;
      }
      const u16 first = fn_->next_register;
      for (const auto& item : items) temporary(*item);
      emit(Op::MakeTuple, e.span, dst, first, static_cast<u16>(items.size()));
      break;
    }
    case ast::ExprKind::Range:
      range(ast::as<ast::Range>(e), dst);
      break;
    case ast::ExprKind::Call:
      call(ast::as<ast::Call>(e), dst);
      break;
    case ast::ExprKind::MethodCall:
      method_call(ast::as<ast::MethodCall>(e), dst);
      break;
    case ast::ExprKind::Field: {
      const auto& field = ast::as<ast::Field>(e);
      use_ = field.object->span;
      if (const Symbol* member = find_member(*field.object, field.name)) {
        load_symbol(*member, field.name.text, field.name.span, dst);
        break;
      }
      const u16 object = expression(*field.object);
      emit(Op::GetField, e.span, dst, object, name_index(field.name.text),
           is_temporary(object) ? kTakesB : 0);
      break;
    }
    case ast::ExprKind::Index:
      index(ast::as<ast::Index>(e), dst);
      break;
    case ast::ExprKind::Unary:
      unary(ast::as<ast::Unary>(e), dst);
      break;
    case ast::ExprKind::Binary:
      binary(ast::as<ast::Binary>(e), dst);
      break;
    case ast::ExprKind::Cast:
      cast(ast::as<ast::Cast>(e), dst);
      break;
    case ast::ExprKind::If:
      if_value(ast::as<ast::If>(e), dst);
      break;
    case ast::ExprKind::Match:
      match(ast::as<ast::Match>(e), dst);
      break;
    case ast::ExprKind::Closure:
      closure(ast::as<ast::Closure>(e), dst);
      break;
    case ast::ExprKind::StructLiteral:
      struct_literal(ast::as<ast::StructLiteral>(e), dst);
      break;
    case ast::ExprKind::BlockExpr:
      block_value(ast::as<ast::BlockExpr>(e).block, dst);
      break;
    case ast::ExprKind::Try:
      try_value(ast::as<ast::Try>(e), dst);
      break;
    case ast::ExprKind::Query:
      query(ast::as<ast::Query>(e));
      break;
    case ast::ExprKind::Formula:
      check_formula(ast::as<ast::Formula>(e));
      fails_yet("conditions on rows as values", e.span);
      break;
  }
  fn_->next_register = mark;
}

// ---- Names and literals -----------------------------------------------------------------------------------

void Compiler::name(const ast::Name& e, u16 dst) {
  use_ = e.span;
  if (is_self(e.text)) {
    emit(Op::LoadSelf, e.span, dst);
    return;
  }
  const Place place = find(e.text);
  if (place.kind != Place::Kind::None) return load(place, dst, e.span);
  if (const Symbol* symbol = find_symbol(e.text)) return load_symbol(*symbol, e.text, e.span, dst);
  if (e.text == "none") {
    emit(Op::LoadUnit, e.span, dst);
    return;
  }
  if (const auto dtype = find_dtype(e.text)) {
    emit(Op::LoadConstant, e.span, dst, constant(Value(*dtype)));
    return;
  }
  if (const Builtin* builtin = lang::find_builtin(e.text)) {
    note_interrupts(*builtin);
    emit(Op::LoadConstant, e.span, dst, constant(Value(new lang::BuiltinRef(*builtin))));
    return;
  }
  if (e.text == "pi" || e.text == "inf" || e.text == "nan") {
    const f64 value = e.text == "pi" ? 3.14159265358979323846 : e.text == "inf" ? HUGE_VAL : std::nan("");
    emit(Op::LoadConstant, e.span, dst, constant(Value(value)));
    return;
  }
  if (!logic_name(e.text, e.span, dst)) unknown_name(e.text, e.span);
}

void Compiler::path_value(const ast::Path& e, u16 dst) {
  const Symbol* symbol = e.scope != nullptr ? find_symbol(e.scope->name.text) : nullptr;
  if (symbol != nullptr && symbol->kind == Symbol::Kind::Struct) {
    const auto& methods = program_.structs[static_cast<size_t>(symbol->index)]->methods;
    if (const auto it = methods.find(e.name.text); it != methods.end()) {
      return make_closure({.proto = it->second, .sources = {}}, dst, e.span);
    }
  }
  if (symbol != nullptr && (symbol->kind == Symbol::Kind::Enum || symbol->kind == Symbol::Kind::Module)) {
    ast::Name holder;
    holder.text = e.scope->name.text;
    if (const Symbol* member = find_member(holder, e.name))
      return load_symbol(*member, e.name.text, e.span, dst);
  }
  unknown_name(fmt::format("{}::{}", e.scope != nullptr ? e.scope->name.text : "", e.name.text), e.span);
}

// Long ones in pieces, so that a table of numbers does not need a register for each. What is nested in a
// tensor stays a list until the outermost is made.
void Compiler::literal_list(const ast::List& e, u16 dst, bool is_row) {
  if (e.is_set) return literal_set(e, dst);
  constexpr size_t kPiece = 1000;
  const bool is_tensor = !is_row && ast::is_tensor_literal(e);
  const auto add = [&](const ast::Expr& item) {
    const auto* row = ast::get_if<ast::List>(&item);
    if ((!is_row && !is_tensor) || row == nullptr) return void(temporary(item));
    const u16 reg = new_register(item.span);
    literal_list(*row, reg, true);
    fn_->next_register = static_cast<u16>(reg + 1);
  };
  if (e.items.size() <= kPiece) {
    const u16 first = fn_->next_register;
    for (const auto& item : e.items) add(*item);
    emit(Op::MakeList, e.span, dst, first, e.items.size(), is_tensor ? 1 : 0);
    return;
  }
  const u16 list = new_register(e.span);
  emit(Op::MakeList, e.span, list, list);
  for (size_t at = 0; at < e.items.size(); at += kPiece) {
    const u16 first = fn_->next_register;
    const size_t end = std::min(at + kPiece, e.items.size());
    for (size_t i = at; i < end; ++i) add(*e.items[i]);
    emit(Op::GrowList, e.span, list, first, end - at);
    fn_->next_register = first;
  }
  emit(Op::FinishList, e.span, dst, list, is_tensor ? 1 : 0, kTakesB);
}

// A map or set of the first items, and one more builtin for each piece that follows.
void Compiler::literal_set(const ast::List& e, u16 dst, bool may_name) {
  constexpr size_t kPiece = 500;
  const auto call = [&](std::string_view name, u16 to, u16 first, size_t count) {
    fn_->proto->calls.push_back({.builtin = lang::find_builtin(name), .count = static_cast<u16>(count)});
    emit(Op::CallBuiltin, e.span, to, fn_->proto->calls.size() - 1, first);
  };
  const auto make = [&](u16 to, size_t begin) {
    const u16 first = fn_->next_register;
    const size_t end = std::min(begin + kPiece, e.items.size());
    for (size_t i = begin; i < end; ++i)
      may_name && !e.is_map ? set_item(*e.items[i]) : void(temporary(*e.items[i]));
    call(e.is_map ? "dict" : "set_of", to, first, end - begin);
    fn_->next_register = first;
  };
  if (e.items.size() <= kPiece) return make(dst, 0);
  const u16 whole = new_register(e.span);
  make(whole, 0);
  for (size_t at = kPiece; at < e.items.size(); at += kPiece) {
    const u16 first = new_register(e.span), piece = new_register(e.span);
    emit(Op::Move, e.span, first, whole);
    make(piece, at);
    call("update", first, first, 2);
    fn_->next_register = first;
  }
  emit(Op::Move, e.span, dst, whole);
  emit(Op::Clear, e.span, whole, 1);
}

void Compiler::range(const ast::Range& e, u16 dst) {
  if (e.begin == nullptr || e.end == nullptr) return not_yet(e.span, "ranges without both ends");
  const u16 first = temporary(*e.begin);
  temporary(*e.end);
  emit(Op::MakeRange, e.span, dst, first, e.inclusive ? 1 : 0);
}

// ---- Operators --------------------------------------------------------------------------------------------

static std::optional<Op> code_of(ast::BinaryOp op) {
  switch (op) {
    case ast::BinaryOp::Add:
      return Op::Add;
    case ast::BinaryOp::Sub:
      return Op::Sub;
    case ast::BinaryOp::Mul:
    case ast::BinaryOp::ElementwiseMul:
      return Op::Mul;
    case ast::BinaryOp::Div:
      return Op::Div;
    case ast::BinaryOp::Mod:
      return Op::Mod;
    case ast::BinaryOp::Pow:
      return Op::Pow;
    case ast::BinaryOp::MatMul:
      return Op::MatMul;
    case ast::BinaryOp::Equal:
      return Op::Equal;
    case ast::BinaryOp::NotEqual:
      return Op::NotEqual;
    case ast::BinaryOp::Less:
      return Op::Less;
    case ast::BinaryOp::LessEqual:
      return Op::LessEqual;
    case ast::BinaryOp::Greater:
      return Op::Greater;
    case ast::BinaryOp::GreaterEqual:
      return Op::GreaterEqual;
    case ast::BinaryOp::Approx:
      return Op::Approximately;
    case ast::BinaryOp::In:
      return Op::In;
    case ast::BinaryOp::NotIn:
      return Op::NotIn;
    default:
      return {};
  }
}

void Compiler::emit_binary(ast::BinaryOp op, Span span, u16 dst, u16 lhs, u16 rhs) {
  const std::optional<Op> code = code_of(op);
  if (op == ast::BinaryOp::Similar) return;  // fails before
  if (!code) return not_yet(span, fmt::format("the operator '{}'", ast::spelling(op)));
  const u8 takes = static_cast<u8>((is_temporary(lhs) ? kTakesB : 0) | (is_temporary(rhs) ? kTakesC : 0));
  emit(*code, span, dst, lhs, rhs, takes);
}

// Whether a part of it may be a block, which may assign to what was looked at before: operands are computed
// from left to right.
bool Compiler::may_assign(const ast::Expr& e) const {
  return graph_.files == nullptr || graph_.files->text(e.span).find('{') != std::string_view::npos;
}

void Compiler::binary(const ast::Binary& e, u16 dst) {
  if (e.op == ast::BinaryOp::And || e.op == ast::BinaryOp::Or) return short_circuit(e, dst);
  if (e.op == ast::BinaryOp::Join) return not_yet(e.span, "tensor equations");
  if (e.op == ast::BinaryOp::Similar) fails_yet("the operator '~'", e.span);
  const u16 lhs = may_assign(*e.rhs) ? temporary(*e.lhs) : expression(*e.lhs);
  const auto* small = ast::get_if<ast::Int>(e.rhs);
  if (small != nullptr && small->value < 32768 &&
      (e.op == ast::BinaryOp::Add || e.op == ast::BinaryOp::Sub)) {
    const auto amount = static_cast<i16>(e.op == ast::BinaryOp::Add ? small->value : -small->value);
    emit(Op::AddInt, e.span, dst, lhs, static_cast<u16>(amount), is_temporary(lhs) ? kTakesB : 0);
    return;
  }
  const u16 rhs = expression(*e.rhs);
  emit_binary(e.op, e.span, dst, lhs, rhs);
}

void Compiler::short_circuit(const ast::Binary& e, u16 dst) {
  // `dst` is no variable that the right side could read: see may_compute_in_place.
  expression_to(*e.lhs, dst);
  const size_t skip = emit_jump(e.op == ast::BinaryOp::And ? Op::JumpIfNot : Op::JumpIf, e.lhs->span, dst);
  expression_to(*e.rhs, dst);
  emit(Op::ToBool, e.rhs->span, dst);
  const size_t done = emit_jump(Op::Jump, e.span);
  patch(skip);
  emit(Op::LoadBool, e.span, dst, e.op == ast::BinaryOp::And ? 0 : 1);
  patch(done);
}

void Compiler::unary(const ast::Unary& e, u16 dst) {
  if (e.op == ast::UnaryOp::Minus) {
    if (const auto* i = ast::get_if<ast::Int>(e.operand); i != nullptr) {
      emit(Op::LoadConstant, e.span, dst, constant(Value(-i->value)));
      return;
    }
    if (const auto* f = ast::get_if<ast::Float>(e.operand); f != nullptr) {
      emit(Op::LoadConstant, e.span, dst, constant(Value(-f->value)));
      return;
    }
  }
  if (e.op == ast::UnaryOp::Inverse) return not_yet(e.span, "inv");
  const u16 operand = expression(*e.operand);
  emit(e.op == ast::UnaryOp::Minus ? Op::Negate : Op::Not, e.span, dst, operand, 0,
       is_temporary(operand) ? kTakesB : 0);
}

void Compiler::cast(const ast::Cast& e, u16 dst) {
  CastSpec spec;
  const std::string& name = e.type != nullptr ? e.type->name.text : std::string();
  if (name == "int" || name == "i64" || name == "i32")
    spec.scalar = lang::ScalarType::Int;
  else if (name == "float" || name == "f64" || name == "f32")
    spec.scalar = lang::ScalarType::Float;
  else if (name == "bool")
    spec.scalar = lang::ScalarType::Bool;
  else if (name == "string")
    spec.scalar = lang::ScalarType::String;
  else
    spec.is_scalar = false;
  const auto dtype = find_dtype(name);
  if (!spec.is_scalar && !dtype) {
    diags_.report(DiagCode::UnknownType, e.type != nullptr ? e.type->span : e.span, name);
    return;
  }
  if (dtype) spec.dtype = *dtype;
  spec.tensor_dtype = dtype;
  if (!spec.tensor_dtype && spec.is_scalar) {
    if (spec.scalar == lang::ScalarType::Int) spec.tensor_dtype = DType::I64;
    if (spec.scalar == lang::ScalarType::Float) spec.tensor_dtype = DType::F32;
    if (spec.scalar == lang::ScalarType::Bool) spec.tensor_dtype = DType::Bool;
  }
  const u16 value = expression(*e.value);
  emit(Op::Cast, e.span, dst, value, cast_index(spec), is_temporary(value) ? kTakesB : 0);
}

// ---- Indices ----------------------------------------------------------------------------------------------

size_t Compiler::index_spec(const std::vector<ast::IndexItem>& items) {
  IndexSpec spec;
  spec.first = fn_->next_register;
  const auto optional = [&](const ast::ExprPtr& value, Span span) {
    if (value != nullptr) {
      temporary(*value);
    } else {
      emit(Op::LoadEmpty, span, new_register(span));
    }
  };
  for (const ast::IndexItem& item : items) {
    switch (item.kind) {
      case ast::IndexItem::Kind::At:
        spec.kinds.push_back(lang::IndexItem::Kind::At);
        temporary(*item.value);
        break;
      case ast::IndexItem::Kind::Slice:
        spec.kinds.push_back(lang::IndexItem::Kind::Slice);
        optional(item.begin, item.span), optional(item.end, item.span), optional(item.step, item.span);
        break;
      case ast::IndexItem::Kind::Ellipsis:
        spec.kinds.push_back(lang::IndexItem::Kind::Ellipsis);
        break;
      default:
        not_yet(item.span, "indices of tensor equations");
    }
  }
  spec.count = static_cast<u16>(fn_->next_register - spec.first);
  fn_->proto->indices.push_back(std::move(spec));
  return fn_->proto->indices.size() - 1;
}

void Compiler::index(const ast::Index& e, u16 dst) {
  const bool assigns = std::any_of(e.items.begin(), e.items.end(), [&](const ast::IndexItem& item) {
    return item.value != nullptr && may_assign(*item.value);
  });
  const u16 object = assigns ? temporary(*e.object) : expression(*e.object);
  const u8 takes = is_temporary(object) ? kTakesB : 0;
  if (e.items.size() == 1 && e.items[0].kind == ast::IndexItem::Kind::At) {
    const ast::Expr& value = *e.items[0].value;
    const u16 at = expression(value);
    emit(Op::Index, e.span, dst, object, at, static_cast<u8>(takes | (is_temporary(at) ? kTakesC : 0)));
    return;
  }
  const size_t spec = index_spec(e.items);
  emit(Op::IndexMany, e.span, dst, object, spec, takes);
}

// ---- Choices ----------------------------------------------------------------------------------------------

void Compiler::if_value(const ast::If& e, u16 dst) {
  std::vector<size_t> ends;
  for (const ast::IfBranch& branch : e.branches) {
    const u16 mark = fn_->next_register;
    const u16 condition = expression(*branch.condition);
    const size_t next =
        emit(Op::JumpIfNot, branch.condition->span, condition, 0, 0, is_temporary(condition) ? kTakesB : 0);
    fn_->next_register = mark;
    block_value(branch.body, dst);
    ends.push_back(emit_jump(Op::Jump, e.span));
    patch(next);
  }
  if (e.otherwise) {
    block_value(*e.otherwise, dst);
  } else {
    emit(Op::LoadUnit, e.span, dst);
  }
  patch_all(ends);
}

// ---- Closures and structs ---------------------------------------------------------------------------------

void Compiler::closure(const ast::Closure& e, u16 dst) {
  const int proto = new_proto("closure", e.span);
  ClosureSpec spec;
  compile_function(proto, e.params, e.result.get(), nullptr, e.body.get(), fn_, &spec);
  make_closure(std::move(spec), dst, e.span);
}

void Compiler::make_closure(ClosureSpec spec, u16 dst, Span span) {
  fn_->proto->closures.push_back(std::move(spec));
  emit(Op::MakeClosure, span, dst, fn_->proto->closures.size() - 1);
}

void Compiler::struct_literal(const ast::StructLiteral& e, u16 dst) {
  use_ = e.type->span;
  const Symbol* symbol = find_symbol(e.type->name.text);
  if (symbol == nullptr || symbol->kind != Symbol::Kind::Struct) {
    diags_.report(DiagCode::UnknownType, e.type->span, e.type->name.text);
    return;
  }
  const StructInfo& info = *program_.structs[static_cast<size_t>(symbol->index)];
  const u16 first = fn_->next_register;
  for (size_t i = 0; i < info.fields.size(); ++i) new_register(e.span);
  std::vector<bool> given(info.fields.size());
  for (const ast::FieldInit& field : e.fields) {
    const int at = info.find(field.name.text);
    if (at < 0) {
      diags_.report(DiagCode::UnknownField, field.name.span, info.name, field.name.text);
      continue;
    }
    if (given[static_cast<size_t>(at)])
      diags_.report(DiagCode::DuplicateName, field.name.span, field.name.text);
    given[static_cast<size_t>(at)] = true;
    const u16 mark = fn_->next_register;
    expression_to(*field.value, static_cast<u16>(first + at));
    fn_->next_register = mark;
  }
  for (size_t i = 0; i < given.size(); ++i) {
    if (given[i]) continue;
    const ast::StructField& field = struct_trees_.at(symbol->index)->fields[i];
    const auto reg = static_cast<u16>(first + i);
    if (field.default_value == nullptr) {
      diags_.report(DiagCode::MissingField, e.span, info.fields[i], info.name);
    } else if (const auto proto = default_protos_.find(&field); proto != default_protos_.end()) {
      fn_->proto->calls.push_back({.function = proto->second, .name = info.fields[i]});
      emit(Op::CallFn, e.span, reg, fn_->proto->calls.size() - 1, fn_->next_register);
      new_register(e.span);
      --fn_->next_register;
    } else {
      expression_to(*field.default_value, reg);
    }
  }
  emit(Op::MakeStruct, e.span, dst, static_cast<size_t>(symbol->index), first);
}

}  // namespace tl::interp
