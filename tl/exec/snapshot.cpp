#include "tl/exec/snapshot.h"

#include <algorithm>

#include "tl/exec/attention_fusion.h"

namespace tl {
namespace {

// Marks everything pending that the roots need. Marks are unique to one snapshot, so none has to be cleared.
void mark_needed(std::span<const Tensor> roots, u32 mark) {
  std::vector<Node*> stack;
  for (const Tensor& root : roots) {
    if (root->state == NodeState::Pending) stack.push_back(root.node());
  }
  while (!stack.empty()) {
    Node* node = stack.back();
    stack.pop_back();
    if (node->mark == mark) continue;
    node->mark = mark;
    for (const Tensor& input : node->inputs) {
      if (input->state == NodeState::Pending && input->mark != mark) stack.push_back(input.node());
    }
  }
}

u32 next_mark() {
  static std::atomic<u32> counter{0};
  return counter.fetch_add(1, std::memory_order_relaxed) + 1;
}

// Numbers of the leaves, by node. (Leaves belong to all threads: nothing can be written into them.)
class LeafNumbers {
 public:
  // The number of `node`, or -1 after giving it `next`.
  i32 find_or_add(const Node* node, i32 next) {
    if (2 * (used_ + 1) > slots_.size()) grow();
    Slot& slot = place(node);
    if (slot.node != nullptr) return slot.number;
    slot = {node, next};
    ++used_;
    return -1;
  }

 private:
  struct Slot {
    const Node* node = nullptr;
    i32 number = 0;
  };
  Slot& place(const Node* node) {
    size_t at = (reinterpret_cast<size_t>(node) >> 4) * 0x9e3779b97f4a7c15ull >> 20 & (slots_.size() - 1);
    while (slots_[at].node != nullptr && slots_[at].node != node) at = (at + 1) & (slots_.size() - 1);
    return slots_[at];
  }
  void grow() {
    std::vector<Slot> old(std::max<size_t>(64, slots_.size() * 2));
    old.swap(slots_);
    for (const Slot& s : old) {
      if (s.node != nullptr) place(s.node) = s;
    }
  }
  std::vector<Slot> slots_;
  size_t used_ = 0;
};

}  // namespace

// Works out where values lie. Counts how often each node and leaf is read from inside of the snapshot;
// `nodes_hold`: and held, by the nodes.
class Placer {
 public:
  Placer(Snapshot& s, std::vector<u32> node_holds, std::vector<u32> leaf_holds, bool may_overwrite,
         bool nodes_hold = true)
      : s_(s),
        node_holds_(std::move(node_holds)),
        leaf_holds_(std::move(leaf_holds)),
        may_overwrite_(may_overwrite),
        nodes_hold_(nodes_hold) {}

  void run() {
    s_.key.reserve(s_.items.size() * 5);
    for (size_t i = 0; i < s_.items.size(); ++i) {
      SnapshotItem& item = s_.items[i];
      item.external = item.node->references.load(std::memory_order_acquire) > node_holds_[i];
      place(static_cast<i32>(i));
    }
    make_key();
  }

  void make_key() {
    s_.key.clear();
    for (size_t i = 0; i < s_.items.size(); ++i) add_to_key(s_.items[i], static_cast<i64>(i));
  }

  void place(SourceRef self) {
    SnapshotItem& item = s_.items[static_cast<size_t>(self)];
    const Node& node = *item.node;
    item.alias = item.in_place = item.forks = item.overwrites = false;
    item.compliant = item.same_shape = 0;
    item.kept_bytes = item.shared_bytes = 0;
    item.base = self;
    item.view = {node.type.shape, contiguous_strides(node.type.shape), 0};
    if (node.op->kind == OpKind::View) {
      View result;
      if (node.op->view(s_.view_of(item.inputs[0]), node.type, node.attrs, result)) {
        item.alias = true;
        item.base = s_.base_of(item.inputs[0]);
        item.view = result;
      }
      return;
    }
    if (node.op->kind == OpKind::Append) {
      append_in_place(item, self);
    } else if (node.op->donates) {
      take_over(item, self);
    }
    for (int i = 0; i < item.inputs.size(); ++i) {
      const View v = s_.view_of(item.inputs[i]);
      if (complies(node.op->layout, v.shape, v.strides)) item.compliant |= 1u << i;
      // Only fusion asks; elsewhere a growing length that happens to equal another dim would need a plan of
      // its own.
      if (node.op->kind == OpKind::Elementwise && v.shape == node.type.shape) item.same_shape |= 1u << i;
    }
  }

  u64 facts(SourceRef self) const {
    const SnapshotItem& item = s_.items[static_cast<size_t>(self)];
    const TensorType& type = item.node->type;
    const u64 flags = static_cast<u64>(item.alias) | static_cast<u64>(item.external) << 1 |
                      static_cast<u64>(item.in_place) << 2 | static_cast<u64>(item.overwrites) << 3;
    return static_cast<u64>(type.dtype) | flags << 8 | static_cast<u64>(type.rank()) << 12 |
           static_cast<u64>(item.compliant) << 16 | static_cast<u64>(item.same_shape) << 24 |
           static_cast<u64>(item.inputs.size()) << 32 | static_cast<u64>(item.forks) << 38 |
           static_cast<u64>(item.unused) << 39 | attention_facts(s_, item) << 40;
  }

 private:
  // Nobody but item `self` will look at the memory of its input 0: neither from outside, nor an item after
  // it.
  bool is_last_holder(SourceRef self, SourceRef input) const {
    if (!may_overwrite_) return false;
    const SourceRef base = s_.base_of(input);
    if (is_leaf(base)) {
      const size_t number = static_cast<size_t>(~base);
      const Tensor& leaf = s_.leaves[number];
      const u32 held = nodes_hold_ ? leaf_holds_[number] : 0;
      if (leaf->references.load(std::memory_order_acquire) != held + 1) return false;
      const auto granted = std::count_if(s_.granted.begin(), s_.granted.end(),
                                         [&](const auto& g) { return g.buffer == leaf->value.buffer; });
      if (leaf->value.buffer.use_count() != 1 + granted) return false;
      if (input == base && leaf_holds_[number] == 1) return true;
    } else if (input == base && node_holds_[static_cast<size_t>(base)] == 1) {
      return !s_.items[static_cast<size_t>(base)].external;
    }
    return is_last_by_search(self, base);
  }

  bool is_last_by_search(SourceRef self, SourceRef base) const {
    for (SourceRef i = 0; i < self; ++i) {
      const SnapshotItem& item = s_.items[static_cast<size_t>(i)];
      if (item.base == base && item.external) return false;
    }
    // Its own other inputs are read while it writes.
    const auto& own = s_.items[static_cast<size_t>(self)].inputs;
    for (int k = 1; k < own.size(); ++k) {
      if (s_.base_of(own[k]) == base) return false;
    }
    for (size_t i = static_cast<size_t>(self) + 1; i < s_.items.size(); ++i) {
      if (s_.items[i].unused) continue;
      for (const SourceRef input : s_.items[i].inputs) {
        // Items from `self` on are not placed yet: what they look at shows when it is their turn.
        if (input < self && s_.base_of(input) == base) return false;
      }
    }
    return true;
  }

  // New rows behind input 0 go into its own buffer, if it reaches to where that is used so far, or if nobody
  // holds what lies there. Else into a fork of that: other rows are behind it already, or there is no room.
  void append_in_place(SnapshotItem& item, SourceRef self) {
    const View in = s_.view_of(item.inputs[0]);
    const TensorType& type = item.node->type;
    const i64 from = row_bytes(type.dtype, numel(in.shape)), to = row_bytes(type.dtype, numel(type.shape));
    item.used_bytes = item.most_bytes = to;
    if (in.offset != 0 || !is_contiguous(in.shape, in.strides)) return;
    const SourceRef base = s_.base_of(item.inputs[0]);
    const bool done = is_leaf(base) ? append_to_leaf(item, self, base, from, to)
                                    : append_to_item(item, self, base, from, to);
    if (!done) {
      item.overwrites = false;
      item.forks = fork_of(base, from);
      if (item.forks) item.shared_bytes = from;
      return;
    }
    item.alias = item.in_place = true;
    item.base = base;
    item.kept_bytes = from;
  }

  bool append_to_leaf(SnapshotItem& item, SourceRef self, SourceRef base, i64 from, i64 to) {
    const std::shared_ptr<Buffer>& buffer = s_.node_of(base).value.buffer;
    if (buffer == nullptr || !buffer->is_reserved) return false;
    const i64 before = buffer->used_bytes.load();
    if (to > buffer->bytes() || before < from) return false;
    item.overwrites = before > from;
    if (item.overwrites && (from < buffer->shared_bytes.load() || !is_last_holder(self, item.inputs[0])))
      return false;
    if (!buffer->claim(before, to)) return false;
    s_.granted.push_back({buffer, before, to});
    return true;
  }

  // Behind an append of the same run that got memory of its own: as much as all of them need.
  bool append_to_item(SnapshotItem& item, SourceRef self, SourceRef base, i64 from, i64 to) {
    SnapshotItem& owner = s_.items[static_cast<size_t>(base)];
    if (owner.node->op->kind != OpKind::Append || owner.used_bytes < from) return false;
    item.overwrites = owner.used_bytes > from;
    if (item.overwrites && (from < owner.shared_bytes || !is_last_holder(self, item.inputs[0]))) return false;
    owner.used_bytes = to;
    owner.most_bytes = std::max(owner.most_bytes, to);
    return true;
  }

  // Whether memory can be shared with `base`, whose first bytes are from now on nobody's to write over.
  bool fork_of(SourceRef base, i64 from) {
    if (!is_leaf(base)) {
      SnapshotItem& owner = s_.items[static_cast<size_t>(base)];
      if (owner.node->op->kind != OpKind::Append) return false;
      owner.shared_bytes = std::max(owner.shared_bytes, from);
      return true;
    }
    const std::shared_ptr<Buffer>& buffer = s_.node_of(base).value.buffer;
    if (buffer == nullptr || !buffer->is_reserved) return false;
    buffer->share(from);
    return true;
  }

  // The output is written over input 0, if that is all of its memory and nobody else needs it.
  void take_over(SnapshotItem& item, SourceRef self) {
    const SourceRef input = item.inputs[0], base = s_.base_of(input);
    const Node &from = s_.node_of(input), &owner = s_.node_of(base);
    if (from.is_scalar || owner.type != item.node->type || from.type != item.node->type) return;
    const View in = s_.view_of(input);
    if (in.offset != 0 || !is_contiguous(in.shape, in.strides)) return;
    if (is_leaf(base) && (owner.value.buffer == nullptr || owner.value.buffer->is_read_only)) return;
    if (is_leaf(base) && (owner.value.offset != 0 || owner.value.buffer->shared_bytes.load() > 0)) return;
    if (!is_leaf(base) && s_.items[static_cast<size_t>(base)].shared_bytes > 0) return;
    if (!is_last_holder(self, input)) return;
    item.alias = item.in_place = item.overwrites = true;
    item.base = base;
  }

  void add_to_key(const SnapshotItem& item, i64 self) {
    const Node& node = *item.node;
    s_.key.push_back(reinterpret_cast<u64>(node.op));
    s_.key.push_back(facts(static_cast<SourceRef>(self)));
    if (node.op->kind == OpKind::Output) s_.key.push_back(static_cast<u64>(node.attrs.int_at(0)));
    for (const SourceRef input : item.inputs) {
      const Node& source = s_.node_of(input);
      const u64 place =
          is_leaf(input) ? u64{1} << 32 | static_cast<u64>(~input) : static_cast<u64>(self - input);
      s_.key.push_back(place | static_cast<u64>(source.type.dtype) << 40 |
                       static_cast<u64>(source.is_scalar) << 48 | static_cast<u64>(source.type.rank()) << 52);
    }
  }

  Snapshot& s_;
  const std::vector<u32> node_holds_, leaf_holds_;
  const bool may_overwrite_, nodes_hold_;
};

namespace {

// The failure of something it reads, or null.
FailurePtr failed_input(const Node& node) {
  for (const Tensor& input : node.inputs) {
    if (input->state == NodeState::Failed) return input->failure;
  }
  return nullptr;
}

}  // namespace

bool complies(Layout layout, const Shape& shape, const Strides& strides) {
  switch (layout) {
    case Layout::Any:
      return true;
    case Layout::Rows:
      return shape.empty() || shape.back() <= 1 || strides.back() == 1;
    case Layout::Contiguous:
      return is_contiguous(shape, strides);
  }
  return false;
}

View Snapshot::view_of(SourceRef s) const {
  if (!is_leaf(s)) return items[static_cast<size_t>(s)].view;
  const Node& leaf = node_of(s);
  if (leaf.is_scalar) return {};
  return {leaf.type.shape, leaf.value.strides, leaf.value.offset};
}

void Snapshot::undo_grants() {
  for (auto it = granted.rbegin(); it != granted.rend(); ++it)
    it->buffer->claim(it->used_after, it->used_before);
  granted.clear();
}

static std::unique_ptr<Placer> placer_of(Snapshot& s) {
  std::vector<u32> nodes(s.items.size(), 0), leaves(s.leaves.size(), 0);
  for (const SnapshotItem& item : s.items) {
    if (item.unused) continue;
    for (const SourceRef in : item.inputs)
      ++(is_leaf(in) ? leaves[static_cast<size_t>(~in)] : nodes[static_cast<size_t>(in)]);
  }
  return std::make_unique<Placer>(s, std::move(nodes), std::move(leaves), true, false);
}

SnapshotPlacer::SnapshotPlacer(Snapshot& snapshot) : placer_(placer_of(snapshot)) {}
SnapshotPlacer::~SnapshotPlacer() = default;
void SnapshotPlacer::place(SourceRef item) {
  placer_->place(item);
}
u64 SnapshotPlacer::facts(SourceRef item) const {
  return placer_->facts(item);
}
void SnapshotPlacer::make_key() {
  placer_->make_key();
}

void fail_node(Node& node, FailurePtr failure) {
  node.state = NodeState::Failed;
  node.failure = std::move(failure);
  if (node.recorder != nullptr) node.recorder->remove(node);
  node.drop_inputs();
}

Snapshot take_snapshot(Recorder& recorder, std::span<const Tensor> roots, bool may_overwrite) {
  const u32 mark = next_mark();
  mark_needed(roots, mark);
  Snapshot s;
  LeafNumbers numbers;
  std::vector<u32> node_holds, leaf_holds;
  std::vector<Tensor> failed;  // must not die while the list is walked
  for (Node* node = recorder.first(); node != nullptr;) {
    Node* const next = node->next;
    // All outputs of an op are computed when one is.
    const bool is_output = node->op->kind == OpKind::Output && node->inputs[0]->mark == mark;
    if (!roots.empty() && node->mark != mark && !is_output) {
      node = next;
      continue;
    }
    node->mark = mark;
    if (FailurePtr failure = failed_input(*node)) {
      for (const Tensor& input : node->inputs) failed.push_back(input);
      failed.emplace_back(node);
      fail_node(*node, std::move(failure));
      node = next;
      continue;
    }
    node->index = static_cast<i32>(s.items.size());
    SnapshotItem& item = s.items.emplace_back();
    item.node = node;
    node_holds.push_back(0);
    const u32 hold = node->keeps_inputs() ? 0 : 1;  // inputs that are kept outlive the evaluation
    for (const Tensor& input : node->inputs) {
      if (input->state == NodeState::Pending) {
        TL_CHECK(input->recorder == node->recorder, "{} uses a tensor that is pending on another thread",
                 node->op->name);
        item.inputs.push_back(input->index);
        node_holds[static_cast<size_t>(input->index)] += hold;
        continue;
      }
      i32 number = numbers.find_or_add(input.node(), static_cast<i32>(s.leaves.size()));
      if (number < 0) {
        number = static_cast<i32>(s.leaves.size());
        s.leaves.push_back(input);
        leaf_holds.push_back(0);
      }
      item.inputs.push_back(~number);
      leaf_holds[static_cast<size_t>(number)] += hold;
    }
    node = next;
  }
  if (!failed.empty()) {
    // With them goes what only they were to read, which may be a part of the snapshot: once more without it.
    failed.clear();
    return take_snapshot(recorder, roots, may_overwrite);
  }
  Placer(s, std::move(node_holds), std::move(leaf_holds), may_overwrite).run();
  return s;
}

}  // namespace tl
