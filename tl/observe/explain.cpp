#include "tl/observe/explain.h"

#include "tl/exec/planner.h"
#include "tl/observe/place.h"

namespace tl {
namespace {

constexpr size_t kMostPlans = 1000;  // a program that never repeats itself must not grow

class PlanText {
 public:
  PlanText(const Plan& plan, const Snapshot& snapshot, const SourceFiles& files)
      : plan_(plan), s_(snapshot), files_(files) {}

  std::string text() const {
    std::string text =
        fmt::format("{} nodes, {} leaves -> {} steps in {} batches, {} slots\n", s_.items.size(),
                    s_.leaves.size(), plan_.steps.size(), plan_.batch_ends.size(), plan_.slots);
    for (size_t i = 0; i < s_.leaves.size(); ++i) {
      if (!s_.leaves[i]->is_scalar) text += fmt::format("  leaf {}: {}\n", i, to_string(s_.leaves[i].type()));
    }
    size_t batch = 0;
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      if (i > 0 && static_cast<i32>(i) == plan_.batch_ends[batch])
        text += fmt::format("  -- batch {}\n", ++batch + 1);
      text += step_text(i);
    }
    return text + views_text();
  }

 private:
  const Node& node_of(const Step& step) const { return *s_.items[static_cast<size_t>(step.node)].node; }

  const Shape& shape_of(const StepInput& in) const {
    if (in.from == StepInput::From::Step)
      return shape_of(plan_.steps[static_cast<size_t>(in.index)].inputs[0]);
    return s_.node_of(in.from == StepInput::From::Leaf ? ~in.index : in.index).type.shape;
  }

  // "step 3", "leaf 0", or the number itself; a view says what it looks at.
  std::string input_text(const StepInput& in) const {
    if (in.from == StepInput::From::Step) return fmt::format("step {}", in.index);
    if (in.from == StepInput::From::Leaf) {
      const Tensor& leaf = s_.leaves[static_cast<size_t>(in.index)];
      if (!leaf->is_scalar) return fmt::format("leaf {}", in.index);
      return is_float(leaf.dtype()) ? fmt::format("{}", leaf->scalar) : fmt::format("{}", leaf->scalar_int);
    }
    const SourceRef origin = plan_.origin_of_node[static_cast<size_t>(in.index)];
    const std::string shape = to_string(s_.node_of(in.index).type.shape);
    if (is_leaf(origin)) return fmt::format("view {} of leaf {}", shape, ~origin);
    const std::string writer = fmt::format("step {}", plan_.writer_of_node[static_cast<size_t>(in.index)]);
    return origin == in.index ? writer : fmt::format("view {} of {}", shape, writer);
  }

  std::string output_text(const Step& step, int k) const {
    const StepOutput& o = step.outputs[k];
    const Node& node = node_of(step);
    const Shape& shape = step.kind == Step::Kind::Copy  ? shape_of(step.inputs[0])
                         : node.output_types != nullptr ? (*node.output_types)[o.which].shape
                                                        : node.type.shape;
    const std::string type = to_string(TensorType{o.dtype, shape});
    switch (o.slot) {
      case StepOutput::kFresh:
        return type + " in memory of its own";
      case StepOutput::kInPlace:
        return type + " in place";
      case StepOutput::kGrowing:
        return type + " in memory that can grow";
      default:
        return fmt::format("{} in slot {}", type, o.slot);
    }
  }

  // "fused (silu, mul)"; what a conversion is for.
  std::string name_of(const Step& step) const {
    std::string name(step.op->name);
    if (step.kind == Step::Kind::Fused) {
      std::string chain;
      for (const i32 node : step.fused)
        chain += fmt::format("{}{}", chain.empty() ? "" : ", ",
                             s_.items[static_cast<size_t>(node)].node->op->name);
      name += fmt::format(" ({})", chain);
    }
    if (step.is_conversion) {
      name += fmt::format(" for {}", node_of(step).op->name);
      if (step.keep) {
        name += ", kept";
      } else if (step.may_be_kept) {
        name += ", kept if asked for again";
      }
    }
    return name;
  }

  std::string step_text(size_t index) const {
    const Step& step = plan_.steps[index];
    std::string inputs, outputs, after;
    for (const StepInput& in : step.inputs) inputs += (inputs.empty() ? "" : ", ") + input_text(in);
    for (int k = 0; k < step.outputs.size(); ++k) outputs += (k == 0 ? "" : "; ") + output_text(step, k);
    for (const i32 e : step.after) after += fmt::format("{}{}", after.empty() ? "" : ", ", e);
    std::string text = fmt::format("  {:>4}  {}({}) -> {}", index, name_of(step), inputs, outputs);
    if (!after.empty()) text += fmt::format(", after {}", after);
    const Span origin = node_of(step).origin;
    if (origin) text += fmt::format("  # {}  {}", place_of(files_, origin), excerpt_of(files_, origin));
    return text + "\n";
  }

  // Nodes that cost nothing: another look at memory that is there.
  std::string views_text() const {
    size_t views = 0;
    for (const SnapshotItem& item : s_.items)
      views += item.node->op->kind == OpKind::View && item.alias ? 1 : 0;
    return views == 0 ? "" : fmt::format("  {} views move nothing\n", views);
  }

  const Plan& plan_;
  const Snapshot& s_;
  const SourceFiles& files_;
};

}  // namespace

std::string plan_text(const Plan& plan, const Snapshot& snapshot, const SourceFiles& files) {
  return PlanText(plan, snapshot, files).text();
}

void Explanation::runs(const Plan& plan, const Snapshot& snapshot) {
  const std::lock_guard lock(mutex_);
  const auto it = number_of_.find(plan.key);
  if (it != number_of_.end()) {
    ++plans_[it->second].runs;
    return;
  }
  if (plans_.size() >= kMostPlans) return;
  number_of_.emplace(plan.key, plans_.size());
  plans_.push_back({plan_text(plan, snapshot, files_), 1});
}

void Explanation::note(Span function, std::string_view what, Span where, std::string_view why) {
  const std::lock_guard lock(mutex_);
  ++notes_[fmt::format("{} {}: {} ({} {})", place_of(files_, function), what, why, place_of(files_, where),
                       excerpt_of(files_, where))];
}

void Explanation::traced_again(Span function, Span where, std::string_view why) {
  note(function, "was traced again", where, why);
}

void Explanation::not_traced(Span function, Span where, std::string_view why) {
  note(function, "is not replayed", where, why);
}

std::string Explanation::text() const {
  const std::lock_guard lock(mutex_);
  std::string text;
  for (size_t i = 0; i < plans_.size(); ++i) {
    const u64 runs = plans_[i].runs;
    text += fmt::format("plan {}, run {} time{}: {}\n", i + 1, runs, runs == 1 ? "" : "s", plans_[i].text);
  }
  if (plans_.size() >= kMostPlans)
    text += fmt::format("and more: only the first {} plans are shown\n", kMostPlans);
  for (const auto& [what, times] : notes_)
    text += times == 1 ? what + "\n" : fmt::format("{}, {} times\n", what, times);
  return text;
}

}  // namespace tl
