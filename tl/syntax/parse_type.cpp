// Types, patterns and parameters.
#include "tl/syntax/parser_impl.h"

namespace tl {

// `allow_args` is false after `as`, where '<' compares and '[' indexes.
ast::TypePtr Parser::parse_type(bool allow_args) {
  const Nest nest(*this);
  const size_t first = at_;
  auto type = std::make_unique<ast::Type>();
  if (at(Kind::Fn)) return parse_fn_type(first);
  if (at(Kind::LeftParen)) {
    take();
    type->kind = ast::TypeKind::Tuple;
    list(Kind::RightParen, first, [&] { type->items.push_back(parse_type()); });
  } else if (at(Kind::LeftBracket)) {
    take();
    type->kind = ast::TypeKind::List;
    type->items.push_back(parse_type());
    expect_close(Kind::RightBracket, first);
  } else if (at(Kind::Ident)) {
    type->kind = ast::TypeKind::Named;
    type->name = expect_name("a type");
    if (at(Kind::Dot) && at(Kind::Ident, 1) && touches(0) && touches(1)) {  // of an imported file
      take();
      const ast::Ident inner = expect_name("a type");
      type->name.text += "." + inner.text;
      type->name.span = join(type->name.span, inner.span);
    }
    if (allow_args) parse_type_args(*type);
  } else {
    error(DiagCode::ExpectedType, here(), found());
  }
  type->span = since(first);
  return type;
}

ast::TypePtr Parser::parse_fn_type(size_t first) {
  auto type = std::make_unique<ast::Type>();
  type->kind = ast::TypeKind::Fn;
  take();
  const size_t open = at_;
  if (expect(Kind::LeftParen)) list(Kind::RightParen, open, [&] { type->items.push_back(parse_type()); });
  if (eat(Kind::Arrow)) type->result = parse_type();
  type->span = since(first);
  return type;
}

void Parser::parse_type_args(ast::Type& type) {
  const size_t open = at_;
  if (eat(Kind::Less)) list(Kind::Greater, open, [&] { type.items.push_back(parse_type()); });
  if (panic_ || !at(Kind::LeftBracket) || line_ends_here()) return;
  const size_t bracket = at_;
  take();
  type.kind = ast::TypeKind::Tensor;
  list(Kind::RightBracket, bracket, [&] { type.dims.push_back(parse_dim()); });
}

ast::Dim Parser::parse_dim() {
  const size_t first = at_;
  ast::Dim dim;
  if (eat(Kind::Question)) {
    dim.kind = ast::Dim::Kind::Any;
  } else if (eat(Kind::Ellipsis)) {
    dim.kind = ast::Dim::Kind::Rest;
  } else if (eat(Kind::DotDot)) {
    dim.kind = ast::Dim::Kind::Rest;
    dim.name = expect_name("the leading dimensions");
  } else {
    dim.kind = ast::Dim::Kind::Value;
    dim.value = parse_expression();
  }
  dim.span = since(first);
  return dim;
}

ast::PatternPtr Parser::parse_pattern() {
  const Nest nest(*this);
  const size_t first = at_;
  ast::PatternPtr pattern = parse_plain_pattern();
  if (!at(Kind::Pipe)) return pattern;
  auto either = std::make_unique<ast::Pattern>();
  either->kind = ast::PatternKind::Or;
  either->items.push_back(std::move(pattern));
  while (!panic_ && eat(Kind::Pipe)) either->items.push_back(parse_plain_pattern());
  either->span = since(first);
  return either;
}

ast::PatternPtr Parser::parse_plain_pattern() {
  const size_t first = at_;
  switch (peek().kind) {
    case Kind::Ident:
      return parse_name_pattern();
    case Kind::Int:
    case Kind::Float:
    case Kind::Minus:
    case Kind::String:
    case Kind::True:
    case Kind::False:
      return parse_literal_pattern();
    case Kind::LeftBracket:
      return parse_list_pattern();
    case Kind::DotDot:
    case Kind::DotDotEqual:
      return parse_range_pattern(nullptr, first);
    default:
      break;
  }
  auto pattern = std::make_unique<ast::Pattern>();
  if (eat(Kind::LeftParen)) {
    pattern->kind = ast::PatternKind::Tuple;
    list(Kind::RightParen, first, [&] { pattern->items.push_back(parse_pattern()); });
  } else {
    error(DiagCode::ExpectedPattern, here(), found());
  }
  pattern->span = since(first);
  return pattern;
}

ast::PatternPtr Parser::parse_literal_pattern() {
  const size_t first = at_;
  auto pattern = std::make_unique<ast::Pattern>();
  pattern->kind = ast::PatternKind::Literal;
  if (at(Kind::Minus) && !at(Kind::Int, 1) && !at(Kind::Float, 1)) {
    take();
    error(DiagCode::ExpectedPattern, here(), found());
    pattern->kind = ast::PatternKind::Error;
  } else {
    // Only a sign and a primary: parse_unary would take the '(' of a call after it.
    if (at(Kind::Minus)) {
      const Span op_span = here();
      take();
      pattern->literal = make_unary(ast::UnaryOp::Minus, first, op_span, parse_primary());
      pattern->literal->span = since(first);
    } else {
      pattern->literal = parse_primary();
    }
  }
  pattern->span = since(first);
  if (!panic_ && (at(Kind::DotDot) || at(Kind::DotDotEqual)))
    return parse_range_pattern(std::move(pattern), first);
  return pattern;
}

// 1..5, 1..=5, ..0, 10..
ast::PatternPtr Parser::parse_range_pattern(ast::PatternPtr begin, size_t first) {
  auto pattern = std::make_unique<ast::Pattern>();
  pattern->kind = ast::PatternKind::Range;
  if (begin != nullptr) pattern->begin = std::move(begin->literal);
  pattern->inclusive = take().kind == Kind::DotDotEqual;
  if (at(Kind::Int) || at(Kind::Float) || at(Kind::Minus) || at(Kind::String)) {
    ast::PatternPtr end = parse_literal_pattern();
    if (end->kind == ast::PatternKind::Literal) pattern->end = std::move(end->literal);
  }
  if (pattern->begin == nullptr && pattern->end == nullptr)
    error(DiagCode::ExpectedPattern, here(), found())
        .note("a range has at least one end: 1..5, 1..=5, ..0 or 10..");
  pattern->span = since(first);
  return pattern;
}

// [a, 0, ..rest, z]
ast::PatternPtr Parser::parse_list_pattern() {
  const size_t first = at_;
  auto pattern = std::make_unique<ast::Pattern>();
  pattern->kind = ast::PatternKind::List;
  take();
  bool has_rest = false;
  list(Kind::RightBracket, first, [&] {
    const size_t item_first = at_;
    const bool is_rest = (at(Kind::DotDot) || at(Kind::Ellipsis)) &&
                         (at(Kind::Ident, 1) || at(Kind::Comma, 1) || at(Kind::RightBracket, 1));
    if (!is_rest) return pattern->items.push_back(parse_pattern());
    take();
    auto rest = std::make_unique<ast::Pattern>();
    rest->kind = ast::PatternKind::Rest;
    if (at(Kind::Ident)) rest->name = expect_name("the rest of the list");
    rest->span = since(item_first);
    if (std::exchange(has_rest, true))
      complain(DiagCode::ExpectedPattern, rest->span, "a second '..' in one list pattern");
    pattern->items.push_back(std::move(rest));
  });
  pattern->span = since(first);
  return pattern;
}

// Circle(r), Shape.Circle(r), Shape::Empty: what follows the names.
void Parser::parse_variant_pattern(ast::Pattern& pattern) {
  pattern.kind = ast::PatternKind::Variant;
  if (at(Kind::Dot, 1) || at(Kind::ColonColon, 1)) {
    const size_t first = at_;
    pattern.type = std::make_unique<ast::Type>();
    pattern.type->kind = ast::TypeKind::Named;
    pattern.type->name = expect_name("an enum");
    pattern.type->span = since(first);
    take();
  }
  pattern.name = expect_name("a variant");
  const size_t open = at_;
  if (!panic_ && eat(Kind::LeftParen))
    list(Kind::RightParen, open, [&] { pattern.items.push_back(parse_pattern()); });
}

ast::PatternPtr Parser::parse_name_pattern() {
  const size_t first = at_;
  auto pattern = std::make_unique<ast::Pattern>();
  if (at_word("_")) {
    take();
    pattern->kind = ast::PatternKind::Wildcard;
  } else if (at_word("none")) {
    return parse_literal_pattern();
  } else if (at(Kind::LeftParen, 1) || at(Kind::Dot, 1) || at(Kind::ColonColon, 1)) {
    parse_variant_pattern(*pattern);
  } else if (at(Kind::LeftBrace, 1) || at(Kind::Less, 1)) {
    pattern->kind = ast::PatternKind::Struct;
    pattern->type = parse_type();
    const size_t open = at_;
    if (expect(Kind::LeftBrace)) {
      list(Kind::RightBrace, open, [&] {
        const size_t field_first = at_;
        ast::FieldPattern field;
        field.name = expect_name("a field");
        if (eat(Kind::Colon)) {
          field.pattern = parse_pattern();
        } else {
          field.pattern = std::make_unique<ast::Pattern>();
          field.pattern->kind = ast::PatternKind::Binding;
          field.pattern->name = field.name;
          field.pattern->span = since(field_first);
        }
        pattern->fields.push_back(std::move(field));
      });
    }
  } else {
    pattern->kind = ast::PatternKind::Binding;
    pattern->name = expect_name("a variable");
  }
  pattern->span = since(first);
  return pattern;
}

std::vector<ast::Param> Parser::parse_params() {
  std::vector<ast::Param> params;
  const size_t open = at_;
  if (!expect(Kind::LeftParen)) return params;
  list(Kind::RightParen, open, [&] {
    ast::Param param = parse_param();
    if (!params.empty() && params.back().default_value && !param.default_value && !param.variadic) {
      complain(DiagCode::DefaultBeforePlain, param.span, param.name.text)
          .also(params.back().span, "this one has a default");
    }
    params.push_back(std::move(param));
  });
  return params;
}

ast::Param Parser::parse_param() {
  const size_t first = at_;
  ast::Param param;
  param.name = expect_name("a parameter");
  if (!panic_ && eat(Kind::Colon)) param.type = parse_type();
  if (!panic_ && eat(Kind::Ellipsis)) param.variadic = true;
  if (!panic_ && eat(Kind::Equal)) param.default_value = parse_expression();
  param.span = since(first);
  return param;
}

}  // namespace tl
