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
void always_fails(KernelCall& call) {
  call.fail("it went wrong");
}
double expensive(const KernelCall&) {
  return 100;
}

const Kernel kAddOne{.run = add_one, .unit_cost = expensive};
const Kernel kSlow{.run = sleep_a_little, .units = [](const KernelCall&) -> i64 { return 1; }};
const Kernel kFails{.run = always_fails};
const OpDef kOp{.name = "test_op"};

class CpuStreamTest : public testing::TestWithParam<int> {
 protected:
  CpuStreamTest() : device_(std::move(*create_device({.threads = GetParam()}))) {}

  std::shared_ptr<Buffer> buffer(i64 n, i64 value, CommandStream& stream) {
    auto b = std::move(*device_->allocate(n * 8, stream.id()));
    for (i64 i = 0; i < n; ++i) reinterpret_cast<i64*>(b->data())[i] = value;
    return b;
  }
  static Operand operand(const Buffer& b, i64 n) {
    return {.data = b.data(), .dtype = DType::I64, .dims = {n}, .strides = {1}};
  }
  static Command command(const Kernel& kernel, const Buffer& from, const Buffer& to, i64 n) {
    Command c;
    c.op = &kOp;
    c.kernel = &kernel;
    c.inputs.push_back(operand(from, n));
    c.output = operand(to, n);
    c.accesses.push_back({from.id(), 0, n * 8, Access::Mode::Read});
    c.accesses.push_back({to.id(), 0, n * 8, Access::Mode::Write});
    return c;
  }

  std::unique_ptr<Device> device_;
};

TEST_P(CpuStreamTest, KeepsTheOrderOfConflictingCommands) {
  const auto stream = device_->create_stream();
  const i64 n = 5000;
  const auto a = buffer(n, 0, *stream), b = buffer(n, 0, *stream);
  for (int round = 0; round < 200; ++round) {  // a and b alternate as source and target
    std::vector<Command> batch;
    for (int i = 0; i < 10; ++i)
      batch.push_back(i % 2 == 0 ? command(kAddOne, *a, *b, n) : command(kAddOne, *b, *a, n));
    ASSERT_TRUE(stream->submit(std::move(batch)).ok());
  }
  const Ticket last = std::move(*stream->submit({}));
  ASSERT_TRUE(stream->wait(last).ok());
  for (i64 i = 0; i < n; ++i) ASSERT_EQ(reinterpret_cast<i64*>(a->data())[i], 2000) << i;
}

TEST_P(CpuStreamTest, ReplaysAPreparedBatch) {
  const auto stream = device_->create_stream();
  const auto a = buffer(100, 0, *stream), b = buffer(100, 0, *stream);
  const std::vector<Command> batch{command(kAddOne, *a, *b, 100), command(kAddOne, *b, *a, 100)};
  const PreparedId plan = std::move(*stream->prepare(batch));
  Ticket last;
  for (int i = 0; i < 50; ++i) last = std::move(*stream->replay(plan, batch));
  ASSERT_TRUE(stream->wait(last).ok());
  EXPECT_EQ(reinterpret_cast<i64*>(a->data())[99], 100);
}

TEST_P(CpuStreamTest, SubmitReturnsBeforeTheWorkIsDone) {
  const auto stream = device_->create_stream();
  const auto a = buffer(1, 0, *stream), b = buffer(1, 0, *stream);
  const Ticket t = std::move(*stream->submit({command(kSlow, *a, *b, 1)}));
  EXPECT_FALSE(stream->reached(t));
  ASSERT_TRUE(stream->wait(t).ok());
  EXPECT_TRUE(stream->reached(t));
  EXPECT_EQ(reinterpret_cast<i64*>(b->data())[0], 1);
}

TEST_P(CpuStreamTest, AFailureNamesItsOpAndStopsWhatFollows) {
  const auto stream = device_->create_stream();
  const auto a = buffer(4, 0, *stream), b = buffer(4, 7, *stream), c = buffer(4, 9, *stream);
  const Ticket t = std::move(*stream->submit({command(kFails, *a, *b, 4), command(kAddOne, *b, *c, 4)}));
  const Result<void> done = stream->wait(t);
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().message, "test_op: it went wrong (operands: int64[4])");
  EXPECT_EQ(reinterpret_cast<i64*>(c->data())[0], 9) << "a command after a failure ran";
}

TEST_P(CpuStreamTest, AFailureLeavesWhatWasDoneBefore) {
  const auto stream = device_->create_stream();
  const auto a = buffer(4, 0, *stream), b = buffer(4, 7, *stream), c = buffer(4, 9, *stream);
  const Ticket before = std::move(*stream->submit({command(kAddOne, *a, *c, 4)}));
  const Ticket failed = std::move(*stream->submit({command(kFails, *a, *b, 4)}));
  const Ticket after = std::move(*stream->submit({command(kAddOne, *a, *c, 4)}));
  EXPECT_FALSE(stream->wait(after).ok());
  EXPECT_FALSE(stream->wait(failed).ok());
  EXPECT_TRUE(stream->wait(before).ok());
}

TEST_P(CpuStreamTest, WaitsForTicketsOfOtherStreams) {
  const auto first = device_->create_stream(), second = device_->create_stream();
  const auto a = buffer(1, 0, *first), b = buffer(1, 0, *first), c = buffer(1, 0, *second);
  const Ticket made = std::move(*first->submit({command(kSlow, *a, *b, 1)}));
  Command next = command(kAddOne, *b, *c, 1);
  next.after.push_back(made);
  const Ticket t = std::move(*second->submit({next}));
  ASSERT_TRUE(second->wait(t).ok());
  EXPECT_EQ(reinterpret_cast<i64*>(c->data())[0], 2);
}

TEST_P(CpuStreamTest, StreamsOfManyThreadsRunSideBySide) {
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([this] {
      const auto stream = device_->create_stream();
      const auto a = buffer(3000, 0, *stream), b = buffer(3000, 0, *stream);
      for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(stream->submit({command(kAddOne, *a, *b, 3000), command(kAddOne, *b, *a, 3000)}).ok());
      }
      ASSERT_TRUE(stream->wait(std::move(*stream->submit({}))).ok());
      for (i64 i = 0; i < 3000; ++i) ASSERT_EQ(reinterpret_cast<i64*>(a->data())[i], 200);
    });
  }
  for (std::thread& t : threads) t.join();
}

INSTANTIATE_TEST_SUITE_P(Threads, CpuStreamTest, testing::Values(1, 2, 3, 8));

}  // namespace
}  // namespace tl::cpu
