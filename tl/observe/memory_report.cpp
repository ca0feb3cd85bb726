#include "tl/observe/memory_report.h"

#include <algorithm>

#include "tl/observe/place.h"

namespace tl {

constexpr size_t kShown = 15;

std::string memory_report(const Device& device, const SourceFiles& files) {
  const MemoryStats m = device.memory();
  std::string text = fmt::format(
      "memory: {} bytes in tensors, {} at most, {} kept for reuse, {} allocations, {} in mapped files\n",
      m.in_use_bytes, m.high_water_bytes, m.cached_bytes, m.system_allocations, m.mapped_bytes);
  const std::vector<MemoryUse> uses = device.memory_at_high_water();
  if (uses.empty()) return text;
  text += fmt::format("when most was in use:\n{:>9} {:>6} {:>8}  {}\n", "bytes", "%", "tensors", "what");
  for (size_t i = 0; i < std::min(uses.size(), kShown); ++i) {
    const MemoryUse& use = uses[i];
    const double share =
        100 * static_cast<double>(use.bytes) / static_cast<double>(std::max<i64>(m.high_water_bytes, 1));
    text += fmt::format("{:>9} {:>6.1f} {:>8}  {} {}", size_text(static_cast<double>(use.bytes)), share,
                        use.tensors, use.label.what.empty() ? "other" : use.label.what,
                        to_string(use.label.type));
    if (use.label.origin) {
      text +=
          fmt::format(" at {}  {}", place_of(files, use.label.origin), excerpt_of(files, use.label.origin));
    }
    text += '\n';
  }
  if (uses.size() > kShown) {
    i64 rest = 0;
    for (size_t i = kShown; i < uses.size(); ++i) rest += uses[i].bytes;
    text += fmt::format("{:>9}                  {} more\n", size_text(static_cast<double>(rest)),
                        uses.size() - kShown);
  }
  return text;
}

}  // namespace tl
