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
  std::unique_ptr<CommandStream> create_stream() override {
    return std::make_unique<InlineStream>([](std::span<const Command> batch) { return run(batch); });
  }

 private:
  static Result<void> run(std::span<const Command> batch) {
    Scratch scratch;
    for (const Command& c : batch) {
      KernelCall call{.in = c.inputs, .out = c.output, .attrs = &c.attrs};
      call.appended = c.appended;
      call.scratch = &scratch;
      call.end = c.kernel->units != nullptr ? c.kernel->units(call) : c.output.numel();
      c.kernel->run(call);
      if (!call.failure.empty()) return command_error(c, call.failure);
    }
    return {};
  }
  DeviceInfo info_;
};

}  // namespace

std::unique_ptr<Device> create_device(i64 memory_limit_bytes) {
  return std::make_unique<ReferenceDevice>(memory_limit_bytes);
}

}  // namespace tl::ref
