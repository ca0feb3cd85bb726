// The part of a tensor that x[i, a:b:c] names: four numbers an axis, start, count, step and 1 if the axis
// goes.
#pragma once

#include <vector>

#include "tl/base/result.h"
#include "tl/tensor/shape.h"

namespace tl {

struct AxisWindow {
  i64 start = 0, count = 0, step = 1;
  bool is_dropped = false;
};
inline AxisWindow axis_window(const std::vector<i64>& spec, int axis) {
  const i64* s = &spec[4 * static_cast<size_t>(axis)];
  return {s[0], s[1], s[2], s[3] != 0};
}

// The shape of the part of `from`; refuses what lies outside, in numbers that a program may have written.
Result<Shape> window_shape(const std::vector<i64>& spec, const Shape& from);

}  // namespace tl
