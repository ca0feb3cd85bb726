// Statements.
#include <algorithm>

#include "tl/interp/compiler.h"

namespace tl::interp {

void Compiler::statement(const ast::Stmt& s) {
  const u16 mark = fn_->next_register;
  use_ = s.span;
  switch (s.kind) {
    case ast::StmtKind::Error:
      return;  // reported
    case ast::StmtKind::Let:
      return let(ast::as<ast::Let>(s));
    case ast::StmtKind::Assign:
      return assign(ast::as<ast::Assign>(s));
    case ast::StmtKind::ExprStmt: {
      const ast::Expr& value = *ast::as<ast::ExprStmt>(s).value;
      const u16 reg = temporary(value);
      emit(Op::Clear, s.span, reg, 1);
      run_drops(s.span);
      fn_->next_register = mark;
      return;
    }
    case ast::StmtKind::While:
      return while_loop(ast::as<ast::While>(s));
    case ast::StmtKind::For:
      return for_loop(ast::as<ast::For>(s));
    case ast::StmtKind::Loop:
      return endless_loop(ast::as<ast::Loop>(s));
    case ast::StmtKind::Break:
      return leave_loop(true, s.span);
    case ast::StmtKind::Continue:
      return leave_loop(false, s.span);
    case ast::StmtKind::Return:
      return return_value(ast::as<ast::Return>(s));
    case ast::StmtKind::TensorDecl:
      return tensor_decl(ast::as<ast::TensorDecl>(s));
    case ast::StmtKind::Fn:
      return local_function(ast::as<ast::Fn>(s));
    case ast::StmtKind::Import:
      return not_yet(s.span, "import inside of a block");
    case ast::StmtKind::Struct:
    case ast::StmtKind::Impl:
    case ast::StmtKind::Enum:
      return not_yet(s.span, "a struct or an enum declared inside of a block");
    case ast::StmtKind::Defer:  // what is after it, a block's statements, is compiled inside of it
      return not_yet(s.span, "defer outside of a block");
    case ast::StmtKind::Main:
    case ast::StmtKind::Test:
    case ast::StmtKind::Bench:
      return not_yet(s.span, "main, test or bench inside of a block");
    case ast::StmtKind::With:
      return with(ast::as<ast::With>(s));
    case ast::StmtKind::PythonImport:
      return fails_yet("python import", s.span);
    case ast::StmtKind::Entity:
    case ast::StmtKind::Relation:
    case ast::StmtKind::Embedding:
      if (!fn_->is_module || fn_->depth > 0) not_yet(s.span, "a declaration inside of a block");
      if (const auto* embedding = ast::get_if<ast::Embedding>(&s)) check_embedding(*embedding);
      return;
    case ast::StmtKind::Rule:
      return check_rule(ast::as<ast::Rule>(s));
    case ast::StmtKind::Infer:
      return infer(ast::as<ast::Infer>(s));
    case ast::StmtKind::Learn:
      return learn(ast::as<ast::Learn>(s));
    case ast::StmtKind::Explain:
      return fails_yet("explain", s.span);
  }
}

void Compiler::block(const ast::Block& b) {
  const Scope scope = open_scope();
  statements(b, 0, kNoRegister);
  close_scope(scope, b.span);
}

void Compiler::block_value(const ast::Block& b, u16 dst) {
  const Scope scope = open_scope();
  const bool has_value = statements(b, 0, dst);
  if (!has_value) emit(Op::LoadUnit, b.span, dst);
  close_scope(scope, b.span);
}

void Compiler::let(const ast::Let& s) {
  if (s.is_tuple) {
    const u16 mark = fn_->next_register;
    const auto count = static_cast<u16>(s.names.size());
    const u16 first = fn_->next_register;
    for (const ast::Ident& n : s.names) new_register(n.span);
    const u16 value = temporary(*s.value);
    take_apart(s.unpacking, first, count, value, s.span);
    if (fn_->is_module && fn_->depth == 0) {
      for (u16 i = 0; i < count; ++i) {
        store_new(s.names[i].text, static_cast<u16>(first + i), s.names[i].span);
      }
      if (fn_->locals.empty() || fn_->locals.back().reg < mark) fn_->next_register = mark;
      return;
    }
    fn_->next_register = static_cast<u16>(first + count);
    for (u16 i = 0; i < count; ++i) bind_local(static_cast<u16>(first + i), s.names[i].text, s.names[i].span);
    return;
  }
  const u16 reg = new_register(s.span);
  declared_value(*s.value, s.type.get(), reg);
  coerce(reg, s.type.get(), s.names[0].text, s.value->span);
  fn_->next_register = static_cast<u16>(reg + 1);
  store_new(s.names[0].text, reg, s.names[0].span, s.is_const);
}

// The names' registers begin at `first`; takes `value`.
void Compiler::take_apart(const std::vector<ast::Unpacking>& parts, u16 first, u16 names, u16 value,
                          Span span) {
  if (parts.empty()) return void(emit(Op::Unpack, span, first, value, names, kTakesB));
  const u16 items = fn_->next_register;
  for (size_t i = 0; i < parts.size(); ++i) new_register(span);
  emit(Op::Unpack, span, items, value, parts.size(), kTakesB);
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto item = static_cast<u16>(items + i);
    if (parts[i].parts.empty())
      emit(Op::Move, span, static_cast<u16>(first + parts[i].name), item);
    else
      take_apart(parts[i].parts, first, 0, item, span);
  }
  emit(Op::Clear, span, items, parts.size());
  fn_->next_register = items;
}

// A name that is new in this block, for the value in `reg`, which is the last register taken.
void Compiler::store_new(const std::string& name, u16 reg, Span span, bool is_const) {
  const bool is_full = reg > kMaxRegisters / 2 && fn_->locals_by_name.find(name) == fn_->locals_by_name.end();
  const bool is_global = fn_->is_module && fn_->depth == 0 &&
                         (!fn_->keeps_locals || is_full || shared_names_.find(name) != shared_names_.end());
  if (!is_global) return bind_local(reg, name, span, is_const);
  emit(Op::SetGlobal, span, reg, static_cast<size_t>(define_global(name, span, is_const)), 0, kTakesB);
  if (fn_->next_register == reg + 1) fn_->next_register = reg;
}

void Compiler::store_name(const std::string& name, u16 value, Span span) {
  const Place place = find(name);
  switch (place.kind) {
    case Place::Kind::Register:
      emit(Op::Move, span, place.reg(), value);
      return;
    case Place::Kind::Cell:
      emit(Op::SetCell, span, place.reg(), value);
      return;
    case Place::Kind::Capture: {
      const u16 cell = new_register(span);
      emit(Op::LoadCapture, span, cell, place.index);
      emit(Op::SetCell, span, cell, value);
      emit(Op::Clear, span, cell, 1);
      return;
    }
    case Place::Kind::Global:
      emit(Op::SetGlobal, span, value, place.index);
      return;
    case Place::Kind::None:
      TL_CHECK(false, "assignment to {}, which is nowhere", name);
  }
}

namespace {

std::optional<ast::BinaryOp> operator_of(ast::AssignOp op) {
  switch (op) {
    case ast::AssignOp::Add:
      return ast::BinaryOp::Add;
    case ast::AssignOp::Sub:
      return ast::BinaryOp::Sub;
    case ast::AssignOp::Mul:
      return ast::BinaryOp::Mul;
    case ast::AssignOp::Div:
      return ast::BinaryOp::Div;
    case ast::AssignOp::Mod:
      return ast::BinaryOp::Mod;
    case ast::AssignOp::Pow:
      return ast::BinaryOp::Pow;
    case ast::AssignOp::MatMul:
      return ast::BinaryOp::MatMul;
    default:
      return {};
  }
}

}  // namespace

void Compiler::assign(const ast::Assign& s) {
  if (s.is_equation || s.op == ast::AssignOp::Max || s.op == ast::AssignOp::Min ||
      s.op == ast::AssignOp::Average) {
    return not_yet(s.span, "tensor equations");
  }
  const auto* name = ast::get_if<ast::Name>(s.target);
  const auto op = operator_of(s.op);
  if (name != nullptr && check_const(name->text, name->span)) return;
  if (name != nullptr && !op) {
    const Place place = find(name->text);
    if (place.kind == Place::Kind::None) {  // new in this block
      const u16 reg = new_register(s.span);
      expression_to(*s.value, reg);
      fn_->next_register = static_cast<u16>(reg + 1);
      return store_new(name->text, reg, name->span);
    }
    if (place.kind == Place::Kind::Register && may_compute_in_place(*s.value)) {
      const u16 mark = fn_->next_register;
      expression_to(*s.value, place.reg());
      run_drops(s.span);
      fn_->next_register = mark;
      return;
    }
  }
  if (op && name != nullptr && find(name->text).kind == Place::Kind::None) {
    unknown_name(name->text, name->span);
    return;
  }
  const u16 mark = fn_->next_register;
  if (op) {
    if (name != nullptr && find(name->text).kind == Place::Kind::Register && *op != ast::BinaryOp::In) {
      const u16 reg = find(name->text).reg();  // where nobody else holds a string, it grows in place
      emit_binary(*op, s.span, reg, reg, expression(*s.value));
      emit(Op::Clear, s.span, mark, static_cast<u16>(fn_->next_register - mark));
      fn_->next_register = mark;
      return;
    }
    const Target target = prepare(*s.target);
    const u16 old = load(target, true);
    const u16 operand = expression(*s.value), value = new_register(s.span);
    emit_binary(*op, s.span, value, old, operand);
    store(target, value);
  } else {
    const u16 value = temporary(*s.value);
    assign_to(*s.target, value);
  }
  emit(Op::Clear, s.span, mark, static_cast<u16>(fn_->next_register - mark));
  run_drops(s.span);
  fn_->next_register = mark;
}

// True where an expression writes its register only once everything it reads has been read.
bool Compiler::may_compute_in_place(const ast::Expr& value) const {
  switch (value.kind) {
    case ast::ExprKind::Binary: {
      const auto op = ast::as<ast::Binary>(value).op;
      return op != ast::BinaryOp::And && op != ast::BinaryOp::Or;
    }
    case ast::ExprKind::Unary:
    case ast::ExprKind::Call:
    case ast::ExprKind::MethodCall:
    case ast::ExprKind::Int:
    case ast::ExprKind::Float:
    case ast::ExprKind::Bool:
    case ast::ExprKind::String:
      return true;
    default:
      return false;
  }
}

void Compiler::assign_to(const ast::Expr& target, u16 value) {
  store(prepare(target), value);
}

// Whatever the target consists of is computed here, once.
Compiler::Target Compiler::prepare(const ast::Expr& e) {
  Target t;
  t.expr = &e;
  if (e.kind == ast::ExprKind::Field) {
    t.object = expression(*ast::as<ast::Field>(e).object);
    return t;
  }
  if (e.kind != ast::ExprKind::Index) return t;
  const auto& index = ast::as<ast::Index>(e);
  const auto kind = index.object->kind;
  if (kind == ast::ExprKind::Name || kind == ast::ExprKind::Field || kind == ast::ExprKind::Index) {
    t.holder = std::make_unique<Target>(prepare(*index.object));
    t.object = load(*t.holder, false);
  } else {
    t.object = expression(*index.object);
  }
  t.is_plain = index.items.size() == 1 && index.items[0].kind == ast::IndexItem::Kind::At;
  if (t.is_plain)
    t.at = expression(*index.items[0].value);
  else
    t.spec = index_spec(index.items);
  return t;
}

u16 Compiler::load(const Target& t, bool for_update) {
  const ast::Expr& e = *t.expr;
  if (e.kind == ast::ExprKind::Field) {
    const u16 found = new_register(e.span);
    emit(Op::GetField, e.span, found, t.object, name_index(ast::as<ast::Field>(e).name.text));
    return found;
  }
  if (e.kind != ast::ExprKind::Index) return expression(e);
  if (t.is_plain) {
    const u16 found = new_register(e.span);
    emit(Op::Index, e.span, found, t.object, t.at, for_update ? kForUpdate : 0);
    return found;
  }
  IndexSpec again = fn_->proto->indices[t.spec];  // the instruction empties its registers
  const u16 from = std::exchange(again.first, fn_->next_register);
  for (u16 k = 0; k < again.count; ++k) emit(Op::Move, e.span, new_register(e.span), from + k);
  const u16 found = new_register(e.span);
  fn_->proto->indices.push_back(std::move(again));
  emit(Op::IndexMany, e.span, found, t.object, fn_->proto->indices.size() - 1);
  return found;
}

void Compiler::store(const Target& t, u16 value) {
  const ast::Expr& target = *t.expr;
  switch (target.kind) {
    case ast::ExprKind::Name: {
      const auto& name = ast::as<ast::Name>(target);
      if (find(name.text).kind != Place::Kind::None) return store_name(name.text, value, name.span);
      if (fn_->is_module && fn_->depth == 0) {
        emit(Op::SetGlobal, name.span, value, static_cast<size_t>(define_global(name.text, name.span)));
        return;
      }
      unknown_name(name.text, name.span).note("declare it with 'let' first");
      return;
    }
    case ast::ExprKind::Index:
      return store_item(t, value, 0);
    case ast::ExprKind::Field:
      emit(Op::SetField, target.span, t.object, name_index(ast::as<ast::Field>(target).name.text), value);
      return;
    case ast::ExprKind::Tuple: {
      const auto& items = ast::as<ast::Tuple>(target).items;
      const u16 first = fn_->next_register;
      for (const auto& item : items) new_register(item->span);
      emit(Op::Unpack, target.span, first, value, static_cast<u16>(items.size()));
      for (size_t i = 0; i < items.size(); ++i) assign_to(*items[i], static_cast<u16>(first + i));
      return;
    }
    case ast::ExprKind::Error:
      return;
    default:
      fails_yet("assignments to facts and files", target.span);
      return;
  }
}

// Tensors never change, so that whatever holds the one that is indexed gets the new one; a list is what it
// was.
void Compiler::store_item(const Target& t, u16 value, u8 takes) {
  const Span span = t.expr->span;
  if (t.is_plain)
    emit(Op::SetIndex, span, t.object, t.at, value, takes);
  else
    emit(Op::SetIndexMany, span, t.object, t.spec, value, takes);
  if (t.holder == nullptr || !is_temporary(t.object)) return;
  if (t.holder->expr->kind == ast::ExprKind::Index)
    store_item(*t.holder, t.object, kIfTensor);
  else
    store(*t.holder, t.object);
}

void Compiler::tensor_decl(const ast::TensorDecl& s) {
  const u16 reg = new_register(s.span);
  if (s.value != nullptr) {
    declared_value(*s.value, s.type.get(), reg);
    coerce(reg, s.type.get(), s.name.text, s.span, true);
  } else {
    const TypeSpec spec = type_spec(s.type.get());
    if (spec.kind != TypeSpec::Kind::Tensor ||
        std::find(spec.dims.begin(), spec.dims.end(), -1) != spec.dims.end()) {
      return not_yet(s.span, "a tensor without a value whose dims are not all numbers");
    }
    const Builtin* zeros = lang::find_builtin("zeros");
    if (zeros == nullptr) return not_yet(s.span, "a tensor without a value");
    const u16 base = fn_->next_register;
    new_register(s.span), new_register(s.span);
    emit(Op::LoadConstant, s.span, base, constant(lang::make_ints(spec.dims)));
    emit(Op::LoadConstant, s.span, static_cast<u16>(base + 1), constant(Value(spec.dtype)));
    fn_->proto->calls.push_back({.builtin = zeros, .count = 2});
    emit(Op::CallBuiltin, s.span, reg, fn_->proto->calls.size() - 1, base);
  }
  fn_->next_register = static_cast<u16>(reg + 1);
  store_new(s.name.text, reg, s.name.span);
}

// ---- Loops ------------------------------------------------------------------------------------------------

void Compiler::while_loop(const ast::While& s) {
  const u16 mark = fn_->next_register;
  const size_t start = here();
  const u16 condition = expression(*s.condition);
  const size_t exit =
      emit(Op::JumpIfNot, s.condition->span, condition, 0, 0, is_temporary(condition) ? kTakesB : 0);
  fn_->next_register = mark;
  fn_->loops.push_back({{}, {}, mark, fn_->tries.size()});
  block(s.body);
  patch_all(fn_->loops.back().continues);
  jump_to(start, Op::Loop, s.span);
  patch(exit);
  patch_all(fn_->loops.back().breaks);
  fn_->loops.pop_back();
}

void Compiler::endless_loop(const ast::Loop& s) {
  const size_t start = here();
  fn_->loops.push_back({{}, {}, fn_->next_register, fn_->tries.size()});
  block(s.body);
  patch_all(fn_->loops.back().continues);
  jump_to(start, Op::Loop, s.span);
  patch_all(fn_->loops.back().breaks);
  fn_->loops.pop_back();
}

bool Compiler::range_bounds(const ast::Expr& iterable, u16 first) {
  const u16 second = static_cast<u16>(first + 1);
  if (const auto* range = ast::get_if<ast::Range>(&iterable)) {
    if (range->begin == nullptr || range->end == nullptr) return false;
    expression_to(*range->begin, first);
    expression_to(*range->end, second);
    if (range->inclusive) emit(Op::AddInt, iterable.span, second, second, 1);
    return true;
  }
  const auto* call = ast::get_if<ast::Call>(&iterable);
  const auto* callee = call != nullptr ? ast::get_if<ast::Name>(call->callee) : nullptr;
  if (callee == nullptr || (callee->text != "range" && callee->text != "range_i") || call->args.empty() ||
      call->args.size() > 2)
    return false;
  if (find(callee->text).kind != Place::Kind::None || find_symbol(callee->text) != nullptr) return false;
  for (const ast::Arg& arg : call->args) {
    if (arg.name) return false;
  }
  if (call->args.size() == 1) {
    emit(Op::LoadInt, iterable.span, first);
    expression_to(*call->args[0].value, second);
  } else {
    expression_to(*call->args[0].value, first);
    expression_to(*call->args[1].value, second);
  }
  return true;
}

void Compiler::for_loop(const ast::For& s) {
  const Scope outer = open_scope();
  const u16 state = new_register(s.span);
  new_register(s.span), new_register(s.span);
  const bool counts = !s.is_tuple && range_bounds(*s.iterable, state);
  const auto* set = ast::get_if<ast::List>(s.iterable);
  if (!counts && set != nullptr && set->is_set) {
    literal_set(*set, state, true);
  } else if (!counts) {
    expression_to(*s.iterable, state);
  }
  const bool is_pair = s.is_tuple && (s.unpacking.empty() ? s.names.size() : s.unpacking.size()) == 2;
  emit(Op::ForPrepare, s.iterable->span, state, counts ? 1 : 0, is_pair ? 1 : 0);
  const u16 body = fn_->next_register;
  const size_t start = here();
  const u16 item = new_register(s.span);
  emit(counts ? Op::ForRange : Op::ForNext, s.iterable->span, state, item);
  const size_t exit = emit_jump(Op::Jump, s.span);

  fn_->loops.push_back({{}, {}, body, fn_->tries.size()});
  const Scope scope = open_scope();
  if (s.is_tuple) {
    const u16 first = fn_->next_register;
    for (const ast::Ident& n : s.names) new_register(n.span);
    const u16 next = fn_->next_register;
    take_apart(s.unpacking, first, static_cast<u16>(s.names.size()), item, s.span);
    fn_->next_register = next;
    for (size_t i = 0; i < s.names.size(); ++i)
      bind_local(static_cast<u16>(first + i), s.names[i].text, s.names[i].span);
  } else {
    bind_local(item, s.names[0].text, s.names[0].span);
  }
  statements(s.body, 0, kNoRegister);
  const u16 used = fn_->next_register;
  close_scope(scope, s.body.span, false);
  emit(Op::Clear, s.span, item, static_cast<u16>(used - item));
  run_drops(s.span);
  patch_all(fn_->loops.back().continues);
  jump_to(start, Op::Loop, s.span);
  patch(exit);
  patch_all(fn_->loops.back().breaks);
  fn_->loops.pop_back();
  emit(Op::Clear, s.span, state, 3);
  run_drops(s.span);
  close_scope(outer, s.span, false);
}

void Compiler::leave_loop(bool is_break, Span span) {
  if (fn_->loops.empty()) {
    diags_.report(DiagCode::OutsideLoop, span, is_break ? "break" : "continue");
    return;
  }
  leave_tries(fn_->loops.back().tries, fn_->next_register, span);
  LoopState& loop = fn_->loops.back();
  if (fn_->next_register > loop.first_register) {
    emit(Op::Clear, span, loop.first_register, static_cast<u16>(fn_->next_register - loop.first_register));
    run_drops(span);
  }
  (is_break ? loop.breaks : loop.continues).push_back(emit_jump(Op::Jump, span));
}

void Compiler::return_value(const ast::Return& s) {
  if (!fn_->may_return) {
    diags_.report(DiagCode::OutsideFunction, s.span);
    return;
  }
  const u16 mark = fn_->next_register;
  const u16 reg = new_register(s.span);
  if (s.value != nullptr) {
    expression_to(*s.value, reg);
    coerce(reg, fn_->result, "result", s.value->span);
  } else {
    emit(Op::LoadUnit, s.span, reg);
  }
  leave_tries(0, reg, s.span);
  emit(Op::Return, s.span, reg);
  fn_->next_register = mark;
}

void Compiler::local_function(const ast::Fn& fn) {
  const u16 reg = new_register(fn.span);
  emit(Op::LoadUnit, fn.span, reg);
  bind_local(reg, fn.name.text, fn.name.span);
  const int proto = new_proto(fn.name.text, fn.span);
  ClosureSpec spec;
  compile_function(proto, fn.params, fn.result.get(), &fn.body, nullptr, fn_, &spec, fn.name.text);
  const u16 made = new_register(fn.span);
  make_closure(std::move(spec), made, fn.span);
  store_name(fn.name.text, made, fn.span);
  emit(Op::Clear, fn.span, made, 1);
  fn_->next_register = static_cast<u16>(reg + 1);
}

}  // namespace tl::interp
