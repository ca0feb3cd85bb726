#include "tl/text/chat_template/parser.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <span>

namespace tl::jinja {

ExprPtr Parser::make(Expr::Kind kind, std::string text) const {
  auto out = std::make_unique<Expr>();
  out->kind = kind;
  out->line = peek().line;
  out->text = std::move(text);
  return out;
}

Result<void> Parser::add(Expr& parent, ExprPtr child) const {
  if (child != nullptr) parent.depth = std::max(parent.depth, child->depth + 1);
  parent.items.push_back(std::move(child));
  if (parent.depth > kMaxNesting) return too_deep();
  return {};
}

bool Parser::is(std::string_view text, size_t ahead) const {
  const Token& token = peek(ahead);
  return (token.kind == Kind::Operator || token.kind == Kind::Name) && token.text == text;
}

bool Parser::take(std::string_view text) {
  if (!is(text)) return false;
  ++at_;
  return true;
}

Result<void> Parser::expect(std::string_view text) {
  if (!take(text)) return unexpected(fmt::format("'{}'", text));
  return {};
}

Result<std::string> Parser::name() {
  if (peek().kind != Kind::Name) return unexpected("a name");
  return tokens_[at_++].text;
}

Error Parser::error(std::string_view message) const {
  return fail(Code::BadFile, "chat template, line {}: {}", peek().line, message);
}

Error Parser::too_deep() const {
  return error(fmt::format("nests more than {} levels deep", kMaxNesting));
}

Error Parser::unexpected(std::string_view wanted) const {
  const Token& token = peek();
  const bool ends = token.kind == Kind::BlockEnd || token.kind == Kind::PrintEnd;
  const std::string found = ends                 ? "the end of the tag"
                            : token.text.empty() ? "the end"
                                                 : "'" + token.text + "'";
  return error(fmt::format("found {}, wanted {}", found, wanted));
}

// a, b, c without brackets is a tuple.
Result<ExprPtr> Parser::tuple() {
  TL_TRY(ExprPtr first, expression());
  if (!is(",")) return first;
  ExprPtr list = make(Expr::Kind::List, "(");
  TL_TRY_DO(add(*list, std::move(first)));
  while (take(",")) {
    if (peek().kind == Kind::BlockEnd || peek().kind == Kind::PrintEnd || is(")")) break;
    TL_TRY(ExprPtr item, expression());
    TL_TRY_DO(add(*list, std::move(item)));
  }
  return list;
}

Result<ExprPtr> Parser::choice() {
  const Nesting nesting(depth_);
  if (depth_ > kMaxNesting) return too_deep();
  TL_TRY(ExprPtr value, or_());
  while (take("if")) {
    ExprPtr out = make(Expr::Kind::Choice);
    TL_TRY(ExprPtr condition, or_());
    ExprPtr otherwise;
    if (take("else")) {
      TL_TRY(otherwise, choice());
    }
    TL_TRY_DO(add(*out, std::move(value)));
    TL_TRY_DO(add(*out, std::move(condition)));
    TL_TRY_DO(add(*out, std::move(otherwise)));
    value = std::move(out);
  }
  return value;
}

Result<ExprPtr> Parser::or_() {
  return logical("or", Expr::Kind::Or, &Parser::and_);
}

Result<ExprPtr> Parser::and_() {
  return logical("and", Expr::Kind::And, &Parser::not_);
}

Result<ExprPtr> Parser::logical(std::string_view word, Expr::Kind kind,
                                Result<ExprPtr> (Parser::*operand)()) {
  TL_TRY(ExprPtr left, (this->*operand)());
  while (take(word)) {
    ExprPtr out = make(kind);
    TL_TRY(ExprPtr right, (this->*operand)());
    TL_TRY_DO(add(*out, std::move(left)));
    TL_TRY_DO(add(*out, std::move(right)));
    left = std::move(out);
  }
  return left;
}

Result<ExprPtr> Parser::not_() {
  const Nesting nesting(depth_);
  if (depth_ > kMaxNesting) return too_deep();
  if (!is("not")) return comparison();
  ExprPtr out = make(Expr::Kind::Not);
  take("not");
  TL_TRY(ExprPtr value, not_());
  TL_TRY_DO(add(*out, std::move(value)));
  return out;
}

Result<ExprPtr> Parser::comparison() {
  static constexpr std::array<std::string_view, 7> kWords = {"==", "!=", "<", ">", "<=", ">=", "in"};
  TL_TRY(ExprPtr first, binary(0));
  ExprPtr out;
  while (true) {
    std::string word;
    if (is("not") && is("in", 1)) {
      at_ += 2;
      word = "not in";
    } else if (const auto* w =
                   std::find_if(kWords.begin(), kWords.end(), [&](auto text) { return is(text); });
               w != kWords.end()) {
      word = *w;
      ++at_;
    } else {
      return out == nullptr ? std::move(first) : std::move(out);
    }
    if (out == nullptr) {
      out = make(Expr::Kind::Compare);
      TL_TRY_DO(add(*out, std::move(first)));
    }
    TL_TRY(ExprPtr next, binary(0));
    out->words.push_back(word);
    TL_TRY_DO(add(*out, std::move(next)));
  }
}

// Left-associative operators; each level binds tighter than the one before.
Result<ExprPtr> Parser::binary(u32 level) {
  static constexpr std::array<std::string_view, 2> kSum = {"+", "-"};
  static constexpr std::array<std::string_view, 1> kJoin = {"~"};
  static constexpr std::array<std::string_view, 4> kProduct = {"*", "/", "//", "%"};
  static constexpr std::array<std::string_view, 1> kPower = {"**"};
  static constexpr std::array<std::span<const std::string_view>, 4> kLevels = {kSum, kJoin, kProduct, kPower};
  if (level == kLevels.size()) return unary(true);
  TL_TRY(ExprPtr left, binary(level + 1));
  while (true) {
    const auto ops = kLevels[level];
    const auto op = std::find_if(ops.begin(), ops.end(), [&](auto text) { return is(text); });
    if (op == ops.end() || peek().kind != Kind::Operator) return left;
    ExprPtr out = make(Expr::Kind::Binary, std::string(*op));
    ++at_;
    TL_TRY(ExprPtr right, binary(level + 1));
    TL_TRY_DO(add(*out, std::move(left)));
    TL_TRY_DO(add(*out, std::move(right)));
    left = std::move(out);
  }
}

Result<ExprPtr> Parser::unary(bool with_filters) {
  const Nesting nesting(depth_);
  if (depth_ > kMaxNesting) return too_deep();
  ExprPtr value;
  if (is("-") || is("+")) {
    value = make(Expr::Kind::Unary, peek().text);
    ++at_;
    TL_TRY(ExprPtr operand, unary(false));
    TL_TRY_DO(add(*value, std::move(operand)));
  } else {
    TL_TRY(value, primary());
  }
  TL_TRY(value, postfix(std::move(value)));
  return with_filters ? filters(std::move(value)) : Result<ExprPtr>(std::move(value));
}

Result<ExprPtr> Parser::primary() {
  const Token token = peek();
  ExprPtr out = make(Expr::Kind::Literal);
  switch (token.kind) {
    case Kind::Name: {
      ++at_;
      const bool is_true = token.text == "true" || token.text == "True";
      if (is_true || token.text == "false" || token.text == "False") {
        out->value = is_true;
      } else if (token.text == "none" || token.text == "None") {
        out->value = Value::None();
      } else {
        out->kind = Expr::Kind::Name;
        out->text = token.text;
      }
      return out;
    }
    case Kind::String: {
      std::string text;
      while (peek().kind == Kind::String) text += tokens_[at_++].text;  // neighbours are one string
      out->value = std::move(text);
      return out;
    }
    case Kind::Integer: {
      errno = 0;
      out->value = i64{std::strtoll(token.text.c_str(), nullptr, 10)};
      if (errno != 0) return error(fmt::format("the number {} is too large", token.text));
      ++at_;
      return out;
    }
    case Kind::Float:
      out->value = std::strtod(token.text.c_str(), nullptr);
      ++at_;
      return out;
    default:
      break;
  }
  if (take("(")) {
    if (take(")")) return make(Expr::Kind::List, "(");
    TL_TRY(ExprPtr inner, tuple());
    TL_TRY_DO(expect(")"));
    return inner;
  }
  if (is("[")) return list_literal();
  if (is("{")) return dict_literal();
  return unexpected("a value");
}

Result<bool> Parser::item_follows(std::string_view close, bool is_first) {
  if (take(close)) return false;
  if (is_first) return true;
  TL_TRY_DO(expect(","));
  return !take(close);
}

Result<ExprPtr> Parser::list_literal() {
  TL_TRY_DO(expect("["));
  ExprPtr out = make(Expr::Kind::List);
  while (true) {
    TL_TRY(const bool more, item_follows("]", out->items.empty()));
    if (!more) return out;
    TL_TRY(ExprPtr item, expression());
    TL_TRY_DO(add(*out, std::move(item)));
  }
}

Result<ExprPtr> Parser::dict_literal() {
  TL_TRY_DO(expect("{"));
  ExprPtr out = make(Expr::Kind::Dict);
  while (true) {
    TL_TRY(const bool more, item_follows("}", out->items.empty()));
    if (!more) return out;
    TL_TRY(ExprPtr key, expression());
    TL_TRY_DO(expect(":"));
    TL_TRY(ExprPtr value, expression());
    TL_TRY_DO(add(*out, std::move(key)));
    TL_TRY_DO(add(*out, std::move(value)));
  }
}

Result<ExprPtr> Parser::postfix(ExprPtr value) {
  while (true) {
    if (take(".")) {
      ExprPtr out = make(Expr::Kind::Attribute);
      const bool number = peek().kind == Kind::Integer;
      if (!number && peek().kind != Kind::Name) return unexpected("a name");
      out->text = tokens_[at_++].text;
      TL_TRY_DO(add(*out, std::move(value)));
      if (number) {  // a.0 is a[0]
        ExprPtr index = make(Expr::Kind::Literal);
        index->value = i64{std::strtoll(out->text.c_str(), nullptr, 10)};
        out->kind = Expr::Kind::Index;
        TL_TRY_DO(add(*out, std::move(index)));
      }
      value = std::move(out);
    } else if (is("[")) {
      TL_TRY(value, subscript(std::move(value)));
    } else if (is("(")) {
      TL_TRY(value, call(std::move(value)));
    } else {
      return value;
    }
  }
}

Result<ExprPtr> Parser::call(ExprPtr callee) {
  ExprPtr out = make(Expr::Kind::Call);
  TL_TRY_DO(add(*out, std::move(callee)));
  TL_TRY_DO(arguments(*out));
  return out;
}

Result<ExprPtr> Parser::subscript(ExprPtr value) {
  TL_TRY_DO(expect("["));
  ExprPtr out = make(Expr::Kind::Index);
  TL_TRY_DO(add(*out, std::move(value)));
  ExprPtr bounds[3];
  int colons = 0;
  while (!is("]")) {
    if (is(":")) {
      ++at_;
      if (++colons > 2) return unexpected("']'");
      continue;
    }
    if (bounds[colons] != nullptr) return unexpected("']'");
    TL_TRY(bounds[colons], expression());
  }
  TL_TRY_DO(expect("]"));
  if (colons == 0 && bounds[0] == nullptr) return error("'[]' holds no index");
  if (colons > 0) out->kind = Expr::Kind::Slice;
  for (int i = 0; i < (colons > 0 ? 3 : 1); ++i) TL_TRY_DO(add(*out, std::move(bounds[i])));
  return out;
}

Result<ExprPtr> Parser::filters(ExprPtr value) {
  while (true) {
    if (take("|")) {
      TL_TRY(value, one_filter(std::move(value)));
    } else if (take("is")) {
      TL_TRY(value, test(std::move(value)));
    } else if (is("(")) {
      TL_TRY(value, call(std::move(value)));
    } else {
      return value;
    }
  }
}

Result<ExprPtr> Parser::one_filter(ExprPtr value) {
  ExprPtr out = make(Expr::Kind::Filter);
  TL_TRY(out->text, name());
  TL_TRY_DO(add(*out, std::move(value)));
  if (is("(")) TL_TRY_DO(arguments(*out));
  return out;
}

Result<ExprPtr> Parser::test(ExprPtr value) {
  ExprPtr negation = take("not") ? make(Expr::Kind::Not) : nullptr;
  ExprPtr out = make(Expr::Kind::Test);
  TL_TRY(out->text, name());
  TL_TRY_DO(add(*out, std::move(value)));
  const Kind next = peek().kind;
  const bool word = next == Kind::Name && !is("else") && !is("or") && !is("and") && !is("is") && !is("if") &&
                    !is("in") && !is("not");
  if (is("(")) {
    TL_TRY_DO(arguments(*out));
  } else if (word || next == Kind::String || next == Kind::Integer || next == Kind::Float || is("[") ||
             is("{")) {
    TL_TRY(ExprPtr argument, primary());
    TL_TRY(argument, postfix(std::move(argument)));
    TL_TRY_DO(add(*out, std::move(argument)));
  }
  if (negation == nullptr) return out;
  TL_TRY_DO(add(*negation, std::move(out)));
  return negation;
}

Result<void> Parser::arguments(Expr& call) {
  TL_TRY_DO(expect("("));
  for (bool is_first = true;; is_first = false) {
    TL_TRY(const bool more, item_follows(")", is_first));
    if (!more) break;
    if (is("*") || is("**")) return error("arguments with '*' are not supported");
    if (peek().kind == Kind::Name && is("=", 1)) {
      TL_TRY(std::string key, name());
      TL_TRY_DO(expect("="));
      TL_TRY(ExprPtr value, expression());
      call.depth = std::max(call.depth, value->depth + 1);
      call.named.emplace_back(std::move(key), std::move(value));
      continue;
    }
    if (!call.named.empty()) return error("an argument without a name follows one with a name");
    TL_TRY(ExprPtr value, expression());
    TL_TRY_DO(add(call, std::move(value)));
  }
  if (call.depth > kMaxNesting) return too_deep();
  return {};
}

}  // namespace tl::jinja
