// Row-wise normalisations: softmax, log_softmax, rms_norm, layer_norm, l2_normalize.
#pragma once

#include "tl/device/kernel.h"

namespace tl {

// One unit is one row.
i64 norm_units(const KernelCall& call);
double norm_unit_cost(const KernelCall& call);

namespace ref {
void softmax(KernelCall& call);
void log_softmax(KernelCall& call);
void rms_norm(KernelCall& call);
void layer_norm(KernelCall& call);
void layer_norm_affine(KernelCall& call);
void l2_normalize(KernelCall& call);
}  // namespace ref

namespace cpu {
void softmax(KernelCall& call);
void log_softmax(KernelCall& call);
void rms_norm(KernelCall& call);
void layer_norm(KernelCall& call);
void layer_norm_affine(KernelCall& call);
void l2_normalize(KernelCall& call);
}  // namespace cpu

}  // namespace tl
