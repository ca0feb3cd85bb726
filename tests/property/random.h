// Random choices that are the same on every machine, for programs that are made by a seed.
#pragma once

#include <initializer_list>
#include <vector>

#include "tl/base/hash.h"

namespace tl::property {

class Random {
 public:
  explicit Random(u64 seed) : state_(mix64(seed + 0x9e3779b97f4a7c15ull)) {}
  u64 next() { return mix64(state_ += 0x9e3779b97f4a7c15ull); }
  // In [0, n); 0 where n is 0.
  i64 below(i64 n) { return n <= 0 ? 0 : static_cast<i64>(next() % static_cast<u64>(n)); }
  i64 between(i64 low, i64 high) { return low + below(high - low + 1); }
  bool one_in(i64 n) { return below(n) == 0; }
  template <typename T>
  T pick(std::initializer_list<T> of) {
    return of.begin()[below(static_cast<i64>(of.size()))];
  }

 private:
  u64 state_;
};

}  // namespace tl::property
