// Metadata values of a GGUF file. Text and array elements stay in the mapped file; values point into it.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tl/base/types.h"

namespace tl {

// The numbers are the file's.
enum class GgufType : u32 { U8, I8, U16, I16, U32, I32, F32, Bool, String, Array, U64, I64, F64 };

inline constexpr u32 kGgufTypeCount = 13;
std::string_view name_of(GgufType type);  // "uint8", …, "string", "array"
// Bytes of a number or bool in a file; 0 for strings and arrays.
u64 size_of(GgufType type);

struct GgufArray;

class GgufValue {
 public:
  using Data = std::variant<u64, i64, f64, bool, std::string_view, std::shared_ptr<const GgufArray>>;

  GgufValue(GgufType type, Data data) : type_(type), data_(std::move(data)) {}
  // A number or bool from its size_of(type) bytes, which need no alignment.
  static GgufValue from_bytes(GgufType type, const u8* bytes);

  GgufType type() const { return type_; }
  // "uint32", or "array of 3 strings".
  std::string type_name() const;

  // Each is empty if the value is of another kind or out of range; floats are no integers, integers are
  // floats.
  std::optional<i64> as_i64() const;
  std::optional<u64> as_u64() const;
  std::optional<f64> as_f64() const;
  std::optional<bool> as_bool() const;
  std::optional<std::string_view> as_string() const;
  const GgufArray* as_array() const;

 private:
  GgufType type_;
  Data data_;  // u64 for unsigned types, i64 for signed, f64 for floats
};

// Exactly one of the three holds the elements, by element type.
struct GgufArray {
  GgufType element = GgufType::U8;
  u64 size = 0;
  std::span<const u8> raw;                // numbers and bools, as they lie in the file, perhaps not aligned
  std::vector<std::string_view> strings;  // of String
  std::vector<GgufValue> arrays;          // of Array

  // Element `i` < size.
  GgufValue at(u64 i) const;
};

// For people: 32, true, "text" (in quotes, escaped), [1, 2, … 32000 elements]. Arrays are cut after `shown`
// elements.
std::string to_string(const GgufValue& value, u64 shown = 8);

}  // namespace tl
