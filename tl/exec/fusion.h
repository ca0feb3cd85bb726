// Which element-wise nodes run as one pass. Fusing changes no bit: every op still rounds to its own dtype.
#pragma once

#include <vector>

#include "tl/exec/snapshot.h"

namespace tl {

// For each node of a snapshot: what it computes together with others.
struct FusedGroup {
  bool absorbed = false;          // computed inside a later node's pass
  std::vector<i32> nodes;         // in recording order, the last is this node; empty: on its own
  std::vector<SourceRef> inputs;  // what the pass reads, each once
};

std::vector<FusedGroup> find_fused_groups(const Snapshot& snapshot);

// The program of one pass, for the fused kernel: `nodes` in order, reading `inputs` in the order of its
// operands.
Attrs fused_attrs(const Snapshot& snapshot, std::span<const i32> nodes, std::span<const SourceRef> inputs);

}  // namespace tl
