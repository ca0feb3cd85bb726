// Recursive descent over the tokens of a chat template; expressions here, statements in parse_statement.cpp.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "tl/text/chat_template/ast.h"
#include "tl/text/chat_template/lexer.h"

namespace tl::jinja {

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Result<Block> parse_template();

 private:
  using Kind = Token::Kind;

  // Statements.
  Result<Block> block(std::initializer_list<std::string_view> ends, std::string* end);
  Result<Stmt> statement();
  Result<Stmt> parse_if();
  Result<Stmt> parse_for();
  Result<Stmt> parse_set();
  Result<Stmt> parse_macro();
  Result<Stmt> parse_call();
  Result<Stmt> parse_filter_block();
  Result<Stmt> parse_with();
  Result<std::vector<std::string>> targets();
  Result<void> body(Stmt& out, std::string_view end);
  Result<void> end_tag();
  Stmt make_stmt(Stmt::Kind kind) const;

  // Expressions, loosest first.
  Result<ExprPtr> expression() { return choice(); }
  Result<ExprPtr> tuple();
  Result<ExprPtr> choice();
  Result<ExprPtr> or_();
  Result<ExprPtr> and_();
  Result<ExprPtr> not_();
  // Operands with `word` between them, grouped to the left.
  Result<ExprPtr> logical(std::string_view word, Expr::Kind kind, Result<ExprPtr> (Parser::*operand)());
  Result<ExprPtr> comparison();
  Result<ExprPtr> binary(u32 level);
  Result<ExprPtr> unary(bool with_filters);
  Result<ExprPtr> primary();
  Result<ExprPtr> list_literal();
  Result<ExprPtr> dict_literal();
  Result<ExprPtr> postfix(ExprPtr value);
  Result<ExprPtr> call(ExprPtr callee);
  Result<ExprPtr> subscript(ExprPtr value);
  Result<ExprPtr> filters(ExprPtr value);
  Result<ExprPtr> one_filter(ExprPtr value);
  Result<ExprPtr> test(ExprPtr value);
  Result<void> arguments(Expr& call);

  ExprPtr make(Expr::Kind kind, std::string text = {}) const;
  // Puts `child` under `parent`; fails where the tree gets too deep.
  Result<void> add(Expr& parent, ExprPtr child) const;
  // Whether an item follows in a list that `close` ends; takes `close`, or the comma before the item.
  Result<bool> item_follows(std::string_view close, bool is_first);

  const Token& peek(size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  bool is(std::string_view text, size_t ahead = 0) const;  // an operator or name
  bool take(std::string_view text);
  Result<void> expect(std::string_view text);
  Result<std::string> name();
  Error error(std::string_view message) const;
  Error unexpected(std::string_view wanted) const;
  Error too_deep() const;

  std::vector<Token> tokens_;
  size_t at_ = 0;
  u32 depth_ = 0;
};

// Counts nesting for as long as it lives.
class Nesting {
 public:
  explicit Nesting(u32& depth) : depth_(depth) { ++depth_; }
  ~Nesting() { --depth_; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;

 private:
  u32& depth_;
};

inline constexpr u32 kMaxNesting = 200;  // of brackets, blocks and operators

}  // namespace tl::jinja
