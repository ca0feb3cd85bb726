#include <algorithm>
#include <cstring>

#include "tl/ops/counted/counted.h"
#include "tl/ops/sort/sort_entries.h"

namespace tl::cpu {
namespace {

void clear_rows(const Operand& o, i64 first, i64 last) {
  if (first >= last) return;
  const i64 row = o.numel() / o.dims[0] * size_of(o.dtype);
  std::memset(o.data + first * row, 0, static_cast<size_t>((last - first) * row));
}

// Calls put(row, i) for the picked i of [0, n) whose output rows this part writes.
template <typename IsPicked, typename Put>
void pick(KernelCall& call, i64 n, IsPicked is_picked, Put put) {
  const i64 first = call.begin * kCountedBlock, last = std::min(call.end * kCountedBlock, n);
  i64 found = 0, i = 0;
  for (constexpr i64 kStride = 2048; i + kStride <= n; i += kStride) {
    i64 more = 0;
    for (i64 k = i; k < i + kStride; ++k) more += is_picked(k) ? 1 : 0;
    if (found + more > first) break;
    found += more;
  }
  for (; i < n && found < first; ++i) found += is_picked(i) ? 1 : 0;
  for (; i < n && found < last; ++i) {
    if (is_picked(i)) put(found++, i);
  }
  clear_rows(call.outs[0], std::max(found, first), last);
  if (last == n) *call.outs.back().mutable_ptr<i64>() = found;
}

// A set bit that is no sign is no zero, whatever the type.
template <typename T>
void pick_nonzero(KernelCall& call) {
  const Operand& x = call.in[0];
  const T* from = x.ptr<T>();
  const T keep = is_float(x.dtype) ? static_cast<T>(static_cast<T>(~T{0}) >> 1) : static_cast<T>(~T{0});
  const Strides steps = contiguous_strides(x.dims);
  i64* to = call.outs[0].mutable_ptr<i64>();
  const int rank = x.rank();
  pick(
      call, x.numel(), [=](i64 i) { return (from[i] & keep) != 0; },
      [&](i64 row, i64 i) {
        for (int d = 0; d < rank; ++d) to[row * rank + d] = i / steps[d] % x.dims[d];
      });
}

}  // namespace

void counted_rows(KernelCall& call) {
  const Operand &x = call.in[0], &mask = call.in[1];
  const u8* picked = mask.ptr<u8>();
  const i64 n = mask.numel(), row = n == 0 ? 0 : x.numel() / n * size_of(x.dtype);
  std::byte* to = call.outs[0].data;
  pick(
      call, n, [=](i64 i) { return picked[i] != 0; },
      [&](i64 at, i64 i) { std::memcpy(to + at * row, x.data + i * row, static_cast<size_t>(row)); });
}

void counted_nonzero(KernelCall& call) {
  switch (size_of(call.in[0].dtype)) {
    case 1:
      return pick_nonzero<u8>(call);
    case 2:
      return pick_nonzero<u16>(call);
    case 4:
      return pick_nonzero<u32>(call);
    default:
      return pick_nonzero<u64>(call);
  }
}

void counted_unique(KernelCall& call) {
  const i64 n = counted_elements(call);
  if (n < 0) return;
  SortEntry* e = call.try_scratch<SortEntry>(n);
  if (e == nullptr) return;
  const Operand &x = call.in[0], &values = call.outs[0];
  i64 *inverse = call.outs[1].mutable_ptr<i64>(), *counts = call.outs[2].mutable_ptr<i64>();
  read_entries(e, x, 0, n, 1, false);
  std::sort(e, e + n);
  const i64 bytes = size_of(x.dtype);
  const auto* from = static_cast<const std::byte*>(x.address());
  i64 count = 0;
  for (i64 k = 0; k < n; ++k) {
    if (k == 0 || e[k].key != e[k - 1].key) {
      std::memcpy(values.data + count * bytes, from + e[k].place * bytes, static_cast<size_t>(bytes));
      counts[count++] = 0;
    }
    ++counts[count - 1];
    inverse[e[k].place] = count - 1;
  }
  std::fill(inverse + n, inverse + call.outs[1].numel(), 0);
  clear_rows(values, count, values.dims[0]);
  clear_rows(call.outs[2], count, values.dims[0]);
  *call.outs.back().mutable_ptr<i64>() = count;
}

}  // namespace tl::cpu
