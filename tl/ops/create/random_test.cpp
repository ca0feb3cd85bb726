// The generator against its published test vectors, and the distributions against their moments.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tl/ops/create/create.h"
#include "tl/ops/create/philox.h"

namespace tl {
namespace {

TEST(Philox, PublishedVectors) {
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const u32 ones = 0xffffffff;
  EXPECT_EQ(philox({ones, ones, ones, ones}, {ones, ones}),
            (PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

std::vector<float> draw(const OpDef& op, i64 count, i64 seed, i64 position) {
  std::vector<float> out(static_cast<size_t>(count));
  const Attrs attrs = Attrs().with_ints({count}).with_dtype(DType::F32).with_int(seed).with_int(position);
  KernelCall call{.out = {.data = reinterpret_cast<std::byte*>(out.data()), .dims = {count}, .strides = {1}},
                  .attrs = &attrs,
                  .begin = 0};
  call.end = op.cpu.units(call);
  op.cpu.run(call);
  return out;
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
