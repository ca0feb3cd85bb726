// Which SIMD level a kernel runs at: what this processor has, and the levels' names for `--simd`.
#pragma once

#include <optional>
#include <string_view>

#include "tl/device/kernel.h"

namespace tl {

// The highest level this processor can run. Avx2 needs FMA and F16C too; Avx512 needs F, BW, DQ, VL and VNNI.
SimdLevel best_simd_level();
// "portable", "avx2", "avx512".
std::string_view name_of(SimdLevel level);
std::optional<SimdLevel> find_simd_level(std::string_view name);

}  // namespace tl
