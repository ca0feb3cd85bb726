// A device whose work waits until a test lets it go: for tests of what happens meanwhile.
#pragma once

#include <deque>
#include <set>

#include "tl/device/loop_device_testing.h"

namespace tl {

class HeldDevice : public LoopDevice {
 public:
  using LoopDevice::LoopDevice;
  std::unique_ptr<CommandStream> create_stream() override { return std::make_unique<Stream>(*this); }

  // Runs the oldest batch of `stream` on the calling thread. False if there is none, or if it must come after
  // what has not been done yet.
  bool let_go(StreamId stream) {
    const std::lock_guard lock(mutex_);
    for (auto it = queue_.begin(); it != queue_.end(); ++it) {
      if (it->ticket.stream != stream) continue;
      for (const Ticket& t : it->batch->after) {
        if (!Timelines::instance().reached(t)) return false;
      }
      finish(*it, nullptr);
      queue_.erase(it);
      return true;
    }
    return false;
  }
  // From now on everything runs at once, what is queued first.
  void open() {
    const std::lock_guard lock(mutex_);
    is_open_ = true;
    for (Queued& q : queue_) finish(q, nullptr);
    queue_.clear();
  }
  // Whether what gives this ticket waits for nothing that has not been done yet, other than its own stream's.
  bool may_start(Ticket ticket) const {
    const std::lock_guard lock(mutex_);
    for (const Queued& q : queue_) {
      if (q.ticket != ticket) continue;
      for (const Ticket& t : q.batch->after) {
        if (!Timelines::instance().reached(t)) return false;
      }
    }
    return true;
  }
  // Orders that streams have prepared and not released. (Replaying another ends the process.)
  size_t prepared_orders() const {
    const std::lock_guard lock(mutex_);
    return prepared_.size();
  }
  size_t queued_batches() const {
    const std::lock_guard lock(mutex_);
    return queue_.size();
  }
  size_t queued_commands() const {
    const std::lock_guard lock(mutex_);
    size_t sum = 0;
    for (const Queued& q : queue_) sum += q.batch->commands.size();
    return sum;
  }

 private:
  class Stream : public CommandStream {
   public:
    explicit Stream(HeldDevice& device) : device_(device) {}
    ~Stream() override {
      device_.retire(id_);
      Timelines::instance().retire(id_);
    }
    StreamId id() const override { return id_; }
    Result<PreparedId> prepare(const Order&) override { return device_.prepare(); }
    void release(PreparedId id) override { device_.release(id); }
    Result<Ticket> replay(PreparedId id, std::unique_ptr<Batch> batch, Then) override {
      device_.check_prepared(id);
      const Ticket ticket{id_, ++submitted_};
      device_.add({ticket, std::move(batch)});
      return ticket;
    }
    void cancel() override { device_.cancel(id_); }
    Running running() const override { return device_.running(id_); }

   private:
    HeldDevice& device_;
    const StreamId id_ = Timelines::instance().create();
    u64 submitted_ = Timelines::instance().reached_value(id_);
  };
  struct Queued {
    Ticket ticket;
    std::unique_ptr<Batch> batch;
  };

  PreparedId prepare() {
    const std::lock_guard lock(mutex_);
    prepared_.insert(++last_prepared_);
    return static_cast<PreparedId>(last_prepared_);
  }
  void release(PreparedId id) {
    const std::lock_guard lock(mutex_);
    TL_CHECK(prepared_.erase(static_cast<u32>(id)) == 1, "an order is released that was not prepared");
  }
  void check_prepared(PreparedId id) const {
    const std::lock_guard lock(mutex_);
    TL_CHECK(prepared_.contains(static_cast<u32>(id)), "an order is replayed that was released");
  }
  void add(Queued queued) {
    const std::lock_guard lock(mutex_);
    if (is_open_) return finish(queued, nullptr);
    queue_.push_back(std::move(queued));
  }
  void cancel(StreamId stream) {
    const std::lock_guard lock(mutex_);
    const FailurePtr interrupted = make_failure(interrupted_error());
    std::erase_if(queue_, [&](Queued& q) {
      if (q.ticket.stream != stream) return false;
      finish(q, interrupted);
      return true;
    });
  }
  CommandStream::Running running(StreamId stream) const {
    const std::lock_guard lock(mutex_);
    for (const Queued& q : queue_) {
      if (q.ticket.stream == stream) return {q.batch->commands[0].op, q.batch->commands[0].origin};
    }
    return {};
  }
  void finish(Queued& q, const FailurePtr& failure) {
    for (size_t i = 0; i < q.batch->commands.size(); ++i) {
      if (failure != nullptr) {
        q.batch->outcome->fail(q.batch->commands[i].step, failure);
      } else {
        run_command(*q.batch, i, SimdLevel::Portable, scratch_);
      }
    }
    q.batch.reset();
    Timelines::instance().advance(q.ticket.stream, q.ticket.value);
  }

  mutable std::mutex mutex_;
  std::deque<Queued> queue_;
  std::set<u32> prepared_;
  u32 last_prepared_ = 0;
  bool is_open_ = false;
  Scratch scratch_;
};

}  // namespace tl
