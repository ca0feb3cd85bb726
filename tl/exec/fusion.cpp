#include "tl/exec/fusion.h"

#include <algorithm>

#include "tl/ops/elementwise/fused.h"

namespace tl {
namespace {

constexpr size_t kMaxNodes = kMaxFusedSteps < 24
                                 ? kMaxFusedSteps
                                 : 24;  // of one pass: its intermediate tiles should stay in the L1 cache

bool is_elementwise(const Node& node) {
  return node.op != nullptr && node.op->kind == OpKind::Elementwise && node.op->fused_code >= 0;
}

// How often each node is read inside the snapshot.
std::vector<i32> count_readers(const Snapshot& s) {
  std::vector<i32> readers(s.items.size(), 0);
  for (const SnapshotItem& item : s.items) {
    if (item.unused) continue;
    for (const SourceRef input : item.inputs) {
      if (!is_leaf(input)) ++readers[static_cast<size_t>(input)];
    }
  }
  return readers;
}

// The group with `producer`'s nodes and inputs put before `reader`'s own.
bool absorb(FusedGroup& group, const FusedGroup& producer, i32 producer_index) {
  FusedGroup merged = group;
  std::erase(merged.inputs, producer_index);
  for (const SourceRef input : producer.inputs) {
    if (std::find(merged.inputs.begin(), merged.inputs.end(), input) == merged.inputs.end()) {
      merged.inputs.push_back(input);
    }
  }
  merged.nodes.insert(merged.nodes.end(), producer.nodes.begin(), producer.nodes.end());
  std::sort(merged.nodes.begin(), merged.nodes.end());
  if (merged.nodes.size() > kMaxNodes || merged.inputs.size() > static_cast<size_t>(kMaxInputs)) return false;
  group = std::move(merged);
  return true;
}

// The items that write over what was in their base's memory.
std::vector<size_t> find_overwriting(const Snapshot& s) {
  std::vector<size_t> found;
  for (size_t i = 0; i < s.items.size(); ++i) {
    if (s.items[i].overwrites) found.push_back(i);
  }
  return found;
}

// Whether what `group` reads is still there when `reader` runs, and not only when `producer` would.
bool may_run_later(const Snapshot& s, const FusedGroup& group, size_t producer, size_t reader,
                   std::span<const size_t> overwriting) {
  for (const size_t at : overwriting) {
    if (at <= producer || at >= reader) continue;
    for (const SourceRef input : group.inputs) {
      if (s.base_of(input) == s.items[at].base) return false;
    }
  }
  return true;
}

}  // namespace

std::vector<FusedGroup> find_fused_groups(const Snapshot& s) {
  const std::vector<i32> readers = count_readers(s);
  const std::vector<size_t> overwriting = find_overwriting(s);
  std::vector<FusedGroup> groups(s.items.size());
  for (size_t i = 0; i < s.items.size(); ++i) {
    const SnapshotItem& item = s.items[i];
    if (item.unused || !is_elementwise(*item.node)) continue;
    FusedGroup& group = groups[i];
    group.nodes = {static_cast<i32>(i)};
    for (const SourceRef input : item.inputs) {
      if (std::find(group.inputs.begin(), group.inputs.end(), input) == group.inputs.end())
        group.inputs.push_back(input);
    }
    for (int k = 0; k < item.inputs.size(); ++k) {
      const SourceRef input = item.inputs[k];
      if (is_leaf(input) || (item.same_shape >> k & 1u) == 0) continue;
      const size_t j = static_cast<size_t>(input);
      const i64 uses = std::count(item.inputs.begin(), item.inputs.end(), input);
      // A value somebody else reads is needed in memory anyway.
      if (groups[j].absorbed || s.items[j].external || readers[j] != uses ||
          !is_elementwise(*s.items[j].node))
        continue;
      if (!may_run_later(s, groups[j], j, i, overwriting)) continue;
      if (absorb(group, groups[j], input)) groups[j].absorbed = true;
    }
  }
  // An op on its own has its own kernel.
  for (FusedGroup& group : groups) {
    if (group.absorbed) group.nodes.clear();
    if (group.nodes.size() < 2) group.nodes.clear(), group.inputs.clear();
  }
  return groups;
}

Attrs fused_attrs(const Snapshot& s, std::span<const i32> nodes, std::span<const SourceRef> inputs) {
  FusedBuilder builder;
  std::vector<std::pair<SourceRef, int>> numbers;  // of the values, as the program counts them
  for (const SourceRef input : inputs) {
    const DType dtype = s.node_of(input).type.dtype;
    numbers.emplace_back(input, builder.add_input(element_type(dtype)));
  }
  for (const i32 index : nodes) {
    const SnapshotItem& item = s.items[static_cast<size_t>(index)];
    InlineVector<int, kMaxInputs> args;
    for (const SourceRef input : item.inputs) {
      const auto it =
          std::find_if(numbers.begin(), numbers.end(), [&](const auto& n) { return n.first == input; });
      TL_CHECK(it != numbers.end(), "{} reads what its pass does not have", item.node->op->name);
      args.push_back(it->second);
    }
    const auto code = static_cast<ScalarCode>(item.node->op->fused_code);
    numbers.emplace_back(index, builder.add_op(code, args, item.node->type.dtype));
  }
  return builder.finish();
}

}  // namespace tl
