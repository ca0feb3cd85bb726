#include "tl/text/chat_template/value.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace tl::jinja {

namespace {

constexpr u32 kMaxDepth = 200;  // of nested lists and dictionaries

// As Python writes it: with a point or an exponent, the shortest that reads back the same.
std::string float_text(f64 value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  const f64 size = std::fabs(value);
  if (value == std::trunc(value) && size < 1e16) return fmt::format("{:.1f}", value);
  return fmt::format("{}", value);
}

std::string python_quote(std::string_view text) {
  const char quote =
      text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string out(1, quote);
  for (const char c : text) {
    if (c == '\\' || c == quote) {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (static_cast<u8>(c) < 0x20 || c == 0x7F) {
      out += fmt::format("\\x{:02x}", static_cast<u8>(c));
    } else {
      out += c;
    }
  }
  return out + quote;
}

std::string json_string(std::string_view text, bool ascii) {
  std::string out = nlohmann::json(text).dump(-1, ' ', ascii, nlohmann::json::error_handler_t::replace);
  // Python leaves DEL as it is, so does dump(); nothing more to do.
  return out;
}

}  // namespace

bool Object::set(std::string_view, Value) {
  return false;
}

namespace {

u32 add_weights(u32 a, u64 b) {
  return static_cast<u32>(std::min<u64>(u64{a} + b, 0xffffffffu));
}

}  // namespace

Value::Value(std::string text) : data_(std::make_shared<const std::string>(std::move(text))) {
  weight_ = add_weights(1, as_string()->size() / 16);
}

Value::Value(List list) : data_(std::make_shared<const List>(std::move(list))) {
  for (const Value& item : *as_list()) weight_ = add_weights(weight_, item.weight());
}

Value::Value(Dict dict) : data_(std::make_shared<const Dict>(std::move(dict))) {
  for (const auto& [key, item] : *as_dict())
    weight_ = add_weights(weight_, u64{key.weight()} + item.weight());
}

Value Value::generator(List list) {
  Value out(std::move(list));
  out.sequence_ = Sequence::Generator;
  return out;
}

Value Value::tuple(List list) {
  Value out(std::move(list));
  out.sequence_ = Sequence::Tuple;
  return out;
}

Value Value::member(const Value& key) const {
  const Dict* dict = as_dict();
  if (dict == nullptr || key.as_list() != nullptr || key.as_dict() != nullptr) return {};
  const auto at =
      std::find_if(dict->begin(), dict->end(), [&](const auto& item) { return equal(item.first, key); });
  return at == dict->end() ? Value() : at->second;
}

std::string_view Value::type_name() const {
  static constexpr std::string_view kNames[] = {"undefined", "none",     "a boolean", "an integer",
                                                "a float",   "a string", "a list",    "a dictionary"};
  if (const Object* object = as_object()) return object->type_name();
  if (is_generator()) return "a generator";
  return kNames[data_.index()];
}

bool Value::truthy() const {
  if (is_undefined() || is_none()) return false;
  if (const bool* b = as_bool()) return *b;
  if (const i64* i = as_int()) return *i != 0;
  if (const f64* f = as_float()) return *f != 0;
  if (const std::string* s = as_string()) return !s->empty();
  if (const List* l = as_list()) return is_generator() || !l->empty();
  if (const Dict* d = as_dict()) return !d->empty();
  return true;
}

bool is_number(const Value& value) {
  return value.as_bool() != nullptr || value.as_int() != nullptr || value.as_float() != nullptr;
}

f64 to_f64(const Value& number) {
  if (const bool* b = number.as_bool()) return *b ? 1 : 0;
  if (const i64* i = number.as_int()) return static_cast<f64>(*i);
  const f64* f = number.as_float();
  return f == nullptr ? 0 : *f;
}

bool to_i64(const Value& value, i64& out) {
  if (const bool* b = value.as_bool()) out = *b ? 1 : 0;
  if (const i64* i = value.as_int()) out = *i;
  return value.as_bool() != nullptr || value.as_int() != nullptr;
}

bool equal(const Value& a, const Value& b, u32 depth) {
  if (depth > kMaxDepth) return false;
  i64 x = 0, y = 0;
  if (to_i64(a, x) && to_i64(b, y)) return x == y;
  if (is_number(a) && is_number(b)) return to_f64(a) == to_f64(b);
  if (a.as_string() != nullptr && b.as_string() != nullptr) return *a.as_string() == *b.as_string();
  if (const List* p = a.as_list(), *q = b.as_list(); p != nullptr && q != nullptr) {
    return a.is_tuple() == b.is_tuple() &&
           std::equal(p->begin(), p->end(), q->begin(), q->end(),
                      [&](const Value& u, const Value& v) { return equal(u, v, depth + 1); });
  }
  if (const Dict* p = a.as_dict(), *q = b.as_dict(); p != nullptr && q != nullptr) {
    return p->size() == q->size() && std::all_of(p->begin(), p->end(), [&](const auto& item) {
             const Value other = b.member(item.first);
             return !other.is_undefined() && equal(item.second, other, depth + 1);
           });
  }
  if (a.as_object() != nullptr) return a.as_object() == b.as_object();
  return (a.is_none() && b.is_none()) || (a.is_undefined() && b.is_undefined());
}

Result<int> compare(const Value& a, const Value& b) {
  const auto order = [](const auto& x, const auto& y) { return x < y ? -1 : y < x ? 1 : 0; };
  i64 x = 0, y = 0;
  if (to_i64(a, x) && to_i64(b, y)) return order(x, y);
  if (is_number(a) && is_number(b)) return order(to_f64(a), to_f64(b));
  if (a.as_string() != nullptr && b.as_string() != nullptr) return order(*a.as_string(), *b.as_string());
  if (const List* p = a.as_list(), *q = b.as_list(); p != nullptr && q != nullptr) {
    for (size_t i = 0; i < std::min(p->size(), q->size()); ++i) {
      if (equal((*p)[i], (*q)[i])) continue;
      if ((*p)[i].as_list() != nullptr) break;  // one level is enough, and bounds the recursion
      return compare((*p)[i], (*q)[i]);
    }
    return order(p->size(), q->size());
  }
  return fail(Code::BadProgram, "{} and {} have no order", a.type_name(), b.type_name());
}

std::string to_text(const Value& value) {
  if (const std::string* s = value.as_string()) return *s;
  if (value.is_undefined()) return "";
  return to_repr(value);
}

std::string to_repr(const Value& value, u32 depth) {
  if (depth > kMaxDepth) return "...";
  if (value.is_undefined()) return "Undefined";
  if (value.is_none()) return "None";
  if (const bool* b = value.as_bool()) return *b ? "True" : "False";
  if (const i64* i = value.as_int()) return fmt::format("{}", *i);
  if (const f64* f = value.as_float()) return float_text(*f);
  if (const std::string* s = value.as_string()) return python_quote(*s);
  std::string out;
  if (const List* list = value.as_list()) {
    for (const Value& item : *list) out += (out.empty() ? "" : ", ") + to_repr(item, depth + 1);
    if (value.is_tuple()) return "(" + out + (list->size() == 1 ? ",)" : ")");
    return "[" + out + "]";
  }
  if (const Dict* dict = value.as_dict()) {
    for (const auto& [key, item] : *dict) {
      out += fmt::format("{}{}: {}", out.empty() ? "" : ", ", to_repr(key), to_repr(item, depth + 1));
    }
    return "{" + out + "}";
  }
  return fmt::format("<{}>", value.type_name());
}

Result<std::string> to_json(const Value& value, const JsonStyle& style, u32 depth) {
  if (depth > kMaxDepth) return fail(Code::BadProgram, "value nests more than {} levels deep", kMaxDepth);
  if (value.is_none()) return std::string("null");
  if (const bool* b = value.as_bool()) return std::string(*b ? "true" : "false");
  if (const i64* i = value.as_int()) return fmt::format("{}", *i);
  if (const f64* f = value.as_float()) {
    return std::isnan(*f) ? "NaN" : std::isinf(*f) ? (*f < 0 ? "-Infinity" : "Infinity") : float_text(*f);
  }
  if (const std::string* s = value.as_string()) return json_string(*s, style.ascii);
  const bool lines = style.indent >= 0;
  const auto line = [&](u32 level) {
    return lines ? "\n" + std::string(static_cast<size_t>(style.indent) * level, ' ') : std::string();
  };
  const std::string separator = !style.item_separator.empty() ? style.item_separator : lines ? "," : ", ";
  const std::string colon = style.key_separator.empty() ? ": " : style.key_separator;
  std::string out;
  const auto next = [&] { out += (out.empty() ? "" : separator) + line(depth + 1); };
  if (const List* list = value.is_generator() ? nullptr : value.as_list()) {
    for (const Value& item : *list) {
      TL_TRY(const std::string text, to_json(item, style, depth + 1));
      next();
      out += text;
    }
    return out.empty() ? "[]" : "[" + out + line(depth) + "]";
  }
  if (const Dict* dict = value.as_dict()) {
    Dict sorted = *dict;
    if (style.sort_keys) {
      std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
        const Result<int> order = compare(a.first, b.first);
        return order.ok() && order.value() < 0;
      });
    }
    for (const auto& [key, item] : sorted) {
      TL_TRY(const std::string text, to_json(item, style, depth + 1));
      next();
      out += json_string(to_text(key), style.ascii) + colon + text;
    }
    return out.empty() ? "{}" : "{" + out + line(depth) + "}";
  }
  return fail(Code::BadProgram, "{} cannot be written as JSON", value.type_name());
}

namespace {

using OrderedJson = nlohmann::ordered_json;

Result<Value> convert(const OrderedJson& json, u32 depth) {
  if (depth > kMaxDepth) return fail(Code::BadFile, "JSON nests more than {} levels deep", kMaxDepth);
  if (json.is_null()) return Value(Value::None());
  if (const auto* b = json.get_ptr<const bool*>()) return Value(*b);
  if (const auto* u = json.get_ptr<const OrderedJson::number_unsigned_t*>(); u != nullptr && *u > INT64_MAX) {
    return Value(static_cast<f64>(*u));
  }
  if (json.is_number_integer()) return Value(i64{json.get<i64>()});
  if (const auto* f = json.get_ptr<const OrderedJson::number_float_t*>()) return Value(*f);
  if (const auto* s = json.get_ptr<const std::string*>()) return Value(*s);
  if (json.is_array()) {
    List list;
    for (const OrderedJson& item : json) {
      TL_TRY(Value value, convert(item, depth + 1));
      list.push_back(std::move(value));
    }
    return Value(std::move(list));
  }
  Dict dict;
  for (const auto& [key, item] : json.items()) {
    TL_TRY(Value value, convert(item, depth + 1));
    dict.emplace_back(key, std::move(value));
  }
  return Value(std::move(dict));
}

}  // namespace

Result<Value> from_json(std::string_view text) {
  const OrderedJson json = OrderedJson::parse(text, nullptr, false);
  if (json.is_discarded()) return fail(Code::BadFile, "text is not JSON");
  return convert(json, 0);
}

}  // namespace tl::jinja
