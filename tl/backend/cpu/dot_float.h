// Tiles of float matrix products. Two orders of summation exist, each fixed: `dot_tile` keeps 16 lanes over k
// (element k goes to lane k % 16) and adds the lanes at the end; `chain_tile` is one chain of fused
// multiply-adds over k per element. Neither depends on how many rows or columns are done together.
#pragma once

#include "tl/backend/cpu/inline_lambda.h"
#include "tl/backend/cpu/simd.h"

namespace tl::cpu {

// Rows of a matrix of T: row r starts at data + r * stride.
template <typename T>
struct RowsOf {
  const T* data;
  i64 stride;
};

}  // namespace tl::cpu

#define TL_SIMD_FILE "tl/backend/cpu/dot_float.inc"
#include "tl/backend/cpu/targets.h"
