#include "tl/exec/run.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "tl/base/narrow.h"
#include "tl/base/physical_memory.h"

namespace tl {
namespace {

// Bits of a host-known number in a tensor's own dtype, as kernels read it.
u64 constant_bits(const Node& node) {
  u64 bits = 0;
  if (is_float(node.type.dtype)) {
    store_from_double(node.type.dtype, &bits, 0, node.scalar);
  } else {
    store_from_int(node.type.dtype, &bits, 0, node.scalar_int);
  }
  return bits;
}

// Conversions of small tensors cost less than remembering them.
constexpr i64 kSmallestKept = i64{64} << 10;

bool has_room_to_keep(const Device& device, i64 bytes) {
  const i64 limit = device.memory().limit_bytes;
  return KeptConversions::total_bytes() + bytes <= (limit > 0 ? limit : physical_memory_bytes()) / 8;
}

}  // namespace

Run::Run(Device& device, CommandStream& stream, Snapshot& snapshot, std::shared_ptr<const Plan> plan)
    : device_(device),
      stream_(stream),
      s_(snapshot),
      plan_(std::move(plan)),
      memory_(plan_->steps.size()),
      slot_bytes_(static_cast<size_t>(plan_->slots), 0),
      largest_(static_cast<size_t>(plan_->slots), -1),
      first_own_(plan_->steps.size(), -1),
      tickets_(std::max<size_t>(plan_->batch_ends.size(), 1)),  // views alone compute nothing: no ticket
      bytes_written_(plan_->batch_ends.size(), 0) {
  for (size_t i = 0; i < plan_->steps.size(); ++i) {
    const Step& step = plan_->steps[i];
    memory_[i].outputs.resize(step.outputs.size());
    for (int k = 0; k < step.outputs.size(); ++k) {
      const i32 slot = step.outputs[k].slot;
      if (slot == StepOutput::kInPlace) in_place_.push_back(static_cast<i32>(i));
      if (slot >= 0 || slot == StepOutput::kInPlace) continue;
      if (first_own_[i] < 0) first_own_[i] = static_cast<i32>(own_outputs_.size());
      own_outputs_.emplace_back(static_cast<i32>(i), k);
    }
    if (step.may_be_kept) may_keep_.push_back(static_cast<i32>(i));
  }
  addresses_.resize(slot_bytes_.size() + s_.leaves.size() + own_outputs_.size(), nullptr);
  number_of_node_.assign(s_.items.size(), -1);
  for (size_t node = 0; node < s_.items.size(); ++node) {
    const i32 step = plan_->step_of_node[node];
    if (step < 0) continue;
    const i32 k = which_output(step, static_cast<i32>(node));
    const bool is_found = plan_->steps[static_cast<size_t>(step)].outputs[k].slot != StepOutput::kInPlace;
    if (is_found) number_of_node_[node] = number_of_output(step, k);
  }
}

const Node& Run::node_of(const Step& step) const {
  return *s_.items[static_cast<size_t>(step.node)].node;
}

const Shape& Run::shape_of(const StepInput& in) const {
  if (in.from == StepInput::From::Step)
    return shape_of(plan_->steps[static_cast<size_t>(in.index)].inputs[0]);
  return source_node(in).type.shape;
}

const Shape& Run::output_shape(const Step& step, int k) const {
  if (step.kind == Step::Kind::Copy) return shape_of(step.inputs[0]);
  const Node& node = node_of(step);
  return node.output_types != nullptr ? (*node.output_types)[k].shape : node.type.shape;
}

i64 Run::output_bytes(const Step& step, int k) const {
  return row_bytes(step.outputs[k].dtype, numel(output_shape(step, k)));
}

const std::shared_ptr<Buffer>& Run::buffer_of(SourceRef base) const {
  if (is_leaf(base)) return s_.node_of(base).value.buffer;
  const i32 step = plan_->step_of_node[static_cast<size_t>(base)];
  return output_buffer(step, which_output(step, base));
}

const std::shared_ptr<Buffer>& Run::output_buffer(i32 step, int k) const {
  const Step& s = plan_->steps[static_cast<size_t>(step)];
  const i32 slot = s.outputs[k].slot;
  if (slot == StepOutput::kInPlace) return buffer_of(s_.items[static_cast<size_t>(s.node)].base);
  return slot >= 0 ? slots_[static_cast<size_t>(slot)] : memory_[static_cast<size_t>(step)].outputs[k];
}

int Run::which_output(i32 step, i32 node) const {
  const auto& outputs = plan_->steps[static_cast<size_t>(step)].outputs;
  for (int k = 0; k < outputs.size(); ++k) {
    if (outputs[k].node == node) return k;
  }
  return 0;
}

i32 Run::number_of_output(i32 step, int k) const {
  const Step& s = plan_->steps[static_cast<size_t>(step)];
  const auto& outputs = s.outputs;
  if (outputs[k].slot >= 0) return outputs[k].slot;
  if (outputs[k].slot == StepOutput::kInPlace)
    return number_of_base(s_.items[static_cast<size_t>(s.node)].base);
  i32 own = first_own_[static_cast<size_t>(step)];
  for (int j = 0; j < k; ++j) own += outputs[j].slot < 0 && outputs[j].slot != StepOutput::kInPlace ? 1 : 0;
  return static_cast<i32>(slot_bytes_.size() + s_.leaves.size()) + own;
}

i32 Run::number_of_base(SourceRef base) const {
  if (is_leaf(base)) return static_cast<i32>(slot_bytes_.size()) + ~base;
  const i32 known = number_of_node_[static_cast<size_t>(base)];
  if (known >= 0) return known;
  const i32 step = plan_->step_of_node[static_cast<size_t>(base)];
  return number_of_output(step, which_output(step, base));
}

// --- memory ---

Result<void> Run::allocate(i32& culprit) {
  for (const i32 i : may_keep_) look_up_kept(static_cast<size_t>(i));
  TL_TRY_DO(allocate_slots(culprit));
  for (const auto& [i, k] : own_outputs_) {
    Result<void> done = allocate_output(static_cast<size_t>(i), k);
    if (done.ok()) continue;
    culprit = i;
    const Step& step = plan_->steps[static_cast<size_t>(i)];
    return memory_error(std::move(done).error(), step, k);
  }
  for (const i32 i : in_place_) {
    Result<void> done = commit_in_place(static_cast<size_t>(i));
    if (done.ok()) continue;
    culprit = i;
    return memory_error(std::move(done).error(), plan_->steps[static_cast<size_t>(i)], 0);
  }
  find_addresses();
  return {};
}

Result<void> Run::commit_in_place(size_t index) {
  const Step& step = plan_->steps[index];
  Buffer& buffer = *buffer_of(s_.items[static_cast<size_t>(step.node)].base);
  if (!buffer.is_reserved) return {};
  const i64 bytes = output_bytes(step, 0);
  return buffer.committed_bytes.load(std::memory_order_relaxed) < bytes ? device_.commit(buffer, bytes)
                                                                        : Result<void>();
}

// Names what there was no memory for.
Error Run::memory_error(Error error, const Step& step, int k) const {
  const TensorType type{step.outputs[k].dtype, output_shape(step, k)};
  return std::move(error)
      .within(fmt::format("{} giving {}", step.op->name, to_string(type)))
      .at(node_of(step).origin);
}

void Run::look_up_kept(size_t index) {
  const Step& step = plan_->steps[index];
  const SourceRef ref = source_of(step.inputs[0]);
  Node& leaf = const_cast<Node&>(s_.node_of(s_.base_of(ref)));
  Tensor& kept = memory_[index].kept;
  kept = {};
  memory_[index].is_to_keep = false;
  if (leaf.value.buffer == nullptr || leaf.value.buffer->bytes() < kSmallestKept) return;
  bool asked = false;
  kept = kept_of(leaf).find(step.op, s_.view_of(ref), asked);
  if (kept && kept->value.outcome != nullptr && kept->value.outcome->failure_of(kept->value.step)) kept = {};
  memory_[index].is_to_keep =
      !memory_[index].kept && (asked || step.keep) && has_room_to_keep(device_, output_bytes(step, 0));
}

Result<void> Run::allocate_slots(i32& culprit) {
  has_new_sizes_ = changes_ == nullptr;
  if (changes_ != nullptr) {
    for (const i32 i : recent_[count_ % kRecent]) {
      const Step& step = plan_->steps[static_cast<size_t>(i)];
      const bool same_size = !step.is_conversion && step.kind != Step::Kind::Copy &&
                             changes_->dirty[static_cast<size_t>(step.node)] == 0;
      for (const StepOutput& o : step.outputs) has_new_sizes_ = has_new_sizes_ || (o.slot >= 0 && !same_size);
    }
  }
  if (has_new_sizes_) {
    let_go_of_slots();
    measure_slots();
  }
  if (!slots_.empty()) return {};  // kept
  for (size_t slot = 0; slot < slot_bytes_.size(); ++slot) {
    const Step& step = plan_->steps[static_cast<size_t>(largest_[slot])];
    const MemoryLabel label{
        step.op->name, {step.outputs[0].dtype, output_shape(step, 0)}, node_of(step).origin};
    auto buffer = device_.allocate(slot_bytes_[slot], stream_.id(), label);
    if (!buffer.ok()) {
      let_go_of_slots();
      culprit = largest_[slot];
      return memory_error(std::move(buffer).error(), step, 0);
    }
    slots_.push_back(std::move(buffer).value());
  }
  return {};
}

void Run::measure_slots() {
  std::fill(slot_bytes_.begin(), slot_bytes_.end(), 0);
  std::fill(largest_.begin(), largest_.end(), -1);
  for (size_t i = 0; i < plan_->steps.size(); ++i) {
    const Step& step = plan_->steps[i];
    for (int k = 0; k < step.outputs.size(); ++k) {
      if (step.outputs[k].slot < 0) continue;
      const size_t slot = static_cast<size_t>(step.outputs[k].slot);
      const i64 size = output_bytes(step, k);
      if (size > slot_bytes_[slot] || largest_[slot] < 0) {
        slot_bytes_[slot] = size, largest_[slot] = static_cast<i32>(i);
      }
    }
  }
}

Result<void> Run::allocate_output(size_t index, int k) {
  const Step& step = plan_->steps[index];
  std::shared_ptr<Buffer>& to = memory_[index].outputs[k];
  const i32 slot = step.outputs[k].slot;
  if (memory_[index].kept) {
    to = memory_[index].kept->value.buffer;
    return {};
  }
  const i64 bytes = output_bytes(step, k);
  const MemoryLabel label{
      step.op->name, {step.outputs[k].dtype, output_shape(step, k)}, node_of(step).origin};
  if (slot == StepOutput::kGrowing) {
    // Twice the room: however often it has to move, each row is copied once or twice.
    const SnapshotItem& item = s_.items[static_cast<size_t>(step.node)];
    i64 room = 2 * item.most_bytes;
    if (item.forks) {
      Buffer& from = *buffer_of(s_.base_of(item.inputs[0]));
      const i64 kept = row_bytes(step.outputs[k].dtype, numel(s_.view_of(item.inputs[0]).shape));
      room = std::max(room, from.bytes());
      TL_TRY(to, device_.fork(from, kept, room, label));
    } else {
      TL_TRY(to, device_.reserve(room, label));
    }
    TL_TRY_DO(device_.commit(*to, bytes));
    to->used_bytes.store(item.used_bytes);
    return {};
  }
  TL_TRY(to, device_.allocate(bytes, stream_.id(), label));
  return {};
}

// Where everything lies in this run.
void Run::find_addresses() {
  size_t at = 0;
  for (const auto& slot : slots_) addresses_[at++] = slot->data();
  const auto set_leaf = [&](size_t i) {
    const auto& buffer = s_.leaves[i]->value.buffer;
    addresses_[at + i] = buffer != nullptr ? buffer->data() : nullptr;
  };
  if (changes_ != nullptr) {
    for (const i32 leaf : changes_->varying_leaves) set_leaf(static_cast<size_t>(leaf));
  } else {
    for (size_t i = 0; i < s_.leaves.size(); ++i) set_leaf(i);
  }
  at += s_.leaves.size();
  for (const auto& [step, k] : own_outputs_)
    addresses_[at++] = memory_[static_cast<size_t>(step)].outputs[k]->data();
}

// --- commands ---

std::unique_ptr<Batch> Run::fill(size_t index) {
  std::unique_ptr<Batch> batch;
  if (reuses_batches_) batch = homes_[index]->take();
  const bool is_new = batch == nullptr;
  if (is_new) batch = stream_.take_batch();
  batch->outcome = outcome_;
  batch->keep = keep_ != nullptr ? keep_ : plan_;
  if (reuses_batches_) batch->home = homes_[index];
  const i32 first = index == 0 ? 0 : plan_->batch_ends[index - 1], last = plan_->batch_ends[index];
  if (index == 0) add_tickets(*batch);
  if (!is_new) {
    fill_again(*batch, index);
  } else {
    if (count_ > 0) sources_[index].clear();
    for (i32 i = first; i < last; ++i) add_command(*batch, static_cast<size_t>(i), index);
    if (reuses_batches_) {
      batch->addresses = addresses_;
      index_operands(index);
    }
  }
  batch->filled_at = count_;
  if (has_new_sizes_ || is_new) {
    bytes_written_[index] = 0;
    for (i32 i = first; i < last; ++i) {
      const Step& step = plan_->steps[static_cast<size_t>(i)];
      for (int k = 0; k < step.outputs.size(); ++k) bytes_written_[index] += output_bytes(step, k);
    }
  }
  return batch;
}

// What the run comes after on other streams: the writers of what it reads, and, where it writes over
// something, everybody who works there. (A stream's batches keep their order, so the first one can wait for
// all.)
void Run::add_tickets(Batch& batch) const {
  const auto add = [&](Ticket t) {
    if (t.value == 0 || t.stream == stream_.id() || stream_.reached(t)) return;
    if (std::find(batch.after.begin(), batch.after.end(), t) == batch.after.end()) batch.after.push_back(t);
  };
  const auto add_leaf = [&](const Tensor& leaf) {
    add({static_cast<StreamId>(leaf->value.stream), leaf->value.ready});
  };
  const auto add_item = [&](const SnapshotItem& item) {
    if (!item.overwrites || !is_leaf(item.base)) return;
    for (const Ticket use : buffer_of(item.base)->uses()) add(use);
  };
  if (changes_ != nullptr) {
    for (const i32 leaf : changes_->varying_leaves) add_leaf(s_.leaves[static_cast<size_t>(leaf)]);
    for (const i32 item : changes_->in_place_items) add_item(s_.items[static_cast<size_t>(item)]);
  } else {
    for (const Tensor& leaf : s_.leaves) add_leaf(leaf);
    for (const SnapshotItem& item : s_.items) add_item(item);
  }
  for (const i32 i : may_keep_) {
    const Tensor& kept = memory_[static_cast<size_t>(i)].kept;
    if (kept) add_leaf(kept);
  }
}

void Run::add_command(Batch& batch, size_t index, size_t number) {
  const Step& step = plan_->steps[index];
  Command& c = batch.commands.emplace_back();
  c.op = step.op;
  c.kernel = step.kernel;
  c.first_operand = narrow<u32>(batch.operands.size());
  c.inputs = narrow<u8>(step.inputs.size());
  c.outputs = narrow<u8>(step.outputs.size());
  c.attrs = narrow<u32>(batch.attrs.size());
  c.first_access = narrow<u32>(batch.accesses.size());
  c.step = static_cast<i32>(index);
  c.producers = step.producers;
  const size_t operands = c.inputs + size_t{c.outputs};
  batch.operands.resize(batch.operands.size() + operands);
  batch.attrs.emplace_back();
  if (count_ > 0) {
    sources_[number].resize(batch.operands.size());
    set_command(batch, c, index, &sources_[number][c.first_operand]);
  } else {
    std::array<OperandSource, kMaxInputs + kMaxOutputs> sources;
    set_command(batch, c, index, sources.data());
  }
  add_all_foreign(batch, c, index);
  if (device_.wants_accesses() && !c.is_skipped) add_accesses(batch, c, index);
}

// What depends on sizes, scalars and memory.
void Run::set_command(Batch& batch, Command& c, size_t index, OperandSource* sources) {
  const Step& step = plan_->steps[index];
  const Node& node = node_of(step);
  c.origin = node.origin;
  c.sequence = node.sequence;
  c.is_skipped = static_cast<bool>(memory_[index].kept);
  for (int k = 0; k < c.inputs + c.outputs; ++k) sources[k] = {};
  if (c.is_skipped) {
    ++skipped_;
    return;
  }
  Operand* operand = &batch.operands[c.first_operand];
  for (const StepInput& in : step.inputs) set_input(*operand++, *sources++, in);
  for (int k = 0; k < step.outputs.size(); ++k) set_output(*operand++, *sources++, c, step, index, k);
  Attrs& attrs = batch.attrs[c.attrs];
  switch (step.kind) {
    case Step::Kind::Fused:
      attrs = step.fused_attrs;
      break;
    case Step::Kind::Compute:
      attrs = node.attrs;
      break;
    case Step::Kind::Copy:
      attrs = {};
      break;
  }
}

void Run::set_input(Operand& o, OperandSource& from, const StepInput& in) const {
  if (in.from == StepInput::From::Step) {
    o.dtype = plan_->steps[static_cast<size_t>(in.index)].outputs[0].dtype;
    o.dims = shape_of(in);
    o.strides = contiguous_strides(o.dims);
    from.base = number_of_output(in.index, 0);
  } else {
    const SourceRef ref = source_of(in);
    const Node& node = s_.node_of(ref);
    o.dtype = node.type.dtype;
    if (node.is_scalar) {
      o.data = nullptr;
      o.dims = {}, o.strides = {};
      o.constant = constant_bits(node);
      return;
    }
    i64 offset = 0;
    if (is_leaf(ref)) {
      o.dims = node.type.shape;
      o.strides = node.value.strides;
      offset = node.value.offset;
    } else {
      const View& view = s_.items[static_cast<size_t>(ref)].view;
      o.dims = view.shape;
      o.strides = view.strides;
      offset = view.offset;
    }
    from = {number_of_base(s_.base_of(ref)), row_bytes(o.dtype, offset)};
  }
  o.data = addresses_[static_cast<size_t>(from.base)] + from.offset;
}

void Run::set_output(Operand& o, OperandSource& from, Command& c, const Step& step, size_t index,
                     int k) const {
  o.dtype = step.outputs[k].dtype;
  o.dims = output_shape(step, k);
  o.strides = contiguous_strides(o.dims);
  from.base = number_of_output(static_cast<i32>(index), k);
  o.data = addresses_[static_cast<size_t>(from.base)];
  if (step.outputs[k].slot == StepOutput::kInPlace)
    c.kept_bytes = s_.items[static_cast<size_t>(step.node)].kept_bytes;
  if (step.outputs[k].slot == StepOutput::kGrowing)
    c.kept_bytes = output_buffer(static_cast<i32>(index), k)->inherited_bytes;
}

// What other runs compute and this command reads.
void Run::add_all_foreign(Batch& batch, Command& c, size_t index) const {
  c.first_foreign = narrow<u32>(batch.foreign.size());
  if (c.is_skipped) return;
  for (const StepInput& in : plan_->steps[index].inputs) {
    if (in.from == StepInput::From::Step) {
      const Tensor& kept = memory_[static_cast<size_t>(in.index)].kept;
      if (kept) add_foreign(batch, c, kept->value);
      continue;
    }
    const SourceRef ref = source_of(in);
    if (s_.node_of(ref).is_scalar) continue;
    const SourceRef origin = is_leaf(ref) ? ref : plan_->origin_of_node[static_cast<size_t>(ref)];
    if (is_leaf(origin)) add_foreign(batch, c, s_.node_of(origin).value);
  }
}

// A value that another run computes, and whose failure would be this command's.
void Run::add_foreign(Batch& batch, Command& c, const Placement& value) const {
  if (value.outcome == nullptr) return;
  if (!value.outcome->any_failed() && stream_.reached({static_cast<StreamId>(value.stream), value.ready}) &&
      !value.outcome->any_failed()) {
    return;
  }
  batch.foreign.push_back({value.outcome, value.step});
  ++c.foreign;
}

// --- afterwards ---

void Run::submitted(size_t batch, Ticket ticket) {
  tickets_[batch] = ticket;
}

size_t Run::batch_of(i32 step) const {
  const auto it = std::upper_bound(plan_->batch_ends.begin(), plan_->batch_ends.end(), step);
  return static_cast<size_t>(it - plan_->batch_ends.begin());
}

Placement Run::value_of(i32 index) const {
  const SnapshotItem& item = s_.items[static_cast<size_t>(index)];
  Placement p{buffer_of(item.base), item.view.strides, item.view.offset};
  const i32 writer = plan_->writer_of_node[static_cast<size_t>(index)];
  if (writer < 0) {  // a view of what was there before
    const SourceRef origin = plan_->origin_of_node[static_cast<size_t>(index)];
    const Placement& from = s_.node_of(origin).value;
    p.stream = from.stream, p.ready = from.ready, p.step = from.step, p.outcome = from.outcome;
    return p;
  }
  set_value(p, index);
  return p;
}

void Run::set_value(Placement& p, i32 index) const {
  const SnapshotItem& item = s_.items[static_cast<size_t>(index)];
  const i32 writer = plan_->writer_of_node[static_cast<size_t>(index)];
  const Ticket ticket = tickets_[batch_of(writer)];
  p.strides = item.view.strides, p.offset = item.view.offset;
  p.stream = static_cast<u32>(ticket.stream), p.ready = ticket.value, p.step = writer, p.outcome = outcome_;
}

void Run::keep_conversions() {
  for (const i32 i : may_keep_) {
    if (!memory_[static_cast<size_t>(i)].is_to_keep) continue;
    const Step& step = plan_->steps[static_cast<size_t>(i)];
    const SourceRef ref = source_of(step.inputs[0]);
    const Ticket ticket = tickets_[batch_of(i)];
    const TensorType type{step.outputs[0].dtype, output_shape(step, 0)};
    Placement p{output_buffer(i, 0), contiguous_strides(type.shape), 0};
    p.stream = static_cast<u32>(ticket.stream), p.ready = ticket.value;
    p.step = i, p.outcome = outcome_;
    Node& leaf = const_cast<Node&>(s_.node_of(s_.base_of(ref)));
    kept_of(leaf).keep(step.op, s_.view_of(ref), constant(type, std::move(p)), output_bytes(step, 0));
  }
}

void Run::note_uses(Ticket last) const {
  if (last.value == 0) return;
  const auto note = [last](const Tensor& leaf) {
    if (leaf->value.buffer) leaf->value.buffer->note_use(last);
  };
  if (changes_ != nullptr && !device_.wants_accesses()) {  // the others are kept by the batches
    for (const i32 leaf : changes_->varying_leaves) note(s_.leaves[static_cast<size_t>(leaf)]);
  } else {
    for (const Tensor& leaf : s_.leaves) note(leaf);
  }
  for (const auto& slot : slots_) slot->note_use(last);
  for (const auto& [step, k] : own_outputs_) memory_[static_cast<size_t>(step)].outputs[k]->note_use(last);
}

void Run::finish_again() {
  note_uses(tickets_.back());
  keep_conversions();
}

// The last one first: so the pool, which gives what came last, gives each slot the address it had.
void Run::let_go_of_slots() {
  while (!slots_.empty()) slots_.pop_back();
}

void Run::let_go() {
  changes_ = nullptr;
  const i64 bytes = std::accumulate(slot_bytes_.begin(), slot_bytes_.end(), i64{0});
  if (!reuses_batches_ || bytes > kMostKeptBytes) let_go_of_slots();
  for (const auto& [step, k] : own_outputs_) memory_[static_cast<size_t>(step)].outputs[k].reset();
  for (const i32 i : may_keep_) memory_[static_cast<size_t>(i)].kept = {};
}

void Run::settle() {
  note_uses(tickets_.back());
  keep_conversions();
  std::vector<Tensor> keep;  // nodes must not die while the list of items is walked
  keep.reserve(s_.items.size());
  for (size_t i = 0; i < s_.items.size(); ++i) {
    keep.emplace_back(s_.items[i].node);
    // An op with several outputs is nothing by itself.
    const bool has_value = s_.items[i].external && s_.items[i].node->output_types == nullptr;
    if (has_value) s_.items[i].node->value = value_of(static_cast<i32>(i));
  }
  for (const SnapshotItem& item : s_.items) {
    item.node->state = NodeState::Submitted;
    item.node->recorder->remove(*item.node);
    item.node->drop_inputs();
  }
}

}  // namespace tl
