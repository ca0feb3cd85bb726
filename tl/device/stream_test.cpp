// The order of commands and its proof, how failures travel through the inline stream, and what kernels get.
#include "tl/device/stream.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tl/base/fail_point.h"
#include "tl/device/loop_device_testing.h"

namespace tl {
namespace {

constexpr auto kRead = Access::Mode::Read, kWrite = Access::Mode::Write;

const OpDef kNothing{.name = "nothing", .batch = Batching("is a test's")};

// A batch of commands that touch these ranges, one list each.
Batch touching(std::initializer_list<std::initializer_list<Access>> commands) {
  Batch batch;
  for (const auto& accesses : commands) {
    Command& c = batch.add(kNothing, kNothing.reference, {}, {});
    for (const Access& a : accesses) batch.accesses.push_back(a), ++c.accesses;
  }
  return batch;
}

Order order_of(std::initializer_list<std::vector<i32>> after) {
  Order order;
  for (const auto& earlier : after) order.add(earlier);
  return order;
}

std::vector<std::pair<size_t, size_t>> unordered(const Batch& batch, const Order& order) {
  std::vector<std::pair<size_t, size_t>> pairs;
  for (const Unordered& u : find_unordered(batch, order)) pairs.emplace_back(u.earlier, u.later);
  return pairs;
}

using Pairs = std::vector<std::pair<size_t, size_t>>;

TEST(Orders, KeepWhatEachCommandComesAfter) {
  const Order order = order_of({{}, {0}, {}, {0, 2}});
  ASSERT_EQ(order.size(), 4u);
  EXPECT_TRUE(order.after(0).empty());
  EXPECT_EQ(order.after(1)[0], 0);
  EXPECT_TRUE(order.after(2).empty());
  ASSERT_EQ(order.after(3).size(), 2u);
  EXPECT_EQ(order.after(3)[1], 2);
  EXPECT_EQ(Order().size(), 0u);
  const Order chain = Order::chain(3);
  EXPECT_TRUE(chain.after(0).empty());
  EXPECT_EQ(chain.after(2)[0], 1);
}

TEST(OrdersDeathTest, NothingComesAfterItselfOrLaterOnes) {
  EXPECT_DEATH(order_of({{0}}), "command 0 after 0");
  EXPECT_DEATH(order_of({{}, {2}}), "command 1 after 2");
  EXPECT_DEATH(order_of({{}, {-1}}), "command 1 after -1");
}

// Without any order, the conflicts of named ranges are exactly these.
TEST(Unordered, AreConflictsOfNamedRangesAndNothingElse) {
  const BufferId a{1}, b{2};
  const Batch batch = touching({
      {{a, 0, 8, kWrite}},
      {{a, 8, 8, kWrite}},                    // beside it
      {{a, 0, 8, kRead}, {b, 0, 4, kWrite}},  // read after write
      {{a, 4, 4, kRead}},                     // two readers
      {{a, 7, 2, kWrite}},                    // write after read, and after both writes
      {{b, 4, 4, kWrite}},                    // the same place of another buffer
      {{a, 9, 7, kRead}, {b, 0, 1, kRead}},   // one byte of a written range is enough
      {{a, 3, 0, kWrite}},                    // nothing
  });
  const Order none = order_of({{}, {}, {}, {}, {}, {}, {}, {}});
  EXPECT_EQ(unordered(batch, none), (Pairs{{0, 2}, {0, 3}, {0, 4}, {1, 4}, {2, 4}, {3, 4}, {1, 6}, {2, 6}}));
}

TEST(Unordered, OrderMayBeDirectOrThroughOthers) {
  const BufferId a{1};
  const Batch batch = touching({{{a, 0, 8, kWrite}}, {{a, 0, 8, kWrite}}, {{a, 0, 8, kRead}}});
  EXPECT_EQ(unordered(batch, Order::chain(3)), Pairs{});
  EXPECT_EQ(unordered(batch, order_of({{}, {0}, {0, 1}})), Pairs{});
  EXPECT_EQ(unordered(batch, order_of({{}, {0}, {0}})), (Pairs{{1, 2}})) << "a dropped edge was not seen";
  EXPECT_EQ(unordered(batch, order_of({{}, {}, {1}})), (Pairs{{0, 1}, {0, 2}}));
}

TEST(Unordered, IsFoundBetweenAnyTwoOfMany) {
  constexpr size_t kMany = 200;  // more than one word of bits
  Batch batch;
  for (size_t i = 0; i < kMany; ++i) {
    Command& c = batch.add(kNothing, kNothing.reference, {}, {});
    batch.accesses.push_back({BufferId{i}, 0, 4, kWrite});
    c.accesses = 1;
    if (i != 170) continue;
    batch.accesses.push_back({BufferId{3}, 0, 4, kRead});
    c.accesses = 2;
  }
  Order order;
  for (size_t i = 0; i < kMany; ++i) order.add({});
  EXPECT_EQ(unordered(batch, order), (Pairs{{3, 170}}));
  EXPECT_EQ(unordered(batch, Order::chain(kMany)), Pairs{});
}

void add_one(KernelCall& call) {
  for (i64 i = call.begin; i < call.end; ++i) call.out.mutable_ptr<i64>()[i] = call.in[0].ptr<i64>()[i] + 1;
}
void refuse(KernelCall& call) {
  call.fail("index 7 is out of range");
  call.fail("and something later");
}
// The second output is the negated first.
void add_and_negate(KernelCall& call) {
  for (i64 i = call.begin; i < call.end; ++i) {
    call.outs[0].mutable_ptr<i64>()[i] = call.in[0].ptr<i64>()[i] + 1;
    call.outs[1].mutable_ptr<i64>()[i] = -call.outs[0].ptr<i64>()[i];
  }
}
const OpDef kAddOne{.name = "add_one", .batch = Batching("is a test's"), .reference = {.run = add_one}};
const OpDef kRefuse{.name = "refuse", .batch = Batching("is a test's"), .reference = {.run = refuse}};
const OpDef kAddAndNegate{
    .name = "add_and_negate", .batch = Batching("is a test's"), .reference = {.run = add_and_negate}};

class Inline : public testing::Test {
 protected:
  Inline() { outcome = batch->outcome; }

  Operand operand(i64* at) { return {reinterpret_cast<std::byte*>(at), DType::I64, {2}, {1}, 0}; }
  std::unique_ptr<Batch> new_batch() {
    auto made = stream->take_batch();
    made->outcome = std::make_shared<Outcome>();
    return made;
  }
  // Adds a command that reads and writes `at`.
  Command& add(const OpDef& op, i64* at) {
    Command& c = batch->add(op, op.reference, {{operand(at)}}, {{operand(at)}});
    c.origin = {FileId{1}, 10, 20};
    return c;
  }
  Ticket submit() {
    const PreparedId plan = *stream->prepare(Order::chain(batch->commands.size()));
    outcome = batch->outcome;
    const Ticket t = *stream->replay(plan, std::move(batch), Then::GoesOn);
    stream->release(plan);
    batch = new_batch();
    return t;
  }

  LoopDevice device;
  std::unique_ptr<CommandStream> stream = device.create_stream();
  std::unique_ptr<Batch> batch = new_batch();
  std::shared_ptr<Outcome> outcome;  // of the last submission
  i64 numbers[2] = {0, 10}, others[2] = {5, 6};
};

TEST_F(Inline, RunsCommandsInOrderAndGivesRisingTickets) {
  add(kAddOne, numbers), add(kAddOne, numbers);
  const Ticket first = submit();
  EXPECT_EQ(numbers[0], 2);
  add(kAddOne, numbers);
  const Ticket second = submit();
  EXPECT_LT(first.value, second.value);
  EXPECT_EQ(first.stream, stream->id());
  EXPECT_TRUE(stream->reached(second));
  EXPECT_TRUE(stream->wait(second));
  EXPECT_EQ(numbers[0], 3);
  EXPECT_EQ(numbers[1], 13);
  EXPECT_FALSE(outcome->any_failed());
}

TEST_F(Inline, AStreamWhoseIdWasUsedBeforeGoesOnBehindOldTickets) {
  add(kAddOne, numbers);
  const Ticket old = submit();
  const StreamId id = stream->id();
  batch.reset(), stream.reset();
  stream = device.create_stream();
  ASSERT_EQ(stream->id(), id);
  EXPECT_TRUE(stream->reached(old));
  batch = new_batch();
  add(kAddOne, numbers);
  EXPECT_GT(submit().value, old.value);
}

TEST_F(Inline, AFailureNamesItsOpAndFailsWhatReadsItAndNothingElse) {
  add(kAddOne, numbers);
  add(kRefuse, numbers);
  const i32 on_failed = 1, on_that = 2;
  add(kAddOne, numbers).producers = {&on_failed, 1};
  add(kAddOne, numbers).producers = {&on_that, 1};
  add(kAddOne, others);
  submit();
  EXPECT_EQ(outcome->failure_of(0), nullptr);
  const FailurePtr cause = outcome->failure_of(1);
  ASSERT_NE(cause, nullptr);
  EXPECT_EQ(cause->error.code, Code::BadProgram);
  EXPECT_EQ(cause->error.message, "refuse: index 7 is out of range (operands: int64[2])");
  EXPECT_EQ(cause->error.where, (Span{FileId{1}, 10, 20}));
  EXPECT_EQ(outcome->failure_of(2), cause) << "what reads a failed value fails with its cause";
  EXPECT_EQ(outcome->failure_of(3), cause) << "and so on";
  EXPECT_EQ(numbers[0], 1) << "a command that reads a failed value ran";
  EXPECT_EQ(outcome->failure_of(4), nullptr);
  EXPECT_EQ(others[0], 6) << "a command that has nothing to do with the failure did not run";
}

TEST_F(Inline, AFailureTravelsBetweenRunsAndStreams) {
  add(kRefuse, numbers);
  submit();
  const std::shared_ptr<Outcome> failed = outcome;
  const FailurePtr cause = failed->failure_of(0);
  std::unique_ptr<CommandStream> second = device.create_stream();
  for (CommandStream* s : {stream.get(), second.get()}) {
    auto next = s->take_batch();
    next->outcome = std::make_shared<Outcome>();
    const auto add_to = [&](i64* at) -> Command& {
      return next->add(kAddOne, kAddOne.reference, {{operand(at)}}, {{operand(at)}});
    };
    next->foreign.push_back({failed, 0});
    add_to(numbers).foreign = 1;
    add_to(others);
    next->commands[0].first_foreign = 0;
    const std::shared_ptr<Outcome> became = next->outcome;
    const PreparedId plan = *s->prepare(Order::chain(2));
    (void)*s->replay(plan, std::move(next), Then::GoesOn);
    EXPECT_EQ(became->failure_of(0), cause);
    EXPECT_EQ(became->failure_of(1), nullptr);
  }
  EXPECT_EQ(numbers[0], 0);
  EXPECT_EQ(others[0], 7);
}

TEST_F(Inline, WhatIsThereAlreadyIsNotComputed) {
  add(kAddOne, numbers).is_skipped = true;
  const i32 skipped = 0;
  add(kAddOne, others).producers = {&skipped, 1};
  submit();
  EXPECT_EQ(numbers[0], 0);
  EXPECT_EQ(others[0], 6);
  EXPECT_FALSE(outcome->any_failed());
}

TEST_F(Inline, ACommandMayHaveSeveralOutputs) {
  batch->add(kAddAndNegate, kAddAndNegate.reference, {{operand(numbers)}},
             {{operand(numbers), operand(others)}});
  submit();
  EXPECT_EQ(numbers[1], 11);
  EXPECT_EQ(others[0], -1);
  EXPECT_EQ(others[1], -11);
}

TEST_F(Inline, FailsOnPurposeInsteadOfComputing) {
  add(kAddOne, numbers), add(kAddOne, others);
  ASSERT_TRUE(set_fail_points("op:add_one:1").ok());
  submit();
  ASSERT_TRUE(set_fail_points("").ok());
  ASSERT_NE(outcome->failure_of(0), nullptr);
  EXPECT_EQ(outcome->failure_of(0)->error.message, "add_one: failed on purpose (operands: int64[2])");
  EXPECT_EQ(numbers[0], 0);
  EXPECT_EQ(others[0], 6);
}

TEST_F(Inline, TellsItsObserverOfEveryCommandThatRan) {
  struct Seen : CommandObserver {
    void ran(const Batch& b, size_t command, StreamId stream, i64 begin, i64 end, i64 busy) override {
      ops.push_back(b.commands[command].op->name);
      on = stream;
      EXPECT_LE(begin, end);
      EXPECT_LE(busy, end - begin);
    }
    std::vector<std::string_view> ops;
    StreamId on{};
  } seen;
  device.set_observer(&seen);
  add(kAddOne, numbers), add(kAddAndNegate, numbers).outputs = 1;
  batch->operands.push_back(operand(others));
  batch->commands[1].outputs = 2;
  submit();
  EXPECT_EQ(seen.ops, (std::vector<std::string_view>{"add_one", "add_and_negate"}));
  EXPECT_EQ(seen.on, stream->id());
}

TEST_F(Inline, BatchesAreKeptAndFilledAgain) {
  add(kAddOne, numbers);
  batch->foreign.push_back({});
  batch->after.push_back({});
  Batch* const first = batch.get();
  const std::weak_ptr<Outcome> watched = batch->outcome;
  submit();
  outcome.reset();
  EXPECT_TRUE(watched.expired()) << "a batch that is done keeps its run alive";
  EXPECT_EQ(batch.get(), first);
  const Batch& b = *batch;
  EXPECT_TRUE(b.commands.empty() && b.operands.empty() && b.attrs.empty() && b.accesses.empty());
  EXPECT_TRUE(b.foreign.empty() && b.after.empty() && b.keep == nullptr);
}

TEST(Elements, EveryPlainTypeKeepsANumber) {
  for (int t = 0; t < dtype_count(); ++t) {
    const DType dtype = static_cast<DType>(t);
    if (!is_float(dtype) && !is_int(dtype)) continue;
    u64 memory[4] = {};
    store_from_double(dtype, memory, 2, 100);
    EXPECT_EQ(load_as_double(dtype, memory, 2), 100) << name_of(dtype);
    store_from_int(dtype, memory, 1, 3);
    EXPECT_EQ(load_as_int(dtype, memory, 1), 3) << name_of(dtype);
    EXPECT_EQ(load_as_int(dtype, memory, 2), 100) << name_of(dtype) << ": a neighbour was overwritten";
  }
}

TEST(Elements, FloatsThatNoIntHoldsSaturate) {
  const double values[] = {1e300, -1e300, std::nan(""), -2.9};
  const i64 wanted[] = {INT64_MAX, INT64_MIN, 0, -2};
  for (i64 i = 0; i < 4; ++i) {
    EXPECT_EQ(load_as_int(DType::F64, values, i), wanted[i]);
    i64 stored = 1;
    store_from_double(DType::I64, &stored, 0, values[i]);
    EXPECT_EQ(stored, wanted[i]);
  }
}

TEST(Operands, AreRowsOfTheirLastAxis) {
  const Operand matrix{nullptr, DType::F32, {2, 3, 4}, {12, 4, 1}, 0},
      empty{nullptr, DType::F32, {5, 0}, {1, 1}, 0};
  EXPECT_EQ(matrix.rows(), 6);
  EXPECT_EQ(matrix.cols(), 4);
  EXPECT_EQ(empty.rows(), 0);
  EXPECT_EQ(strided_offset(5, {2, 3}, {1, 10}), 21);  // the last element of a transposed matrix
  Operand constant{.dtype = DType::I64};
  constant.constant = 42;
  EXPECT_EQ(*constant.ptr<i64>(), 42);
  EXPECT_EQ(constant.rows() * constant.cols(), 1);
}

TEST(ScratchMemory, IsAlignedAndReused) {
  Scratch scratch;
  void* const big = scratch.get(100'000);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(big) % 64, 0u);
  EXPECT_EQ(scratch.get(10), big);
}

// A loop that never looks has thousands of batches on their way: they do not all stay.
TEST(BatchHome, KeepsAFew) {
  BatchHome home;
  for (int i = 0; i < 100; ++i) home.give(std::make_unique<Batch>());
  int kept = 0;
  while (home.take() != nullptr) ++kept;
  EXPECT_GT(kept, 0);
  EXPECT_LT(kept, 50);
}

}  // namespace
}  // namespace tl
