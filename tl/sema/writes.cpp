#include "tl/sema/writes.h"

#include <algorithm>

namespace tl::sema {

Writes::Writes(const ast::Module& module) {
  for (const auto& s : module.statements) statement(*s);
  std::stable_sort(all_.begin(), all_.end(), [](const Write& a, const Write& b) { return a.at < b.at; });
  for (const Write& w : all_) places_[w.name].push_back(w.at);
}

std::pair<const Write*, const Write*> Writes::inside(Span span) const {
  const auto at = [&](u32 offset) {
    return std::lower_bound(all_.begin(), all_.end(), offset, [](const Write& w, u32 o) { return w.at < o; });
  };
  const Write* const begin = all_.data();
  return {begin + (at(span.begin) - all_.begin()), begin + (at(span.end) - all_.begin())};
}

bool Writes::is_written(std::string_view name) const {
  return places_.find(name) != places_.end();
}

bool Writes::is_written_in(std::string_view name, Span span) const {
  const auto it = places_.find(name);
  if (it == places_.end()) return false;
  const auto at = std::lower_bound(it->second.begin(), it->second.end(), span.begin);
  return at != it->second.end() && *at < span.end;
}

void Writes::target(const ast::Expr& e) {
  if (const auto* name = ast::get_if<ast::Name>(&e)) all_.push_back({e.span.begin, name->text});
  if (const auto* tuple = ast::get_if<ast::Tuple>(&e)) {
    for (const auto& item : tuple->items) target(*item);
  }
}

void Writes::optional(const ast::ExprPtr& e) {
  if (e != nullptr) expression(*e);
}

void Writes::block(const ast::Block& b) {
  for (const auto& s : b.statements) statement(*s);
}

void Writes::calls(const std::vector<ast::Arg>& args) {
  for (const ast::Arg& arg : args) optional(arg.value);
}

void Writes::statement(const ast::Stmt& s) {
  switch (s.kind) {
    case ast::StmtKind::Let:
      return optional(ast::as<ast::Let>(s).value);
    case ast::StmtKind::Assign:
      target(*ast::as<ast::Assign>(s).target);
      return optional(ast::as<ast::Assign>(s).value);
    case ast::StmtKind::ExprStmt:
      return optional(ast::as<ast::ExprStmt>(s).value);
    case ast::StmtKind::While:
      optional(ast::as<ast::While>(s).condition);
      return block(ast::as<ast::While>(s).body);
    case ast::StmtKind::For:
      optional(ast::as<ast::For>(s).iterable);
      return block(ast::as<ast::For>(s).body);
    case ast::StmtKind::Loop:
      return block(ast::as<ast::Loop>(s).body);
    case ast::StmtKind::Return:
      return optional(ast::as<ast::Return>(s).value);
    case ast::StmtKind::Defer:
      return block(ast::as<ast::Defer>(s).body);
    case ast::StmtKind::With:
      return block(ast::as<ast::With>(s).body);
    case ast::StmtKind::Fn:
      return block(ast::as<ast::Fn>(s).body);
    case ast::StmtKind::Impl:
      for (const auto& method : ast::as<ast::Impl>(s).methods) block(method->body);
      return;
    case ast::StmtKind::Main:
      return block(ast::as<ast::Main>(s).body);
    case ast::StmtKind::Test:
      return block(ast::as<ast::Test>(s).body);
    case ast::StmtKind::Bench:
      return block(ast::as<ast::Bench>(s).body);
    case ast::StmtKind::Learn:
      return block(ast::as<ast::Learn>(s).body);
    case ast::StmtKind::TensorDecl:
      return optional(ast::as<ast::TensorDecl>(s).value);
    default:
      return;  // declarations, and logic, which assigns nothing
  }
}

void Writes::expression(const ast::Expr& e) {
  switch (e.kind) {
    case ast::ExprKind::String:
      for (const auto& part : ast::as<ast::String>(e).parts) optional(part.value);
      return;
    case ast::ExprKind::List:
      for (const auto& item : ast::as<ast::List>(e).items) expression(*item);
      return;
    case ast::ExprKind::Tuple:
      for (const auto& item : ast::as<ast::Tuple>(e).items) expression(*item);
      return;
    case ast::ExprKind::RepeatList:
      optional(ast::as<ast::RepeatList>(e).value);
      return optional(ast::as<ast::RepeatList>(e).count);
    case ast::ExprKind::Range:
      optional(ast::as<ast::Range>(e).begin);
      return optional(ast::as<ast::Range>(e).end);
    case ast::ExprKind::Call:
      optional(ast::as<ast::Call>(e).callee);
      return calls(ast::as<ast::Call>(e).args);
    case ast::ExprKind::MethodCall:
      optional(ast::as<ast::MethodCall>(e).receiver);
      return calls(ast::as<ast::MethodCall>(e).args);
    case ast::ExprKind::Field:
      return optional(ast::as<ast::Field>(e).object);
    case ast::ExprKind::Index:
      optional(ast::as<ast::Index>(e).object);
      for (const auto& item : ast::as<ast::Index>(e).items) {
        optional(item.value), optional(item.begin), optional(item.end), optional(item.step);
      }
      return;
    case ast::ExprKind::Unary:
      return optional(ast::as<ast::Unary>(e).operand);
    case ast::ExprKind::Binary:
      optional(ast::as<ast::Binary>(e).lhs);
      return optional(ast::as<ast::Binary>(e).rhs);
    case ast::ExprKind::Cast:
      return optional(ast::as<ast::Cast>(e).value);
    case ast::ExprKind::If:
      for (const auto& branch : ast::as<ast::If>(e).branches) {
        optional(branch.condition);
        block(branch.body);
      }
      if (ast::as<ast::If>(e).otherwise) block(*ast::as<ast::If>(e).otherwise);
      return;
    case ast::ExprKind::Match:
      optional(ast::as<ast::Match>(e).subject);
      for (const auto& arm : ast::as<ast::Match>(e).arms) {
        optional(arm.guard);
        optional(arm.value);
      }
      return;
    case ast::ExprKind::Closure:
      return optional(ast::as<ast::Closure>(e).body);
    case ast::ExprKind::StructLiteral:
      for (const auto& field : ast::as<ast::StructLiteral>(e).fields) optional(field.value);
      return;
    case ast::ExprKind::BlockExpr:
      return block(ast::as<ast::BlockExpr>(e).block);
    case ast::ExprKind::Try:
      block(ast::as<ast::Try>(e).body);
      if (ast::as<ast::Try>(e).handler) block(*ast::as<ast::Try>(e).handler);
      if (ast::as<ast::Try>(e).finally) block(*ast::as<ast::Try>(e).finally);
      return;
    default:
      return;
  }
}

}  // namespace tl::sema
