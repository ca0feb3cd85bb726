#include "tl/backend/reference/reference_device.h"

#include "tl/device/inline_stream.h"

namespace tl::ref {
namespace {

class ReferenceDevice : public HostDevice {
 public:
  explicit ReferenceDevice(i64 limit) : HostDevice(limit) {
    info_ = {.name = "reference",
             .description = "plain loops in double precision, for checking",
             .simd = "portable"};
  }
  const DeviceInfo& info() const override { return info_; }
  Backend backend() const override { return Backend::Reference; }
  const Kernel& kernel(const OpDef& op) const override { return op.reference; }
  std::unique_ptr<CommandStream> create_stream() override { return std::make_unique<InlineStream>(*this); }

 private:
  DeviceInfo info_;
};

}  // namespace

std::unique_ptr<Device> create_device(i64 memory_limit_bytes) {
  return std::make_unique<ReferenceDevice>(memory_limit_bytes);
}

}  // namespace tl::ref
