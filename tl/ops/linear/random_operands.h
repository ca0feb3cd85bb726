// For tests and benchmarks: operands with memory of their own, and random numbers in them.
#pragma once

#include <cstring>
#include <random>
#include <vector>

#include "tl/base/half.h"
#include "tl/device/kernel.h"

namespace tl::testing_kernels {

struct Buffered {
  std::vector<u64> memory;
  Operand operand;
  Buffered(DType dtype, Dims dims, i64 bytes) : memory(static_cast<size_t>(bytes + 7) / 8 + 8) {
    const auto address = (reinterpret_cast<uintptr_t>(memory.data()) + 63) / 64 * 64;
    operand.data = reinterpret_cast<std::byte*>(address);
    operand.dtype = dtype;
    operand.dims = dims;
    operand.strides = contiguous_strides(dims);
  }
  Buffered(const Buffered&) = delete;
};

// Where a block keeps its float16 scales: random bytes there would be infinities and NaNs.
inline std::vector<i64> half_fields(DType dtype) {
  switch (dtype) {
    case DType::Q4_1:
    case DType::Q5_1:
    case DType::Q4_K:
    case DType::Q5_K:
      return {0, 2};
    case DType::Q2_K:
      return {80, 82};
    case DType::Q3_K:
      return {108};
    case DType::Q6_K:
      return {208};
    default:
      return {0};
  }
}

// Numbers of the standard normal distribution, or blocks with random codes and small scales.
inline void fill_random(Operand& x, std::mt19937& random) {
  std::normal_distribution<float> normal;
  if (!is_quantised(x.dtype)) {
    for (i64 i = 0; i < x.numel(); ++i) store_from_double(x.dtype, x.data, i, normal(random));
    return;
  }
  const i64 bytes = row_bytes(x.dtype, x.numel());
  auto* p = x.mutable_ptr<u8>();
  for (i64 i = 0; i < bytes; ++i) p[i] = static_cast<u8>(random());
  for (i64 b = 0; b < bytes; b += info(x.dtype).block_bytes)
    for (const i64 at : half_fields(x.dtype)) {
      const u16 half = f32_to_f16(0.01f * normal(random));
      std::memcpy(p + b + at, &half, sizeof half);
    }
}

}  // namespace tl::testing_kernels
