// A stream that runs each command when it is submitted, one after the other: what the oracle and the null
// device use.
#pragma once

#include <functional>

#include "tl/device/host_device.h"

namespace tl {

// The message of a failed command: its op, what its kernel said, and the shapes it had.
Error command_error(const Command& command, std::string_view reason);

class InlineStream : public CommandStream {
 public:
  using Run = std::function<Result<void>(std::span<const Command> batch)>;
  explicit InlineStream(Run run) : id_(Timelines::instance().create()), run_(std::move(run)) {}

  StreamId id() const override { return id_; }
  Result<Ticket> submit(std::vector<Command> batch) override;
  Result<PreparedId> prepare(std::span<const Command>) override { return PreparedId{}; }
  Result<Ticket> replay(PreparedId, Bindings bindings) override { return submit(std::move(bindings)); }
  bool reached(Ticket ticket) const override { return Timelines::instance().reached(ticket); }
  Result<void> wait(Ticket ticket) override;

 private:
  StreamId id_;
  Run run_;
  u64 submitted_ = 0;
  std::shared_ptr<const Error> failure_;
  u64 failed_at_ = 0;  // the ticket of the batch that failed
};

}  // namespace tl
