// The loop that multiplies and adds as fast as a core can.
#include "tl/backend/cpu/peaks.h"
#include "tl/backend/cpu/simd.h"

#ifndef TL_SIMD
#define TL_SIMD_FILE "tl/backend/cpu/peaks_cpu.cpp"
#include "tl/backend/cpu/targets.h"
namespace tl::cpu {
TL_SIMD_DISPATCH(multiply_add_loop)
}  // namespace tl::cpu
#else
namespace tl::cpu::TL_SIMD {

void multiply_add_loop(KernelCall& call) {
  F32x16 chains[kFmaChains];
  for (int c = 0; c < kFmaChains; ++c) chains[c] = splat(static_cast<float>(c));
  const F32x16 factor = splat(0.999f), addend = splat(0.001f);
  for (i64 round = call.begin; round < call.end; ++round) {
    for (int step = 0; step < kFmaSteps; ++step) {
#pragma GCC unroll 12
      for (int c = 0; c < kFmaChains; ++c) chains[c] = mul_add(chains[c], factor, addend);
    }
  }
  for (int c = 1; c < kFmaChains; ++c) chains[0] = chains[0] + chains[c];
  store(call.out.mutable_ptr<float>(), chains[0]);
}

}  // namespace tl::cpu::TL_SIMD
#endif
