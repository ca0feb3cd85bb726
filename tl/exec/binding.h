// One run of a plan: the sizes, memory and operands of its commands.
#pragma once

#include "tl/exec/planner.h"

namespace tl {

class Binding {
 public:
  Binding(Device& device, CommandStream& stream, const Snapshot& snapshot, const Plan& plan);

  // All memory of the run, before anything is submitted: a failure here leaves everything as it was.
  Result<void> allocate();
  Command command(size_t step);
  // Where the value of item `index` is; valid once its step has been submitted.
  Value value_of(i32 index) const;
  const std::shared_ptr<Buffer>& output(size_t step) const { return outputs_[step]; }

 private:
  const Node& node_of(const Step& step) const;
  const Shape& shape_of(const StepInput& in) const;
  const Shape& output_shape(const Step& step) const;
  i64 output_bytes(const Step& step) const;
  const std::shared_ptr<Buffer>& buffer_of(SourceRef base) const;
  void add_input(Command& c, const StepInput& in);
  void add_output(Command& c, const Step& step, size_t index);
  void note_foreign(Command& c, Ticket t);

  Device& device_;
  CommandStream& stream_;
  const Snapshot& s_;
  const Plan& plan_;
  std::vector<std::shared_ptr<Buffer>> outputs_;  // a step
  std::vector<std::shared_ptr<Buffer>> slots_;
  std::vector<size_t> step_of_node_;
};

}  // namespace tl
