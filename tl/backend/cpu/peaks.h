// What this machine can do at this moment, for comparison in a profile.
#pragma once

#include "tl/device/device.h"

namespace tl::cpu {

// With so many threads, each on its own data; takes about a tenth of a second.
Peaks measure_peaks(int threads, SimdLevel simd);

// Runs `end - begin` rounds of kFmaRound multiply-adds that do not wait for each other, and writes a number
// that depends on all of them.
inline constexpr int kFmaChains = 12, kFmaSteps = 64;
void multiply_add_loop(KernelCall& call);

}  // namespace tl::cpu
