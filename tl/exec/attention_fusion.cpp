#include "tl/exec/attention_fusion.h"

#include <algorithm>
#include <optional>

#include "tl/ops/attention/masked_attention.h"
#include "tl/ops/ops.h"

namespace tl {
namespace {

u64 packed_axes(const Node& permute) {
  u64 axes = 0;
  for (const i64 axis : permute.attrs.ints())
    axes = axes << 3 | static_cast<u64>(*normalise_axis(axis, permute.type.rank()));
  return axes;
}

bool is_along_last_axis(const Node& softmax) {
  return normalise_axis(softmax.attrs.int_at(0), softmax.type.rank()) == softmax.type.rank() - 1;
}

// [a, b, c, d] to [a, b * c, d].
bool merges_middle_axes(const Shape& from, const Shape& to) {
  return from.size() == 4 && to.size() == 3 && from[0] == to[0] && from[3] == to[2];
}

bool is_plain_float(DType t) {
  return t == DType::F32 || t == DType::F16 || t == DType::BF16;
}

bool contains(const std::vector<SourceRef>& list, SourceRef ref) {
  return std::find(list.begin(), list.end(), ref) != list.end();
}

class Finder {
 public:
  Finder(const Snapshot& snapshot, std::vector<FusedGroup>& groups)
      : s_(snapshot), groups_(groups), readers_(snapshot.items.size(), 0) {
    for (size_t i = 0; i < s_.items.size(); ++i) {
      if (s_.items[i].unused) continue;
      for (const SourceRef input : s_.items[i].inputs) {
        if (!is_leaf(input)) ++readers_[static_cast<size_t>(input)];
      }
      if (s_.items[i].overwrites) overwriting_.push_back(static_cast<i32>(i));
    }
  }

  // The group whose last node is item `last`, if it is the second product of one.
  std::optional<AttentionGroup> ending_at(SourceRef last) const {
    const SnapshotItem& mix = item(last);
    if (mix.unused || !is_product(mix)) return std::nullopt;
    const SourceRef weights = mix.inputs[0];
    if (!is_own(weights, 1) || item(weights).node->op != &op_softmax || !is_scores(weights) ||
        !is_along_last_axis(*item(weights).node)) {
      return std::nullopt;
    }
    const SourceRef masked = item(weights).inputs[0];
    if (is_leaf(masked) || !is_own(masked, 1) || !is_scores(masked)) return std::nullopt;
    const Pass pass = pass_of(masked);
    const SourceRef scores = pass.nodes.empty() ? masked : scores_of(pass);
    if (is_leaf(scores) || !is_product(item(scores))) return std::nullopt;
    return group_of(last, weights, scores, pass);
  }

 private:
  // Element-wise work on the scores.
  struct Pass {
    std::vector<i32> nodes;
    std::vector<SourceRef> inputs;
  };

  const SnapshotItem& item(SourceRef ref) const { return s_.items[static_cast<size_t>(ref)]; }

  // Nobody but `reads` inputs of items needs its value.
  bool is_own(SourceRef ref, i32 reads) const {
    return !is_leaf(ref) && !item(ref).external && !item(ref).in_place &&
           readers_[static_cast<size_t>(ref)] == reads;
  }
  bool is_scores(SourceRef ref) const {
    const TensorType& type = item(ref).node->type;
    return type.dtype == DType::F32 && type.rank() == 3;
  }

  // A matmul of floats with one axis of heads that gives float32.
  bool is_product(const SnapshotItem& product) const {
    const auto is_operand = [&](SourceRef ref) {
      const Node& node = s_.node_of(ref);
      return !node.is_scalar && node.type.rank() == 3 && is_plain_float(node.type.dtype);
    };
    return product.node->op == &op_matmul && product.node->type.dtype == DType::F32 &&
           is_operand(product.inputs[0]) && is_operand(product.inputs[1]);
  }

  Pass pass_of(SourceRef masked) const {
    Pass pass;
    const SnapshotItem& last = item(masked);
    if (last.node->op->kind != OpKind::Elementwise || last.node->op->fused_code < 0) return pass;
    const FusedGroup& group = groups_[static_cast<size_t>(masked)];
    if (!group.nodes.empty()) return {group.nodes, group.inputs};
    pass.nodes.push_back(masked);
    for (const SourceRef input : last.inputs) {
      if (!contains(pass.inputs, input)) pass.inputs.push_back(input);
    }
    return pass;
  }

  // The product that only the pass reads, and everywhere whole; a leaf if there is none.
  SourceRef scores_of(const Pass& pass) const {
    for (const SourceRef input : pass.inputs) {
      if (is_leaf(input) || !is_product(item(input))) continue;
      i32 reads = 0;
      bool is_whole = true;
      for (const i32 node : pass.nodes) {
        for (int k = 0; k < item(node).inputs.size(); ++k) {
          if (item(node).inputs[k] != input) continue;
          ++reads;
          is_whole = is_whole && (item(node).same_shape >> k & 1u) != 0;
        }
      }
      if (is_whole && is_own(input, reads)) return input;
    }
    return ~0;
  }

  // What [t, groups, group, d] lies behind `ref` if its heads are copied only for this product; else `ref`
  // itself. `axes`: how the copy is then permuted.
  SourceRef grouped(SourceRef ref, u64 axes, std::vector<i32>& nodes) const {
    if (!is_own(ref, 1) || item(ref).node->op != &op_permute || packed_axes(*item(ref).node) != axes)
      return ref;
    const SourceRef copy = item(ref).inputs[0];
    if (!is_own(copy, 1) || item(copy).node->op != &op_reshape || item(copy).alias) return ref;
    const SourceRef source = item(copy).inputs[0];
    if (s_.node_of(source).is_scalar ||
        !merges_middle_axes(s_.node_of(source).type.shape, item(copy).node->type.shape))
      return ref;
    nodes.push_back(copy);
    nodes.push_back(ref);
    return source;
  }

  std::optional<AttentionGroup> group_of(SourceRef last, SourceRef weights, SourceRef scores,
                                         const Pass& pass) const {
    constexpr u64 kKeyAxes = 1 << 6 | 2 << 3 | 0, kValueAxes = 1 << 6 | 0 << 3 | 2;
    AttentionGroup group;
    group.nodes = pass.nodes;
    group.nodes.insert(group.nodes.end(), {scores, weights, last});
    const SourceRef q = item(scores).inputs[0], k = item(scores).inputs[1], v = item(last).inputs[1];
    const SourceRef keys = grouped(k, kKeyAxes, group.nodes), values = grouped(v, kValueAxes, group.nodes);
    group.inputs = {q, keys, values};
    std::vector<SourceRef> read{scores};
    for (const SourceRef input : pass.inputs) {
      if (input == scores) continue;
      read.push_back(input);
      group.inputs.push_back(input);
    }
    std::sort(group.nodes.begin(), group.nodes.end());
    if (group.inputs.size() > static_cast<size_t>(kMaxInputs) || !are_there_at(group, last))
      return std::nullopt;
    if (!pass.nodes.empty()) group.attrs = fused_attrs(s_, pass.nodes, read);
    group.attrs.with_int((keys != k ? kKeysAreGrouped : 0) | (values != v ? kValuesAreGrouped : 0));
    return group;
  }

  // Whether what the group reads is still there when its last node is computed.
  bool are_there_at(const AttentionGroup& group, i32 last) const {
    for (const i32 at : overwriting_) {
      if (at <= group.nodes.front() || at >= last) continue;
      for (const SourceRef input : group.inputs) {
        if (s_.base_of(input) == item(at).base) return false;
      }
    }
    return true;
  }

  const Snapshot& s_;
  const std::vector<FusedGroup>& groups_;
  std::vector<i32> readers_;      // how often each node is read inside the snapshot
  std::vector<i32> overwriting_;  // items that write over what was in their base's memory
};

}  // namespace

std::vector<AttentionGroup> find_attention(const Snapshot& snapshot, std::vector<FusedGroup>& groups) {
  const Finder finder(snapshot, groups);
  std::vector<AttentionGroup> found(snapshot.items.size());
  for (size_t i = 0; i < found.size(); ++i) {
    std::optional<AttentionGroup> group = finder.ending_at(static_cast<SourceRef>(i));
    if (!group) continue;
    for (const i32 node : group->nodes) {
      if (static_cast<size_t>(node) != i) groups[static_cast<size_t>(node)].absorbed = true;
    }
    found[i] = std::move(*group);
  }
  return found;
}

u64 attention_facts(const Snapshot& snapshot, const SnapshotItem& item) {
  const Node& node = *item.node;
  if (node.op == &op_permute) return packed_axes(node);
  if (node.op == &op_softmax) return is_along_last_axis(node) ? 1 : 0;
  if (node.op == &op_reshape)
    return merges_middle_axes(snapshot.node_of(item.inputs[0]).type.shape, node.type.shape) ? 1 : 0;
  return 0;
}

}  // namespace tl
