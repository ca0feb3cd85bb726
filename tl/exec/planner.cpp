#include "tl/exec/planner.h"

#include <algorithm>
#include <map>

#include "tl/exec/fusion.h"
#include "tl/ops/ops.h"

namespace tl {
namespace {

class Planner {
 public:
  Planner(const Snapshot& snapshot, const Device& device, const PlanOptions& options)
      : s_(snapshot), device_(device), options_(options), plan_(std::make_unique<Plan>()) {}

  std::unique_ptr<Plan> run() {
    plan_->key = s_.key;
    const std::vector<FusedGroup> groups =
        options_.fuse ? find_fused_groups(s_) : std::vector<FusedGroup>(s_.items.size());
    for (size_t i = 0; i < s_.items.size(); ++i) {
      if (!groups[i].absorbed) add_node(static_cast<i32>(i), groups[i]);
    }
    assign_memory();
    cut_batches();
    return std::move(plan_);
  }

 private:
  void add_node(i32 index, const FusedGroup& group) {
    const SnapshotItem& item = s_.items[static_cast<size_t>(index)];
    const OpDef& op = *item.node->op;
    if (op.kind == OpKind::View && item.alias) return;
    Step step{.node = index, .dtype = item.node->type.dtype};
    if (op.kind == OpKind::View) {
      step.kind = Step::Kind::Copy;
      step.op = &op_contiguous;
      step.inputs.push_back(source(item.inputs[0]));
    } else if (!group.nodes.empty()) {
      step.kind = Step::Kind::Fused;
      step.op = &op_fused;
      step.fused = group.nodes;
      step.fused_inputs = group.inputs;
      for (const SourceRef input : group.inputs) step.inputs.push_back(readable(source(input), input, index));
    } else {
      step.op = &op;
      if (op.kind == OpKind::Append && item.alias) step.slot = Step::kInPlace;
      for (int i = 0; i < item.inputs.size(); ++i) step.inputs.push_back(input_for(item, i, index));
    }
    plan_->steps.push_back(std::move(step));
  }

  static StepInput source(SourceRef ref) {
    return is_leaf(ref) ? StepInput{StepInput::From::Leaf, ~ref} : StepInput{StepInput::From::Node, ref};
  }

  // Input `i` as the op's kernel wants it: blocks expanded, made contiguous, brought to a packed format.
  StepInput input_for(const SnapshotItem& item, int i, i32 reader) {
    const OpDef& op = *item.node->op;
    const SourceRef ref = item.inputs[i];
    const Node& from = s_.node_of(ref);
    StepInput in = source(ref);
    if (from.is_scalar) return in;
    if (is_quantised(from.type.dtype) && (op.quantised_inputs >> i & 1u) == 0) {
      return convert(in, op_dequantize, DType::F32, reader);
    }
    const Kernel& kernel = device_.kernel(op);
    InlineVector<TensorType, kMaxInputs> types;
    for (const SourceRef r : item.inputs) types.push_back(s_.node_of(r).type);
    const OpDef* wanted = kernel.prepare != nullptr ? kernel.prepare(i, types) : nullptr;
    // Compliance is known (and keyed) for the op's own layout only, so a stricter conversion always gets a
    // copy.
    const bool copy = (item.compliant >> i & 1u) == 0 || (wanted != nullptr && wanted->layout > op.layout);
    if (copy) in = convert(in, op_contiguous, from.type.dtype, reader);
    if (wanted == nullptr) return in;
    const Result<TensorType> type = wanted->infer(InferContext({&from.type, 1}, Attrs()));
    TL_CHECK(type.ok(), "{}: {}", wanted->name, type.error().message);
    return convert(in, *wanted, type.value().dtype, reader);
  }

  StepInput readable(StepInput in, SourceRef ref, i32 reader) {
    const Node& from = s_.node_of(ref);
    return is_quantised(from.type.dtype) ? convert(in, op_dequantize, DType::F32, reader) : in;
  }

  // One conversion serves every reader that wants the same.
  StepInput convert(StepInput in, const OpDef& op, DType dtype, i32 reader) {
    const auto key = std::tuple(in.from, in.index, &op);
    if (const auto it = conversions_.find(key); it != conversions_.end()) return it->second;
    Step step{.kind = Step::Kind::Copy, .op = &op, .node = reader, .is_conversion = true, .dtype = dtype};
    step.inputs.push_back(in);
    plan_->steps.push_back(std::move(step));
    const StepInput made{StepInput::From::Step, static_cast<i32>(plan_->steps.size()) - 1};
    conversions_.emplace(key, made);
    return made;
  }

  // --- memory ---

  i32 step_of_base(SourceRef base) const {
    return is_leaf(base) ? -1 : step_of_node_[static_cast<size_t>(base)];
  }
  // The step whose memory an input lies in; -1 for a leaf.
  i32 owner(const StepInput& in) const {
    if (in.from == StepInput::From::Step) return in.index;
    if (in.from == StepInput::From::Leaf) return -1;
    return step_of_base(s_.items[static_cast<size_t>(in.index)].base);
  }

  i64 bytes_of(const Step& step) const {
    const Node& node =
        step.is_conversion ? input_node(step.inputs[0]) : *s_.items[static_cast<size_t>(step.node)].node;
    return row_bytes(step.dtype, numel(node.type.shape));
  }
  const Node& input_node(const StepInput& in) const {
    if (in.from == StepInput::From::Step)
      return input_node(plan_->steps[static_cast<size_t>(in.index)].inputs[0]);
    return s_.node_of(in.from == StepInput::From::Leaf ? ~in.index : in.index);
  }

  void assign_memory() {
    std::vector<Step>& steps = plan_->steps;
    step_of_node_.assign(s_.items.size(), -1);
    for (size_t i = 0; i < steps.size(); ++i) {
      if (!steps[i].is_conversion) step_of_node_[static_cast<size_t>(steps[i].node)] = static_cast<i32>(i);
    }
    std::vector<bool> kept(steps.size(), false);
    for (const SnapshotItem& item : s_.items) {
      const i32 step = step_of_base(item.base);
      if (item.external && step >= 0) kept[static_cast<size_t>(step)] = true;
    }
    std::vector<i32> last_use(steps.size(), -1);
    for (size_t i = 0; i < steps.size(); ++i) {
      for (const StepInput& in : steps[i].inputs) {
        if (const i32 o = owner(in); o >= 0) last_use[static_cast<size_t>(o)] = static_cast<i32>(i);
      }
    }
    if (!options_.share_memory) return;
    std::vector<i64> slot_bytes;  // as large as seen so far; real sizes are bound at each run
    std::vector<i32> free_slots;
    for (size_t i = 0; i < steps.size(); ++i) {
      if (steps[i].slot != Step::kInPlace && !kept[i]) {
        steps[i].slot = take_slot(bytes_of(steps[i]), slot_bytes, free_slots);
        if (last_use[i] < 0) last_use[i] = static_cast<i32>(i);
      }
      for (size_t j = 0; j <= i; ++j) {
        if (last_use[j] == static_cast<i32>(i) && steps[j].slot >= 0) free_slots.push_back(steps[j].slot);
      }
    }
    plan_->slots = static_cast<i32>(slot_bytes.size());
  }

  // The free slot whose size fits best, else a new one.
  static i32 take_slot(i64 bytes, std::vector<i64>& sizes, std::vector<i32>& free_slots) {
    i64 best_waste = -1;
    size_t best = 0;
    for (size_t f = 0; f < free_slots.size(); ++f) {
      const i64 size = sizes[static_cast<size_t>(free_slots[f])];
      const i64 waste = size >= bytes ? size - bytes : 4 * (bytes - size);
      if (best_waste < 0 || waste < best_waste) best_waste = waste, best = f;
    }
    if (best_waste < 0) {
      sizes.push_back(bytes);
      return static_cast<i32>(sizes.size()) - 1;
    }
    const i32 slot = free_slots[best];
    free_slots.erase(free_slots.begin() + static_cast<std::ptrdiff_t>(best));
    sizes[static_cast<size_t>(slot)] = std::max(sizes[static_cast<size_t>(slot)], bytes);
    return slot;
  }

  void cut_batches() {
    const i32 n = static_cast<i32>(plan_->steps.size());
    for (i32 end = options_.commands_per_batch; end < n; end += options_.commands_per_batch) {
      plan_->batch_ends.push_back(end);
    }
    if (n > 0) plan_->batch_ends.push_back(n);
  }

  const Snapshot& s_;
  const Device& device_;
  const PlanOptions& options_;
  std::unique_ptr<Plan> plan_;
  std::map<std::tuple<StepInput::From, i32, const OpDef*>, StepInput> conversions_;
  std::vector<i32> step_of_node_;
};

}  // namespace

std::unique_ptr<Plan> make_plan(const Snapshot& snapshot, const Device& device, const PlanOptions& options) {
  return Planner(snapshot, device, options).run();
}

}  // namespace tl
