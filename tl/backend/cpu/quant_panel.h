// Quantised weights brought to one form, whatever their format: a panel holds a piece of 16 rows as unsigned
// byte codes with a scale and a minimum per group of 16 or 32 elements, interleaved so that a vector's lanes
// are 16 rows.
#pragma once

#include <utility>

#include "tl/backend/cpu/inline_lambda.h"
#include "tl/backend/cpu/simd.h"
#include "tl/tensor/dtype.h"

namespace tl::cpu {

// Rows of weights (columns of the output) in a panel.
inline constexpr int kPanelRows = 16;
// Elements that every format can be cut at.
inline constexpr i64 kPanelStep = 256;

// Element k of row c has code codes[(k / 4 * 16 + c) * 4 + k % 4] and the value scale * code + min with
// scale[k / group * 16 + c] and min[k / group * 16 + c].
struct Panel {
  u8* codes;
  float* scale;
  float* min;
};

// Elements that share a scale: 16 or 32.
inline int panel_group(DType dtype) {
  return dtype == DType::Q2_K || dtype == DType::Q3_K || dtype == DType::Q6_K ? 16 : 32;
}

// Fills `out` with `elements` elements (whole blocks) of the 16 rows that start at rows[0..15].
using UnpackFn = void (*)(const u8* const* rows, i64 elements, const Panel& out);

}  // namespace tl::cpu

#define TL_SIMD_FILE "tl/backend/cpu/quant_panel.inc"
#include "tl/backend/cpu/targets.h"
