// The inner kernel of `linear` on quantised weights: a few rows of activations (planes.h) against a panel of
// 16 rows of weights (quant_panel.h). Integer sums are exact; the float chain runs over groups in order, so
// that a row's result does not depend on how many rows are done together.
#pragma once

#include "tl/backend/cpu/planes.h"
#include "tl/backend/cpu/quant_panel.h"

namespace tl::cpu {

// A piece of consecutive activation rows. `codes`, `scales` and `sums` point at the piece's first block in
// the first row; the next row's are row_bytes further on.
struct PlaneRows {
  const std::byte* codes;
  const float* scales;
  const float* sums;  // per group of the weights' format
  i64 row_bytes;
};

// Adds the piece's part to acc[row][16].
using DotFn = void (*)(const PlaneRows& x, const Panel& w, i64 blocks, float* acc);

// The same for one row of activations and whole rows of weights, straight from their blocks: 16 rows from
// `first` on, `stride` bytes apart. Memory beyond them is asked for ahead of its use; it need not exist.
using DotOneFn = void (*)(const PlaneRows& x, const u8* first, i64 stride, i64 blocks, float* acc);

}  // namespace tl::cpu

#define TL_SIMD_FILE "tl/backend/cpu/dot_panel.inc"
#include "tl/backend/cpu/targets.h"
