#include <algorithm>

#include "tl/ops/reduce/strided_index.h"
#include "tl/ops/sort/sort.h"
#include "tl/ops/sort/sort_entries.h"

namespace tl::cpu {
namespace {

void write_places(const SortEntry* entries, i64 n, const Operand& out, i64 offset, i64 stride) {
  i64* to = out.mutable_ptr<i64>() + offset;
  for (i64 i = 0; i < n; ++i) to[i * stride] = entries[i].place;
}

template <typename T>
void copy_values(const SortEntry* entries, i64 n, const Operand& x, i64 from, i64 step, const Operand& out,
                 i64 to, i64 stride) {
  const T* source = x.ptr<T>() + from;
  T* target = out.mutable_ptr<T>() + to;
  for (i64 i = 0; i < n; ++i) target[i * stride] = source[entries[i].place * step];
}

void sort_lines(KernelCall& call, const SortJob& job) {
  const Operand& x = call.in[0];
  const AxisLines in(x, job.axis), out(call.out, job.axis);
  const i64 n = in.length, count = job.count;
  SortEntry* e = call.try_scratch<SortEntry>(n);
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
