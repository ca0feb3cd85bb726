// Statements.
#include "tl/sema/checker.h"

namespace tl::sema {

// What is assigned in `span` may hold anything from here on, as far as is known.
void Checker::loosen(Span span) {
  const auto [begin, end] = writes_[module_].inside(span);
  for (const Write* w = begin; w != end; ++w) {
    const size_t at = scopes_.find(w->name);
    if (at != Scopes::kNowhere && !scopes_.at(at).type.is_any()) scopes_.assign(at, {});
  }
}

void Checker::condition(const ast::Expr& e) {
  const Type t = expression(e);
  if (t.is_any() || t.is(Kind::Bool) || (t.is(Kind::Tensor) && t.may_be_scalar())) return;
  diags_.report(DiagCode::BadCondition, e.span, describe(t));
}

// An expression that tells how it ended in branch_ends_.
static bool chooses(const ast::Expr& e) {
  return e.kind == ast::ExprKind::If || e.kind == ast::ExprKind::Try;
}

Checker::End Checker::block(const ast::Block& b, Type* value) {
  scopes_.open();
  End end = End::Runs;
  if (value != nullptr) *value = make_type(Kind::Unit);
  for (size_t i = 0; i < b.statements.size(); ++i) {
    const ast::Stmt& s = *b.statements[i];
    const bool is_last = i + 1 == b.statements.size();
    const auto* last = is_last ? ast::get_if<ast::ExprStmt>(&s) : nullptr;
    End here = End::Runs;
    if (value != nullptr && last != nullptr) {
      *value = expression(*last->value);
      if (chooses(*last->value) && branch_ends_ == End::Leaves) here = End::Leaves;
    } else {
      here = statement(s);
      if (value != nullptr && is_last && s.kind == ast::StmtKind::Assign) *value = {};
    }
    if (here == End::Leaves && end == End::Runs && !is_last) {
      const ast::Stmt& next = *b.statements[i + 1];
      if (next.kind != ast::StmtKind::Fn)
        diags_.report(DiagCode::Unreachable, next.span).also(s.span, "nothing runs after this");
    }
    if (here == End::Leaves) end = End::Leaves;
  }
  scopes_.close();
  return end;
}

Checker::End Checker::statement(const ast::Stmt& s) {
  switch (s.kind) {
    case ast::StmtKind::Let:
      let(ast::as<ast::Let>(s));
      return End::Runs;
    case ast::StmtKind::Assign:
      assign(ast::as<ast::Assign>(s));
      return End::Runs;
    case ast::StmtKind::ExprStmt: {
      const ast::Expr& value = *ast::as<ast::ExprStmt>(s).value;
      const Type type = expression(value);
      const bool ends_file = function_ == 0 && s.span.end == modules_[module_]->statements.back()->span.end;
      if (lint_ && !ends_file && is_dropped(value, type)) {
        const auto* call = ast::get_if<ast::Call>(&value);
        const auto* name = call != nullptr ? ast::get_if<ast::Name>(call->callee) : nullptr;
        diags_.report(DiagCode::DroppedResult, s.span,
                      name != nullptr ? "'" + name->text + "'" : "this expression");
      }
      return chooses(value) ? branch_ends_ : End::Runs;
    }
    case ast::StmtKind::While: {
      const auto& loop = ast::as<ast::While>(s);
      loosen(s.span);
      condition(*loop.condition);
      const auto* always = ast::get_if<ast::Bool>(loop.condition);
      const End end = loop_body(loop.body, s.span);
      return always != nullptr && always->value ? end : End::Runs;
    }
    case ast::StmtKind::Loop:
      loosen(s.span);
      return loop_body(ast::as<ast::Loop>(s).body, s.span);
    case ast::StmtKind::For:
      for_loop(ast::as<ast::For>(s));
      return End::Runs;
    case ast::StmtKind::Break:
      loop_breaks_ = true;
      return End::Leaves;
    case ast::StmtKind::Continue:
      return End::Leaves;
    case ast::StmtKind::Return:
      return_value(ast::as<ast::Return>(s));
      return End::Leaves;
    case ast::StmtKind::Defer:
      block(ast::as<ast::Defer>(s).body);
      loosen(s.span);
      return End::Runs;
    case ast::StmtKind::TensorDecl:
      tensor_decl(ast::as<ast::TensorDecl>(s));
      return End::Runs;
    case ast::StmtKind::Fn:
      if (function_ > 0 || scopes_.depth() > 1) local_function(ast::as<ast::Fn>(s));
      return End::Runs;
    default:
      loosen(s.span);  // declarations, which have been seen, and logic and learning, which run on their own
      is_opaque_ = is_opaque_ || function_ > 0;
      return End::Runs;
  }
}

// Leaves where the loop has no way out but a return.
Checker::End Checker::loop_body(const ast::Block& body, Span loop) {
  const bool outer = std::exchange(loop_breaks_, false);
  const size_t mark = scopes_.trail();
  block(body);
  scopes_.roll_back(mark);
  loosen(loop);
  return std::exchange(loop_breaks_, outer) ? End::Runs : End::Leaves;
}

void Checker::for_loop(const ast::For& s) {
  const Type over = expression(*s.iterable);
  const bool fits = over.is_any() || over.is(Kind::List) || over.is(Kind::Tuple) || over.is(Kind::Range) ||
                    over.is(Kind::String) || over.is(Kind::Struct) || over.is(Kind::Int) ||
                    (over.is(Kind::Tensor) && !(over.has_rank() && over.tensor.rank() == 0));
  if (!fits) diags_.report(DiagCode::NotIterable, s.iterable->span, describe(over));
  loosen(s.span);
  scopes_.open();
  for (const ast::Ident& n : s.names) {
    Type item;
    if (!s.is_tuple && over.is(Kind::Range)) item = int_type();
    if (!s.is_tuple && over.is(Kind::String)) item = make_type(Kind::String);
    if (!s.is_tuple && over.has_rank() && over.tensor.rank() > 1) {
      item = over;
      item.tensor.shape.erase(0);
    }
    scopes_.declare(n.text, std::move(item), function_);
    if (writes_[module_].is_written_in(n.text, s.span)) scopes_.at(scopes_.find(n.text)).type = {};
  }
  loop_body(s.body, s.span);
  scopes_.close();
}

void Checker::let(const ast::Let& s) {
  Type value = declared_value(*s.value, s.type.get());
  check_type(s.type.get());
  if (s.is_tuple) {
    const bool known = (value.is(Kind::Tuple) || value.is(Kind::List)) && value.items_known;
    const size_t wanted = s.unpacking.empty() ? s.names.size() : s.unpacking.size();
    const bool fits = !known || value.items.size() == wanted;
    if (!fits || (value.is_number() || value.is(Kind::Bool) || value.is(Kind::String)))
      diags_.report(DiagCode::BadUnpack, s.value->span,
                    known ? fmt::format("{} values", value.items.size()) : describe(value), wanted);
    for (size_t i = 0; i < s.names.size(); ++i) {
      scopes_.declare(s.names[i].text,
                      known && fits && s.unpacking.empty() ? as_variable(value.items[i]) : Type{}, function_);
    }
    return;
  }
  const Operand found{value, s.value->span};
  const bool fits = expect(s.type.get(), found, fmt::format("'{}'", s.names[0].text));
  Type type = declared(s.type.get());
  if (type.is_any() || (type.is(value.kind) && !type.is(Kind::Tensor))) type = value;
  if (type.is(Kind::Tensor) && fits) type = refine(type, value);
  const size_t at = scopes_.declare(s.names[0].text, as_variable(std::move(type)), function_);
  if (function_ > 0 && !s.names[0].text.starts_with('_')) scopes_.at(at).span = s.names[0].span;
}

void Checker::assign(const ast::Assign& s) {
  const bool is_plain = s.op == ast::AssignOp::Set || s.op == ast::AssignOp::Define;
  if (s.is_equation || s.op == ast::AssignOp::Max || s.op == ast::AssignOp::Min ||
      s.op == ast::AssignOp::Average || s.target->kind == ast::ExprKind::Call ||
      s.target->kind == ast::ExprKind::String || is_equation_target(*s.target)) {
    is_opaque_ = is_opaque_ || function_ > 0;
    return loosen(s.span);
  }
  if (is_plain) {
    const Type value = expression(*s.value);
    if (const auto* field = ast::get_if<ast::Field>(s.target)) {
      const Type object = expression(*field->object);
      const FieldInfo* info = object.is(Kind::Struct) ? object.of->find(field->name.text) : nullptr;
      if (info != nullptr && !value.is(Kind::Unit))
        expect(info->declared, {value, s.value->span}, fmt::format("'{}'", field->name.text));
    }
    return assign_to(*s.target, value);
  }
  const Operand before{expression(*s.target), s.target->span}, by{expression(*s.value), s.value->span};
  std::optional<ast::BinaryOp> op;
  if (s.op == ast::AssignOp::Add) op = ast::BinaryOp::Add;
  if (s.op == ast::AssignOp::Sub) op = ast::BinaryOp::Sub;
  if (s.op == ast::AssignOp::Mul) op = ast::BinaryOp::Mul;
  if (s.op == ast::AssignOp::Div) op = ast::BinaryOp::Div;
  if (s.op == ast::AssignOp::Mod) op = ast::BinaryOp::Mod;
  if (s.op == ast::AssignOp::Pow) op = ast::BinaryOp::Pow;
  if (s.op == ast::AssignOp::MatMul) op = ast::BinaryOp::MatMul;
  assign_to(*s.target, op ? operator_type(*op, before, by, s.span) : Type{});
}

// H[i, j] = ... where i names no variable is a tensor equation.
bool Checker::is_equation_target(const ast::Expr& target) const {
  const auto* index = ast::get_if<ast::Index>(&target);
  if (index == nullptr) return false;
  for (const ast::IndexItem& item : index->items) {
    const auto* name = ast::get_if<ast::Name>(item.value);
    if (name != nullptr && scopes_.find(name->text) == Scopes::kNowhere) return true;
  }
  return false;
}

void Checker::assign_to(const ast::Expr& target, const Type& type) {
  if (const auto* name = ast::get_if<ast::Name>(&target)) {
    const size_t at = scopes_.find(name->text);
    if (at == Scopes::kNowhere) {
      scopes_.declare(name->text, as_variable(type), function_);
    } else {
      scopes_.assign(at, as_variable(type));
    }
  } else if (const auto* tuple = ast::get_if<ast::Tuple>(&target)) {
    const bool known = type.is(Kind::Tuple) && type.items_known && type.items.size() == tuple->items.size();
    for (size_t i = 0; i < tuple->items.size(); ++i) {
      assign_to(*tuple->items[i], known ? type.items[i] : Type{});
    }
  } else if (const auto* index = ast::get_if<ast::Index>(&target)) {
    set_part(*index, type);
  } else {
    expression(target);
  }
}

void Checker::tensor_decl(const ast::TensorDecl& s) {
  Type type = declared(s.type.get());
  if (type.is(Kind::Tensor) && s.type != nullptr) {
    if (const auto dtype = find_dtype(s.type->name.text)) type.tensor.dtype = *dtype, type.dtype_known = true;
  }
  if (s.value != nullptr) {
    const Type value = declared_value(*s.value, s.type.get());
    const std::optional<Type> made = to_tensor(value);
    const bool is_list = value.is(Kind::List) || value.is(Kind::Tensor);
    // A list is brought to the declared shape where it has as many numbers.
    const bool differs = made && is_list && made->has_rank() && type.has_rank() &&
                         is_known(made->tensor.shape) && is_known(type.tensor.shape) &&
                         numel(made->tensor.shape) != numel(type.tensor.shape);
    if (differs || (!made && type.is(Kind::Tensor) && !value.is(Kind::Unit))) {
      diags_.report(DiagCode::TypeMismatch, s.value->span, fmt::format("'{}'", s.name.text),
                    describe(made.value_or(value)), text_of(*s.type));
    }
    if (type.is_any()) type = value;
  }
  scopes_.declare(s.name.text, as_variable(std::move(type)), function_);
}

void Checker::local_function(const ast::Fn& fn) {
  Type type = make_type(Kind::Function);
  type.params = &fn.params;
  type.result = fn.result.get();
  type.generics = &fn.generics;
  const size_t at = scopes_.declare(fn.name.text, std::move(type), function_);
  if (writes_[module_].is_written_in(fn.name.text, outermost_)) scopes_.at(at).type = {};
  tie(fn.span);
  check_function(fn.params, fn.result.get(), &fn.body, nullptr, nullptr, &fn);
}

// What a closure assigns can change whenever it is called.
void Checker::tie(Span closure) {
  const auto [begin, end] = writes_[module_].inside(closure);
  for (const Write* w = begin; w != end; ++w) {
    const size_t at = scopes_.find(w->name);
    if (at == Scopes::kNowhere) continue;
    scopes_.at(at).is_loose = true;
    scopes_.assign(at, {});
  }
}

void Checker::return_value(const ast::Return& s) {
  if (s.value == nullptr) return;
  returns_ = true;
  const Operand value{expression(*s.value), s.value->span};
  if (!value.type.is(Kind::Unit)) expect(result_, value, "'result'");
}

}  // namespace tl::sema
