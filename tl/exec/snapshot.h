// What one evaluation is about: the pending nodes some roots need, numbered in recording order, with where
// each value lies in memory as far as that is known before planning. Its key says which plan fits.
#pragma once

#include <memory>
#include <vector>

#include "tl/device/device.h"
#include "tl/tensor/graph.h"

namespace tl {

// An operand's source: a pending node (>= 0) or a leaf (~number).
using SourceRef = i32;
inline bool is_leaf(SourceRef s) {
  return s < 0;
}

struct SnapshotItem {
  Node* node = nullptr;
  InlineVector<SourceRef, kMaxInputs> inputs;
  bool unused = false;      // nobody reads it: it is not evaluated, and has no place
  bool external = false;    // somebody outside holds it: its memory must outlive the evaluation
  bool alias = false;       // has no memory of its own: `base` owns it
  bool in_place = false;    // an alias that writes: rows behind its input's (an append), or over its input
  bool forks = false;       // an append to memory of its own that shares what it can with its input's
  bool overwrites = false;  // in place, where something was: whoever reads the old content comes before
  SourceRef base = 0;       // node or leaf whose memory it lies in (itself where it is not an alias)
  View view;
  u32 compliant = 0;   // bit i: input i's layout is what the op wants
  u32 same_shape = 0;  // bit i: input i has the output's shape
  i64 kept_bytes = 0;  // of an append in place: what is there already
  // Of an append that begins memory of its own: where the rows end that appends of the same run put there,
  // and the most there ever were.
  i64 used_bytes = 0, most_bytes = 0;
  i64 shared_bytes = 0;  // and what lies in pages that forks share, which is not written over
};

struct Snapshot {
  std::vector<SnapshotItem> items;
  std::vector<Tensor> leaves;
  std::vector<u64> key;  // equal keys: the same plan fits, whatever the sizes

  const Node& node_of(SourceRef s) const {
    return is_leaf(s) ? *leaves[static_cast<size_t>(~s)].node() : *items[static_cast<size_t>(s)].node;
  }
  // Where the value of a source lies.
  View view_of(SourceRef s) const;
  SourceRef base_of(SourceRef s) const { return is_leaf(s) ? s : items[static_cast<size_t>(s)].base; }

  // Rows of growing buffers that were claimed; given back if the evaluation cannot be submitted.
  struct Granted {
    std::shared_ptr<Buffer> buffer;
    i64 used_before, used_after;
  };
  std::vector<Granted> granted;
  void undo_grants();
};

// Collects what `roots` need of `recorder`'s pending nodes (everything pending if there are no roots). Nodes
// that depend on a failed one have failed with it, and are not part of it. Without `may_overwrite` every
// value keeps its memory to the end.
Snapshot take_snapshot(Recorder& recorder, std::span<const Tensor> roots, bool may_overwrite = true);

class Placer;

// Works out where the values of a snapshot's items lie, one at a time and as often as something has changed:
// for graphs that are evaluated again (tl/exec/trace.h). Which items are external is the caller's to say.
class SnapshotPlacer {
 public:
  explicit SnapshotPlacer(Snapshot& snapshot);
  ~SnapshotPlacer();
  void place(SourceRef item);
  // What the plan key says of it.
  u64 facts(SourceRef item) const;
  void make_key();

 private:
  std::unique_ptr<Placer> placer_;
};

// `node` and whatever of the recorder's pending nodes depends on it cannot be computed.
void fail_node(Node& node, FailurePtr failure);

// Whether an operand's memory is laid out as `layout` demands.
bool complies(Layout layout, const Shape& shape, const Strides& strides);

}  // namespace tl
