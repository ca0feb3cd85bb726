// The filters of Jinja that chat templates use; tests.cpp has the tests.
#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <functional>

#include "tl/text/chat_template/evaluator.h"
#include "tl/text/chat_template/text.h"

namespace tl::jinja {

namespace {

struct Call {
  Evaluator& evaluator;
  std::string_view name;
  const Value& value;
  const Args& args;

  Error wrong(std::string_view wanted) const {
    return fail(Code::BadProgram, "filter '{}' takes {}, not {}", name, wanted, value.type_name());
  }
  bool flag(size_t at, std::string_view key, bool otherwise) const {
    const Value* given = args.find(at, key);
    return given == nullptr ? otherwise : given->truthy();
  }
  Result<i64> integer(size_t at, std::string_view key, i64 otherwise) const {
    const Value* given = args.find(at, key);
    i64 out = otherwise;
    if (given != nullptr && !given->is_none() && !to_i64(*given, out)) {
      return fail(Code::BadProgram, "'{}' of filter '{}' is {} (want an integer)", key, name,
                  given->type_name());
    }
    return out;
  }
  std::string text(size_t at, std::string_view key, std::string otherwise = {}) const {
    const Value* given = args.find(at, key);
    return given == nullptr || given->is_none() ? otherwise : to_text(*given);
  }
  Result<std::string> input() const {
    TL_TRY_DO(evaluator.charge(value.weight()));
    return to_text(value);
  }
  Result<List> items() const { return evaluator.elements(value); }
};

// a.b.0, as selectattr and map name parts of an element.
Result<Value> part(Evaluator& evaluator, const Value& value, std::string_view path) {
  Value at = value;
  for (const std::string& name : split(path, ".", -1, false)) {
    const bool number = !name.empty() && name.size() < 10 && all_are(name, CharClass::Digit);
    if (at.is_undefined()) return at;
    TL_TRY(at, index(evaluator, at, number ? Value(static_cast<i64>(std::atoi(name.c_str()))) : Value(name)));
  }
  return at;
}

Result<Value> f_trim(const Call& c) {
  TL_TRY(const std::string text, c.input());
  return c.evaluator.make(strip(text, c.text(0, "chars"), Ends::Both));
}

Result<Value> f_case(const Call& c) {
  TL_TRY(const std::string text, c.input());
  return c.evaluator.make(c.name == "upper"   ? upper(text)
                          : c.name == "lower" ? lower(text)
                          : c.name == "title" ? title(text)
                                              : capitalize(text));
}

Result<Value> f_length(const Call& c) {
  if (c.value.is_generator()) return c.wrong("something with a length");
  if (const List* list = c.value.as_list()) return Value(static_cast<i64>(list->size()));
  if (const Dict* dict = c.value.as_dict()) return Value(static_cast<i64>(dict->size()));
  if (c.value.is_undefined()) return Value(0);
  if (c.value.as_string() == nullptr) return c.wrong("something with a length");
  TL_TRY_DO(c.evaluator.charge(c.value.weight()));
  return Value(static_cast<i64>(length(*c.value.as_string())));
}

Result<Value> f_join(const Call& c) {
  TL_TRY(const List items, c.items());
  const std::string separator = c.text(0, "d"), attribute = c.text(1, "attribute");
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    Value item = items[i];
    if (!attribute.empty()) {
      TL_TRY(item, part(c.evaluator, item, attribute));
    }
    TL_TRY_DO(c.evaluator.charge(u64{item.weight()} + separator.size() / 16));
    out += (i == 0 ? "" : separator) + to_text(item);
  }
  return c.evaluator.make(std::move(out));
}

Result<Value> f_tojson(const Call& c) {
  JsonStyle style;
  TL_TRY(style.indent, c.integer(0, "indent", -1));
  if (style.indent > 16)
    return fail(Code::BadProgram, "the indent of 'tojson' is {} (at most 16)", style.indent);
  style.sort_keys = c.flag(3, "sort_keys", false);
  style.ascii = c.flag(1, "ensure_ascii", false);
  if (const Value* separators = c.args.find(2, "separators");
      separators != nullptr && separators->as_list() != nullptr) {
    const List& pair = *separators->as_list();
    if (pair.size() != 2) return fail(Code::BadProgram, "the separators of 'tojson' are not two");
    style.item_separator = to_text(pair[0]);
    style.key_separator = to_text(pair[1]);
  }
  TL_TRY_DO(c.evaluator.charge(u64{c.value.weight()} * (style.indent > 0 ? 4 : 1)));
  TL_TRY(std::string text, to_json(c.value, style));
  return c.evaluator.make(std::move(text));
}

Result<Value> f_default(const Call& c) {
  const Value* otherwise = c.args.find(0, "default_value");
  const bool missing = c.value.is_undefined() || (c.flag(1, "boolean", false) && !c.value.truthy());
  if (!missing) return c.value;
  return otherwise == nullptr ? Value("") : *otherwise;
}

Result<Value> f_ends(const Call& c) {
  TL_TRY(const List items, c.items());
  if (items.empty()) return Value();
  return c.name == "first" ? items.front() : items.back();
}

Result<Value> f_replace(const Call& c) {
  TL_TRY(const std::string text, c.input());
  TL_TRY(const i64 most, c.integer(2, "count", -1));
  const std::string to = c.text(1, "new");
  TL_TRY_DO(c.evaluator.charge(text.size() / 8 * (1 + to.size() / 8)));
  return c.evaluator.make(replace(text, c.text(0, "old"), to, most));
}

Result<Value> f_list(const Call& c) {
  TL_TRY(List items, c.items());
  return c.evaluator.make(std::move(items));
}

Result<Value> f_items(const Call& c) {
  if (c.value.is_undefined()) return Value(List());
  if (c.value.as_dict() == nullptr) return c.wrong("a dictionary");
  return call_method(c.evaluator, c.value, "items", {});
}

// Sorts by what `key` gives, ignoring case unless asked not to.
Result<Value> sorted(const Call& c, List items, bool reverse, bool case_sensitive,
                     const std::function<Result<Value>(const Value&)>& key) {
  std::vector<std::pair<Value, Value>> keyed;
  for (Value& item : items) {
    TL_TRY(Value by, key(item));
    if (by.as_string() != nullptr && !case_sensitive) {
      TL_TRY(by, c.evaluator.make(lower(*by.as_string())));
    }
    keyed.emplace_back(std::move(by), std::move(item));
  }
  for (size_t i = 1; i < keyed.size(); ++i) {  // so that the comparison below cannot fail
    TL_TRY_DO(compare(keyed[0].first, keyed[i].first).ok() ? Result<void>()
                                                           : Result<void>(c.wrong("values with an order")));
    TL_TRY_DO(c.evaluator.charge(16 + u64{keyed[i].first.weight()}));
  }
  std::stable_sort(keyed.begin(), keyed.end(), [&](const auto& a, const auto& b) {
    const auto order = compare(reverse ? b.first : a.first, reverse ? a.first : b.first);
    return order.ok() && order.value() < 0;
  });
  List out;
  for (auto& [by, item] : keyed) out.push_back(std::move(item));
  return c.evaluator.make(std::move(out));
}

Result<Value> f_dictsort(const Call& c) {
  if (c.value.as_dict() == nullptr) return c.wrong("a dictionary");
  TL_TRY(const Value items, call_method(c.evaluator, c.value, "items", {}));
  const size_t by = c.text(1, "by", "key") == "value" ? 1 : 0;
  return sorted(c, *items.as_list(), c.flag(2, "reverse", false), c.flag(0, "case_sensitive", false),
                [&](const Value& item) -> Result<Value> { return (*item.as_list())[by]; });
}

Result<Value> f_sort(const Call& c) {
  TL_TRY(List items, c.items());
  const std::string attribute = c.text(2, "attribute");
  return sorted(c, std::move(items), c.flag(0, "reverse", false), c.flag(1, "case_sensitive", false),
                [&](const Value& item) -> Result<Value> {
                  if (attribute.empty()) return item;
                  return part(c.evaluator, item, attribute);
                });
}

Result<Value> f_reverse(const Call& c) {
  TL_TRY(List items, c.items());
  std::reverse(items.begin(), items.end());
  if (c.value.as_string() == nullptr) return c.evaluator.make(std::move(items));
  std::string out;
  for (const Value& item : items) out += *item.as_string();
  return c.evaluator.make(std::move(out));
}

// select, reject, selectattr, rejectattr: by truth, or by a test and its arguments.
Result<Value> f_select(const Call& c) {
  const bool nothing = !c.value.truthy();  // none and 0 too
  TL_TRY(const List items, nothing ? Result<List>(List()) : c.items());
  const bool by_attribute = c.name.ends_with("attr"), wanted = c.name.starts_with("select");
  if (by_attribute && c.args.positional.empty())
    return fail(Code::BadProgram, "filter '{}' names no attribute", c.name);
  const std::string attribute = by_attribute ? to_text(c.args.positional[0]) : "";
  const size_t test_at = by_attribute ? 1 : 0;
  Args rest;
  for (size_t i = test_at + 1; i < c.args.positional.size(); ++i)
    rest.positional.push_back(c.args.positional[i]);
  List out;
  for (const Value& item : items) {
    Value subject = item;
    if (by_attribute) {
      TL_TRY(subject, part(c.evaluator, item, attribute));
    }
    bool holds = subject.truthy();
    if (c.args.positional.size() > test_at) {
      TL_TRY(holds, apply_test(c.evaluator, to_text(c.args.positional[test_at]), subject, rest));
    }
    if (holds == wanted) out.push_back(item);
  }
  TL_TRY_DO(c.evaluator.charge(out.size()));
  return Value::generator(std::move(out));
}

Result<Value> f_map(const Call& c) {
  const bool nothing = !c.value.truthy();  // none and 0 too
  TL_TRY(const List items, nothing ? Result<List>(List()) : c.items());
  const Value* attribute = c.args.find(1000, "attribute");
  const Value* otherwise = c.args.find(1000, "default");
  if (attribute == nullptr && c.args.positional.empty())
    return fail(Code::BadProgram, "filter 'map' names nothing");
  Args rest;
  for (size_t i = 1; i < c.args.positional.size(); ++i) rest.positional.push_back(c.args.positional[i]);
  if (attribute == nullptr) rest.named = c.args.named;
  List out;
  for (const Value& item : items) {
    Value mapped;
    if (attribute != nullptr) {
      TL_TRY(mapped, part(c.evaluator, item, to_text(*attribute)));
      if (mapped.is_undefined() && otherwise != nullptr) mapped = *otherwise;
    } else {
      TL_TRY(mapped, apply_filter(c.evaluator, to_text(c.args.positional[0]), item, rest));
    }
    out.push_back(std::move(mapped));
  }
  TL_TRY_DO(c.evaluator.charge(out.size()));
  return Value::generator(std::move(out));
}

Result<Value> f_unique(const Call& c) {
  TL_TRY(const List items, c.items());
  const bool case_sensitive = c.flag(0, "case_sensitive", false);
  const std::string attribute = c.text(1, "attribute");
  List out, seen;
  for (const Value& item : items) {
    Value key = item;
    if (!attribute.empty()) {
      TL_TRY(key, part(c.evaluator, item, attribute));
    }
    if (key.as_string() != nullptr && !case_sensitive) key = Value(lower(*key.as_string()));
    TL_TRY_DO(c.evaluator.charge(seen.size() * u64{key.weight()}));
    if (std::any_of(seen.begin(), seen.end(), [&](const Value& v) { return equal(v, key); })) continue;
    seen.push_back(std::move(key));
    out.push_back(item);
  }
  return c.evaluator.make(std::move(out));
}

Result<Value> f_extreme(const Call& c) {
  TL_TRY(const List items, c.items());
  if (items.empty()) return Value();
  Value best = items[0];
  for (const Value& item : items) {
    TL_TRY(const int order, compare(item, best));
    if (c.name == "min" ? order < 0 : order > 0) best = item;
  }
  return best;
}

Result<Value> f_sum(const Call& c) {
  TL_TRY(const List items, c.items());
  const std::string attribute = c.text(0, "attribute");
  const Value* start = c.args.find(1, "start");
  Value total = start == nullptr ? Value(0) : *start;
  for (const Value& item : items) {
    Value term = item;
    if (!attribute.empty()) {
      TL_TRY(term, part(c.evaluator, item, attribute));
    }
    TL_TRY(total, binary(c.evaluator, "+", total, term));
  }
  return total;
}

Result<Value> f_int(const Call& c) {
  i64 out = 0;
  if (to_i64(c.value, out)) return Value(out);
  const Value* otherwise = c.args.find(0, "default");
  const Value fallback = otherwise == nullptr ? Value(0) : *otherwise;
  f64 number = 0;
  if (const f64* f = c.value.as_float()) {
    number = *f;
  } else if (const std::string* text = c.value.as_string()) {
    const std::string trimmed = strip(*text, "", Ends::Both);
    char* end = nullptr;
    errno = 0;
    out = std::strtoll(trimmed.c_str(), &end, 10);
    if (!trimmed.empty() && *end == '\0' && errno == 0) return Value(out);
    number = std::strtod(trimmed.c_str(), &end);
    if (trimmed.empty() || *end != '\0') return fallback;
  } else {
    return fallback;
  }
  if (!(std::fabs(number) < 9e18)) return fallback;
  return Value(static_cast<i64>(number));
}

Result<Value> f_float(const Call& c) {
  if (is_number(c.value)) return Value(to_f64(c.value));
  const Value* otherwise = c.args.find(0, "default");
  const Value fallback = otherwise == nullptr ? Value(0.0) : *otherwise;
  if (c.value.as_string() == nullptr) return fallback;
  const std::string trimmed = strip(*c.value.as_string(), "", Ends::Both);
  char* end = nullptr;
  const f64 number = std::strtod(trimmed.c_str(), &end);
  return trimmed.empty() || *end != '\0' ? fallback : Value(number);
}

Result<Value> f_abs(const Call& c) {
  if (const f64* f = c.value.as_float()) return Value(std::fabs(*f));
  i64 out = 0;
  if (!to_i64(c.value, out)) return c.wrong("a number");
  return out < 0 ? unary(c.evaluator, "-", Value(out)) : Result<Value>(Value(out));
}

Result<Value> f_round(const Call& c) {
  if (!is_number(c.value)) return c.wrong("a number");
  TL_TRY(const i64 digits, c.integer(0, "precision", 0));
  const std::string method = c.text(1, "method", "common");
  const f64 scale = std::pow(10.0, static_cast<f64>(digits)), scaled = to_f64(c.value) * scale;
  const f64 rounded = method == "ceil"    ? std::ceil(scaled)
                      : method == "floor" ? std::floor(scaled)
                                          : std::nearbyint(scaled);
  return Value(rounded / scale);
}

Result<Value> f_string(const Call& c) {
  TL_TRY(std::string text, c.input());
  return c.evaluator.make(std::move(text));
}

Result<Value> f_same(const Call& c) {
  return c.value;
}

Result<Value> f_escape(const Call& c) {
  TL_TRY(const std::string text, c.input());
  std::string out;
  for (const char ch : text) {
    out += ch == '&'    ? "&amp;"
           : ch == '<'  ? "&lt;"
           : ch == '>'  ? "&gt;"
           : ch == '"'  ? "&#34;"
           : ch == '\'' ? "&#39;"
                        : std::string(1, ch);
  }
  return c.evaluator.make(std::move(out));
}

Result<Value> f_indent(const Call& c) {
  TL_TRY(const std::string text, c.input());
  const Value* width = c.args.find(0, "width");
  std::string pad = "    ";
  if (width != nullptr && width->as_string() != nullptr) {
    pad = *width->as_string();
  } else {
    TL_TRY(const i64 spaces, c.integer(0, "width", 4));
    if (spaces > 1000) return fail(Code::BadProgram, "the width of 'indent' is {} (at most 1000)", spaces);
    pad.assign(static_cast<size_t>(std::max<i64>(spaces, 0)), ' ');
  }
  const bool first = c.flag(1, "first", false), blank = c.flag(2, "blank", false);
  std::string out;
  const std::vector<std::string> lines = split_lines(text + "\n", false);
  TL_TRY_DO(c.evaluator.charge(lines.size() * (1 + pad.size() / 16)));
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += '\n';
    if (i == 0 ? first : (blank || !lines[i].empty())) out += pad;
    out += lines[i];
  }
  return c.evaluator.make(std::move(out));
}

Result<Value> f_attr(const Call& c) {
  return c.evaluator.attribute(c.value, c.text(0, "name"));
}

struct Row {
  std::string_view name;
  Result<Value> (*run)(const Call&);
};
constexpr Row kFilters[] = {
    {"trim", f_trim},         {"upper", f_case},        {"lower", f_case},        {"title", f_case},
    {"capitalize", f_case},   {"length", f_length},     {"count", f_length},      {"join", f_join},
    {"tojson", f_tojson},     {"default", f_default},   {"d", f_default},         {"first", f_ends},
    {"last", f_ends},         {"replace", f_replace},   {"list", f_list},         {"items", f_items},
    {"dictsort", f_dictsort}, {"sort", f_sort},         {"reverse", f_reverse},   {"select", f_select},
    {"reject", f_select},     {"selectattr", f_select}, {"rejectattr", f_select}, {"map", f_map},
    {"unique", f_unique},     {"min", f_extreme},       {"max", f_extreme},       {"sum", f_sum},
    {"int", f_int},           {"float", f_float},       {"abs", f_abs},           {"round", f_round},
    {"string", f_string},     {"safe", f_same},         {"e", f_escape},          {"escape", f_escape},
    {"indent", f_indent},     {"attr", f_attr},
};

}  // namespace

Result<Value> apply_filter(Evaluator& evaluator, std::string_view name, const Value& value,
                           const Args& args) {
  TL_TRY_DO(evaluator.charge(1));
  for (const Row& row : kFilters) {
    if (row.name == name) return row.run({evaluator, name, value, args});
  }
  return fail(Code::Unsupported, "filter '{}' is not supported", name);
}

}  // namespace tl::jinja
