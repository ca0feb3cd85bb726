// Sorting along an axis and the k largest of a row. NaN comes last in both directions; equals keep their
// order.
#pragma once

#include "tl/device/kernel.h"

namespace tl {

// What an op keeps of each line along `axis`: the first `count` in sorted order, as values, as places or
// both.
struct SortJob {
  i64 axis;
  bool is_descending;
  i64 count;
  const Operand *values, *places;  // null where they are not asked for
};
SortJob sort_job(const KernelCall& call, bool wants_places);  // sort, argsort
SortJob topk_job(const KernelCall& call);

namespace ref {
void sort(KernelCall& call);
void argsort(KernelCall& call);
void topk(KernelCall& call);
}  // namespace ref

namespace cpu {
void sort(KernelCall& call);
void argsort(KernelCall& call);
void topk(KernelCall& call);
}  // namespace cpu

}  // namespace tl
