// Runs that are kept for another evaluation of the same snapshot: what changed since the last one is made
// anew, everything else stays in batches that come back.
#include "tl/exec/run.h"

#include <algorithm>

namespace tl {

void Run::Index::add(std::vector<std::vector<i32>>& lists) {
  for (const std::vector<i32>& list : lists) {
    items.insert(items.end(), list.begin(), list.end());
    begin.push_back(static_cast<i32>(items.size()));
  }
}

void Run::begin_again(const RunChanges& changes, std::shared_ptr<const void> keep, bool reuse_batches) {
  const bool is_first = count_++ == 0;
  reuses_batches_ = reuse_batches && !device_.wants_accesses();
  changes_ = is_first ? nullptr : &changes;
  keep_ = std::move(keep);
  skipped_ = 0;
  if (is_first) return index_steps(changes);
  outcome_ = std::make_shared<Outcome>();
  find_changed(changes);
}

void Run::index_steps(const RunChanges& changes) {
  homes_.resize(plan_->batch_ends.size());
  for (auto& home : homes_) home = std::make_shared<BatchHome>();
  sources_.resize(plan_->batch_ends.size());
  by_base_.resize(plan_->batch_ends.size());
  moving_bases_.resize(plan_->batch_ends.size());
  changed_at_.assign(plan_->steps.size(), count_);
  set_at_.assign(plan_->steps.size(), 0);
  find_whereabouts();
  varying_leaves_.assign(changes.varying_leaves.begin(), changes.varying_leaves.end());
  std::vector<u8> varies(s_.leaves.size(), 0);
  for (const i32 leaf : changes.varying_leaves) varies[static_cast<size_t>(leaf)] = 1;
  std::vector<std::vector<i32>> computes(s_.items.size()), reads(s_.items.size()),
      reads_leaf(s_.leaves.size());
  for (size_t i = 0; i < plan_->steps.size(); ++i) {
    const Step& step = plan_->steps[i];
    const i32 self = static_cast<i32>(i);
    computes[static_cast<size_t>(step.node)].push_back(self);
    for (const i32 node : step.fused) {
      if (node != step.node) computes[static_cast<size_t>(node)].push_back(self);
    }
    bool is_varying = false, is_told = step.may_be_kept;
    for (const StepInput& in : step.inputs) {
      const StepInput* from = &in;
      while (from->from == StepInput::From::Step) {
        const Step& conversion = plan_->steps[static_cast<size_t>(from->index)];
        is_varying = is_varying || conversion.may_be_kept;
        is_told = is_told || conversion.may_be_kept;  // it reads what was kept, or not
        from = &conversion.inputs[0];
      }
      const SourceRef ref = source_of(*from);
      auto& list = is_leaf(ref) ? reads_leaf[static_cast<size_t>(~ref)] : reads[static_cast<size_t>(ref)];
      if (list.empty() || list.back() != self) list.push_back(self);
      const SourceRef origin = is_leaf(ref) ? ref : plan_->origin_of_node[static_cast<size_t>(ref)];
      if (!is_leaf(origin) || varies[static_cast<size_t>(~origin)] == 0) continue;
      is_varying = true;
      is_told = is_told || s_.node_of(ref).is_scalar;
    }
    if (is_varying) reads_varying_.push_back(self);
    if (is_told) always_.push_back(self);
  }
  computes_item_.add(computes);
  reads_item_.add(reads);
  reads_leaf_.add(reads_leaf);
}

void Run::find_whereabouts() {
  whereabouts_.clear();
  u32 next = 0;
  size_t batch = 0;
  for (size_t i = 0; i < plan_->steps.size(); ++i) {
    const Step& step = plan_->steps[i];
    while (static_cast<i32>(i) >= plan_->batch_ends[batch]) ++batch, next = 0;
    const u32 begin = next;
    next += static_cast<u32>(step.inputs.size() + step.outputs.size());
    whereabouts_.push_back({begin, next, &node_of(step)});
  }
}

void Run::find_changed(const RunChanges& changes) {
  std::vector<i32>& changed = recent_[count_ % kRecent];
  changed.clear();
  const auto mark = [&](std::span<const i32> steps) {
    for (const i32 step : steps) {
      u64& at = changed_at_[static_cast<size_t>(step)];
      if (at != count_) changed.push_back(step);
      at = count_;
    }
  };
  mark(always_);
  for (size_t i = 0; i < changes.items.size(); ++i) {
    if (changes.items[i] != 0) mark(computes_item_.of(i));
    if (changes.dirty[i] != 0) mark(reads_item_.of(i));
  }
  for (const i32 leaf : changes.varying_leaves) {
    if (changes.dirty_leaves[static_cast<size_t>(leaf)] != 0) mark(reads_leaf_.of(static_cast<size_t>(leaf)));
  }
  std::sort(changed.begin(), changed.end());  // in the order of their batches
}

void Run::index_operands(size_t index) {
  std::vector<std::vector<i32>> operands(addresses_.size());
  for (size_t k = 0; k < sources_[index].size(); ++k) {
    if (sources_[index][k].base >= 0)
      operands[static_cast<size_t>(sources_[index][k].base)].push_back(static_cast<i32>(k));
  }
  by_base_[index] = {};
  by_base_[index].add(operands);
  moving_bases_[index].clear();
  const size_t first_leaf = slot_bytes_.size(), first_own = first_leaf + s_.leaves.size();
  const auto add = [&](size_t base) {
    if (!operands[base].empty()) moving_bases_[index].push_back(static_cast<i32>(base));
  };
  for (size_t base = 0; base < first_leaf; ++base) add(base);
  for (const i32 leaf : varying_leaves_) add(first_leaf + static_cast<size_t>(leaf));
  for (size_t base = first_own; base < operands.size(); ++base) add(base);
}

// Gives a batch of an earlier run this run's addresses.
void Run::set_addresses(Batch& batch, size_t index) {
  const std::vector<OperandSource>& sources = sources_[index];
  for (const i32 moving : moving_bases_[index]) {
    const size_t base = static_cast<size_t>(moving);
    if (batch.addresses[base] == addresses_[base]) continue;
    batch.addresses[base] = addresses_[base];
    for (const i32 k : by_base_[index].of(base)) {
      batch.operands[static_cast<size_t>(k)].data = addresses_[base] + sources[static_cast<size_t>(k)].offset;
    }
  }
}

// What set_command writes and is told by. The device has read it since, mostly from another core, and driven
// the rest out of every cache.
void Run::fetch_step(const Batch& batch, size_t index, i32 step) const {
  const auto fetch = [](const void* from, const void* end) {
    for (const char* at = static_cast<const char*>(from); at < end; at += 64) __builtin_prefetch(at, 1);
  };
  const i32 first = index == 0 ? 0 : plan_->batch_ends[index - 1];
  const size_t number = static_cast<size_t>(step - first);
  const auto [begin, end, node] = whereabouts_[static_cast<size_t>(step)];
  fetch(&plan_->steps[static_cast<size_t>(step)], &plan_->steps[static_cast<size_t>(step)].fused_attrs);
  fetch(&memory_[static_cast<size_t>(step)], &memory_[static_cast<size_t>(step)] + 1);
  fetch(&node->origin, &node->failure);
  fetch(&batch.commands[number], &batch.commands[number] + 1);
  fetch(&batch.attrs[number], &batch.attrs[number] + 1);
  fetch(batch.operands.data() + begin, batch.operands.data() + end);
  fetch(sources_[index].data() + begin, sources_[index].data() + end);
}

// A batch that was filled for an earlier evaluation: what changed since then is made anew, everything else
// only gets this run's addresses.
void Run::fill_again(Batch& batch, size_t index) {
  const i32 first = index == 0 ? 0 : plan_->batch_ends[index - 1], last = plan_->batch_ends[index];
  set_addresses(batch, index);
  const auto again = [&](i32 i) {
    u64& set_at = set_at_[static_cast<size_t>(i)];
    if (i < first || i >= last || set_at == count_ || changed_at_[static_cast<size_t>(i)] <= batch.filled_at)
      return;
    set_at = count_;
    Command& c = batch.commands[static_cast<size_t>(i - first)];
    set_command(batch, c, static_cast<size_t>(i), &sources_[index][c.first_operand]);
  };
  if (count_ - batch.filled_at < kRecent) {
    for (u64 n = count_; n > batch.filled_at; --n) {
      const std::vector<i32>& changed = recent_[n % kRecent];
      const auto end = std::lower_bound(changed.begin(), changed.end(), last);
      auto ahead = std::lower_bound(changed.begin(), changed.end(), first);
      const auto fetch_ahead = [&] {
        if (n == count_ && ahead < end) fetch_step(batch, index, *ahead++);
      };
      auto next = ahead;
      for (int k = 0; k < kFetchedAhead; ++k) fetch_ahead();
      for (; next < end; ++next) {
        again(*next);
        fetch_ahead();
      }
    }
  } else {
    for (i32 i = first; i < last; ++i) again(i);
  }
  for (const i32 i : reads_varying_) {
    if (i < first || i >= last) continue;
    Command& c = batch.commands[static_cast<size_t>(i - first)];
    c.foreign = 0;
    add_all_foreign(batch, c, static_cast<size_t>(i));
  }
}

void Run::take_outputs(const std::vector<SourceRef>& refs, std::vector<Tensor>& outputs) {
  outputs.resize(refs.size());
  renewed_.clear();
  for (size_t k = 0; k < refs.size(); ++k) {
    const SourceRef ref = refs[k];
    if (is_leaf(ref)) {
      outputs[k] = s_.leaves[static_cast<size_t>(~ref)];
      continue;
    }
    const SnapshotItem& item = s_.items[static_cast<size_t>(ref)];
    if (item.in_place && is_leaf(item.base)) {
      renewed_.push_back(k);
    } else {
      outputs[k] = constant(item.node->type, value_of(ref));
    }
  }
  for (; !renewed_.empty(); renewed_.pop_back()) {
    const size_t k = renewed_.back();
    const SnapshotItem& item = s_.items[static_cast<size_t>(refs[k])];
    const Tensor& leaf = s_.leaves[static_cast<size_t>(~item.base)];
    const bool is_ours = leaf->references.load(std::memory_order_acquire) == 1 && leaf->op == nullptr &&
                         leaf->kept.load(std::memory_order_relaxed) == nullptr;
    if (!is_ours) {
      outputs[k] = constant(item.node->type, value_of(refs[k]));
      continue;
    }
    // From now on it is held twice: earlier outputs that lie there too get nodes of their own.
    outputs[k] = leaf;
    leaf->type.shape = item.node->type.shape;
    set_value(leaf->value, refs[k]);
  }
}

}  // namespace tl
