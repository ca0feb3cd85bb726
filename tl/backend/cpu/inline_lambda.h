// Lambdas inside kernels must be inlined even where the compiler counts them as large.
#pragma once

#define TL_ALWAYS_INLINE_LAMBDA __attribute__((always_inline))
