// What the executor does while work is under way: bounds, deadlines, interrupts, failures between threads.
#include "tl/exec/executor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <functional>
#include <thread>

#include "tl/base/fail_point.h"
#include "tl/device/held_device_testing.h"
#include "tl/ops/ops.h"

namespace tl {
namespace {

using namespace std::chrono_literals;

// x[0] = x[0] + 1, over x where nobody else needs it.
void run_bump(KernelCall& call) {
  const float* const in = call.in[0].ptr<float>();
  float* const out = call.out.mutable_ptr<float>();
  for (i64 i = call.begin; i < call.end; ++i) {
    if (i == 0 || out != in) out[i] = in[i] + (i == 0 ? 1.0f : 0.0f);
  }
}
Result<TensorType> infer_same(const InferContext& c) {
  return c.input(0);
}
const OpDef kBump{.name = "bump",
                  .infer = infer_same,
                  .batch = Batching("is a test's"),
                  .reference = {.run = run_bump},
                  .cpu = {.run = run_bump},
                  .donates = true};

class Held : public testing::Test {
 protected:
  ~Held() override { device.open(); }

  Tensor op(Executor& on, const OpDef& def, std::initializer_list<Tensor> inputs, Attrs attrs = {}) {
    return *on.apply(def, inputs, std::move(attrs), line);
  }
  Tensor op(const OpDef& def, std::initializer_list<Tensor> inputs, Attrs attrs = {}) {
    return op(*executor, def, inputs, std::move(attrs));
  }
  Tensor floats(i64 n, float value) {
    const std::vector<float> values(static_cast<size_t>(n), value);
    return *executor->from_host({DType::F32, {n}}, std::as_bytes(std::span(values)));
  }
  static StreamId stream_of(const Tensor& t) { return static_cast<StreamId>(t->value.stream); }
  void restart(ExecOptions options) { executor = *Executor::create(device, std::move(options)); }

  HeldDevice device;
  const Span line{FileId{1}, 10, 20};
  std::unique_ptr<Executor> executor = *Executor::create(device, {});
};

TEST_F(Held, SubmittingAndFlushingWaitForNothing) {
  const Tensor x = floats(4, 0), y = op(op_exp, {x});
  ASSERT_TRUE(executor->submit({&y, 1}).ok());
  const Tensor z = op(op_exp, {y});
  ASSERT_TRUE(executor->flush().ok());
  EXPECT_EQ(device.queued_batches(), 2u);
  EXPECT_EQ(executor->recorder().pending_count(), 0);
  device.open();
  EXPECT_NEAR(executor->read(z)->as_double(3), std::exp(1.0), 1e-6);
}

// A thread that submits without ever looking, until it is interrupted.
class Loop {
 public:
  Loop(Executor& executor, std::function<Tensor()> make) : executor_(executor), make_(std::move(make)) {
    executor_.set_cancel_check([this] { return stop_.load(); });
    thread_ = std::thread([this] { run(); });
  }
  ~Loop() { stop(); }

  // How many it has submitted when it stands still.
  size_t settled() const {
    size_t before = 0;
    for (int still = 0; still < 3; std::this_thread::sleep_for(100ms)) {
      still = submitted_ > 0 && submitted_ == before ? still + 1 : 0;
      before = submitted_;
    }
    return before;
  }
  StreamId stream() const { return stream_; }
  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    executor_.set_cancel_check({});
  }

 private:
  void run() {
    std::vector<Tensor> held;  // memory that is used again would be waited for where it is poisoned
    for (int i = 0; i < 30'000; ++i) {
      held.push_back(make_());
      const Result<void> done = executor_.submit({&held.back(), 1});
      if (!done.ok()) {
        EXPECT_EQ(done.error().code, Code::Interrupted);
        return;
      }
      stream_ = static_cast<StreamId>(held.back()->value.stream);
      ++submitted_;
    }
    ADD_FAILURE() << "nothing held the loop up";
  }

  Executor& executor_;
  const std::function<Tensor()> make_;
  std::atomic<size_t> submitted_{0};
  std::atomic<StreamId> stream_{};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

TEST_F(Held, TheQueueIsKeptAtItsBound) {
  const Tensor x = floats(4, 0);
  Loop loop(*executor, [&] { return op(op_exp, {x}); });
  const size_t bound = loop.settled();
  EXPECT_EQ(device.queued_commands(), bound);
  EXPECT_GT(bound, 100u) << "a queue that short makes the program wait for every step";
  EXPECT_LT(bound, 10'000u);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(device.let_go(loop.stream()));
  EXPECT_EQ(loop.settled(), bound + 5) << "room for five is room for five";
  loop.stop();
  EXPECT_EQ(device.queued_batches(), 0u) << "what was cancelled is still queued";
}

TEST_F(Held, TheQueueIsBoundedInBytesToo) {
  if (std::getenv("TL_POISON") != nullptr)
    GTEST_SKIP() << "memory that is not computed in must not be touched";
  Loop loop(*executor, [&] {  // 64 MiB each
    return op(op_zeros, {}, Attrs().with_dtype(DType::F32).with_ints({16 << 20}));
  });
  const size_t bound = loop.settled();
  EXPECT_GT(bound, 2u);
  EXPECT_LT(bound, 200u);
}

TEST_F(Held, AWaitThatTakesTooLongNamesWhatIsStuck) {
  restart({.wait_timeout_seconds = 0.05});
  const Tensor x = floats(4, 0), y = op(op_exp, {x});
  const Result<void> late = executor->wait(y);
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error().code, Code::Device);
  EXPECT_TRUE(late.error().message.starts_with("waited 0.0")) << late.error().message;
  EXPECT_TRUE(late.error().message.ends_with(" s: exp is not done (TL_WAIT_TIMEOUT)"))
      << late.error().message;
  EXPECT_EQ(late.error().where, line);
  device.open();
  EXPECT_EQ(executor->read(y)->as_double(0), 1) << "a wait that was too short spoilt the value";
}

TEST_F(Held, AWaitForAnotherStreamSaysSo) {
  const Tensor y = op(op_exp, {floats(4, 0)});
  ASSERT_TRUE(executor->submit({&y, 1}).ok());
  const auto other = *Executor::create(device, {.wait_timeout_seconds = 0.02});
  const Result<void> late = other->wait(y);
  ASSERT_FALSE(late.ok());
  EXPECT_TRUE(late.error().message.ends_with(": work of another stream is not done (TL_WAIT_TIMEOUT)"))
      << late.error().message;
}

TEST_F(Held, AnInterruptCancelsWhatWasSubmittedAndNothingLater) {
  bool interrupted = true;
  executor->set_cancel_check([&] { return interrupted; });
  const Tensor x = floats(4, 0), y = op(op_exp, {x});
  ASSERT_TRUE(executor->submit({&y, 1}).ok());
  const Tensor z = op(op_exp, {y});
  const Result<HostTensor> read = executor->read(z);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code, Code::Interrupted);
  EXPECT_EQ(device.queued_batches(), 0u);
  interrupted = false;
  device.open();
  for (const Tensor& t : {y, z, op(op_exp, {z})}) {
    const Result<HostTensor> again = executor->read(t);
    ASSERT_FALSE(again.ok()) << "a value that was never computed was read";
    EXPECT_EQ(again.error().code, Code::Interrupted);
  }
  EXPECT_EQ(executor->read(op(op_exp, {x}))->as_double(3), 1);
}

// One step at a time, the wait comes in the middle of handing the steps over.
TEST_F(Held, AnInterruptOfEagerWorkLeavesNothingHalfDone) {
  restart({.eager = true});
  bool interrupted = false;
  executor->set_cancel_check([&] { return interrupted; });
  Tensor x = floats(4, 0);
  x = op(kBump, {x});  // writes over its input
  x = op(op_exp, {op(kBump, {x})});
  interrupted = true;
  const Result<HostTensor> read = executor->read(x);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code, Code::Interrupted);
  interrupted = false;
  device.open();
  const Result<HostTensor> again = executor->read(x);
  ASSERT_FALSE(again.ok()) << "a value was made of an input that had been written over";
  EXPECT_EQ(again.error().code, Code::Interrupted);
}

TEST_F(Held, MemoryStaysUntilWorkThatWasGivenUpIsDone) {
  restart({.eager = true, .wait_timeout_seconds = 0.02});
  Tensor x = floats(100'000, 7), y = op(op_exp, {x});
  const std::byte* const in = x->value.buffer->data();
  ASSERT_FALSE(executor->wait(y).ok());
  x = {}, y = {};
  std::vector<Tensor> others;
  for (int i = 0; i < 4; ++i) {
    others.push_back(floats(100'000, 8));
    EXPECT_NE(others.back()->value.buffer->data(), in) << "memory was taken while a command reads it";
  }
}

TEST_F(Held, MemoryOfACommandThatIsQueuedIsNotGivenAway) {
  Tensor x = floats(100'000, 7), y = op(op_exp, {x});
  ASSERT_TRUE(executor->submit({&y, 1}).ok());
  const std::byte *const in = x->value.buffer->data(), *const out = y->value.buffer->data();
  x = {}, y = {};
  for (int i = 0; i < 4; ++i) {
    const Tensor fresh = floats(100'000, 8);
    EXPECT_TRUE(fresh->value.buffer->data() != in && fresh->value.buffer->data() != out);
  }
}

TEST_F(Held, ValuesCrossThreadsWithTheirTickets) {
  const Tensor y = op(op_exp, {floats(4, 0)});
  ASSERT_TRUE(executor->submit({&y, 1}).ok());
  const auto other = *Executor::create(device, {});
  const Tensor z = op(*other, op_exp, {y});
  ASSERT_TRUE(other->submit({&z, 1}).ok());
  EXPECT_FALSE(device.let_go(stream_of(z))) << "does not wait for the stream that computes its input";
  EXPECT_TRUE(device.let_go(stream_of(y)));
  EXPECT_TRUE(device.let_go(stream_of(z)));
  EXPECT_NEAR(other->read(z)->as_double(0), std::exp(1.0), 1e-6);
}

TEST_F(Held, AFailureCrossesThreads) {
  const Tensor y = op(op_exp, {floats(4, 0)}), view = op(op_reshape, {y}, Attrs().with_ints({2, 2}));
  const Tensor roots[] = {y, view};
  ASSERT_TRUE(executor->submit(roots).ok());
  const auto other = *Executor::create(device, {});
  const Tensor z = op(*other, op_neg, {y}), through_view = op(*other, op_neg, {view}),
               beside = op(*other, op_neg, {floats(4, 2)});
  const Tensor theirs[] = {z, through_view, beside};
  ASSERT_TRUE(other->submit(theirs).ok());
  ASSERT_TRUE(set_fail_points("op:exp:1").ok());
  device.open();
  ASSERT_TRUE(set_fail_points("").ok());
  for (const Tensor& t : {z, through_view, op(*other, op_neg, {z})}) {
    const Result<HostTensor> read = other->read(t);
    ASSERT_FALSE(read.ok());
    EXPECT_TRUE(read.error().message.starts_with("exp: failed on purpose")) << read.error().message;
    EXPECT_EQ(read.error().where, line);
  }
  EXPECT_EQ(other->read(beside)->as_double(0), -2);
  EXPECT_FALSE(executor->read(y).ok());
  EXPECT_TRUE(other->finish().ok() && executor->finish().ok()) << "told twice";
}

TEST_F(Held, WritingOverAValueComesAfterItsReadersOnOtherStreams) {
  Tensor x = floats(4, 1);
  const auto other = *Executor::create(device, {});
  Tensor y = op(*other, op_neg, {x});
  ASSERT_TRUE(other->submit({&y, 1}).ok());
  const Buffer* const buffer = x->value.buffer.get();
  const Tensor bumped = op(kBump, {std::exchange(x, {})});
  ASSERT_TRUE(executor->submit({&bumped, 1}).ok());
  ASSERT_EQ(bumped->value.buffer.get(), buffer) << "nobody holds x any more";
  EXPECT_FALSE(device.let_go(stream_of(bumped))) << "written over under a reader";
  EXPECT_TRUE(device.let_go(stream_of(y)));
  EXPECT_TRUE(device.let_go(stream_of(bumped)));
  EXPECT_EQ(other->read(y)->as_double(0), -1);
  EXPECT_EQ(executor->read(bumped)->as_double(0), 2);
}

TEST_F(Held, AValueThatDoesNotFitFailsAndTheRestIsComputed) {
  HeldDevice small(1 << 20);
  small.open();
  const auto e = *Executor::create(small, {});
  const Tensor big = op(*e, op_zeros, {}, Attrs().with_dtype(DType::F32).with_ints({1 << 20}));
  const Tensor fine = op(*e, op_zeros, {}, Attrs().with_dtype(DType::F32).with_ints({1 << 10}));
  const Tensor of_big = op(*e, op_exp, {big});
  const Result<void> flushed = e->flush();
  ASSERT_FALSE(flushed.ok());
  EXPECT_EQ(flushed.error().code, Code::OutOfMemory);
  EXPECT_TRUE(flushed.error().message.starts_with(
      "zeros giving float32[1048576]: 4194304 bytes more would pass the memory limit"))
      << flushed.error().message;
  EXPECT_EQ(flushed.error().where, line);
  EXPECT_FALSE(e->read(big).ok());
  EXPECT_FALSE(e->read(of_big).ok());
  EXPECT_EQ(e->read(fine)->as_double(5), 0);
  EXPECT_LE(small.memory().in_use_bytes, 1 << 13) << "memory of a run that failed is lost";
}

}  // namespace
}  // namespace tl
