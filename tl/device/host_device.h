// What every device whose memory is the host's shares: the caching pool, reserved ranges, mapped files.
// Freed memory goes back to the list of the stream that allocated it, which may reuse it at once because a
// stream keeps its own order; if another stream has used it, only after that stream's ticket is reached.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "tl/device/device.h"

namespace tl {

// Which tickets have been reached, for all streams of the process; streams publish here.
class Timelines {
 public:
  static Timelines& instance();
  // A new timeline, at value 0.
  StreamId create();
  void advance(StreamId stream, u64 value);  // `value` and all before it are done
  bool reached(Ticket ticket) const;
  // Blocks until reached, or until `timeout_seconds` have passed (0: for ever); false on time-out.
  bool wait(Ticket ticket, double timeout_seconds = 0) const;

 private:
  std::shared_ptr<std::atomic<u64>> find(StreamId stream) const;
  mutable std::mutex mutex_;
  std::unordered_map<u32, std::shared_ptr<std::atomic<u64>>> values_;
  u32 next_ = 1;
};

class HostDevice : public Device {
 public:
  explicit HostDevice(i64 limit_bytes);  // 0: no limit
  ~HostDevice() override;

  Result<std::shared_ptr<Buffer>> allocate(i64 bytes, StreamId stream) override;
  Result<std::shared_ptr<Buffer>> reserve(i64 bytes) override;
  Result<std::shared_ptr<Buffer>> import_host(std::span<const std::byte> bytes,
                                              std::shared_ptr<void> owner) override;
  Result<void> upload(Buffer& to, i64 offset, std::span<const std::byte> bytes) override;
  Result<void> download(const Buffer& from, i64 offset, std::span<std::byte> bytes) override;
  MemoryStats memory() const override;

 private:
  struct Block {
    void* data;
    i64 bytes;        // of the size class
    Ticket last_use;  // on its own stream
  };
  struct Deferred {
    Block block;
    StreamId home;
    InlineVector<Ticket, 8> tickets;
  };
  // Free blocks of one stream, by size class.
  using FreeLists = std::map<i64, std::vector<Block>>;

  void release(Block block, StreamId home, const Buffer& buffer);
  void collect_deferred();
  Result<Block> take(i64 bytes, StreamId stream, std::unique_lock<std::mutex>& lock);
  Result<Block> from_system(i64 bytes);
  // Waits, without the lock, for the work that free memory is still in, and gives that memory back.
  void empty_cache(std::unique_lock<std::mutex>& lock);
  void trim();  // gives back the free blocks that nothing works in any more

  mutable std::mutex mutex_;
  std::unordered_map<u32, FreeLists> free_;
  std::vector<Deferred> deferred_;
  std::map<BufferId, i64> live_;  // for naming the biggest when the limit is reached
  MemoryStats stats_;
};

}  // namespace tl
