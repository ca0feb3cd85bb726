#include "tl/device/buffer.h"

namespace tl {

static BufferId next_id() {
  static std::atomic<u64> counter{0};
  return static_cast<BufferId>(counter.fetch_add(1, std::memory_order_relaxed) + 1);
}

Buffer::Buffer(Device& device, void* data, i64 bytes, Release release)
    : data_(static_cast<std::byte*>(data)),
      bytes_(bytes),
      id_(next_id()),
      device_(device),
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
  if (use_.value == 0) use_ = ticket;
  if (use_.stream == ticket.stream) {
    use_.value = std::max(use_.value, ticket.value);
    return;
  }
  for (Ticket& t : more_uses_) {
    if (t.stream == ticket.stream) {
      t.value = std::max(t.value, ticket.value);
      return;
    }
  }
  // A weight that thousands of short-lived streams have read must not remember them all.
  if (!keeps_uses) std::erase_if(more_uses_, [](Ticket t) { return Timelines::instance().reached(t); });
  more_uses_.push_back(ticket);
}

void Buffer::add_unreached(StreamId except, std::vector<Ticket>& to) const {
  for (const Ticket t : uses()) {
    if (t.stream != except && !Timelines::instance().reached(t)) to.push_back(t);
  }
}

std::vector<Ticket> Buffer::uses() const {
  const std::lock_guard lock(mutex_);
  std::vector<Ticket> all(more_uses_);
  if (use_.value != 0) all.insert(all.begin(), use_);
  return all;
}

Ticket Buffer::last_use(StreamId stream) const {
  for (const Ticket t : uses()) {
    if (t.stream == stream) return t;
  }
  return {stream, 0};
}

}  // namespace tl
