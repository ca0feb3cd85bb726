// The values of a chat template: JSON's, plus undefined and the objects a template makes (macros,
// namespaces). They behave as Python's do, since templates are written for it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "tl/base/result.h"
#include "tl/base/types.h"

namespace tl::jinja {

class Value;
using List = std::vector<Value>;
using Dict = std::vector<std::pair<Value, Value>>;  // in order of insertion; keys are strings or integers

// What only a running template holds: namespace, loop, macro, function, method.
class Object {
 public:
  virtual ~Object() = default;
  virtual std::string_view type_name() const = 0;
  virtual Value get(std::string_view name) const = 0;    // undefined if there is none
  virtual bool set(std::string_view name, Value value);  // false: it cannot be changed
};

class Value {
 public:
  struct Undefined {};
  struct None {};

  Value() = default;  // undefined
  Value(None) : data_(None()) {}
  template <typename T>
  requires std::is_same_v<T, bool> Value(T value) : data_(value) {}  // nothing that only converts to bool
  Value(i64 value) : data_(value) {}
  Value(int value) : data_(i64{value}) {}
  Value(f64 value) : data_(value) {}
  Value(std::string text);
  Value(std::string_view text) : Value(std::string(text)) {}
  Value(const char* text) : Value(std::string(text)) {}
  Value(List list);
  Value(Dict dict);
  Value(std::shared_ptr<Object> object) : data_(std::move(object)) {}
  // What map and select give: elements to come, of which nobody knows the number, so always true.
  static Value generator(List list);
  // A list that Python writes in round brackets.
  static Value tuple(List list);

  bool is_undefined() const { return std::holds_alternative<Undefined>(data_); }
  bool is_none() const { return std::holds_alternative<None>(data_); }
  // Null if it is something else.
  const bool* as_bool() const { return std::get_if<bool>(&data_); }
  const i64* as_int() const { return std::get_if<i64>(&data_); }
  const f64* as_float() const { return std::get_if<f64>(&data_); }
  const std::string* as_string() const { return pointer<const std::string>(); }
  const List* as_list() const { return pointer<const List>(); }
  const Dict* as_dict() const { return pointer<const Dict>(); }
  Object* as_object() const { return pointer<Object>(); }
  // Of a dictionary; undefined if there is none.
  Value member(const Value& key) const;
  bool is_generator() const { return sequence_ == Sequence::Generator; }
  bool is_tuple() const { return sequence_ == Sequence::Tuple; }

  std::string_view type_name() const;  // "a string", for messages
  bool truthy() const;
  // About how many steps it takes to walk all of it; parts that are shared count each time they are met.
  u32 weight() const { return weight_; }

 private:
  template <typename T>
  T* pointer() const {
    const auto* p = std::get_if<std::shared_ptr<T>>(&data_);
    return p == nullptr ? nullptr : p->get();
  }

  std::variant<Undefined, None, bool, i64, f64, std::shared_ptr<const std::string>,
               std::shared_ptr<const List>, std::shared_ptr<const Dict>, std::shared_ptr<Object>>
      data_;
  u32 weight_ = 1;
  enum class Sequence : u8 { List, Tuple, Generator } sequence_ = Sequence::List;
};

// Booleans count as 0 and 1.
bool is_number(const Value& value);
f64 to_f64(const Value& number);
// An integer or boolean.
bool to_i64(const Value& value, i64& out);

bool equal(const Value& a, const Value& b, u32 depth = 0);
// Negative, zero or positive; fails if the two have no order.
Result<int> compare(const Value& a, const Value& b);
// str(value) and repr(value).
std::string to_text(const Value& value);
std::string to_repr(const Value& value, u32 depth = 0);

struct JsonStyle {
  i64 indent = -1;  // spaces per level; negative: one line
  bool sort_keys = false;
  bool ascii = false;
  std::string item_separator = {}, key_separator = {};  // empty: Python's
};
// Fails if the value holds an object.
Result<std::string> to_json(const Value& value, const JsonStyle& style = {}, u32 depth = 0);
Result<Value> from_json(std::string_view text);

}  // namespace tl::jinja
