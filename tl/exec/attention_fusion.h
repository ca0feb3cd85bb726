// Attention that a program writes out runs as one step: matmul, element-wise work on the scores, softmax
// along the last axis, matmul, and the copies that repeat heads of keys and values. Fusing changes no bit.
#pragma once

#include <vector>

#include "tl/exec/fusion.h"

namespace tl {

struct AttentionGroup {
  std::vector<i32> nodes;         // in recording order, the last is the second matmul
  std::vector<SourceRef> inputs;  // q, k, v, then what the element-wise work reads beside the scores
  Attrs attrs;                    // of op_masked_attention
};

// By the number of the last node; empty where there is none. What became part of one is marked as absorbed in
// `groups`.
std::vector<AttentionGroup> find_attention(const Snapshot& snapshot, std::vector<FusedGroup>& groups);

// What that asks of an item's attributes and dims, in 24 bits of the plan's key: the axes of a permutation,
// whether softmax is along the last axis, whether a reshape makes one axis of the two in the middle.
u64 attention_facts(const Snapshot& snapshot, const SnapshotItem& item);

}  // namespace tl
