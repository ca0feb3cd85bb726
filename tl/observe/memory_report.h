// --memory: what held memory when most of it was in use.
#pragma once

#include "tl/device/device.h"
#include "tl/diag/source.h"

namespace tl {

// The largest holders by op and source line, and the totals.
std::string memory_report(const Device& device, const SourceFiles& files);

}  // namespace tl
