#include <cctype>
#include <charconv>
#include <map>

#include "tests/ops/op_cases.h"

namespace tl::cases {
namespace {

std::string trim(std::string_view s) {
  while (!s.empty() && std::isspace(static_cast<unsigned char>(s.front()))) s.remove_prefix(1);
  while (!s.empty() && std::isspace(static_cast<unsigned char>(s.back()))) s.remove_suffix(1);
  return std::string(s);
}

// Splits at commas that are in no brackets and no quotes.
std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  std::string part;
  int depth = 0;
  bool quoted = false;
  for (const char c : text) {
    if (c == '"') quoted = !quoted;
    if (c == '[' || c == '(') ++depth;
    if (c == ']' || c == ')') --depth;
    if (c == ',' && depth == 0 && !quoted) {
      parts.push_back(trim(part));
      part.clear();
    } else {
      part += c;
    }
  }
  if (!trim(part).empty()) parts.push_back(trim(part));
  return parts;
}

Result<i64> parse_int(const std::string& s) {
  i64 v = 0;
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), v);
  if (error != std::errc() || end != s.data() + s.size()) {
    return fail(Code::BadProgram, "'{}' is no whole number", s);
  }
  return v;
}

Result<void> append(Attrs& attrs, const std::string& type, const std::string& value) {
  if (type == "int") {
    TL_TRY(const i64 v, parse_int(value));
    attrs.with_int(v);
  } else if (type == "float") {
    attrs.with_float(std::strtod(value.c_str(), nullptr));
  } else if (type == "bool") {
    attrs.with_bool(value == "true");
  } else if (type == "dtype") {
    const std::optional<DType> dtype = find_dtype(value);
    if (!dtype) return fail(Code::BadProgram, "no dtype '{}'", value);
    attrs.with_dtype(*dtype);
  } else if (type == "ints") {
    std::vector<i64> list;
    for (const std::string& item : split(std::string_view(value).substr(1, value.size() - 2))) {
      TL_TRY(const i64 v, parse_int(item));
      list.push_back(v);
    }
    attrs.with_ints(std::move(list));
  } else if (type == "string") {
    const bool quoted = value.size() >= 2 && value.front() == '"';
    attrs.with_text(quoted ? value.substr(1, value.size() - 2) : value);
  } else {
    return fail(Code::BadProgram, "unknown parameter type '{}'", type);
  }
  return {};
}

}  // namespace

Result<Attrs> parse_attrs(const OpDef& op, const std::string& text) {
  std::map<std::string, std::string> given;
  for (const std::string& part : split(text)) {
    const size_t colon = part.find(':');
    if (colon == std::string::npos) return fail(Code::BadProgram, "'{}' is not 'name: value'", part);
    given[trim(part.substr(0, colon))] = trim(part.substr(colon + 1));
  }
  const std::string_view signature = op.signature;
  const size_t open = signature.find('('), close = signature.rfind(") ->");
  if (open != 0 || close == std::string_view::npos)
    return fail(Code::BadProgram, "bad signature '{}'", signature);
  Attrs attrs;
  for (const std::string& parameter : split(signature.substr(1, close - 1))) {
    const size_t colon = parameter.find(':');
    if (colon == std::string::npos) return fail(Code::BadProgram, "parameter '{}' has no type", parameter);
    const std::string name = trim(parameter.substr(0, colon));
    const size_t equals = parameter.find('=', colon);
    const std::string type =
        trim(parameter.substr(colon + 1, equals == std::string::npos ? equals : equals - colon - 1));
    if (type.starts_with("tensor")) continue;
    std::string value = equals == std::string::npos ? "" : trim(parameter.substr(equals + 1));
    if (const auto it = given.find(name); it != given.end()) {
      value = it->second;
      given.erase(it);
    }
    if (value.empty()) return fail(Code::BadProgram, "no value for '{}'", name);
    TL_TRY_DO(append(attrs, type, value));
  }
  if (op.is_random) {
    for (const auto& [name, otherwise] : {std::pair{"seed", "42"}, {"position", "7"}}) {
      const auto it = given.find(name);
      TL_TRY_DO(append(attrs, "int", it == given.end() ? otherwise : it->second));
      if (it != given.end()) given.erase(it);
    }
  }
  if (!given.empty()) return fail(Code::BadProgram, "no parameter '{}'", given.begin()->first);
  return attrs;
}

}  // namespace tl::cases
