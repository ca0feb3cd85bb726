// A device for the tests of this layer and of those above: runs every op by its plain loops.
#pragma once

#include "tl/device/host_device.h"
#include "tl/device/inline_stream.h"

namespace tl {

class LoopDevice : public HostDevice {
 public:
  explicit LoopDevice(i64 limit_bytes = 0) : HostDevice(limit_bytes) { info_.name = "loops"; }

  const DeviceInfo& info() const override { return info_; }
  Backend backend() const override { return Backend::Reference; }
  const Kernel& kernel(const OpDef& op) const override { return op.reference; }
  std::unique_ptr<CommandStream> create_stream() override { return std::make_unique<InlineStream>(*this); }

 private:
  DeviceInfo info_;
};

}  // namespace tl
