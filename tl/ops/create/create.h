// What the ops that make tensors share, and the kernels of the random ones.
#pragma once

#include "tl/device/kernel.h"
#include "tl/ops/ops.h"

namespace tl {

// Elements a program may ask for in one tensor; memory runs out long before, with an error of its own.
inline constexpr i64 kMaxCreated = i64{1} << 44;

// The dims a program named, if they are a shape.
Result<Shape> checked_shape(const std::vector<i64>& dims, DType dtype);

namespace ref {
void rand(KernelCall& call);
void randn(KernelCall& call);
}  // namespace ref
namespace cpu {
void rand(KernelCall& call);
void randn(KernelCall& call);
}  // namespace cpu

}  // namespace tl
