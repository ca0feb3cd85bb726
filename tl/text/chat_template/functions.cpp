// What templates call by name alone, and the methods of their values.
#include <algorithm>
#include <cstdlib>
#include <functional>

#include "tl/text/chat_template/evaluator.h"
#include "tl/text/chat_template/text.h"

namespace tl::jinja {

namespace {

using Native = Result<Value> (*)(Evaluator&, const Args&);

class Function final : public Callable {
 public:
  explicit Function(Native native) : native_(native) {}
  std::string_view type_name() const override { return "a function"; }
  Result<Value> call(Evaluator& evaluator, const Args& args) override { return native_(evaluator, args); }

 private:
  Native native_;
};

Result<Value> call_range(Evaluator& evaluator, const Args& args) {
  i64 bounds[3] = {0, 0, 1};
  const size_t count = args.positional.size();
  if (count < 1 || count > 3)
    return fail(Code::BadProgram, "range() takes one to three numbers, not {}", count);
  for (size_t i = 0; i < count; ++i) {
    if (!to_i64(args.positional[i], bounds[count == 1 ? 1 : i])) {
      return fail(Code::BadProgram, "range() takes integers, not {}", args.positional[i].type_name());
    }
  }
  const auto [begin, end, step] = bounds;
  if (step == 0) return fail(Code::BadProgram, "the step of range() is zero");
  List out;
  for (i64 i = begin; step > 0 ? i < end : i > end;) {
    TL_TRY_DO(evaluator.charge(1));
    out.push_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return Value(std::move(out));
}

Result<Value> call_namespace(Evaluator& evaluator, const Args& args) {
  const auto made = std::make_shared<Namespace>();
  for (const Value& value : args.positional) {
    if (value.as_dict() == nullptr) return fail(Code::BadProgram, "namespace() takes a dictionary or names");
    for (const auto& [name, item] : *value.as_dict()) made->set(to_text(name), item);
  }
  for (const auto& [name, value] : args.named) made->set(name, value);
  evaluator.keep(made);
  TL_TRY_DO(evaluator.charge(64));
  return Value(std::shared_ptr<Object>(made));
}

Result<Value> call_dict(Evaluator&, const Args& args) {
  Dict out;
  for (const Value& value : args.positional) {
    if (value.as_dict() == nullptr)
      return fail(Code::Unsupported, "dict() of {} is not supported", value.type_name());
    out.insert(out.end(), value.as_dict()->begin(), value.as_dict()->end());
  }
  for (const auto& argument : args.named) {
    const Value key(argument.first);
    const auto old =
        std::find_if(out.begin(), out.end(), [&](const auto& item) { return equal(item.first, key); });
    if (old != out.end()) {
      old->second = argument.second;
    } else {
      out.emplace_back(key, argument.second);
    }
  }
  return Value(std::move(out));
}

Result<Value> call_raise(Evaluator&, const Args& args) {
  const Value* message = args.find(0, "message");
  return fail(Code::BadProgram, "{}", message == nullptr ? "the template refuses" : to_text(*message));
}

Result<Value> call_strftime_now(Evaluator& evaluator, const Args& args) {
  const Value* format = args.find(0, "format");
  if (format == nullptr || format->as_string() == nullptr) {
    return fail(Code::BadProgram, "strftime_now() takes a format");
  }
  const std::string& text = *format->as_string();
  if (text.size() > 256) return fail(Code::BadProgram, "the format of strftime_now() is too long");
  if (text.empty()) return Value("");
  char out[2048];
  const std::tm now = evaluator.now();
  return evaluator.make(std::string(out, std::strftime(out, sizeof out, text.c_str(), &now)));
}

struct NamedFunction {
  std::string_view name;
  Native native;
};
constexpr NamedFunction kFunctions[] = {{"range", call_range},
                                        {"namespace", call_namespace},
                                        {"dict", call_dict},
                                        {"raise_exception", call_raise},
                                        {"strftime_now", call_strftime_now}};

// ---- methods ----

struct Call {
  Evaluator& evaluator;
  const Value& self;
  std::string_view name;
  const Args& args;

  const std::string& text() const { return *self.as_string(); }
  Error wrong(std::string_view wanted) const { return fail(Code::BadProgram, "{}() takes {}", name, wanted); }
  Result<std::string> text_arg(size_t at, std::string_view key, std::string otherwise = {}) const {
    const Value* value = args.find(at, key);
    if (value == nullptr || value->is_none()) return otherwise;
    if (value->as_string() == nullptr) return wrong(fmt::format("a string, not {}", value->type_name()));
    return *value->as_string();
  }
  Result<i64> int_arg(size_t at, std::string_view key, i64 otherwise) const {
    const Value* value = args.find(at, key);
    i64 out = otherwise;
    if (value != nullptr && !to_i64(*value, out))
      return wrong(fmt::format("an integer, not {}", value->type_name()));
    return out;
  }
};

Result<Value> strip_method(const Call& c) {
  TL_TRY(const std::string set, c.text_arg(0, "chars"));
  const Ends ends = c.name == "lstrip" ? Ends::Left : c.name == "rstrip" ? Ends::Right : Ends::Both;
  return c.evaluator.make(strip(c.text(), set, ends));
}

Result<Value> affix_method(const Call& c) {
  const Value* wanted = c.args.find(0, "prefix");
  if (wanted == nullptr) return c.wrong("a string");
  const List one = wanted->as_list() != nullptr ? *wanted->as_list() : List{*wanted};
  for (const Value& item : one) {
    if (item.as_string() == nullptr) return c.wrong(fmt::format("a string, not {}", item.type_name()));
    const std::string& affix = *item.as_string();
    if (c.name == "startswith" ? c.text().starts_with(affix) : c.text().ends_with(affix)) return Value(true);
  }
  return Value(false);
}

Result<Value> remove_method(const Call& c) {
  TL_TRY(const std::string affix, c.text_arg(0, "prefix"));
  const bool prefix = c.name == "removeprefix";
  if (!(prefix ? c.text().starts_with(affix) : c.text().ends_with(affix))) return c.self;
  return c.evaluator.make(prefix ? c.text().substr(affix.size())
                                 : c.text().substr(0, c.text().size() - affix.size()));
}

Result<Value> list_of(Evaluator& evaluator, std::vector<std::string> texts) {
  List out;
  for (std::string& text : texts) {
    TL_TRY(Value value, evaluator.make(std::move(text)));
    out.push_back(std::move(value));
  }
  return evaluator.make(std::move(out));
}

Result<Value> split_method(const Call& c) {
  const Value* given = c.args.find(0, "sep");
  TL_TRY(const std::string separator, c.text_arg(0, "sep"));
  if (given != nullptr && given->as_string() != nullptr && separator.empty()) return c.wrong("a separator");
  TL_TRY(const i64 most, c.int_arg(1, "maxsplit", -1));
  return list_of(c.evaluator, split(c.text(), separator, most, c.name == "rsplit"));
}

Result<Value> splitlines_method(const Call& c) {
  const Value* keep = c.args.find(0, "keepends");
  return list_of(c.evaluator, split_lines(c.text(), keep != nullptr && keep->truthy()));
}

Result<Value> case_method(const Call& c) {
  return c.evaluator.make(c.name == "upper"   ? upper(c.text())
                          : c.name == "lower" ? lower(c.text())
                          : c.name == "title" ? title(c.text())
                                              : capitalize(c.text()));
}

Result<Value> replace_method(const Call& c) {
  TL_TRY(const std::string from, c.text_arg(0, "old"));
  TL_TRY(const std::string to, c.text_arg(1, "new"));
  TL_TRY(const i64 most, c.int_arg(2, "count", -1));
  if (c.args.positional.size() < 2) return c.wrong("two strings");
  TL_TRY_DO(c.evaluator.charge(c.text().size() / 8 * (1 + to.size() / 8)));
  return c.evaluator.make(replace(c.text(), from, to, most));
}

Result<Value> find_method(const Call& c) {
  TL_TRY(const std::string wanted, c.text_arg(0, "sub"));
  if (c.name == "count") {
    i64 count = 0;
    if (wanted.empty()) return Value(static_cast<i64>(length(c.text()) + 1));
    for (size_t at = 0; (at = c.text().find(wanted, at)) != std::string::npos; at += wanted.size()) ++count;
    return Value(count);
  }
  const size_t at = c.name == "rfind" ? c.text().rfind(wanted) : c.text().find(wanted);
  if (at == std::string::npos) return Value(-1);
  return Value(static_cast<i64>(length(std::string_view(c.text()).substr(0, at))));
}

Result<Value> join_method(const Call& c) {
  if (c.args.positional.empty()) return c.wrong("a list");
  TL_TRY(const List items, c.evaluator.elements(c.args.positional[0]));
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    if (items[i].as_string() == nullptr) return c.wrong(fmt::format("strings, not {}", items[i].type_name()));
    TL_TRY_DO(c.evaluator.charge(1 + (c.text().size() + items[i].as_string()->size()) / 16));
    out += (i == 0 ? "" : c.text()) + *items[i].as_string();
  }
  return c.evaluator.make(std::move(out));
}

// "{} and {1} and {name}".format(…), without conversions and widths.
Result<Value> format_method(const Call& c) {
  const std::string& text = c.text();
  std::string out;
  size_t next = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '{' && text[i] != '}') {
      out += text[i];
      continue;
    }
    if (i + 1 < text.size() && text[i + 1] == text[i]) {
      out += text[i++];
      continue;
    }
    const size_t end = text.find('}', i);
    if (text[i] == '}' || end == std::string::npos)
      return fail(Code::BadProgram, "a brace of format() has no partner");
    const std::string field = text.substr(i + 1, end - i - 1);
    if (field.find_first_of(":!.[") != std::string::npos) {
      return fail(Code::Unsupported, "the field '{{{}}}' of format() is not supported", field);
    }
    const bool number = field.size() < 6 && all_are(field, CharClass::Digit);
    const size_t at = field.empty() ? next++
                      : number      ? static_cast<size_t>(std::atoi(field.c_str()))
                                    : 1'000'000;
    const Value* value = c.args.find(at, field);
    if (value == nullptr) return fail(Code::BadProgram, "format() has no value for '{{{}}}'", field);
    TL_TRY_DO(c.evaluator.charge(value->weight()));
    out += to_text(*value);
    i = end;
  }
  return c.evaluator.make(std::move(out));
}

Result<Value> class_method(const Call& c) {
  const CharClass wanted = c.name == "isalpha"   ? CharClass::Alpha
                           : c.name == "isdigit" ? CharClass::Digit
                           : c.name == "isalnum" ? CharClass::Alnum
                           : c.name == "isspace" ? CharClass::Space
                           : c.name == "isupper" ? CharClass::Upper
                                                 : CharClass::Lower;
  return Value(all_are(c.text(), wanted));
}

Result<Value> dict_method(const Call& c) {
  const Dict& dict = *c.self.as_dict();
  if (c.name == "get") {
    const Value* key = c.args.find(0, "key");
    if (key == nullptr) return c.wrong("a key");
    TL_TRY_DO(c.evaluator.charge(dict.size() / 8));
    if (Value found = c.self.member(*key); !found.is_undefined()) return found;
    const Value* otherwise = c.args.find(1, "default");
    return otherwise == nullptr ? Value(Value::None()) : *otherwise;
  }
  if (c.name == "copy") return c.self;
  List out;
  for (const auto& [key, value] : dict) {
    out.push_back(c.name == "keys" ? Value(key) : c.name == "values" ? value : Value::tuple({key, value}));
  }
  return c.evaluator.make(std::move(out));
}

Result<Value> list_method(const Call& c) {
  const List& list = *c.self.as_list();
  const Value* wanted = c.args.find(0, "value");
  if (wanted == nullptr) return c.wrong("a value");
  i64 count = 0;
  TL_TRY_DO(c.evaluator.charge(c.self.weight()));
  for (size_t i = 0; i < list.size(); ++i) {
    if (!equal(list[i], *wanted)) continue;
    if (c.name == "index") return Value(static_cast<i64>(i));
    ++count;
  }
  if (c.name == "index") return fail(Code::BadProgram, "the list has no {}", to_repr(*wanted));
  return Value(count);
}

struct NamedMethod {
  std::string_view name;
  Result<Value> (*run)(const Call&);
};
constexpr NamedMethod kStringMethods[] = {
    {"strip", strip_method},         {"lstrip", strip_method},
    {"rstrip", strip_method},        {"startswith", affix_method},
    {"endswith", affix_method},      {"removeprefix", remove_method},
    {"removesuffix", remove_method}, {"split", split_method},
    {"rsplit", split_method},        {"splitlines", splitlines_method},
    {"upper", case_method},          {"lower", case_method},
    {"title", case_method},          {"capitalize", case_method},
    {"replace", replace_method},     {"find", find_method},
    {"rfind", find_method},          {"count", find_method},
    {"join", join_method},           {"format", format_method},
    {"isalpha", class_method},       {"isdigit", class_method},
    {"isalnum", class_method},       {"isspace", class_method},
    {"isupper", class_method},       {"islower", class_method},
};
constexpr NamedMethod kDictMethods[] = {{"get", dict_method},
                                        {"items", dict_method},
                                        {"keys", dict_method},
                                        {"values", dict_method},
                                        {"copy", dict_method}};
constexpr NamedMethod kListMethods[] = {{"index", list_method}, {"count", list_method}};

const NamedMethod* find_method_row(const Value& self, std::string_view name) {
  const auto search = [&](const auto& rows) -> const NamedMethod* {
    for (const NamedMethod& row : rows) {
      if (row.name == name) return &row;
    }
    return nullptr;
  };
  if (self.as_string() != nullptr) return search(kStringMethods);
  if (self.as_dict() != nullptr) return search(kDictMethods);
  if (self.as_list() != nullptr) return search(kListMethods);
  return nullptr;
}

}  // namespace

Value find_function(std::string_view name) {
  for (const NamedFunction& row : kFunctions) {
    if (row.name == name) return std::shared_ptr<Object>(std::make_shared<Function>(row.native));
  }
  return {};
}

bool has_method(const Value& self, std::string_view name) {
  return find_method_row(self, name) != nullptr;
}

Result<Value> call_method(Evaluator& evaluator, const Value& self, std::string_view name, const Args& args) {
  const NamedMethod* row = find_method_row(self, name);
  if (row == nullptr) return fail(Code::BadProgram, "{} has no method '{}'", self.type_name(), name);
  TL_TRY_DO(evaluator.charge(1 + (self.as_string() != nullptr ? self.as_string()->size() / 16 : 0)));
  return row->run({evaluator, self, name, args});
}

}  // namespace tl::jinja
