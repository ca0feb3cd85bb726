// Compiles the file that TL_SIMD_FILE names once per SIMD level. A kernel file looks like this:
//
//   #include "tl/backend/cpu/simd.h"     // and every other header it needs: none may be included below
//   #ifndef TL_SIMD
//   #define TL_SIMD_FILE "tl/ops/norm/rms_norm_cpu.cpp"
//   #include "tl/backend/cpu/targets.h"  // includes the file again, TL_SIMD being portable, avx2, ...
//   namespace tl::cpu {
//   TL_SIMD_DISPATCH(rms_norm)           // void rms_norm(KernelCall&): picks the level by call.simd
//   }
//   #else
//   namespace tl::cpu::TL_SIMD { ... void rms_norm(KernelCall& call) { ... } }
//   #endif
//
// TL_SIMD_LEVEL is 0, 1 or 2 there, for the few places that use intrinsics directly. Code of a level must be
// in that level's namespace (or static), and must not define anything inline in a shared one.
#include "tl/backend/cpu/regions.h"

#ifdef TL_SIMD_FILE

#define TL_SIMD portable
#define TL_SIMD_LEVEL 0
#include TL_SIMD_FILE
#undef TL_SIMD
#undef TL_SIMD_LEVEL

#if TL_SIMD_X86
TL_REGION_AVX2
#define TL_SIMD avx2
#define TL_SIMD_LEVEL 1
#include TL_SIMD_FILE
#undef TL_SIMD
#undef TL_SIMD_LEVEL
TL_REGION_END

TL_REGION_AVX512
#define TL_SIMD avx512
#define TL_SIMD_LEVEL 2
#include TL_SIMD_FILE
#undef TL_SIMD
#undef TL_SIMD_LEVEL
TL_REGION_END
#endif

#undef TL_SIMD_FILE
#endif
