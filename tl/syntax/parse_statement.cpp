// Statements, blocks and assignments.
#include "tl/syntax/parser_impl.h"

namespace tl {

using ast::AssignOp;

// Up to the '}' or the end; every statement recovers on its own.
void Parser::parse_statements(std::vector<ast::StmtPtr>& out) {
  while (!at(Kind::RightBrace) && !at(Kind::End)) {
    const size_t first = at_;
    if (eat(Kind::Semicolon)) continue;
    ast::StmtPtr statement = parse_statement();
    if (panic_) skip_to_statement(first);
    if (aborted_) {
      out.push_back(std::move(statement));
      return;
    }
    // "P(a, b)." ends like Datalog; parse_postfix left the dot.
    const bool ended = at(Kind::Semicolon) || (at(Kind::Dot) && dot_ends_here());
    if (ended) take();
    if (statement->kind == ast::StmtKind::ExprStmt) {
      ast::as<ast::ExprStmt>(*statement).has_semicolon = ended && tokens_[at_ - 1].kind == Kind::Semicolon;
    }
    if (!ended && !out.empty()) check_separated(*statement, first);
    out.push_back(std::move(statement));
  }
}

// Several statements may share a line, but a stray word after an expression is more likely a slip.
void Parser::check_separated(const ast::Stmt& statement, size_t first) {
  if (first == 0 || tokens_[first].newline_before || at(Kind::RightBrace)) return;
  const Kind before = tokens_[first - 1].kind;
  if (before == Kind::Semicolon || before == Kind::RightBrace) return;
  const auto* expression = ast::get_if<ast::ExprStmt>(&statement);
  if (expression == nullptr) return;
  switch (expression->value->kind) {
    case ast::ExprKind::Name:
    case ast::ExprKind::Int:
    case ast::ExprKind::Float:
    case ast::ExprKind::String:
    case ast::ExprKind::Bool:
    case ast::ExprKind::Binary:
      complain(DiagCode::MissingSeparator, span(tokens_[first]), fmt::format("'{}'", text(tokens_[first])));
      return;
    default:
      return;
  }
}

ast::Block Parser::parse_block() {
  const size_t open = at_;
  ast::Block block;
  if (!at(Kind::LeftBrace)) {
    Diagnostic& d = error(DiagCode::ExpectedToken, here(), describe(Kind::LeftBrace), found());
    if (at(Kind::Colon)) d.note("a block is written in braces: {{ … }}");
    if (peek().newline_before && at_ > 0) d.also(span(tokens_[at_ - 1]), "a block begins after this");
  }
  if (!eat(Kind::LeftBrace)) {
    block.span = here();
    return block;
  }
  mark(&SyntaxMarks::blocks, tokens_[open].begin);
  const Nest nest(*this);
  const With brackets(bracket_depth_, 0);
  const With structs(no_struct_literal_, false);
  const With formulas(in_formula_, false);
  const With indices(in_index_, false);
  const With heads(at_statement_head_, false);
  const With joins(juxtapose_, Juxtapose::Never);
  parse_statements(block.statements);
  // A '}' further left than the line of its '{' was meant for a block around this one.
  if (at(Kind::RightBrace) && peek().newline_before && suspect_ == 0 &&
      indent_of(peek()) < indent_of(tokens_[open]))
    suspect_ = open;
  if (at(Kind::End) && suspect_ != 0) {
    error(DiagCode::UnclosedBlock, span(tokens_[suspect_]))
        .also(span(tokens_[open]), "so this one has no '}}' left");
    panic_ = true;
  } else {
    expect_close(Kind::RightBrace, open);
  }
  block.span = since(open);
  return block;
}

// Of statements whose first word says what they are.
static constexpr std::pair<std::string_view, std::string_view> kExamples[] = {
    {"for", "for x in xs { print(x) }"},
    {"while", "while n > 0 { n -= 1 }"},
    {"let", "let x = 1"},
    {"const", "const LIMIT = 10"},
    {"fn", "fn area(w: float, h: float = 1.0) -> float { return w * h }"},
    {"struct", "struct Point { x: float, y: float = 0.0 }"},
    {"enum", "enum Shape { Circle(float), Rect(float, float) }"},
    {"impl", "impl Point { fn norm(self) -> float { return sqrt(self.x * self.x) } }"},
    {"tensor", "tensor w: float32[2, 3] = zeros([2, 3])"},
    {"from", "from \"shapes.tl\" import area, Circle"},
    {"entity", "entity Person = {ann, bob}"},
    {"relation", "relation Parent(x: Person, y: Person)"},
};

// The column at which the line of `token` begins.
u32 Parser::indent_of(const Token& token) const {
  const std::string_view line = files_.text(files_.line_span(file_, token.begin));
  const size_t at = line.find_first_not_of(" \t");
  return static_cast<u32>(at == std::string_view::npos ? line.size() : at);
}

void Parser::other_language(const Token& word, std::string_view here) {
  complain(DiagCode::OtherLanguage, span(word), text(word), here);
}

// Statements as Python, JavaScript and their kin begin them: read as what they mean, where that is plain.
ast::StmtPtr Parser::parse_other_language() {
  const std::string_view word = text(peek());
  if ((word == "def" || word == "func" || word == "function") && name_follows(1) && at(Kind::LeftParen, 2)) {
    other_language(peek(), "'fn'");
    return parse_fn();
  }
  if ((word == "var" || word == "val") && name_follows(1) && (at(Kind::Equal, 2) || at(Kind::Colon, 2))) {
    other_language(peek(), "'let'");
    return parse_let();
  }
  if ((word == "elif" || word == "elsif") && !peek(1).newline_before) {
    error(DiagCode::OtherLanguage, here(), word, "'else if', after the '}' of an 'if'");
    return std::make_unique<ast::ErrorStmt>();
  }
  if ((word == "raise" || word == "throw") && name_follows(1)) {
    error(DiagCode::OtherLanguage, here(), word, "panic(message)");
    return std::make_unique<ast::ErrorStmt>();
  }
  if (word == "try" && at(Kind::Colon, 1)) {
    error(DiagCode::OtherLanguage, here(), "try:", "try { … } catch e { … }");
    return std::make_unique<ast::ErrorStmt>();
  }
  if ((word == "except" || word == "catch") &&
      (at(Kind::Colon, 1) || at(Kind::LeftBrace, 1) || name_follows(1))) {
    error(DiagCode::OtherLanguage, here(), word, "'catch e { … }', after the '}' of a 'try'");
    return std::make_unique<ast::ErrorStmt>();
  }
  if ((word == "del" || word == "delete") && name_follows(1)) {
    error(DiagCode::OtherLanguage, here(), word, "remove(list, index)");
    return std::make_unique<ast::ErrorStmt>();
  }
  return nullptr;
}

// i++ and i--
bool Parser::explain_increment() {
  const bool is_more = at(Kind::Plus) && at(Kind::Plus, 1), is_less = at(Kind::Minus) && at(Kind::Minus, 1);
  if ((!is_more && !is_less) || !touches(1) || at_ == 0) return false;
  const Token& next = peek(2);
  if (!next.newline_before && next.kind != Kind::End && next.kind != Kind::RightBrace &&
      next.kind != Kind::Semicolon)
    return false;
  const Span sign{file_, peek().begin, peek(1).end};
  const std::string_view change = is_more ? "+= 1" : "-= 1";
  error(DiagCode::OtherLanguage, sign, is_more ? "++" : "--", fmt::format("'{}'", change))
      .replace(sign, fmt::format(" {}", change));
  return true;
}

ast::StmtPtr Parser::parse_statement() {
  const Nest nest(*this);
  const size_t first = at_;
  mark(&SyntaxMarks::statements, here().begin);
  const bool was_abandoned = panic_;
  ast::StmtPtr statement = at(Kind::Ident) ? parse_word_statement() : parse_keyword_statement();
  if (panic_ && !was_abandoned) {
    for (const auto& [word, example] : kExamples) {
      if (text(tokens_[first]) == word) show_example(example);
    }
  }
  if (statement == nullptr) statement = parse_expression_statement();
  statement->span = since(first);
  return statement;
}

ast::StmtPtr Parser::parse_keyword_statement() {
  switch (peek().kind) {
    case Kind::Let:
      return parse_let();
    case Kind::While:
      return parse_while();
    case Kind::For:
      return parse_for();
    case Kind::Return:
      return parse_return();
    case Kind::Fn:
      return parse_fn();
    case Kind::Loop: {
      take();
      auto loop = std::make_unique<ast::Loop>();
      loop->body = parse_block();
      return loop;
    }
    case Kind::Break:
      take();
      return std::make_unique<ast::Break>();
    case Kind::Continue:
      take();
      return std::make_unique<ast::Continue>();
    case Kind::Else:
      error(DiagCode::UnexpectedElse, here());
      take();
      return std::make_unique<ast::ErrorStmt>();
    default:
      return nullptr;
  }
}

// Words that begin a statement only together with what follows, so that they stay usable as names.
ast::StmtPtr Parser::parse_word_statement() {
  const std::string_view word = text(peek());
  const bool name = name_follows(1);
  const bool brace = at(Kind::LeftBrace, 1);
  const bool quoted = at(Kind::String, 1) && !peek(1).newline_before;
  const bool named_block = (name || quoted) && at(Kind::LeftBrace, 2);
  if (word == "main" && brace) return parse_named_block<ast::Main>(false);
  if (word == "test" && named_block) return parse_named_block<ast::Test>(true);
  if (word == "bench" && named_block) return parse_named_block<ast::Bench>(true);
  if (word == "import" && quoted) return parse_import();
  if (word == "from" && quoted && at_word("import", 2)) return parse_from();
  if (word == "const" && name) return parse_let();
  if (word == "defer" && !peek(1).newline_before && (name || brace)) return parse_defer();
  if (word == "enum" && name) return parse_enum();
  if (word == "python" && at_word("import", 1) && name_follows(2)) return parse_python_import();
  if (word == "struct" && name) return parse_struct();
  if (word == "impl" && (name || at(Kind::Less, 1))) return parse_impl();
  if (word == "tensor" && name) return parse_tensor();
  if (word == "entity" && name) return parse_entity();
  if (word == "relation" && name) return parse_relation();
  if (word == "rule" && (name || at(Kind::Int, 1) || at(Kind::Float, 1))) return parse_rule_statement();
  if (word == "query" && name) return parse_query_statement();
  if ((word == "embedding" || word == "relation_embedding") && name) return parse_embedding();
  if (word == "infer" && (name || brace)) return parse_infer();
  if (word == "explain" && name) return parse_explain();
  if (word == "learn" && brace) return parse_learn();
  if (word == "with" && name && at(Kind::LeftBrace, 2)) return parse_with();
  return parse_other_language();
}

template <typename T>
ast::StmtPtr Parser::parse_named_block(bool has_name) {
  take();
  auto block = std::make_unique<T>();
  if constexpr (!std::is_same_v<T, ast::Main>) {
    if (has_name) block->name = name_or_string("a test or a benchmark");
  }
  block->body = parse_block();
  return block;
}

// An expression, and what it turns out to be the beginning of: an assignment, an equation, a rule, a fact, a
// query.
ast::StmtPtr Parser::parse_expression_statement() {
  const size_t first = at_;
  const bool is_block = at(Kind::LeftBrace) && braces_ahead(true) == Braces::Block;
  const bool is_try = at_word("try") && at(Kind::LeftBrace, 1);
  const bool ends_itself = at(Kind::If) || at(Kind::Match) || is_block || is_try;
  block_at_ = at_;
  const u32 marks = equation_marks_;
  auto statement = std::make_unique<ast::ExprStmt>();
  if (ends_itself) {
    statement->value = parse_primary();
    return statement;
  }
  if (at(Kind::RightParen) || at(Kind::RightBracket) || at(Kind::Comma)) {
    error(DiagCode::ExpectedStatement, here(), found());
    return std::make_unique<ast::ErrorStmt>();
  }
  ast::ExprPtr e;
  {
    const With heads(at_statement_head_, true);
    e = parse_expression();
  }
  if (!panic_) {
    AssignOp op{};
    size_t length = 0;
    if (rule_arrow_follows()) return parse_rule(std::move(e), nullptr, first);
    if (assign_op_follows(op, length)) {
      ast::StmtPtr assign = parse_assign(std::move(e), first);
      if (equation_marks_ != marks) ast::as<ast::Assign>(*assign).is_equation = true;
      return assign;
    }
  }
  statement->value = std::move(e);
  return statement;
}

// `max=`, `min=` and `avg=` are a word and a '=' that touch.
bool Parser::assign_op_follows(AssignOp& op, size_t& length) const {
  length = 1;
  const auto is = [&op](AssignOp which) {
    op = which;
    return true;
  };
  switch (peek().kind) {
    case Kind::Equal:
      return is(AssignOp::Set);
    case Kind::ColonEqual:
      return is(AssignOp::Define);
    case Kind::PlusEqual:
      return is(AssignOp::Add);
    case Kind::MinusEqual:
      return is(AssignOp::Sub);
    case Kind::StarEqual:
      return is(AssignOp::Mul);
    case Kind::SlashEqual:
      return is(AssignOp::Div);
    case Kind::PercentEqual:
      return is(AssignOp::Mod);
    case Kind::StarStarEqual:
      return is(AssignOp::Pow);
    case Kind::AtEqual:
      return is(AssignOp::MatMul);
    default:
      break;
  }
  length = 2;
  if (!name_follows(0) || !at(Kind::Equal, 1) || !touches(1)) return false;
  if (at_word("max")) return is(AssignOp::Max);
  if (at_word("min")) return is(AssignOp::Min);
  if (at_word("avg")) return is(AssignOp::Average);
  return false;
}

ast::StmtPtr Parser::parse_assign(ast::ExprPtr target, size_t first) {
  check_target(*target);
  auto assign = std::make_unique<ast::Assign>();
  size_t length = 0;
  assign_op_follows(assign->op, length);
  const size_t op_first = at_;
  for (size_t i = 0; i < length; ++i) take();
  assign->op_span = since(op_first);
  const bool projects = length == 2;
  const ast::ExprKind kind = target->kind;
  const bool indexed = kind == ast::ExprKind::Index || kind == ast::ExprKind::Call || projects;
  const With joins(juxtapose_, indexed ? Juxtapose::Free : Juxtapose::Cautious);
  assign->is_equation = projects;
  assign->value = parse_expression();
  assign->target = std::move(target);
  assign->span = since(first);
  return assign;
}

void Parser::check_target(const ast::Expr& target) {
  switch (target.kind) {
    case ast::ExprKind::Error:
    case ast::ExprKind::Name:
    case ast::ExprKind::Index:
    case ast::ExprKind::Field:
    case ast::ExprKind::Call:
      return;
    case ast::ExprKind::String:
      if (ast::as<ast::String>(target).is_plain()) return;
      break;
    case ast::ExprKind::Tuple:
      for (const ast::ExprPtr& item : ast::as<ast::Tuple>(target).items) check_target(*item);
      return;
    default:
      break;
  }
  complain(DiagCode::BadAssignTarget, target.span, quoted(target.span));
}

void Parser::parse_bindings(std::vector<ast::Ident>& names, bool& is_tuple,
                            std::vector<ast::Unpacking>& unpacking) {
  if (at(Kind::LeftParen) || at(Kind::LeftBracket)) {
    is_tuple = true;
    if (!parse_unpacking(names, unpacking)) unpacking.clear();
    return;
  }
  bool is_nested = false;
  const auto one = [&] { is_nested |= parse_part(names, unpacking); };
  one();
  while (!panic_ && eat(Kind::Comma)) {
    is_tuple = true;
    one();
  }
  if (!is_nested) unpacking.clear();
}

// A name, or names in brackets; whether it is the latter.
bool Parser::parse_part(std::vector<ast::Ident>& names, std::vector<ast::Unpacking>& parts) {
  ast::Unpacking part{.name = names.size(), .parts = {}};
  const bool is_nested = at(Kind::LeftParen) || at(Kind::LeftBracket);
  is_nested ? void(parse_unpacking(names, part.parts)) : names.push_back(expect_name("a variable"));
  parts.push_back(std::move(part));
  return is_nested;
}

// Names in brackets, and brackets in them; whether there are such.
bool Parser::parse_unpacking(std::vector<ast::Ident>& names, std::vector<ast::Unpacking>& parts) {
  const Nest nest(*this);
  const size_t open = at_;
  const bool is_square = take().kind == Kind::LeftBracket;
  bool is_nested = false;
  if (at(is_square ? Kind::RightBracket : Kind::RightParen)) expect_name("a variable");
  list(is_square ? Kind::RightBracket : Kind::RightParen, open,
       [&] { is_nested |= parse_part(names, parts); });
  return is_nested;
}

ast::StmtPtr Parser::parse_let() {
  auto let = std::make_unique<ast::Let>();
  let->is_const = text(take()) == "const";
  if (at_word("mut") && name_follows(1)) {
    other_language(peek(), "nothing: every variable may be changed");
    take();
  }
  parse_bindings(let->names, let->is_tuple, let->unpacking);
  if (!panic_ && eat(Kind::Colon)) let->type = parse_type();
  const size_t value_first = at_;
  if (panic_ || !(eat(Kind::Equal) || eat(Kind::ColonEqual) || expect(Kind::Equal))) {
    let->value = error_expr(value_first);
    return let;
  }
  const With joins(juxtapose_, Juxtapose::Cautious);
  let->value = parse_expression();
  return let;
}

// defer { ... }, and defer f(x) for short.
ast::StmtPtr Parser::parse_defer() {
  take();
  auto defer = std::make_unique<ast::Defer>();
  defer->body = at(Kind::LeftBrace) ? parse_block() : block_of(parse_statement());
  return defer;
}

ast::StmtPtr Parser::parse_while() {
  take();
  auto loop = std::make_unique<ast::While>();
  loop->condition = parse_test();
  loop->body = parse_block();
  return loop;
}

ast::StmtPtr Parser::parse_for() {
  take();
  auto loop = std::make_unique<ast::For>();
  parse_bindings(loop->names, loop->is_tuple, loop->unpacking);
  if (!panic_) expect(Kind::In);
  const size_t iterable_first = at_;
  if (panic_) {
    loop->iterable = error_expr(iterable_first);
  } else {
    loop->iterable = at(Kind::LeftBrace) ? parse_set(braces_ahead(false) == Braces::Map) : parse_condition();
  }
  loop->body = parse_block();
  return loop;
}

ast::StmtPtr Parser::parse_return() {
  take();
  auto statement = std::make_unique<ast::Return>();
  const bool bare = at(Kind::RightBrace) || at(Kind::Semicolon) || at(Kind::End) || at(Kind::Comma) ||
                    peek().newline_before;
  if (!bare) statement->value = parse_expression();
  return statement;
}

ast::StmtPtr Parser::parse_with() {
  take();
  auto with = std::make_unique<ast::With>();
  with->entity = expect_name("an entity set");
  with->body = parse_block();
  return with;
}

}  // namespace tl
