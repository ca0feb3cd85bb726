// What the kernel remembers on a thread from call to call must not reach a call with other attributes.
#include <gtest/gtest.h>

#include "tl/ops/linear/kernel_testing.h"
#include "tl/ops/ops.h"

namespace tl {
using namespace testing_kernels;

namespace {

// The second of two calls on one thread, whose angles are not the first one's.
std::vector<float> rotated(const OpDef& op, std::span<const Operand> in, double base) {
  Buffered out(DType::F32, {1, 1, 4}, 16);
  const Attrs attrs = Attrs().with_float(base).with_int(0).with_float(1).with_text("adjacent");
  Scratch scratch;
  KernelCall call = call_of(in, out.operand, SimdLevel::Portable, scratch);
  call.attrs = &attrs;
  run(op.cpu, call, 1);
  return {out.operand.ptr<float>(), out.operand.ptr<float>() + 4};
}

TEST(Rope, CallsOnOneThreadHaveTheirOwnAngles) {
  Buffered x(DType::F32, {1, 1, 4}, 16), at(DType::I64, {1}, 8), factors(DType::F32, {2}, 8);
  for (int i = 0; i < 4; ++i) x.operand.mutable_ptr<float>()[i] = static_cast<float>(i + 1);
  at.operand.mutable_ptr<i64>()[0] = 7;
  factors.operand.mutable_ptr<float>()[0] = 3, factors.operand.mutable_ptr<float>()[1] = 5;
  const Operand plain[] = {x.operand, at.operand}, with[] = {x.operand, at.operand, factors.operand};
  const std::vector<float> one = rotated(op_rope, plain, 10000), other = rotated(op_rope, plain, 500);
  EXPECT_NE(one, other);
  const std::vector<float> stretched = rotated(op_rope_with_factors, with, 10000);
  EXPECT_NE(stretched, one);
  EXPECT_EQ(rotated(op_rope, plain, 10000), one) << "the factors of another call";
  EXPECT_EQ(rotated(op_rope, plain, 500), other) << "the base of another call";
  EXPECT_EQ(rotated(op_rope_with_factors, with, 10000), stretched);
}

}  // namespace
}  // namespace tl
