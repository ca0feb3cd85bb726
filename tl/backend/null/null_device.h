// Records what it is given and computes nothing: for tests of order and overlap, and for cost estimates.
// Memory reads as zeros.
#pragma once

#include "tl/device/host_device.h"

namespace tl::null {

// One submitted batch, as scheduling sees it.
struct BatchLog {
  struct Entry {
    std::string_view op;
    std::vector<Access> accesses;
    u64 sequence = 0;
    bool is_skipped = false;
  };
  std::vector<Entry> commands;
  Order order;
  bool replayed = false;  // its plan has run before

  // True if the two may run at the same time: neither comes after the other, directly or not.
  bool may_overlap(size_t a, size_t b) const;
};

class NullDevice : public HostDevice {
 public:
  explicit NullDevice(Backend kernels_of);
  const DeviceInfo& info() const override { return info_; }
  Backend backend() const override { return kernels_of_; }
  const Kernel& kernel(const OpDef& op) const override;
  bool computes() const override { return false; }
  bool wants_accesses() const override { return true; }
  std::unique_ptr<CommandStream> create_stream() override;
  // The last batches in the order of submission, of all streams; not to be asked while streams are in use.
  const std::vector<BatchLog>& log() const { return log_; }
  void clear_log() { log_.clear(); }

 private:
  friend class NullStream;
  void add(BatchLog log);
  DeviceInfo info_;
  Backend kernels_of_;  // whose conversions and layouts are planned for
  std::mutex mutex_;
  std::vector<BatchLog> log_;
};

std::unique_ptr<NullDevice> create_device(Backend kernels_of = Backend::Cpu);

}  // namespace tl::null
