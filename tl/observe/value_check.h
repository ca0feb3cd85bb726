// Looks at the values that a command computes: elements that it left as they were, and the first NaN or
// infinity.
#pragma once

#include <optional>

#include "tl/device/kernel.h"

namespace tl {

// Signalling NaNs, or for whole numbers an unlikely pattern, in `bytes` at `data`. `other`: another one, to
// tell a value that happens to look so.
void poison(DType dtype, std::byte* data, i64 bytes, bool other = false);

// The first element of `bytes` that is still what poison() left there, -1 for none. Packed formats have bytes
// that nobody writes: -1.
i64 find_unwritten(DType dtype, const std::byte* data, i64 bytes, bool other = false);

// What is not a number: which, and where.
struct Odd {
  bool is_nan = false;  // else an infinity
  i64 element = 0;      // row-major
};
// The first NaN of a contiguous range of elements, else its first infinity.
std::optional<Odd> find_odd(DType dtype, const std::byte* data, i64 bytes);
// Whether an input holds a NaN, or, if `infinity`, either.
bool has_odd(const Operand& input, bool infinity);

}  // namespace tl
