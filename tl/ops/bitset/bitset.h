// The format `bitset`: matrices of truth values as rows of 64-bit words, with how many are true in each row
// in a second buffer. Bits behind the last column are 0.
#pragma once

#include "tl/device/kernel.h"
#include "tl/tensor/format.h"

namespace tl {

extern const Format kBitset;

inline i64 bit_words(i64 cols) {
  return (cols + 63) / 64;
}

namespace ref {
void pack_bits(KernelCall& call);
void unpack_bits(KernelCall& call);
void bits_matmul(KernelCall& call);
void bits_or(KernelCall& call);
}  // namespace ref

namespace cpu {
void pack_bits(KernelCall& call);
void unpack_bits(KernelCall& call);
void bits_matmul(KernelCall& call);
void bits_or(KernelCall& call);
}  // namespace cpu

}  // namespace tl
