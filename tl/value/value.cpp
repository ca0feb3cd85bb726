#include "tl/value/value.h"

#include <algorithm>

#include "tl/base/hash.h"
#include "tl/base/utf8.h"
#include "tl/value/map.h"

namespace tl::lang {

thread_local constinit u32 Object::current_birth = 0;
thread_local constinit ContainerRing* ContainerRing::current = nullptr;

thread_local constinit DropQueue* DropQueue::current = nullptr;

static bool waits_for_drop(Object* object) {
  if (object->kind != ObjectKind::Struct || DropQueue::current == nullptr) return false;
  auto* s = static_cast<Struct*>(object);
  if (!s->type.has_drop || s->is_dropped) return false;
  s->is_dropped = true;
  DropQueue::current->values.emplace_back(s);
  return true;
}

void destroy(Object* object) {
  if (waits_for_drop(object)) return;
  thread_local std::vector<Object*> dead;
  thread_local bool draining = false;
  if (draining) {
    dead.push_back(object);
    return;
  }
  draining = true;
  delete object;
  while (!dead.empty()) {
    Object* next = dead.back();
    dead.pop_back();
    delete next;
  }
  draining = false;
}

i64 Range::size() const {
  if (step > 0)
    return end <= begin ? 0
                        : static_cast<i64>((static_cast<u64>(end) - static_cast<u64>(begin) - 1) /
                                           static_cast<u64>(step)) +
                              1;
  return end >= begin ? 0
                      : static_cast<i64>((static_cast<u64>(begin) - static_cast<u64>(end) - 1) /
                                         (0 - static_cast<u64>(step))) +
                            1;
}

i64 String::count_chars() const {
  return chars_ = utf8::count_chars(text);
}

u64 String::make_hash() const {
  return hash_ = std::max<u64>(hash_bytes(text.data(), text.size()), 1);
}

void String::append(std::string_view more) {
  TL_DCHECK(references == 1, "a string of {} references changes", references);
  text += more;
  chars_ = -1, hash_ = 0;
}

int StructType::find(std::string_view field) const {
  const auto it = std::find(fields.begin(), fields.end(), field);
  return it == fields.end() ? -1 : static_cast<int>(it - fields.begin());
}

Value make_string(std::string text) {
  return Value(new String(std::move(text)));
}

Value make_list(std::vector<Value> items) {
  auto* list = new List;
  list->items = std::move(items);
  return Value(list);
}

Value make_ints(std::span<const i64> values) {
  auto* list = new List;
  list->items.assign(values.begin(), values.end());
  return Value(list);
}

Value make_tuple(std::vector<Value> items) {
  auto* tuple = new Tuple;
  tuple->items = std::move(items);
  return Value(tuple);
}

Value make_tensor(Tensor tensor) {
  return Value(new TensorValue(std::move(tensor)));
}

const Tensor* tensor_of(const Value& value) {
  const auto* t = value.get_if<TensorValue>();
  return t != nullptr ? &t->tensor : nullptr;
}

static std::string object_type_name(const Value& value) {
  switch (value.object()->kind) {
    case ObjectKind::String:
      return "string";
    case ObjectKind::List:
      return "list";
    case ObjectKind::Tuple:
      return "tuple";
    case ObjectKind::Range:
      return "range";
    case ObjectKind::Tensor:
      return to_string(value.as<TensorValue>().tensor.type());
    case ObjectKind::Struct:
      return value.as<Struct>().type.variant_of.empty() ? value.as<Struct>().type.name
                                                        : value.as<Struct>().type.variant_of;
    case ObjectKind::Function:
    case ObjectKind::Builtin:
      return "function";
    case ObjectKind::Cell:
      return "cell";
    case ObjectKind::Model:
      return "Model";
    case ObjectKind::ModelPath:
      return "part of a Model";
    case ObjectKind::Metadata:
      return "metadata";
    case ObjectKind::Tokenizer:
      return "Tokenizer";
    case ObjectKind::StreamDecoder:
      return "StreamDecoder";
    case ObjectKind::KVCache:
      return "KVCache";
    case ObjectKind::NpyWriter:
      return "NpyWriter";
    case ObjectKind::Task:
      return "Task";
    case ObjectKind::Generator:
      return "Generator";
    case ObjectKind::Map:
      return "map";
    case ObjectKind::Set:
      return "set";
  }
  return "?";
}

std::string type_name(const Value& value) {
  switch (value.tag()) {
    case Tag::Empty:
      return "nothing";
    case Tag::Unit:
      return "none";
    case Tag::Int:
      return "int";
    case Tag::Float:
      return "float";
    case Tag::Bool:
      return "bool";
    case Tag::DType:
      return "dtype";
    case Tag::Object:
      return object_type_name(value);
  }
  return "?";
}

static Result<bool> equal_at(const Value& a, const Value& b, int depth);

static Result<bool> equal_items(std::span<const Value> a, std::span<const Value> b, int depth) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    TL_TRY(const bool same, equal_at(a[i], b[i], depth + 1));
    if (!same) return false;
  }
  return true;
}

// A range equals the list of its ints.
static Result<bool> equal_range(const Range& range, const Value& other, int depth) {
  if (const auto* b = other.get_if<Range>()) {
    const i64 size = range.size();
    if (size != b->size()) return false;
    return size == 0 || (range.begin == b->begin && (size == 1 || range.step == b->step));
  }
  const std::vector<Value>& items = other.as<List>().items;
  if (range.size() != static_cast<i64>(items.size())) return false;
  for (size_t i = 0; i < items.size(); ++i) {
    TL_TRY(const bool same, equal_at(Value(range.at(static_cast<i64>(i))), items[i], depth + 1));
    if (!same) return false;
  }
  return true;
}

// The same keys, with the same values, in any order.
static Result<bool> equal_keyed(const Keyed& a, const Keyed& b, int depth) {
  if (a.size() != b.size()) return false;
  for (size_t at = a.first(); at != Keyed::kNowhere; at = a.after(at)) {
    const size_t there = b.find(a.key(at), *hash_of(a.key(at)));
    if (there == Keyed::kNowhere) return false;
    if (!a.has_values()) continue;
    TL_TRY(const bool same, equal_at(a.value(at), b.value(there), depth + 1));
    if (!same) return false;
  }
  return true;
}

static Result<bool> equal_objects(const Value& a, const Value& b, int depth) {
  const auto is_sequence = [](const Value& v) { return v.is(ObjectKind::List) || v.is(ObjectKind::Range); };
  if (is_sequence(a) && is_sequence(b)) {
    if (a.is(ObjectKind::List) && b.is(ObjectKind::List)) {
      return equal_items(a.as<List>().items, b.as<List>().items, depth);
    }
    return a.is(ObjectKind::Range) ? equal_range(a.as<Range>(), b, depth)
                                   : equal_range(b.as<Range>(), a, depth);
  }
  if (a.object()->kind != b.object()->kind) return false;
  switch (a.object()->kind) {
    case ObjectKind::String:
      return a.as<String>().text == b.as<String>().text;
    case ObjectKind::Tuple:
      return equal_items(a.as<Tuple>().items, b.as<Tuple>().items, depth);
    case ObjectKind::Struct:
      if (&a.as<Struct>().type != &b.as<Struct>().type) return false;
      return equal_items(a.as<Struct>().fields, b.as<Struct>().fields, depth);
    case ObjectKind::Map:
    case ObjectKind::Set:
      return equal_keyed(*static_cast<const Keyed*>(a.object()), *static_cast<const Keyed*>(b.object()),
                         depth);
    case ObjectKind::Tensor:
      return fail(Code::BadProgram, "tensors inside a list cannot be compared at once");
    default:
      return false;
  }
}

static Result<bool> equal_at(const Value& a, const Value& b, int depth) {
  if (depth > kMaxNesting)
    return fail(Code::BadProgram, "values nested more than {} deep cannot be compared", kMaxNesting);
  if (a.is_number() && b.is_number()) {
    if (a.is_int() && b.is_int()) return a.as_int() == b.as_int();
    return a.number() == b.number();
  }
  if (a.tag() != b.tag()) return false;
  switch (a.tag()) {
    case Tag::Bool:
      return a.as_bool() == b.as_bool();
    case Tag::DType:
      return a.as_dtype() == b.as_dtype();
    case Tag::Object:
      if (a.object() == b.object() && !a.is(ObjectKind::Tensor)) return true;
      return equal_objects(a, b, depth);
    default:
      return true;
  }
}

Result<bool> equal(const Value& a, const Value& b) {
  return equal_at(a, b, 0);
}

}  // namespace tl::lang
