// --validate: a device around any device of the host that looks at every command before and after it runs,
// one at a time, and stops at the first fault: reading what nobody wrote, or what has been written over;
// commands that use the same memory without an edge or a ticket between them; memory that is let go of while
// it is in use, or used afterwards; an output that was not written; the first NaN or infinity. Slow, and
// changes no bit.
#pragma once

#include <deque>
#include <mutex>

#include "tl/observe/shadow.h"

namespace tl {

class ValidatingDevice : public Device {
 public:
  explicit ValidatingDevice(std::unique_ptr<Device> inner) : inner_(std::move(inner)) {}
  ~ValidatingDevice() override;

  const DeviceInfo& info() const override { return inner_->info(); }
  Backend backend() const override { return inner_->backend(); }
  const Kernel& kernel(const OpDef& op) const override { return inner_->kernel(op); }
  bool computes() const override { return inner_->computes(); }
  bool wants_accesses() const override { return true; }

  using Device::allocate;
  using Device::reserve;
  Result<std::shared_ptr<Buffer>> allocate(i64 bytes, StreamId stream, const MemoryLabel& label) override;
  Result<std::shared_ptr<Buffer>> reserve(i64 bytes, const MemoryLabel& label) override;
  Result<std::shared_ptr<Buffer>> fork(Buffer& from, i64 kept_bytes, i64 bytes,
                                       const MemoryLabel& label) override;
  Result<void> commit(Buffer& buffer, i64 bytes) override;
  Result<std::shared_ptr<Buffer>> import_host(std::span<const std::byte> bytes,
                                              std::shared_ptr<void> owner) override;
  Result<void> upload(Buffer& to, i64 offset, std::span<const std::byte> bytes) override;
  Result<void> download(const Buffer& from, i64 offset, std::span<std::byte> bytes) override;
  std::unique_ptr<CommandStream> create_stream() override;
  void set_observer(CommandObserver* observer) override {
    Device::set_observer(observer);
    inner_->set_observer(observer);
  }
  void retire(StreamId stream) override { inner_->retire(stream); }
  MemoryStats memory() const override { return inner_->memory(); }
  void watch_memory() override { inner_->watch_memory(); }
  std::vector<MemoryUse> memory_at_high_water() const override { return inner_->memory_at_high_water(); }
  Peaks measure_peaks() const override { return inner_->measure_peaks(); }

  // The first fault, though nothing ran after it that could have failed with it. None: nothing was found.
  std::optional<Error> first_fault() const;

 private:
  friend class ValidatingStream;
  struct Held {
    std::shared_ptr<Buffer> buffer;  // of the inner device
    Shadow shadow;
    std::vector<Ticket> given_up =
        {};  // commands that may still be at work in it: nobody waited to their end
  };
  struct Freed {
    BufferId id;
    MemoryLabel label;
    Toucher last;
  };
  std::shared_ptr<Buffer> wrap(std::shared_ptr<Buffer> inner, const MemoryLabel& label, bool is_written);
  void let_go(Buffer& outer);
  // Nobody waited until `c` of `batch` was done.
  void give_up(const Batch& batch, const Command& c, Ticket ticket);
  // Keeps the first one.
  Error note(Error fault);
  // One command's accesses, before it runs.
  std::optional<Error> look_at(const Batch& batch, const Command& command, Ticket ticket);
  std::optional<Error> use_after_free(BufferId id, const Toucher& by) const;
  // Who wrote what an input looks at.
  std::vector<std::pair<int, Toucher>> writers_of_inputs(const Batch& batch, const Command& command);

  const std::unique_ptr<Device> inner_;
  mutable std::mutex mutex_;  // over all below
  std::unordered_map<u64, Held> held_;
  std::deque<Freed> freed_;
  Knowledge knowledge_;
  std::optional<Error> fault_;
};

// That of a device that validates; none of others.
std::optional<Error> validation_fault(const Device& device);

}  // namespace tl
