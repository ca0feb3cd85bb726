#include "tl/exec/snapshot.h"

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

// True if new rows can be written behind input 0 in its own buffer: it reaches to where that buffer is used
// so far.
bool append_in_place(const Snapshot& s, SnapshotItem& item, Snapshot::Granted& grant) {
  const SourceRef base = s.base_of(item.inputs[0]);
  if (!is_leaf(base)) return false;
  const Node& leaf = s.node_of(base);
  const std::shared_ptr<Buffer>& buffer = leaf.value.buffer;
  if (buffer == nullptr || !buffer->is_reserved) return false;
  const View in = s.view_of(item.inputs[0]);
  const TensorType& type = item.node->type;
  if (in.offset != 0 || !is_contiguous(in.shape, in.strides)) return false;
  const i64 old_bytes = row_bytes(type.dtype, numel(in.shape)),
            new_bytes = row_bytes(type.dtype, numel(type.shape));
  if (buffer->used_bytes != old_bytes || new_bytes > buffer->bytes()) return false;
  grant = {buffer, buffer->used_bytes};
  buffer->used_bytes = new_bytes;
  return true;
}

void place(Snapshot& s, SnapshotItem& item, SourceRef self) {
  const Node& node = *item.node;
  item.base = self;
  item.view = {node.type.shape, contiguous_strides(node.type.shape), 0};
  if (node.op->kind == OpKind::View) {
    View result;
    if (node.op->view(s.view_of(item.inputs[0]), node.type, node.attrs, result)) {
      item.alias = true;
      item.base = s.base_of(item.inputs[0]);
      item.view = result;
    }
    return;
  }
  if (node.op->kind == OpKind::Append) {
    Snapshot::Granted grant;
    if (append_in_place(s, item, grant)) {
      item.alias = true;
      item.base = s.base_of(item.inputs[0]);
      item.appended = s.node_of(item.inputs[0]).type.shape[0];
      s.granted.push_back(std::move(grant));
    }
  }
  for (int i = 0; i < item.inputs.size(); ++i) {
    const View v = s.view_of(item.inputs[i]);
    if (complies(node.op->layout, v.shape, v.strides)) item.compliant |= 1u << i;
    // Only fusion asks; elsewhere a growing length that happens to equal another dim would need a plan of its
    // own.
    if (node.op->kind == OpKind::Elementwise && v.shape == node.type.shape) item.same_shape |= 1u << i;
  }
}

void add_to_key(Snapshot& s, const SnapshotItem& item, i64 self) {
  const Node& node = *item.node;
  s.key.push_back(reinterpret_cast<u64>(node.op));
  s.key.push_back(static_cast<u64>(node.type.dtype) | static_cast<u64>(item.alias) << 8 |
                  static_cast<u64>(item.external) << 9 | static_cast<u64>(node.type.rank()) << 12 |
                  static_cast<u64>(item.compliant) << 16 | static_cast<u64>(item.same_shape) << 24 |
                  static_cast<u64>(item.inputs.size()) << 32);
  for (const SourceRef input : item.inputs) {
    const Node& source = s.node_of(input);
    const u64 place =
        is_leaf(input) ? u64{1} << 32 | static_cast<u64>(~input) : static_cast<u64>(self - input);
    s.key.push_back(place | static_cast<u64>(source.type.dtype) << 40 |
                    static_cast<u64>(source.is_scalar) << 48);
  }
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
  for (auto it = granted.rbegin(); it != granted.rend(); ++it) it->buffer->used_bytes = it->used_before;
  granted.clear();
}

Result<Snapshot> take_snapshot(const Recorder& recorder, std::span<const Tensor> roots) {
  const u32 mark = next_mark();
  mark_needed(roots, mark);
  Snapshot s;
  std::unordered_map<const Node*, i32> leaf_numbers;
  std::vector<u32> internal;  // references from inside, per node
  for (Node* node = recorder.first(); node != nullptr; node = node->next) {
    if (!roots.empty() && node->mark != mark) continue;
    node->index = static_cast<i32>(s.items.size());
    s.items.emplace_back();
    SnapshotItem& item = s.items.back();
    item.node = node;
    internal.push_back(0);
    for (const Tensor& input : node->inputs) {
      if (input->state == NodeState::Failed) return Error(*input->failure);
      if (input->state == NodeState::Pending) {
        TL_CHECK(input->recorder == node->recorder, "{} uses a tensor that is pending on another thread",
                 node->op->name);
        item.inputs.push_back(input->index);
        ++internal[static_cast<size_t>(input->index)];
        continue;
      }
      const auto [it, is_new] = leaf_numbers.emplace(input.node(), static_cast<i32>(s.leaves.size()));
      if (is_new) s.leaves.push_back(input);
      item.inputs.push_back(~it->second);
    }
  }
  s.key.reserve(s.items.size() * 5);
  for (size_t i = 0; i < s.items.size(); ++i) {
    SnapshotItem& item = s.items[i];
    item.external = item.node->references.load(std::memory_order_acquire) > internal[i];
    place(s, item, static_cast<i32>(i));
    add_to_key(s, item, static_cast<i64>(i));
  }
  return s;
}

}  // namespace tl
