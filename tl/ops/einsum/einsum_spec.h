// What an einsum spec says about given inputs: one label per axis, checked against the sizes.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tl/base/result.h"
#include "tl/tensor/op.h"

namespace tl {

// Labels 0 to 51 are letters in alphabetical order, upper case first; kEllipsis + k is the k-th axis from the
// right of those under `...`.
using Labels = std::vector<int>;
inline constexpr int kEllipsis = 52;
inline constexpr int kLabels = kEllipsis + kMaxRank;
using LabelSet = u64;
inline LabelSet set_of(const Labels& labels) {
  LabelSet set = 0;
  for (const int l : labels) set |= u64{1} << l;
  return set;
}
inline bool contains(LabelSet set, int label) {
  return (set >> label & 1) != 0;
}

struct EinsumSpec {
  std::vector<Labels> inputs;
  Labels output;
  std::array<i64, kLabels> size{};  // kUnknownDim where nobody knows
};

Result<EinsumSpec> parse_einsum(std::string_view spec, std::span<const Shape> inputs);

// Pairs of places to contract in turn, cheapest order first found: both leave the list, the result goes to
// its end. Exhaustive up to six inputs, then by the cheapest next step.
std::vector<std::pair<int, int>> einsum_order(const EinsumSpec& spec);

}  // namespace tl
