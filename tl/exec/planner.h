// Plans: which commands evaluate a snapshot, in which order, with which conversions between, and which of
// them share memory. A plan knows no sizes, so that it fits every length, position and buffer.
#pragma once

#include <memory>
#include <vector>

#include "tl/exec/snapshot.h"

namespace tl {

// What a step reads: a node of the snapshot, a leaf, or what an earlier conversion step made.
struct StepInput {
  enum class From : u8 { Node, Leaf, Step };
  From from = From::Node;
  i32 index = 0;

  bool operator==(const StepInput&) const = default;
};

struct Step {
  enum class Kind : u8 {
    Compute,  // the node's own op
    Copy,     // the node is a view that only a copy can give, or an input brought to another layout or format
    Fused,    // the node and the element-wise nodes that lead to it, in one pass
  };
  static constexpr i32 kFresh = -1;    // memory of its own: it outlives the evaluation
  static constexpr i32 kInPlace = -2;  // writes into its base (an append)

  Kind kind = Kind::Compute;
  const OpDef* op = nullptr;
  InlineVector<StepInput, kMaxInputs> inputs;
  i32 node = -1;  // whose attributes, output and source line these are; a conversion has its reader's line
  bool is_conversion = false;
  DType dtype = DType::F32;             // of the output
  i32 slot = kFresh;                    // shared temporary memory, by number
  std::vector<i32> fused;               // Kind::Fused: the nodes, in order
  std::vector<SourceRef> fused_inputs;  // and what they read, in the order of `inputs`
};

struct Plan {
  std::vector<u64> key;
  std::vector<Step> steps;
  i32 slots = 0;
  std::vector<i32> batch_ends;       // steps are submitted in these pieces
  std::vector<PreparedId> prepared;  // one a batch, filled at the first run
};

struct PlanOptions {
  int commands_per_batch = 100;
  bool fuse = true;
  bool share_memory = true;  // false: every step keeps its output until the end (for checksums)
};

std::unique_ptr<Plan> make_plan(const Snapshot& snapshot, const Device& device, const PlanOptions& options);

}  // namespace tl
