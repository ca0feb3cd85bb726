// One place that computes: its memory and its streams. Backends implement this; tl/api/devices.cpp lists
// them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tl/device/stream.h"

namespace tl {

struct DeviceInfo {
  std::string name;         // as given to --device: "cpu", "reference", "null", "cuda:0"
  std::string description;  // "AMD EPYC, 2 threads, avx512"
  std::string simd;         // level in use, empty where it means nothing
  int threads = 1;
  i64 memory_bytes = 0;  // of the whole device
};

struct MemoryStats {
  i64 in_use_bytes = 0;        // held by live buffers, with the committed part of reserved ranges
  i64 cached_bytes = 0;        // kept for reuse
  i64 high_water_bytes = 0;    // largest in_use so far
  i64 mapped_bytes = 0;        // files that are read where they lie; no limit counts them
  i64 limit_bytes = 0;         // TL_MEMORY_LIMIT, 0 for none
  u64 system_allocations = 0;  // calls that went to the operating system
};

// What memory is for: told when a limit is reached.
struct MemoryLabel {
  std::string_view what = {};  // the op that writes it; static text
  TensorType type = {};
  Span origin = {};
};

// Live memory that has one label.
struct MemoryUse {
  MemoryLabel label;  // its type: of the largest tensor
  i64 bytes = 0;
  i64 tensors = 0;
};

// What a machine can do at most, measured when asked.
struct Peaks {
  double bytes_per_second = 0;  // of memory, read in a row
  double flops_per_second = 0;  // float32 multiply-adds, two operations each
};

class Device {
 public:
  virtual ~Device() = default;
  virtual const DeviceInfo& info() const = 0;
  virtual Backend backend() const = 0;
  // The kernel this device runs for `op`; a kernel without `run` if there is none.
  virtual const Kernel& kernel(const OpDef& op) const = 0;
  virtual bool computes() const { return true; }         // false: records only (null)
  virtual bool wants_accesses() const { return false; }  // its streams check the ranges that commands name

  // From the pool; contents undefined. `stream` may reuse memory it has freed itself before that work is
  // done; StreamId{} is nobody's: such memory is idle.
  virtual Result<std::shared_ptr<Buffer>> allocate(i64 bytes, StreamId stream, const MemoryLabel& label) = 0;
  // An address range of `bytes` whose memory is committed as it is written, so that growing moves nothing.
  virtual Result<std::shared_ptr<Buffer>> reserve(i64 bytes, const MemoryLabel& label) = 0;
  // A reserved range of `bytes` that begins as `from` does. Whole pages of [0, `kept_bytes`) are the same
  // memory as in `from` (Buffer::inherited_bytes says how far), where nobody writes from now on; the caller
  // copies the rest. A device that cannot share gives a range with nothing in it.
  virtual Result<std::shared_ptr<Buffer>> fork(Buffer& from, i64 kept_bytes, i64 bytes,
                                               const MemoryLabel& label) {
    (void)from, (void)kept_bytes;
    return reserve(bytes, label);
  }
  // Says that the first `bytes` of a reserved range will be written: they count from now on.
  virtual Result<void> commit(Buffer& buffer, i64 bytes) = 0;
  // Memory of the host (a mapped file) as a buffer, without a copy where the device can read it. `owner`
  // keeps it valid.
  virtual Result<std::shared_ptr<Buffer>> import_host(std::span<const std::byte> bytes,
                                                      std::shared_ptr<void> owner) = 0;
  // Host copies; the buffer must be idle (its tickets reached).
  virtual Result<void> upload(Buffer& to, i64 offset, std::span<const std::byte> bytes) = 0;
  virtual Result<void> download(const Buffer& from, i64 offset, std::span<std::byte> bytes) = 0;

  virtual std::unique_ptr<CommandStream> create_stream() = 0;
  // A stream ends, all of its work being done: the memory that was kept for it is everybody's.
  virtual void retire(StreamId stream) = 0;
  virtual MemoryStats memory() const = 0;
  // From now on, remembers what memory is in use for whenever that is more than ever before.
  virtual void watch_memory() {}
  virtual std::vector<MemoryUse> memory_at_high_water() const { return {}; }
  // Takes about a tenth of a second. Zeros: unknown.
  virtual Peaks measure_peaks() const { return {}; }

  // Who is told of every command (profiles, traces); set before any stream computes. Null: nobody.
  virtual void set_observer(CommandObserver* observer) { observer_ = observer; }
  CommandObserver* observer() const { return observer_; }

  Result<std::shared_ptr<Buffer>> allocate(i64 bytes, StreamId stream) { return allocate(bytes, stream, {}); }
  Result<std::shared_ptr<Buffer>> reserve(i64 bytes) { return reserve(bytes, {}); }

 private:
  CommandObserver* observer_ = nullptr;
};

}  // namespace tl
