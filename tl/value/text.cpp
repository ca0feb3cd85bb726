#include "tl/value/text.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "tl/value/format_spec.h"
#include "tl/value/map.h"

namespace tl::lang {
namespace {

constexpr size_t kLongList = 10;  // longer lists are cut
constexpr size_t kMaxText =
    1 << 26;  // bytes of one printed value: shared lists can print exponentially large

// Digits and exponent of the shortest decimal that reads back as `value`: 0.d1d2... * 10^exponent.
struct Decimal {
  bool negative = false;
  std::string digits;
  int exponent = 0;
};

template <typename T>
Decimal shortest(T value) {
  std::array<char, 64> buffer;
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific).ptr;
  const std::string_view text(buffer.data(), static_cast<size_t>(end - buffer.data()));
  Decimal d;
  const size_t e = text.find('e');
  for (const char c : text.substr(0, e)) {
    if (c == '-') d.negative = true;
    if (c >= '0' && c <= '9') d.digits += c;
  }
  int exponent = 0;
  const char* from = text.data() + e + 1;
  std::from_chars(*from == '+' ? from + 1 : from, text.data() + text.size(), exponent);
  d.exponent = exponent + 1;
  return d;
}

template <typename T>
std::string plain_float(T value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  const Decimal d = shortest(value);
  const int count = static_cast<int>(d.digits.size());
  std::string text = d.negative ? "-" : "";
  if (d.exponent <= 0) return text + "0." + std::string(static_cast<size_t>(-d.exponent), '0') + d.digits;
  if (count <= d.exponent) return text + d.digits + std::string(static_cast<size_t>(d.exponent - count), '0');
  return text + d.digits.substr(0, static_cast<size_t>(d.exponent)) + "." +
         d.digits.substr(static_cast<size_t>(d.exponent));
}

}  // namespace

std::string float_text(f64 value) {
  return value == 0 ? (std::signbit(value) ? "-0" : "0") : plain_float(value);
}
std::string float_text(f32 value) {
  return value == 0 ? (std::signbit(value) ? "-0" : "0") : plain_float(value);
}

std::string float_in_list_text(f64 value) {
  const f64 size = std::abs(value);
  if (!std::isfinite(value) || value == 0 || (size >= 1e-5 && size < 1e16)) {
    std::string text = float_text(value);
    if (std::isfinite(value) && text.find('.') == std::string::npos) text += ".0";
    return text;
  }
  const Decimal d = shortest(value);
  std::string text = (d.negative ? "-" : "") + d.digits.substr(0, 1);
  if (d.digits.size() > 1) text += "." + d.digits.substr(1);
  return text + fmt::format("e{}", d.exponent - 1);
}

namespace {

// "…" as it would be written in a program.
std::string quoted_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\r':
        out += "\\r";
        break;
      default:
        out += c;
    }
  }
  return out + "\"";
}

class Writer {
 public:
  explicit Writer(const ReadTensor& read) : read_(read) {}

  Result<void> write(const Value& value, int depth) {
    if (depth > kMaxNesting)
      return fail(Code::BadProgram, "values nested more than {} deep cannot be printed", kMaxNesting);
    if (text_.size() > kMaxText)
      return fail(Code::BadProgram, "a value of more than {} bytes of text cannot be printed", kMaxText);
    switch (value.tag()) {
      case Tag::Empty:
        text_ += "nothing";
        break;
      case Tag::Unit:
        text_ += "none";
        break;
      case Tag::Int:
        fmt::format_to(std::back_inserter(text_), "{}", value.as_int());
        break;
      case Tag::Float:
        text_ += depth == 0 ? float_text(value.as_float()) : float_in_list_text(value.as_float());
        break;
      case Tag::Bool:
        text_ += value.as_bool() ? "true" : "false";
        break;
      case Tag::DType:
        text_ += name_of(value.as_dtype());
        break;
      case Tag::Object:
        return write_object(value, depth);
    }
    return {};
  }
  std::string take() { return std::move(text_); }

 private:
  Result<void> write_object(const Value& value, int depth) {
    switch (value.object()->kind) {
      case ObjectKind::String:
        text_ += depth == 0 ? value.as<String>().text : quoted_text(value.as<String>().text);
        return {};
      case ObjectKind::List:
        return write_list(value.as<List>(), depth);
      case ObjectKind::Range:
        return write_range(value.as<Range>());
      case ObjectKind::Tuple:
        return write_tuple(value.as<Tuple>(), depth);
      case ObjectKind::Struct:
        return write_struct(value.as<Struct>(), depth);
      case ObjectKind::Map:
      case ObjectKind::Set:
        return write_keyed(*static_cast<const Keyed*>(value.object()), depth);
      case ObjectKind::Tensor:
        return write_tensor(value.as<TensorValue>().tensor);
      case ObjectKind::Function:
        text_ += fmt::format("fn {}", value.as<Function>().name);
        return {};
      default:
        text_ += fmt::format("<{}>", type_name(value));
        return {};
    }
  }
  Result<void> write_items(std::span<const Value> items, int depth) {
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) text_ += ", ";
      TL_TRY_DO(write(items[i], depth + 1));
    }
    return {};
  }
  // An object inside of itself is not written again.
  bool is_open(const Object& object) const {
    return std::find(open_.begin(), open_.end(), &object) != open_.end();
  }
  struct Open {
    Open(Writer& w, const Object& object) : writer(w) { writer.open_.push_back(&object); }
    ~Open() { writer.open_.pop_back(); }
    Writer& writer;
  };
  Result<void> write_list(const List& list, int depth) {
    if (is_open(list)) {
      text_ += list.is_vec ? "Vec[...]" : "[...]";
      return {};
    }
    const Open open(*this, list);
    const auto& items = list.items;
    text_ += list.is_vec ? "Vec[" : "[";
    if (items.size() <= kLongList) {
      TL_TRY_DO(write_items(items, depth));
      text_ += "]";
      return {};
    }
    TL_TRY_DO(write_items(std::span(items).first(2), depth));
    text_ += ", ..., ";
    TL_TRY_DO(write(items.back(), depth + 1));
    text_ += fmt::format("] (len={})", items.size());
    return {};
  }
  Result<void> write_range(const Range& range) {
    const i64 size = range.size();
    if (size > static_cast<i64>(kLongList)) {
      text_ += fmt::format("[{}, {}, ..., {}] (len={})", range.at(0), range.at(1), range.at(size - 1), size);
      return {};
    }
    for (i64 i = 0; i < size; ++i) text_ += fmt::format("{}{}", i == 0 ? "[" : ", ", range.at(i));
    text_ += size == 0 ? "[]" : "]";
    return {};
  }
  Result<void> write_tuple(const Tuple& tuple, int depth) {
    if (is_open(tuple)) {
      text_ += "(...)";
      return {};
    }
    const Open open(*this, tuple);
    text_ += "(";
    TL_TRY_DO(write_items(tuple.items, depth));
    text_ += tuple.items.size() == 1 ? ",)" : ")";
    return {};
  }
  Result<void> write_variant(const Struct& object, int depth) {
    text_ += object.type.name;
    if (object.fields.empty()) return {};
    if (is_open(object)) {
      text_ += "(...)";
      return {};
    }
    const Open open(*this, object);
    text_ += "(";
    TL_TRY_DO(write_items(object.fields, depth));
    text_ += ")";
    return {};
  }
  Result<void> write_struct(const Struct& object, int depth) {
    if (!object.type.variant_of.empty()) return write_variant(object, depth);
    if (is_open(object)) {
      text_ += fmt::format("{} {{ ... }}", object.type.name);
      return {};
    }
    const Open open(*this, object);
    text_ += object.type.name;
    text_ += object.fields.empty() ? " {" : " { ";
    for (size_t i = 0; i < object.fields.size(); ++i) {
      text_ += fmt::format("{}{}: ", i == 0 ? "" : ", ", object.type.fields[i]);
      TL_TRY_DO(write(object.fields[i], depth + 1));
    }
    text_ += object.fields.empty() ? "}" : " }";
    return {};
  }
  // {"a": 1, "b": 2}, {1, 2}; an empty set is set(), since {} is a map.
  Result<void> write_keyed(const Keyed& keyed, int depth) {
    if (is_open(keyed)) {
      text_ += "{...}";
      return {};
    }
    if (keyed.size() == 0) {
      text_ += keyed.has_values() ? "{}" : "set()";
      return {};
    }
    const Open open(*this, keyed);
    const auto size = static_cast<size_t>(keyed.size());
    size_t number = 0;
    text_ += "{";
    for (size_t at = keyed.first(); at != Keyed::kNowhere; at = keyed.after(at), ++number) {
      if (size > kLongList && number >= 2 && number + 1 < size) {
        if (number == 2) text_ += ", ...";
        continue;
      }
      if (number > 0) text_ += ", ";
      TL_TRY_DO(write(keyed.key(at), depth + 1));
      if (!keyed.has_values()) continue;
      text_ += ": ";
      TL_TRY_DO(write(keyed.value(at), depth + 1));
    }
    text_ += size > kLongList ? fmt::format("}} (len={})", size) : "}";
    return {};
  }
  Result<void> write_tensor(const Tensor& tensor) {
    if (is_quantised(tensor.dtype())) {
      text_ += fmt::format("[...] shape={} {}", to_string(tensor.shape()), name_of(tensor.dtype()));
      return {};
    }
    TL_TRY(const HostTensor host, read_(tensor));
    if (tensor.rank() > 0) {
      text_ += tensor_text(host);
    } else if (tensor.dtype() == DType::Bool) {
      text_ += host.as_int(0) != 0 ? "true" : "false";
    } else if (!is_float(tensor.dtype())) {
      text_ += fmt::format("{}", host.as_int(0));
    } else if (tensor.dtype() == DType::F64) {
      text_ += float_text(host.as_double(0));
    } else {
      text_ += float_text(static_cast<f32>(host.as_double(0)));
    }
    return {};
  }

  const ReadTensor& read_;
  std::string text_;
  std::vector<const Object*> open_;  // what is being written, from the outside in
};

// A 0-d tensor as the number it is; anything else as it is.
Result<Value> number_of(const ReadTensor& read, const Value& value) {
  const Tensor* tensor = tensor_of(value);
  if (tensor == nullptr || tensor->rank() > 0) return value;
  TL_TRY(const HostTensor host, read(*tensor));
  if (tensor->dtype() == DType::Bool) return Value(host.as_int(0) != 0);
  if (is_float(tensor->dtype())) return Value(host.as_double(0));
  return Value(host.as_int(0));
}

}  // namespace

Result<std::string> text_of(const ReadTensor& read, const Value& value) {
  Writer writer(read);
  TL_TRY_DO(writer.write(value, 0));
  return writer.take();
}

Result<std::string> format_value(const ReadTensor& read, const Value& value, std::string_view spec) {
  if (spec.empty()) return text_of(read, value);
  TL_TRY(const FormatSpec parsed, parse_format_spec(spec));
  TL_TRY(const Value scalar, number_of(read, value));
  switch (scalar.tag()) {
    case Tag::Int:
      return format_int(parsed, scalar.as_int());
    case Tag::Float:
      return format_float(parsed, scalar.as_float());
    case Tag::Bool:
      if (parsed.type != 0 && parsed.type != 's') return format_int(parsed, scalar.as_bool() ? 1 : 0);
      break;
    default:
      break;
  }
  if (const Tensor* tensor = tensor_of(scalar); tensor != nullptr && parsed.is_precision_only()) {
    TL_TRY(const HostTensor host, read(*tensor));
    return tensor_text(host, parsed.precision);
  }
  TL_TRY(const std::string text, text_of(read, scalar));
  return format_string(parsed, text);
}

Result<std::string> format_text(const ReadTensor& read, std::string_view format,
                                std::span<const Value> values) {
  std::string out;
  size_t used = 0;
  for (size_t at = 0; at < format.size(); ++at) {
    const char c = format[at];
    const size_t close = c == '{' ? format.find('}', at) : std::string_view::npos;
    if (close == std::string_view::npos || (format[at + 1] != '}' && format[at + 1] != ':')) {
      out += c;
      continue;
    }
    if (used == values.size()) {
      return fail(Code::BadProgram, "text has more places '{{}}' than the {} value{} after it", used,
                  used == 1 ? "" : "s");
    }
    const std::string_view spec = format.substr(at + 1, close - at - 1);
    TL_TRY(const std::string text, format_value(read, values[used++], spec.empty() ? spec : spec.substr(1)));
    out += text;
    at = close;
  }
  return out;
}

}  // namespace tl::lang
