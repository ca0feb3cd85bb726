#include "tl/exec/checksum.h"

#include <fmt/format.h>

#include "tl/base/hash.h"

namespace tl {

u64 checksum(const HostTensor& tensor) {
  Hasher h;
  h.add(static_cast<u64>(tensor.type.dtype));
  for (const i64 d : tensor.type.shape) h.add(static_cast<u64>(d));
  h.add_bytes(tensor.bytes.data(), tensor.bytes.size());
  return h.digest();
}

std::string checksum_hex(u64 hash) {
  return fmt::format("{:016x}", hash);
}

}  // namespace tl
