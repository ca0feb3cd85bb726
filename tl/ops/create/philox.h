// Philox 4x32-10, the counter-based generator: seed and position decide every number (Salmon et al., 2011).
#pragma once

#include <array>

#include "tl/base/types.h"

namespace tl {

using PhiloxBlock = std::array<u32, 4>;

inline PhiloxBlock philox(PhiloxBlock counter, std::array<u32, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const u64 a = u64{0xd2511f53} * counter[0], b = u64{0xcd9e8d57} * counter[2];
    counter = {static_cast<u32>(b >> 32) ^ counter[1] ^ key[0], static_cast<u32>(b),
               static_cast<u32>(a >> 32) ^ counter[3] ^ key[1], static_cast<u32>(a)};
    key[0] += 0x9e3779b9;
    key[1] += 0xbb67ae85;
  }
  return counter;
}

// Block `block` of the numbers drawn at `position` under `seed`.
inline PhiloxBlock philox(u64 seed, u64 position, u64 block) {
  return philox({static_cast<u32>(block), static_cast<u32>(block >> 32), static_cast<u32>(position),
                 static_cast<u32>(position >> 32)},
                {static_cast<u32>(seed), static_cast<u32>(seed >> 32)});
}

// In [0, 1) and in (0, 1], with 24 bits; exact in float32.
inline float unit_f32(u32 word) {
  return static_cast<float>(word >> 8) * 0x1p-24f;
}
inline float unit_above_zero_f32(u32 word) {
  return static_cast<float>((word >> 8) + 1) * 0x1p-24f;
}
// In [0, 1) with 53 bits.
inline double unit_f64(u32 high, u32 low) {
  return (static_cast<double>(high >> 5) * 0x1p26 + (low >> 6)) * 0x1p-53;
}

}  // namespace tl
