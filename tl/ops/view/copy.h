// Copying elements as they are: one strided run of any type.
#pragma once

#include <cstring>

#include "tl/device/kernel.h"

namespace tl {

namespace detail {
template <typename T>
void copy_strided(const std::byte* from, i64 stride, std::byte* to, i64 count) {
  const T* source = reinterpret_cast<const T*>(from);
  T* target = reinterpret_cast<T*>(to);
  for (i64 i = 0; i < count; ++i) target[i] = source[i * stride];
}
}  // namespace detail

// `count` items of `bytes` each, `stride` items apart in `from`, next to each other in `to`.
inline void copy_run(const std::byte* from, i64 stride, std::byte* to, i64 count, i64 bytes) {
  if (count <= 0) return;
  if (stride == 1) {
    std::memcpy(to, from, static_cast<size_t>(count * bytes));
    return;
  }
  switch (bytes) {
    case 1:
      return detail::copy_strided<u8>(from, stride, to, count);
    case 2:
      return detail::copy_strided<u16>(from, stride, to, count);
    case 4:
      return detail::copy_strided<u32>(from, stride, to, count);
    case 8:
      return detail::copy_strided<u64>(from, stride, to, count);
    default:
      break;
  }
  for (i64 i = 0; i < count; ++i) {
    std::memcpy(to + i * bytes, from + i * stride * bytes, static_cast<size_t>(bytes));
  }
}

}  // namespace tl
