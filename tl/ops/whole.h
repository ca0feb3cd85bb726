// Ids and places as kernels read them: ints of any width, and floats that are whole numbers.
#pragma once

#include <cmath>

#include "tl/device/kernel.h"

namespace tl {

// False where the element is a fraction, or no number.
inline bool load_whole(DType dtype, const void* data, i64 index, i64& whole) {
  if (is_float(dtype)) {
    const double number = load_as_double(dtype, data, index);
    if (!(std::floor(number) == number && std::abs(number) < 0x1p63)) return false;
  }
  whole = load_as_int(dtype, data, index);
  return true;
}

}  // namespace tl
