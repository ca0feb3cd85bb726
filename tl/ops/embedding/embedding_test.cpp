#include <gtest/gtest.h>

#include <vector>

#include "tl/ops/linear/kernel_testing.h"
#include "tl/ops/ops.h"

namespace tl {
using namespace testing_kernels;

TEST(Embedding, NamesAnIdOutsideOfTheTable) {
  Buffered table(DType::F32, {3, 2}, 24), ids(DType::I64, {2}, 16), out(DType::F32, {2, 2}, 16);
  for (int i = 0; i < 6; ++i) table.operand.mutable_ptr<float>()[i] = static_cast<float>(i);
  const Operand in[] = {table.operand, ids.operand};
  Scratch scratch;
  for (const i64 id : {-1, 3}) {
    ids.operand.mutable_ptr<i64>()[0] = 2, ids.operand.mutable_ptr<i64>()[1] = id;
    KernelCall call = call_of(in, out.operand, SimdLevel::Portable, scratch);
    call.end = op_embedding.cpu.units(call);
    op_embedding.cpu.run(call);
    EXPECT_EQ(call.failure, fmt::format("id {} is outside of a table of 3 rows", id));
    EXPECT_EQ(out.operand.ptr<float>()[1], 5.0f);
  }
}

}  // namespace tl
