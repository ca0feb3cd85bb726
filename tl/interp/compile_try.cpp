// try, catch, finally and defer.
#include "tl/interp/compiler.h"

namespace tl::interp {

// What is left on the way to a failure runs in handlers; what is left by `return`, `break` or `continue`, in
// a copy of the code where they leave.
template <typename Body>
void Compiler::and_then(const ast::Block& after, Span span, bool waits, Body body) {
  const u16 failure = new_register(span);
  const size_t begin = emit_jump(Op::BeginTry, span, failure);
  fn_->proto->code[begin].takes = waits ? 0 : kUnwatched;
  fn_->tries.push_back({failure, true, &after});
  body();
  fn_->tries.pop_back();
  emit(Op::EndTry, span);
  block(after);
  const size_t done = emit_jump(Op::Jump, span);
  patch(begin);
  block(after);
  emit(Op::Rethrow, after.span, failure);
  patch(done);
}

void Compiler::try_value(const ast::Try& e, u16 dst) {
  const u16 mark = fn_->next_register;
  const auto guarded = [&] {
    if (!e.handler) return block_value(e.body, dst);
    const u16 failure = new_register(e.span);
    const size_t begin = emit_jump(Op::BeginTry, e.span, failure);
    fn_->tries.push_back({failure, true, nullptr});
    block_value(e.body, dst);
    fn_->tries.pop_back();
    emit(Op::EndTry, e.body.span);
    const size_t done = emit_jump(Op::Jump, e.span);
    patch(begin);
    const Scope scope = open_scope();
    if (e.error && e.error.text != "_") {
      const u16 reg = new_register(e.error.span);
      emit(Op::Move, e.error.span, reg, failure);
      emit(Op::Clear, e.error.span, failure, 1);
      bind_local(reg, e.error.text, e.error.span);
    }
    block_value(*e.handler, dst);
    close_scope(scope, e.handler->span);
    patch(done);
    emit(Op::Clear, e.span, failure, 1);
  };
  if (e.finally)
    and_then(*e.finally, e.span, !e.handler, guarded);
  else
    guarded();
  fn_->next_register = mark;
}

// Deferred statements run after the rest of their block, the last one first.
bool Compiler::statements(const ast::Block& b, size_t first, u16 dst) {
  bool has_value = false;
  for (size_t i = first; i < b.statements.size(); ++i) {
    const ast::Stmt& s = *b.statements[i];
    const bool is_last = dst != kNoRegister && i + 1 == b.statements.size();
    if (const auto* defer = ast::get_if<ast::Defer>(&s)) {
      and_then(defer->body, s.span, false, [&] { has_value = statements(b, i + 1, dst); });
      return has_value;
    }
    if (const auto* value = ast::get_if<ast::ExprStmt>(&s); is_last && value != nullptr) {
      const u16 mark = fn_->next_register;
      expression_to(*value->value, dst);
      fn_->next_register = mark;
      return true;
    }
    statement(s);
    if (const auto* set = ast::get_if<ast::Assign>(&s); is_last && set != nullptr && !set->is_equation) {
      if (const auto* target = ast::get_if<ast::Name>(set->target)) {
        load(find(target->text), dst, s.span);
        has_value = true;
      }
    }
  }
  return has_value;
}

// From the innermost outwards; `end`: registers from here on stay, those of a value that is returned.
void Compiler::leave_tries(size_t outermost, u16 end, Span span) {
  const std::vector<TryState> around = fn_->tries;
  for (size_t i = around.size(); i-- > outermost;) {
    const TryState& state = around[i];
    const u16 inside = static_cast<u16>(state.reg + 1);
    fn_->tries.resize(i);
    if (end > inside) emit(Op::Clear, span, inside, static_cast<u16>(end - inside));
    emit(Op::EndTry, span);
    if (state.after != nullptr) block(*state.after);
  }
  fn_->tries = around;
}

bool Compiler::check_const(std::string_view name, Span span) {
  for (const FunctionState* f = fn_; f != nullptr; f = f->parent) {
    const auto it = f->locals_by_name.find(name);
    if (it == f->locals_by_name.end() || it->second.empty()) continue;
    if (!f->locals[it->second.back()].is_const) return false;
    diags_.report(DiagCode::AssignToConst, span, name);
    return true;
  }
  const Symbol* symbol = find_symbol(name);
  if (symbol == nullptr || symbol->kind != Symbol::Kind::Global || !symbol->is_const) return false;
  diags_.report(DiagCode::AssignToConst, span, name).also(symbol->span, "declared here");
  return true;
}

}  // namespace tl::interp
