// Operators. One loop climbs the levels of precedence; only brackets, prefixes and right operands recurse.
#include <optional>

#include "tl/syntax/parser_impl.h"

namespace tl {
namespace {

using ast::BinaryOp;

// From loose to tight.
enum Level : int {
  kSimilar,
  kOr,
  kAnd,
  kNot,
  kEquality,
  kComparison,
  kCast,
  kRange,
  kSum,
  kProduct,
};

struct Operator {
  BinaryOp op;
  int level;
};

std::optional<Operator> operator_of(TokenKind kind) {
  switch (kind) {
    case TokenKind::Tilde:
      return Operator{BinaryOp::Similar, kSimilar};
    case TokenKind::OrOr:
    case TokenKind::Or:
      return Operator{BinaryOp::Or, kOr};
    case TokenKind::AndAnd:
    case TokenKind::And:
      return Operator{BinaryOp::And, kAnd};
    case TokenKind::EqualEqual:
      return Operator{BinaryOp::Equal, kEquality};
    case TokenKind::BangEqual:
      return Operator{BinaryOp::NotEqual, kEquality};
    case TokenKind::Approx:
      return Operator{BinaryOp::Approx, kEquality};
    case TokenKind::Less:
      return Operator{BinaryOp::Less, kComparison};
    case TokenKind::LessEqual:
      return Operator{BinaryOp::LessEqual, kComparison};
    case TokenKind::Greater:
      return Operator{BinaryOp::Greater, kComparison};
    case TokenKind::GreaterEqual:
      return Operator{BinaryOp::GreaterEqual, kComparison};
    case TokenKind::In:
      return Operator{BinaryOp::In, kComparison};
    case TokenKind::Plus:
      return Operator{BinaryOp::Add, kSum};
    case TokenKind::Minus:
      return Operator{BinaryOp::Sub, kSum};
    case TokenKind::Star:
      return Operator{BinaryOp::Mul, kProduct};
    case TokenKind::Slash:
      return Operator{BinaryOp::Div, kProduct};
    case TokenKind::Percent:
      return Operator{BinaryOp::Mod, kProduct};
    case TokenKind::At:
      return Operator{BinaryOp::MatMul, kProduct};
    case TokenKind::CircledDot:
      return Operator{BinaryOp::ElementwiseMul, kProduct};
    default:
      return std::nullopt;
  }
}

bool is_order(BinaryOp op) {
  return op >= BinaryOp::Less && op <= BinaryOp::GreaterEqual;
}

}  // namespace

ast::ExprPtr Parser::parse_expression() {
  return parse_binary(kSimilar);
}

ast::ExprPtr Parser::parse_condition() {
  const With structs(no_struct_literal_, true);
  return parse_expression();
}

ast::ExprPtr Parser::parse_binary(int min_level) {
  const Nest nest(*this);
  const size_t first = at_;
  if (at(Kind::Not)) {  // looser than comparisons, as in Python: not a == b
    const Span op_span = here();
    take();
    const With heads(at_statement_head_, false);
    ast::ExprPtr operand = parse_binary(kEquality);
    return parse_operators(make_unary(ast::UnaryOp::Not, first, op_span, std::move(operand)), first,
                           min_level);
  }
  ast::ExprPtr lhs = parse_unary();
  return parse_operators(std::move(lhs), first, min_level);
}

ast::ExprPtr Parser::parse_operators(ast::ExprPtr lhs, size_t first, int min_level) {
  bool order_seen = false;
  while (!panic_) {
    const Token& token = peek();
    const Span op_span = span(token);
    if (token.kind == Kind::Minus && line_ends_here()) break;  // a new statement
    if (token.kind == Kind::As && min_level <= kCast) {
      take();
      auto cast_type = parse_type(false);
      auto cast = make<ast::Cast>(first);
      cast->value = std::move(lhs);
      cast->type = std::move(cast_type);
      lhs = std::move(cast);
    } else if ((token.kind == Kind::DotDot || token.kind == Kind::DotDotEqual) && min_level <= kRange) {
      take();
      ast::ExprPtr end = parse_binary(kRange + 1);
      auto range = make<ast::Range>(first);
      range->begin = std::move(lhs);
      range->end = std::move(end);
      range->inclusive = token.kind == Kind::DotDotEqual;
      lhs = std::move(range);
    } else if (token.kind == Kind::Not && at(Kind::In, 1) && min_level <= kComparison) {
      take();
      take();
      lhs = parse_binary_rest(std::move(lhs), first, BinaryOp::NotIn, op_span, kComparison + 1);
    } else if (token.kind == Kind::LeftArrow && !at_statement_head_ && min_level <= kComparison) {
      // 'a <-b' compares with a negative number
      take();
      const size_t rhs_first = at_;
      ast::ExprPtr rhs = make_unary(ast::UnaryOp::Minus, rhs_first - 1, {file_, op_span.end - 1, op_span.end},
                                    parse_binary(kSum));
      mark(&SyntaxMarks::operators, op_span.begin);
      auto less = make<ast::Binary>(first);
      less->op = BinaryOp::Less;
      less->op_span = {file_, op_span.begin, op_span.begin + 1};
      less->lhs = std::move(lhs);
      less->rhs = std::move(rhs);
      lhs = std::move(less);
    } else if (min_level <= kProduct && can_join()) {
      ++equation_marks_;
      lhs = parse_binary_rest(std::move(lhs), first, BinaryOp::Join, {}, kProduct + 1);
    } else {
      const std::optional<Operator> op = operator_of(token.kind);
      if (!op || op->level < min_level) break;
      take();
      if (is_order(op->op) && std::exchange(order_seen, true)) {
        complain(DiagCode::ChainedComparison, op_span, ast::spelling(op->op), ast::spelling(op->op));
      }
      lhs = parse_binary_rest(std::move(lhs), first, op->op, op_span, op->level + 1);
    }
    grow();
  }
  return lhs;
}

ast::ExprPtr Parser::parse_binary_rest(ast::ExprPtr lhs, size_t first, BinaryOp op, Span op_span,
                                       int rhs_level) {
  const With heads(at_statement_head_, op == BinaryOp::Similar && at_statement_head_);
  ast::ExprPtr rhs = parse_binary(rhs_level);
  return make_binary(op, first, op_span, std::move(lhs), std::move(rhs));
}

// Whether a factor of a tensor equation stands side by side with the operand before it: W[i, j] X[j, t].
// Between brackets nothing else can be meant; outside them the next word may begin a statement of the same
// line.
bool Parser::can_join() const {
  if (juxtapose_ == Juxtapose::Never || at_ == 0) return false;
  const Token& next = peek();
  const Token& last = tokens_[at_ - 1];
  const bool after_bracket = last.kind == Kind::RightBracket || last.kind == Kind::RightParen;
  if (next.kind == Kind::LeftParen) return next.space_before && after_bracket && !line_ends_here();
  if (next.kind != Kind::Ident) return false;
  switch (peek(1).kind) {
    case Kind::Equal:
    case Kind::ColonEqual:
    case Kind::Colon:
      return false;
    default:
      break;
  }
  if (bracket_depth_ > 0) return true;
  if (next.newline_before) return false;
  const bool indexed = at(Kind::LeftBracket, 1) && touches(1);
  if (juxtapose_ == Juxtapose::Cautious) return last.kind == Kind::RightBracket && indexed;
  return after_bracket || indexed;
}

ast::ExprPtr Parser::make_unary(ast::UnaryOp op, size_t first, Span op_span, ast::ExprPtr operand) {
  auto unary = make<ast::Unary>(first);
  unary->op = op;
  unary->op_span = op_span;
  unary->operand = std::move(operand);
  return unary;
}

ast::ExprPtr Parser::make_binary(BinaryOp op, size_t first, Span op_span, ast::ExprPtr lhs,
                                 ast::ExprPtr rhs) {
  if (op != BinaryOp::Join) mark(&SyntaxMarks::operators, op_span.begin);
  auto binary = make<ast::Binary>(first);
  binary->op = op;
  binary->op_span = op_span;
  binary->lhs = std::move(lhs);
  binary->rhs = std::move(rhs);
  return binary;
}

ast::ExprPtr Parser::parse_unary() {
  const size_t first = at_;
  const Span op_span = here();
  const bool is_inverse = at_word("inv") && name_follows(1);
  if (!at(Kind::Minus) && !at(Kind::Bang) && !is_inverse) return parse_power();
  const Nest nest(*this);
  const ast::UnaryOp op = is_inverse        ? ast::UnaryOp::Inverse
                          : at(Kind::Minus) ? ast::UnaryOp::Minus
                                            : ast::UnaryOp::Not;
  take();
  if (op == ast::UnaryOp::Minus && at(Kind::Int) && text(peek()) == "9223372036854775808" &&
      !at(Kind::StarStar, 1) && !at(Kind::Caret, 1)) {
    take();
    auto least = make<ast::Int>(first);  // its positive does not fit
    least->value = std::numeric_limits<i64>::min();
    return least;
  }
  const With heads(at_statement_head_, false);
  ast::ExprPtr operand = parse_unary();
  return make_unary(op, first, op_span, std::move(operand));
}

// Powers group to the right, bind tighter than a minus before them and take one after: -2 ** -x is -(2 **
// (-x)).
ast::ExprPtr Parser::parse_power() {
  const size_t first = at_;
  ast::ExprPtr base = parse_postfix();
  if (panic_ || !(at(Kind::StarStar) || at(Kind::Caret) || at(Kind::CircledTimes))) return base;
  const BinaryOp op = at(Kind::CircledTimes) ? BinaryOp::Outer : BinaryOp::Pow;
  const Span op_span = here();
  take();
  const Nest nest(*this);
  const With heads(at_statement_head_, false);
  ast::ExprPtr exponent = parse_unary();
  return make_binary(op, first, op_span, std::move(base), std::move(exponent));
}

}  // namespace tl
