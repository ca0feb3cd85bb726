#include "tl/builtins/signature.h"

namespace tl::lang {

int Signature::find(std::string_view name) const {
  for (size_t i = 0; i < params.size(); ++i) {
    if (params[i].name == name) return static_cast<int>(i);
  }
  return -1;
}

static Value value_of(Literal literal) {
  struct Visitor {
    Value operator()(std::monostate) const { return {}; }
    Value operator()(std::string&& text) const { return make_string(std::move(text)); }
    Value operator()(std::vector<i64>&& ints) const { return make_ints(ints); }
    Value operator()(bool v) const { return v; }
    Value operator()(i64 v) const { return v; }
    Value operator()(f64 v) const { return v; }
    Value operator()(DType v) const { return v; }
  };
  return std::visit(Visitor(), std::move(literal));
}

Result<Signature> parse_signature(std::string_view text) {
  TL_TRY(SignatureText parsed, read_signature(text));
  Signature out{.params = {}, .result = std::move(parsed.result)};
  for (ParameterText& p : parsed.params) {
    out.params.push_back({.name = std::move(p.name),
                          .kind = p.kind,
                          .is_variadic = p.is_variadic,
                          .is_optional = p.is_optional,
                          .default_value = value_of(std::move(p.default_value))});
  }
  return out;
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
