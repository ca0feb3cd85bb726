// What a variable of a program can hold: 16 bytes, scalars in place, everything else a counted reference to
// an Object. References are counted without atomics: values stay on the thread of their interpreter (tensors,
// which may cross, are counted by tl/tensor).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tl/tensor/graph.h"

namespace tl::lang {

enum class Tag : u8 { Empty, Unit, Int, Float, Bool, DType, Object };

enum class ObjectKind : u8 {
  String,
  List,
  Tuple,
  Range,
  Tensor,
  Struct,
  Function,
  Builtin,
  Cell,
  Model,
  ModelPath,
  Metadata,
  Tokenizer,
  StreamDecoder,
  KVCache,
  NpyWriter,
  Task,
  Generator,
  Map,
  Set,
};

struct Object {
  explicit Object(ObjectKind k) : kind(k), birth(current_birth) {}
  Object(const Object&) = delete;
  virtual ~Object() = default;

  u32 references = 0;
  const ObjectKind kind;
  // The trace (tl/interp/tracer.h) under which it was made; 0: none. What is older than a function's call is
  // its caller's.
  const u32 birth : 24;
  static thread_local constinit u32 current_birth;
};

// A place in a ring of containers.
struct ContainerLink {
  ContainerLink *previous = this, *next = this;
};
// All containers that were made while it was the thread's current one: those in cycles are found among them
// (tl/value/heap.h).
struct ContainerRing : ContainerLink {
  i64 count = 0;
  static thread_local constinit ContainerRing* current;
};

class Value;
// An object that holds values, and so may be part of a cycle, which counting does not free.
struct Container : Object, ContainerLink {
  explicit Container(ObjectKind k) : Object(k) {
    ContainerRing* const ring = ContainerRing::current;
    if (ring == nullptr) return;
    ++ring->count;
    previous = ring, next = ring->next;
    next->previous = ring->next = this;
  }
  ~Container() override {
    previous->next = next, next->previous = previous;
    if (ContainerRing::current != nullptr) --ContainerRing::current->count;
  }
  virtual std::span<Value> items_inside() = 0;

  static constexpr u32 kNotLookedAt = ~0u;
  u32 outside = kNotLookedAt;  // while cycles are looked for: references from outside of containers
};

// Deletes an object nobody refers to; a long chain of objects is freed without recursion.
void destroy(Object* object);

class Value {
 public:
  Value() : bits_(0), tag_(Tag::Empty) {}
  Value(i64 v) : int_(v), tag_(Tag::Int) {}
  Value(f64 v) : float_(v), tag_(Tag::Float) {}
  Value(bool v) : bits_(v ? 1 : 0), tag_(Tag::Bool) {}
  Value(tl::DType v) : bits_(static_cast<u64>(v)), tag_(Tag::DType) {}
  explicit Value(Object* o) : object_(o), tag_(Tag::Object) { ++o->references; }
  Value(const char*) = delete;  // text is a String: make_string
  static Value unit() {
    Value v;
    v.tag_ = Tag::Unit;
    return v;
  }

  Value(const Value& other) : bits_(other.bits_), tag_(other.tag_), symbol_(other.symbol_) {
    if (tag_ == Tag::Object) ++object_->references;
  }
  Value(Value&& other) noexcept
      : bits_(other.bits_), tag_(std::exchange(other.tag_, Tag::Empty)), symbol_(other.symbol_) {}
  Value& operator=(const Value& other) {
    Value copy(other);
    swap(copy);
    return *this;
  }
  Value& operator=(Value&& other) noexcept {
    Value moved(std::move(other));
    swap(moved);
    return *this;
  }
  ~Value() { release(); }

  void swap(Value& other) noexcept {
    std::swap(bits_, other.bits_);
    std::swap(tag_, other.tag_);
    std::swap(symbol_, other.symbol_);
  }
  // Assignments of scalars for the interpreter's inner loop.
  void set(i64 v) { release(), int_ = v, tag_ = Tag::Int, symbol_ = 0; }
  void set(f64 v) { release(), float_ = v, tag_ = Tag::Float; }
  void set(bool v) { release(), bits_ = v ? 1 : 0, tag_ = Tag::Bool; }
  void clear() { release(), tag_ = Tag::Empty; }

  Tag tag() const { return tag_; }
  bool is_empty() const { return tag_ == Tag::Empty; }
  bool is_unit() const { return tag_ == Tag::Unit; }
  bool is_int() const { return tag_ == Tag::Int; }
  bool is_float() const { return tag_ == Tag::Float; }
  bool is_bool() const { return tag_ == Tag::Bool; }
  bool is_dtype() const { return tag_ == Tag::DType; }
  bool is_number() const { return is_int() || is_float(); }
  bool is_object() const { return tag_ == Tag::Object; }
  bool is(ObjectKind kind) const { return tag_ == Tag::Object && object_->kind == kind; }

  // Each for a value of that kind only.
  i64 as_int() const { return int_; }
  f64 as_float() const { return float_; }
  bool as_bool() const { return bits_ != 0; }
  tl::DType as_dtype() const { return static_cast<tl::DType>(bits_); }
  Object* object() const { return object_; }
  // Which int of the trace under way this int is (tl/interp/tracer.h); anything while there is none.
  u32 symbol() const { return symbol_; }
  void set_symbol(u32 symbol) { symbol_ = symbol; }
  f64 number() const { return is_int() ? static_cast<f64>(int_) : float_; }

  template <typename T>
  T* get_if() const {
    return is(T::kKind) ? static_cast<T*>(object_) : nullptr;
  }
  template <typename T>
  T& as() const {
    TL_DCHECK(is(T::kKind), "object of another kind");
    return *static_cast<T*>(object_);
  }

 private:
  void release() {
    if (tag_ == Tag::Object && --object_->references == 0) destroy(object_);
  }
  union {
    u64 bits_;
    i64 int_;
    f64 float_;
    Object* object_;
  };
  Tag tag_;
  u32 symbol_ = 0;
};
static_assert(sizeof(Value) == 16);

template <ObjectKind K, typename Base = Object>
struct ObjectOf : Base {
  static constexpr ObjectKind kKind = K;
  ObjectOf() : Base(K) {}
};

// UTF-8 that no program changes (bytes that are not UTF-8 are kept, and count as one character each).
class String : public ObjectOf<ObjectKind::String> {
 public:
  explicit String(std::string t) : text(std::move(t)) {}
  i64 chars() const { return chars_ >= 0 ? chars_ : count_chars(); }
  // Every character is a byte.
  bool is_bytes() const { return chars() == static_cast<i64>(text.size()); }
  u64 hash() const { return hash_ != 0 ? hash_ : make_hash(); }
  // Only while nobody else refers to it: text does not change for those who hold it.
  void append(std::string_view more);

  std::string text;

 private:
  i64 count_chars() const;
  u64 make_hash() const;
  mutable i64 chars_ = -1;  // -1: not counted yet
  mutable u64 hash_ = 0;    // 0: not known yet
};
// Shared and mutable, as in Python: `b = a` makes b another name of the same list.
struct List : ObjectOf<ObjectKind::List, Container> {
  std::span<Value> items_inside() override { return items; }
  std::vector<Value> items;
  bool is_vec = false;  // made by IntVec::new() and its kin: prints as Vec[...]
};
struct Tuple : ObjectOf<ObjectKind::Tuple, Container> {
  std::span<Value> items_inside() override { return items; }
  std::vector<Value> items;
};
// The ints begin, begin + step, ... before end.
struct Range : ObjectOf<ObjectKind::Range> {
  Range(i64 b, i64 e, i64 s) : begin(b), end(e), step(s) {}
  i64 size() const;
  i64 at(i64 i) const { return begin + i * step; }
  const i64 begin, end, step;  // step is not 0
};
struct TensorValue : ObjectOf<ObjectKind::Tensor> {
  explicit TensorValue(Tensor t, bool literal = false) : tensor(std::move(t)), is_literal(literal) {}
  const Tensor tensor;
  const bool is_literal;  // a nested literal: takes the element type of the tensor it meets
};
// What the fields of a struct are called; owned by the program that declares it.
struct StructType {
  std::string name;
  std::vector<std::string> fields;
  std::string variant_of = {};             // the enum that it is a variant of; empty: it is a struct
  bool has_drop = false;                   // what goes is handed to DropQueue::current first
  int find(std::string_view field) const;  // -1: none
};
struct Struct : ObjectOf<ObjectKind::Struct, Container> {
  explicit Struct(const StructType& t) : type(t), fields(t.fields.size()) {}
  std::span<Value> items_inside() override { return fields; }
  const StructType& type;
  std::vector<Value> fields;
  bool is_dropped = false;  // or never to be
};
// Structs with a `drop` that nobody refers to any more, in the order in which they were let go: the
// interpreter of this thread calls it, then they go.
struct DropQueue {
  std::vector<Value> values;
  static thread_local constinit DropQueue* current;  // null: they just go
};
// A variable that a closure shares with the function around it.
struct Cell : ObjectOf<ObjectKind::Cell, Container> {
  std::span<Value> items_inside() override { return {&value, 1}; }
  Value value;
};
// A function of the program, with the cells it captured; `code` is the interpreter's.
struct Function : ObjectOf<ObjectKind::Function, Container> {
  Function(const void* c, std::string_view n) : code(c), name(n) {}
  std::span<Value> items_inside() override { return captures; }
  const void* const code;
  const std::string_view name;
  std::vector<Value> captures;
};

Value make_string(std::string text);
Value make_list(std::vector<Value> items);
Value make_ints(std::span<const i64> values);
Value make_tuple(std::vector<Value> items);
Value make_tensor(Tensor tensor);

// "int", "string", "list", "float32[2, 3]", "Point": as messages name it.
std::string type_name(const Value& value);
// Nesting that equality, printing and conversion follow; what is deeper fails there.
inline constexpr int kMaxNesting = 200;
// The tensor inside, or null.
const Tensor* tensor_of(const Value& value);

// Equality of everything but tensors (the operators see to those): numbers by value, lists and structs item
// by item, functions and models by identity. Fails on tensors inside and beyond kMaxNesting.
Result<bool> equal(const Value& a, const Value& b);

}  // namespace tl::lang
