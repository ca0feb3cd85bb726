// The 64-bit hash of a tensor that `checksum(t)` and --checksums print: dtype, shape and values in row order.
#pragma once

#include <string>

#include "tl/exec/executor.h"

namespace tl {

u64 checksum(const HostTensor& tensor);
std::string checksum_hex(u64 hash);  // 16 hex digits

}  // namespace tl
