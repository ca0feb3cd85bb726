#include "tl/builtins/signature.h"

#include <charconv>

namespace tl::lang {

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

int Signature::find(std::string_view name) const {
  for (size_t i = 0; i < params.size(); ++i) {
    if (params[i].name == name) return static_cast<int>(i);
  }
  return -1;
}

namespace {

class SignatureParser {
 public:
  explicit SignatureParser(std::string_view text) : text_(text) {}

  Result<Signature> parse() {
    Signature out;
    if (!accept("(")) return bad("'('");
    while (!accept(")")) {
      if (!out.params.empty() && !accept(",")) return bad("',' or ')'");
      TL_TRY(Parameter p, parameter());
      if (out.is_variadic()) return bad("')' after a parameter that takes the rest");
      out.params.push_back(std::move(p));
    }
    out.result = "unit";
    if (accept("->")) {
      skip_spaces();
      out.result = text_.substr(at_);
    }
    return out;
  }

 private:
  Result<Parameter> parameter() {
    Parameter p;
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
  Result<Value> literal(ParamKind kind) {
    skip_spaces();
    if (accept("[")) {
      std::vector<Value> items;
      while (!accept("]")) {
        if (!items.empty() && !accept(",")) return bad("',' or ']'");
        TL_TRY(Value item, literal(ParamKind::Int));
        items.push_back(std::move(item));
      }
      return make_list(std::move(items));
    }
    if (accept("\"")) {
      const size_t close = text_.find('"', at_);
      if (close == std::string_view::npos) return bad("'\"'");
      const std::string_view text = text_.substr(at_, close - at_);
      at_ = close + 1;
      return make_string(std::string(text));
    }
    const size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != ',' && text_[at_] != ')' && text_[at_] != ']' &&
           text_[at_] != ' ')
      ++at_;
    return named_or_number(text_.substr(begin, at_ - begin), kind);
  }
  Result<Value> named_or_number(std::string_view text, ParamKind kind) {
    if (text == "none") return Value();
    if (text == "true" || text == "false") return Value(text == "true");
    if (text == "inf" || text == "-inf") return Value(text == "inf" ? HUGE_VAL : -HUGE_VAL);
    if (const auto dtype = find_dtype(text); dtype && kind == ParamKind::DType) return Value(*dtype);
    const char* const end = text.data() + text.size();
    if (i64 i = 0; std::from_chars(text.data(), end, i).ptr == end && !text.empty()) {
      return kind == ParamKind::Float ? Value(static_cast<f64>(i)) : Value(i);
    }
    if (f64 f = 0; std::from_chars(text.data(), end, f).ptr == end && !text.empty()) return Value(f);
    return bad("a default value");
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
    return fail(Code::BadProgram, "signature '{}': expected {} at column {}", text_, wanted, at_ + 1);
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

Result<Signature> parse_signature(std::string_view text) {
  return SignatureParser(text).parse();
}

static std::string count_of_arguments(size_t count) {
  return fmt::format("{} argument{}", count, count == 1 ? "" : "s");
}

Result<std::vector<int>> arrange_arguments(const Signature& signature,
                                           std::span<const std::string_view> names) {
  const size_t fixed = signature.params.size() - (signature.is_variadic() ? 1 : 0);
  std::vector<int> order(fixed, -1);
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i].empty()) {
      if (i < fixed) {
        order[i] = static_cast<int>(i);
      } else if (signature.is_variadic()) {
        order.push_back(static_cast<int>(i));
      } else {
        return fail(Code::BadProgram, "takes at most {}, got {}", count_of_arguments(fixed), names.size());
      }
      continue;
    }
    const int at = signature.find(names[i]);
    if (at < 0 || static_cast<size_t>(at) >= fixed)
      return fail(Code::BadProgram, "has no parameter '{}'", names[i]);
    if (order[static_cast<size_t>(at)] >= 0)
      return fail(Code::BadProgram, "argument '{}' is given twice", names[i]);
    order[static_cast<size_t>(at)] = static_cast<int>(i);
  }
  for (size_t i = 0; i < fixed; ++i) {
    if (order[i] < 0 && !signature.params[i].is_optional) {
      return fail(Code::BadProgram, "argument '{}' is missing", signature.params[i].name);
    }
  }
  return order;
}

}  // namespace tl::lang
