#include "tl/api/devices.h"

#include "tl/backend/cpu/cpu_device.h"
#include "tl/backend/cpu/simd_level.h"
#include "tl/backend/null/null_device.h"
#include "tl/backend/reference/reference_device.h"
#include "tl/observe/validate.h"

namespace tl {
namespace {

constexpr SimdLevel kLevels[] = {SimdLevel::Portable, SimdLevel::Avx2, SimdLevel::Avx512};

Result<std::unique_ptr<Device>> create_cpu(const DeviceOptions& options) {
  cpu::CpuOptions cpu{
      .threads = options.threads, .simd = {}, .memory_limit_bytes = options.memory_limit_bytes};
  if (!options.simd.empty()) {
    cpu.simd = find_simd_level(options.simd);
    if (!cpu.simd)
      return fail(Code::Device, "unknown SIMD level '{}' (want portable, avx2 or avx512)", options.simd);
  }
  return cpu::create_device(cpu);
}

Result<std::unique_ptr<Device>> create_plain(const DeviceOptions& options) {
  const std::string& name = options.device;
  if (name.empty() || name == "cpu") return create_cpu(options);
  if (name == "reference") return ref::create_device(options.memory_limit_bytes);
  if (name == "null") return std::unique_ptr<Device>(null::create_device());
  if (name.starts_with("cuda"))
    return fail(Code::Device, "device '{}' is not available: this build has no CUDA backend", name);
  return fail(Code::Device, "unknown device '{}' (want cpu, reference or null)", name);
}

}  // namespace

Result<std::unique_ptr<Device>> create_device(const DeviceOptions& options) {
  TL_TRY(std::unique_ptr<Device> device, create_plain(options));
  if (options.validate) device = std::make_unique<ValidatingDevice>(std::move(device));
  return device;
}

std::vector<DeviceListing> list_devices() {
  std::vector<DeviceListing> list;
  for (const char* name : {"cpu", "reference", "null"}) {
    Result<std::unique_ptr<Device>> device = create_device({.device = name});
    if (device.ok()) {
      list.push_back({name, device.value()->info().description});
    } else {
      list.push_back({name, device.error().message, false});
    }
  }
  list.push_back({"cuda", "this build has no CUDA backend", false});
  return list;
}

std::vector<std::string> simd_levels() {
  std::vector<std::string> names;
  for (const SimdLevel level : kLevels) {
    if (level <= best_simd_level()) names.emplace_back(name_of(level));
  }
  return names;
}

}  // namespace tl
