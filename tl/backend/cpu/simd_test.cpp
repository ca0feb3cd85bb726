// The vector functions against libm in double over all of float's range, and the rules that keep results
// independent of where in a row an element lies.
#include "tl/backend/cpu/simd.h"

#include <gtest/gtest.h>

#include <vector>

#include "tl/backend/cpu/simd_level.h"

#ifndef TL_SIMD
#define TL_SIMD_FILE "tl/backend/cpu/simd_test.cpp"
#include "tl/backend/cpu/targets.h"

namespace tl::cpu {
namespace {

using MapFn = void (*)(const float* x, float* y, i64 n);

std::vector<SimdLevel> levels() {
  std::vector<SimdLevel> all;
  for (int l = 0; l <= static_cast<int>(best_simd_level()); ++l) all.push_back(static_cast<SimdLevel>(l));
  return all;
}

double exact_sigmoid(double x) {
  return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
}
double exact_rsqrt(double x) {
  return 1 / std::sqrt(x);
}

struct Function {
  const char* name;
  MapFn (*pick)(SimdLevel);
  double (*exact)(double);
  double ulp, portable_ulp;  // largest error
};

const Function kFunctions[] = {
#define TL_FUNCTION(name, exact, ulp, portable_ulp) \
  {#name, [](SimdLevel l) -> MapFn { return TL_SIMD_PICK(l, map_##name); }, exact, ulp, portable_ulp},
    TL_FUNCTION(exp, std::exp, 1.1, 2) TL_FUNCTION(log, std::log, 1, 2) TL_FUNCTION(tanh, std::tanh, 2, 3)
        TL_FUNCTION(sigmoid, exact_sigmoid, 3, 3) TL_FUNCTION(sin, std::sin, 2.5, 2.5) TL_FUNCTION(
            cos, std::cos, 2.5, 2.5) TL_FUNCTION(tan, std::tan, 4, 4) TL_FUNCTION(erf, std::erf, 2, 2)
            TL_FUNCTION(rsqrt, exact_rsqrt, 1.5, 1.5) TL_FUNCTION(sqrt, std::sqrt, 0.5, 0.5)
                TL_FUNCTION(floor, std::floor, 0, 0) TL_FUNCTION(ceil, std::ceil, 0, 0)
                    TL_FUNCTION(trunc, std::trunc, 0, 0) TL_FUNCTION(round, std::nearbyint, 0, 0)};

// Distance of `got` from the exact value in units of float's last place there.
double ulps(float got, double exact) {
  const auto rounded = static_cast<float>(exact);
  if (std::isnan(exact)) return std::isnan(got) ? 0 : INFINITY;
  if (std::isinf(rounded) || std::isinf(got)) return got == rounded ? 0 : INFINITY;
  int exponent = 0;
  std::frexp(exact, &exponent);
  const double unit = std::ldexp(1.0, std::max(exponent - 24, -149));
  return std::abs(static_cast<double>(got) - exact) / unit;
}

// Every exponent, both signs, subnormals, infinities and NaN; and many plain values.
std::vector<float> inputs() {
  std::vector<float> x;
  const u32 step = std::getenv("TL_TEST_DENSE") != nullptr ? 101 : 40009;
  for (u64 bits = 0; bits < (u64{1} << 32); bits += step)
    x.push_back(std::bit_cast<float>(static_cast<u32>(bits)));
  for (int i = -60000; i <= 60000; ++i) x.push_back(static_cast<float>(i) * 0.002f);
  for (int i = 1; i <= 7000; ++i)
    x.push_back(static_cast<float>(i * 1.5707963267948966));  // near zeros of sin, cos
  for (const float edge :
       {0.0f, 1.0f, 0.625f, 88.72284f, 103.97208f, 12000.0f, 1e38f, 1e-45f, 1.1754944e-38f}) {
    for (const float v : {edge, std::nextafter(edge, 1e30f), std::nextafter(edge, -1e30f)})
      x.push_back(v), x.push_back(-v);
  }
  const float inf = std::numeric_limits<float>::infinity();
  for (const float v : {inf, -inf, std::numeric_limits<float>::quiet_NaN()}) x.push_back(v);
  return x;
}

TEST(Simd, FunctionsAreAsCloseToLibmAsStated) {
  const std::vector<float> x = inputs();
  std::vector<float> y(x.size());
  for (const SimdLevel level : levels()) {
    for (const Function& f : kFunctions) {
      f.pick(level)(x.data(), y.data(), static_cast<i64>(x.size()));
      double worst = 0;
      float at = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        const double error = ulps(y[i], f.exact(static_cast<double>(x[i])));
        if (error > worst) worst = error, at = x[i];
      }
      const double limit = level == SimdLevel::Portable ? f.portable_ulp : f.ulp;
      EXPECT_LE(worst, limit) << f.name << " at level " << name_of(level) << " for x = " << at;
      if (std::getenv("TL_TEST_DENSE") != nullptr)
        fmt::print("{} {}: {:.3f} ulp at {}\n", name_of(level), f.name, worst, at);
    }
  }
}

TEST(Simd, AnElementIsTheSameInAVectorAndInATail) {
  std::vector<float> x(64), whole(64), part(64);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i) * 0.37f - 9.0f;
  for (const SimdLevel level : levels()) {
    for (const Function& f : kFunctions) {
      f.pick(level)(x.data(), whole.data(), 64);
      for (i64 n = 1; n < 40; ++n) {
        part.assign(64, -77.0f);
        f.pick(level)(x.data(), part.data(), n);
        ASSERT_EQ(std::memcmp(part.data(), whole.data(), static_cast<size_t>(n) * 4), 0)
            << f.name << " n = " << n;
        ASSERT_EQ(part[static_cast<size_t>(n)], -77.0f) << f.name << " wrote past " << n;
      }
    }
  }
}

TEST(Simd, HalvesRoundLikeTheScalarConversions) {
  std::vector<float> x = inputs();
  std::vector<u16> y(x.size() + 16);
  for (const SimdLevel level : levels()) {
    const auto n = static_cast<i64>(x.size());
    TL_SIMD_PICK(level, to_f16)(x.data(), y.data(), n);
    for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(y[i], f32_to_f16(x[i])) << x[i] << " " << name_of(level);
    TL_SIMD_PICK(level, to_bf16)(x.data(), y.data(), n);
    for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(y[i], f32_to_bf16(x[i])) << x[i] << " " << name_of(level);
    std::vector<u16> all(65536);
    std::vector<float> back(65536);
    for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<u16>(i);
    TL_SIMD_PICK(level, from_f16)(all.data(), back.data(), 65533);
    for (size_t i = 0; i < 65533; ++i) {
      const float want = f16_to_f32(all[i]);
      ASSERT_TRUE(back[i] == want || (std::isnan(want) && std::isnan(back[i]))) << i << " " << name_of(level);
    }
    TL_SIMD_PICK(level, from_bf16)(all.data(), back.data(), 65533);
    for (size_t i = 0; i < 65533; ++i) ASSERT_EQ(std::bit_cast<u32>(back[i]), static_cast<u32>(i) << 16);
  }
}

TEST(Simd, SumsHaveOneOrderAtEveryLevelAndIgnoreZerosAtTheEnd) {
  std::vector<float> x(1000, 0.0f);
  for (size_t i = 0; i < 777; ++i) x[i] = std::sin(static_cast<float>(i)) * 100;
  const float want = portable::total(x.data(), 777);
  double exact = 0;
  for (const float v : x) exact += v;
  EXPECT_NEAR(want, exact, 1e-3);
  for (const SimdLevel level : levels()) {
    EXPECT_EQ(TL_SIMD_PICK(level, total)(x.data(), 777), want) << name_of(level);
    EXPECT_EQ(TL_SIMD_PICK(level, total)(x.data(), 1000), want) << name_of(level);
    EXPECT_EQ(TL_SIMD_PICK(level, largest)(x.data(), 777), *std::max_element(x.begin(), x.end()));
    EXPECT_EQ(TL_SIMD_PICK(level, total)(x.data(), 0), 0.0f);
  }
}

TEST(Simd, IntegersConvertAndNarrow) {
  for (const SimdLevel level : levels()) {
    i32 values[16], low[16], shifted[16];
    i8 bytes[16];
    for (int i = 0; i < 16; ++i) values[i] = (i - 8) * 77777;
    TL_SIMD_PICK(level, narrow)(values, bytes, low, shifted);
    for (int i = 0; i < 16; ++i) {
      EXPECT_EQ(bytes[i], static_cast<i8>(values[i])) << name_of(level);
      EXPECT_EQ(low[i], values[i] & 0xffff) << name_of(level);
      EXPECT_EQ(shifted[i], values[i] >> 3) << name_of(level);
    }
  }
}

TEST(Simd, LevelsHaveNames) {
  for (const SimdLevel level : levels()) EXPECT_EQ(find_simd_level(name_of(level)), level);
  EXPECT_EQ(find_simd_level("sse9"), std::nullopt);
}

}  // namespace
}  // namespace tl::cpu

#else

namespace tl::cpu::TL_SIMD {

#define TL_MAP(name)                                                                   \
  static void map_##name(const float* x, float* y, i64 n) {                            \
    for_each(n, [&](auto v, i64 i) { v.store(y + i, TL_SIMD::name(v.load(x + i))); }); \
  }
TL_MAP(exp)
TL_MAP(log)
TL_MAP(tanh)
TL_MAP(sigmoid)
TL_MAP(sin)
TL_MAP(cos)
TL_MAP(tan)
TL_MAP(erf)
TL_MAP(rsqrt)
TL_MAP(sqrt)
TL_MAP(floor)
TL_MAP(ceil)
TL_MAP(trunc)
TL_MAP(round)
#undef TL_MAP

template <typename T>
static void encode(const float* x, u16* y, i64 n) {
  for_each(n, [&](auto v, i64 i) { v.store(reinterpret_cast<T*>(y) + i, v.load(x + i)); });
}
template <typename T>
static void decode(const u16* x, float* y, i64 n) {
  for_each(n, [&](auto v, i64 i) { v.store(y + i, v.load(reinterpret_cast<const T*>(x) + i)); });
}
static void to_f16(const float* x, u16* y, i64 n) {
  encode<f16>(x, y, n);
}
static void to_bf16(const float* x, u16* y, i64 n) {
  encode<bf16>(x, y, n);
}
static void from_f16(const u16* x, float* y, i64 n) {
  decode<f16>(x, y, n);
}
static void from_bf16(const u16* x, float* y, i64 n) {
  decode<bf16>(x, y, n);
}
static float total(const float* x, i64 n) {
  return sum(n, [&](auto v, i64 i) { return v.load(x + i); });
}
static float largest(const float* x, i64 n) {
  return maximum(n, [&](auto v, i64 i) { return v.load(x + i); });
}
static void narrow(const i32* values, i8* bytes, i32* low, i32* shifted) {
  const I32x16 a = load(values);
  u16 halves[16];
  store(bytes, a);
  store_u16(halves, a);
  store(low, load_u16(halves));
  store(shifted, shift_right<3>(a));
}

}  // namespace tl::cpu::TL_SIMD

#endif
