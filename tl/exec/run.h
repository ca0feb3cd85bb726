// One run of a plan: the sizes, memory and operands of its commands, and what becomes of them.
#pragma once

#include "tl/exec/planner.h"

namespace tl {

class Run {
 public:
  Run(Device& device, CommandStream& stream, Snapshot& snapshot, std::shared_ptr<const Plan> plan);

  // All memory of the run, before anything is submitted: a failure leaves everything as it was, and says in
  // `culprit` which step asked for too much.
  Result<void> allocate(i32& culprit);
  // The commands of one batch, ready to be handed over; `submitted` says which ticket it got.
  std::unique_ptr<Batch> fill(size_t batch);
  void submitted(size_t batch, Ticket ticket);

  // Memory of this run stays until `last` is reached: what has been submitted may be at work in it.
  void note_uses(Ticket last) const;
  // After the last batch: every evaluated node gets its place, and lets go of what it was computed from.
  void settle();
  // Where the value of item `index` is.
  Placement value_of(i32 index) const;
  const std::shared_ptr<Outcome>& outcome() const { return outcome_; }
  i64 bytes_written(size_t batch) const { return bytes_written_[batch]; }

 private:
  struct StepMemory {
    InlineVector<std::shared_ptr<Buffer>, kMaxOutputs> outputs;
    Tensor kept;              // a conversion that was made before: the step is skipped
    bool is_to_keep = false;  // its result stays with the leaf it was made of
  };

  const Node& node_of(const Step& step) const;
  const Node& source_node(const StepInput& in) const { return s_.node_of(source_of(in)); }
  static SourceRef source_of(const StepInput& in) {
    return in.from == StepInput::From::Leaf ? ~in.index : in.index;
  }
  const Shape& shape_of(const StepInput& in) const;
  const Shape& output_shape(const Step& step, int k) const;
  i64 output_bytes(const Step& step, int k) const;
  const std::shared_ptr<Buffer>& buffer_of(SourceRef base) const;
  void look_up_kept(size_t index);
  Error memory_error(Error error, const Step& step, int k) const;
  Result<void> allocate_slots(i32& culprit);
  Result<void> allocate_output(size_t index, int k);
  void add_command(Batch& batch, size_t index);
  void add_input(Batch& batch, Command& c, const StepInput& in);
  void add_output(Batch& batch, Command& c, const Step& step, size_t index, int k);
  void add_foreign(Batch& batch, Command& c, const Placement& value) const;
  void add_tickets(Batch& batch) const;
  void keep_conversions();
  size_t batch_of(i32 step) const;

  Device& device_;
  CommandStream& stream_;
  Snapshot& s_;
  const std::shared_ptr<const Plan> plan_;
  const std::shared_ptr<Outcome> outcome_ = std::make_shared<Outcome>();
  std::vector<StepMemory> memory_;  // of every step
  std::vector<std::shared_ptr<Buffer>> slots_;
  std::vector<Ticket> tickets_;
  std::vector<i64> bytes_written_;
};

}  // namespace tl
