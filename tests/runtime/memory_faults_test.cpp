// Faults of memory: what was never given back, never counted, or copied again and again. Each test is named
// after its fault.
#include <atomic>
#include <thread>

#include "tests/runtime/machine.h"

namespace tl {
namespace {

constexpr i64 kRow = 256;  // floats
constexpr i64 kRowBytes = kRow * 4;

std::unique_ptr<Executor> another(Machine& m) {
  return must(Executor::create(*m.device, {}));
}
Tensor first_rows(Machine& m, const Tensor& x, i64 n) {
  return m.op(op_index, {x}, Attrs().with_ints({0, n, 1, 0, 0, kRow, 1, 0}));
}

// Counts the bytes that appends copy besides their new rows.
class CopiedBytes : public CommandObserver {
 public:
  void ran(const Batch& batch, size_t command, StreamId, i64, i64, i64) override {
    const Command& c = batch.commands[command];
    if (c.op != &op_append_rows) return;
    const Operand &old = batch.inputs_of(c)[0], &out = batch.outputs_of(c)[0];
    bytes += old.numel() * 4 - c.kept_bytes;
    written += out.numel() * 4;
  }
  std::atomic<i64> bytes = 0, written = 0;
};

TEST(FaultsMemory, WhatEndedStreamsHeldWasNotGivenBack) {
  Machine m = Machine::cpu(2);
  const Tensor x = m.noise({200, 200}, 1);
  u64 allocations = 0;
  i64 in_use = 0;
  for (int i = 0; i < 200; ++i) {
    const auto e = another(m);
    Tensor y = x;
    for (int k = 0; k < 3; ++k) y = must(e->apply(op_matmul, {y, x}));
    must(e->submit({&y, 1}));
    if (i == 20)
      allocations = m.device->memory().system_allocations, in_use = m.device->memory().in_use_bytes;
  }
  EXPECT_LE(m.device->memory().system_allocations, allocations + 4);
  EXPECT_LE(m.device->memory().in_use_bytes, in_use + (1 << 20));
  EXPECT_LT(m.device->memory().cached_bytes, 8 << 20);
}

TEST(FaultsMemory, ALoopThatNeverLooksGrewPastTheLimit) {
  constexpr i64 kLimit = 48 << 20;
  Machine m = Machine::cpu(2, {}, kLimit);
  const Tensor x = m.noise({1000, kRow}, 1);
  Tensor last;
  for (int i = 0; i < 800; ++i) {
    last = m.op(op_softmax, {x}, Attrs().with_int(-1));
    last = m.op(op_cumsum, {last}, Attrs().with_int(0));
    must(m.executor->submit({&last, 1}));
  }
  must(m.executor->wait(last));
  EXPECT_LE(m.device->memory().high_water_bytes, kLimit);
}

TEST(FaultsMemory, CachesDidNotCount) {
  constexpr i64 kLimit = 4 << 20;
  Machine m = Machine::cpu(2, {}, kLimit);
  Tensor cache = must(m.executor->reserved(DType::F32, {kRow}, 1'000'000));
  EXPECT_LT(m.device->memory().in_use_bytes, 1 << 20) << "what is only reserved costs nothing";
  const Tensor rows = m.noise({100, kRow}, 1);
  Result<void> done;
  int appended = 0;
  for (; appended < 100 && done.ok(); ++appended) {
    const Tensor grown = m.op(op_append_rows, {cache, rows});
    done = m.executor->wait(grown);
    if (!done.ok()) break;
    cache = grown;
    EXPECT_GE(m.device->memory().in_use_bytes, (appended + 1) * 100 * kRowBytes);
  }
  ASSERT_FALSE(done.ok()) << "past the limit";
  EXPECT_EQ(done.error().code, Code::OutOfMemory);
  EXPECT_GE(appended, 25);
  EXPECT_EQ(static_cast<i64>(m.read(first_rows(m, cache, 3)).size()), 3 * kRow);
}

// The bytes that `appends` appends of a row copy, when somebody looks after every `look_every`-th one.
i64 copied_by(Machine& m, CopiedBytes& copied, Tensor& cache, int appends, int look_every) {
  copied.bytes = 0;
  const Tensor row = m.noise({1, kRow}, 3);
  for (int i = 1; i <= appends; ++i) {
    cache = m.op(op_append_rows, {cache, row});
    if (i % look_every == 0) must(m.executor->wait(cache));
  }
  must(m.executor->wait(cache));
  return copied.bytes;
}

struct Growing {
  Machine m = Machine::cpu(1);
  CopiedBytes copied;
  Tensor cache;

  explicit Growing(i64 capacity, i64 filled) {
    m.device->set_observer(&copied);
    cache = must(m.executor->reserved(DType::F32, {kRow}, capacity));
    cache = m.op(op_append_rows, {cache, m.noise({filled, kRow}, 1)});
    must(m.executor->wait(cache));
  }
};

constexpr i64 kFilled = 1000;
// However it goes on, all that was there is copied once, or twice when it has to move again.
constexpr i64 kMost = 3 * kFilled * kRowBytes;

TEST(FaultsMemory, AfterTruncateEveryAppendCopiedTheCache) {
  for (const int look_every : {1, 10}) {
    Growing g(4000, kFilled);
    for (int round = 0; round < 5; ++round) {
      g.cache = first_rows(g.m, g.cache, kFilled - 100);
      EXPECT_LE(copied_by(g.m, g.copied, g.cache, 100, look_every), round == 0 ? kMost : 0) << round;
    }
  }
}

TEST(FaultsMemory, PastItsCapacityEveryAppendCopiedTheCache) {
  for (const int look_every : {1, 10}) {
    Growing g(kFilled, kFilled);
    EXPECT_LE(copied_by(g.m, g.copied, g.cache, 400, look_every), kMost) << look_every;
  }
}

TEST(FaultsMemory, OnTheLosingSideOfAForkEveryAppendCopiedTheCache) {
  for (const int look_every : {1, 10}) {
    Growing g(4000, kFilled);
    Tensor fork = g.cache;
    EXPECT_EQ(copied_by(g.m, g.copied, g.cache, 100, look_every), 0) << "the first one to go on";
    EXPECT_LE(copied_by(g.m, g.copied, fork, 300, look_every), kMost) << look_every;
    EXPECT_EQ(copied_by(g.m, g.copied, g.cache, 100, look_every), 0);
  }
}

TEST(FaultsMemory, AppendsNobodyLookedAtCopiedTheCacheEachTime) {
  Growing g(kFilled, kFilled);
  EXPECT_LE(copied_by(g.m, g.copied, g.cache, 200, 1000), kMost);
}

TEST(FaultsMemory, MemoryGrewWithLayersAndSteps) {
  constexpr int kLayers = 22;
  Machine m = Machine::cpu(2);
  const Tensor w = m.noise({32, 32}, 1);
  Tensor x = m.noise({46, 32}, 2);
  i64 in_use = 0;
  u64 allocations = 0, plans = 0;
  for (int step = 0; step < 600; ++step) {
    for (int layer = 0; layer < kLayers; ++layer) {
      x = m.op(op_softmax, {m.op(op_add, {m.op(op_matmul, {x, w}), x})}, Attrs().with_int(-1));
    }
    must(m.executor->wait(x));
    if (step != 10) continue;
    in_use = m.device->memory().in_use_bytes;
    allocations = m.device->memory().system_allocations;
    plans = m.executor->stats().plans_made;
  }
  EXPECT_EQ(m.device->memory().in_use_bytes, in_use);
  EXPECT_EQ(m.device->memory().system_allocations, allocations);
  EXPECT_EQ(m.executor->stats().plans_made, plans);
}

TEST(FaultsMemory, APoolWaitedForAStreamThatIsNobodys) {
  Machine m = Machine::cpu(1, {}, 1 << 20);
  Tensor result;
  {
    const auto e = another(m);
    const Tensor x = m.noise({100, kRow}, 1);
    for (int i = 0; i < 3; ++i) {
      result = must(e->apply(op_exp, {x}));
      must(e->wait(result));
    }
  }
  result = {};  // its stream has ended: the memory is everybody's
  Tensor literal = m.noise({100, kRow}, 2);
  literal = {};
  // Room has to be made, for which the pool waits for whatever its free memory is still in.
  EXPECT_TRUE(m.executor->wait(m.op(op_exp, {m.noise({300, kRow}, 3)})).ok());
}

TEST(FaultsMemory, WhatAFailedRunHeldWasNotGivenBack) {
  Machine m = Machine::cpu(2, {}, 4 << 20);
  const Tensor x = m.noise({100, kRow}, 1);
  must(m.executor->wait(m.op(op_exp, {x})));
  const i64 in_use = m.device->memory().in_use_bytes;
  for (int i = 0; i < 20; ++i) {
    const Tensor much = m.op(op_broadcast_to, {x}, Attrs().with_ints({100, 100, kRow}));
    EXPECT_FALSE(m.executor->wait(m.op(op_softmax, {much}, Attrs().with_int(-1))).ok());
  }
  EXPECT_EQ(m.device->memory().in_use_bytes, in_use);
  EXPECT_TRUE(m.executor->wait(m.op(op_exp, {x})).ok());
}

}  // namespace
}  // namespace tl
