#include "tl/device/inline_stream.h"

namespace tl {

void run_command(const Batch& batch, size_t index, SimdLevel simd, Scratch& scratch) {
  const Command& c = batch.commands[index];
  if (c.is_skipped) return;
  if (auto failure = batch.blocked_by(c)) return batch.outcome->fail(c.step, std::move(failure));
  KernelCall call = batch.call_of(index);
  call.simd = simd;
  call.scratch = &scratch;
  call.end = c.kernel->units != nullptr ? c.kernel->units(call) : call.out.numel();
  if (fails_on_purpose(batch, c)) {
    call.fail("failed on purpose");
  } else {
    c.kernel->run(call);
  }
  if (call.failure.empty()) return;
  batch.outcome->fail(c.step, make_failure(command_error(batch, c, call.failure)));
}

InlineStream::InlineStream(Device& device, SimdLevel simd) : device_(device), simd_(simd) {}

InlineStream::~InlineStream() {
  device_.retire(id_);
  Timelines::instance().retire(id_);
}

Result<Ticket> InlineStream::replay(PreparedId, std::unique_ptr<Batch> batch, Then) {
  for (const Ticket& t : batch->after) Timelines::instance().wait(t);
  i64 rounds = 0;
  do {
    for (size_t i = 0; i < batch->commands.size(); ++i) {
      const i64 begin = device_.observer() != nullptr ? now_ns() : 0;
      run_command(*batch, i, simd_, scratch_);
      if (begin == 0) continue;
      const i64 end = now_ns();
      device_.observer()->ran(*batch, i, id_, begin, end, end - begin);
    }
  } while (batch->goes_on_here(++rounds));
  recycler_->give(std::move(batch));
  Timelines::instance().advance(id_, ++submitted_);
  return Ticket{id_, submitted_};
}

}  // namespace tl
