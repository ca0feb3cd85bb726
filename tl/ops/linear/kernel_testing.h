// For tests that call kernels directly: calls in any number of parts, on operands of random_operands.h.
#pragma once

#include <gtest/gtest.h>

#include "tl/backend/cpu/simd_level.h"
#include "tl/device/kernel.h"
#include "tl/ops/linear/random_operands.h"
#include "tl/tensor/op.h"

namespace tl::testing_kernels {

inline constexpr SimdLevel kLevels[] = {SimdLevel::Portable, SimdLevel::Avx2, SimdLevel::Avx512};

inline KernelCall call_of(std::span<const Operand> in, const Operand& out, SimdLevel level,
                          Scratch& scratch) {
  KernelCall call;
  call.in = in;
  call.out = out;
  call.simd = level;
  call.scratch = &scratch;
  return call;
}

inline void run(const Kernel& kernel, KernelCall& call, i64 parts) {
  const i64 units = kernel.units != nullptr ? kernel.units(call) : call.out.numel();
  for (i64 p = 0; p < parts; ++p) {
    call.begin = units * p / parts, call.end = units * (p + 1) / parts;
    if (call.begin < call.end) kernel.run(call);
  }
  ASSERT_EQ(call.failure, "");
}

}  // namespace tl::testing_kernels
