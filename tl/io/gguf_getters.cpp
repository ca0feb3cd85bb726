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

template <typename T>
Result<T> GgufFile::get(std::string_view key, std::string_view wanted,
                        std::optional<T> (GgufValue::*read)() const) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return no_key(key, wanted);
  if (const std::optional<T> found = (value->*read)()) return *found;
  return wrong_type(key, wanted);
}

Result<u64> GgufFile::get_u64(std::string_view key) const {
  return get(key, "an integer of at least 0", &GgufValue::as_u64);
}
Result<i64> GgufFile::get_i64(std::string_view key) const {
  return get(key, "an integer of at most 63 bits", &GgufValue::as_i64);
}
Result<f64> GgufFile::get_f64(std::string_view key) const {
  return get(key, "a number", &GgufValue::as_f64);
}
Result<bool> GgufFile::get_bool(std::string_view key) const {
  return get(key, "a bool", &GgufValue::as_bool);
}
Result<std::string_view> GgufFile::get_string(std::string_view key) const {
  return get(key, "a string", &GgufValue::as_string);
}

Result<const GgufArray*> GgufFile::get_array(std::string_view key, std::string_view wanted) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return no_key(key, wanted);
  const GgufArray* array = value->as_array();
  if (array == nullptr) return wrong_type(key, wanted);
  return array;
}

Result<std::span<const std::string_view>> GgufFile::get_strings(std::string_view key) const {
  TL_TRY(const GgufArray* array, get_array(key, "an array of strings"));
  if (array->element != GgufType::String) return wrong_type(key, "an array of strings");
  return std::span<const std::string_view>(array->strings);
}

Result<std::vector<f32>> GgufFile::get_f32s(std::string_view key) const {
  TL_TRY(const GgufArray* array, get_array(key, "an array of numbers"));
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
  TL_TRY(const GgufArray* array, get_array(key, "an array of integers"));
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
