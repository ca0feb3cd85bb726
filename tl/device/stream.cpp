#include "tl/device/stream.h"

namespace tl {

std::vector<i32> find_hazards(std::span<const Command> batch) {
  std::vector<i32> after(batch.size(), -1);
  for (size_t i = 0; i < batch.size(); ++i) {
    for (size_t j = i; j-- > 0 && after[i] < 0;) {
      for (const Access& a : batch[i].accesses) {
        for (const Access& b : batch[j].accesses) {
          if (conflict(a, b)) after[i] = static_cast<i32>(j);
        }
      }
    }
  }
  return after;
}

}  // namespace tl
