#include "tl/io/gguf_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "tl/base/check.h"

namespace tl {
namespace {

struct TypeRow {
  std::string_view name;
  u64 size;
};

constexpr std::array<TypeRow, kGgufTypeCount> kTypes = {{{"uint8", 1},
                                                         {"int8", 1},
                                                         {"uint16", 2},
                                                         {"int16", 2},
                                                         {"uint32", 4},
                                                         {"int32", 4},
                                                         {"float32", 4},
                                                         {"bool", 1},
                                                         {"string", 0},
                                                         {"array", 0},
                                                         {"uint64", 8},
                                                         {"int64", 8},
                                                         {"float64", 8}}};

template <typename T>
T load(const u8* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

template <typename T>
const T* get(const GgufValue::Data& data) {
  return std::get_if<T>(&data);
}

std::string escaped(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += fmt::format("\\{}", c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (static_cast<u8>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\x{:02x}", static_cast<u8>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace

std::string_view name_of(GgufType type) {
  return kTypes[static_cast<size_t>(type)].name;
}
u64 size_of(GgufType type) {
  return kTypes[static_cast<size_t>(type)].size;
}

GgufValue GgufValue::from_bytes(GgufType type, const u8* bytes) {
  switch (type) {
    case GgufType::U8:
      return {type, u64{*bytes}};
    case GgufType::I8:
      return {type, i64{load<i8>(bytes)}};
    case GgufType::U16:
      return {type, u64{load<u16>(bytes)}};
    case GgufType::I16:
      return {type, i64{load<i16>(bytes)}};
    case GgufType::U32:
      return {type, u64{load<u32>(bytes)}};
    case GgufType::I32:
      return {type, i64{load<i32>(bytes)}};
    case GgufType::F32:
      return {type, f64{load<f32>(bytes)}};
    case GgufType::Bool:
      return {type, *bytes != 0};
    case GgufType::U64:
      return {type, load<u64>(bytes)};
    case GgufType::I64:
      return {type, load<i64>(bytes)};
    case GgufType::F64:
      return {type, load<f64>(bytes)};
    case GgufType::String:
    case GgufType::Array:
      break;
  }
  TL_CHECK(false, "{} has no fixed size", name_of(type));
}

std::string GgufValue::type_name() const {
  const GgufArray* array = as_array();
  if (array == nullptr) return std::string(name_of(type_));
  return fmt::format("array of {} {}{}", array->size, name_of(array->element), array->size == 1 ? "" : "s");
}

std::optional<i64> GgufValue::as_i64() const {
  if (const i64* i = get<i64>(data_)) return *i;
  if (const u64* u = get<u64>(data_); u != nullptr && *u <= u64{std::numeric_limits<i64>::max()}) {
    return static_cast<i64>(*u);
  }
  return std::nullopt;
}

std::optional<u64> GgufValue::as_u64() const {
  if (const u64* u = get<u64>(data_)) return *u;
  if (const i64* i = get<i64>(data_); i != nullptr && *i >= 0) return static_cast<u64>(*i);
  return std::nullopt;
}

std::optional<f64> GgufValue::as_f64() const {
  if (const f64* f = get<f64>(data_)) return *f;
  if (const u64* u = get<u64>(data_)) return static_cast<f64>(*u);
  if (const i64* i = get<i64>(data_)) return static_cast<f64>(*i);
  return std::nullopt;
}

std::optional<bool> GgufValue::as_bool() const {
  if (const bool* b = get<bool>(data_)) return *b;
  return std::nullopt;
}

std::optional<std::string_view> GgufValue::as_string() const {
  if (const std::string_view* s = get<std::string_view>(data_)) return *s;
  return std::nullopt;
}

const GgufArray* GgufValue::as_array() const {
  const auto* array = get<std::shared_ptr<const GgufArray>>(data_);
  return array == nullptr ? nullptr : array->get();
}

GgufValue GgufArray::at(u64 i) const {
  TL_CHECK(i < size, "element {} of {}", i, size);
  if (element == GgufType::String) return {element, strings[i]};
  if (element == GgufType::Array) return arrays[i];
  return GgufValue::from_bytes(element, raw.data() + i * size_of(element));
}

std::string to_string(const GgufValue& value, u64 shown) {
  if (const auto text = value.as_string()) return escaped(*text);
  if (const auto flag = value.as_bool()) return *flag ? "true" : "false";
  if (const auto integer = value.as_i64()) return fmt::format("{}", *integer);
  if (const auto integer = value.as_u64()) return fmt::format("{}", *integer);
  if (value.type() == GgufType::F32) return fmt::format("{}", static_cast<f32>(*value.as_f64()));
  if (const auto number = value.as_f64()) return fmt::format("{}", *number);
  const GgufArray& array = *value.as_array();
  std::string out = "[";
  for (u64 i = 0; i < std::min(array.size, shown); ++i) {
    out += (i > 0 ? ", " : "") + to_string(array.at(i), shown);
  }
  return out + (array.size > shown ? fmt::format(", … {} elements]", array.size) : "]");
}

}  // namespace tl
