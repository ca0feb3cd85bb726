#include "tl/backend/null/null_device.h"

#include <cstring>

namespace tl::null {

// Proves of every replay that the order of its plan holds for the ranges it really has.
class NullStream : public CommandStream {
 public:
  explicit NullStream(NullDevice& device) : device_(device) {}
  ~NullStream() override {
    device_.retire(id_);
    Timelines::instance().retire(id_);
  }
  StreamId id() const override { return id_; }

  Result<PreparedId> prepare(const Order& order) override {
    prepared_.push_back({order, false});
    return static_cast<PreparedId>(prepared_.size() - 1);
  }
  void release(PreparedId plan) override { prepared_[static_cast<size_t>(plan)] = {}; }

  Result<Ticket> replay(PreparedId plan, std::unique_ptr<Batch> batch, Then) override {
    Prepared& prepared = prepared_[static_cast<size_t>(plan)];
    TL_CHECK(prepared.order.size() == batch->commands.size(), "replay of {} commands as {}",
             prepared.order.size(), batch->commands.size());
    for (const Unordered& u : find_unordered(*batch, prepared.order)) {
      const Command &a = batch->commands[u.earlier], &b = batch->commands[u.later];
      TL_CHECK(false, "command {} ({}) of a replay must come after {} ({}), which its plan does not know",
               u.later, b.op->name, u.earlier, a.op->name);
    }
    record(*batch, prepared);
    prepared.has_run = true;
    recycler_->give(std::move(batch));
    Timelines::instance().advance(id_, ++submitted_);
    return Ticket{id_, submitted_};
  }

 private:
  struct Prepared {
    Order order;
    bool has_run = false;
  };

  void record(const Batch& batch, const Prepared& prepared) {
    BatchLog log;
    log.replayed = prepared.has_run;
    log.order = prepared.order;
    for (const Command& c : batch.commands) {
      const auto accesses = batch.accesses_of(c);
      log.commands.push_back({c.op->name, {accesses.begin(), accesses.end()}, c.sequence, c.is_skipped});
      if (c.is_skipped) continue;
      if (auto failure = batch.blocked_by(c)) {
        batch.outcome->fail(c.step, std::move(failure));
      } else if (fails_on_purpose(batch, c)) {
        batch.outcome->fail(c.step, make_failure(command_error(batch, c, "failed on purpose")));
      }
      for (const Access& a : accesses) {
        if (a.mode == Access::Mode::Write) clear(batch, c, a);
      }
    }
    device_.add(std::move(log));
  }

  // Zeros where the command would have written: the named range of the output that lies in it.
  static void clear(const Batch& batch, const Command& c, const Access& written) {
    for (const Operand& o : batch.outputs_of(c)) {
      if (o.data == nullptr) continue;
      const i64 bytes = row_bytes(o.dtype, o.numel());
      std::memset(o.data + c.kept_bytes, 0,
                  static_cast<size_t>(std::min(bytes - c.kept_bytes, written.size_bytes)));
    }
  }

  NullDevice& device_;
  const StreamId id_ = Timelines::instance().create();
  u64 submitted_ = Timelines::instance().reached_value(id_);
  std::vector<Prepared> prepared_;
};

bool BatchLog::may_overlap(size_t a, size_t b) const {
  if (a > b) std::swap(a, b);
  if (a == b) return false;
  std::vector<bool> before(b + 1, false);  // what b comes after
  before[b] = true;
  for (size_t i = b + 1; i-- > a;) {
    if (!before[i]) continue;
    for (const i32 e : order.after(i)) before[static_cast<size_t>(e)] = true;
  }
  return !before[a];
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

void NullDevice::add(BatchLog log) {
  constexpr size_t kKept = 1000;  // programs may run for long
  const std::lock_guard lock(mutex_);
  if (log_.size() >= kKept) log_.erase(log_.begin(), log_.begin() + kKept / 2);
  log_.push_back(std::move(log));
}

std::unique_ptr<NullDevice> create_device(Backend kernels_of) {
  return std::make_unique<NullDevice>(kernels_of);
}

}  // namespace tl::null
