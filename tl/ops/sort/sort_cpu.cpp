#include <algorithm>
#include <bit>
#include <cstring>

#include "tl/base/half.h"
#include "tl/ops/reduce/strided_index.h"
#include "tl/ops/sort/sort.h"

// Elements become whole numbers that rise in the wanted order, so that one plain sort of (key, place) serves
// all types and no two entries are equal.
namespace tl::cpu {
namespace {

struct Entry {
  u64 key;
  i64 place;
  bool operator<(const Entry& other) const {
    return key != other.key ? key < other.key : place < other.place;
  }
};

constexpr u64 kSign = u64{1} << 63;

u64 rising_key(i64 value) {
  return static_cast<u64>(value) ^ kSign;
}

// -0 equals 0; NaN has the largest key of all.
u64 rising_key(double value) {
  if (value != value) return ~u64{0};
  const u64 bits = std::bit_cast<u64>(value + 0.0);
  return (bits & kSign) != 0 ? ~bits : bits | kSign;
}

template <typename T, typename F>
void fill(Entry* entries, const T* from, i64 n, i64 stride, bool is_descending, F value) {
  for (i64 i = 0; i < n; ++i) {
    const auto v = value(from[i * stride]);
    const u64 key = rising_key(v);
    entries[i] = {is_descending && v == v ? ~key : key, i};
  }
}

template <typename T>
void fill_ints(Entry* entries, const Operand& x, i64 offset, i64 n, i64 stride, bool is_descending) {
  fill(entries, x.ptr<T>() + offset, n, stride, is_descending, [](T v) { return static_cast<i64>(v); });
}

void read_entries(Entry* e, const Operand& x, i64 offset, i64 n, i64 stride, bool is_descending) {
  const auto half = [&](auto to_float) {
    fill(e, x.ptr<u16>() + offset, n, stride, is_descending,
         [&](u16 v) { return static_cast<double>(to_float(v)); });
  };
  const auto plain = [](auto v) { return static_cast<double>(v); };
  switch (x.dtype) {
    case DType::F32:
      return fill(e, x.ptr<float>() + offset, n, stride, is_descending, plain);
    case DType::F64:
      return fill(e, x.ptr<double>() + offset, n, stride, is_descending, plain);
    case DType::F16:
      return half(f16_to_f32);
    case DType::BF16:
      return half(bf16_to_f32);
    case DType::I8:
      return fill_ints<i8>(e, x, offset, n, stride, is_descending);
    case DType::I16:
      return fill_ints<i16>(e, x, offset, n, stride, is_descending);
    case DType::I32:
      return fill_ints<i32>(e, x, offset, n, stride, is_descending);
    case DType::I64:
      return fill_ints<i64>(e, x, offset, n, stride, is_descending);
    default:
      return fill_ints<u8>(e, x, offset, n, stride, is_descending);
  }
}

void write_places(const Entry* entries, i64 n, const Operand& out, i64 offset, i64 stride) {
  i64* to = out.mutable_ptr<i64>() + offset;
  for (i64 i = 0; i < n; ++i) to[i * stride] = entries[i].place;
}

template <typename T>
void copy_values(const Entry* entries, i64 n, const Operand& x, i64 from, i64 step, const Operand& out,
                 i64 to, i64 stride) {
  const T* source = x.ptr<T>() + from;
  T* target = out.mutable_ptr<T>() + to;
  for (i64 i = 0; i < n; ++i) target[i * stride] = source[entries[i].place * step];
}

void sort_lines(KernelCall& call, const SortJob& job) {
  const Operand& x = call.in[0];
  const AxisLines in(x, job.axis), out(call.out, job.axis);
  const i64 n = in.length, count = job.count;
  Entry* e = call.try_scratch<Entry>(n);
  if (e == nullptr) return;
  for (i64 r = call.begin; r < call.end; ++r) {
    const i64 from = in.lines.offset(r), to = out.lines.offset(r);
    read_entries(e, x, from, n, in.stride, job.is_descending);
    if (count < n) std::nth_element(e, e + count, e + n);
    std::sort(e, e + count);
    if (job.places != nullptr) write_places(e, count, *job.places, to, out.stride);
    if (job.values == nullptr) continue;
    const Operand& y = *job.values;
    switch (size_of(x.dtype)) {
      case 1:
        copy_values<u8>(e, count, x, from, in.stride, y, to, out.stride);
        break;
      case 2:
        copy_values<u16>(e, count, x, from, in.stride, y, to, out.stride);
        break;
      case 4:
        copy_values<u32>(e, count, x, from, in.stride, y, to, out.stride);
        break;
      default:
        copy_values<u64>(e, count, x, from, in.stride, y, to, out.stride);
        break;
    }
  }
}

}  // namespace

void sort(KernelCall& call) {
  sort_lines(call, sort_job(call, false));
}
void argsort(KernelCall& call) {
  sort_lines(call, sort_job(call, true));
}
void topk(KernelCall& call) {
  sort_lines(call, topk_job(call));
}

}  // namespace tl::cpu
