#include "tl/device/inline_stream.h"

namespace tl {

Error command_error(const Command& command, std::string_view reason) {
  std::string shapes;
  for (const Operand& o : command.inputs) {
    shapes += fmt::format("{}{}", shapes.empty() ? "" : ", ", to_string(TensorType{o.dtype, o.dims}));
  }
  const std::string_view name = command.op != nullptr ? command.op->name : "command";
  return Error{Code::BadProgram, fmt::format("{}: {} (operands: {})", name, reason, shapes), command.origin};
}

Result<Ticket> InlineStream::submit(std::vector<Command> batch) {
  for (const Command& c : batch) {
    for (const Ticket& t : c.after) Timelines::instance().wait(t);
  }
  if (!failure_) {
    Result<void> done = run_(batch);
    if (!done.ok()) {
      failure_ = std::make_shared<const Error>(std::move(done).error());
      failed_at_ = submitted_ + 1;
    }
  }
  Timelines::instance().advance(id_, ++submitted_);
  return Ticket{id_, submitted_};
}

Result<void> InlineStream::wait(Ticket ticket) {
  Timelines::instance().wait(ticket);
  if (failure_ && (ticket.stream != id_ || ticket.value >= failed_at_)) return *failure_;
  return {};
}

}  // namespace tl
