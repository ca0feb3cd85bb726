#include "tl/device/buffer.h"

#include <atomic>

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

}  // namespace tl
