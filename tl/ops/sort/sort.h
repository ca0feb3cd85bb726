// Sorting along an axis and the k largest of a row. NaN comes last in both directions; equals keep their
// order.
#pragma once

#include "tl/device/kernel.h"

namespace tl {

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
