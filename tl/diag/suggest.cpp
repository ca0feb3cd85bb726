#include "tl/diag/suggest.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace tl {

int edit_distance(std::string_view a, std::string_view b, int limit) {
  const int n = static_cast<int>(a.size()), m = static_cast<int>(b.size());
  if (std::abs(n - m) > limit) return limit + 1;
  // Three rows of the table d[i][j]: edits from the first i of a to the first j of b.
  std::vector<int> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (int j = 0; j <= m; ++j) last[j] = j;
  for (int i = 1; i <= n; ++i) {
    row[0] = i;
    int least = i;
    for (int j = 1; j <= m; ++j) {
      const bool same = a[i - 1] == b[j - 1];
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
      least = std::min(least, row[j]);
    }
    if (least > limit) return limit + 1;
    std::swap(before, last);
    std::swap(last, row);
  }
  return std::min(last[m], limit + 1);
}

namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

template <typename Text>
std::string_view closest(std::string_view name, std::span<const Text> candidates) {
  if (name.size() > 100) return {};
  int limit = static_cast<int>(name.size() + 2) / 3;
  std::string_view best;
  for (const Text& candidate : candidates) {
    const std::string_view other = candidate;
    if (other == name || other.empty()) continue;
    if (std::equal(name.begin(), name.end(), other.begin(), other.end(),
                   [](char a, char b) { return lower(a) == lower(b); })) {
      return other;
    }
    const int distance = edit_distance(name, other, limit);
    if (distance > limit || distance >= static_cast<int>(name.size())) continue;
    best = other;
    limit = distance - 1;  // only closer ones from here
    if (limit < 0) break;
  }
  return best;
}

}  // namespace

std::string_view closest_name(std::string_view name, std::span<const std::string> candidates) {
  return closest(name, candidates);
}
std::string_view closest_name(std::string_view name, std::span<const std::string_view> candidates) {
  return closest(name, candidates);
}

}  // namespace tl
