// Plan keys, plans, fused groups and checksums, and the executor's promises that need no backend.
#include <gtest/gtest.h>

#include "tl/device/loop_device_testing.h"
#include "tl/exec/checksum.h"
#include "tl/exec/fusion.h"
#include "tl/exec/planner.h"
#include "tl/ops/ops.h"

namespace tl {
namespace {

class Exec : public testing::Test {
 protected:
  Tensor op(const OpDef& def, std::initializer_list<Tensor> inputs, Attrs attrs = {}) {
    return *executor->apply(def, inputs, std::move(attrs));
  }
  Tensor floats(const Shape& shape) {
    std::vector<float> values(static_cast<size_t>(numel(shape)));
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) * 0.25f - 1.0f;
    return *executor->from_host({DType::F32, shape}, std::as_bytes(std::span(values)));
  }
  Tensor softmax(const Tensor& x) { return op(op_softmax, {x}, Attrs().with_int(-1)); }
  Snapshot snapshot(const Tensor& root) { return take_snapshot(executor->recorder(), {&root, 1}); }
  u64 checksum_of(const Tensor& x) { return checksum(*executor->read(x)); }
  std::unique_ptr<Executor> with(ExecOptions options) {
    return *Executor::create(device, std::move(options));
  }

  LoopDevice device;
  std::unique_ptr<Executor> executor = with({});
};

TEST_F(Exec, PlanKeysKnowStructureAndNoSizes) {
  const auto key = [&](const Tensor& x, const OpDef& last) {
    const Tensor root =
        op(last, {softmax(op(op_mul, {x, x}))});  // a statement of its own: nobody holds the rest
    return snapshot(root).key;
  };
  const std::vector<u64> small = key(floats({2, 3}), op_exp);
  EXPECT_EQ(key(floats({2, 7}), op_exp), small) << "a dim that grows needs a plan of its own";
  EXPECT_EQ(key(floats({9, 1}), op_exp), small);
  EXPECT_NE(key(floats({2, 3}), op_tanh), small) << "another op";
  EXPECT_NE(key(floats({1, 2, 3}), op_exp), small) << "another rank";
  const Tensor half = op(op_cast, {floats({2, 3})}, Attrs().with_dtype(DType::F16));
  ASSERT_TRUE(executor->wait(half).ok());
  EXPECT_NE(key(half, op_exp), small) << "another element type";
  const Tensor x = floats({2, 3}), held = op(op_mul, {x, x}), root = op(op_exp, {softmax(held)});
  EXPECT_NE(snapshot(root).key, small) << "a value that outlives the run";
  const Tensor transposed = op(op_transpose, {floats({3, 2})}, Attrs().with_int(0).with_int(1));
  ASSERT_TRUE(executor->wait(transposed).ok());
  EXPECT_EQ(key(transposed, op_exp), small) << "mul reads any layout";
  const auto norm_key = [&](const Tensor& of) {
    return snapshot(op(op_rms_norm, {of, floats({3})}, Attrs().with_float(1e-5))).key;
  };
  EXPECT_EQ(norm_key(floats({2, 3})), norm_key(x));
  EXPECT_NE(norm_key(transposed), norm_key(x)) << "rms_norm wants whole rows";
}

TEST_F(Exec, ATemporaryIsReusedAfterItsLastReader) {
  Tensor x = floats({4, 8});
  for (int i = 0; i < 10; ++i) x = softmax(x);
  const Snapshot s = snapshot(x);
  const auto plan = make_plan(s, device, {.commands_per_batch = 4});
  ASSERT_EQ(plan->steps.size(), 10u);
  EXPECT_EQ(plan->slots, 2);
  const auto slot = [&](size_t i) { return plan->steps[i].outputs[0].slot; };
  for (size_t i = 1; i + 1 < plan->steps.size(); ++i) {
    EXPECT_GE(slot(i), 0);
    EXPECT_NE(slot(i), slot(i - 1)) << "step " << i << " writes over its input";
  }
  EXPECT_EQ(plan->steps.back().outputs[0].slot, StepOutput::kFresh);
  EXPECT_EQ(plan->batch_ends, (std::vector<i32>{4, 8, 10}));
  EXPECT_EQ(make_plan(s, device, {.share_memory = false})->slots, 0);
}

TEST_F(Exec, ChainsOfElementwiseOpsAreOnePass) {
  const Tensor x = floats({4}), y = floats({4});
  const Tensor root = op(op_exp, {op(op_add, {op(op_mul, {x, y}), x})});
  const std::vector<FusedGroup> groups = find_fused_groups(snapshot(root));
  ASSERT_EQ(groups.size(), 3u);
  EXPECT_TRUE(groups[0].absorbed && groups[1].absorbed);
  EXPECT_EQ(groups[2].nodes, (std::vector<i32>{0, 1, 2}));
  EXPECT_EQ(groups[2].inputs.size(), 2u) << "what the pass reads, each once";
}

TEST_F(Exec, WhatIsRepeatedForOthersIsComputedOnce) {
  const Tensor row = floats({1, 4}), wide = floats({3, 4});
  const Tensor repeated = op(op_add, {op(op_mul, {row, row}), wide});
  const Tensor whole = op(op_add, {op(op_mul, {wide, wide}), wide});
  EXPECT_FALSE(find_fused_groups(snapshot(repeated))[0].absorbed);
  EXPECT_TRUE(find_fused_groups(snapshot(whole))[0].absorbed);
  const auto key = [&](const Tensor& x, const Tensor& y) {
    return snapshot(op(op_add, {op(op_mul, {x, x}), y})).key;
  };
  EXPECT_EQ(key(row, wide), key(floats({1, 7}), floats({5, 7})));
  EXPECT_NE(key(row, wide), key(floats({3, 4}), wide)) << "one plan for what is repeated and what is whole";
}

TEST_F(Exec, WhatSomebodyHoldsOrReadsElsewhereIsNotAbsorbed) {
  const Tensor x = floats({4}), held = op(op_mul, {x, x});
  const Tensor root = op(op_exp, {op(op_neg, {held})});
  const std::vector<FusedGroup> groups = find_fused_groups(snapshot(root));
  EXPECT_FALSE(groups[0].absorbed);
  EXPECT_EQ(groups[2].nodes, (std::vector<i32>{1, 2}));
  const Tensor through = op(op_exp, {softmax(op(op_neg, {x}))});
  for (const FusedGroup& g : find_fused_groups(snapshot(through)))
    EXPECT_TRUE(g.nodes.empty() && !g.absorbed);
}

TEST_F(Exec, FusingBatchesAndOrderChangeNoBit) {
  const auto compute = [&](ExecOptions options) {
    executor = with(std::move(options));
    const Tensor x = floats({3, 5});
    const Tensor y = op(op_tanh, {op(op_add, {op(op_mul, {x, x}), softmax(x)})});
    return checksum_of(
        op(op_matmul, {y, op(op_transpose, {op(op_exp, {x})}, Attrs().with_int(0).with_int(1))}));
  };
  const u64 expected = compute({});
  EXPECT_GT(executor->stats().commands, 0u);
  const u64 fused_commands = executor->stats().commands;
  EXPECT_EQ(compute({.fuse = false}), expected);
  EXPECT_GT(executor->stats().commands, fused_commands) << "nothing was fused";
  EXPECT_EQ(compute({.eager = true}), expected);
  EXPECT_EQ(compute({.shuffle = 3}), expected);
  EXPECT_EQ(compute({.commands_per_batch = 1}), expected);
  EXPECT_EQ(executor->stats().batches, executor->stats().commands);
}

TEST_F(Exec, ALoopPlansOnce) {
  Tensor x = floats({1, 4});
  for (int i = 0; i < 20; ++i) {
    x = softmax(x);
    ASSERT_TRUE(executor->wait(x).ok());
  }
  EXPECT_EQ(executor->stats().plans_made, 1u);
  EXPECT_EQ(executor->stats().plans_reused, 19u);
}

TEST(Checksum, KnowsTypeShapeAndEveryByte) {
  const HostTensor x{{DType::I32, {2, 1}}, std::vector<std::byte>(8)};
  HostTensor other = x;
  EXPECT_EQ(checksum(other), checksum(x));
  other.bytes[7] = std::byte{1};
  EXPECT_NE(checksum(other), checksum(x));
  other = {{DType::I32, {1, 2}}, x.bytes};
  EXPECT_NE(checksum(other), checksum(x));
  other = {{DType::F32, {2, 1}}, x.bytes};
  EXPECT_NE(checksum(other), checksum(x));
  EXPECT_EQ(checksum_hex(0xabc), "0000000000000abc");
}

TEST_F(Exec, RecordsUntilABoundIsReached) {
  executor = with({.pending_soft_limit = 4, .pending_hard_limit = 8});
  Tensor x = floats({1, 4});
  for (int i = 0; i < 7; ++i) x = softmax(x);
  EXPECT_EQ(executor->stats().commands, 0u);
  EXPECT_EQ(executor->recorder().pending_count(), 7);
  x = softmax(x);
  EXPECT_EQ(executor->recorder().pending_count(), 0) << "the hard limit counts at every op";
  for (int i = 0; i < 3; ++i) x = softmax(x);
  ASSERT_TRUE(executor->loop_point().ok());
  EXPECT_EQ(executor->recorder().pending_count(), 3);
  x = softmax(x);
  ASSERT_TRUE(executor->loop_point().ok());
  EXPECT_EQ(executor->recorder().pending_count(), 0) << "the soft limit counts where a loop comes round";
}

TEST_F(Exec, AFailureReachesWhatDependsOnItAndNothingElse) {
  const std::vector<int> ids{1, 9};
  const Tensor index = *executor->from_host({DType::I32, {2}}, std::as_bytes(std::span(ids)));
  const Tensor before = softmax(floats({1, 4}));
  ASSERT_TRUE(executor->submit({&before, 1}).ok());
  const Tensor row = op(op_embedding, {floats({4, 8}), index}), after = softmax(row),
               beside = softmax(floats({2, 4}));
  const Tensor roots[] = {after, beside};
  ASSERT_TRUE(executor->submit(roots).ok()) << "submitting looks at nothing";
  const Tensor later = softmax(row), apart = softmax(beside);  // recorded when it has failed already
  for (const Tensor& t : {row, after, later, softmax(after)}) {
    const Result<HostTensor> read = executor->read(t);
    ASSERT_FALSE(read.ok());
    EXPECT_TRUE(read.error().message.starts_with("embedding: ")) << read.error().message;
    EXPECT_EQ(read.error().message.find("softmax"), std::string::npos) << read.error().message;
  }
  for (const Tensor& t : {before, beside, apart}) EXPECT_TRUE(executor->read(t).ok());
}

TEST_F(Exec, AFailureNobodyWasToldOfIsTheEndsToTell) {
  const int id = 9;
  const auto failing = [&] {
    const Tensor index = *executor->from_host({DType::I32, {1}}, std::as_bytes(std::span(&id, 1)));
    return op(op_embedding, {floats({4, 8}), index});
  };
  Tensor row = softmax(failing());
  ASSERT_FALSE(executor->read(row).ok());
  EXPECT_TRUE(executor->finish().ok()) << "told twice";
  row = softmax(failing());
  ASSERT_TRUE(executor->submit({&row, 1}).ok());
  row = {};
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(executor->read(softmax(floats({1, 4}))).ok());
  const Result<void> end = executor->finish();
  ASSERT_FALSE(end.ok()) << "a failure must not be forgotten";
  EXPECT_TRUE(end.error().message.starts_with("embedding: ")) << end.error().message;
  EXPECT_TRUE(executor->finish().ok());
}

TEST_F(Exec, ViewsAloneComputeNothing) {
  const Tensor x = floats({2, 3}), y = op(op_transpose, {x}, Attrs().with_int(0).with_int(1));
  ASSERT_TRUE(executor->wait(y).ok());
  EXPECT_EQ(executor->stats().commands, 0u);
  EXPECT_EQ(y->value.buffer, x->value.buffer);
  EXPECT_TRUE(executor->finish().ok());
  EXPECT_EQ(checksum_of(softmax(y)), checksum_of(softmax(op(op_contiguous, {y}))));
}

TEST_F(Exec, RefusalsNameWhatWasFound) {
  const Result<double> item = executor->item(floats({2, 3}));
  ASSERT_FALSE(item.ok());
  EXPECT_EQ(item.error().message, "found 6 elements [2, 3], want exactly one");
  const auto no_file = Executor::create(device, {.checksums_path = "/no/such/folder/sums"});
  ASSERT_FALSE(no_file.ok());
  EXPECT_EQ(no_file.error().code, Code::Io);
  const Result<Tensor> huge = executor->reserved(DType::F32, {1 << 20}, INT64_MAX / 4);
  ASSERT_FALSE(huge.ok());
  EXPECT_EQ(huge.error().code, Code::OutOfMemory);
}

TEST(ExecDevice, WithoutTheKernelNamesOpAndDevice) {
  struct Bare : LoopDevice {
    const Kernel& kernel(const OpDef&) const override { return none; }
    Kernel none;
  } device;
  const auto executor = *Executor::create(device, {});
  const float one = 1;
  const Tensor x = *executor->from_host({DType::F32, {1}}, std::as_bytes(std::span(&one, 1)));
  const Result<HostTensor> read = executor->read(*executor->apply(op_exp, {x}));
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code, Code::Unsupported);
  EXPECT_EQ(read.error().message, "exp does not run on loops yet");
}

}  // namespace
}  // namespace tl
