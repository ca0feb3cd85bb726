// Operands: literals, names, brackets, if, match, closures, struct literals, blocks.
#include <charconv>
#include <cmath>

#include "tl/syntax/parser_impl.h"

namespace tl {

ast::ExprPtr Parser::parse_primary() {
  const size_t first = at_;
  switch (peek().kind) {
    case Kind::Int:
    case Kind::Float:
    case Kind::Imaginary:
      return parse_number();
    case Kind::True:
    case Kind::False: {
      const bool value = take().kind == Kind::True;
      auto literal = make<ast::Bool>(first);
      literal->value = value;
      return literal;
    }
    case Kind::String:
      return parse_string();
    case Kind::Ident:
      return parse_name();
    case Kind::LeftParen:
      return parse_paren();
    case Kind::LeftBracket:
      return parse_list();
    case Kind::LeftBrace:
      return parse_braces();
    case Kind::If:
      return parse_if();
    case Kind::Match:
      return parse_match();
    case Kind::Pipe:
    case Kind::OrOr:
      return parse_closure();
    default:
      error(DiagCode::ExpectedExpression, here(), found());
      return error_expr(first);
  }
}

ast::ExprPtr Parser::parse_number() {
  const size_t first = at_;
  const Token& token = take();
  std::string digits(text(token));
  std::erase(digits, '_');
  if (token.kind == Kind::Int) {
    const bool hex = digits.size() > 2 && (digits[1] == 'x' || digits[1] == 'X');
    auto literal = make<ast::Int>(first);
    const char* begin = digits.data() + (hex ? 2 : 0);
    const auto [end, failure] =
        std::from_chars(begin, digits.data() + digits.size(), literal->value, hex ? 16 : 10);
    if (failure != std::errc{}) complain(DiagCode::IntTooLarge, literal->span, text(token));
    return literal;
  }
  f64 value = 0;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  // Too small is also out of range for from_chars, which then leaves the value alone: strtod tells them
  // apart.
  if (failure == std::errc::result_out_of_range) value = std::strtod(digits.c_str(), nullptr);
  if (!std::isfinite(value)) complain(DiagCode::FloatTooLarge, span(token), text(token));
  if (token.kind == Kind::Imaginary) {
    auto literal = make<ast::Imaginary>(first);
    literal->value = value;
    return literal;
  }
  auto literal = make<ast::Float>(first);
  literal->value = value;
  return literal;
}

// The number of tokens of '<' ... '>' here, if that is a list of type arguments; 0 if not.
size_t Parser::generic_args_length(size_t ahead) const {
  if (!at(Kind::Less, ahead)) return 0;
  int open = 0;
  for (size_t i = ahead; i < ahead + 64; ++i) {
    switch (peek(i).kind) {
      case Kind::Less:
        ++open;
        break;
      case Kind::Greater:
        if (--open == 0) return i + 1 - ahead;
        break;
      case Kind::Ident:
      case Kind::Comma:
      case Kind::LeftBracket:
      case Kind::RightBracket:
      case Kind::Int:
      case Kind::Question:
        break;
      default:
        return 0;
    }
  }
  return 0;
}

bool Parser::struct_literal_follows(size_t ahead) const {
  if (no_struct_literal_ || !at(Kind::LeftBrace, ahead) || peek(ahead).newline_before) return false;
  if (at(Kind::RightBrace, ahead + 1)) return true;
  if (!at(Kind::Ident, ahead + 1)) return false;
  const Kind next = peek(ahead + 2).kind;
  return next == Kind::Colon || next == Kind::Comma || next == Kind::RightBrace;
}

ast::ExprPtr Parser::parse_name() {
  const size_t first = at_;
  const size_t generics = generic_args_length(1);
  if (at(Kind::ColonColon, 1 + generics) && at(Kind::Ident, 2 + generics)) {
    ast::TypePtr scope = parse_type();
    expect(Kind::ColonColon);
    ast::Ident name = expect_name("a function");
    auto path = make<ast::Path>(first);
    path->scope = std::move(scope);
    path->name = std::move(name);
    return path;
  }
  if (struct_literal_follows(1 + generics)) return parse_struct_literal(parse_type(), first);
  const Token& token = take();
  auto name = make<ast::Name>(first);
  name->text = text(token);
  return name;
}

ast::ExprPtr Parser::parse_struct_literal(ast::TypePtr type, size_t first) {
  const size_t open = at_;
  expect(Kind::LeftBrace);
  const With formulas(in_formula_, false);
  const With indices(in_index_, false);
  const With heads(at_statement_head_, false);
  std::vector<ast::FieldInit> fields;
  list(Kind::RightBrace, open, [&] {
    const size_t field_first = at_;
    ast::FieldInit field;
    field.name = expect_name("a field");
    if (eat(Kind::Colon) || eat(Kind::Equal)) {
      field.value = parse_expression();
    } else {
      auto same = make<ast::Name>(field_first);
      same->text = field.name.text;
      field.value = std::move(same);
    }
    fields.push_back(std::move(field));
    if (!at(Kind::Comma) && !at(Kind::RightBrace)) expect_close(Kind::RightBrace, open);
  });
  auto literal = make<ast::StructLiteral>(first);
  literal->type = std::move(type);
  literal->fields = std::move(fields);
  return literal;
}

ast::ExprPtr Parser::parse_paren() {
  const size_t first = at_;
  take();
  const bool logical = in_formula_;
  const With indices(in_index_, false);
  const With heads(at_statement_head_, false);
  if (at(Kind::RightParen) || !logical) {
    std::vector<ast::ExprPtr> items;
    list(Kind::RightParen, first, [&] { items.push_back(parse_expression()); });
    const bool comma = tokens_[at_ - 1].kind == Kind::RightParen && tokens_[at_ - 2].kind == Kind::Comma;
    if (items.size() == 1 && !comma) return std::move(items[0]);
    auto tuple = make<ast::Tuple>(first);
    tuple->items = std::move(items);
    return tuple;
  }
  // In a formula: a value, or a part of the formula.
  const With brackets(bracket_depth_, bracket_depth_ + 1);
  const size_t inner = at_;
  ast::ExprPtr literal = parse_literal();
  if (!at(Kind::Comma) && !at(Kind::Pipe)) {
    expect_close(Kind::RightParen, first);
    return literal;
  }
  auto formula = parse_formula_from(std::move(literal), inner);
  expect_close(Kind::RightParen, first);
  return formula;
}

ast::ExprPtr Parser::parse_list() {
  const size_t first = at_;
  take();
  const With formulas(in_formula_, false);
  const With indices(in_index_, false);
  const With heads(at_statement_head_, false);
  std::vector<ast::ExprPtr> items;
  ast::ExprPtr count;
  list(Kind::RightBracket, first, [&] {
    items.push_back(parse_expression());
    if (items.size() == 1 && eat(Kind::Semicolon)) count = parse_expression();
  });
  if (count != nullptr && items.size() == 1) {
    auto repeat = make<ast::RepeatList>(first);
    repeat->value = std::move(items[0]);
    repeat->count = std::move(count);
    return repeat;
  }
  auto literal = make<ast::List>(first);
  literal->items = std::move(items);
  return literal;
}

// {1, 2}, {"a": 1}, {}.
ast::ExprPtr Parser::parse_set(bool is_map) {
  const size_t first = at_;
  take();
  const With formulas(in_formula_, false);
  const With indices(in_index_, false);
  const With heads(at_statement_head_, false);
  std::vector<ast::ExprPtr> items;
  list(Kind::RightBrace, first, [&] {
    items.push_back(parse_expression());
    if (!is_map || panic_) return;
    const size_t value_first = at_;
    items.push_back(expect(Kind::Colon) ? parse_expression() : error_expr(value_first));
  });
  auto set = make<ast::List>(first);
  set->items = std::move(items);
  set->is_set = true;
  set->is_map = is_map;
  return set;
}

// Told by what comes first between the items, if they are items: a ':' or a ','. One expression alone on the
// line of its '{' is a set where no block may stand.
Parser::Braces Parser::braces_ahead(bool is_block) const {
  if (at(Kind::RightBrace, 1)) return is_block ? Braces::Block : Braces::Map;
  int open = 0;
  for (size_t i = 1; !at(Kind::End, i); ++i) {
    const Kind kind = peek(i).kind;
    const bool is_first = i == 1;
    if (open == 0 && !is_first && peek(i).newline_before && kind != Kind::RightBrace) return Braces::Block;
    switch (kind) {
      case Kind::LeftParen:
      case Kind::LeftBracket:
      case Kind::LeftBrace:
        if (kind == Kind::LeftBrace && is_first && is_block) return Braces::Block;
        ++open;
        continue;
      case Kind::RightParen:
      case Kind::RightBracket:
      case Kind::RightBrace:
        if (--open >= 0) continue;
        return is_block || peek(1).newline_before ? Braces::Block : Braces::Set;
      case Kind::Colon:
        if (open > 0) continue;
        return is_block && at(Kind::Minus, i + 1) && touches(i + 1) ? Braces::Block : Braces::Map;
      case Kind::Comma:
        if (open > 0) continue;
        return Braces::Set;
      case Kind::Ident:
        if (open == 0 && at(Kind::Ident, i + 1)) return Braces::Block;
        continue;
      case Kind::If:
      case Kind::Match:
      case Kind::Pipe:
      case Kind::OrOr:
        if (is_first) return Braces::Block;
        continue;
      case Kind::Minus:
        if (open == 0 && at(Kind::Less, i - 1) && touches(i)) return Braces::Block;  // a rule
        continue;
      case Kind::Let:
      case Kind::While:
      case Kind::For:
      case Kind::Loop:
      case Kind::Return:
      case Kind::Fn:
      case Kind::Break:
      case Kind::Continue:
      case Kind::Equal:
      case Kind::ColonEqual:
      case Kind::PlusEqual:
      case Kind::MinusEqual:
      case Kind::StarEqual:
      case Kind::SlashEqual:
      case Kind::Semicolon:
      case Kind::Question:
        if (open == 0) return Braces::Block;
        continue;
      default:
        continue;
    }
  }
  return Braces::Block;
}

ast::ExprPtr Parser::parse_braces() {
  const Braces braces = braces_ahead(at_ == block_at_);
  return braces == Braces::Block ? parse_block_expr() : parse_set(braces == Braces::Map);
}

ast::ExprPtr Parser::parse_block_expr() {
  const size_t first = at_;
  ast::Block block = parse_block();
  auto e = make<ast::BlockExpr>(first);
  e->block = std::move(block);
  return e;
}

ast::Block Parser::block_of(ast::StmtPtr statement) {
  ast::Block block;
  block.span = statement->span;
  block.statements.push_back(std::move(statement));
  return block;
}

ast::Block Parser::block_of(ast::ExprPtr value) {
  auto statement = std::make_unique<ast::ExprStmt>();
  statement->span = value->span;
  statement->value = std::move(value);
  return block_of(std::move(statement));
}

// if c { a } else if d { b } else { e }, and if c then a else b. A long chain is a list, not a nest.
ast::ExprPtr Parser::parse_if() {
  const size_t first = at_;
  const With heads(at_statement_head_, false);
  std::vector<ast::IfBranch> branches;
  std::optional<ast::Block> otherwise;
  bool more = true;
  while (more && !panic_) {
    take();  // if
    ast::IfBranch branch;
    branch.condition = parse_condition();
    const bool is_short = eat_word("then");
    block_at_ = at_;
    branch.body = is_short ? block_of(parse_expression()) : parse_block();
    branches.push_back(std::move(branch));
    more = !panic_ && at(Kind::Else) && at(Kind::If, 1);
    if (more) take();
  }
  if (!panic_ && eat(Kind::Else))
    otherwise = at(Kind::LeftBrace) ? parse_block() : block_of(parse_expression());
  auto e = make<ast::If>(first);
  e->branches = std::move(branches);
  e->otherwise = std::move(otherwise);
  return e;
}

ast::ExprPtr Parser::parse_match() {
  const size_t first = at_;
  take();
  const With heads(at_statement_head_, false);
  ast::ExprPtr subject = parse_condition();
  const size_t open = at_;
  std::vector<ast::MatchArm> arms;
  if (expect(Kind::LeftBrace)) {
    const With brackets(bracket_depth_, 0);
    const With structs(no_struct_literal_, false);
    const With joins(juxtapose_, Juxtapose::Never);
    while (!at(Kind::RightBrace) && !at(Kind::End)) {
      const size_t arm_first = at_;
      arms.push_back(parse_match_arm());
      if (panic_) skip_to_statement(arm_first);
      eat(Kind::Comma);
      eat(Kind::Semicolon);
    }
    expect_close(Kind::RightBrace, open);
  }
  auto e = make<ast::Match>(first);
  e->subject = std::move(subject);
  e->arms = std::move(arms);
  return e;
}

ast::MatchArm Parser::parse_match_arm() {
  const size_t first = at_;
  ast::MatchArm arm;
  arm.pattern = parse_pattern();
  if (eat(Kind::If)) arm.guard = parse_expression();
  if (!panic_) expect(Kind::FatArrow);
  const size_t value_first = at_;
  ast::StmtPtr body = panic_ ? nullptr : parse_statement();
  if (body == nullptr) {
    arm.value = error_expr(value_first);
  } else if (body->kind == ast::StmtKind::ExprStmt) {
    arm.value = std::move(ast::as<ast::ExprStmt>(*body).value);
  } else {
    auto block = make<ast::BlockExpr>(value_first);
    block->block = block_of(std::move(body));
    arm.value = std::move(block);
  }
  arm.span = since(first);
  return arm;
}

ast::ExprPtr Parser::parse_closure() {
  const size_t first = at_;
  const With formulas(in_formula_, false);
  const With indices(in_index_, false);
  const With heads(at_statement_head_, false);
  std::vector<ast::Param> params;
  if (!eat(Kind::OrOr)) {
    take();
    list(Kind::Pipe, first, [&] { params.push_back(parse_param()); });
    mark(&SyntaxMarks::bars, tokens_[first].begin);
    mark(&SyntaxMarks::bars, tokens_[at_ - 1].begin);
  }
  ast::TypePtr result = eat(Kind::Arrow) ? parse_type() : nullptr;
  block_at_ = at_;
  ast::ExprPtr body = parse_expression();
  auto closure = make<ast::Closure>(first);
  closure->params = std::move(params);
  closure->result = std::move(result);
  closure->body = std::move(body);
  return closure;
}

}  // namespace tl
