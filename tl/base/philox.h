// Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as
// easy as 1, 2, 3" (2011). Four words are a function of a seed, a position and a block; nothing is carried
// from draw to draw.
#pragma once

#include <array>

#include "tl/base/types.h"

namespace tl {

using PhiloxWords = std::array<u32, 4>;

// The bare function of the paper: ten rounds over `counter` under `key`.
constexpr PhiloxWords philox4x32(PhiloxWords counter, std::array<u32, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const u64 even = u64{0xD2511F53u} * counter[0], odd = u64{0xCD9E8D57u} * counter[2];
    counter = {static_cast<u32>(odd >> 32) ^ counter[1] ^ key[0], static_cast<u32>(odd),
               static_cast<u32>(even >> 32) ^ counter[3] ^ key[1], static_cast<u32>(even)};
    key[0] += 0x9E3779B9u;  // the golden ratio and sqrt(3) - 1, in 32 bits
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

// How this project uses it: `seed` is the program's, `position` counts recorded draws (Recorder::draw),
// `block` counts groups of four words within one draw.
constexpr PhiloxWords philox(u64 seed, u64 position, u64 block) {
  return philox4x32({static_cast<u32>(block), static_cast<u32>(block >> 32), static_cast<u32>(position),
                     static_cast<u32>(position >> 32)},
                    {static_cast<u32>(seed), static_cast<u32>(seed >> 32)});
}

// The seed of the stream `number` beside that of `seed`. The last block of a draw, which no draw is long
// enough to reach, is kept for it.
constexpr u64 philox_substream(u64 seed, u64 number) {
  const PhiloxWords words = philox(seed, number, ~u64{0});
  return u64{words[1]} << 32 | words[0];
}

// In [0, 1) and in (0, 1], the latter for logarithms; 24 bits, exact in float32.
constexpr float philox_unit_f32(u32 word) {
  return static_cast<float>(word >> 8) * 0x1p-24f;
}
constexpr float philox_above_zero_f32(u32 word) {
  return static_cast<float>((word >> 8) + 1) * 0x1p-24f;
}
// In [0, 1): the upper 53 bits of the two words as one of 64.
constexpr double philox_unit_f64(u32 low, u32 high) {
  return static_cast<double>((u64{high} << 32 | low) >> 11) * 0x1p-53;
}

// From `low` up to, but not, `high`: the upper half of a word of 64 bits times the count of them. Whole
// numbers only, so every device draws the same; a number's share is off by at most count / 2^64.
constexpr i64 philox_below(u32 word_low, u32 word_high, i64 low, i64 high) {
  __extension__ using Wide = unsigned __int128;
  const u64 word = u64{word_high} << 32 | word_low, count = static_cast<u64>(high) - static_cast<u64>(low);
  return static_cast<i64>(static_cast<u64>(low) + static_cast<u64>((Wide{word} * count) >> 64));
}

}  // namespace tl
