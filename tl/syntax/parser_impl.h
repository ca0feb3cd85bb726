// The recursive descent parser, shared by the parse_*.cpp files: cursor, recovery and the state that decides
// what a piece of text means in its place. Included by them only.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tl/syntax/ast.h"
#include "tl/syntax/lexer.h"
#include "tl/syntax/parser.h"

namespace tl {

class Parser {
 public:
  Parser(const SourceFiles& files, const TokenList& tokens, Diagnostics& diags)
      : files_(files), file_(tokens.file), tokens_(tokens.tokens), diags_(diags) {}

  std::unique_ptr<ast::Module> parse_module();
  // An unclosed comment or string swallowed the rest of the file: that the rest is missing is not news.
  void mute_errors_at_end() { end_muted_ = true; }
  std::unique_ptr<ast::Fn> parse_bare_signature();
  void keep_marks(SyntaxMarks* marks) { marks_ = marks; }
  // For expressions inside strings: `outer` lends its counters. Null after an error.
  ast::ExprPtr parse_whole_expression(Parser& outer);

 private:
  using Kind = TokenKind;

  // Recursion this deep, counting expressions, statements, types and patterns, is refused: the stack is
  // finite.
  static constexpr int kMaxNesting = 256;

  // One level of recursion. Also keeps `height_`, an upper bound on the height of what was parsed since the
  // innermost Nest began, so that chains (a+a+a, f()()()) that need no recursion are bounded too.
  class Nest {
   public:
    explicit Nest(Parser& p) : p_(p), outer_height_(p.height_) {
      p_.height_ = 0;
      if (++p_.depth_ > kMaxNesting) p_.too_deep(kMaxNesting);
    }
    ~Nest() {
      --p_.depth_;
      p_.grow();
      p_.height_ = std::max(p_.height_, outer_height_);
    }
    Nest(const Nest&) = delete;
    Nest& operator=(const Nest&) = delete;

   private:
    Parser& p_;
    int outer_height_;
  };
  // Puts a value into a piece of state for one scope.
  template <typename T>
  class With {
   public:
    With(T& slot, T value) : slot_(slot), old_(std::exchange(slot, value)) {}
    ~With() { slot_ = old_; }
    With(const With&) = delete;
    With& operator=(const With&) = delete;

   private:
    T& slot_;
    T old_;
  };

  // Whether factors may stand side by side: never; only where no other reading is possible (the target is a
  // plain name); or freely (the target has indices).
  enum class Juxtapose : u8 { Never, Cautious, Free };

  // -- Cursor (parser.cpp)
  const Token& peek(size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  bool at(Kind kind, size_t ahead = 0) const { return peek(ahead).kind == kind; }
  bool at_word(std::string_view word, size_t ahead = 0) const {
    return at(Kind::Ident, ahead) && text(peek(ahead)) == word;
  }
  // A name on the line of the token before it.
  bool name_follows(size_t ahead) const { return at(Kind::Ident, ahead) && !peek(ahead).newline_before; }
  bool touches(size_t ahead) const { return !peek(ahead).space_before; }
  std::string_view text(const Token& t) const { return files_.text(Span{file_, t.begin, t.end}); }
  Span span(const Token& t) const { return {file_, t.begin, t.end}; }
  Span here() const { return span(peek()); }
  // From the token at `first` to the last one taken.
  Span since(size_t first) const;
  const Token& take();
  bool eat(Kind kind);
  bool eat_word(std::string_view word);
  bool expect(Kind kind);
  bool expect_word(std::string_view word);
  // The closing bracket for the token at `open`.
  bool expect_close(Kind kind, size_t open);
  std::string found() const;
  // A piece of the program for a message: quoted, or "this expression" when it is long.
  std::string quoted(Span span) const;
  ast::Ident expect_name(std::string_view what);
  ast::Ident name_or_string(std::string_view what);

  // -- Errors and recovery (parser.cpp)
  // Reports unless an error of this statement was already reported; what follows from it is noise.
  template <typename... Args>
  Diagnostic& error(DiagCode code, Span where, const Args&... args) {
    if (panic_) return muted_ = Diagnostic{};
    panic_ = true;
    last_error_ = nullptr;
    const bool at_end = at(Kind::End) && where.begin >= peek().begin;
    if (at_end) ends_early_ = true;
    if (at_end && end_muted_) return muted_ = Diagnostic{};
    Diagnostic& reported = diags_.report(code, where, args...);
    last_error_ = &reported;
    return reported;
  }
  // What a statement looks like whose own words are wrong.
  void show_example(std::string_view text) {
    if (last_error_ != nullptr) last_error_->note("for example: {}", text);
    last_error_ = nullptr;
  }
  // Reports a word of another language, which is read as what it means.
  void other_language(const Token& word, std::string_view here);
  bool explain_increment();
  ast::StmtPtr parse_other_language();
  u32 indent_of(const Token& token) const;
  // For problems after which parsing goes on as if nothing had happened.
  template <typename... Args>
  Diagnostic& complain(DiagCode code, Span where, const Args&... args) {
    if (panic_) return muted_ = Diagnostic{};
    return diags_.report(code, where, args...);
  }
  void mark(std::vector<u32> SyntaxMarks::*list, u32 offset) {
    if (marks_ != nullptr) (marks_->*list).push_back(offset);
  }
  void too_deep(int limit);
  void grow() {
    if (++height_ > ast::kMaxHeight) too_deep(ast::kMaxHeight);
  }
  // Abandons the statement that began at `first`.
  void skip_to_statement(size_t first);
  // Inside brackets: to the ',' or the closing bracket of this level; false when there is none nearby.
  bool skip_to_item(Kind close);
  bool continues_line() const;

  // items := [item {"," item} [","]] close. `item` returns nothing; recovers from errors inside an item.
  template <typename Item>
  void list(Kind close, size_t open, Item item) {
    const With brackets(bracket_depth_, bracket_depth_ + 1);
    const With structs(no_struct_literal_, false);
    while (!at(close) && !at(Kind::End)) {
      item();
      if (panic_ && skip_to_item(close)) panic_ = false;
      if (panic_ || !eat(Kind::Comma)) break;
    }
    expect_close(close, open);
  }

  template <typename T>
  std::unique_ptr<T> make(size_t first) {
    auto node = std::make_unique<T>();
    if constexpr (std::is_base_of_v<ast::Expr, T>) node->id = static_cast<ast::ExprId>(expr_count_++);
    node->span = since(first);
    return node;
  }
  ast::ExprPtr error_expr(size_t first) { return make<ast::ErrorExpr>(first); }

  // -- Expressions (parse_expression.cpp)
  ast::ExprPtr parse_expression();
  ast::ExprPtr parse_condition();  // before a '{': no struct literals
  ast::ExprPtr parse_test();       // of an `if` or `while`
  ast::ExprPtr parse_binary(int min_level);
  ast::ExprPtr parse_operators(ast::ExprPtr lhs, size_t first, int min_level);
  ast::ExprPtr parse_unary();
  ast::ExprPtr parse_power();
  ast::ExprPtr parse_binary_rest(ast::ExprPtr lhs, size_t first, ast::BinaryOp op, Span op_span,
                                 int rhs_level);
  ast::ExprPtr make_unary(ast::UnaryOp op, size_t first, Span op_span, ast::ExprPtr operand);
  ast::ExprPtr make_binary(ast::BinaryOp op, size_t first, Span op_span, ast::ExprPtr lhs, ast::ExprPtr rhs);
  bool line_ends_here() const { return bracket_depth_ == 0 && peek().newline_before; }
  bool can_join() const;

  // -- Postfix and primaries (parse_postfix.cpp, parse_primary.cpp)
  ast::ExprPtr parse_postfix();
  ast::ExprPtr parse_call(ast::ExprPtr callee, size_t first);
  ast::ExprPtr parse_member(ast::ExprPtr object, size_t first);
  ast::ExprPtr parse_index(ast::ExprPtr object, size_t first);
  ast::IndexItem parse_index_item();
  void parse_slice_rest(ast::IndexItem& item);
  void check_index_mark(const ast::IndexItem& item, size_t first);
  std::vector<ast::Arg> parse_args();
  ast::Arg parse_arg();
  bool dot_ends_here() const;

  ast::ExprPtr parse_primary();
  ast::ExprPtr parse_number();
  ast::ExprPtr parse_name();
  ast::ExprPtr parse_paren();
  ast::ExprPtr parse_list();
  // What the '{' here begins; `is_block` where a block may stand, so that only what cannot be one is a map or
  // set.
  enum class Braces : u8 { Block, Map, Set };
  Braces braces_ahead(bool is_block) const;
  ast::ExprPtr parse_braces();
  ast::ExprPtr parse_set(bool is_map);
  ast::ExprPtr parse_block_expr();
  ast::ExprPtr parse_if();
  ast::ExprPtr parse_match();
  ast::ExprPtr parse_try();
  ast::MatchArm parse_match_arm();
  ast::ExprPtr parse_closure();
  ast::ExprPtr pipe(ast::ExprPtr value, ast::ExprPtr into, size_t first);
  ast::ExprPtr parse_struct_literal(ast::TypePtr type, size_t first);
  bool struct_literal_follows(size_t ahead) const;
  size_t generic_args_length(size_t ahead) const;
  ast::Block block_of(ast::ExprPtr value);
  ast::Block block_of(ast::StmtPtr statement);

  // -- Strings (parse_string.cpp)
  ast::ExprPtr parse_string();
  std::string string_value(const Token& token);
  struct StringCursor;
  void read_text(StringCursor& c, std::string& out);
  void read_escape(StringCursor& c, std::string& out);
  bool read_interpolation(StringCursor& c, ast::StringPart& part);
  ast::ExprPtr parse_interpolated(Span part);

  // -- Types and patterns (parse_type.cpp)
  ast::TypePtr parse_type(bool allow_args = true);
  ast::TypePtr parse_fn_type(size_t first);
  void parse_type_args(ast::Type& type);
  ast::Dim parse_dim();
  ast::PatternPtr parse_pattern();
  ast::PatternPtr parse_plain_pattern();
  ast::PatternPtr parse_literal_pattern();
  ast::PatternPtr parse_range_pattern(ast::PatternPtr begin, size_t first);
  ast::PatternPtr parse_list_pattern();
  void parse_variant_pattern(ast::Pattern& pattern);
  ast::PatternPtr parse_name_pattern();
  std::vector<ast::Param> parse_params();
  ast::Param parse_param();

  // -- Statements (parse_statement.cpp)
  ast::StmtPtr parse_statement();
  ast::StmtPtr parse_keyword_statement();
  ast::StmtPtr parse_word_statement();  // null when the words here start none
  ast::StmtPtr parse_expression_statement();
  ast::StmtPtr parse_assign(ast::ExprPtr target, size_t first);
  ast::StmtPtr parse_let();
  ast::StmtPtr parse_defer();
  ast::StmtPtr parse_while();
  ast::StmtPtr parse_for();
  ast::StmtPtr parse_return();
  ast::StmtPtr parse_with();
  ast::Block parse_block();
  void parse_statements(std::vector<ast::StmtPtr>& out);
  void parse_bindings(std::vector<ast::Ident>& names, bool& is_tuple, std::vector<ast::Unpacking>& unpacking);
  bool parse_unpacking(std::vector<ast::Ident>& names, std::vector<ast::Unpacking>& parts);
  bool parse_part(std::vector<ast::Ident>& names, std::vector<ast::Unpacking>& parts);
  void check_target(const ast::Expr& target);
  void check_separated(const ast::Stmt& statement, size_t first);
  bool assign_op_follows(ast::AssignOp& op, size_t& length) const;

  // -- Declarations (parse_declaration.cpp)
  ast::StmtPtr parse_import();
  ast::StmtPtr parse_from();
  ast::StmtPtr parse_enum();
  ast::StructField parse_field(bool needs_name);
  ast::StmtPtr parse_python_import();
  std::unique_ptr<ast::Fn> parse_fn();
  ast::StmtPtr parse_struct();
  ast::StmtPtr parse_impl();
  ast::StmtPtr parse_tensor();
  template <typename T>
  ast::StmtPtr parse_named_block(bool has_name);
  std::vector<ast::Ident> parse_generics();
  ast::Training parse_training();

  // -- Logic and learning (parse_logic.cpp)
  ast::StmtPtr parse_entity();
  ast::StmtPtr parse_relation();
  ast::StmtPtr parse_rule_statement();
  ast::StmtPtr parse_rule(ast::ExprPtr head, ast::ExprPtr weight, size_t first);
  ast::StmtPtr parse_query_statement();
  ast::StmtPtr parse_embedding();
  void parse_embedding_setting(ast::Embedding& e);
  ast::StmtPtr parse_infer();
  ast::InferGoal parse_infer_goal();
  ast::StmtPtr parse_explain();
  ast::StmtPtr parse_learn();
  ast::ExprPtr parse_query(ast::ExprPtr goal, size_t first);
  void parse_query_clauses(ast::Query& query);
  std::unique_ptr<ast::Formula> parse_formula();
  std::unique_ptr<ast::Formula> parse_formula_from(ast::ExprPtr literal, size_t first);
  ast::ExprPtr parse_literal();
  ast::ExprPtr parse_literal_rest(ast::ExprPtr lhs, size_t first);
  bool rule_arrow_follows() const;
  std::vector<ast::Ident> parse_members();

  const SourceFiles& files_;
  FileId file_;
  const std::vector<Token>& tokens_;
  Diagnostics& diags_;
  Diagnostic muted_;
  SyntaxMarks* marks_ = nullptr;
  size_t at_ = 0;
  u32 expr_count_ = 0;
  int depth_ = 0, height_ = 0;
  int bracket_depth_ = 0;             // of ( and [ since the innermost block: newlines end nothing inside
  bool panic_ = false;                // an error was reported and its statement is being abandoned
  Diagnostic* last_error_ = nullptr;  // of the statement that is being abandoned
  size_t suspect_ = 0;                // a '{' whose '}' stands further left than its line, or 0
  bool aborted_ = false;              // too deep: the rest of the file is not read
  bool ends_early_ = false;
  bool end_muted_ = false;
  bool no_struct_literal_ = false;  // before the '{' of an if, while, for or match
  bool in_formula_ = false;         // in a rule's body or a `where`: '=' unifies, brackets group
  bool at_statement_head_ = false;  // '<-' here makes a rule; elsewhere it is '<' and '-'
  bool in_index_ = false;           // directly inside [ ]: "i." marks the normalised index
  Juxtapose juxtapose_ = Juxtapose::Never;
  size_t block_at_ = ~size_t{0};  // the token that may begin a block, where it is a '{'
  u32 equation_marks_ = 0;        // counts joins and index marks, to recognise tensor equations
};

}  // namespace tl
