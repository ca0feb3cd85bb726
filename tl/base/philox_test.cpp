#include "tl/base/philox.h"

#include <gtest/gtest.h>

namespace tl {

// The answers published with the paper's own library (philox4x32, 10 rounds).
TEST(Philox, KnownAnswers) {
  struct Row {
    PhiloxWords counter;
    std::array<u32, 2> key;
    PhiloxWords answer;
  };
  const Row rows[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (const Row& row : rows) EXPECT_EQ(philox4x32(row.counter, row.key), row.answer);
}

TEST(Philox, SeedPositionAndBlockAllMatter) {
  const PhiloxWords base = philox(1, 2, 3);
  EXPECT_NE(philox(2, 2, 3), base);
  EXPECT_NE(philox(1, 3, 3), base);
  EXPECT_NE(philox(1, 2, 4), base);
  EXPECT_NE(philox(1 + (u64{1} << 40), 2, 3), base);
  EXPECT_NE(philox(1, 2 + (u64{1} << 40), 3), base);
  EXPECT_NE(philox(1, 2, 3 + (u64{1} << 40)), base);
}

TEST(Philox, UnitsStayBelowOne) {
  EXPECT_EQ(philox_unit_f32(0), 0.0f);
  EXPECT_LT(philox_unit_f32(0xffffffffu), 1.0f);
  EXPECT_LT(philox_unit_f64(0xffffffffu, 0xffffffffu), 1.0);
  EXPECT_EQ(philox_unit_f64(0, 0x80000000u), 0.5);
  EXPECT_EQ(philox_unit_f64(1u << 11, 0), 0x1p-53);
}

TEST(Philox, UnitsForLogarithmsAreAboveZero) {
  EXPECT_EQ(philox_above_zero_f32(0), 0x1p-24f);
  EXPECT_EQ(philox_above_zero_f32(0xffffffffu), 1.0f);
}

}  // namespace tl
