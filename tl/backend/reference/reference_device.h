// The oracle: every op by its plain loops (fp64 accumulation), one command at a time.
#pragma once

#include "tl/device/host_device.h"

namespace tl::ref {

std::unique_ptr<Device> create_device(i64 memory_limit_bytes);

}  // namespace tl::ref
