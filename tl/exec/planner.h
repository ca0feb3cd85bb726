// Plans: which commands evaluate a snapshot, in which order, with which conversions between, and which of
// them share memory. A plan knows no sizes, so that it fits every length, position and buffer; its order
// holds for all of them.
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

// What a step writes, and where.
struct StepOutput {
  static constexpr i32 kFresh = -1;    // memory of its own: it outlives the evaluation
  static constexpr i32 kInPlace = -2;  // its base's: rows behind its input's, or over its input
  static constexpr i32 kGrowing = -3;  // memory of its own with room for more rows

  i32 node = -1;  // of the snapshot; -1: nobody asked for this output
  i32 which = 0;  // its number among the op's outputs
  DType dtype = DType::F32;
  i32 slot = kFresh;  // shared temporary memory, by number
};

struct Step {
  enum class Kind : u8 {
    Compute,  // the node's own op
    Copy,     // the node is a view that only a copy can give, or an input brought to another layout or format
    Fused,    // the node and the nodes that lead to it: an element-wise pass, or attention
  };

  Kind kind = Kind::Compute;
  const OpDef* op = nullptr;
  const Kernel* kernel = nullptr;
  InlineVector<StepInput, kMaxInputs> inputs;
  InlineVector<StepOutput, kMaxOutputs> outputs;
  i32 node = -1;  // whose attributes and source line these are; a conversion has its reader's line
  bool is_conversion = false;
  bool may_be_kept = false;  // a conversion of a leaf: done once, if it is asked for again or `keep` says so
  bool keep = false;
  Attrs fused_attrs;           // Kind::Fused: the program of the pass
  std::vector<i32> fused;      // and its nodes, in order
  std::vector<i32> after;      // earlier steps that must be done first
  std::vector<i32> producers;  // earlier steps whose values it reads: it fails if they do
};

struct Plan {
  std::vector<u64> key;
  std::vector<Step> steps;
  std::vector<i32> step_of_node;    // -1: none (a view, or computed inside another's pass)
  std::vector<i32> writer_of_node;  // the step that writes a node's content last; -1: it was there before
  std::vector<SourceRef> origin_of_node;  // what a view looks at in the end; other nodes: themselves
  i32 slots = 0;
  std::vector<i32> batch_ends;       // steps are submitted in these pieces
  std::vector<Order> orders;         // one a batch
  std::vector<PreparedId> prepared;  // one a batch, filled at the first run
  const OpDef* missing = nullptr;    // an op that the device has no kernel for
};

struct PlanOptions {
  int commands_per_batch = 100;
  bool fuse = true;
  bool share_memory = true;  // false: every step keeps its output until the end (for checksums)
};

std::shared_ptr<Plan> make_plan(const Snapshot& snapshot, const Device& device, const PlanOptions& options);

}  // namespace tl
