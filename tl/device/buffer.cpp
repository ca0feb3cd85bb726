#include "tl/device/buffer.h"

namespace tl {

static BufferId next_id() {
  static std::atomic<u64> counter{0};
  return static_cast<BufferId>(counter.fetch_add(1, std::memory_order_relaxed) + 1);
}

Buffer::Buffer(Device& device, void* data, i64 bytes, Release release)
    : id_(next_id()),
      device_(device),
      data_(static_cast<std::byte*>(data)),
      bytes_(bytes),
      release_(std::move(release)) {}

Buffer::~Buffer() {
  if (release_) release_(*this);
}

void Buffer::share(i64 bytes) {
  i64 before = shared_bytes.load();
  while (before < bytes && !shared_bytes.compare_exchange_weak(before, bytes)) {
  }
}

void Buffer::note_use(Ticket ticket) {
  if (ticket.value == 0) return;  // nothing was submitted
  const std::lock_guard lock(mutex_);
  for (Ticket& t : uses_) {
    if (t.stream == ticket.stream) {
      t.value = std::max(t.value, ticket.value);
      return;
    }
  }
  // A weight that thousands of short-lived streams have read must not remember them all.
  if (!keeps_uses) std::erase_if(uses_, [](Ticket t) { return Timelines::instance().reached(t); });
  uses_.push_back(ticket);
}

void Buffer::add_unreached(StreamId except, std::vector<Ticket>& to) const {
  const std::lock_guard lock(mutex_);
  for (const Ticket& t : uses_) {
    if (t.stream != except && !Timelines::instance().reached(t)) to.push_back(t);
  }
}

std::vector<Ticket> Buffer::uses() const {
  const std::lock_guard lock(mutex_);
  return uses_;
}

Ticket Buffer::last_use(StreamId stream) const {
  const std::lock_guard lock(mutex_);
  for (const Ticket& t : uses_) {
    if (t.stream == stream) return t;
  }
  return {stream, 0};
}

}  // namespace tl
