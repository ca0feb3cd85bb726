#include "tl/device/host_device.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "tl/base/fail_point.h"
#include "tl/base/physical_memory.h"

namespace tl {
namespace {

const i64 kPageBytes = sysconf(_SC_PAGESIZE);

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

// Mappings of ranges, of all devices. The system allows a process so many; without any left its heap cannot
// grow either, so a quarter is for others.
static std::atomic<i64> mappings{0};

static i64 most_mappings() {
  static const i64 most = [] {
    i64 allowed = 0;
    std::ifstream("/proc/sys/vm/max_map_count") >> allowed;
    return (allowed > 0 ? allowed : 65530) / 4 * 3;
  }();
  return most;
}

// Memory that comes page by page. Of a shared mapping the system can show the same pages at another address.
// Where it makes no more mappings for this process, the heap may still grow; what lies there cannot be
// shared.
Result<HostDevice::Range> HostDevice::map_range(i64 bytes, size_t size) {
  if (must_fail(FailPoint::Map))
    return fail(Code::OutOfMemory, "an address range of {} bytes failed on purpose", bytes);
  constexpr int kFlags = MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE;
  void* data =
      mappings < most_mappings() ? mmap(nullptr, size, PROT_READ | PROT_WRITE, kFlags, -1, 0) : MAP_FAILED;
  if (data != MAP_FAILED) {
    ++mappings;
    return Range{static_cast<std::byte*>(data), size, true};
  }
  data = static_cast<i64>(size) <= physical_memory_bytes()  // what lies there is real
             ? std::aligned_alloc(static_cast<size_t>(kPageBytes), size)
             : nullptr;
  if (data == nullptr)
    return fail(Code::OutOfMemory, "the system has no address range of {} bytes left", bytes);
  return Range{static_cast<std::byte*>(data), size, false};
}

void HostDevice::unmap(Range range) {
  if (!range.is_mapped) return std::free(range.data);
  munmap(range.data, range.size);
  --mappings;
}

static size_t range_size(i64 bytes) {
  return static_cast<size_t>(std::max<i64>(bytes, kPageBytes) + kPageBytes - 1) / kPageBytes * kPageBytes;
}

Result<std::shared_ptr<Buffer>> HostDevice::adopt(Range range, i64 bytes, const MemoryLabel& label,
                                                  std::shared_ptr<RangePages> pages) {
  const i64 looks = static_cast<i64>(pages->pieces.size());  // at pages of others, each a mapping
  mappings += looks;
  return pool_->adopt_range(*this, range.data, bytes, label, std::move(pages),
                            [range, looks](std::span<const MemoryPool::Part> unused) {
                              // Forks keep the pages before; these are freed here or never.
                              for (const auto& [begin, end] : unused) {
                                const size_t length = static_cast<size_t>(end - begin);
                                mprotect(range.data + begin, length, PROT_READ | PROT_WRITE);
                                madvise(range.data + begin, length, MADV_REMOVE);
                              }
                              unmap(range);
                              mappings -= looks;
                            });
}

Result<std::shared_ptr<Buffer>> HostDevice::reserve(i64 bytes, const MemoryLabel& label) {
  TL_TRY(const Range range, map_range(bytes, range_size(bytes)));
  return adopt(range, bytes, label, std::make_shared<RangePages>());
}

// The second look at shared pages is for reading only: a write through it would be a fault of ours, and is
// one of the machine's.
static bool map_again(std::byte* to, const std::byte* from, const RangePages& pages) {
  i64 begin = 0;
  for (const RangePages::Piece& piece : pages.pieces) {
    void* const source = const_cast<std::byte*>(from + begin);
    const size_t length = static_cast<size_t>(piece.end - begin);
    if (mremap(source, 0, length, MREMAP_MAYMOVE | MREMAP_FIXED, to + begin) == MAP_FAILED) return false;
    begin = piece.end;
  }
  return begin == 0 || mprotect(to, static_cast<size_t>(begin), PROT_READ) == 0;
}

Result<std::shared_ptr<Buffer>> HostDevice::fork(Buffer& from, i64 kept_bytes, i64 bytes,
                                                 const MemoryLabel& label) {
  const i64 shared = kept_bytes / kPageBytes * kPageBytes;
  from.share(kept_bytes);
  TL_TRY(const Range range, map_range(bytes, range_size(std::max(bytes, shared))));
  std::shared_ptr<RangePages> pages = pool_->share(from, shared);
  if (!range.is_mapped || !map_again(range.data, from.data(), *pages)) {
    // The system has no more mappings, or does not do this at all: everything is copied.
    pool_->drop(pages);
    unmap(range);
    return reserve(bytes, label);
  }
  return adopt(range, bytes, label, std::move(pages));
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
