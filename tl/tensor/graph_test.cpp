// Nodes without anybody who evaluates them.
#include "tl/tensor/graph.h"

#include <gtest/gtest.h>

namespace tl {
namespace {

Result<TensorType> same(const InferContext& in) {
  return in.input(0);
}

OpDef same_op(std::string_view name) {
  return {
      .name = name, .signature = "(x: tensor) -> tensor", .infer = same, .batch = Batching("is a test's")};
}

// One node holds the next: freeing the last one must not need a stack as deep as the chain.
TEST(Graph, FreesALongChain) {
  const OpDef op = same_op("same");
  Recorder recorder;
  Tensor last = scalar_tensor(1.0, DType::F32);
  constexpr i64 kLength = 500'000;
  for (i64 i = 0; i < kLength; ++i) {
    Result<Tensor> next = recorder.record(op, {&last, 1}, {}, {});
    ASSERT_TRUE(next.ok()) << next.error().message;
    last = std::move(next).value();
  }
  EXPECT_EQ(recorder.pending_count(), kLength);
  last = {};
  EXPECT_EQ(recorder.pending_count(), 0);
}

TEST(KeptConversions, AreOfAnOpAndAWindow) {
  const OpDef a = same_op("a"), b = same_op("b");
  const Tensor leaf = scalar_tensor(1.0, DType::F32), made = scalar_tensor(2.0, DType::F32);
  const View whole{{4, 4}, {4, 1}, 0}, rows{{2, 4}, {4, 1}, 8};
  KeptConversions& kept = kept_of(*leaf.node());
  bool asked = false;
  EXPECT_FALSE(kept.find(&a, whole, asked));
  EXPECT_FALSE(asked);
  kept.keep(&a, whole, made, 64);
  EXPECT_EQ(kept.find(&a, whole, asked), made);
  EXPECT_TRUE(asked);
  EXPECT_FALSE(kept.find(&b, whole, asked)) << "of another op";
  EXPECT_FALSE(kept.find(&a, rows, asked)) << "of another window";
}

TEST(Shape, NumbersOfElementsThatDoNotFitAreTheLargest) {
  const i64 large = i64{1} << 40;
  EXPECT_EQ(numel(Shape{large, large}), INT64_MAX);
  EXPECT_EQ(numel(Shape{large, large, 0}), 0);
  EXPECT_EQ(numel(Shape{3, 4}), 12);
}

}  // namespace
}  // namespace tl
