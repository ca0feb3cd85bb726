// A graph that was recorded once and is evaluated again: with other sizes, ints and inputs, and what happens
// when it does not fit.
#include "tl/exec/trace.h"

#include <gtest/gtest.h>

#include "tl/base/fail_point.h"
#include "tl/device/held_device_testing.h"
#include "tl/exec/executor.h"
#include "tl/ops/ops.h"

namespace tl {
namespace {

class Traced : public testing::Test {
 protected:
  Traced() { device.open(); }
  ~Traced() override { EXPECT_TRUE(set_fail_points("").ok()); }

  Tensor floats(const Shape& shape, float value) {
    const std::vector<float> values(static_cast<size_t>(numel(shape)), value);
    return *executor->from_host({DType::F32, shape}, std::as_bytes(std::span(values)));
  }
  // Records `op` in the trace as it is recorded in the program.
  SourceRef add(const OpDef& op, std::initializer_list<Tensor> inputs, std::initializer_list<SourceRef> refs,
                Attrs attrs = {}, std::initializer_list<TracePatch> patches = {}) {
    recorded = *executor->apply(op, inputs, std::move(attrs));
    return trace.add_node(*recorded.node(), {refs.begin(), refs.end()}, {patches.begin(), patches.end()});
  }
  // Whether it fitted; the outputs are in `outputs`.
  bool replay(std::vector<Tensor> with, std::initializer_list<i64> given = {}) {
    inputs = std::move(with);
    outputs.clear();
    Result<bool> done = executor->replay(trace, inputs, {given.begin(), given.end()}, outputs);
    return done.ok() && *done;
  }
  float first(size_t output = 0) { return static_cast<float>(executor->read(outputs[output])->as_double(0)); }

  HeldDevice device;
  std::unique_ptr<Executor> executor = *Executor::create(device, {});
  Trace trace;
  Tensor recorded;
  std::vector<Tensor> inputs, outputs;
};

TEST_F(Traced, GivesWhatItsInputsAndIntsSay) {
  const Tensor x = floats({2, 3}, 1);
  const SourceRef in = trace.add_input(x);
  const i32 n = trace.add_int({.op = TraceInt::Op::Given, .a = 0});
  const i32 rows = trace.add_int({.op = TraceInt::Op::Dim, .a = in, .b = 0});
  const i32 both = trace.add_int({.op = TraceInt::Op::Mul, .a = n, .b = rows});
  const Tensor scalar = scalar_tensor(i64{2}, DType::F32);
  const SourceRef sum = add(op_add, {x, scalar}, {in, trace.add_scalar(DType::F32, both)});
  const Tensor y = recorded;
  trace.add_output(add(op_mul, {y, y}, {sum, sum}));
  trace.finish();
  for (const i64 n_rows : {2, 3, 1, 3, 2}) {
    for (const i64 value : {1, 5, 2}) {
      ASSERT_TRUE(replay({floats({n_rows, 3}, 1)}, {value}));
      EXPECT_EQ(outputs[0].shape(), (Shape{n_rows, 3}));
      const float root = 1.0f + static_cast<float>(value * n_rows);
      EXPECT_EQ(first(), root * root);
      EXPECT_EQ(trace.int_value(both), value * n_rows);
    }
  }
}

TEST_F(Traced, MemoryOfTheOnlyTemporaryGrowsWithIt) {
  const Tensor x = floats({2, 3}, 1);
  const SourceRef in = trace.add_input(x);
  const SourceRef weights = add(op_softmax, {x}, {in}, Attrs().with_int(-1));
  trace.add_output(add(op_sum, {recorded}, {weights}, Attrs().with_ints({}).with_bool(false)));
  trace.finish();
  for (const i64 rows : {2, 1, 500000, 3, 900000}) {
    ASSERT_TRUE(replay({floats({rows, 4}, 1)}));
    EXPECT_EQ(first(), static_cast<float>(rows));
  }
}

TEST_F(Traced, APlanThatWasForgottenIsMadeAgain) {
  const Tensor x = floats({4}, 1);
  const SourceRef in = trace.add_input(x);
  const SourceRef sum = add(op_sum, {x}, {in}, Attrs().with_ints({}).with_bool(false));
  trace.add_output(add(op_sqrt, {recorded}, {sum}));
  trace.finish();
  ASSERT_TRUE(replay({x}));
  for (int i = 0; i < 1200; ++i) {  // more than plans are kept, none like another
    Tensor y = x;
    for (int bit = 0; bit < 11; ++bit) {
      y = *executor->apply((i >> bit & 1) != 0 ? op_sum : op_max, {y},
                           Attrs().with_ints({0}).with_bool(true));
    }
    ASSERT_TRUE(executor->wait(y).ok());
  }
  EXPECT_LT(device.prepared_orders(), 1200u) << "a program that never repeats itself grows";
  ASSERT_TRUE(replay({floats({4}, 4)}));
  EXPECT_EQ(first(), 4);
}

TEST(TracedConstants, ThatAnotherStreamComputesAreWaitedForByEveryReplay) {
  HeldDevice device;
  const auto theirs = *Executor::create(device, {}), ours = *Executor::create(device, {});
  const std::vector<float> ones(4, 1.0f);
  const Tensor x = *ours->from_host({DType::F32, {4}}, std::as_bytes(std::span(ones)));
  const Tensor weight = *theirs->apply(op_neg, std::array{x});
  ASSERT_TRUE(theirs->submit({&weight, 1}).ok());
  Trace trace;
  const SourceRef in = trace.add_input(x), constant = trace.add_constant(weight);
  const Tensor sum = *ours->apply(op_sub, std::array{x, weight});
  trace.add_output(trace.add_node(*sum.node(), std::array{in, constant}, {}));
  trace.finish();
  std::vector<Tensor> results;
  for (int i = 0; i < 3; ++i) {
    std::vector<Tensor> inputs{x}, outputs;
    ASSERT_TRUE(*ours->replay(trace, inputs, {}, outputs));
    const Placement& value = outputs[0]->value;
    EXPECT_FALSE(device.may_start({static_cast<StreamId>(value.stream), value.ready})) << "replay " << i;
    results.push_back(outputs[0]);
  }
  device.open();
  for (const Tensor& result : results) EXPECT_EQ(ours->read(result)->as_double(0), 2);
}

TEST_F(Traced, WhatDoesNotFitIsGivenBackWhole) {
  const Tensor x = floats({2}, 1), y = floats({2, 2}, 1);
  const SourceRef a = trace.add_input(x), b = trace.add_input(y);
  trace.add_output(add(op_add, {x, y}, {a, b}));
  trace.finish();
  const Tensor other = scalar_tensor(1.0, DType::F32), flat = floats({4}, 1);
  EXPECT_FALSE(replay({x, flat}));  // another rank, in the second
  EXPECT_EQ(inputs[0], x);
  EXPECT_EQ(inputs[1], flat);
  EXPECT_FALSE(replay({other, y}));
  EXPECT_EQ(inputs[0], other);
  EXPECT_EQ(inputs[1], y);
  EXPECT_FALSE(replay({floats({3}, 1), y}));  // shapes that do not fit each other
  EXPECT_TRUE(inputs[0] && inputs[1]);
  ASSERT_TRUE(replay({x, y}));
  EXPECT_EQ(first(), 2);
}

TEST_F(Traced, GuardsAndTypesThatDoNotHoldAreRefused) {
  const Tensor x = floats({2}, 1);
  const SourceRef in = trace.add_input(x);
  const i32 n = trace.add_int({.op = TraceInt::Op::Given, .a = 0});
  const i32 limit = trace.add_int({.op = TraceInt::Op::Constant, .constant = 100});
  trace.add_guard(trace.add_int({.op = TraceInt::Op::Less, .a = n, .b = limit}), 1, Span{FileId{1}, 3, 4});
  const SourceRef small = trace.add_scalar(DType::I8, n);
  trace.add_output(add(op_add, {x, scalar_tensor(i64{1}, DType::I8)}, {in, small}));
  trace.finish();
  ASSERT_TRUE(replay({x}, {7}));
  EXPECT_EQ(first(), 8);
  EXPECT_FALSE(replay({x}, {100}));
  EXPECT_EQ(trace.failed_guard().begin, 3u);
  EXPECT_FALSE(replay({x}, {-129})) << "an int8 that is none";
  ASSERT_TRUE(replay({x}, {-128}));
  EXPECT_EQ(first(), -127);
}

TEST_F(Traced, ARankThatIsNotTheRecordedOneIsRefused) {
  const Tensor x = floats({1, 3}, 1);
  const SourceRef in = trace.add_input(x);
  trace.add_output(add(op_squeeze, {x}, {in}, Attrs().with_ints({})));
  trace.finish();
  EXPECT_TRUE(replay({floats({1, 4}, 1)}));
  EXPECT_FALSE(replay({floats({2, 4}, 1)}));
  EXPECT_TRUE(replay({floats({1, 2}, 1)}));
}

TEST_F(Traced, WhatNobodyReadsIsNotComputed) {
  const Tensor x = floats({3, 2}, 1);
  const SourceRef in = trace.add_input(x);
  add(op_exp, {x}, {in});
  trace.add_output(add(op_neg, {x}, {in}));
  trace.finish();
  const u64 before = executor->stats().commands;
  ASSERT_TRUE(replay({x}));
  EXPECT_EQ(executor->stats().commands, before + 1);
}

TEST_F(Traced, AReplayWithoutMemoryLeavesNothingBehind) {
  const Tensor x = floats({1024, 1024}, 1);
  const SourceRef in = trace.add_input(x);
  const SourceRef y = add(op_exp, {x}, {in});
  const Tensor held = recorded;
  trace.add_output(y);
  trace.add_output(add(op_neg, {held}, {y}));
  trace.finish();
  ASSERT_TRUE(replay({x}));
  EXPECT_EQ(first(1), -first(0));
  outputs.clear();
  const i64 before = device.memory().in_use_bytes;
  ASSERT_TRUE(set_fail_points("alloc:2").ok());
  EXPECT_FALSE(replay({floats({1024, 1024}, 2)}));
  EXPECT_TRUE(set_fail_points("").ok());
  EXPECT_TRUE(inputs[0]);
  inputs.clear();
  EXPECT_EQ(device.memory().in_use_bytes, before);
  ASSERT_TRUE(replay({floats({1024, 512}, 0)}));
  EXPECT_EQ(first(0), 1);
  EXPECT_EQ(first(1), -1);
}

TEST_F(Traced, RowsOfAReplayThatFailedAreAppendedInPlaceLater) {
  const Tensor cache = *executor->reserved(DType::F32, {2}, 100), row = floats({1, 2}, 1);
  const SourceRef in = trace.add_input(cache), more = trace.add_input(row);
  const SourceRef longer = add(op_append_rows, {cache, row}, {in, more});
  trace.add_output(longer);
  trace.add_output(add(op_exp, {recorded}, {longer}));
  trace.finish();
  ASSERT_TRUE(set_fail_points("alloc:1").ok());
  EXPECT_FALSE(replay({cache, row}));
  ASSERT_TRUE(set_fail_points("").ok());
  ASSERT_TRUE(replay({cache, row}));
  EXPECT_EQ(outputs[0]->value.buffer, cache->value.buffer) << "the rows are still taken";
}

TEST_F(Traced, RandomNumbersOfAReplayThatDoesNotFitAreNotDrawn) {
  const Tensor x = floats({2}, 1);
  const SourceRef in = trace.add_input(x);
  const Attrs attrs = Attrs().with_ints({2}).with_dtype(DType::F32).with_int(0).with_int(0);
  const SourceRef drawn = add(op_rand, {}, {}, attrs, {{TracePatch::kSeed, 1}, {TracePatch::kPosition, 2}});
  const Tensor random = recorded;
  trace.add_output(add(op_add, {random, x}, {drawn, in}));
  trace.finish();
  executor->recorder().seed(5);
  ASSERT_TRUE(replay({x}));
  const float once = first();
  EXPECT_EQ(executor->recorder().generator().position, 1u);
  EXPECT_FALSE(replay({floats({3}, 1)}));
  EXPECT_EQ(executor->recorder().generator().position, 1u);
  executor->recorder().seed(5);
  ASSERT_TRUE(replay({x}));
  EXPECT_EQ(first(), once);
}

}  // namespace
}  // namespace tl
