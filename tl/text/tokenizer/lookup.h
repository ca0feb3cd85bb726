// Hash tables of the vocabulary: pieces to ids, and pairs of symbols to what they merge into. Filled once,
// then only read, so they are open-addressed and never erase.
#pragma once

#include <bit>
#include <string>
#include <string_view>
#include <vector>

#include "tl/base/hash.h"
#include "tl/base/types.h"

namespace tl {

inline constexpr u32 kNoSymbol = 0xffffffffu;

class PieceIndex {
 public:
  // Room for `count` pieces; the callers keep the pieces themselves.
  void reserve(size_t count) { slots_.assign(std::bit_ceil(2 * count + 1), {}); }
  // Adds pieces[id], unless the same piece is there already.
  void add(const std::vector<std::string>& pieces, u32 id) {
    const u64 hash = hash_of(pieces[id]);
    Slot& slot = slots_[slot_of(pieces, pieces[id], hash)];
    if (slot.id == kNoSymbol) slot = {static_cast<u32>(hash >> 32), id};
  }
  u32 find(const std::vector<std::string>& pieces, std::string_view piece) const {
    return slots_.empty() ? kNoSymbol : slots_[slot_of(pieces, piece, hash_of(piece))].id;
  }

 private:
  struct Slot {
    u32 tag = 0;  // half of the hash: spares looking at most pieces that differ
    u32 id = kNoSymbol;
  };

  static u64 hash_of(std::string_view piece) { return hash_bytes(piece.data(), piece.size()); }
  // Where `piece` is, or where it would go. At least half of the slots are empty, so this ends.
  size_t slot_of(const std::vector<std::string>& pieces, std::string_view piece, u64 hash) const {
    const size_t mask = slots_.size() - 1;
    const u32 tag = static_cast<u32>(hash >> 32);
    size_t at = hash & mask;
    while (slots_[at].id != kNoSymbol && (slots_[at].tag != tag || pieces[slots_[at].id] != piece)) {
      at = (at + 1) & mask;
    }
    return at;
  }

  std::vector<Slot> slots_;
};

// What two neighbours become; the lower rank goes first.
struct Merge {
  u32 rank = 0;
  u32 symbol = kNoSymbol;  // kNoSymbol: they do not merge
};

class PairTable {
 public:
  void reserve(size_t count) { slots_.assign(std::bit_ceil(2 * count + 1), {}); }
  // Adds a pair, unless it is there already.
  void add(u32 left, u32 right, Merge merge) {
    Slot& slot = slots_[slot_of(key_of(left, right))];
    if (slot.merge.symbol == kNoSymbol) slot = {key_of(left, right), merge};
  }
  Merge find(u32 left, u32 right) const {
    return slots_.empty() ? Merge() : slots_[slot_of(key_of(left, right))].merge;
  }

 private:
  struct Slot {
    u64 key = 0;
    Merge merge = {};
  };

  static u64 key_of(u32 left, u32 right) { return u64{left} << 32 | right; }
  size_t slot_of(u64 key) const {
    const size_t mask = slots_.size() - 1;
    size_t at = mix64(key) & mask;
    while (slots_[at].merge.symbol != kNoSymbol && slots_[at].key != key) at = (at + 1) & mask;
    return at;
  }

  std::vector<Slot> slots_;
};

}  // namespace tl
