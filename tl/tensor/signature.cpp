#include "tl/tensor/signature.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <optional>

namespace tl {

std::string_view name_of(ParamKind kind) {
  switch (kind) {
    case ParamKind::Any:
      return "any";
    case ParamKind::Tensor:
      return "tensor";
    case ParamKind::Int:
      return "int";
    case ParamKind::Float:
      return "float";
    case ParamKind::Number:
      return "number";
    case ParamKind::Bool:
      return "bool";
    case ParamKind::DType:
      return "dtype";
    case ParamKind::Ints:
      return "ints";
    case ParamKind::String:
      return "string";
    case ParamKind::List:
      return "list";
  }
  return "?";
}

namespace {

class SignatureParser {
 public:
  SignatureParser(std::string_view what, std::string_view text) : what_(what), text_(text) {}

  Result<SignatureText> parse() {
    SignatureText out;
    if (!accept("(")) return bad("'('");
    while (!accept(")")) {
      if (!out.params.empty() && !accept(",")) return bad("',' or ')'");
      TL_TRY(ParameterText p, parameter());
      if (!out.params.empty() && out.params.back().is_variadic)
        return bad("')' after a parameter that takes the rest");
      out.params.push_back(std::move(p));
    }
    out.result = "unit";
    if (accept("->")) {
      skip_spaces();
      out.result = text_.substr(at_);
    }
    return out;
  }
  Result<Literal> whole_literal(ParamKind kind) {
    TL_TRY(Literal value, literal(kind));
    skip_spaces();
    if (at_ < text_.size()) return bad("the end");
    return value;
  }

 private:
  Result<ParameterText> parameter() {
    ParameterText p;
    p.name = word();
    if (p.name.empty() || !accept(":")) return bad("'name: type'");
    const std::string_view type = word();
    bool known = false;
    for (int k = 0; k <= static_cast<int>(ParamKind::List); ++k) {
      if (name_of(static_cast<ParamKind>(k)) == type) p.kind = static_cast<ParamKind>(k), known = true;
    }
    if (!known) return bad("a parameter type");
    skip_bracketed('<', '>');
    skip_bracketed('[', ']');
    p.is_variadic = accept("...");
    if (accept("=")) {
      p.is_optional = true;
      TL_TRY(p.default_value, literal(p.kind));
    }
    return p;
  }
  Result<Literal> literal(ParamKind kind) {
    skip_spaces();
    if (accept("[")) {
      TL_TRY(std::vector<i64> items, ints());
      return Literal(std::move(items));
    }
    if (!accept("\"")) return bare(kind);
    const size_t close = text_.find('"', at_);
    if (close == std::string_view::npos) return bad("'\"'");
    std::string text(text_.substr(at_, close - at_));
    at_ = close + 1;
    return Literal(std::move(text));
  }
  Result<std::vector<i64>> ints() {
    std::vector<i64> items;
    while (!accept("]")) {
      if (!items.empty() && !accept(",")) return bad("',' or ']'");
      TL_TRY(const Literal item, bare(ParamKind::Int));
      if (!std::holds_alternative<i64>(item)) return bad("an int");
      items.push_back(std::get<i64>(item));
    }
    return items;
  }
  Result<Literal> bare(ParamKind kind) {
    skip_spaces();
    const size_t end = std::min(text_.find_first_of(",)] ", at_), text_.size());
    const std::string_view text = text_.substr(at_, end - at_);
    at_ = end;
    const std::optional<Literal> found = named_or_number(text, kind);
    return found ? Result<Literal>(*found) : bad("a default value");
  }
  static std::optional<Literal> named_or_number(std::string_view text, ParamKind kind) {
    if (text.empty()) return std::nullopt;
    if (text == "none") return Literal();
    if (text == "true" || text == "false") return Literal(text == "true");
    if (text == "inf" || text == "-inf") return Literal(text == "inf" ? HUGE_VAL : -HUGE_VAL);
    if (const auto dtype = find_dtype(text); dtype && kind == ParamKind::DType) return Literal(*dtype);
    const char* const end = text.data() + text.size();
    if (i64 i = 0; std::from_chars(text.data(), end, i) == std::from_chars_result{end, std::errc()}) {
      return kind == ParamKind::Float ? Literal(static_cast<f64>(i)) : Literal(i);
    }
    if (f64 f = 0; std::from_chars(text.data(), end, f) == std::from_chars_result{end, std::errc()})
      return Literal(f);
    return std::nullopt;
  }

  void skip_spaces() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool accept(std::string_view token) {
    skip_spaces();
    if (text_.substr(at_, token.size()) != token) return false;
    at_ += token.size();
    return true;
  }
  std::string_view word() {
    skip_spaces();
    const size_t begin = at_;
    while (at_ < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '_'))
      ++at_;
    return text_.substr(begin, at_ - begin);
  }
  void skip_bracketed(char open, char close) {
    if (at_ < text_.size() && text_[at_] == open) {
      while (at_ < text_.size() && text_[at_] != close) ++at_;
      ++at_;
    }
  }
  Error bad(std::string_view wanted) const {
    return fail(Code::BadProgram, "{} '{}': expected {} at column {}", what_, text_, wanted, at_ + 1);
  }

  std::string_view what_, text_;
  size_t at_ = 0;
};

}  // namespace

Result<SignatureText> read_signature(std::string_view text) {
  return SignatureParser("signature", text).parse();
}

Result<Literal> read_literal(std::string_view text, ParamKind kind) {
  return SignatureParser("value", text).whole_literal(kind);
}

}  // namespace tl
