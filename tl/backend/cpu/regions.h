// Target regions: the code between TL_REGION_AVX2 and TL_REGION_END may use that level's instructions. Never
// per-file compiler flags: inline functions of shared headers would then be compiled with instructions the
// machine may lack.
#pragma once

#if defined(__x86_64__)
#define TL_SIMD_X86 1
#if defined(__GNUC__) && \
    !defined(__clang__)  // g++ 12 takes its own _mm512_undefined_ps for a mistake (PR 105593)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#else
#include <immintrin.h>
#endif
#else
#define TL_SIMD_X86 0
#endif

#if defined(__clang__)
#define TL_PRAGMA_(text) _Pragma(#text)
#define TL_REGION_(names) \
  TL_PRAGMA_(clang attribute push(__attribute__((target(names))), apply_to = function))
#define TL_REGION_END TL_PRAGMA_(clang attribute pop)
#else
#define TL_PRAGMA_(text) _Pragma(#text)
#define TL_REGION_(names) TL_PRAGMA_(GCC push_options) TL_PRAGMA_(GCC target(names))
#define TL_REGION_END TL_PRAGMA_(GCC pop_options)
#endif

#define TL_REGION_AVX2 TL_REGION_("avx2,fma,f16c,bmi,bmi2,lzcnt,popcnt")
#define TL_REGION_AVX512 \
  TL_REGION_("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c,bmi,bmi2,lzcnt,popcnt")

#define TL_INLINE inline __attribute__((always_inline))

// The function of the level `level` (a SimdLevel), for use in namespace tl::cpu.
#if TL_SIMD_X86
#define TL_SIMD_PICK(level, name)                     \
  ((level) == ::tl::SimdLevel::Avx512 ? &avx512::name \
   : (level) == ::tl::SimdLevel::Avx2 ? &avx2::name   \
                                      : &portable::name)
#else
#define TL_SIMD_PICK(level, name) (&portable::name)
#endif
#define TL_SIMD_DISPATCH(name)           \
  void name(::tl::KernelCall& call) {    \
    TL_SIMD_PICK(call.simd, name)(call); \
  }
