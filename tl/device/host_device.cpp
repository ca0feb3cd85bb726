#include "tl/device/host_device.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>
#include <thread>

namespace tl {

Timelines& Timelines::instance() {
  static Timelines* timelines = new Timelines;
  return *timelines;
}

StreamId Timelines::create() {
  const std::lock_guard lock(mutex_);
  const u32 id = next_++;
  values_[id] = std::make_shared<std::atomic<u64>>(0);
  return static_cast<StreamId>(id);
}

std::shared_ptr<std::atomic<u64>> Timelines::find(StreamId stream) const {
  const std::lock_guard lock(mutex_);
  const auto it = values_.find(static_cast<u32>(stream));
  return it == values_.end() ? nullptr : it->second;
}

void Timelines::advance(StreamId stream, u64 value) {
  const auto timeline = find(stream);
  timeline->store(value, std::memory_order_release);
  timeline->notify_all();
}

bool Timelines::reached(Ticket ticket) const {
  if (ticket.value == 0) return true;
  const auto timeline = find(ticket.stream);
  return timeline == nullptr || timeline->load(std::memory_order_acquire) >= ticket.value;
}

bool Timelines::wait(Ticket ticket, double timeout_seconds) const {
  if (ticket.value == 0) return true;
  const auto timeline = find(ticket.stream);
  if (timeline == nullptr) return true;
  const auto start = std::chrono::steady_clock::now();
  for (;;) {
    const u64 now = timeline->load(std::memory_order_acquire);
    if (now >= ticket.value) return true;
    if (timeout_seconds <= 0) {
      timeline->wait(now, std::memory_order_acquire);
      continue;
    }
    const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - start;
    if (waited.count() > timeout_seconds) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
}

HostDevice::HostDevice(i64 limit_bytes) {
  stats_.limit_bytes = limit_bytes;
}

HostDevice::~HostDevice() {
  for (const Deferred& d : deferred_) munmap(d.block.data, static_cast<size_t>(d.block.bytes));
  for (const auto& [stream, lists] : free_) {
    for (const auto& [size, blocks] : lists) {
      for (const Block& b : blocks) munmap(b.data, static_cast<size_t>(b.bytes));
    }
  }
}

// Four classes between powers of two: at most a quarter is wasted, and shapes that grow by a row reuse their
// block.
static i64 size_class(i64 bytes) {
  const i64 size = std::max<i64>(bytes, 4096);
  const i64 step = static_cast<i64>(std::bit_floor(static_cast<u64>(size))) / 4;
  return (size + step - 1) / step * step;
}

Result<HostDevice::Block> HostDevice::from_system(i64 bytes) {
  void* data =
      mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) return fail(Code::OutOfMemory, "the system has no {} bytes of memory left", bytes);
  if (bytes >= i64{2} << 20) madvise(data, static_cast<size_t>(bytes), MADV_HUGEPAGE);
  ++stats_.system_allocations;
  return Block{data, bytes, {}};
}

void HostDevice::trim() {
  for (auto& [stream, lists] : free_) {
    for (auto& [size, blocks] : lists) {
      std::erase_if(blocks, [&](const Block& b) {
        if (!Timelines::instance().reached(b.last_use)) return false;
        munmap(b.data, static_cast<size_t>(b.bytes));
        stats_.cached_bytes -= b.bytes;
        return true;
      });
    }
  }
}

void HostDevice::empty_cache(std::unique_lock<std::mutex>& lock) {
  std::vector<Ticket> busy;
  for (const auto& [stream, lists] : free_) {
    for (const auto& [size, blocks] : lists) {
      for (const Block& b : blocks) busy.push_back(b.last_use);
    }
  }
  for (const Deferred& d : deferred_) {
    busy.push_back(d.block.last_use);
    busy.insert(busy.end(), d.tickets.begin(), d.tickets.end());
  }
  lock.unlock();
  for (const Ticket& t : busy) Timelines::instance().wait(t);
  lock.lock();
  collect_deferred();
  trim();
}

void HostDevice::collect_deferred() {
  std::erase_if(deferred_, [&](Deferred& d) {
    for (const Ticket& t : d.tickets) {
      if (!Timelines::instance().reached(t)) return false;
    }
    free_[static_cast<u32>(d.home)][d.block.bytes].push_back(d.block);
    return true;
  });
}

Result<HostDevice::Block> HostDevice::take(i64 bytes, StreamId stream, std::unique_lock<std::mutex>& lock) {
  const i64 size = size_class(bytes);
  if (!deferred_.empty()) collect_deferred();
  FreeLists& lists = free_[static_cast<u32>(stream)];
  // A block up to twice too large beats asking the system: shapes that shrink must not leave their memory
  // unused.
  for (auto it = lists.lower_bound(size); it != lists.end() && it->first <= 2 * size; ++it) {
    if (it->second.empty()) continue;
    const Block block = it->second.back();
    it->second.pop_back();
    stats_.cached_bytes -= block.bytes;
    return block;
  }
  const auto is_over_limit = [&] {
    return stats_.limit_bytes > 0 && stats_.in_use_bytes + stats_.cached_bytes + size > stats_.limit_bytes;
  };
  if (is_over_limit())
    empty_cache(lock);  // what is kept for other sizes and streams must not refuse this one
  if (is_over_limit()) {
    i64 biggest = 0;
    for (const auto& [id, b] : live_) biggest = std::max(biggest, b);
    return fail(Code::OutOfMemory,
                "{} bytes more would pass the memory limit of {} ({} in use by {} tensors, the largest {})",
                size, stats_.limit_bytes, stats_.in_use_bytes, live_.size(), biggest);
  }
  return from_system(size);
}

Result<std::shared_ptr<Buffer>> HostDevice::allocate(i64 bytes, StreamId stream) {
  Block block;
  {
    std::unique_lock lock(mutex_);
    TL_TRY(block, take(bytes, stream, lock));
    stats_.in_use_bytes += block.bytes;
    stats_.high_water_bytes = std::max(stats_.high_water_bytes, stats_.in_use_bytes);
  }
  auto buffer = std::make_shared<Buffer>(*this, block.data, bytes,
                                         [this, block, stream](Buffer& b) { release(block, stream, b); });
  const std::lock_guard lock(mutex_);
  live_[buffer->id()] = block.bytes;
  return buffer;
}

void HostDevice::release(Block block, StreamId home, const Buffer& buffer) {
  InlineVector<Ticket, 8> foreign;
  for (const Ticket& t : buffer.reads) {
    if (t.stream != home && !Timelines::instance().reached(t)) foreign.push_back(t);
  }
  if (buffer.last_write.stream != home && !Timelines::instance().reached(buffer.last_write) &&
      foreign.size() < 8) {
    foreign.push_back(buffer.last_write);
  }
  for (const Ticket& t : buffer.reads) {
    if (t.stream == home && t.value > block.last_use.value) block.last_use = t;
  }
  if (buffer.last_write.stream == home && buffer.last_write.value > block.last_use.value) {
    block.last_use = buffer.last_write;
  }
  const std::lock_guard lock(mutex_);
  stats_.in_use_bytes -= block.bytes;
  stats_.cached_bytes += block.bytes;
  live_.erase(buffer.id());
  if (foreign.empty()) {
    free_[static_cast<u32>(home)][block.bytes].push_back(block);
  } else {
    deferred_.push_back({block, home, foreign});
  }
}

Result<std::shared_ptr<Buffer>> HostDevice::reserve(i64 bytes) {
  const size_t size = static_cast<size_t>(std::max<i64>(bytes, 4096));
  void* data =
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED)
    return fail(Code::OutOfMemory, "the system has no address range of {} bytes left", bytes);
  auto buffer = std::make_shared<Buffer>(*this, data, bytes, [size](Buffer& b) {
    Timelines::instance().wait(b.last_write);
    for (const Ticket& t : b.reads) Timelines::instance().wait(t);
    munmap(b.data(), size);
  });
  buffer->is_reserved = true;
  return buffer;
}

Result<std::shared_ptr<Buffer>> HostDevice::import_host(std::span<const std::byte> bytes,
                                                        std::shared_ptr<void> owner) {
  return std::make_shared<Buffer>(*this, const_cast<std::byte*>(bytes.data()), static_cast<i64>(bytes.size()),
                                  [owner](Buffer& b) {
                                    for (const Ticket& t : b.reads) Timelines::instance().wait(t);
                                  });
}

Result<void> HostDevice::upload(Buffer& to, i64 offset, std::span<const std::byte> bytes) {
  TL_CHECK(offset >= 0 && offset + static_cast<i64>(bytes.size()) <= to.bytes());
  if (!bytes.empty()) std::memcpy(to.data() + offset, bytes.data(), bytes.size());
  return {};
}

Result<void> HostDevice::download(const Buffer& from, i64 offset, std::span<std::byte> bytes) {
  TL_CHECK(offset >= 0 && offset + static_cast<i64>(bytes.size()) <= from.bytes());
  if (!bytes.empty()) std::memcpy(bytes.data(), from.data() + offset, bytes.size());
  return {};
}

MemoryStats HostDevice::memory() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

}  // namespace tl
