// How a row of activations lies in a tensor of dtype Planes: 32 elements at a time as scale * q with |q| <=
// 32512, for exact integer dot products. The codes' order depends on the SIMD level: AVX-512 wants q = 256 *
// hi + lo as two runs of int8, the others q as int16.
#pragma once

#include <type_traits>

#include "tl/base/types.h"

namespace tl::cpu {

inline constexpr i64 kPlaneBlock = 32;
inline constexpr float kPlaneMax =
    32512;  // 127 * 256: the largest q whose hi is an int8 after rounding lo to signed
// Blocks whose largest magnitude is below this are taken as zeros, so that 1 / scale stays finite.
inline constexpr float kPlaneTiny = 0x1p-110f;

// The arrays of one row: 80 of the 128 bytes that 32 elements are given.
template <typename Byte>
struct PlaneArrays {
  Byte* base;
  i64 blocks;
  PlaneArrays(Byte* row, i64 elements) : base(row), blocks(elements / kPlaneBlock) {}
  template <typename T>
  using As = std::conditional_t<std::is_const_v<Byte>, const T, T>;

  Byte* codes(i64 block) const { return base + 64 * block; }
  As<float>* scales() const { return reinterpret_cast<As<float>*>(base + 64 * blocks); }
  // scale * sum of q, over the block and over each half of it.
  As<float>* sums() const { return scales() + blocks; }
  As<float>* half_sums() const { return sums() + blocks; }
};

// Bytes from one row to the next.
inline constexpr i64 plane_row_bytes(i64 elements) {
  return 4 * elements;
}

}  // namespace tl::cpu
