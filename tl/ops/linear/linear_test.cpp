// linear against the oracle for every stored type, and the promise that rows, splits and tiles change no bit.
#include "tl/ops/linear/linear.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "tl/ops/linear/kernel_testing.h"
#include "tl/ops/ops.h"
#include "tl/tensor/quant.h"

namespace tl {
using namespace testing_kernels;

namespace {

void run_linear(const Operand& x, const Operand& w, const Operand& out, SimdLevel level, i64 parts) {
  Scratch scratch;
  Buffered planes(DType::Planes, x.dims, 4 * x.numel());
  Operand in[] = {x, w};
  const std::vector<TensorType> types = {{x.dtype, x.dims}, {w.dtype, w.dims}};
  if (op_linear.cpu.prepare(0, types).op != nullptr) {
    KernelCall pack = call_of({&x, 1}, planes.operand, level, scratch);
    run(op_pack_planes.cpu, pack, parts);
    in[0] = planes.operand;
  }
  KernelCall call = call_of(in, out, level, scratch);
  run(op_linear.cpu, call, parts);
}

struct Case {
  DType weight, x = DType::F32;
  i64 rows, n, k;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (int t = 0; t < dtype_count(); ++t) {
    const auto dtype = static_cast<DType>(t);
    if (!can_dequantize(dtype)) continue;
    const i64 step = info(dtype).block_elements;
    for (const i64 rows : {1, 2, 7, 33}) {
      all.push_back({dtype, DType::F32, rows, 37, step == 1 ? 71 : 5 * step});
      all.push_back({dtype, DType::F32, rows, 16, step == 1 ? 16 : step});
    }
    all.push_back({dtype, DType::F16, 5, 19, step == 1 ? 40 : 3 * step});
    all.push_back({dtype, DType::F32, 300, 130, step == 1 ? 64 : 2 * step});
  }
  return all;
}

TEST(Linear, AgreesWithTheOracleAtEveryLevel) {
  std::mt19937 random(1);
  for (const Case& c : cases()) {
    Buffered x(c.x, {c.rows, c.k}, c.rows * c.k * 4), w(c.weight, {c.n, c.k}, row_bytes(c.weight, c.n * c.k));
    Buffered want(DType::F64, {c.rows, c.n}, c.rows * c.n * 8), got(c.x, {c.rows, c.n}, c.rows * c.n * 8);
    fill_random(x.operand, random), fill_random(w.operand, random);
    const Operand in[] = {x.operand, w.operand};
    Scratch scratch;
    KernelCall reference = call_of(in, want.operand, SimdLevel::Portable, scratch);
    run(op_linear.reference, reference, 1);
    for (const SimdLevel level : kLevels) {
      if (level > best_simd_level()) continue;
      run_linear(x.operand, w.operand, got.operand, level, 1);
      double errors = 0, squares = 0;
      for (i64 i = 0; i < c.rows * c.n; ++i) {
        const double a = load_as_double(DType::F64, want.operand.data, i),
                     b = load_as_double(c.x, got.operand.data, i);
        errors += (a - b) * (a - b), squares += a * a;
      }
      const double error = std::sqrt(errors / squares);
      EXPECT_LT(error, c.x == DType::F16        ? 1e-3
                       : is_quantised(c.weight) ? 4e-5
                                                : 1e-6)
          << name_of(c.weight) << " rows " << c.rows << " n " << c.n << " k " << c.k << " at "
          << name_of(level);
    }
  }
}

// Outliers share a block with ordinary values, as in the activations of real models.
TEST(Linear, KeepsItsPrecisionBesideOutliers) {
  std::mt19937 random(2);
  for (const DType dtype : {DType::Q4_0, DType::Q4_1, DType::Q8_0, DType::Q4_K, DType::Q6_K}) {
    const i64 rows = 4, n = 64, k = 2048;
    Buffered x(DType::F32, {rows, k}, rows * k * 4), w(dtype, {n, k}, row_bytes(dtype, n * k));
    Buffered want(DType::F64, {rows, n}, rows * n * 8), got(DType::F32, {rows, n}, rows * n * 4);
    fill_random(x.operand, random), fill_random(w.operand, random);
    for (i64 i = 0; i < rows * k; i += 97) x.operand.mutable_ptr<float>()[i] *= 30;
    const Operand in[] = {x.operand, w.operand};
    Scratch scratch;
    KernelCall reference = call_of(in, want.operand, SimdLevel::Portable, scratch);
    run(op_linear.reference, reference, 1);
    run_linear(x.operand, w.operand, got.operand, best_simd_level(), 1);
    double errors = 0, squares = 0;
    for (i64 i = 0; i < rows * n; ++i) {
      const double a = want.operand.ptr<double>()[i];
      errors += std::pow(a - got.operand.ptr<float>()[i], 2), squares += a * a;
    }
    EXPECT_LT(std::sqrt(errors / squares), 1e-4) << name_of(dtype);
  }
}

TEST(Linear, RowsAndSplitsChangeNoBit) {
  std::mt19937 random(3);
  for (const Case& c : cases()) {
    if (c.rows < 33) continue;
    Buffered x(c.x, {c.rows, c.k}, c.rows * c.k * 4), w(c.weight, {c.n, c.k}, row_bytes(c.weight, c.n * c.k));
    Buffered whole(c.x, {c.rows, c.n}, c.rows * c.n * 8), part(c.x, {c.rows, c.n}, c.rows * c.n * 8);
    fill_random(x.operand, random), fill_random(w.operand, random);
    for (const SimdLevel level : kLevels) {
      if (level > best_simd_level()) continue;
      run_linear(x.operand, w.operand, whole.operand, level, 1);
      for (const i64 chunk : {1, 3, 7, 64}) {
        for (i64 r = 0; r < c.rows; r += chunk) {
          Operand a = x.operand, out = part.operand;
          a.dims[0] = out.dims[0] = std::min(chunk, c.rows - r);
          a.data += r * c.k * size_of(c.x), out.data += r * c.n * size_of(c.x);
          run_linear(a, w.operand, out, level, 1 + chunk % 3);
        }
        ASSERT_EQ(std::memcmp(whole.operand.data, part.operand.data,
                              static_cast<size_t>(c.rows * c.n * size_of(c.x))),
                  0)
            << name_of(c.weight) << " in chunks of " << chunk << " at " << name_of(level);
      }
    }
  }
}

TEST(Linear, NotANumberAndZerosStayWhatTheyAre) {
  std::mt19937 random(4);
  Buffered x(DType::F32, {2, 64}, 512), w(DType::Q4_0, {3, 64}, row_bytes(DType::Q4_0, 192));
  Buffered out(DType::F32, {2, 3}, 24);
  fill_random(w.operand, random);
  for (int i = 0; i < 128; ++i) x.operand.mutable_ptr<float>()[i] = 0;
  x.operand.mutable_ptr<float>()[70] = std::nanf("");
  for (const SimdLevel level : kLevels) {
    if (level > best_simd_level()) continue;
    run_linear(x.operand, w.operand, out.operand, level, 1);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(out.operand.ptr<float>()[i], 0.0f);
    for (int i = 3; i < 6; ++i) EXPECT_TRUE(std::isnan(out.operand.ptr<float>()[i]));
  }
}

}  // namespace
}  // namespace tl
