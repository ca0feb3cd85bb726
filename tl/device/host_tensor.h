// A tensor's values on the host, in row order.
#pragma once

#include <cstddef>
#include <vector>

#include "tl/device/kernel.h"
#include "tl/tensor/shape.h"

namespace tl {

struct HostTensor {
  TensorType type;
  std::vector<std::byte> bytes;

  i64 numel() const { return tl::numel(type.shape); }
  double as_double(i64 i) const { return load_as_double(type.dtype, bytes.data(), i); }
  i64 as_int(i64 i) const { return load_as_int(type.dtype, bytes.data(), i); }
};

}  // namespace tl
