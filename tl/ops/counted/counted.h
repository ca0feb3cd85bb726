// Results whose size depends on data: rows with a capacity, and how many of them there are. Nobody waits for
// the count; rows behind it are zeros (OpDef::counted_outputs).
#pragma once

#include "tl/device/kernel.h"

namespace tl {

// Units of counted_rows and counted_nonzero are blocks of this many output rows. Each part counts from the
// start to the rows it is to write, so that parts need nothing of each other.
inline constexpr i64 kCountedBlock = 256;

// How many elements of a counted input there are; -1 after fail() where the count is no such number.
i64 counted_elements(KernelCall& call);

namespace ref {
void counted_rows(KernelCall& call);
void counted_nonzero(KernelCall& call);
void counted_unique(KernelCall& call);
}  // namespace ref

namespace cpu {
void counted_rows(KernelCall& call);
void counted_nonzero(KernelCall& call);
void counted_unique(KernelCall& call);
}  // namespace cpu

}  // namespace tl
