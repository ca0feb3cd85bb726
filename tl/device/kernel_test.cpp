#include "tl/device/kernel.h"

#include <gtest/gtest.h>

namespace tl {
namespace {

// What is not 0 is true, also where a byte of the number would be 0.
TEST(Store, BoolsAreZeroOrOne) {
  u8 bytes[4] = {9, 9, 9, 9};
  const double values[] = {0.5, 256.0, -3.0, 0.0};
  for (i64 i = 0; i < 4; ++i) store_from_double(DType::Bool, bytes, i, values[i]);
  EXPECT_EQ(bytes[0], 1);
  EXPECT_EQ(bytes[1], 1);
  EXPECT_EQ(bytes[2], 1);
  EXPECT_EQ(bytes[3], 0);
}

}  // namespace
}  // namespace tl
