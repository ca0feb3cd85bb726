// A range of device memory and what is still going on in it. Freed memory returns to its device's pool when
// the last command that touches it is done, not before.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "tl/base/inline_vector.h"
#include "tl/base/result.h"

namespace tl {

enum class StreamId : u32 {};
enum class BufferId : u64 {};

// A point on one stream's timeline: reached when every command up to `value` has finished. Value 0 is always
// reached.
struct Ticket {
  StreamId stream{};
  u64 value = 0;
  bool operator==(const Ticket&) const = default;
};

class Device;

class Buffer {
 public:
  // `release` runs once, when the last reference is gone; it gets the buffer's tickets.
  using Release = std::function<void(Buffer&)>;
  Buffer(Device& device, void* data, i64 bytes, Release release);
  ~Buffer();
  Buffer(const Buffer&) = delete;

  BufferId id() const { return id_; }
  Device& device() const { return device_; }
  // Host-readable on CPU devices, an address of the device elsewhere.
  std::byte* data() const { return data_; }
  i64 bytes() const { return bytes_; }

  // Tickets of the last writer and of the last reader on each stream since. Set by the executor, under its
  // thread.
  Ticket last_write;
  InlineVector<Ticket, 8> reads;
  // For growing tensors (OpKind::Append): how many bytes from the start have been handed out to some version.
  i64 used_bytes = 0;
  bool is_reserved = false;  // an address range that is committed as it is written

 private:
  BufferId id_;
  Device& device_;
  std::byte* data_;
  i64 bytes_;
  Release release_;
};

}  // namespace tl
