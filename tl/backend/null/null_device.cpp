#include "tl/backend/null/null_device.h"

#include <cstring>

namespace tl::null {

// Prepared batches keep only what order needs; a replay must conflict in the same pairs, which is checked
// here.
class NullStream : public CommandStream {
 public:
  explicit NullStream(NullDevice& device) : device_(device), id_(Timelines::instance().create()) {}
  StreamId id() const override { return id_; }

  Result<Ticket> submit(std::vector<Command> batch) override {
    const std::vector<i32> after = find_hazards(batch);
    return record(batch, after, false);
  }
  Result<PreparedId> prepare(std::span<const Command> batch) override {
    prepared_.push_back(find_hazards(batch));
    return static_cast<PreparedId>(prepared_.size() - 1);
  }
  Result<Ticket> replay(PreparedId plan, Bindings bindings) override {
    const std::vector<i32>& after = prepared_[static_cast<size_t>(plan)];
    const std::vector<i32> now = find_hazards(bindings);
    TL_CHECK(after.size() == now.size(), "replay of {} commands as {}", after.size(), now.size());
    for (size_t i = 0; i < now.size(); ++i) {
      TL_CHECK(now[i] <= after[i], "command {} of a replay must come after {}, planned after {}", i, now[i],
               after[i]);
    }
    return record(bindings, after, true);
  }
  bool reached(Ticket ticket) const override { return Timelines::instance().reached(ticket); }
  Result<void> wait(Ticket) override { return {}; }

 private:
  Result<Ticket> record(std::span<const Command> batch, std::span<const i32> after, bool replayed) {
    BatchLog log;
    log.replayed = replayed;
    for (size_t i = 0; i < batch.size(); ++i) {
      const Command& c = batch[i];
      log.commands.push_back({c.op->name, c.accesses, after[i], c.sequence});
      if (c.output.data != nullptr) {
        const i64 bytes = row_bytes(c.output.dtype, c.output.numel());
        const i64 kept = c.appended > 0 && c.output.dims[0] > 0 ? bytes / c.output.dims[0] * c.appended : 0;
        std::memset(c.output.data + kept, 0, static_cast<size_t>(bytes - kept));
      }
    }
    device_.log_.push_back(std::move(log));
    Timelines::instance().advance(id_, ++submitted_);
    return Ticket{id_, submitted_};
  }

  NullDevice& device_;
  StreamId id_;
  u64 submitted_ = 0;
  std::vector<std::vector<i32>> prepared_;
};

bool BatchLog::may_overlap(size_t a, size_t b) const {
  if (a > b) std::swap(a, b);
  if (a == b) return false;
  // Commands run in the order of the batch, each starting when its `after` and all before that are done.
  i32 needed = commands[b].after;
  return needed < static_cast<i32>(a);
}

NullDevice::NullDevice(Backend kernels_of) : HostDevice(0), kernels_of_(kernels_of) {
  info_ = {.name = "null", .description = "records and computes nothing", .simd = ""};
}

const Kernel& NullDevice::kernel(const OpDef& op) const {
  return kernels_of_ == Backend::Reference ? op.reference : op.cpu;
}

std::unique_ptr<CommandStream> NullDevice::create_stream() {
  return std::make_unique<NullStream>(*this);
}

std::unique_ptr<NullDevice> create_device(Backend kernels_of) {
  return std::make_unique<NullDevice>(kernels_of);
}

}  // namespace tl::null
