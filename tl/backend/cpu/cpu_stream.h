// Batches in order, commands of a batch in groups that may overlap, each command split into parts for the
// pool.
#pragma once

#include <deque>

#include "tl/backend/cpu/worker_pool.h"
#include "tl/device/host_device.h"

namespace tl::cpu {

// Shared by the stream's owner and the pool's threads; outlives the stream object until its work is done.
class StreamState : public WorkSource, public std::enable_shared_from_this<StreamState> {
 public:
  StreamState(WorkerPool& pool, SimdLevel simd);

  StreamId id() const { return id_; }
  // `group_ends[i]`: index after the last command of group i; commands of one group do not conflict.
  Ticket enqueue(std::vector<Command> commands, std::vector<i32> group_ends);
  // Of a command up to `ticket`; null if there is none.
  std::shared_ptr<const Error> failure_before(Ticket ticket) const;
  bool run_parts(Worker& worker) override;
  void poke() override;

 private:
  struct Batch {
    std::vector<Command> commands;
    std::vector<i32> group_ends;
    u64 value = 0;
  };
  // One command of the running group, ready to be called.
  struct Active {
    const Command* command = nullptr;
    KernelCall call;
    i64 units = 0;
    i32 first_part = 0, parts = 0;
  };

  void run_part(i32 part, Worker& worker);
  void advance();      // the running group is done: start the next group, batch, or none
  bool start_batch();  // false if there is none that may start
  bool start_group();  // false if it has no work (empty tensors, or cancelled after a failure)
  void add_active(const Command& command, i32& parts);
  bool may_start(const Batch& batch) const;

  WorkerPool& pool_;
  const SimdLevel simd_;
  const StreamId id_;

  // Everything below up to `cursor_` belongs to whoever advances: the thread that finished the last part, or
  // the submitter of the first batch of an idle stream.
  Batch batch_;
  size_t group_ = 0;
  std::vector<Active> active_;

  // epoch (32 bits) | parts of the group (16) | next part to take (16). Taking a part is one
  // compare-and-swap, so a part can only be taken of the group it was offered in.
  alignas(64) std::atomic<u64> cursor_{0};
  alignas(64) std::atomic<i32> done_{0};

  mutable std::mutex mutex_;
  std::deque<Batch> queue_;
  bool running_ = false;  // somebody is or will be advancing
  bool parked_ = false;   // the front batch waits for another stream
  u64 submitted_ = 0;
  std::shared_ptr<const Error> failure_;
  u64 failed_at_ = 0;  // the ticket of the batch that failed
  std::atomic<bool> failed_{false};
};

class CpuStream : public CommandStream {
 public:
  CpuStream(WorkerPool& pool, SimdLevel simd);
  ~CpuStream() override;
  StreamId id() const override { return state_->id(); }
  Result<Ticket> submit(std::vector<Command> batch) override;
  Result<PreparedId> prepare(std::span<const Command> batch) override;
  Result<Ticket> replay(PreparedId plan, Bindings bindings) override;
  bool reached(Ticket ticket) const override { return Timelines::instance().reached(ticket); }
  Result<void> wait(Ticket ticket) override;

 private:
  WorkerPool& pool_;
  std::shared_ptr<StreamState> state_;
  std::vector<std::vector<i32>> prepared_;
  Ticket last_;
};

}  // namespace tl::cpu
