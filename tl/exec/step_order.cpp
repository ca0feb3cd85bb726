#include "tl/exec/step_order.h"

#include <algorithm>
#include <unordered_map>

namespace tl {
namespace {

class StepOrder {
 public:
  StepOrder(const Snapshot& snapshot, Plan& plan)
      : s_(snapshot), plan_(plan), writer_(snapshot.items.size(), -1) {
    number_memories();
    find_origins();
  }

  void run() {
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      Step& step = plan_.steps[i];
      for (const StepInput& in : step.inputs) read(static_cast<i32>(i), in);
      for (int k = 0; k < step.outputs.size(); ++k) write(static_cast<i32>(i), k);
      for (std::vector<i32>* list : {&step.after, &step.producers}) {
        std::sort(list->begin(), list->end());
        list->erase(std::unique(list->begin(), list->end()), list->end());
      }
      note_writers(static_cast<i32>(i));
    }
    plan_.writer_of_node.clear();
    for (size_t i = 0; i < s_.items.size(); ++i) {
      plan_.writer_of_node.push_back(writer_of(static_cast<SourceRef>(i)));
    }
    plan_.origin_of_node = origin_;
  }

 private:
  // Memory that steps share, and who has used it since it began to hold what it holds.
  struct Memory {
    std::vector<i32> readers, writers;
  };

  // Slots first, then the outputs that have memory of their own, then leaves.
  void number_memories() {
    memories_.resize(static_cast<size_t>(plan_.slots));
    memory_of_output_.resize(plan_.steps.size());
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      for (const StepOutput& o : plan_.steps[i].outputs) {
        i32 memory = o.slot;
        if (memory < 0 && o.slot != StepOutput::kInPlace) memory = add_memory();
        memory_of_output_[i].push_back(memory);
      }
    }
    memory_of_leaf_.assign(s_.leaves.size(), -1);
    // Leaves of one buffer are one memory.
    std::unordered_map<const void*, i32> by_buffer;
    for (size_t i = 0; i < s_.leaves.size(); ++i) {
      const void* buffer = s_.leaves[i]->value.buffer.get();
      if (buffer == nullptr) continue;
      const auto [it, is_new] = by_buffer.emplace(buffer, 0);
      if (is_new) it->second = add_memory();
      memory_of_leaf_[i] = it->second;
    }
  }
  i32 add_memory() {
    memories_.emplace_back();
    return static_cast<i32>(memories_.size()) - 1;
  }

  i32 memory_of_base(SourceRef base) const {
    if (is_leaf(base)) return memory_of_leaf_[static_cast<size_t>(~base)];
    const i32 step = plan_.step_of_node[static_cast<size_t>(base)];
    const auto& outputs = plan_.steps[static_cast<size_t>(step)].outputs;
    for (int k = 0; k < outputs.size(); ++k) {
      if (outputs[k].node == base) return memory_of_output_[static_cast<size_t>(step)][k];
    }
    return memory_of_output_[static_cast<size_t>(step)][0];
  }

  // The step that wrote a source's content last; -1: it was there before.
  i32 writer_of(SourceRef ref) const {
    if (is_leaf(ref)) return -1;
    const SourceRef origin = origin_[static_cast<size_t>(ref)];
    return is_leaf(origin) ? -1 : writer_[static_cast<size_t>(origin)];
  }

  void read(i32 self, const StepInput& in) {
    Step& step = plan_.steps[static_cast<size_t>(self)];
    i32 memory, writer;
    if (in.from == StepInput::From::Step) {
      memory = memory_of_output_[static_cast<size_t>(in.index)][0];
      writer = in.index;
    } else {
      const SourceRef ref = in.from == StepInput::From::Leaf ? ~in.index : in.index;
      memory = memory_of_base(s_.base_of(ref));
      writer = writer_of(ref);
    }
    if (writer >= 0) {
      step.after.push_back(writer);
      step.producers.push_back(writer);
    }
    if (memory >= 0) memories_[static_cast<size_t>(memory)].readers.push_back(self);
  }

  void write(i32 self, int k) {
    Step& step = plan_.steps[static_cast<size_t>(self)];
    i32 memory = memory_of_output_[static_cast<size_t>(self)][k];
    bool replaces = true;
    if (step.outputs[k].slot == StepOutput::kInPlace) {
      const SnapshotItem& item = s_.items[static_cast<size_t>(step.node)];
      memory = memory_of_base(item.base);
      memory_of_output_[static_cast<size_t>(self)][k] = memory;
      replaces = item.overwrites;
    }
    Memory& m = memories_[static_cast<size_t>(memory)];
    if (replaces) {
      for (const std::vector<i32>* users : {&m.readers, &m.writers}) {
        for (const i32 user : *users) {
          if (user != self) step.after.push_back(user);
        }
      }
      m.readers.clear();
      m.writers.clear();
    }
    m.writers.push_back(self);
  }

  // Whoever reads the values that this step computes comes after it.
  void note_writers(i32 self) {
    const Step& step = plan_.steps[static_cast<size_t>(self)];
    if (step.is_conversion) return;
    writer_[static_cast<size_t>(step.node)] = self;
    for (const StepOutput& o : step.outputs) {
      if (o.node >= 0) writer_[static_cast<size_t>(o.node)] = self;
    }
  }

  // What a view looks at in the end, through views of views.
  void find_origins() {
    for (size_t i = 0; i < s_.items.size(); ++i) {
      const SnapshotItem& item = s_.items[i];
      const bool is_view = item.alias && !item.in_place;
      const SourceRef input = is_view ? item.inputs[0] : 0;
      origin_.push_back(!is_view         ? static_cast<SourceRef>(i)
                        : is_leaf(input) ? input
                                         : origin_[static_cast<size_t>(input)]);
    }
  }

  const Snapshot& s_;
  Plan& plan_;
  std::vector<Memory> memories_;
  std::vector<InlineVector<i32, kMaxOutputs>> memory_of_output_;
  std::vector<i32> memory_of_leaf_;
  std::vector<i32> writer_;
  std::vector<SourceRef> origin_;
};

}  // namespace

void find_order(const Snapshot& snapshot, Plan& plan) {
  StepOrder(snapshot, plan).run();
}

}  // namespace tl
