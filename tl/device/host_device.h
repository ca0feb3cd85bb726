// What every device whose memory is the host's shares: the pool over pages of the system, reserved ranges,
// mapped files.
#pragma once

#include "tl/device/memory_pool.h"

namespace tl {

class HostDevice : public Device {
 public:
  explicit HostDevice(i64 limit_bytes);  // 0: no limit
  ~HostDevice() override;

  using Device::allocate;
  using Device::reserve;
  Result<std::shared_ptr<Buffer>> allocate(i64 bytes, StreamId stream, const MemoryLabel& label) override;
  Result<std::shared_ptr<Buffer>> reserve(i64 bytes, const MemoryLabel& label) override;
  Result<std::shared_ptr<Buffer>> fork(Buffer& from, i64 kept_bytes, i64 bytes,
                                       const MemoryLabel& label) override;
  Result<void> commit(Buffer& buffer, i64 bytes) override { return pool_->commit(buffer, bytes); }
  Result<std::shared_ptr<Buffer>> import_host(std::span<const std::byte> bytes,
                                              std::shared_ptr<void> owner) override;
  Result<void> upload(Buffer& to, i64 offset, std::span<const std::byte> bytes) override;
  Result<void> download(const Buffer& from, i64 offset, std::span<std::byte> bytes) override;
  void retire(StreamId stream) override { pool_->retire(stream); }
  MemoryStats memory() const override { return pool_->stats(); }
  void watch_memory() override { pool_->watch(); }
  std::vector<MemoryUse> memory_at_high_water() const override { return pool_->at_high_water(); }

 private:
  struct Range {
    std::byte* data;
    size_t size;
    bool is_mapped;  // else of the heap
  };
  static Result<Range> map_range(i64 bytes, size_t size);
  static void unmap(Range range);
  Result<std::shared_ptr<Buffer>> adopt(Range range, i64 bytes, const MemoryLabel& label,
                                        std::shared_ptr<RangePages> pages);

  std::unique_ptr<MemorySource> pages_;
  std::unique_ptr<MemoryPool> pool_;
};

}  // namespace tl
