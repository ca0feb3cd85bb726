// What the recorder records: order, overlap and replays, and memory that reads as zeros.
#include "tl/backend/null/null_device.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace tl::null {
namespace {

void never(KernelCall&) {
  FAIL() << "the null device computed something";
}
const OpDef kOp{
    .name = "op", .batch = Batching("is a test's"), .reference = {.run = never}, .cpu = {.run = never}};
const OpDef kOther{
    .name = "other", .batch = Batching("is a test's"), .reference = {.run = never}, .cpu = {.run = never}};

class Null : public testing::Test {
 protected:
  std::shared_ptr<Buffer> buffer() {
    auto made = *device->allocate(32, stream->id());
    std::fill_n(reinterpret_cast<float*>(made->data()), 8, 5.0f);
    return made;
  }
  static Operand operand(const Buffer& b, const Dims& dims = {8}, const Strides& strides = {1}) {
    return {b.data(), DType::F32, dims, strides, 0};
  }
  Command& add(const OpDef& op, const Buffer& from, const Operand& to,
               std::initializer_list<Access> accesses) {
    const Operand in = operand(from);
    Command& c = batch->add(op, device->kernel(op), {&in, 1}, {&to, 1});
    for (const Access& a : accesses) batch->accesses.push_back(a), ++c.accesses;
    c.sequence = ++sequence;
    return c;
  }
  Command& add(const Buffer& from, const Buffer& to, const OpDef& op = kOp) {
    return add(op, from, operand(to),
               {{from.id(), 0, 32, Access::Mode::Read}, {to.id(), 0, 32, Access::Mode::Write}});
  }
  static Order order(std::initializer_list<std::vector<i32>> after) {
    Order made;
    for (const auto& earlier : after) made.add(earlier);
    return made;
  }
  Ticket replay(PreparedId plan) {
    batch->outcome = std::make_shared<Outcome>();
    const Ticket t = *stream->replay(plan, std::move(batch), Then::GoesOn);
    batch = stream->take_batch();
    return t;
  }
  Ticket submit(const Order& of) { return replay(*stream->prepare(of)); }
  static std::vector<float> values(const Buffer& b) {
    const auto* const v = reinterpret_cast<const float*>(b.data());
    return {v, v + 8};
  }
  std::unique_ptr<NullDevice> device = create_device();
  std::unique_ptr<CommandStream> stream = device->create_stream();
  std::unique_ptr<Batch> batch = stream->take_batch();
  u64 sequence = 0;
};

TEST_F(Null, RecordsOrderAndOverlap) {
  const auto x = buffer(), q = buffer(), k = buffer(), y = buffer(), z = buffer();
  // q and k are made of x; y of q; z of x, and then overwritten from k
  add(*x, *q), add(*x, *k), add(*q, *y), add(*x, *z), add(*k, *z, kOther);
  const Ticket t = submit(order({{}, {}, {0}, {}, {1, 3}}));
  EXPECT_TRUE(stream->reached(t));
  ASSERT_EQ(device->log().size(), 1u);
  const BatchLog& log = device->log()[0];
  EXPECT_TRUE(log.may_overlap(0, 1));
  EXPECT_TRUE(log.may_overlap(2, 1));
  EXPECT_TRUE(log.may_overlap(2, 4)) << "nothing but named edges orders commands";
  EXPECT_FALSE(log.may_overlap(2, 0));
  EXPECT_FALSE(log.may_overlap(1, 4)) << "reads what 1 wrote";
  EXPECT_FALSE(log.may_overlap(3, 4)) << "writes what 3 wrote";
  EXPECT_FALSE(log.may_overlap(3, 3));
  EXPECT_EQ(log.commands[4].sequence, 5u);
  EXPECT_EQ(log.commands[0].op, "op");
  EXPECT_EQ(log.commands[4].op, "other");
  EXPECT_EQ(log.commands[4].accesses.size(), 2u);
  EXPECT_FALSE(log.replayed);
}

TEST_F(Null, OverlapLooksThroughChains) {
  const auto a = buffer(), b = buffer(), c = buffer(), d = buffer();
  add(*a, *b), add(*b, *c), add(*a, *a), add(*c, *d);
  submit(order({{}, {0}, {0}, {1}}));
  const BatchLog& log = device->log().at(0);
  EXPECT_FALSE(log.may_overlap(0, 3)) << "through 1";
  EXPECT_TRUE(log.may_overlap(2, 3));
  EXPECT_TRUE(log.may_overlap(3, 2));
}

TEST_F(Null, OutputsReadAsZerosAndInputsStay) {
  const auto x = buffer(), y = buffer();
  add(*x, *y);
  submit(Order::chain(1));
  EXPECT_EQ(values(*y), std::vector<float>(8, 0));
  EXPECT_EQ(values(*x), std::vector<float>(8, 5));
}

TEST_F(Null, WhatIsThereAlreadyStays) {
  const auto x = buffer(), y = buffer();
  add(*x, *y).is_skipped = true;
  submit(Order::chain(1));
  EXPECT_EQ(values(*y), std::vector<float>(8, 5));
  EXPECT_TRUE(device->log().at(0).commands[0].is_skipped);
}

TEST_F(Null, AnAppendKeepsTheRowsThatAreThere) {
  const auto x = buffer(), cache = buffer();
  add(kOp, *x, operand(*cache, {4, 2}, {2, 1}), {{cache->id(), 24, 8, Access::Mode::Write}}).kept_bytes = 24;
  submit(Order::chain(1));
  EXPECT_EQ(values(*cache), (std::vector<float>{5, 5, 5, 5, 5, 5, 0, 0}));
}

TEST_F(Null, AReplayKeepsThePlannedOrderOnOtherBuffers) {
  const auto a = buffer(), b = buffer(), c = buffer(), d = buffer();
  const PreparedId plan = *stream->prepare(Order::chain(2));
  EXPECT_TRUE(device->log().empty()) << "preparing is not running";
  add(*a, *b), add(*b, *c);
  const Ticket first = replay(plan);
  add(*c, *d), add(*a, *b);
  const Ticket t = replay(plan);
  EXPECT_EQ(t.stream, stream->id());
  EXPECT_GT(t.value, first.value);
  EXPECT_FALSE(device->log().at(0).replayed);
  const BatchLog& log = device->log().at(1);
  EXPECT_TRUE(log.replayed);
  EXPECT_FALSE(log.may_overlap(0, 1)) << "planned to come after";
  device->clear_log();
  EXPECT_TRUE(device->log().empty());
}

using NullDeathTest = Null;
TEST_F(NullDeathTest, AReplayThatConflictsBeyondItsPlanIsOurMistake) {
  const auto a = buffer(), b = buffer(), c = buffer();
  const PreparedId plan = *stream->prepare(order({{}, {}}));
  add(*a, *b), add(*a, *c);
  replay(plan);
  add(*a, *b), add(*b, *c, kOther);  // the first run did not show it
  EXPECT_DEATH(replay(plan), "command 1 \\(other\\) of a replay must come after 0 \\(op\\), which its plan");
}

TEST_F(NullDeathTest, AnotherNumberOfCommandsIsOurMistake) {
  const auto a = buffer(), b = buffer();
  add(*a, *b);
  EXPECT_DEATH(submit(Order::chain(2)), "replay of 2 commands as 1");
}

TEST_F(Null, EmptyRangesConflictWithNothing) {
  const auto a = buffer(), b = buffer();
  add(*a, *b);
  add(kOp, *a, operand(*b, {0}), {{b->id(), 16, 0, Access::Mode::Write}});
  submit(order({{}, {}}));
  EXPECT_TRUE(device->log().at(0).may_overlap(0, 1));
}

TEST_F(Null, KeepsTheLastBatchesOnly) {
  const auto a = buffer(), b = buffer();
  const PreparedId plan = *stream->prepare(Order::chain(1));
  for (int i = 0; i < 3000; ++i) {
    add(*a, *b);
    replay(plan);
  }
  EXPECT_LE(device->log().size(), 1000u);
  EXPECT_EQ(device->log().back().commands[0].sequence, 3000u);
}

TEST_F(Null, PlansForTheBackendItStandsFor) {
  EXPECT_EQ(&device->kernel(kOp), &kOp.cpu);
  EXPECT_EQ(&create_device(Backend::Reference)->kernel(kOp), &kOp.reference);
  EXPECT_EQ(create_device(Backend::Reference)->backend(), Backend::Reference);
  EXPECT_FALSE(device->computes());
  EXPECT_TRUE(device->wants_accesses());
}

}  // namespace
}  // namespace tl::null
