#include <algorithm>

#include "tl/text/chat_template/evaluator.h"
#include "tl/text/chat_template/text.h"

namespace tl::jinja {

namespace {

bool is_string(const Value& v) {
  return v.as_string() != nullptr;
}
bool is_integer(const Value& v) {
  return v.as_int() != nullptr;
}
bool is_boolean(const Value& v) {
  return v.as_bool() != nullptr;
}
bool is_iterable(const Value& v) {
  return is_string(v) || v.as_list() != nullptr || v.as_dict() != nullptr || v.is_undefined();
}

struct Kind {
  std::string_view name;
  bool (*holds)(const Value&);
};
constexpr Kind kKinds[] = {
    {"defined", [](const Value& v) { return !v.is_undefined(); }},
    {"undefined", [](const Value& v) { return v.is_undefined(); }},
    {"none", [](const Value& v) { return v.is_none(); }},
    {"string", is_string},
    {"mapping", [](const Value& v) { return v.as_dict() != nullptr; }},
    {"number", is_number},
    {"integer", is_integer},
    {"float", [](const Value& v) { return v.as_float() != nullptr; }},
    {"boolean", is_boolean},
    {"true", [](const Value& v) { return is_boolean(v) && *v.as_bool(); }},
    {"false", [](const Value& v) { return is_boolean(v) && !*v.as_bool(); }},
    {"iterable", is_iterable},
    {"sequence", is_iterable},  // whatever has a length and elements, as Jinja sees it
    {"callable", [](const Value& v) { return dynamic_cast<const Callable*>(v.as_object()) != nullptr; }},
    {"upper", [](const Value& v) { return all_are(to_text(v), CharClass::Upper); }},
    {"lower", [](const Value& v) { return all_are(to_text(v), CharClass::Lower); }},
};

// The tests that compare with an argument, by all their names.
struct Comparison {
  std::string_view name, word;
};
constexpr Comparison kComparisons[] = {
    {"eq", "=="}, {"equalto", "=="}, {"==", "=="}, {"ne", "!="},         {"!=", "!="},         {"lt", "<"},
    {"<", "<"},   {"lessthan", "<"}, {"le", "<="}, {"<=", "<="},         {"gt", ">"},          {">", ">"},
    {"ge", ">="}, {">=", ">="},      {"in", "in"}, {"sameas", "sameas"}, {"greaterthan", ">"},
};

Result<bool> holds(std::string_view word, const Value& a, const Value& b) {
  if (word == "==" || word == "!=") return equal(a, b) == (word == "==");
  if (word == "in") return contains(b, a);
  if (word == "sameas") return a.type_name() == b.type_name() && equal(a, b);
  TL_TRY(const int order, compare(a, b));
  return word == "<" ? order < 0 : word == "<=" ? order <= 0 : word == ">" ? order > 0 : order >= 0;
}

}  // namespace

Result<bool> apply_test(Evaluator& evaluator, std::string_view name, const Value& value, const Args& args) {
  TL_TRY_DO(evaluator.charge(1));
  for (const Kind& kind : kKinds) {
    if (kind.name != name) continue;
    if (name == "upper" || name == "lower") TL_TRY_DO(evaluator.charge(value.weight()));
    return kind.holds(value);
  }
  const bool divides = name == "divisibleby";
  if (name == "even" || name == "odd" || divides) {
    i64 number = 0, by = 2;
    if (!to_i64(value, number) || (divides && (args.positional.empty() || !to_i64(args.positional[0], by)))) {
      return fail(Code::BadProgram, "test '{}' takes integers, not {}", name, value.type_name());
    }
    if (by == 0) return fail(Code::BadProgram, "division by zero");
    const bool divisible = by == -1 || number % by == 0;
    return divisible == (name != "odd");
  }
  for (const Comparison& row : kComparisons) {
    if (row.name != name) continue;
    if (args.positional.size() != 1) return fail(Code::BadProgram, "test '{}' takes one argument", name);
    TL_TRY_DO(evaluator.charge(u64{value.weight()} + args.positional[0].weight()));
    return holds(row.word, value, args.positional[0]);
  }
  return fail(Code::Unsupported, "test '{}' is not supported", name);
}

}  // namespace tl::jinja
