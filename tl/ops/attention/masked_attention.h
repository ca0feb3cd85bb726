// Attention as programs write it out: a product of queries and keys, element-wise work on the scores,
// softmax, a product with the values. One step computes all of it for some queries at a time, with the bits
// of the ops it stands for, so that neither the scores of all queries nor heads that share keys are ever in
// memory.
#pragma once

#include "tl/device/kernel.h"
#include "tl/tensor/shape.h"

namespace tl {

// Attributes: the program of the element-wise work (tl/ops/elementwise/fused.h; its first input is the
// scores; empty: none), and which of k and v are heads yet to be repeated.
inline constexpr i64 kKeysAreGrouped = 1, kValuesAreGrouped = 2;

// A matrix per head, [heads, rows, columns], as the right side of a product.
struct HeadMatrices {
  i64 heads = 1, rows = 0, columns = 0;
  i64 row_stride = 0, column_stride = 0;
  i64 group = 1;  // neighbouring heads in a group, of which there are heads / group
  i64 group_stride = 0, head_stride = 0;
  bool by_lanes = false;  // which of its two orders of summation matmul takes for it

  i64 offset(i64 head) const {
    return heads == 1 ? 0 : head / group * group_stride + head % group * head_stride;
  }
};

// Inputs: q [h, s, d]; k [h, d, t], or grouped [t, h / g, g, d]; v [h, t, w], or grouped [t, h / g, g, w];
// then what the program reads beside the scores. The output is [h, s, w].
struct MaskedAttentionShape {
  explicit MaskedAttentionShape(const KernelCall& call);
  i64 units() const { return block_heads == 0 ? 0 : heads / block_heads * query_blocks; }
  i64 rows() const { return block_heads * block_queries; }

  i64 heads, queries, keys, depth, width;
  i64 q_head_stride;
  HeadMatrices k, v;
  // A unit: `block_heads` heads that read the same keys and values, `block_queries` queries in a row.
  i64 block_heads, block_queries, query_blocks;
};

// The part of an operand of the program that belongs to `heads` and `queries` from (head, query) on.
Operand part_of_scores(const Operand& x, i64 head, i64 heads, i64 query, i64 queries);

namespace ref {
void masked_attention(KernelCall& call);
}
namespace cpu {
void masked_attention(KernelCall& call);
}

}  // namespace tl
