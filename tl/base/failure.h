// A failure that travels: whatever depends on the failed value shares it, on every thread.
#pragma once

#include <atomic>
#include <memory>

#include "tl/base/result.h"

namespace tl {

struct Failure {
  explicit Failure(Error e) : error(std::move(e)) {}
  const Error error;
  // Somebody has been told. What a program submits by name and nobody is told of is reported when it ends.
  mutable std::atomic<bool> is_seen{false};
};
using FailurePtr = std::shared_ptr<const Failure>;

inline FailurePtr make_failure(Error error) {
  return std::make_shared<const Failure>(std::move(error));
}
// Its error, for somebody who will report it.
inline Error see(const Failure& failure) {
  failure.is_seen.store(true, std::memory_order_relaxed);
  return failure.error;
}

}  // namespace tl
