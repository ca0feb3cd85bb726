// Attention with the arithmetic of matmul, multiply, mask, softmax and matmul: each score is a dot product of
// 16 lanes, a row's softmax runs over keys from 0, and each result is one chain over keys. A row of scores is
// kept per query and head. Keys no query of a block sees are skipped: masked entries are exact zeros, and the
// first key of a block is a multiple of 16, so that the lanes of the sums stay the same.
#include <algorithm>
#include <limits>
#include <type_traits>

#include "tl/backend/cpu/dot_float.h"
#include "tl/backend/cpu/simd.h"
#include "tl/ops/attention/attention.h"
#include "tl/ops/reduce/strided_index.h"

#ifndef TL_SIMD

#define TL_SIMD_FILE "tl/ops/attention/attention_cpu.cpp"
#include "tl/backend/cpu/targets.h"

namespace tl::cpu {
TL_SIMD_DISPATCH(attention)
}  // namespace tl::cpu

#else

#include "tl/ops/attention/attention_rows.inc"

namespace tl::cpu::TL_SIMD {
namespace {

// Queries [query, query + queries) of heads [head, head + heads); row q * heads + i is query q of head i.
struct AttentionBlock {
  i64 batch, query, queries, head, heads, kv_head;
  i64 rows() const { return queries * heads; }
};

AttentionBlock block_of(const AttentionShape& a, i64 unit) {
  AttentionBlock block;
  const i64 part = unit % a.head_parts, group = unit / a.head_parts;
  block.kv_head = group % a.hk;
  block.query = group / a.hk % a.query_blocks * a.queries;
  block.batch = group / a.hk / a.query_blocks;
  block.queries = std::min(a.queries, a.s - block.query);
  block.heads = a.heads;
  block.head = block.kv_head * (a.h / a.hk) + part * a.heads;
  return block;
}

// Scores of keys [first, last) to weights: exact zeros where `seen` does not reach.
void weights_row(float* row, i64 first, i64 last, AttentionShape::Range seen, float scale) {
  if (seen.begin == seen.end) return static_cast<void>(std::fill(row, row + (last - first), 0.0f));
  const i64 begin = seen.begin / kLanes * kLanes, end = seen.end;
  std::fill(row, row + (begin - first), 0.0f);
  std::fill(row + (begin - first), row + (seen.begin - first), -std::numeric_limits<float>::infinity());
  std::fill(row + (end - first), row + (last - first), 0.0f);
  float* x = row + (begin - first);
  for_each(end - begin, [&](auto v, i64 i) { v.store(x + i, v.load(x + i) * splat(scale)); });
  softmax_row(x, x, end - begin);
}

void attend(const KernelCall& call, const AttentionShape& a, const AttentionBlock& block, float* scratch) {
  const Operand &q = call.in[0], &k = call.in[1], &v = call.in[2];
  i64 first = a.t, last = 0;
  for (i64 i = 0; i < block.queries; ++i) {
    const auto seen = a.visible(position_of(call.in[3], block.batch, block.query + i));
    if (seen.begin < seen.end) first = std::min(first, seen.begin), last = std::max(last, seen.end);
  }
  first = std::min(first, last) / kLanes * kLanes;
  const i64 keys = last - first, stride = (a.t + kLanes - 1) / kLanes * kLanes;
  float *queries = scratch, *sums = queries + block.rows() * a.d, *scores = sums + block.rows() * a.d;
  for (i64 r = 0; r < block.rows(); ++r) {
    const i64 from = attention_offset(q, a.first, block.batch, block.query + r / block.heads,
                                      block.head + r % block.heads);
    copy_rows(q, from, 1, 0, a.d, 1, queries + r * a.d, a.d);
  }
  const RowsOf<float> query_rows{queries, a.d}, score_rows{scores, stride};
  typed_rows(
      k, attention_offset(k, a.first, block.batch, first, block.kv_head), k.strides[a.first],
      [&](auto key_rows) { dot_block(query_rows, block.rows(), key_rows, keys, a.d, scores, stride); });
  for (i64 r = 0; r < block.rows(); ++r) {
    const i64 position = position_of(call.in[3], block.batch, block.query + r / block.heads);
    weights_row(scores + r * stride, first, last, a.visible(position), a.scale);
  }
  std::fill_n(sums, block.rows() * a.d, 0.0f);
  typed_rows(
      v, attention_offset(v, a.first, block.batch, first, block.kv_head), v.strides[a.first],
      [&](auto value_rows) { chain_block(score_rows, 1, block.rows(), value_rows, a.d, keys, sums, a.d); });
  for (i64 r = 0; r < block.rows(); ++r) {
    const i64 row = (block.batch * a.s + block.query + r / block.heads) * a.h + block.head + r % block.heads;
    write_row(call.out, row * a.d, a.d, 1, sums + r * a.d);
  }
}

}  // namespace

void attention(KernelCall& call) {
  const AttentionShape a = attention_shape(call);
  const i64 rows = std::min(a.queries, a.s) * a.heads, stride = (a.t + kLanes - 1) / kLanes * kLanes;
  auto* scratch = call.try_scratch<float>(rows * (2 * a.d + stride));
  if (scratch == nullptr) return;
  for (i64 unit = call.begin; unit < call.end; ++unit) attend(call, a, block_of(a, unit), scratch);
}

}  // namespace tl::cpu::TL_SIMD

#endif
