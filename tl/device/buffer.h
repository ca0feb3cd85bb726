// A range of device memory and what is still going on in it. Freed memory returns to its device's pool when
// the last command that touches it is done, not before.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "tl/base/result.h"
#include "tl/device/ticket.h"

namespace tl {

enum class BufferId : u64 {};

class Device;
struct RangePages;  // tl/device/memory_pool.h

class Buffer {
 public:
  // `release` runs once, when the last reference is gone.
  using Release = std::function<void(Buffer&)>;
  Buffer(Device& device, void* data, i64 bytes, Release release);
  ~Buffer();
  Buffer(const Buffer&) = delete;

  BufferId id() const { return id_; }
  Device& device() const { return device_; }
  // Host-readable on CPU devices, an address of the device elsewhere.
  std::byte* data() const { return data_; }
  i64 bytes() const { return bytes_; }

  // A command up to `ticket` reads or writes it. Any thread.
  void note_use(Ticket ticket);
  // The last use on every stream that has not been reached yet, but for `except`.
  void add_unreached(StreamId except, std::vector<Ticket>& to) const;
  // The last use noted on `stream`; value 0 if there is none.
  Ticket last_use(StreamId stream) const;
  std::vector<Ticket> uses() const;  // of all streams

  bool is_read_only = false;  // a mapped file
  bool keeps_uses = false;    // those too that have been reached: a validator asks whether each was noted

  // A buffer that grows (Device::reserve): some tensor owns the bytes before `used_bytes`. Rows behind belong
  // to whoever moves it on from where its own rows end.
  bool is_reserved = false;
  std::atomic<i64> used_bytes{0};
  bool claim(i64 from, i64 to) { return used_bytes.compare_exchange_strong(from, to); }
  std::atomic<i64> committed_bytes{0};  // of a reserved range: what counts as memory in use

  // A fork (Device::fork): the bytes before lie in pages of the range that it was forked from.
  i64 inherited_bytes = 0;
  // What lies before is somebody else's too, and never written over again.
  std::atomic<i64> shared_bytes{0};
  void share(i64 bytes);
  std::shared_ptr<RangePages> pages;  // where a reserved range's bytes come from; null: not told

 private:
  std::byte* data_;
  i64 bytes_;
  // One a stream: nearly every buffer is used on one only.
  mutable std::mutex mutex_;
  Ticket use_;
  std::vector<Ticket> more_uses_;
  BufferId id_;
  Device& device_;
  Release release_;
};

}  // namespace tl
