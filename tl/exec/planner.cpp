#include "tl/exec/planner.h"

#include <algorithm>
#include <map>

#include "tl/exec/attention_fusion.h"
#include "tl/exec/step_order.h"
#include "tl/ops/ops.h"

namespace tl {
namespace {

class Planner {
 public:
  Planner(const Snapshot& snapshot, const Device& device, const PlanOptions& options)
      : s_(snapshot), device_(device), options_(options), plan_(std::make_shared<Plan>()) {}

  std::shared_ptr<Plan> run() {
    plan_->key = s_.key;
    std::vector<FusedGroup> groups =
        options_.fuse ? find_fused_groups(s_) : std::vector<FusedGroup>(s_.items.size());
    const std::vector<AttentionGroup> attention =
        options_.fuse ? find_attention(s_, groups) : std::vector<AttentionGroup>(s_.items.size());
    for (size_t i = 0; i < s_.items.size(); ++i) {
      if (groups[i].absorbed || s_.items[i].unused) continue;
      if (!attention[i].nodes.empty()) {
        add_attention(static_cast<i32>(i), attention[i]);
      } else {
        add_node(static_cast<i32>(i), groups[i]);
      }
    }
    find_steps_of_nodes();
    assign_memory();
    find_order(s_, *plan_);
    cut_batches();
    for (Step& step : plan_->steps) {
      step.kernel = &device_.kernel(*step.op);
      if (step.kernel->run == nullptr && plan_->missing == nullptr) plan_->missing = step.op;
    }
    return std::move(plan_);
  }

 private:
  void add_node(i32 index, const FusedGroup& group) {
    const SnapshotItem& item = s_.items[static_cast<size_t>(index)];
    const OpDef& op = *item.node->op;
    if (op.kind == OpKind::View && item.alias) return;
    if (op.kind == OpKind::Output) return add_output(index, item);
    Step step;
    step.node = index;
    step.outputs.push_back({.node = index, .dtype = item.node->type.dtype});
    if (op.kind == OpKind::View) {
      step.kind = Step::Kind::Copy;
      step.op = &op_contiguous;
      step.inputs.push_back(source(item.inputs[0]));
    } else if (!group.nodes.empty()) {
      step.kind = Step::Kind::Fused;
      step.op = &op_fused;
      step.fused = group.nodes;
      step.fused_attrs = fused_attrs(s_, group.nodes, group.inputs);
      for (const SourceRef input : group.inputs) step.inputs.push_back(readable(source(input), input, index));
    } else {
      step.op = &op;
      if (item.in_place) {
        step.outputs[0].slot = StepOutput::kInPlace;
      } else if (op.kind == OpKind::Append) {
        step.outputs[0].slot = StepOutput::kGrowing;
      }
      for (int i = 0; i < item.inputs.size(); ++i) step.inputs.push_back(input_for(item, i, index));
      if (item.node->output_types != nullptr) {
        const OutputTypes& types = *item.node->output_types;
        step.outputs.clear();
        for (int k = 0; k < types.size(); ++k) step.outputs.push_back({.which = k, .dtype = types[k].dtype});
        several_.emplace(index, plan_->steps.size());
      }
    }
    plan_->steps.push_back(std::move(step));
  }

  void add_attention(i32 index, const AttentionGroup& group) {
    Step step;
    step.kind = Step::Kind::Fused;
    step.op = &op_masked_attention;
    step.node = index;
    step.fused = group.nodes;
    step.fused_attrs = group.attrs;
    for (const SourceRef input : group.inputs) step.inputs.push_back(readable(source(input), input, index));
    step.outputs.push_back({.node = index, .dtype = s_.items[static_cast<size_t>(index)].node->type.dtype});
    plan_->steps.push_back(std::move(step));
  }

  // The step of an op with several outputs learns who wants this one.
  void add_output(i32 index, const SnapshotItem& item) {
    Step& step = plan_->steps[several_.at(item.inputs[0])];
    step.outputs[static_cast<int>(item.node->attrs.int_at(0))].node = index;
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
      return convert(in, op_dequantize, DType::F32, reader, false);
    }
    const Kernel& kernel = device_.kernel(op);
    const Conversion wanted = kernel.prepare != nullptr ? kernel.prepare(i, types_of(item)) : Conversion{};
    // Compliance is known (and keyed) for the op's own layout only, so a stricter conversion always gets a
    // copy.
    const bool copy =
        (item.compliant >> i & 1u) == 0 || (wanted.op != nullptr && wanted.op->layout > op.layout);
    if (copy) in = convert(in, op_contiguous, from.type.dtype, reader, false);
    if (wanted.op == nullptr) return in;
    const Attrs none;
    const Result<TensorType> type = wanted.op->infer(InferContext({&from.type, 1}, none));
    TL_CHECK(type.ok(), "{}: {}", wanted.op->name, type.error().message);
    return convert(in, *wanted.op, type.value().dtype, reader, wanted.keep);
  }

  // Element types and ranks: a plan must not be made by the sizes of its first run.
  InlineVector<TensorType, kMaxInputs> types_of(const SnapshotItem& item) const {
    InlineVector<TensorType, kMaxInputs> types;
    for (const SourceRef r : item.inputs) {
      const TensorType& type = s_.node_of(r).type;
      types.push_back({type.dtype, Shape::filled(type.rank(), kUnknownDim)});
    }
    return types;
  }

  StepInput readable(StepInput in, SourceRef ref, i32 reader) {
    const Node& from = s_.node_of(ref);
    return is_quantised(from.type.dtype) ? convert(in, op_dequantize, DType::F32, reader, false) : in;
  }

  // One conversion serves every reader that wants the same.
  StepInput convert(StepInput in, const OpDef& op, DType dtype, i32 reader, bool keep) {
    const auto key = std::tuple(in.from, in.index, &op);
    if (const auto it = conversions_.find(key); it != conversions_.end()) return it->second;
    Step step{.kind = Step::Kind::Copy, .op = &op};
    step.node = reader;
    step.is_conversion = true;
    step.keep = keep;
    step.may_be_kept = is_of_leaf(in);
    step.inputs.push_back(in);
    step.outputs.push_back({.dtype = dtype});
    plan_->steps.push_back(std::move(step));
    const StepInput made{StepInput::From::Step, static_cast<i32>(plan_->steps.size()) - 1};
    conversions_.emplace(key, made);
    return made;
  }

  // A leaf, or a view of one: what does not change from run to run as a rule.
  bool is_of_leaf(const StepInput& in) const {
    if (in.from == StepInput::From::Step) return false;
    const SourceRef ref = in.from == StepInput::From::Leaf ? ~in.index : in.index;
    if (!is_leaf(s_.base_of(ref))) return false;
    // What is written in this very run is not what it was.
    return std::none_of(s_.items.begin(), s_.items.end(), [&](const SnapshotItem& item) {
      return item.in_place && item.base == s_.base_of(ref);
    });
  }

  void find_steps_of_nodes() {
    plan_->step_of_node.assign(s_.items.size(), -1);
    for (size_t i = 0; i < plan_->steps.size(); ++i) {
      const Step& step = plan_->steps[i];
      if (step.is_conversion) continue;
      plan_->step_of_node[static_cast<size_t>(step.node)] = static_cast<i32>(i);
      for (const StepOutput& o : step.outputs) {
        if (o.node >= 0) plan_->step_of_node[static_cast<size_t>(o.node)] = static_cast<i32>(i);
      }
    }
  }

  // --- memory ---

  // An output: a step and its number there.
  struct Place {
    i32 step = -1;  // -1: a leaf
    i32 output = 0;
    bool operator==(const Place&) const = default;
  };

  // Whose memory an item lies in; none for leaves and what has no memory.
  Place owner_of(SourceRef base) const {
    if (is_leaf(base)) return {};
    const i32 step = plan_->step_of_node[static_cast<size_t>(base)];
    if (step < 0) return {};  // computed inside another's pass
    const auto& outputs = plan_->steps[static_cast<size_t>(step)].outputs;
    for (i32 k = 0; k < outputs.size(); ++k) {
      if (outputs[k].node == base) return {step, k};
    }
    return {step, 0};
  }
  Place owner_of(const StepInput& in) const {
    if (in.from == StepInput::From::Step) return {in.index, 0};
    if (in.from == StepInput::From::Leaf) return {};
    return owner_of(s_.items[static_cast<size_t>(in.index)].base);
  }

  i64 bytes_of(const Step& step, const StepOutput& o) const {
    const Node& node =
        step.is_conversion ? input_node(step.inputs[0]) : *s_.items[static_cast<size_t>(step.node)].node;
    const Shape& shape = node.output_types != nullptr ? (*node.output_types)[o.which].shape : node.type.shape;
    return row_bytes(o.dtype, numel(shape));
  }
  const Node& input_node(const StepInput& in) const {
    if (in.from == StepInput::From::Step)
      return input_node(plan_->steps[static_cast<size_t>(in.index)].inputs[0]);
    return s_.node_of(in.from == StepInput::From::Leaf ? ~in.index : in.index);
  }

  // An output that has memory of its own, which is a slot if nobody needs it afterwards.
  struct Life {
    bool is_kept = false;
    i32 last_use = -1;
  };

  void assign_memory() {
    std::vector<Step>& steps = plan_->steps;
    std::vector<std::array<Life, kMaxOutputs>> lives(steps.size());
    const auto life_of = [&](Place p) -> Life& {
      return lives[static_cast<size_t>(p.step)][static_cast<size_t>(p.output)];
    };
    for (const SnapshotItem& item : s_.items) {
      if (const Place p = owner_of(item.base); p.step >= 0 && item.external) life_of(p).is_kept = true;
    }
    for (size_t i = 0; i < steps.size(); ++i) {
      for (const StepInput& in : steps[i].inputs) {
        if (const Place p = owner_of(in); p.step >= 0) life_of(p).last_use = static_cast<i32>(i);
      }
      for (Life& life : lives[i]) life.last_use = std::max(life.last_use, static_cast<i32>(i));
      if (steps[i].may_be_kept) lives[i][0].is_kept = true;
    }
    // A slot has room for what its steps write themselves.
    grows_.assign(s_.items.size(), false);
    for (const SnapshotItem& item : s_.items) {
      const bool appends = item.in_place && item.node->op->kind == OpKind::Append;
      if (appends && !is_leaf(item.base)) grows_[static_cast<size_t>(item.base)] = true;
      // And only memory that is a range of its own can be shared.
      if (!item.forks) continue;
      const SourceRef shared = s_.base_of(item.inputs[0]);
      if (!is_leaf(shared)) grows_[static_cast<size_t>(shared)] = true;
      grows_[static_cast<size_t>(item.base)] = true;
    }
    if (options_.share_memory) share_slots(lives);
  }

  void share_slots(const std::vector<std::array<Life, kMaxOutputs>>& lives) {
    std::vector<Step>& steps = plan_->steps;
    std::vector<i64> slot_bytes;  // as large as seen so far; real sizes are bound at each run
    std::vector<i32> free_slots;
    std::vector<std::vector<i32>> freed_after(steps.size());
    for (size_t i = 0; i < steps.size(); ++i) {
      for (int k = 0; k < steps[i].outputs.size(); ++k) {
        StepOutput& o = steps[i].outputs[k];
        const Life& life = lives[i][static_cast<size_t>(k)];
        const bool grows = !steps[i].is_conversion && grows_[static_cast<size_t>(steps[i].node)];
        if (o.slot == StepOutput::kInPlace || life.is_kept || grows) continue;
        o.slot = take_slot(bytes_of(steps[i], o), slot_bytes, free_slots);
        freed_after[static_cast<size_t>(life.last_use)].push_back(o.slot);
      }
      free_slots.insert(free_slots.end(), freed_after[i].begin(), freed_after[i].end());
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
    i32 first = 0;
    std::vector<i32> earlier;
    for (const i32 end : plan_->batch_ends) {
      Order& order = plan_->orders.emplace_back();
      for (i32 i = first; i < end; ++i) {
        earlier.clear();
        // Earlier batches are done before this one starts.
        for (const i32 e : plan_->steps[static_cast<size_t>(i)].after) {
          if (e >= first) earlier.push_back(e - first);
        }
        order.add(earlier);
      }
      first = end;
    }
  }

  const Snapshot& s_;
  const Device& device_;
  const PlanOptions& options_;
  std::shared_ptr<Plan> plan_;
  std::map<std::tuple<StepInput::From, i32, const OpDef*>, StepInput> conversions_;
  std::map<i32, size_t> several_;  // steps with several outputs, by node
  std::vector<bool> grows_;        // items whose memory others write into
};

}  // namespace

std::shared_ptr<Plan> make_plan(const Snapshot& snapshot, const Device& device, const PlanOptions& options) {
  return Planner(snapshot, device, options).run();
}

}  // namespace tl
