// Masks of attention scores: 1 (anything but 0) keeps, 0 leaves out.
#pragma once

#include "tl/device/kernel.h"

namespace tl {

namespace ref {
void apply_attention_mask(KernelCall& call);
void padding_mask(KernelCall& call);
void combine_masks(KernelCall& call);
}  // namespace ref

namespace cpu {
void apply_attention_mask(KernelCall& call);
}  // namespace cpu

}  // namespace tl
