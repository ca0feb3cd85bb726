// Scaled dot-product attention over grouped heads, as one op that never builds the score matrix.
#pragma once

#include "tl/device/kernel.h"

namespace tl {

// q [b, s, h, d], k and v [b, t, hk, d], positions [b, s]; without a batch axis b is 1 and its strides 0.
struct AttentionShape {
  i64 b, s, h, hk, d, t;
  int first;  // axis of s in q
  float scale;
  i64 window;
  // A unit: `heads` query heads of one key head, `queries` consecutive queries.
  i64 heads, queries, head_parts, query_blocks;
  // Keys [begin, end) that a query at `position` sees.
  struct Range {
    i64 begin, end;
  };
  Range visible(i64 position) const;
};
AttentionShape attention_shape(const KernelCall& call);
// Offset in elements of row (batch, index, head) of q, k or v.
i64 attention_offset(const Operand& x, int first, i64 batch, i64 index, i64 head);
i64 position_of(const Operand& positions, i64 batch, i64 index);

namespace ref {
void attention(KernelCall& call);
}
namespace cpu {
void attention(KernelCall& call);
}

}  // namespace tl
