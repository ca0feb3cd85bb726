#include "tl/value/map.h"

#include <bit>
#include <cmath>

#include "tl/base/hash.h"

namespace tl::lang {
namespace {

u64 hash_of_float(f64 value) {
  if (std::floor(value) == value && std::abs(value) < 0x1p63)
    return mix64(static_cast<u64>(static_cast<i64>(value)));
  return mix64(std::bit_cast<u64>(value) + 1);
}

Result<u64> hash_at(const Value& key, int depth) {
  switch (key.tag()) {
    case Tag::Int:
      return mix64(static_cast<u64>(key.as_int()));
    case Tag::Float:
      return hash_of_float(key.as_float());
    case Tag::Bool:
      return mix64(key.as_bool() ? 0x51u : 0x52u) + 1;
    case Tag::DType:
      return mix64(static_cast<u64>(key.as_dtype())) + 2;
    case Tag::Unit:
      return u64{0x6e6f6e65};
    default:
      break;
  }
  if (const auto* text = key.get_if<String>()) return text->hash();
  if (const auto* tuple = key.get_if<Tuple>(); tuple != nullptr && depth < kMaxNesting) {
    u64 hash = tuple->items.size();
    for (const Value& item : tuple->items) {
      TL_TRY(const u64 more, hash_at(item, depth + 1));
      hash = hash_combine(hash, more);
    }
    return hash;
  }
  return fail(Code::BadProgram, "a {} cannot be a key, want an int, float, bool, string or tuple of those",
              type_name(key));
}

// Of values that hash_of takes.
bool is_same(const Value& a, const Value& b) {
  if (a.is_int() && b.is_int()) return a.as_int() == b.as_int();
  if (a.is_number() && b.is_number()) {
    if (a.is_float() && b.is_float()) return a.as_float() == b.as_float();
    const f64 f = a.is_float() ? a.as_float() : b.as_float();
    const i64 i = a.is_int() ? a.as_int() : b.as_int();
    return std::floor(f) == f && std::abs(f) < 0x1p63 && static_cast<i64>(f) == i;
  }
  if (a.tag() != b.tag()) return false;
  switch (a.tag()) {
    case Tag::Bool:
      return a.as_bool() == b.as_bool();
    case Tag::DType:
      return a.as_dtype() == b.as_dtype();
    case Tag::Object:
      break;
    default:
      return true;
  }
  if (a.object() == b.object()) return true;
  if (a.object()->kind != b.object()->kind) return false;
  if (const auto* text = a.get_if<String>()) return text->text == b.as<String>().text;
  const auto &x = a.as<Tuple>().items, &y = b.as<Tuple>().items;
  if (x.size() != y.size()) return false;
  for (size_t i = 0; i < x.size(); ++i) {
    if (!is_same(x[i], y[i])) return false;
  }
  return true;
}

}  // namespace

Result<u64> hash_of(const Value& key) {
  return hash_at(key, 0);
}

size_t Keyed::find(const Value& key, u64 hash) const {
  if (table_.empty()) return kNowhere;
  const size_t mask = table_.size() - 1;
  for (size_t slot = hash & mask;; slot = (slot + 1) & mask) {
    const u32 entry = table_[slot];
    if (entry == 0) return kNowhere;
    const size_t at = entry - 1;
    // One that was removed has an empty key, which is the same as no other.
    if (hashes_[at] == hash && is_same(entries_[at * stride_], key)) return at;
  }
}

size_t Keyed::skip_empty(size_t at) const {
  while (at < count() && entries_[at * stride_].is_empty()) ++at;
  return at < count() ? at : kNowhere;
}

size_t Keyed::add(const Value& key, u64 hash) {
  if (const size_t at = find(key, hash); at != kNowhere) return at;
  if ((count() + 1) * 3 > table_.size() * 2) {
    const auto wanted = static_cast<size_t>(live_ + 1);
    TL_CHECK(wanted < size_t{1} << 31, "a map of {} keys", wanted);
    lay_out(std::bit_ceil(std::max<size_t>(wanted * 3, 8)));
  }
  const size_t at = count();
  entries_.push_back(key);
  if (stride_ == 2) entries_.emplace_back();
  hashes_.push_back(hash);
  put(hash, static_cast<u32>(at + 1));
  ++live_;
  return at;
}

void Keyed::put(u64 hash, u32 entry) {
  const size_t mask = table_.size() - 1;
  size_t slot = hash & mask;
  while (table_[slot] != 0) slot = (slot + 1) & mask;
  table_[slot] = entry;
}

void Keyed::lay_out(size_t capacity) {
  if (static_cast<size_t>(live_) < count()) {
    size_t to = 0;
    for (size_t at = first(); at != kNowhere; at = after(at), ++to) {
      if (at == to) continue;
      for (size_t k = 0; k < stride_; ++k) entries_[to * stride_ + k] = std::move(entries_[at * stride_ + k]);
      hashes_[to] = hashes_[at];
    }
    entries_.resize(to * stride_);
    hashes_.resize(to);
  }
  table_.assign(capacity, 0);
  for (size_t at = 0; at < count(); ++at) put(hashes_[at], static_cast<u32>(at + 1));
}

void Keyed::remove(size_t at) {
  --live_;
  Value key = std::move(entries_[at * stride_]);
  Value value = stride_ == 2 ? std::move(entries_[at * stride_ + 1]) : Value();
  const auto gone = static_cast<i64>(count()) - live_;
  if (live_ == 0)
    clear();
  else if (gone > live_ + 8)
    lay_out(table_.size());
}  // key and value go last: what they hold may be anything

void Keyed::clear() {
  const std::vector<Value> gone = std::move(entries_);
  entries_.clear();
  hashes_.clear();
  table_.clear();
  live_ = 0;
}

std::vector<Value> keys_of(const Keyed& keyed) {
  std::vector<Value> out;
  out.reserve(static_cast<size_t>(keyed.size()));
  for (size_t at = keyed.first(); at != Keyed::kNowhere; at = keyed.after(at)) out.push_back(keyed.key(at));
  return out;
}
std::vector<Value> values_of(const Map& map) {
  std::vector<Value> out;
  out.reserve(static_cast<size_t>(map.size()));
  for (size_t at = map.first(); at != Keyed::kNowhere; at = map.after(at)) out.push_back(map.value(at));
  return out;
}
std::vector<Value> pairs_of(const Keyed& map) {
  std::vector<Value> out;
  out.reserve(static_cast<size_t>(map.size()));
  for (size_t at = map.first(); at != Keyed::kNowhere; at = map.after(at))
    out.push_back(make_tuple({map.key(at), map.value(at)}));
  return out;
}

void Keyed::copy_keys(const Keyed& from) {
  live_ = from.live_;
  hashes_ = from.hashes_;
  table_ = from.table_;
}

}  // namespace tl::lang
