#include "tl/syntax/ast.h"

namespace tl::ast {

std::string String::plain_text() const {
  std::string all;
  for (const StringPart& part : parts) all += part.text;
  return all;
}

const Setting* Learn::find(std::string_view name) const {
  for (const Setting& setting : settings) {
    if (setting.name.text == name) return &setting;
  }
  return nullptr;
}

bool is_tensor_literal(const List& e) {
  if (e.items.empty() || e.items[0]->kind != ExprKind::List) return false;
  bool has_leaf = false;
  std::vector<const List*> open = {&e};
  while (!open.empty()) {
    const List* list = open.back();
    open.pop_back();
    for (const auto& item : list->items) {
      const Expr* leaf = item.get();
      if (const auto* minus = get_if<Unary>(leaf)) leaf = minus->operand.get();
      switch (leaf->kind) {
        case ExprKind::List:
          open.push_back(&as<List>(*leaf));
          break;
        case ExprKind::Int:
        case ExprKind::Float:
        case ExprKind::Bool:
          has_leaf = true;
          break;
        case ExprKind::String:
        case ExprKind::Tuple:
        case ExprKind::StructLiteral:
        case ExprKind::Closure:
          return false;
        default:
          break;
      }
    }
  }
  return has_leaf;
}

std::string_view spelling(BinaryOp op) {
  switch (op) {
    case BinaryOp::Or:
      return "||";
    case BinaryOp::And:
      return "&&";
    case BinaryOp::Equal:
      return "==";
    case BinaryOp::NotEqual:
      return "!=";
    case BinaryOp::Approx:
      return "≈";
    case BinaryOp::Less:
      return "<";
    case BinaryOp::LessEqual:
      return "<=";
    case BinaryOp::Greater:
      return ">";
    case BinaryOp::GreaterEqual:
      return ">=";
    case BinaryOp::In:
      return "in";
    case BinaryOp::NotIn:
      return "not in";
    case BinaryOp::Add:
      return "+";
    case BinaryOp::Sub:
      return "-";
    case BinaryOp::Mul:
      return "*";
    case BinaryOp::Div:
      return "/";
    case BinaryOp::Mod:
      return "%";
    case BinaryOp::MatMul:
      return "@";
    case BinaryOp::ElementwiseMul:
      return "⊙";
    case BinaryOp::Outer:
      return "⊗";
    case BinaryOp::Pow:
      return "**";
    case BinaryOp::Join:
      return "join";
    case BinaryOp::Similar:
      return "~";
    case BinaryOp::Unify:
      return "=";
  }
  TL_CHECK(false, "operator {}", int(op));
}

std::string_view spelling(UnaryOp op) {
  switch (op) {
    case UnaryOp::Minus:
      return "-";
    case UnaryOp::Not:
      return "!";
    case UnaryOp::Inverse:
      return "inv";
  }
  TL_CHECK(false, "operator {}", int(op));
}

std::string_view spelling(AssignOp op) {
  switch (op) {
    case AssignOp::Set:
      return "=";
    case AssignOp::Define:
      return ":=";
    case AssignOp::Add:
      return "+=";
    case AssignOp::Sub:
      return "-=";
    case AssignOp::Mul:
      return "*=";
    case AssignOp::Div:
      return "/=";
    case AssignOp::Mod:
      return "%=";
    case AssignOp::Pow:
      return "**=";
    case AssignOp::MatMul:
      return "@=";
    case AssignOp::Max:
      return "max=";
    case AssignOp::Min:
      return "min=";
    case AssignOp::Average:
      return "avg=";
  }
  TL_CHECK(false, "operator {}", int(op));
}

}  // namespace tl::ast
