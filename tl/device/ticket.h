// Points on the timelines of streams, and who knows which of them have been reached.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <vector>

#include "tl/base/types.h"

namespace tl {

enum class StreamId : u32 {};

// A point on one stream's timeline: reached when every command up to `value` has finished. Value 0 is always
// reached.
struct Ticket {
  StreamId stream{};
  u64 value = 0;
  bool operator==(const Ticket&) const = default;
};

// Which tickets have been reached, for all streams of the process; streams publish here. Asking takes no
// lock.
class Timelines {
 public:
  static Timelines& instance();
  // A timeline of a stream's own. The id of a stream that has ended is given out again; its values go on from
  // where they were, so that old tickets stay reached.
  StreamId create();
  // The last value that was reached on it: a new stream's tickets begin behind.
  u64 reached_value(StreamId stream) const;
  void retire(StreamId stream);              // everything up to the last ticket must have been reached
  void advance(StreamId stream, u64 value);  // `value` and all before it are done
  bool reached(Ticket ticket) const {
    return ticket.value == 0 || slot(ticket.stream).value.load(std::memory_order_acquire) >= ticket.value;
  }
  // Blocks until reached, or until `timeout_seconds` have passed (0: for ever); false on time-out.
  bool wait(Ticket ticket, double timeout_seconds = 0) const;

 private:
  struct alignas(64) Slot {
    std::atomic<u64> value{0};
    mutable std::atomic<u32> waiters{0};
    mutable std::mutex mutex;
    mutable std::condition_variable changed;
  };
  static constexpr u32 kChunk = 64, kChunks = 4096;
  Slot& slot(StreamId stream) const {
    const u32 id = static_cast<u32>(stream);
    return chunks_[id / kChunk].load(std::memory_order_acquire)[id % kChunk];
  }

  Timelines();
  mutable std::array<std::atomic<Slot*>, kChunks> chunks_{};
  std::mutex mutex_;
  std::vector<StreamId> free_;
  u32 next_ = 1;  // stream 0 is nobody's
};

}  // namespace tl
