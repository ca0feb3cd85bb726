// A 64-bit hash of bytes: for checksums and cache keys, not for security. The same on every machine.
#pragma once

#include <bit>
#include <cstring>
#include <string_view>

#include "tl/base/types.h"

namespace tl {

inline u64 mix64(u64 x) {  // finaliser of splitmix64 (Steele, Lea, Flood 2014)
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

inline u64 hash_combine(u64 seed, u64 value) {
  return mix64(seed * 0x9e3779b97f4a7c15ull + value + 0x632be59bd9b4e019ull);
}

// A running hash over 8-byte words; a tail is padded with zeros and the length is mixed in by digest().
class Hasher {
 public:
  explicit Hasher(u64 seed = 0) : state_(mix64(seed ^ 0x9e3779b97f4a7c15ull)) {}
  void add(u64 value) { state_ = hash_combine(state_, value); }
  void add_bytes(const void* data, size_t size) {
    const u8* p = static_cast<const u8*>(data);
    for (; size >= 8; size -= 8, p += 8) {
      u64 word;
      std::memcpy(&word, p, 8);
      state_ = (std::rotl(state_, 29) ^ word) * 0x9fb21c651e98df25ull;
      length_ += 8;
    }
    if (size > 0) {
      u64 word = 0;
      std::memcpy(&word, p, size);
      state_ = (std::rotl(state_, 29) ^ word) * 0x9fb21c651e98df25ull;
      length_ += size;
    }
  }
  void add(std::string_view text) {
    add(text.size());
    add_bytes(text.data(), text.size());
  }
  u64 digest() const { return mix64(state_ ^ length_); }

 private:
  u64 state_;
  u64 length_ = 0;
};

inline u64 hash_bytes(const void* data, size_t size, u64 seed = 0) {
  Hasher h(seed);
  h.add_bytes(data, size);
  return h.digest();
}

}  // namespace tl
