#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tl/backend/cpu/simd_level.h"
#include "tl/ops/ops.h"
#include "tl/ops/sample/sample.h"

namespace tl {
namespace {

constexpr i64 kDraws = 20000;

// How often each token is drawn for one row of logits, over positions 0, 1, … of one seed.
std::vector<i64> count_draws(const std::vector<float>& logits, double temperature, i64 top_k, double top_p) {
  const i64 n = static_cast<i64>(logits.size());
  std::vector<i64> counts(logits.size());
  const Operand in{.data = const_cast<std::byte*>(reinterpret_cast<const std::byte*>(logits.data())),
                   .dtype = DType::F32,
                   .dims = {n},
                   .strides = {1}};
  Scratch scratch;
  for (i64 position = 0; position < kDraws; ++position) {
    i64 token = -1;
    Attrs attrs;
    attrs.with_float(temperature).with_int(top_k).with_float(top_p).with_float(0).with_float(1);
    attrs.with_int(9).with_int(position);
    KernelCall call{.in = std::span(&in, 1),
                    .out = {.data = reinterpret_cast<std::byte*>(&token), .dtype = DType::I64},
                    .attrs = &attrs,
                    .begin = 0,
                    .end = 1,
                    .simd = best_simd_level(),
                    .scratch = &scratch};
    op_sample.cpu.run(call);
    EXPECT_EQ(call.failure, "");
    ++counts[static_cast<size_t>(token)];
  }
  return counts;
}

// Within five standard deviations of what the probabilities ask for.
void expect_shares(const std::vector<i64>& counts, const std::vector<double>& weights) {
  double total = 0;
  for (const double w : weights) total += w;
  for (size_t i = 0; i < weights.size(); ++i) {
    const double p = weights[i] / total, expected = p * kDraws;
    EXPECT_NEAR(static_cast<double>(counts[i]), expected, 5 * std::sqrt(expected * (1 - p)) + 1e-9) << i;
  }
}

TEST(Sample, DrawsByProbability) {
  const std::vector<float> logits = {0, 1, 2, -1, 0.5};
  std::vector<double> plain, cold;
  for (const float l : logits) {
    plain.push_back(std::exp(l));
    cold.push_back(std::exp(l / 0.5));
  }
  expect_shares(count_draws(logits, 1, 0, 1), plain);
  expect_shares(count_draws(logits, 0.5, 0, 1), cold);
  // The two best, whose shares the temperature decides after the filter.
  expect_shares(count_draws(logits, 0.5, 2, 1), {0, cold[1], cold[2], 0, 0});
  // Shares of 0.57, 0.21, 0.13, … : 0.6 needs two.
  expect_shares(count_draws(logits, 1, 0, 0.6), {0, plain[1], plain[2], 0, 0});
}

TEST(Sample, RowsAndPositionsDrawTheirOwnNumbers) {
  EXPECT_NE(sample_fraction(1, 2, 0), sample_fraction(1, 2, 1));
  EXPECT_NE(sample_fraction(1, 2, 0), sample_fraction(1, 3, 0));
  EXPECT_NE(sample_fraction(1, 2, 0), sample_fraction(2, 2, 0));
  EXPECT_EQ(sample_fraction(1, 2, 3), sample_fraction(1, 2, 3));
}

}  // namespace
}  // namespace tl
