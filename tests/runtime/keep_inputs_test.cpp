// What a gradient will ask for: the inputs of what was recorded in a KeepInputs scope, whatever happened to
// it.
#include <thread>

#include "tests/runtime/machine.h"
#include "tests/runtime/test_ops.h"

namespace tl {
namespace {

constexpr i64 kBytes = 4 * 1024;  // of one value

i64 in_use(Machine& m) {
  must(m.executor->finish());
  return m.device->memory().in_use_bytes;
}

// Steps that are computed one after the other; gives what they hold in the end.
i64 bytes_of_steps(Machine& m, Tensor& x, int steps, bool flushes) {
  const i64 before = in_use(m);
  for (int i = 0; i < steps; ++i) {
    x = m.op(op_tanh, {x});
    if (flushes) must(m.executor->flush());
  }
  must(m.executor->wait(x));
  return in_use(m) - before;
}

TEST(KeepInputs, MemoryGrowsWithTheStepsInsideOnly) {
  Machine m = Machine::cpu();
  for (const bool flushes : {true, false}) {
    Tensor x = m.noise({1024}, 1), y = x;
    EXPECT_LE(bytes_of_steps(m, y, 1000, flushes), 2 * kBytes) << "outside";
    const i64 before = in_use(m);
    {
      const KeepInputs scope(m.executor->recorder());
      y = x;
      EXPECT_GE(bytes_of_steps(m, y, 1000, flushes), 990 * kBytes) << "inside";
    }
    EXPECT_LE(in_use(m) - before, 2 * kBytes) << "the scope has ended, its inputs are still there";
    y = {};
    EXPECT_LE(in_use(m) - before, 0);
  }
}

TEST(KeepInputs, InputsGoWithWhoHoldsTheResult) {
  Machine m = Machine::cpu();
  const Tensor x = m.noise({1024}, 1);
  const KeepInputs scope(m.executor->recorder());
  const i64 before = in_use(m);
  Tensor y = x;
  bytes_of_steps(m, y, 100, true);
  y = {};  // frees a chain of nodes
  EXPECT_LE(in_use(m) - before, 0);
}

// From the result back to what it was made of, as a gradient goes.
TEST(KeepInputs, InputsCanBeReadAfterwards) {
  for (const bool flushes : {false, true}) {
    for (const int per_batch : {0, 1, 3}) {
      Machine m = Machine::cpu(
          2, {.commands_per_batch = per_batch, .pending_soft_limit = 4, .pending_hard_limit = 7});
      const Tensor x = m.noise({8, 8}, 1);
      std::vector<u64> want;
      Tensor y;
      const KeepInputs scope(m.executor->recorder());
      {
        Machine plain = Machine::cpu(1);
        Tensor z = plain.noise({8, 8}, 1);
        for (int i = 0; i < 20; ++i) {
          want.push_back(checksum(must(plain.executor->read(z))));
          z = plain.op(op_matmul, {plain.op(op_tanh, {z}),
                                   plain.op(op_transpose, {z}, Attrs().with_int(0).with_int(1))});
        }
        want.push_back(checksum(must(plain.executor->read(z))));
      }
      y = x;
      for (int i = 0; i < 20; ++i) {
        y = m.op(op_matmul, {m.op(op_tanh, {y}), m.op(op_transpose, {y}, Attrs().with_int(0).with_int(1))});
        if (flushes && i % 7 == 3) must(m.executor->flush());
        must(m.executor->loop_point());
      }
      must(m.executor->wait(y));
      for (int i = 20; i >= 0; --i) {
        EXPECT_EQ(checksum(must(m.executor->read(y))), want[static_cast<size_t>(i)]) << "step " << i;
        if (i == 0) break;
        ASSERT_EQ(y->inputs.size(), 2) << "step " << i << " lost its inputs";
        ASSERT_EQ(y->inputs[0]->inputs.size(), 1);
        const Tensor before = y->inputs[0]->inputs[0];
        y = before;
      }
      EXPECT_EQ(y, x);
    }
  }
}

TEST(KeepInputs, AnInputThatIsKeptIsNotWrittenOver) {
  Machine m = Machine::cpu();
  const KeepInputs scope(m.executor->recorder());
  Tensor x = m.op(op_tanh, {m.noise({64}, 3)});
  must(m.executor->wait(x));
  const u64 want = checksum(must(m.executor->read(x)));
  const Tensor one = m.f32({1}, {1.0f});
  Tensor y = m.op(op_put_test, {x, one}, Attrs().with_int(2));  // would take the memory of its input
  x = {};
  must(m.executor->wait(y));
  EXPECT_EQ(checksum(must(m.executor->read(y->inputs[0]))), want);
}

TEST(KeepInputs, SeveralOutputsKeepTheOpThatMadeThem) {
  Machine m = Machine::cpu();
  const KeepInputs scope(m.executor->recorder());
  const Tensor x = m.noise({4, 16}, 5);
  const std::vector<Tensor> top = must(m.executor->apply_all(op_topk, {&x, 1}, Attrs().with_int(3)));
  must(m.executor->wait(top[1]));
  ASSERT_EQ(top[1]->inputs.size(), 1);
  ASSERT_EQ(top[1]->inputs[0]->inputs.size(), 1);
  EXPECT_EQ(top[1]->inputs[0]->inputs[0], x);
}

TEST(KeepInputs, AFailureInTheMiddleLeavesTheInputs) {
  Machine m = Machine::cpu();
  const KeepInputs scope(m.executor->recorder());
  const Tensor table = m.noise({4, 8}, 1), ids = m.i32({2}, {1, 9});
  const Tensor good = m.op(op_tanh, {table}), bad = m.op(op_embedding, {good, ids}),
               after = m.op(op_tanh, {bad});
  EXPECT_FALSE(m.executor->wait(after).ok());
  const Tensor later = m.op(op_exp, {after});
  EXPECT_FALSE(m.executor->wait(later).ok());
  ASSERT_EQ(later->inputs.size(), 1);
  ASSERT_EQ(after->inputs.size(), 1);
  EXPECT_EQ(after->inputs[0], bad);
  EXPECT_EQ(bad->inputs[0], good);
  EXPECT_TRUE(m.executor->read(bad->inputs[0]).ok()) << "what came before the failure is there";
}

TEST(KeepInputs, WhatDoesNotFitLeavesTheInputs) {
  Machine m = Machine::cpu(2, {}, 1 << 20);
  const KeepInputs scope(m.executor->recorder());
  const Tensor x = m.noise({64}, 1);
  const Tensor large = m.op(op_broadcast_to, {x}, Attrs().with_ints({1 << 14, 64}));
  const Tensor sum = m.op(op_add, {large, large});
  EXPECT_EQ(m.executor->wait(sum).error().code, Code::OutOfMemory);
  ASSERT_EQ(sum->inputs.size(), 2);
  EXPECT_TRUE(m.executor->read(x).ok());
}

TEST(KeepInputs, AScopeInAnotherEndsWithIt) {
  Machine m = Machine::cpu();
  const Tensor x = m.noise({16}, 1);
  Tensor y;
  {
    const KeepInputs outer(m.executor->recorder());
    {
      const KeepInputs inner(m.executor->recorder());
      y = m.op(op_tanh, {x});
      must(m.executor->wait(y));
    }
    EXPECT_TRUE(m.executor->recorder().keeps_inputs());
    EXPECT_EQ(y->inputs.size(), 1);
  }
  EXPECT_FALSE(m.executor->recorder().keeps_inputs());
  EXPECT_EQ(y->inputs.size(), 0);
  Tensor z = m.op(op_tanh, {y});
  must(m.executor->wait(z));
  EXPECT_EQ(z->inputs.size(), 0);
}

// Recorded inside, computed after the end: an ordinary node by then.
TEST(KeepInputs, WhatIsStillPendingAtTheEndKeepsNothing) {
  Machine m = Machine::cpu();
  const Tensor x = m.noise({16}, 1);
  Tensor y;
  {
    const KeepInputs scope(m.executor->recorder());
    y = m.op(op_tanh, {m.op(op_exp, {x})});
  }
  EXPECT_EQ(y->inputs.size(), 1);
  must(m.executor->wait(y));
  EXPECT_EQ(y->inputs.size(), 0);
}

// A node may die on another thread than its scope's.
TEST(KeepInputs, NodesDieOnAnyThread) {
  Machine m = Machine::cpu();
  for (int round = 0; round < 20; ++round) {
    std::vector<Tensor> made;
    std::thread other;
    {
      const KeepInputs scope(m.executor->recorder());
      const Tensor x = m.noise({16}, 1);
      for (int i = 0; i < 50; ++i) made.push_back(m.op(op_tanh, {i == 0 ? x : made.back()}));
      must(m.executor->flush());
      other = std::thread([mine = std::move(made)]() mutable { mine.clear(); });
    }
    other.join();
  }
}

}  // namespace
}  // namespace tl
