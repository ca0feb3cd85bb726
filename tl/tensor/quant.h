// What the bits of GGUF's blocks mean: plain loops that turn a row of any stored float type into float32. The
// oracle every faster kernel is compared to; fast kernels live in backend/.
#pragma once

#include "tl/tensor/dtype.h"

namespace tl {

// True for the types dequantize_row reads: every quantised type, float16, bfloat16, float32 and float64.
bool can_dequantize(DType dtype);

// Writes `elements` floats, which must be whole blocks of `dtype`; `blocks` needs no alignment.
void dequantize_row(DType dtype, const u8* blocks, float* out, i64 elements);

}  // namespace tl
