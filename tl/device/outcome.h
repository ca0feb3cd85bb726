// What became of the steps of one run. Streams write it, whatever depends on a step reads it: so a failure
// goes wherever the value would have gone, on any stream of any device, and nowhere else.
#pragma once

#include <atomic>
#include <mutex>
#include <vector>

#include "tl/base/failure.h"

namespace tl {

class Outcome {
 public:
  // The first failure of a step is kept.
  void fail(i32 step, FailurePtr failure);
  // Null: the step has not failed (so far).
  FailurePtr failure_of(i32 step) const;
  bool any_failed() const { return any_failed_.load(std::memory_order_acquire); }

 private:
  struct Entry {
    i32 step;
    FailurePtr failure;
  };
  std::atomic<bool> any_failed_{false};
  mutable std::mutex mutex_;
  std::vector<Entry> failures_;
};

// A step of some run.
struct StepRef {
  std::shared_ptr<const Outcome> outcome;
  i32 step = 0;
};

}  // namespace tl
