// Which words of the generator become which elements, and the distributions against their moments.
#include <gtest/gtest.h>

#include <cmath>
#include <type_traits>
#include <vector>

#include "tl/ops/create/create.h"

namespace tl {
namespace {

template <typename T = float>
std::vector<T> draw(const OpDef& op, i64 count, i64 seed, i64 position) {
  constexpr DType kDType = std::is_same_v<T, double> ? DType::F64 : DType::F32;
  std::vector<T> out(static_cast<size_t>(count));
  const Attrs attrs = Attrs().with_ints({count}).with_dtype(kDType).with_int(seed).with_int(position);
  KernelCall call{.out = {.data = reinterpret_cast<std::byte*>(out.data()),
                          .dtype = kDType,
                          .dims = {count},
                          .strides = {1}},
                  .attrs = &attrs,
                  .begin = 0};
  call.end = op.cpu.units(call);
  op.cpu.run(call);
  return out;
}

// The words that the generator's authors publish for counter 0 and key 0.
constexpr u32 kFirst[] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};

TEST(Random, PublishedWordsAreDrawn) {
  const auto unit = [](u32 word) { return static_cast<float>(word >> 8) / 0x1p24f; };
  EXPECT_EQ(draw(op_rand, 4, 0, 0),
            (std::vector{unit(kFirst[0]), unit(kFirst[1]), unit(kFirst[2]), unit(kFirst[3])}));
  // As genrand_res53 of the Mersenne Twister: 27 bits of one word, then 26 of the next.
  const auto unit_pair = [](u32 a, u32 b) { return ((a >> 5) * 0x1p26 + (b >> 6)) / 0x1p53; };
  EXPECT_EQ(draw<double>(op_rand, 2, 0, 0),
            (std::vector{unit_pair(kFirst[0], kFirst[1]), unit_pair(kFirst[2], kFirst[3])}));
}

TEST(Random, NormalNumbersComeFromPairsOfWords) {
  constexpr double kTwoPi = 6.283185307179586;
  const std::vector<float> x = draw(op_randn, 4, 0, 0);
  for (size_t i = 0; i < 4; i += 2) {
    const double radius = std::sqrt(-2 * std::log(((kFirst[i] >> 8) + 1) * 0x1p-24));
    const double angle = kTwoPi * (kFirst[i + 1] >> 8) * 0x1p-24;
    EXPECT_NEAR(x[i], radius * std::cos(angle), 1e-6);
    EXPECT_NEAR(x[i + 1], radius * std::sin(angle), 1e-6);
  }
}

struct Moments {
  double mean = 0, variance = 0, largest = -1e9, smallest = 1e9;
};
Moments moments(const std::vector<float>& x) {
  Moments m;
  for (const float v : x) {
    m.mean += static_cast<double>(v) / static_cast<double>(x.size());
    m.largest = std::max(m.largest, static_cast<double>(v));
    m.smallest = std::min(m.smallest, static_cast<double>(v));
  }
  for (const float v : x) m.variance += (v - m.mean) * (v - m.mean) / static_cast<double>(x.size());
  return m;
}

TEST(Random, MomentsFitTheDistribution) {
  constexpr i64 kCount = 400000;  // four standard errors are 4 / sqrt(count) = 0.0063 standard deviations
  const Moments even = moments(draw(op_rand, kCount, 1, 0)), normal = moments(draw(op_randn, kCount, 1, 0));
  EXPECT_NEAR(even.mean, 0.5, 0.002);
  EXPECT_NEAR(even.variance, 1.0 / 12, 0.001);
  EXPECT_GE(even.smallest, 0);
  EXPECT_LT(even.largest, 1);
  EXPECT_NEAR(normal.mean, 0, 0.0063);
  EXPECT_NEAR(normal.variance, 1, 0.01);
  EXPECT_GT(normal.largest, 4);
  EXPECT_LT(normal.largest, 6);
}

TEST(Random, SeedAndPositionDecide) {
  const std::vector<float> first = draw(op_randn, 100, 1, 0);
  EXPECT_EQ(draw(op_randn, 100, 1, 0), first);
  EXPECT_NE(draw(op_randn, 100, 1, 1), first);
  EXPECT_NE(draw(op_randn, 100, 2, 0), first);
}

}  // namespace
}  // namespace tl
