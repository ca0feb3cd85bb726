// Sorting along an axis and the k largest of a row. NaN comes last in both directions; equals keep their
// order.
#pragma once

#include "tl/device/kernel.h"

namespace tl {

// What an op keeps of each line along `axis`: the first `count` in sorted order, as values or as places.
struct SortJob {
  i64 axis;
  bool is_descending;
  i64 count;
  bool wants_places;
};
SortJob sort_job(const KernelCall& call, bool wants_places);   // sort, argsort
SortJob top_k_job(const KernelCall& call, bool wants_places);  // top_k_values, top_k_indices

namespace ref {
void sort(KernelCall& call);
void argsort(KernelCall& call);
void top_k_values(KernelCall& call);
void top_k_indices(KernelCall& call);
}  // namespace ref

namespace cpu {
void sort(KernelCall& call);
void argsort(KernelCall& call);
void top_k_values(KernelCall& call);
void top_k_indices(KernelCall& call);
}  // namespace cpu

}  // namespace tl
