// A stream that runs each command when it is submitted, one after the other, on the thread that submits it:
// what the oracle and tests of layers without a backend use.
#pragma once

#include "tl/device/device.h"

namespace tl {

// Runs one command whole, or says in the outcome why not: something it reads has failed, or its kernel did.
void run_command(const Batch& batch, size_t command, SimdLevel simd, Scratch& scratch);

class InlineStream : public CommandStream {
 public:
  explicit InlineStream(Device& device, SimdLevel simd = SimdLevel::Portable);
  ~InlineStream() override;

  StreamId id() const override { return id_; }
  Result<PreparedId> prepare(const Order&) override { return PreparedId{}; }
  void release(PreparedId) override {}
  Result<Ticket> replay(PreparedId, std::unique_ptr<Batch> batch, Then) override;

 private:
  Device& device_;
  const SimdLevel simd_;
  const StreamId id_ = Timelines::instance().create();
  u64 submitted_ = Timelines::instance().reached_value(id_);
  Scratch scratch_;
};

}  // namespace tl
