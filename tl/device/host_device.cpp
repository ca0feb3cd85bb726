#include "tl/device/host_device.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "tl/base/fail_point.h"

namespace tl {
namespace {

class Pages : public MemorySource {
 public:
  Result<void*> take(i64 bytes) override {
    void* data =
        mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED)
      return fail(Code::OutOfMemory, "the system has no {} bytes of memory left", bytes);
    if (bytes >= i64{2} << 20) madvise(data, static_cast<size_t>(bytes), MADV_HUGEPAGE);
    return data;
  }
  void give_back(void* data, i64 bytes) override { munmap(data, static_cast<size_t>(bytes)); }
};

}  // namespace

HostDevice::HostDevice(i64 limit_bytes)
    : pages_(std::make_unique<Pages>()), pool_(std::make_unique<MemoryPool>(*pages_, limit_bytes)) {}

HostDevice::~HostDevice() = default;

Result<std::shared_ptr<Buffer>> HostDevice::allocate(i64 bytes, StreamId stream, const MemoryLabel& label) {
  return pool_->allocate(*this, bytes, stream, label);
}

Result<std::shared_ptr<Buffer>> HostDevice::reserve(i64 bytes, const MemoryLabel& label) {
  const size_t size = static_cast<size_t>(std::max<i64>(bytes, 4096));
  if (must_fail(FailPoint::Map))
    return fail(Code::OutOfMemory, "an address range of {} bytes failed on purpose", bytes);
  void* data =
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED)
    return fail(Code::OutOfMemory, "the system has no address range of {} bytes left", bytes);
  auto buffer = pool_->adopt(*this, data, bytes, label, [data, size] { munmap(data, size); });
  buffer->is_reserved = true;
  return buffer;
}

Result<std::shared_ptr<Buffer>> HostDevice::import_host(std::span<const std::byte> bytes,
                                                        std::shared_ptr<void> owner) {
  const i64 size = static_cast<i64>(bytes.size());
  auto buffer = pool_->adopt(
      *this, const_cast<std::byte*>(bytes.data()), size, {}, [owner = std::move(owner)] {}, size);
  buffer->is_read_only = true;
  return buffer;
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

}  // namespace tl
