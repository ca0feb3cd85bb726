// What the ops that make tensors share, and the kernels of the random ones.
#pragma once

#include "tl/base/philox.h"
#include "tl/device/kernel.h"
#include "tl/ops/ops.h"

namespace tl {

// The dims a program named, if they are a shape.
Result<Shape> checked_shape(const std::vector<i64>& dims, DType dtype);

// Block `block` of the draw that the attributes of a random op describe.
inline PhiloxWords random_block(const Attrs& attrs, i64 block) {
  const int at = attrs.count() - 2;  // seed and position come last
  return philox(static_cast<u64>(attrs.int_at(at)), static_cast<u64>(attrs.int_at(at + 1)),
                static_cast<u64>(block));
}

namespace ref {
void rand(KernelCall& call);
void randn(KernelCall& call);
}  // namespace ref
namespace cpu {
void rand(KernelCall& call);
void randn(KernelCall& call);
}  // namespace cpu

}  // namespace tl
