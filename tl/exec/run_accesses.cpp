// What the commands of a run read and write, for who checks a plan: the null device, the validator.
#include <algorithm>

#include "tl/device/memory_pool.h"
#include "tl/exec/run.h"

namespace tl {
namespace {

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
  return {buffer.id(), offset + row_bytes(o.dtype, low), row_bytes(o.dtype, count), Access::Mode::Read};
}

}  // namespace

void Run::add_accesses(Batch& batch, Command& c, size_t index) const {
  const Step& step = plan_->steps[index];
  const auto add = [&](const Access& access) {
    batch.accesses.push_back(access);
    ++c.accesses;
  };
  const std::span<const Operand> inputs = batch.inputs_of(c), outputs = batch.outputs_of(c);
  for (size_t k = 0; k < inputs.size(); ++k) {
    const StepInput& in = step.inputs[static_cast<int>(k)];
    if (inputs[k].data == nullptr) continue;
    const bool is_step = in.from == StepInput::From::Step;
    const Buffer& buffer = is_step ? *output_buffer(in.index, 0) : *buffer_of(s_.base_of(source_of(in)));
    Access read = read_access(buffer, inputs[k], inputs[k].data - buffer.data());
    name_writer(read, in);
    // Named as the memory that it is: what a fork shares is the pages of another range.
    i64 begin = 0;
    for (size_t i = 0; buffer.pages != nullptr && i + 1 < buffer.pages->pieces.size(); ++i) {
      const RangePages::Piece& piece = buffer.pages->pieces[i];
      const i64 first = std::max(read.offset_bytes, begin);
      const i64 last = std::min(read.offset_bytes + read.size_bytes, piece.end);
      begin = piece.end;
      if (first >= last) continue;
      Access part = read;
      part.buffer = piece.pages->owner, part.offset_bytes = first, part.size_bytes = last - first;
      add(part);
    }
    const i64 own = std::clamp<i64>(begin - read.offset_bytes, 0, read.size_bytes);
    read.offset_bytes += own, read.size_bytes -= own;
    add(read);
  }
  for (size_t k = 0; k < outputs.size(); ++k) {
    const Operand& o = outputs[k];
    const i64 bytes = row_bytes(o.dtype, o.numel());
    add({output_buffer(static_cast<i32>(index), static_cast<int>(k))->id(), c.kept_bytes,
         bytes - c.kept_bytes, Access::Mode::Write});
  }
}

// Which step of which run computes what an input is read for.
void Run::name_writer(Access& read, const StepInput& in) const {
  const auto of_value = [&](const Placement& value) {
    read.run = value.outcome.get(), read.step = value.step;
  };
  read.run = outcome_.get();
  if (in.from == StepInput::From::Step) {
    read.step = in.index;
    const Tensor& kept = memory_[static_cast<size_t>(in.index)].kept;
    if (kept) of_value(kept->value);
    return;
  }
  const SourceRef ref = source_of(in);
  const SourceRef origin = is_leaf(ref) ? ref : plan_->origin_of_node[static_cast<size_t>(ref)];
  if (is_leaf(origin)) return of_value(s_.node_of(origin).value);
  read.step = plan_->writer_of_node[static_cast<size_t>(origin)];
}

}  // namespace tl
