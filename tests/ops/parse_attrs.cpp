#include <cctype>
#include <map>

#include "tests/ops/op_cases.h"
#include "tl/tensor/signature.h"

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

// Puts `value` behind `attrs`, if it is one of `kind`.
bool append(Attrs& attrs, ParamKind kind, Literal value) {
  const auto* const whole = std::get_if<tl::i64>(&value);
  if (kind == ParamKind::Int && whole != nullptr) return attrs.with_int(*whole), true;
  const auto* const real = std::get_if<tl::f64>(&value);
  if (kind == ParamKind::Float && real != nullptr) return attrs.with_float(*real), true;
  const auto* const truth = std::get_if<bool>(&value);
  if (kind == ParamKind::Bool && truth != nullptr) return attrs.with_bool(*truth), true;
  const auto* const dtype = std::get_if<DType>(&value);
  if (kind == ParamKind::DType && dtype != nullptr) return attrs.with_dtype(*dtype), true;
  auto* const ints = std::get_if<std::vector<tl::i64>>(&value);
  if (kind == ParamKind::Ints && ints != nullptr) return attrs.with_ints(std::move(*ints)), true;
  auto* const text = std::get_if<std::string>(&value);
  if (kind == ParamKind::String && text != nullptr) return attrs.with_text(std::move(*text)), true;
  return false;
}

// As a signature's default, but that a text needs no quotes.
Result<Literal> read_given(const std::string& text, ParamKind kind) {
  if (kind == ParamKind::String && !text.starts_with('"')) return Literal(text);
  return read_literal(text, kind);
}

}  // namespace

Result<Attrs> parse_attrs(const OpDef& op, const std::string& text) {
  std::map<std::string, std::string> given;
  for (const std::string& part : split(text)) {
    const size_t colon = part.find(':');
    if (colon == std::string::npos) return fail(Code::BadProgram, "'{}' is not 'name: value'", part);
    given[trim(part.substr(0, colon))] = trim(part.substr(colon + 1));
  }
  TL_TRY(SignatureText signature, read_signature(op.signature));
  if (op.is_random) {
    signature.params.push_back({.name = "seed", .kind = ParamKind::Int, .default_value = i64{42}});
    signature.params.push_back({.name = "position", .kind = ParamKind::Int, .default_value = i64{7}});
  }
  Attrs attrs;
  for (const ParameterText& p : signature.params) {
    if (p.kind == ParamKind::Tensor) continue;
    Literal value = p.default_value;
    if (const auto it = given.find(p.name); it != given.end()) {
      TL_TRY(value, read_given(it->second, p.kind));
      given.erase(it);
    }
    if (!append(attrs, p.kind, std::move(value)))
      return fail(Code::BadProgram, "no {} for '{}'", name_of(p.kind), p.name);
  }
  if (!given.empty()) return fail(Code::BadProgram, "no parameter '{}'", given.begin()->first);
  return attrs;
}

}  // namespace tl::cases
