#include "tl/base/result.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tl/base/half.h"
#include "tl/base/hash.h"
#include "tl/base/inline_vector.h"

namespace tl {
namespace {

Result<int> positive(int x) {
  if (x < 0) return fail(Code::BadProgram, "{} is negative", x);
  return x;
}
Result<int> twice(int x) {
  TL_TRY(const int y, positive(x));
  return 2 * y;
}

TEST(Result, CarriesValueOrError) {
  EXPECT_EQ(*twice(4), 8);
  const Result<int> bad = twice(-4);
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().message, "-4 is negative");
}

TEST(Half, RoundTripsEveryValue) {
  for (u32 h = 0; h < 0x10000; ++h) {
    const float f = f16_to_f32(static_cast<u16>(h));
    if (std::isnan(f)) continue;
    EXPECT_EQ(f32_to_f16(f), h);
    const float b = bf16_to_f32(static_cast<u16>(h));
    if (!std::isnan(b)) {
      EXPECT_EQ(f32_to_bf16(b), h);
    }
  }
  EXPECT_EQ(f32_to_f16(65519.0f), 0x7bff);
  EXPECT_EQ(f32_to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(f32_to_f16(1.0f + 0x1p-11f), 0x3c00);  // a tie goes to even
  EXPECT_EQ(f32_to_f16(1.0f + 3 * 0x1p-11f), 0x3c02);
}

TEST(InlineVector, InsertsAndErases) {
  InlineVector<i64, 8> v{1, 3};
  v.insert(1, 2);
  EXPECT_EQ(v, (InlineVector<i64, 8>{1, 2, 3}));
  v.erase(0);
  EXPECT_EQ(v, (InlineVector<i64, 8>{2, 3}));
}

TEST(Hash, DependsOnEveryByte) {
  std::string a(1000, 'x');
  const u64 h = hash_bytes(a.data(), a.size());
  for (size_t i = 0; i < a.size(); ++i) {
    a[i] ^= 1;
    EXPECT_NE(hash_bytes(a.data(), a.size()), h) << i;
    a[i] ^= 1;
  }
}

}  // namespace
}  // namespace tl
