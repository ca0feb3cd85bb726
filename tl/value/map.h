// Maps and sets: found by their keys, kept in the order in which the keys came. Shared and mutable like
// lists.
#pragma once

#include "tl/base/hash.h"
#include "tl/value/value.h"

namespace tl::lang {

// Of an int, float, bool, string, element type, none or tuple of those: what is equal has the same. Anything
// else may change, or has no equality, and is no key.
Result<u64> hash_of(const Value& key);

// The same for the commonest keys at once; false: ask hash_of.
inline bool quick_hash(const Value& key, u64& hash) {
  if (key.is_int()) {
    hash = mix64(static_cast<u64>(key.as_int()));
    return true;
  }
  const auto* text = key.get_if<String>();
  if (text != nullptr) hash = text->hash();
  return text != nullptr;
}

// Entries lie in one row, key by key (a map: key, value, key, value), beside a table of where each key is.
// What is removed leaves an empty key behind until the whole is laid out anew.
class Keyed : public Container {
 public:
  static constexpr size_t kNowhere = ~size_t{0};

  explicit Keyed(ObjectKind kind) : Container(kind), stride_(kind == ObjectKind::Map ? 2 : 1) {}
  std::span<Value> items_inside() override { return entries_; }

  bool has_values() const { return stride_ == 2; }
  i64 size() const { return live_; }
  // The entry of a key that hash_of knows, or kNowhere.
  size_t find(const Value& key, u64 hash) const;
  // From entry to entry, in order; kNowhere at the end.
  size_t first() const { return skip_empty(0); }
  size_t after(size_t at) const { return skip_empty(at + 1); }
  const Value& key(size_t at) const { return entries_[at * stride_]; }
  const Value& value(size_t at) const { return entries_[at * stride_ + 1]; }
  Value& value(size_t at) { return entries_[at * stride_ + 1]; }

  // Where the key is from then on; a map's value is Empty if it is new.
  size_t add(const Value& key, u64 hash);
  void remove(size_t at);
  void clear();

  // For copies (tl/builtins/task.h): everything but the entries themselves, which must follow.
  void copy_keys(const Keyed& from);
  const std::vector<Value>& entries() const { return entries_; }
  std::vector<Value>& entries() { return entries_; }

 private:
  size_t skip_empty(size_t at) const;
  size_t count() const { return hashes_.size(); }
  void lay_out(size_t capacity);
  void put(u64 hash, u32 entry);

  const size_t stride_;
  i64 live_ = 0;
  std::vector<Value> entries_;
  std::vector<u64> hashes_;  // of each entry
  // A power of two; entry + 1, 0: free.
  std::vector<u32> table_;
};

struct Map : Keyed {
  static constexpr ObjectKind kKind = ObjectKind::Map;
  Map() : Keyed(kKind) {}
};
struct Set : Keyed {
  static constexpr ObjectKind kKind = ObjectKind::Set;
  Set() : Keyed(kKind) {}
};

// As lists have them.
std::vector<Value> keys_of(const Keyed& keyed);
std::vector<Value> values_of(const Map& map);
std::vector<Value> pairs_of(const Keyed& map);

// The map or set, or null.
inline Keyed* keyed_of(const Value& value) {
  const bool is = value.is(ObjectKind::Map) || value.is(ObjectKind::Set);
  return is ? static_cast<Keyed*>(value.object()) : nullptr;
}

}  // namespace tl::lang
