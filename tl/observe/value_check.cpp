#include "tl/observe/value_check.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace tl {
namespace {

struct Pattern {
  u64 bits = 0;
  int bytes = 0;     // of an element; 0: nothing to look at
  u64 exponent = 0;  // all ones: not finite
};

Pattern pattern_of(DType dtype, bool other) {
  switch (dtype) {
    case DType::F32:
      return {other ? 0x7fa17fa1u : 0x7fa07fa0u, 4, 0x7f800000u};
    case DType::F16:
      return {other ? 0x7d02u : 0x7d01u, 2, 0x7c00u};
    case DType::BF16:
      return {other ? 0x7fa1u : 0x7fa0u, 2, 0x7f80u};
    case DType::F64:
      return {other ? 0x7ff47fa17fa17fa1u : 0x7ff47fa07fa07fa0u, 8, 0x7ff0000000000000u};
    case DType::I64:
      return {other ? 0x5ca15ca15ca15ca1u : 0x5ca05ca05ca05ca0u, 8, 0};
    case DType::I32:
      return {other ? 0x5ca15ca1u : 0x5ca05ca0u, 4, 0};
    case DType::I16:
      return {other ? 0x5ca1u : 0x5ca0u, 2, 0};
    case DType::I8:
    case DType::U8:
    case DType::Bool:
      return {other ? 0x5bu : 0x5cu, 1, 0};
    default:
      return {};
  }
}

template <typename T>
void fill(std::byte* data, i64 count, u64 bits) {
  const T value = static_cast<T>(bits);
  for (i64 i = 0; i < count; ++i) std::memcpy(data + i * static_cast<i64>(sizeof(T)), &value, sizeof value);
}

// The first element for which `is_it` holds; chunk by chunk, so that what holds nothing is passed over
// quickly.
template <typename T, typename Is>
i64 find(const std::byte* data, i64 count, const Is& is_it) {
  constexpr i64 kChunk = 1024;
  for (i64 begin = 0; begin < count; begin += kChunk) {
    T chunk[kChunk];
    const i64 n = std::min(kChunk, count - begin);
    std::memcpy(chunk, data + begin * static_cast<i64>(sizeof(T)), static_cast<size_t>(n) * sizeof(T));
    u32 any = 0;
    for (i64 i = 0; i < n; ++i) any |= static_cast<u32>(is_it(chunk[i]));
    if (any == 0) continue;
    for (i64 i = 0; i < n; ++i) {
      if (is_it(chunk[i])) return begin + i;
    }
  }
  return -1;
}

template <typename F>
auto with_element(int bytes, F f) {
  switch (bytes) {
    case 1:
      return f.template operator()<u8>();
    case 2:
      return f.template operator()<u16>();
    case 4:
      return f.template operator()<u32>();
    default:
      return f.template operator()<u64>();
  }
}

}  // namespace

void poison(DType dtype, std::byte* data, i64 bytes, bool other) {
  const Pattern p = pattern_of(dtype, other);
  if (p.bytes == 0) return;
  with_element(p.bytes, [&]<typename T>() { fill<T>(data, bytes / p.bytes, p.bits); });
}

i64 find_unwritten(DType dtype, const std::byte* data, i64 bytes, bool other) {
  const Pattern p = pattern_of(dtype, other);
  if (p.bytes == 0) return -1;
  return with_element(p.bytes, [&]<typename T>() {
    const T bits = static_cast<T>(p.bits);
    return find<T>(data, bytes / p.bytes, [bits](T x) { return x == bits; });
  });
}

std::optional<Odd> find_odd(DType dtype, const std::byte* data, i64 bytes) {
  const Pattern p = pattern_of(dtype, false);
  if (p.exponent == 0) return std::nullopt;
  return with_element(p.bytes, [&]<typename T>() -> std::optional<Odd> {
    const T ones = static_cast<T>(p.exponent);
    const T fraction = static_cast<T>((std::numeric_limits<T>::max() >> 1) & ~ones);
    const i64 count = bytes / p.bytes;
    const i64 odd = find<T>(data, count, [ones](T x) { return static_cast<T>(x & ones) == ones; });
    if (odd < 0) return std::nullopt;
    const i64 nan = find<T>(data, count, [ones, fraction](T x) {
      return static_cast<T>(x & ones) == ones && static_cast<T>(x & fraction) != 0;
    });
    return nan >= 0 ? Odd{true, nan} : Odd{false, odd};
  });
}

bool has_odd(const Operand& input, bool infinity) {
  if (!is_float(input.dtype)) return false;
  const i64 n = input.numel();
  for (i64 i = 0; i < n; ++i) {
    const double x =
        load_as_double(input.dtype, input.address(), strided_offset(i, input.dims, input.strides));
    if (std::isnan(x) || (infinity && std::isinf(x))) return true;
  }
  return false;
}

}  // namespace tl
