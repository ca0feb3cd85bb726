// Joins neighbouring symbols of one word, best pair first, in n log n steps: the heart of both tokenizer
// kinds.
#pragma once

#include <algorithm>
#include <vector>

#include "tl/base/types.h"
#include "tl/text/tokenizer/lookup.h"

namespace tl {

struct Symbol {
  u32 id = kNoSymbol;
  u32 begin = 0, size = 0;  // bytes of the word; size 0: joined into its left neighbour
  u32 previous = kNoSymbol, next = kNoSymbol;
};

// A word on its way from characters to tokens. Reused from word to word to save allocations.
class WordMerger {
 public:
  std::vector<Symbol>& symbols() { return symbols_; }

  void clear() { symbols_.clear(); }
  void push(u32 id, u32 begin, u32 size) { symbols_.push_back({id, begin, size}); }

  // `find(left, right)` gives the Merge of two neighbouring symbols. Of equal ranks the leftmost goes first.
  template <typename Find>
  void merge(const Find& find) {
    heap_.clear();
    for (u32 i = 0; i < symbols_.size(); ++i) {
      symbols_[i].previous = i == 0 ? kNoSymbol : i - 1;
      symbols_[i].next = i + 1 == symbols_.size() ? kNoSymbol : i + 1;
    }
    for (u32 i = 0; i + 1 < symbols_.size(); ++i) {
      if (const Candidate c = candidate(find, i); c.id != kNoSymbol) heap_.push_back(c);
    }
    std::make_heap(heap_.begin(), heap_.end());
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end());
      const Candidate best = heap_.back();
      heap_.pop_back();
      if (join(best)) push_neighbours(find, best.left);
    }
  }

 private:
  struct Candidate {
    u32 rank = 0, left = 0, size = 0, id = kNoSymbol;
    // The heap keeps its greatest on top.
    bool operator<(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : left > other.left;
    }
  };

  template <typename Find>
  Candidate candidate(const Find& find, u32 left) const {
    const Symbol& a = symbols_[left];
    const Symbol& b = symbols_[a.next];
    const Merge merge = find(a, b);
    return {merge.rank, left, a.size + b.size, merge.symbol};
  }

  template <typename Find>
  void push_neighbours(const Find& find, u32 at) {
    for (const u32 left : {symbols_[at].previous, at}) {
      if (left == kNoSymbol || symbols_[left].next == kNoSymbol) continue;
      const Candidate c = candidate(find, left);
      if (c.id == kNoSymbol) continue;
      heap_.push_back(c);
      std::push_heap(heap_.begin(), heap_.end());
    }
  }

  // False if one of the two has changed since. Symbols only grow, so equal sizes mean the same two.
  bool join(const Candidate& best) {
    Symbol& left = symbols_[best.left];
    if (left.size == 0 || left.next == kNoSymbol) return false;
    Symbol& right = symbols_[left.next];
    if (left.size + right.size != best.size) return false;
    left.id = best.id;
    left.size = best.size;
    right.size = 0;
    left.next = right.next;
    if (left.next != kNoSymbol) symbols_[left.next].previous = best.left;
    return true;
  }

  std::vector<Symbol> symbols_;
  std::vector<Candidate> heap_;
};

}  // namespace tl
