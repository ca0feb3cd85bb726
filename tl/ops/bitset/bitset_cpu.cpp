#include <algorithm>
#include <bit>

#include "tl/ops/bitset/bitset.h"

namespace tl::cpu {
namespace {

void count_row(KernelCall& call, i64 row, const u64* words) {
  i64 count = 0;
  for (i64 w = 0; w < call.outs[0].cols(); ++w) count += std::popcount(words[w]);
  call.outs[1].mutable_ptr<i64>()[row] = count;
}

u64* output_row(KernelCall& call, i64 row) {
  return call.outs[0].mutable_ptr<u64>() + row * call.outs[0].cols();
}

}  // namespace

void pack_bits(KernelCall& call) {
  const i64 cols = call.in[0].dims[1];
  for (i64 row = call.begin; row < call.end; ++row) {
    const u8* const from = call.in[0].ptr<u8>() + row * cols;
    u64* const to = output_row(call, row);
    for (i64 first = 0; first < cols; first += 64) {
      u64 word = 0;
      for (i64 i = 0, n = std::min<i64>(64, cols - first); i < n; ++i)
        word |= static_cast<u64>(from[first + i] != 0) << i;
      to[first / 64] = word;
    }
    count_row(call, row, to);
  }
}

void unpack_bits(KernelCall& call) {
  const i64 cols = call.out.dims[1], words = call.in[0].cols();
  for (i64 row = call.begin; row < call.end; ++row) {
    const u64* const from = call.in[0].ptr<u64>() + row * words;
    u8* const to = call.out.mutable_ptr<u8>() + row * cols;
    for (i64 i = 0; i < cols; ++i) to[i] = from[i / 64] >> i % 64 & 1;
  }
}

// Rows of b are or-ed together: those that a's row names.
void bits_matmul(KernelCall& call) {
  const Operand &a = call.in[0], &b = call.in[2];
  const i64 inner = b.dims[0], words = b.cols();
  for (i64 row = call.begin; row < call.end; ++row) {
    const u64* const names = a.ptr<u64>() + row * a.cols();
    u64* const to = output_row(call, row);
    std::fill_n(to, words, 0);
    for (i64 w = 0; w < a.cols(); ++w) {
      for (u64 left = names[w]; left != 0; left &= left - 1) {
        const i64 k = w * 64 + std::countr_zero(left);
        if (k >= inner) break;
        const u64* const from = b.ptr<u64>() + k * words;
        for (i64 i = 0; i < words; ++i) to[i] |= from[i];
      }
    }
    count_row(call, row, to);
  }
}

void bits_or(KernelCall& call) {
  const i64 words = call.outs[0].cols();
  for (i64 row = call.begin; row < call.end; ++row) {
    const u64 *const a = call.in[0].ptr<u64>() + row * words, *const b = call.in[2].ptr<u64>() + row * words;
    u64* const to = output_row(call, row);
    for (i64 i = 0; i < words; ++i) to[i] = a[i] | b[i];
    count_row(call, row, to);
  }
}

}  // namespace tl::cpu
