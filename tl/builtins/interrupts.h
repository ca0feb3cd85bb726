// What the handler of Ctrl-C, or a thread that cancels, and a program tell each other.
#pragma once

#include <atomic>

namespace tl::lang {

struct Interrupts {
  static constexpr int kEnd = 1 << 20;      // presses for which no program waits: it is to end
  static constexpr int kIdle = -(1 << 30);  // nothing runs that could be ended

  std::atomic<int> presses{0};  // not yet asked for: the handler counts up, interrupted() takes
  std::atomic<int> limit{1};    // so many end the program: 2 where it asks for the first

  bool is_over() const {
    return presses.load(std::memory_order_relaxed) >= limit.load(std::memory_order_relaxed);
  }
  // True once after a press; those that end the program stay.
  bool take() {
    int n = presses.load();
    while (n > 0 && n < limit.load()) {
      if (presses.compare_exchange_weak(n, 0)) return true;
    }
    return n > 0;
  }

  // Where runs follow each other: what comes between two of them ends neither.
  void begin() { presses.store(0); }
  void end() { presses.store(kIdle); }
  // Ends the run that is under way; false where there is none. Any thread, and signal handlers.
  bool cancel() {
    int n = presses.load();
    while (n >= 0 && n < kEnd) {
      if (presses.compare_exchange_weak(n, n + kEnd)) return true;
    }
    return n >= 0;
  }
};
static_assert(std::atomic<int>::is_always_lock_free);

}  // namespace tl::lang
