#include "tl/device/ticket.h"

#include <chrono>
#include <thread>

#include "tl/base/check.h"

namespace tl {

using Clock = std::chrono::steady_clock;

// How long a waiter looks by itself before it sleeps: going to sleep and being woken costs more.
static constexpr auto kSpin = std::chrono::microseconds(20);

Timelines& Timelines::instance() {
  static Timelines* timelines = new Timelines;
  return *timelines;
}

Timelines::Timelines() {
  chunks_[0].store(new Slot[kChunk], std::memory_order_release);
}

StreamId Timelines::create() {
  const std::lock_guard lock(mutex_);
  if (!free_.empty()) {
    const StreamId id = free_.back();
    free_.pop_back();
    return id;
  }
  const u32 id = next_++;
  TL_CHECK(id < kChunk * kChunks, "{} streams at one time", id);
  if (id % kChunk == 0) chunks_[id / kChunk].store(new Slot[kChunk], std::memory_order_release);
  return static_cast<StreamId>(id);
}

u64 Timelines::reached_value(StreamId stream) const {
  return slot(stream).value.load(std::memory_order_acquire);
}

void Timelines::retire(StreamId stream) {
  const std::lock_guard lock(mutex_);
  free_.push_back(stream);
}

void Timelines::advance(StreamId stream, u64 value) {
  Slot& s = slot(stream);
  s.value.store(value, std::memory_order_seq_cst);
  if (s.waiters.load(std::memory_order_seq_cst) == 0) return;
  { const std::lock_guard lock(s.mutex); }  // a waiter that has looked is asleep before it is woken
  s.changed.notify_all();
}

bool Timelines::wait(Ticket ticket, double timeout_seconds) const {
  if (reached(ticket)) return true;
  const Slot& s = slot(ticket.stream);
  const auto start = Clock::now();
  while (Clock::now() - start < kSpin) {
    for (int i = 0; i < 32; ++i) {
      if (reached(ticket)) return true;
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
    }
  }
  s.waiters.fetch_add(1, std::memory_order_seq_cst);
  std::unique_lock lock(s.mutex);
  const auto is_reached = [&] { return s.value.load(std::memory_order_seq_cst) >= ticket.value; };
  bool done = true;
  if (timeout_seconds <= 0) {
    s.changed.wait(lock, is_reached);
  } else {
    const auto until =
        start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(timeout_seconds));
    done = s.changed.wait_until(lock, until, is_reached);
  }
  lock.unlock();
  s.waiters.fetch_sub(1, std::memory_order_seq_cst);
  return done;
}

}  // namespace tl
