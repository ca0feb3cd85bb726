// Batches in order, commands of a batch in groups that may overlap, each command split into parts for the
// pool.
#pragma once

#include <deque>

#include "tl/backend/cpu/worker_pool.h"
#include "tl/device/host_device.h"

namespace tl::cpu {

// The commands of a batch by the step in which they can start: those of one group do not depend on each
// other.
struct Groups {
  std::vector<i32> commands;
  std::vector<i32> ends;  // of each group, in `commands`
};
Groups groups_of(const Order& order);

// Shared by the stream's owner and the pool's threads; outlives the stream object until its work is done.
class StreamState : public WorkSource, public std::enable_shared_from_this<StreamState> {
 public:
  using Recycle = std::function<void(std::unique_ptr<Batch>)>;
  StreamState(const Device& device, WorkerPool& pool, SimdLevel simd, Recycle recycle);

  StreamId id() const { return id_; }
  Ticket enqueue(std::unique_ptr<Batch> batch, std::shared_ptr<const Groups> groups, Then then);
  void cancel();
  CommandStream::Running running() const;
  bool run_next(Worker& worker) override;
  void poke() override;

 private:
  struct Queued {
    std::unique_ptr<Batch> batch;
    std::shared_ptr<const Groups> groups;
    u64 value = 0;
  };
  // One command of the running group, ready to be called.
  struct Active {
    i32 command = 0;
    KernelCall call;
    i64 units = 0;
    i32 first_part = 0, parts = 0;
    i64 begin_ns = 0;
    i64 busy_ns = 0;       // under mutex_
    i32 failed_part = -1;  // the first one, whatever the threads: under mutex_
    std::string failure;
  };

  void run_part(i32 part, Worker& worker);
  bool compute_here(Batch& batch, const Groups& groups);
  void advance();  // the running group is done: start the next group, batch, or none
  void end_group();
  bool start_batch();  // false if there is none that may start
  bool start_group();  // false if it has no work (empty tensors, or nothing that may run)
  void add_active(i32 command, i32& parts, i64 most);
  i32 parts_of(const KernelCall& call, const Kernel& kernel, i64 units) const;
  bool may_start(const Batch& batch, u64 value) const;
  bool is_cancelled() const { return current_.value <= cancelled_.load(std::memory_order_relaxed); }

  const Device& device_;
  WorkerPool& pool_;
  const SimdLevel simd_;
  const StreamId id_;
  const Recycle recycle_;
  FailurePtr interrupted_ = make_failure(interrupted_error());

  // Everything below up to `cursor_` belongs to whoever advances: the thread that finished the last part, or
  // the submitter of the first batch of an idle stream.
  Queued current_;
  size_t group_ = 0;
  i64 rounds_ = 0;  // of the current batch that are done
  std::vector<Active> active_;
  Scratch scratch_;  // of the submitter, who computes small batches himself

  // epoch (24 bits) | parts of the group (20) | next part to take (20). Taking a part is one
  // compare-and-swap, so a part can only be taken of the group it was offered in.
  alignas(64) std::atomic<u64> cursor_{0};
  alignas(64) std::atomic<i32> done_{0};

  mutable std::mutex mutex_;
  std::deque<Queued> queue_;
  bool running_ = false;  // somebody is or will be advancing
  bool parked_ = false;   // the front batch waits for another stream
  u64 submitted_ = 0;
  CommandStream::Running now_;
  std::atomic<u64> cancelled_{0};  // batches up to this one fail
};

class CpuStream : public CommandStream {
 public:
  CpuStream(Device& device, WorkerPool& pool, SimdLevel simd);
  ~CpuStream() override;
  StreamId id() const override { return state_->id(); }
  Result<PreparedId> prepare(const Order& order) override;
  void release(PreparedId plan) override;
  Result<Ticket> replay(PreparedId plan, std::unique_ptr<Batch> batch, Then then) override;
  void cancel() override { state_->cancel(); }
  Running running() const override { return state_->running(); }

 private:
  Device& device_;
  WorkerPool& pool_;
  std::shared_ptr<StreamState> state_;
  std::vector<std::shared_ptr<const Groups>> prepared_;
  std::vector<u32> free_;  // numbers of released plans
  Ticket last_;
};

}  // namespace tl::cpu
