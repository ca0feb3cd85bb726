// How much memory the machine has.
#pragma once

#include <unistd.h>

#include "tl/base/types.h"

namespace tl {

inline i64 physical_memory_bytes() {
  static const i64 bytes =
      i64{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);  // each time, a call of the system
  return bytes;
}

}  // namespace tl
