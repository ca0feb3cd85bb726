// The typed getters of GgufFile: one value or one array, or an error that names file, key and both types.
#include "tl/io/byte_reader.h"
#include "tl/io/gguf.h"

namespace tl {

Error GgufFile::no_key(std::string_view key, std::string_view wanted) const {
  return fail(Code::BadFile, "{}: no metadata key {} (want {})", path(), in_quotes(key), wanted);
}

Error GgufFile::wrong_type(std::string_view key, std::string_view wanted) const {
  const GgufValue& value = *find(key);
  const bool number =
      value.as_f64().has_value();  // then its value is what is wrong: a negative or fractional one
  return fail(Code::BadFile, "{}: metadata key {} is {}{}{} (want {})", path(), in_quotes(key),
              value.type_name(), number ? " " : "", number ? to_string(value) : "", wanted);
}

Result<u64> GgufFile::get_u64(std::string_view key) const {
  constexpr std::string_view kWanted = "an integer of at least 0";
  const GgufValue* value = find(key);
  if (value == nullptr) return no_key(key, kWanted);
  if (const auto integer = value->as_u64()) return *integer;
  return wrong_type(key, kWanted);
}

Result<i64> GgufFile::get_i64(std::string_view key) const {
  constexpr std::string_view kWanted = "an integer of at most 63 bits";
  const GgufValue* value = find(key);
  if (value == nullptr) return no_key(key, kWanted);
  if (const auto integer = value->as_i64()) return *integer;
  return wrong_type(key, kWanted);
}

Result<f64> GgufFile::get_f64(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return no_key(key, "a number");
  if (const auto number = value->as_f64()) return *number;
  return wrong_type(key, "a number");
}

Result<bool> GgufFile::get_bool(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return no_key(key, "a bool");
  if (const auto flag = value->as_bool()) return *flag;
  return wrong_type(key, "a bool");
}

Result<std::string_view> GgufFile::get_string(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return no_key(key, "a string");
  if (const auto text = value->as_string()) return *text;
  return wrong_type(key, "a string");
}

Result<std::span<const std::string_view>> GgufFile::get_strings(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return no_key(key, "an array of strings");
  const GgufArray* array = value->as_array();
  if (array == nullptr || array->element != GgufType::String) return wrong_type(key, "an array of strings");
  return std::span<const std::string_view>(array->strings);
}

Result<std::vector<f32>> GgufFile::get_f32s(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return no_key(key, "an array of numbers");
  const GgufArray* array = value->as_array();
  if (array == nullptr) return wrong_type(key, "an array of numbers");
  std::vector<f32> out;
  out.reserve(array->raw.size() / sizeof(f32));
  for (u64 i = 0; i < array->size; ++i) {
    const auto number = array->at(i).as_f64();
    if (!number) return wrong_type(key, "an array of numbers");
    out.push_back(static_cast<f32>(*number));
  }
  return out;
}

Result<std::vector<i64>> GgufFile::get_i64s(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return no_key(key, "an array of integers");
  const GgufArray* array = value->as_array();
  if (array == nullptr) return wrong_type(key, "an array of integers");
  std::vector<i64> out;
  out.reserve(array->raw.size() / sizeof(i32));
  for (u64 i = 0; i < array->size; ++i) {
    const auto integer = array->at(i).as_i64();
    if (!integer) return wrong_type(key, "an array of integers of at most 63 bits");
    out.push_back(*integer);
  }
  return out;
}

}  // namespace tl
