// Reductions along any axes (sum, mean, max, …), the place of the largest, and running sums.
#pragma once

#include <limits>

#include "tl/device/kernel.h"
#include "tl/ops/reduce/strided_index.h"

namespace tl {

// The two halves of a reduction's input: axes that stay, numbered like the output, and axes that go. The
// elements of one output are taken in row-major order of the reduced axes: element i goes to lane i % 16,
// lanes are folded in halves.
struct ReduceAxes {
  StridedIndex kept, reduced;
  explicit ReduceAxes(const KernelCall& call);
};

__extension__ using i128 = __int128;  // holds the sum of as many int64 as can be addressed

// A mean as a whole number and the rest: whole numbers far from 0 keep their distances from it.
struct Mean {
  i64 whole = 0;
  double fraction = 0;
  double value() const { return static_cast<double>(whole) + fraction; }
  double distance(i64 x) const { return static_cast<double>(i128{x} - whole) - fraction; }
};
inline Mean whole_mean(i128 total, i64 count) {
  if (count == 0) return {0, std::numeric_limits<double>::quiet_NaN()};
  return {static_cast<i64>(total / count), static_cast<double>(total % count) / static_cast<double>(count)};
}

#define TL_REDUCE_OPS_(X) \
  X(sum) X(mean) X(prod) X(max) X(min) X(any) X(all) X(variance) X(std) X(norm) X(argmax) X(argmin) X(cumsum)

namespace ref {
#define TL_DECLARE_(name) void name(KernelCall& call);
TL_REDUCE_OPS_(TL_DECLARE_)
}  // namespace ref

namespace cpu {
TL_REDUCE_OPS_(TL_DECLARE_)
#undef TL_DECLARE_
#undef TL_REDUCE_OPS_
}  // namespace cpu

}  // namespace tl
