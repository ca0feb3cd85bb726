#include "tl/backend/cpu/simd_level.h"

namespace tl {

static constexpr std::string_view kNames[] = {"portable", "avx2", "avx512"};

SimdLevel best_simd_level() {
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi2");  // every processor with these has F16C
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512vnni");
  if (avx2 && avx512) return SimdLevel::Avx512;
  if (avx2) return SimdLevel::Avx2;
#endif
  return SimdLevel::Portable;
}

std::string_view name_of(SimdLevel level) {
  return kNames[static_cast<size_t>(level)];
}

std::optional<SimdLevel> find_simd_level(std::string_view name) {
  for (size_t i = 0; i < std::size(kNames); ++i) {
    if (kNames[i] == name) return static_cast<SimdLevel>(i);
  }
  return std::nullopt;
}

}  // namespace tl
