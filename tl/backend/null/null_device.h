// Records what it is given and computes nothing: for tests of order and overlap, and for cost estimates.
// Memory reads as zeros.
#pragma once

#include "tl/device/host_device.h"

namespace tl::null {

// One submitted batch, as scheduling sees it.
struct BatchLog {
  struct Entry {
    std::string_view op;
    InlineVector<Access, kMaxInputs + 1> accesses;
    i32 after = -1;  // the latest earlier command of the batch that must be done first; -1: none
    u64 sequence = 0;
  };
  std::vector<Entry> commands;
  bool replayed = false;  // from a prepared plan

  // True if the two may run at the same time. A command starts when its `after` and all commands before that
  // are done.
  bool may_overlap(size_t a, size_t b) const;
};

class NullDevice : public HostDevice {
 public:
  explicit NullDevice(Backend kernels_of);
  const DeviceInfo& info() const override { return info_; }
  Backend backend() const override { return kernels_of_; }
  const Kernel& kernel(const OpDef& op) const override;
  bool computes() const override { return false; }
  std::unique_ptr<CommandStream> create_stream() override;
  // Batches in the order of submission, of all streams.
  const std::vector<BatchLog>& log() const { return log_; }
  void clear_log() { log_.clear(); }

 private:
  friend class NullStream;
  DeviceInfo info_;
  Backend kernels_of_;  // whose conversions and layouts are planned for
  std::vector<BatchLog> log_;
};

std::unique_ptr<NullDevice> create_device(Backend kernels_of = Backend::Cpu);

}  // namespace tl::null
