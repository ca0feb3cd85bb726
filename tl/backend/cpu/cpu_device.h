// The CPU as a device: host memory, a pool of threads, kernels chosen by SIMD level at run time.
#pragma once

#include "tl/device/host_device.h"

namespace tl::cpu {

struct CpuOptions {
  int threads = 0;                // 0: as many as this process may use
  std::optional<SimdLevel> simd;  // none: the best this machine has
  i64 memory_limit_bytes = 0;
};

// Fails if the machine lacks the level asked for.
Result<std::unique_ptr<Device>> create_device(const CpuOptions& options);

int usable_cores();

}  // namespace tl::cpu
