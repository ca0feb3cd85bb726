#include "tl/exec/binding.h"

#include <algorithm>

#include "tl/exec/fusion.h"

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

}  // namespace

Binding::Binding(Device& device, CommandStream& stream, const Snapshot& snapshot, const Plan& plan)
    : device_(device), stream_(stream), s_(snapshot), plan_(plan), outputs_(plan.steps.size()) {
  step_of_node_.assign(s_.items.size(), 0);
  for (size_t i = 0; i < plan_.steps.size(); ++i) {
    if (!plan_.steps[i].is_conversion) step_of_node_[static_cast<size_t>(plan_.steps[i].node)] = i;
  }
}

Result<void> Binding::allocate() {
  std::vector<i64> slot_bytes(static_cast<size_t>(plan_.slots), 0);
  for (const Step& step : plan_.steps) {
    if (step.slot < 0) continue;
    i64& bytes = slot_bytes[static_cast<size_t>(step.slot)];
    bytes = std::max(bytes, output_bytes(step));
  }
  for (const i64 bytes : slot_bytes) {
    TL_TRY(auto buffer, device_.allocate(bytes, stream_.id()));
    slots_.push_back(std::move(buffer));
  }
  for (size_t i = 0; i < plan_.steps.size(); ++i) {
    const Step& step = plan_.steps[i];
    if (step.slot >= 0) {
      outputs_[i] = slots_[static_cast<size_t>(step.slot)];
    } else if (step.slot == Step::kFresh) {
      Result<std::shared_ptr<Buffer>> buffer = device_.allocate(output_bytes(step), stream_.id());
      if (!buffer.ok()) return std::move(buffer).error().within(step.op->name).at(node_of(step).origin);
      outputs_[i] = std::move(buffer).value();
    }
  }
  return {};
}

Command Binding::command(size_t index) {
  const Step& step = plan_.steps[index];
  const Node& node = node_of(step);
  Command c;
  c.op = step.op;
  c.kernel = &device_.kernel(*step.op);
  c.origin = node.origin;
  c.sequence = node.sequence;
  for (const StepInput& in : step.inputs) add_input(c, in);
  add_output(c, step, index);
  if (step.kind == Step::Kind::Fused) {
    c.attrs = fused_attrs(s_, step.fused, step.fused_inputs);
  } else if (step.kind == Step::Kind::Compute) {
    c.attrs = node.attrs;
  }
  return c;
}

Value Binding::value_of(i32 index) const {
  const SnapshotItem& item = s_.items[static_cast<size_t>(index)];
  return {buffer_of(item.base), item.view.strides, item.view.offset};
}

const Node& Binding::node_of(const Step& step) const {
  return *s_.items[static_cast<size_t>(step.node)].node;
}

const Shape& Binding::shape_of(const StepInput& in) const {
  if (in.from == StepInput::From::Step) return shape_of(plan_.steps[static_cast<size_t>(in.index)].inputs[0]);
  return s_.node_of(in.from == StepInput::From::Leaf ? ~in.index : in.index).type.shape;
}

const Shape& Binding::output_shape(const Step& step) const {
  return step.kind == Step::Kind::Copy ? shape_of(step.inputs[0]) : node_of(step).type.shape;
}

i64 Binding::output_bytes(const Step& step) const {
  return element_bytes(step.dtype, numel(output_shape(step)));
}

const std::shared_ptr<Buffer>& Binding::buffer_of(SourceRef base) const {
  if (is_leaf(base)) return s_.node_of(base).value.buffer;
  return outputs_[step_of_node_[static_cast<size_t>(base)]];
}

void Binding::add_input(Command& c, const StepInput& in) {
  Operand o;
  Buffer* buffer = nullptr;
  i64 offset = 0;
  if (in.from == StepInput::From::Step) {
    o.dtype = plan_.steps[static_cast<size_t>(in.index)].dtype;
    o.dims = shape_of(in);
    o.strides = contiguous_strides(o.dims);
    buffer = outputs_[static_cast<size_t>(in.index)].get();
  } else {
    const SourceRef ref = in.from == StepInput::From::Leaf ? ~in.index : in.index;
    const Node& node = s_.node_of(ref);
    o.dtype = node.type.dtype;
    if (node.is_scalar) {
      o.constant = constant_bits(node);
      c.inputs.push_back(o);
      return;
    }
    const View view = s_.view_of(ref);
    o.dims = view.shape;
    o.strides = view.strides;
    offset = element_bytes(o.dtype, view.offset);
    buffer = buffer_of(s_.base_of(ref)).get();
    note_foreign(c, buffer->last_write);
  }
  o.data = buffer->data() + offset;
  c.accesses.push_back(read_access(*buffer, o, offset));
  c.inputs.push_back(o);
}

void Binding::add_output(Command& c, const Step& step, size_t index) {
  Operand& o = c.output;
  o.dtype = step.dtype;
  o.dims = output_shape(step);
  o.strides = contiguous_strides(o.dims);
  const SnapshotItem& item = s_.items[static_cast<size_t>(step.node)];
  Buffer& buffer = step.slot == Step::kInPlace ? *buffer_of(item.base) : *outputs_[index];
  o.data = buffer.data();
  const i64 bytes = element_bytes(o.dtype, o.numel());
  i64 first = 0;
  if (step.slot == Step::kInPlace) {
    c.appended = item.appended;
    first = o.dims[0] > 0 ? bytes / o.dims[0] * item.appended : 0;
    note_foreign(c, buffer.last_write);
  }
  c.accesses.push_back({buffer.id(), first, bytes - first, Access::Mode::Write});
}

// Other streams' work this command must come after; a stream keeps its own order.
void Binding::note_foreign(Command& c, Ticket t) {
  if (t.value == 0 || t.stream == stream_.id() || stream_.reached(t)) return;
  for (const Ticket& known : c.after) {
    if (known == t) return;
  }
  c.after.push_back(t);
}

}  // namespace tl
