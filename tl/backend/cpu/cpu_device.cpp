#include "tl/backend/cpu/cpu_device.h"

#include <sched.h>

#include <fstream>
#include <thread>

#include "tl/backend/cpu/cpu_stream.h"
#include "tl/backend/cpu/peaks.h"
#include "tl/backend/cpu/simd_level.h"
#include "tl/base/physical_memory.h"

namespace tl::cpu {
namespace {

std::string processor_name() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "CPU";
}

class CpuDevice : public HostDevice {
 public:
  CpuDevice(int threads, SimdLevel simd, i64 limit) : HostDevice(limit), simd_(simd), pool_(threads) {
    info_.name = "cpu";
    info_.simd = name_of(simd);
    threads = info_.threads = pool_.threads();
    info_.description =
        fmt::format("{}, {} thread{}, {}", processor_name(), threads, threads == 1 ? "" : "s", info_.simd);
    info_.memory_bytes = physical_memory_bytes();
  }
  const DeviceInfo& info() const override { return info_; }
  Backend backend() const override { return Backend::Cpu; }
  const Kernel& kernel(const OpDef& op) const override { return op.cpu; }
  std::unique_ptr<CommandStream> create_stream() override {
    return std::make_unique<CpuStream>(*this, pool_, simd_);
  }
  Peaks measure_peaks() const override { return cpu::measure_peaks(info_.threads, simd_); }

 private:
  SimdLevel simd_;
  DeviceInfo info_;
  WorkerPool pool_;
};

}  // namespace

int usable_cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  return static_cast<int>(std::thread::hardware_concurrency());
}

Result<std::unique_ptr<Device>> create_device(const CpuOptions& options) {
  const SimdLevel best = best_simd_level();
  const SimdLevel level = options.simd.value_or(best);
  if (level > best) {
    return fail(Code::Device, "this machine has no {} (the best it has is {})", name_of(level),
                name_of(best));
  }
  const int threads = options.threads > 0 ? options.threads : usable_cores();
  if (threads > 1024)
    return fail(Code::Device, "{} threads are more than the 1024 a device may have", threads);
  auto device = std::make_unique<CpuDevice>(threads, level, options.memory_limit_bytes);
  if (device->info().threads == 0) return fail(Code::Device, "the system starts no thread");
  return std::unique_ptr<Device>(std::move(device));
}

}  // namespace tl::cpu
