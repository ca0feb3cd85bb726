// The list of backends: the only place that knows which exist.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tl/device/device.h"

namespace tl {

struct DeviceOptions {
  std::string device;  // "cpu", "reference", "null"; empty: the best there is
  int threads = 0;     // 0: as many cores as this process may use
  std::string simd;    // empty: the best level
  i64 memory_limit_bytes = 0;
  bool validate = false;  // stops at the first fault of order, memory or values
};

Result<std::unique_ptr<Device>> create_device(const DeviceOptions& options);

// What `tl devices` lists: every device with what was detected, and the reason where one cannot be used.
struct DeviceListing {
  std::string name;
  std::string description;
  bool available = true;
};
std::vector<DeviceListing> list_devices();
// SIMD levels this machine can run, lowest first.
std::vector<std::string> simd_levels();

}  // namespace tl
