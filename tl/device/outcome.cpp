#include "tl/device/outcome.h"

namespace tl {

void Outcome::fail(i32 step, FailurePtr failure) {
  const std::lock_guard lock(mutex_);
  for (const Entry& e : failures_) {
    if (e.step == step) return;
  }
  failures_.push_back({step, std::move(failure)});
  any_failed_.store(true, std::memory_order_release);
}

FailurePtr Outcome::failure_of(i32 step) const {
  if (!any_failed()) return nullptr;
  const std::lock_guard lock(mutex_);
  for (const Entry& e : failures_) {
    if (e.step == step) return e.failure;
  }
  return nullptr;
}

}  // namespace tl
