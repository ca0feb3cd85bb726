// What may follow an operand: calls, fields, methods, indices, queries.
#include "tl/syntax/parser_impl.h"

namespace tl {

ast::ExprPtr Parser::parse_postfix() {
  const size_t first = at_;
  ast::ExprPtr e = parse_primary();
  while (!panic_) {
    const bool same_line = !line_ends_here();
    if (at(Kind::LeftParen) && same_line) {
      if (can_join()) break;  // W[i] (X[i] + b)
      e = parse_call(std::move(e), first);
    } else if (at(Kind::LeftBracket) && same_line) {
      e = parse_index(std::move(e), first);
    } else if (at(Kind::Dot) && !dot_ends_here()) {
      e = parse_member(std::move(e), first);
    } else if (at(Kind::Question)) {
      e = parse_query(std::move(e), first);
    } else {
      break;
    }
    grow();
  }
  return e;
}

// "P(a, b)." ends a fact as in Datalog, and in an index "i." marks it; neither is a field access.
bool Parser::dot_ends_here() const {
  const Token& next = peek(1);
  if (in_index_ && (next.kind == Kind::Comma || next.kind == Kind::RightBracket)) return true;
  return bracket_depth_ == 0 &&
         (next.newline_before || next.kind == Kind::End || next.kind == Kind::RightBrace);
}

ast::ExprPtr Parser::parse_call(ast::ExprPtr callee, size_t first) {
  std::vector<ast::Arg> args = parse_args();
  auto call = make<ast::Call>(first);
  call->callee = std::move(callee);
  call->args = std::move(args);
  return call;
}

std::vector<ast::Arg> Parser::parse_args() {
  const size_t open = at_;
  take();
  const With formulas(in_formula_, false);
  const With indices(in_index_, false);
  const With heads(at_statement_head_, false);
  std::vector<ast::Arg> args;
  list(Kind::RightParen, open, [&] {
    ast::Arg arg = parse_arg();
    if (!arg.name) {
      if (!args.empty() && args.back().name) complain(DiagCode::PositionalAfterNamed, arg.span);
    } else {
      for (const ast::Arg& other : args) {
        if (other.name.text != arg.name.text) continue;
        complain(DiagCode::DuplicateArgument, arg.name.span, arg.name.text)
            .also(other.name.span, "first given here");
        break;
      }
    }
    args.push_back(std::move(arg));
  });
  return args;
}

ast::Arg Parser::parse_arg() {
  const size_t first = at_;
  ast::Arg arg;
  if (at(Kind::Ident) && (at(Kind::Equal, 1) || at(Kind::Colon, 1))) {
    arg.name = expect_name("an argument");
    take();
  }
  arg.value = parse_expression();
  arg.span = since(first);
  return arg;
}

ast::ExprPtr Parser::parse_member(ast::ExprPtr object, size_t first) {
  take();
  ast::Ident name;
  if (at(Kind::Int) || is_keyword(peek().kind)) {  // model.blk.0, python.import: no reading but a field
    const Token& token = take();
    name = {std::string(text(token)), span(token)};
  } else {
    name = expect_name("the name of a field or a method");
  }
  if (at(Kind::LeftParen) && touches(0)) {
    std::vector<ast::Arg> args = parse_args();
    auto call = make<ast::MethodCall>(first);
    call->receiver = std::move(object);
    call->name = std::move(name);
    call->args = std::move(args);
    return call;
  }
  auto field = make<ast::Field>(first);
  field->object = std::move(object);
  field->name = std::move(name);
  return field;
}

ast::ExprPtr Parser::parse_index(ast::ExprPtr object, size_t first) {
  const size_t open = at_;
  take();
  const With indices(in_index_, true);
  const With formulas(in_formula_, false);
  const With heads(at_statement_head_, false);
  std::vector<ast::IndexItem> items;
  if (at(Kind::RightBracket)) error(DiagCode::MissingIndex, since(open));
  list(Kind::RightBracket, open, [&] { items.push_back(parse_index_item()); });
  auto index = make<ast::Index>(first);
  index->object = std::move(object);
  index->items = std::move(items);
  return index;
}

ast::IndexItem Parser::parse_index_item() {
  const size_t first = at_;
  ast::IndexItem item;
  if (eat(Kind::Ellipsis)) {
    item.kind = ast::IndexItem::Kind::Ellipsis;
  } else if (at(Kind::Colon) || at(Kind::ColonColon)) {
    parse_slice_rest(item);
  } else if (eat(Kind::Star)) {
    item.kind = ast::IndexItem::Kind::Virtual;
    item.value = parse_expression();
    check_index_mark(item, first + 1);
  } else {
    item.value = parse_expression();
    if (at(Kind::Dot) && dot_ends_here()) {
      item.kind = ast::IndexItem::Kind::Normalised;
      check_index_mark(item, first);
      take();
    } else if (at(Kind::Colon) || at(Kind::ColonColon)) {
      item.begin = std::move(item.value);
      parse_slice_rest(item);
    }
  }
  item.span = since(first);
  return item;
}

// From the first ':' of begin:end:step; '::' is two of them.
void Parser::parse_slice_rest(ast::IndexItem& item) {
  item.kind = ast::IndexItem::Kind::Slice;
  const auto part_follows = [this] {
    return !at(Kind::Colon) && !at(Kind::ColonColon) && !at(Kind::Comma) && !at(Kind::RightBracket);
  };
  const bool both = at(Kind::ColonColon);
  take();
  if (!both && part_follows()) item.end = parse_expression();
  if (!both && !eat(Kind::Colon)) return;
  if (part_follows()) item.step = parse_expression();
}

void Parser::check_index_mark(const ast::IndexItem& item, size_t first) {
  ++equation_marks_;
  if (panic_) return;
  const bool is_virtual = item.kind == ast::IndexItem::Kind::Virtual;
  const ast::Expr* e = item.value.get();
  if (is_virtual) {  // t, t+1, t-1
    const auto* sum = ast::get_if<ast::Binary>(e);
    if (sum != nullptr && (sum->op == ast::BinaryOp::Add || sum->op == ast::BinaryOp::Sub) &&
        sum->rhs->kind == ast::ExprKind::Int) {
      e = sum->lhs.get();
    }
  }
  if (e->kind == ast::ExprKind::Name) return;
  complain(DiagCode::BadIndexMark, item.value->span, is_virtual ? "after '*'" : "before '.'",
           quoted(since(first)));
}

}  // namespace tl
