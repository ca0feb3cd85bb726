#include "tl/syntax/parser.h"

#include "tl/syntax/parser_impl.h"

namespace tl {

Span Parser::since(size_t first) const {
  const Token& begin = tokens_[first];
  const Token& last = tokens_[at_ > first ? at_ - 1 : first];
  return {file_, begin.begin, at_ > first ? last.end : begin.end};
}

const Token& Parser::take() {
  const Token& token = peek();
  if (token.kind != Kind::End) ++at_;
  return token;
}

bool Parser::eat(Kind kind) {
  if (!at(kind)) return false;
  take();
  return true;
}

bool Parser::eat_word(std::string_view word) {
  if (!at_word(word)) return false;
  take();
  return true;
}

std::string Parser::found() const {
  const Token& token = peek();
  const std::string_view written = text(token);
  switch (token.kind) {
    case Kind::Ident:
    case Kind::Int:
    case Kind::Float:
    case Kind::Imaginary:
      if (written.size() <= 40) return fmt::format("'{}'", written);
      return describe(token.kind);
    default:
      return describe(token.kind);
  }
}

std::string Parser::quoted(Span span) const {
  const std::string_view written = files_.text(span);
  if (written.size() > 40 || written.find('\n') != std::string_view::npos) return "this expression";
  return fmt::format("'{}'", written);
}

bool Parser::expect(Kind kind) {
  if (eat(kind)) return true;
  error(DiagCode::ExpectedToken, here(), describe(kind), found());
  return false;
}

bool Parser::expect_word(std::string_view word) {
  if (eat_word(word)) return true;
  error(DiagCode::ExpectedToken, here(), fmt::format("'{}'", word), found());
  return false;
}

bool Parser::expect_close(Kind kind, size_t open) {
  if (eat(kind)) return true;
  const Token& opening = tokens_[open];
  error(DiagCode::ExpectedClosing, here(), describe(kind), describe(opening.kind), found())
      .also(span(opening), "opened here");
  return false;
}

ast::Ident Parser::expect_name(std::string_view what) {
  if (at(Kind::Ident)) {
    const Token& token = take();
    return {std::string(text(token)), span(token)};
  }
  if (is_keyword(peek().kind) && !peek().newline_before) {
    error(DiagCode::ReservedName, here(), text(peek()), what);
  } else {
    error(DiagCode::ExpectedName, here(), what, found());
  }
  return {};
}

ast::Ident Parser::name_or_string(std::string_view what) {
  if (!at(Kind::String)) return expect_name(what);
  const Token& token = take();
  return {string_value(token), span(token)};
}

// Nothing more is read: the cursor goes to the end, so every loop above stops.
void Parser::too_deep(int limit) {
  if (aborted_) return;
  diags_.report(DiagCode::TooDeep, here(), limit).note("give a part of it a name of its own");
  aborted_ = panic_ = true;
  at_ = tokens_.size() - 1;
}

// Stops before the next line at the statement's own depth of braces, a ';', or the '}' that ends its block.
// Always takes at least one token of the statement.
void Parser::skip_to_statement(size_t first) {
  if (aborted_) return;
  panic_ = false;
  int braces = 0;
  for (size_t i = first; i < at_; ++i) {
    if (tokens_[i].kind == Kind::LeftBrace) ++braces;
    if (tokens_[i].kind == Kind::RightBrace) --braces;
  }
  if (at_ == first) take();
  while (!at(Kind::End)) {
    if (braces <= 0 && at(Kind::Semicolon)) break;
    if (braces <= 0 && peek().newline_before && !continues_line()) break;
    if (at(Kind::LeftBrace)) ++braces;
    if (at(Kind::RightBrace) && braces-- <= 0) break;
    take();
  }
}

// Whether the token here, first on its line, must belong to the line before.
bool Parser::continues_line() const {
  switch (peek().kind) {
    case Kind::RightParen:
    case Kind::RightBracket:
    case Kind::Comma:
    case Kind::Dot:
    case Kind::Else:
      return true;
    default:
      return false;
  }
}

bool Parser::skip_to_item(Kind close) {
  if (aborted_) return false;
  int open = 0;
  for (size_t ahead = 0; ahead < 1000; ++ahead) {
    const Token& token = peek(ahead);
    if (open == 0 && (token.kind == Kind::Comma || token.kind == close)) {
      at_ += ahead;
      return true;
    }
    switch (token.kind) {
      case Kind::LeftParen:
      case Kind::LeftBracket:
      case Kind::LeftBrace:
        ++open;
        break;
      case Kind::RightParen:
      case Kind::RightBracket:
      case Kind::RightBrace:
        if (open-- == 0) return false;
        break;
      case Kind::End:
      case Kind::Semicolon:
      case Kind::Fn:
      case Kind::Let:
        return false;
      default:
        break;
    }
  }
  return false;
}

std::unique_ptr<ast::Module> Parser::parse_module() {
  auto module = std::make_unique<ast::Module>();
  module->file = file_;
  while (!at(Kind::End)) {
    parse_statements(module->statements);
    if (at(Kind::RightBrace)) {
      error(DiagCode::ExpectedStatement, here(), found());
      take();
      panic_ = aborted_;
    }
  }
  module->expr_count = expr_count_;
  module->ends_early = ends_early_;
  return module;
}

std::unique_ptr<ast::Fn> Parser::parse_bare_signature() {
  auto fn = std::make_unique<ast::Fn>();
  fn->params = parse_params();
  if (eat(Kind::Arrow)) fn->result = parse_type();
  if (!at(Kind::End)) error(DiagCode::ExpectedToken, here(), "the end of the signature", found());
  fn->span = since(0);
  return fn;
}

ast::ExprPtr Parser::parse_whole_expression(Parser& outer) {
  depth_ = outer.depth_;
  expr_count_ = outer.expr_count_;
  bracket_depth_ = 1;
  ast::ExprPtr e = parse_expression();
  if (!at(Kind::End)) error(DiagCode::ExpectedToken, here(), "'}'", found());
  outer.expr_count_ = expr_count_;
  outer.height_ = std::max(outer.height_, height_);
  if (panic_) return nullptr;
  return e;
}

std::unique_ptr<ast::Module> parse(const SourceFiles& files, FileId file, Diagnostics& diags,
                                   SyntaxMarks* marks) {
  Diagnostics mine;
  const TokenList tokens = lex(files, file, mine);
  bool incomplete = false;  // an unclosed comment or string: more lines may close it
  for (const Diagnostic& d : mine.all()) {
    incomplete |= d.code == DiagCode::UnterminatedComment || d.code == DiagCode::UnterminatedString;
  }
  Parser parser(files, tokens, mine);
  parser.keep_marks(marks);
  if (incomplete) parser.mute_errors_at_end();
  auto module = parser.parse_module();
  module->ends_early |= incomplete;
  mine.sort();
  for (const Diagnostic& d : mine.all()) diags.add(d);
  return module;
}

std::unique_ptr<ast::Fn> parse_signature(const SourceFiles& files, FileId file, Diagnostics& diags) {
  const TokenList tokens = lex(files, file, diags);
  return Parser(files, tokens, diags).parse_bare_signature();
}

}  // namespace tl
