#include "tl/exec/run.h"

#include <unistd.h>

#include <algorithm>

namespace tl {
namespace {

i64 element_bytes(DType dtype, i64 elements) {
  const DTypeInfo& i = info(dtype);
  return elements / i.block_elements * i.block_bytes;
}

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

// The smallest byte range that holds every element the strides can reach.
Access read_access(const Buffer& buffer, const Operand& o, i64 offset) {
  if (o.numel() == 0) return {buffer.id(), offset, 0, Access::Mode::Read};
  i64 low = 0, high = 0;
  for (int i = 0; i < o.rank(); ++i) {
    const i64 reach = (o.dims[i] - 1) * o.strides[i];
    (reach < 0 ? low : high) += reach;
  }
  const i64 block = info(o.dtype).block_elements;
  const i64 count = (high - low) / block * block + block;
  return {buffer.id(), offset + element_bytes(o.dtype, low), element_bytes(o.dtype, count),
          Access::Mode::Read};
}

// Conversions of small tensors cost less than remembering them.
constexpr i64 kSmallestKept = i64{64} << 10;

bool has_room_to_keep(const Device& device, i64 bytes) {
  static const i64 physical = i64{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  const i64 limit = device.memory().limit_bytes;
  return KeptConversions::total_bytes() + bytes <= (limit > 0 ? limit : physical) / 8;
}

}  // namespace

Run::Run(Device& device, CommandStream& stream, Snapshot& snapshot, std::shared_ptr<const Plan> plan)
    : device_(device),
      stream_(stream),
      s_(snapshot),
      plan_(std::move(plan)),
      memory_(plan_->steps.size()),
      tickets_(plan_->batch_ends.size()),
      bytes_written_(plan_->batch_ends.size(), 0) {}

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
  return element_bytes(step.outputs[k].dtype, numel(output_shape(step, k)));
}

const std::shared_ptr<Buffer>& Run::buffer_of(SourceRef base) const {
  if (is_leaf(base)) return s_.node_of(base).value.buffer;
  const i32 step = plan_->step_of_node[static_cast<size_t>(base)];
  const auto& outputs = plan_->steps[static_cast<size_t>(step)].outputs;
  const StepMemory& memory = memory_[static_cast<size_t>(step)];
  for (int k = 0; k < outputs.size(); ++k) {
    if (outputs[k].node == base) return memory.outputs[k];
  }
  return memory.outputs[0];
}

// --- memory ---

Result<void> Run::allocate(i32& culprit) {
  for (size_t i = 0; i < plan_->steps.size(); ++i) {
    memory_[i].outputs.resize(plan_->steps[i].outputs.size());
    if (plan_->steps[i].may_be_kept) look_up_kept(i);
  }
  TL_TRY_DO(allocate_slots(culprit));
  for (size_t i = 0; i < plan_->steps.size(); ++i) {
    const Step& step = plan_->steps[i];
    for (int k = 0; k < step.outputs.size(); ++k) {
      Result<void> done = allocate_output(i, k);
      if (done.ok()) continue;
      culprit = static_cast<i32>(i);
      return memory_error(std::move(done).error(), step, k);
    }
  }
  return {};
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
  if (leaf.value.buffer == nullptr || leaf.value.buffer->bytes() < kSmallestKept) return;
  bool asked = false;
  Tensor& kept = memory_[index].kept;
  kept = kept_of(leaf).find(step.op, s_.view_of(ref), asked);
  if (kept && kept->value.outcome != nullptr && kept->value.outcome->failure_of(kept->value.step)) kept = {};
  memory_[index].is_to_keep =
      !memory_[index].kept && (asked || step.keep) && has_room_to_keep(device_, output_bytes(step, 0));
}

Result<void> Run::allocate_slots(i32& culprit) {
  std::vector<i64> bytes(static_cast<size_t>(plan_->slots), 0);
  std::vector<i32> largest(static_cast<size_t>(plan_->slots), -1);
  for (size_t i = 0; i < plan_->steps.size(); ++i) {
    const Step& step = plan_->steps[i];
    for (int k = 0; k < step.outputs.size(); ++k) {
      if (step.outputs[k].slot < 0) continue;
      const size_t slot = static_cast<size_t>(step.outputs[k].slot);
      const i64 size = output_bytes(step, k);
      if (size > bytes[slot] || largest[slot] < 0) bytes[slot] = size, largest[slot] = static_cast<i32>(i);
    }
  }
  for (size_t slot = 0; slot < bytes.size(); ++slot) {
    const Step& step = plan_->steps[static_cast<size_t>(largest[slot])];
    const MemoryLabel label{
        step.op->name, {step.outputs[0].dtype, output_shape(step, 0)}, node_of(step).origin};
    auto buffer = device_.allocate(bytes[slot], stream_.id(), label);
    if (!buffer.ok()) {
      culprit = largest[slot];
      return memory_error(std::move(buffer).error(), step, 0);
    }
    slots_.push_back(std::move(buffer).value());
  }
  return {};
}

Result<void> Run::allocate_output(size_t index, int k) {
  const Step& step = plan_->steps[index];
  std::shared_ptr<Buffer>& to = memory_[index].outputs[k];
  const i32 slot = step.outputs[k].slot;
  if (slot >= 0) {
    to = slots_[static_cast<size_t>(slot)];
    return {};
  }
  if (slot == StepOutput::kInPlace) {
    const SnapshotItem& item = s_.items[static_cast<size_t>(step.node)];
    to = buffer_of(item.base);
    return to->is_reserved ? device_.commit(*to, output_bytes(step, k)) : Result<void>();
  }
  if (memory_[index].kept) {
    to = memory_[index].kept->value.buffer;
    return {};
  }
  const i64 bytes = output_bytes(step, k);
  const MemoryLabel label{
      step.op->name, {step.outputs[k].dtype, output_shape(step, k)}, node_of(step).origin};
  if (slot == StepOutput::kGrowing) {
    // Twice the room: however often it has to move, each row is copied once or twice.
    TL_TRY(to, device_.reserve(2 * bytes, label));
    TL_TRY_DO(device_.commit(*to, bytes));
    to->used_bytes.store(bytes);
    return {};
  }
  TL_TRY(to, device_.allocate(bytes, stream_.id(), label));
  return {};
}

// --- commands ---

std::unique_ptr<Batch> Run::fill(size_t index) {
  std::unique_ptr<Batch> batch = stream_.take_batch();
  batch->outcome = outcome_;
  batch->keep = plan_;
  const i32 first = index == 0 ? 0 : plan_->batch_ends[index - 1], last = plan_->batch_ends[index];
  if (index == 0) add_tickets(*batch);
  for (i32 i = first; i < last; ++i) {
    add_command(*batch, static_cast<size_t>(i));
    const Step& step = plan_->steps[static_cast<size_t>(i)];
    for (int k = 0; k < step.outputs.size(); ++k) bytes_written_[index] += output_bytes(step, k);
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
  for (const Tensor& leaf : s_.leaves) add({static_cast<StreamId>(leaf->value.stream), leaf->value.ready});
  for (const StepMemory& memory : memory_) {
    if (memory.kept) add({static_cast<StreamId>(memory.kept->value.stream), memory.kept->value.ready});
  }
  for (const SnapshotItem& item : s_.items) {
    if (!item.overwrites || !is_leaf(item.base)) continue;
    for (const Ticket use : buffer_of(item.base)->uses()) add(use);
  }
}

void Run::add_command(Batch& batch, size_t index) {
  const Step& step = plan_->steps[index];
  const Node& node = node_of(step);
  Command& c = batch.commands.emplace_back();
  c.op = step.op;
  c.kernel = step.kernel;
  c.first_operand = static_cast<u32>(batch.operands.size());
  c.attrs = static_cast<u32>(batch.attrs.size());
  c.first_access = static_cast<u32>(batch.accesses.size());
  c.first_foreign = static_cast<u32>(batch.foreign.size());
  c.step = static_cast<i32>(index);
  c.producers = step.producers;
  c.origin = node.origin;
  c.sequence = node.sequence;
  if (memory_[index].kept) {
    c.is_skipped = true;
    return;
  }
  for (const StepInput& in : step.inputs) add_input(batch, c, in);
  for (int k = 0; k < step.outputs.size(); ++k) add_output(batch, c, step, index, k);
  switch (step.kind) {
    case Step::Kind::Fused:
      batch.attrs.push_back(step.fused_attrs);
      break;
    case Step::Kind::Compute:
      batch.attrs.push_back(node.attrs);
      break;
    case Step::Kind::Copy:
      batch.attrs.emplace_back();
      break;
  }
}

void Run::add_input(Batch& batch, Command& c, const StepInput& in) {
  Operand& o = batch.operands.emplace_back();
  ++c.inputs;
  const Buffer* buffer = nullptr;
  i64 offset = 0;
  const Outcome* run = outcome_.get();  // whose step computes what is read
  i32 writer = -1;
  if (in.from == StepInput::From::Step) {
    const StepMemory& memory = memory_[static_cast<size_t>(in.index)];
    o.dtype = plan_->steps[static_cast<size_t>(in.index)].outputs[0].dtype;
    o.dims = shape_of(in);
    o.strides = contiguous_strides(o.dims);
    buffer = memory.outputs[0].get();
    writer = in.index;
    if (memory.kept) {
      add_foreign(batch, c, memory.kept->value);
      run = memory.kept->value.outcome.get(), writer = memory.kept->value.step;
    }
  } else {
    const SourceRef ref = source_of(in);
    const Node& node = s_.node_of(ref);
    o.dtype = node.type.dtype;
    if (node.is_scalar) {
      o.constant = constant_bits(node);
      return;
    }
    const View view = s_.view_of(ref);
    o.dims = view.shape;
    o.strides = view.strides;
    offset = element_bytes(o.dtype, view.offset);
    buffer = buffer_of(s_.base_of(ref)).get();
    const SourceRef origin = is_leaf(ref) ? ref : plan_->origin_of_node[static_cast<size_t>(ref)];
    if (is_leaf(origin)) {
      const Placement& value = s_.node_of(origin).value;
      add_foreign(batch, c, value);
      run = value.outcome.get(), writer = value.step;
    } else {
      writer = plan_->writer_of_node[static_cast<size_t>(origin)];
    }
  }
  o.data = buffer->data() + offset;
  if (!device_.wants_accesses()) return;
  Access read = read_access(*buffer, o, offset);
  read.run = run, read.step = writer;
  batch.accesses.push_back(read);
  ++c.accesses;
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

void Run::add_output(Batch& batch, Command& c, const Step& step, size_t index, int k) {
  Operand& o = batch.operands.emplace_back();
  ++c.outputs;
  o.dtype = step.outputs[k].dtype;
  o.dims = output_shape(step, k);
  o.strides = contiguous_strides(o.dims);
  const Buffer& buffer = *memory_[index].outputs[k];
  o.data = buffer.data();
  const i64 bytes = element_bytes(o.dtype, o.numel());
  i64 first = 0;
  if (step.outputs[k].slot == StepOutput::kInPlace) {
    c.appended = s_.items[static_cast<size_t>(step.node)].appended;
    first = o.dims.empty() || o.dims[0] == 0 ? 0 : bytes / o.dims[0] * c.appended;
  }
  if (!device_.wants_accesses()) return;
  batch.accesses.push_back({buffer.id(), first, bytes - first, Access::Mode::Write});
  ++c.accesses;
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
  const Ticket ticket = tickets_[batch_of(writer)];
  p.stream = static_cast<u32>(ticket.stream), p.ready = ticket.value, p.step = writer, p.outcome = outcome_;
  return p;
}

void Run::keep_conversions() {
  for (size_t i = 0; i < memory_.size(); ++i) {
    if (!memory_[i].is_to_keep) continue;
    const Step& step = plan_->steps[i];
    const SourceRef ref = source_of(step.inputs[0]);
    const Ticket ticket = tickets_[batch_of(static_cast<i32>(i))];
    const TensorType type{step.outputs[0].dtype, output_shape(step, 0)};
    Placement p{memory_[i].outputs[0], contiguous_strides(type.shape), 0};
    p.stream = static_cast<u32>(ticket.stream), p.ready = ticket.value;
    p.step = static_cast<i32>(i), p.outcome = outcome_;
    Node& leaf = const_cast<Node&>(s_.node_of(s_.base_of(ref)));
    kept_of(leaf).keep(step.op, s_.view_of(ref), constant(type, std::move(p)), output_bytes(step, 0));
  }
}

void Run::note_uses(Ticket last) const {
  if (last.value == 0) return;
  for (const Tensor& leaf : s_.leaves) {
    if (leaf->value.buffer) leaf->value.buffer->note_use(last);
  }
  for (const StepMemory& memory : memory_) {
    for (const auto& buffer : memory.outputs) buffer->note_use(last);
  }
}

void Run::settle() {
  note_uses(tickets_.empty() ? Ticket{} : tickets_.back());  // views alone take no steps
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
    if (!item.node->keeps_inputs) item.node->inputs.clear();
  }
}

}  // namespace tl
