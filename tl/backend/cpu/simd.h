// Vectors for kernels: 16 float32 or int32 lanes at every level (one zmm, two ymm, or plain loops), with
// loads and stores of float16/bfloat16, and the functions of simd_math.inc. Everything is in
// tl::cpu::{portable,avx2,avx512}. An element's result is the same in a full vector and in a masked tail. How
// to write a kernel file: targets.h.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "tl/backend/cpu/regions.h"
#include "tl/base/half.h"
#include "tl/device/kernel.h"

namespace tl::cpu {

// Elements of float16 and bfloat16 tensors, so that load(const f16*) and load(const bf16*) are different
// functions.
struct f16 {
  u16 bits;
};
struct bf16 {
  u16 bits;
};

inline constexpr int kLanes = 16;

}  // namespace tl::cpu

#define TL_SIMD_FILE "tl/backend/cpu/simd_vectors.inc"
#include "tl/backend/cpu/targets.h"
