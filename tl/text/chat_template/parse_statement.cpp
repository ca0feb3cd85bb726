#include <algorithm>

#include "tl/text/chat_template/parser.h"

namespace tl::jinja {

Result<Block> parse(std::string_view source) {
  TL_TRY(std::vector<Token> tokens, tokenize(source));
  return Parser(std::move(tokens)).parse_template();
}

Result<Block> Parser::parse_template() {
  return block({}, nullptr);
}

Stmt Parser::make_stmt(Stmt::Kind kind) const {
  Stmt out;
  out.kind = kind;
  out.line = peek().line;
  return out;
}

Result<void> Parser::end_tag() {
  if (peek().kind != Kind::BlockEnd) return unexpected("'%}'");
  ++at_;
  return {};
}

// Statements up to a tag that begins with one of `ends`, whose name goes to `end` and whose rest stays.
Result<Block> Parser::block(std::initializer_list<std::string_view> ends, std::string* end) {
  const Nesting nesting(depth_);
  if (depth_ > kMaxNesting) return too_deep();
  Block out;
  while (peek().kind != Kind::End) {
    if (peek().kind == Kind::Text) {
      out.push_back(make_stmt(Stmt::Kind::Text));
      out.back().text = tokens_[at_++].text;
    } else if (peek().kind == Kind::PrintBegin) {
      out.push_back(make_stmt(Stmt::Kind::Print));
      ++at_;
      TL_TRY(out.back().expr, tuple());
      if (peek().kind != Kind::PrintEnd) return unexpected("'}}'");
      ++at_;
    } else {
      ++at_;
      if (std::any_of(ends.begin(), ends.end(), [&](auto name) { return is(name); })) {
        *end = tokens_[at_++].text;
        return out;
      }
      TL_TRY(Stmt made, statement());
      out.push_back(std::move(made));
    }
  }
  if (ends.size() > 0) return error(fmt::format("found the end, wanted '{}'", *(ends.end() - 1)));
  return out;
}

Result<Stmt> Parser::statement() {
  if (take("if")) return parse_if();
  if (take("for")) return parse_for();
  if (take("set")) return parse_set();
  if (take("macro")) return parse_macro();
  if (take("call")) return parse_call();
  if (take("filter")) return parse_filter_block();
  if (take("with")) return parse_with();
  if (is("break") || is("continue")) {
    Stmt out = make_stmt(is("break") ? Stmt::Kind::Break : Stmt::Kind::Continue);
    ++at_;
    TL_TRY_DO(end_tag());
    return out;
  }
  if (take("generation")) {  // marks what a model wrote, for training; nothing to do when rendering
    Stmt out = make_stmt(Stmt::Kind::Group);
    TL_TRY_DO(end_tag());
    TL_TRY_DO(body(out, "endgeneration"));
    return out;
  }
  if (peek().kind != Kind::Name) return unexpected("the name of a statement");
  static constexpr std::string_view kKnown[] = {"block", "extends", "include",    "import",
                                                "from",  "do",      "autoescape", "trans"};
  const bool known = std::find(std::begin(kKnown), std::end(kKnown), peek().text) != std::end(kKnown);
  if (known) {
    return fail(Code::Unsupported, "chat template, line {}: '{}' is not supported", peek().line, peek().text);
  }
  return error(fmt::format("'{}' is no statement here", peek().text));
}

Result<void> Parser::body(Stmt& out, std::string_view end) {
  std::string found;
  TL_TRY(out.body, block({end}, &found));
  if (peek().kind == Kind::Name) ++at_;  // {% endmacro name %}
  return end_tag();
}

Result<Stmt> Parser::parse_if() {
  Stmt out = make_stmt(Stmt::Kind::If);
  std::string end = "elif";
  while (end == "elif") {
    out.branches.emplace_back();
    TL_TRY(out.branches.back().condition, tuple());
    TL_TRY_DO(end_tag());
    TL_TRY(out.branches.back().body, block({"elif", "else", "endif"}, &end));
  }
  if (end == "else") {
    TL_TRY_DO(end_tag());
    out.branches.emplace_back();
    TL_TRY(out.branches.back().body, block({"endif"}, &end));
  }
  TL_TRY_DO(end_tag());
  return out;
}

Result<std::vector<std::string>> Parser::targets() {
  std::vector<std::string> out;
  const bool bracket = take("(");
  do {
    if (is(")") && !out.empty()) break;
    TL_TRY(std::string target, name());
    out.push_back(std::move(target));
  } while (take(","));
  if (bracket) TL_TRY_DO(expect(")"));
  return out;
}

Result<Stmt> Parser::parse_for() {
  Stmt out = make_stmt(Stmt::Kind::For);
  TL_TRY(out.names, targets());
  TL_TRY_DO(expect("in"));
  TL_TRY(out.expr, or_());  // not a choice: its `if` is the loop's filter
  if (is(",")) {
    ExprPtr list = make(Expr::Kind::List);
    TL_TRY_DO(add(*list, std::move(out.expr)));
    while (take(",")) {
      TL_TRY(ExprPtr item, or_());
      TL_TRY_DO(add(*list, std::move(item)));
    }
    out.expr = std::move(list);
  }
  if (take("if")) {
    TL_TRY(out.filter, expression());
  }
  if (is("recursive")) {
    return fail(Code::Unsupported, "chat template, line {}: recursive loops are not supported", peek().line);
  }
  TL_TRY_DO(end_tag());
  std::string end;
  TL_TRY(out.body, block({"else", "endfor"}, &end));
  if (end == "else") {
    TL_TRY_DO(end_tag());
    TL_TRY(out.otherwise, block({"endfor"}, &end));
  }
  TL_TRY_DO(end_tag());
  return out;
}

Result<Stmt> Parser::parse_set() {
  Stmt out = make_stmt(Stmt::Kind::Set);
  if (peek().kind == Kind::Name && is(".", 1)) {
    TL_TRY(out.text, name());
    ++at_;
    TL_TRY(std::string attribute, name());
    out.names.push_back(std::move(attribute));
  } else {
    TL_TRY(out.names, targets());
  }
  if (take("=")) {
    TL_TRY(out.expr, tuple());
    TL_TRY_DO(end_tag());
    return out;
  }
  if (out.names.size() != 1 || !out.text.empty()) return unexpected("'='");
  out.kind = Stmt::Kind::SetBlock;
  if (take("|")) {
    // The filters wait for the block's text, which run() puts in the place of this empty literal.
    TL_TRY(out.expr, one_filter(make(Expr::Kind::Literal)));
    TL_TRY(out.expr, filters(std::move(out.expr)));
  }
  TL_TRY_DO(end_tag());
  TL_TRY_DO(body(out, "endset"));
  return out;
}

Result<Stmt> Parser::parse_macro() {
  Stmt out = make_stmt(Stmt::Kind::Macro);
  TL_TRY(out.text, name());
  TL_TRY_DO(expect("("));
  while (!take(")")) {
    if (!out.names.empty()) {
      TL_TRY_DO(expect(","));
      if (take(")")) break;
    }
    TL_TRY(std::string parameter, name());
    out.names.push_back(std::move(parameter));
    if (take("=")) {
      TL_TRY(ExprPtr value, expression());
      out.values.push_back(std::move(value));
    } else if (!out.values.empty()) {
      return error("a parameter without a default follows one with a default");
    }
  }
  TL_TRY_DO(end_tag());
  TL_TRY_DO(body(out, "endmacro"));
  return out;
}

Result<Stmt> Parser::parse_call() {
  Stmt out = make_stmt(Stmt::Kind::Call);
  if (is("("))
    return fail(Code::Unsupported, "chat template, line {}: 'call' with parameters is not supported",
                peek().line);
  TL_TRY(out.expr, expression());
  if (out.expr->kind != Expr::Kind::Call) return unexpected("a call");
  TL_TRY_DO(end_tag());
  TL_TRY_DO(body(out, "endcall"));
  return out;
}

Result<Stmt> Parser::parse_filter_block() {
  Stmt out = make_stmt(Stmt::Kind::Filter);
  TL_TRY(out.expr, one_filter(make(Expr::Kind::Literal)));
  TL_TRY(out.expr, filters(std::move(out.expr)));
  TL_TRY_DO(end_tag());
  TL_TRY_DO(body(out, "endfilter"));
  return out;
}

Result<Stmt> Parser::parse_with() {
  Stmt out = make_stmt(Stmt::Kind::With);
  while (peek().kind != Kind::BlockEnd) {
    if (!out.names.empty()) TL_TRY_DO(expect(","));
    TL_TRY(std::string target, name());
    TL_TRY_DO(expect("="));
    TL_TRY(ExprPtr value, expression());
    out.names.push_back(std::move(target));
    out.values.push_back(std::move(value));
  }
  TL_TRY_DO(end_tag());
  TL_TRY_DO(body(out, "endwith"));
  return out;
}

}  // namespace tl::jinja
