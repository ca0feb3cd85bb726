// Elements as whole numbers that rise in the wanted order, so that one plain sort of (key, place) serves all
// types and no two entries are equal.
#pragma once

#include <bit>

#include "tl/base/half.h"
#include "tl/device/kernel.h"

namespace tl::cpu {

struct SortEntry {
  u64 key;
  i64 place;
  bool operator<(const SortEntry& other) const {
    return key != other.key ? key < other.key : place < other.place;
  }
};

inline constexpr u64 kSortSign = u64{1} << 63;

inline u64 rising_key(i64 value) {
  return static_cast<u64>(value) ^ kSortSign;
}

// -0 equals 0; NaN has the largest key of all.
inline u64 rising_key(double value) {
  if (value != value) return ~u64{0};
  const u64 bits = std::bit_cast<u64>(value + 0.0);
  return (bits & kSortSign) != 0 ? ~bits : bits | kSortSign;
}

template <typename T, typename F>
void fill_entries(SortEntry* entries, const T* from, i64 n, i64 stride, bool is_descending, F value) {
  for (i64 i = 0; i < n; ++i) {
    const auto v = value(from[i * stride]);
    const u64 key = rising_key(v);
    entries[i] = {is_descending && v == v ? ~key : key, i};
  }
}

template <typename T>
void fill_int_entries(SortEntry* entries, const Operand& x, i64 offset, i64 n, i64 stride,
                      bool is_descending) {
  fill_entries(entries, x.ptr<T>() + offset, n, stride, is_descending,
               [](T v) { return static_cast<i64>(v); });
}

inline void read_entries(SortEntry* e, const Operand& x, i64 offset, i64 n, i64 stride, bool is_descending) {
  const auto half = [&](auto to_float) {
    fill_entries(e, x.ptr<u16>() + offset, n, stride, is_descending,
                 [&](u16 v) { return static_cast<double>(to_float(v)); });
  };
  const auto plain = [](auto v) { return static_cast<double>(v); };
  switch (x.dtype) {
    case DType::F32:
      return fill_entries(e, x.ptr<float>() + offset, n, stride, is_descending, plain);
    case DType::F64:
      return fill_entries(e, x.ptr<double>() + offset, n, stride, is_descending, plain);
    case DType::F16:
      return half(f16_to_f32);
    case DType::BF16:
      return half(bf16_to_f32);
    case DType::I8:
      return fill_int_entries<i8>(e, x, offset, n, stride, is_descending);
    case DType::I16:
      return fill_int_entries<i16>(e, x, offset, n, stride, is_descending);
    case DType::I32:
      return fill_int_entries<i32>(e, x, offset, n, stride, is_descending);
    case DType::I64:
      return fill_int_entries<i64>(e, x, offset, n, stride, is_descending);
    default:
      return fill_int_entries<u8>(e, x, offset, n, stride, is_descending);
  }
}

}  // namespace tl::cpu
