#include "tl/backend/cpu/cpu_stream.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "tl/backend/cpu/cpu_device.h"

namespace tl::cpu {
namespace {

// out[i] = in[i] + 1 over i64; slow enough to be split into parts.
void add_one(KernelCall& call) {
  for (i64 i = call.begin; i < call.end; ++i) call.out.mutable_ptr<i64>()[i] = call.in[0].ptr<i64>()[i] + 1;
}
void sleep_a_little(KernelCall& call) {
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  add_one(call);
}
void sleep_a_moment(KernelCall&) {
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
}
void always_fails(KernelCall& call) {
  call.fail(fmt::format("unit {} went wrong", call.begin));
}
// Every part but the first fails, the later ones sooner.
void later_parts_fail(KernelCall& call) {
  if (call.begin == 0) return;
  std::this_thread::sleep_for(std::chrono::microseconds(1000 - call.begin));
  call.fail(fmt::format("unit {} went wrong", call.begin));
}
// Waits until the test opens the gate.
std::atomic<bool> gate_is_open{false};
std::atomic<int> at_gate{0};
void only_wait_at_gate(KernelCall&) {
  ++at_gate;
  while (!gate_is_open) std::this_thread::yield();
}
void wait_at_gate(KernelCall& call) {
  only_wait_at_gate(call);
  add_one(call);
}
std::atomic<std::thread::id> ran_on;
void note_thread(KernelCall& call) {
  ran_on = std::this_thread::get_id();
  add_one(call);
}
void add_and_negate(KernelCall& call) {
  for (i64 i = call.begin; i < call.end; ++i) {
    call.outs[0].mutable_ptr<i64>()[i] = call.in[0].ptr<i64>()[i] + 1;
    call.outs[1].mutable_ptr<i64>()[i] = -call.in[0].ptr<i64>()[i];
  }
}
double expensive(const KernelCall&) {
  return 100;
}
double very_expensive(const KernelCall&) {
  return 1e5;
}
i64 one_unit(const KernelCall&) {
  return 1;
}

const Kernel kAddOne{.run = add_one, .unit_cost = expensive};
const Kernel kSleeps{.run = sleep_a_moment, .units = one_unit, .unit_cost = very_expensive};
const Kernel kSlow{.run = sleep_a_little, .units = one_unit, .unit_cost = very_expensive};
const Kernel kFails{.run = always_fails};
const Kernel kLaterPartsFail{.run = later_parts_fail, .unit_cost = very_expensive};
const Kernel kGate{.run = wait_at_gate, .units = one_unit, .unit_cost = very_expensive};
const Kernel kGateOnly{.run = only_wait_at_gate, .units = one_unit, .unit_cost = very_expensive};
const Kernel kGateOfMany{.run = wait_at_gate, .unit_cost = very_expensive};
const Kernel kNoteThread{.run = note_thread, .units = one_unit};
const Kernel kNoteThreadOfMuch{.run = note_thread, .unit_cost = very_expensive};
const Kernel kAddAndNegate{.run = add_and_negate, .unit_cost = expensive};
const OpDef kOp{.name = "test_op", .batch = Batching("is a test's")},
    kGateOp{.name = "gate", .batch = Batching("is a test's")};

using Data = std::shared_ptr<Buffer>;

// A stream with the batch that is being filled.
struct Lane {
  explicit Lane(Device& device) : stream(device.create_stream()) { start(); }
  ~Lane() { gate_is_open = true; }  // a test that gave up must not wait there for ever

  void start() {
    batch = stream->take_batch();
    outcome = batch->outcome = std::make_shared<Outcome>();
    order = {};
    earlier.clear();
  }
  // Adds a command that reads `from` and writes `to`, after `after` (the one before it, if not given), whose
  // values it reads.
  Command& add(const Kernel& kernel, const Data& from, const Data& to,
               std::optional<std::vector<i32>> after = {}, const OpDef& op = kOp) {
    const auto operand = [](const Data& b) {
      return Operand{.data = b->data(), .dtype = DType::I64, .dims = {b->bytes() / 8}, .strides = {1}};
    };
    const i32 self = static_cast<i32>(batch->commands.size());
    if (!after) after = self == 0 ? std::vector<i32>() : std::vector<i32>{self - 1};
    order.add(*after);
    earlier.push_back(std::make_shared<std::vector<i32>>(*after));
    Command& c = batch->add(op, kernel, {{operand(from)}}, {{operand(to)}});
    c.producers = *earlier.back();
    kept.push_back(earlier.back());
    return c;
  }
  Ticket submit(Then then = Then::GoesOn) {
    const PreparedId plan = *stream->prepare(order);
    const Ticket t = *stream->replay(plan, std::move(batch), then);
    stream->release(plan);
    last = outcome;
    start();
    return t;
  }

  std::unique_ptr<CommandStream> stream;
  std::unique_ptr<Batch> batch;
  std::shared_ptr<Outcome> outcome, last;  // of the batch that is being filled; of the last one submitted
  Order order;
  std::vector<std::shared_ptr<std::vector<i32>>> earlier, kept;
};

class CpuStreamTest : public testing::TestWithParam<int> {
 protected:
  CpuStreamTest() : device_(std::move(*create_device({.threads = GetParam()}))) {
    gate_is_open = false;
    at_gate = 0;
  }

  Data buffer(i64 n, i64 value = 0) {
    auto b = std::move(*device_->allocate(n * 8, StreamId{}));
    for (i64 i = 0; i < n; ++i) at(b, i) = value;
    return b;
  }
  static i64& at(const Data& b, i64 i = 0) { return reinterpret_cast<i64*>(b->data())[i]; }

  std::unique_ptr<Device> device_;
};

TEST(CommandGroups, AreAsFewAsTheOrderAllows) {
  Order order;
  for (const std::vector<i32>& after : {std::vector<i32>{}, {0}, {}, {0, 2}, {1}, {}}) order.add(after);
  const Groups groups = groups_of(order);
  EXPECT_EQ(groups.commands, (std::vector<i32>{0, 2, 5, 1, 3, 4}));
  EXPECT_EQ(groups.ends, (std::vector<i32>{3, 5, 6}));
  EXPECT_TRUE(groups_of(Order()).ends.empty());
  EXPECT_EQ(groups_of(Order::chain(3)).ends, (std::vector<i32>{1, 2, 3}));
}

TEST_P(CpuStreamTest, KeepsTheOrderOfItsPlan) {
  Lane lane(*device_);
  const i64 n = 5000;
  const Data a = buffer(n), b = buffer(n);
  Ticket last;
  for (int round = 0; round < 200; ++round) {  // a and b alternate as source and target
    for (int i = 0; i < 10; ++i) i % 2 == 0 ? lane.add(kAddOne, a, b) : lane.add(kAddOne, b, a);
    last = lane.submit();
  }
  ASSERT_TRUE(lane.stream->wait(last));
  for (i64 i = 0; i < n; ++i) ASSERT_EQ(at(a, i), 2000) << i;
}

TEST_P(CpuStreamTest, ReplaysOnePreparedOrder) {
  Lane lane(*device_);
  const PreparedId plan = *lane.stream->prepare(Order::chain(2));
  const PreparedId other = *lane.stream->prepare(Order::chain(1));
  EXPECT_NE(plan, other);
  lane.stream->release(other);
  Ticket last;
  std::vector<Data> sums, others;
  for (const i64 n : {100, 100'000, 1, 0, 100}) {  // one order, whatever the sizes
    const Data a = buffer(n), b = buffer(n);
    for (int i = 0; i < 25; ++i) {
      lane.add(kAddOne, a, b), lane.add(kAddOne, b, a);
      last = *lane.stream->replay(plan, std::move(lane.batch), Then::GoesOn);
      lane.start();
    }
    sums.push_back(a), others.push_back(b);
  }
  ASSERT_TRUE(lane.stream->wait(last));
  for (const Data& a : sums) {
    for (i64 i = 0; i < a->bytes() / 8; ++i) ASSERT_EQ(at(a, i), 50);
  }
  EXPECT_EQ(*lane.stream->prepare(Order::chain(1)), other) << "the number of a released plan is lost";
}

TEST_P(CpuStreamTest, ReplayReturnsBeforeTheWorkIsDone) {
  Lane lane(*device_);
  const Data a = buffer(1), b = buffer(1);
  lane.add(kGate, a, b);
  const Ticket t = lane.submit();
  EXPECT_FALSE(lane.stream->reached(t));
  EXPECT_FALSE(lane.stream->wait(t, 0.01)) << "a wait that times out says so";
  gate_is_open = true;
  ASSERT_TRUE(lane.stream->wait(t));
  EXPECT_TRUE(lane.stream->reached(t));
  EXPECT_EQ(at(b), 1);
}

TEST_P(CpuStreamTest, AFailureFailsWhatReadsItAndNothingElse) {
  Lane lane(*device_);
  const Data a = buffer(4), b = buffer(4, 7), c = buffer(4, 9), d = buffer(4, 1), e = buffer(4, 1);
  lane.add(kAddOne, a, d, std::vector<i32>{});
  lane.add(kFails, a, b, std::vector<i32>{}).origin = {FileId{1}, 10, 20};
  lane.add(kAddOne, b, c);                       // reads what failed
  lane.add(kAddOne, c, c);                       // and so on
  lane.add(kAddOne, a, e, std::vector<i32>{0});  // does not
  const Ticket t = lane.submit();
  ASSERT_TRUE(lane.stream->wait(t)) << "a failed batch ends";
  const Outcome& outcome = *lane.last;
  const FailurePtr cause = outcome.failure_of(1);
  ASSERT_NE(cause, nullptr);
  EXPECT_EQ(cause->error.message, "test_op: unit 0 went wrong (operands: int64[4])");
  EXPECT_EQ(cause->error.where, (Span{FileId{1}, 10, 20}));
  EXPECT_EQ(outcome.failure_of(2), cause);
  EXPECT_EQ(outcome.failure_of(3), cause);
  EXPECT_EQ(at(c), 9) << "a command that reads a failed value ran";
  EXPECT_EQ(outcome.failure_of(0), nullptr);
  EXPECT_EQ(outcome.failure_of(4), nullptr);
  EXPECT_EQ(at(d), 1);
  EXPECT_EQ(at(e), 1) << "a command that has nothing to do with the failure did not run";
}

TEST_P(CpuStreamTest, OtherBatchesRunOnAfterAFailure) {
  Lane lane(*device_);
  const Data a = buffer(4), b = buffer(4), c = buffer(4), d = buffer(4);
  lane.add(kAddOne, a, c);
  const Ticket before = lane.submit();
  const auto fine = lane.last;
  lane.add(kFails, a, b);
  lane.submit();
  const auto failed = lane.last;
  lane.batch->foreign.push_back({failed, 0});
  Command& reads = lane.add(kAddOne, b, d, std::vector<i32>{});
  reads.first_foreign = 0, reads.foreign = 1;
  lane.add(kAddOne, c, c, std::vector<i32>{});
  const Ticket after = lane.submit();
  ASSERT_TRUE(lane.stream->wait(after));
  EXPECT_TRUE(lane.stream->reached(before));
  EXPECT_FALSE(fine->any_failed());
  ASSERT_NE(failed->failure_of(0), nullptr);
  EXPECT_EQ(lane.last->failure_of(0), failed->failure_of(0));
  EXPECT_EQ(lane.last->failure_of(1), nullptr);
  EXPECT_EQ(at(c), 2);
  EXPECT_EQ(at(d), 0);
}

TEST_P(CpuStreamTest, AFailureCrossesStreams) {
  Lane first(*device_), second(*device_);
  const Data a = buffer(1), b = buffer(1), c = buffer(1), d = buffer(1);
  first.add(kGate, a, b, std::vector<i32>{});
  first.add(kFails, a, b);
  const Ticket made = first.submit();
  second.batch->after.push_back(made);
  second.batch->foreign.push_back({first.last, 1});
  Command& reads = second.add(kAddOne, b, c, std::vector<i32>{});
  reads.first_foreign = 0, reads.foreign = 1;
  second.add(kAddOne, a, d, std::vector<i32>{});
  const Ticket t = second.submit();
  gate_is_open = true;
  ASSERT_TRUE(second.stream->wait(t));
  ASSERT_NE(first.last->failure_of(1), nullptr);
  EXPECT_EQ(second.last->failure_of(0), first.last->failure_of(1)) << "the cause is lost on the way";
  EXPECT_EQ(second.last->failure_of(1), nullptr);
  EXPECT_EQ(at(c), 0);
  EXPECT_EQ(at(d), 1);
}

TEST_P(CpuStreamTest, TheFailureOfTheFirstPartIsKept) {
  for (int round = 0; round < 5; ++round) {
    Lane lane(*device_);
    const Data a = buffer(1000), b = buffer(1000);
    lane.add(kLaterPartsFail, a, b);
    ASSERT_TRUE(lane.stream->wait(lane.submit()));
    const FailurePtr failure = lane.last->failure_of(0);
    if (failure == nullptr) {
      ASSERT_EQ(GetParam(), 1) << "one part";
      continue;
    }
    // Part 1 begins at the same unit in every run, on any schedule.
    static std::map<int, std::string> messages;
    const std::string message = messages.emplace(GetParam(), failure->error.message).first->second;
    EXPECT_EQ(failure->error.message, message) << "which failure is told depends on the threads";
  }
}

TEST_P(CpuStreamTest, WaitsForTicketsOfOtherStreams) {
  Lane first(*device_), second(*device_);
  const Data a = buffer(1), b = buffer(1), c = buffer(1);
  first.add(kSlow, a, b);
  const Ticket made = first.submit();
  second.batch->after.push_back(made);
  second.add(kAddOne, b, c);
  const Ticket t = second.submit();
  ASSERT_TRUE(second.stream->wait(t));
  EXPECT_EQ(at(c), 2);
}

TEST_P(CpuStreamTest, AWaiterOnOneStreamKeepsNobodyElseWaiting) {
  Lane first(*device_), second(*device_), third(*device_);
  const Data a = buffer(1), b = buffer(1), c = buffer(1), d = buffer(1);
  if (GetParam() == 1) return;  // the only thread is at the gate
  first.add(kGate, a, b);
  const Ticket made = first.submit();
  second.batch->after.push_back(made);
  second.add(kAddOne, b, c);
  const Ticket late = second.submit();
  third.add(kAddOne, a, d);
  ASSERT_TRUE(third.stream->wait(third.submit()));
  EXPECT_FALSE(second.stream->reached(late));
  gate_is_open = true;
  ASSERT_TRUE(second.stream->wait(late));
  EXPECT_EQ(at(c), 2);
}

TEST_P(CpuStreamTest, CancellingFailsWhatIsQueuedAndNothingAfter) {
  Lane lane(*device_);
  const Data a = buffer(1), b = buffer(1), c = buffer(1), d = buffer(1);
  lane.add(kGate, a, b), lane.add(kAddOne, b, c);
  lane.submit();
  const auto running = lane.last;
  lane.add(kAddOne, a, c);
  const Ticket queued = lane.submit();
  const auto waiting = lane.last;
  while (at_gate == 0) std::this_thread::yield();
  lane.stream->cancel();
  lane.add(kAddOne, a, d);
  const Ticket after = lane.submit();
  gate_is_open = true;
  ASSERT_TRUE(lane.stream->wait(queued));
  ASSERT_TRUE(lane.stream->wait(after));
  ASSERT_NE(running->failure_of(1), nullptr) << "the rest of the batch that was running";
  EXPECT_EQ(running->failure_of(1)->error.code, Code::Interrupted);
  ASSERT_NE(waiting->failure_of(0), nullptr);
  EXPECT_EQ(waiting->failure_of(0)->error.code, Code::Interrupted);
  EXPECT_EQ(at(c), 0);
  EXPECT_FALSE(lane.last->any_failed()) << "what came after was cancelled as well";
  EXPECT_EQ(at(d), 1);
}

TEST_P(CpuStreamTest, WhatIsCancelledWhileItRunsIsNotTakenForComputed) {
  Lane lane(*device_);
  const Data a = buffer(1'000'000), b = buffer(1'000'000);
  lane.add(kGateOfMany, a, b);
  const Ticket t = lane.submit();
  while (at_gate == 0) std::this_thread::yield();
  lane.stream->cancel();
  gate_is_open = true;
  ASSERT_TRUE(lane.stream->wait(t));
  ASSERT_NE(lane.last->failure_of(0), nullptr);
  EXPECT_EQ(lane.last->failure_of(0)->error.code, Code::Interrupted);
}

// However much one stream has queued, the first part of another's work is the next but a few.
TEST_P(CpuStreamTest, NobodyWaitsForAllThatAnotherStreamHasQueued) {
  for (const bool comes_later : {false, true}) {
    gate_is_open = false, at_gate = 0;
    Lane busy(*device_);
    std::unique_ptr<Lane> small;
    if (!comes_later) small = std::make_unique<Lane>(*device_);
    const Data a = buffer(1), b = buffer(1), c = buffer(1);
    // Where there are one or two threads all of them are at work when the small one comes.
    const int gates = std::min(GetParam(), 2);
    for (int i = 0; i < gates; ++i) busy.add(kGateOnly, a, b, std::vector<i32>{});
    busy.submit();
    Ticket last;
    for (int i = 0; i < 20; ++i) {
      for (int k = 0; k < gates; ++k) busy.add(kSleeps, a, b, std::vector<i32>{});
      last = busy.submit();
    }
    while (at_gate < gates) std::this_thread::yield();
    if (comes_later) small = std::make_unique<Lane>(*device_);
    small->add(kAddOne, a, c);
    const Ticket t = small->submit();
    gate_is_open = true;
    ASSERT_TRUE(small->stream->wait(t));
    EXPECT_FALSE(busy.stream->reached(last)) << "it was served last" << (comes_later ? ", being new" : "");
    EXPECT_EQ(at(c), 1);
  }
}

TEST_P(CpuStreamTest, CancellingEndsAWaitForAnotherStream) {
  Lane first(*device_), second(*device_);
  const Data a = buffer(1), b = buffer(1), c = buffer(1);
  first.add(kGate, a, b);
  const Ticket made = first.submit();
  second.batch->after.push_back(made);
  second.add(kAddOne, b, c);
  const Ticket waiting = second.submit();
  EXPECT_FALSE(second.stream->wait(waiting, 0.01));
  second.stream->cancel();
  EXPECT_TRUE(second.stream->wait(waiting, 10)) << "what was cancelled still waits for another stream";
  EXPECT_FALSE(first.stream->reached(made));
  ASSERT_NE(second.last->failure_of(0), nullptr);
  EXPECT_EQ(second.last->failure_of(0)->error.code, Code::Interrupted);
  EXPECT_EQ(at(c), 0);
  gate_is_open = true;
  ASSERT_TRUE(first.stream->wait(made));
  EXPECT_FALSE(first.last->any_failed()) << "another stream was cancelled";
}

TEST_P(CpuStreamTest, SaysWhatIsBeingComputed) {
  Lane lane(*device_);
  EXPECT_EQ(lane.stream->running().op, nullptr);
  const Data a = buffer(1), b = buffer(1);
  lane.add(kGate, a, b, {}, kGateOp).origin = {FileId{1}, 10, 20};
  const Ticket t = lane.submit();
  while (at_gate == 0) std::this_thread::yield();
  EXPECT_EQ(lane.stream->running().op, &kGateOp);
  EXPECT_EQ(lane.stream->running().origin, (Span{FileId{1}, 10, 20}));
  gate_is_open = true;
  ASSERT_TRUE(lane.stream->wait(t));
  while (lane.stream->running().op != nullptr) std::this_thread::yield();
}

TEST_P(CpuStreamTest, LittleWorkThatIsWaitedForIsDoneAtOnce) {
  Lane lane(*device_);
  const Data a = buffer(1), b = buffer(1), c = buffer(1000);
  lane.add(kNoteThread, a, b), lane.add(kNoteThread, b, b);
  EXPECT_TRUE(lane.stream->reached(lane.submit(Then::Waits)));
  EXPECT_EQ(ran_on, std::this_thread::get_id());
  EXPECT_EQ(at(b), 2);
  lane.add(kNoteThread, a, b);
  ASSERT_TRUE(lane.stream->wait(lane.submit(Then::GoesOn)));
  EXPECT_NE(ran_on, std::this_thread::get_id()) << "whoever goes on must not compute";
  lane.add(kNoteThreadOfMuch, c, c);
  ASSERT_TRUE(lane.stream->wait(lane.submit(Then::Waits)));
  EXPECT_NE(ran_on, std::this_thread::get_id()) << "much work belongs to the pool";
  for (int i = 0; i < 100; ++i) lane.add(kNoteThread, a, b);
  ASSERT_TRUE(lane.stream->wait(lane.submit(Then::Waits)));
  EXPECT_NE(ran_on, std::this_thread::get_id()) << "many commands belong to the pool";
  EXPECT_EQ(at(b), 1);
}

TEST_P(CpuStreamTest, WhatIsWaitedForComesAfterWhatIsQueued) {
  Lane lane(*device_);
  const Data a = buffer(1), b = buffer(1), c = buffer(1);
  lane.add(kSlow, a, b);
  lane.submit();
  lane.add(kAddOne, b, c);
  const Ticket t = lane.submit(Then::Waits);
  ASSERT_TRUE(lane.stream->wait(t));
  EXPECT_EQ(at(c), 2);
  Lane other(*device_);  // and after tickets of other streams
  lane.add(kSlow, c, a);
  other.batch->after.push_back(lane.submit());
  other.add(kAddOne, a, b);
  ASSERT_TRUE(other.stream->wait(other.submit(Then::Waits)));
  EXPECT_EQ(at(b), 4);
}

TEST_P(CpuStreamTest, WhatIsWaitedForFailsAsWell) {
  Lane lane(*device_);
  const Data a = buffer(1), b = buffer(1);
  lane.add(kFails, a, b), lane.add(kAddOne, b, b);
  ASSERT_TRUE(lane.stream->wait(lane.submit(Then::Waits)));
  ASSERT_NE(lane.last->failure_of(0), nullptr);
  EXPECT_EQ(lane.last->failure_of(1), lane.last->failure_of(0));
  EXPECT_EQ(at(b), 0);
}

TEST_P(CpuStreamTest, EmptyAndSkippedCommandsAndBatchesEnd) {
  Lane lane(*device_);
  const Data none = buffer(0), a = buffer(1), b = buffer(1);
  lane.add(kAddOne, none, none), lane.add(kFails, a, b).is_skipped = true, lane.add(kAddOne, a, b);
  ASSERT_TRUE(lane.stream->wait(lane.submit()));
  EXPECT_FALSE(lane.last->any_failed());
  EXPECT_EQ(at(b), 1);
  for (const Then then : {Then::GoesOn, Then::Waits}) EXPECT_TRUE(lane.stream->wait(lane.submit(then)));
}

TEST_P(CpuStreamTest, ACommandMayHaveSeveralOutputs) {
  Lane lane(*device_);
  const Data a = buffer(5000, 3), b = buffer(5000), c = buffer(5000);
  lane.add(kAddAndNegate, a, b);
  lane.batch->operands.push_back({.data = c->data(), .dtype = DType::I64, .dims = {5000}, .strides = {1}});
  lane.batch->commands[0].outputs = 2;
  ASSERT_TRUE(lane.stream->wait(lane.submit()));
  for (i64 i = 0; i < 5000; ++i) {
    ASSERT_EQ(at(b, i), 4);
    ASSERT_EQ(at(c, i), -3);
  }
}

TEST_P(CpuStreamTest, ManyStreamsReadOneBuffer) {
  const Data weight = buffer(3000, 5);
  std::vector<std::unique_ptr<Lane>> lanes;
  std::vector<Data> outputs;
  std::vector<Ticket> tickets;
  for (int i = 0; i < 20; ++i) {
    lanes.push_back(std::make_unique<Lane>(*device_));
    outputs.push_back(buffer(3000));
    lanes.back()->add(kAddOne, weight, outputs.back());
    tickets.push_back(lanes.back()->submit());
    weight->note_use(tickets.back());
  }
  std::vector<Ticket> readers;
  weight->add_unreached(StreamId{}, readers);
  Lane writer(*device_);  // whoever writes over it comes after all of them
  writer.batch->after = readers;
  writer.add(kAddOne, outputs[0], weight);
  ASSERT_TRUE(writer.stream->wait(writer.submit()));
  for (const Ticket& t : tickets) ASSERT_TRUE(Timelines::instance().reached(t));
  for (const Data& out : outputs) {
    for (i64 i = 0; i < 3000; ++i) ASSERT_EQ(at(out, i), 6);
  }
  EXPECT_EQ(at(weight), 7);
}

TEST_P(CpuStreamTest, StreamsOfManyThreadsRunSideBySide) {
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([this] {
      for (int round = 0; round < 5; ++round) {  // ids of streams that end are used again
        Lane lane(*device_);
        const Data a = buffer(3000), b = buffer(3000);
        Ticket last;
        for (int i = 0; i < 40; ++i) {
          lane.add(kAddOne, a, b), lane.add(kAddOne, b, a);
          last = lane.submit();
        }
        ASSERT_TRUE(lane.stream->wait(last));
        for (i64 i = 0; i < 3000; ++i) ASSERT_EQ(at(a, i), 80);
      }
    });
  }
  for (std::thread& t : threads) t.join();
}

TEST_P(CpuStreamTest, TellsItsObserverOfEveryCommandThatRan) {
  struct Seen : CommandObserver {
    void ran(const Batch& b, size_t command, StreamId, i64 begin, i64 end, i64 busy) override {
      const std::lock_guard lock(mutex);
      steps.push_back(b.commands[command].step);
      EXPECT_LE(begin, end);
      EXPECT_GE(busy, 0);
    }
    std::mutex mutex;
    std::vector<i32> steps;
  } seen;
  device_->set_observer(&seen);
  Lane lane(*device_);
  const Data a = buffer(5000), b = buffer(5000);
  for (int i = 0; i < 3; ++i) lane.add(kAddOne, a, b);
  ASSERT_TRUE(lane.stream->wait(lane.submit()));
  EXPECT_EQ(seen.steps, (std::vector<i32>{0, 1, 2}));
  device_->set_observer(nullptr);
}

INSTANTIATE_TEST_SUITE_P(Threads, CpuStreamTest, testing::Values(1, 2, 3, 8));

}  // namespace
}  // namespace tl::cpu
