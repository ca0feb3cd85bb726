// Faults of failures: what went on, went missing or stood still after something had failed. Each test is
// named after its fault.
#include <fmt/format.h>

#include <thread>

#include "tests/runtime/machine.h"
#include "tl/base/fail_point.h"

namespace tl {
namespace {

// Failures on purpose end with the test.
class FaultsFailures : public testing::Test {
 protected:
  ~FaultsFailures() override { must(set_fail_points("")); }
};

std::unique_ptr<Executor> another(Machine& m, ExecOptions options = {}) {
  return must(Executor::create(*m.device, std::move(options)));
}
Tensor softmax(Machine& m, const Tensor& x) {
  return m.op(op_softmax, {x}, Attrs().with_int(-1));
}
// A value whose computation fails when it runs.
Tensor failing(Machine& m, int index = 99) {
  return m.op(op_embedding, {m.noise({4, 8}, 1), m.i32({2}, {1, index})});
}
std::string message_of(Executor& e, const Tensor& t) {
  const Result<HostTensor> host = e.read(t);
  return host.ok() ? "no failure" : host.error().message;
}
bool names(const std::string& message, std::string_view what) {
  return message.find(what) != std::string::npos;
}

TEST_F(FaultsFailures, AnotherExecutorReadAFailedTensorAsANumber) {
  Machine m = Machine::cpu();
  const Tensor bad = failing(m);
  must(m.executor->submit({&bad, 1}));
  const auto e = another(m);
  EXPECT_TRUE(names(message_of(*e, bad), "embedding"));
  const Tensor sum = must(e->apply(op_add, {bad, bad}));
  EXPECT_TRUE(names(message_of(*e, sum), "embedding")) << message_of(*e, sum);
  const Tensor row = must(e->apply(op_index, {bad}, Attrs().with_ints({0, 1, 1, 0, 0, 8, 1, 0})));
  EXPECT_TRUE(names(message_of(*e, row), "embedding")) << "through a view";
}

TEST_F(FaultsFailures, AnotherExecutorReadWhatHadNotFailedYet) {
  for (int i = 0; i < 30; ++i) {
    Machine m = Machine::cpu(2);
    Tensor x = m.noise({200, 200}, 1);
    for (int k = 0; k < 3; ++k) x = m.op(op_matmul, {x, x});
    const Tensor at = m.op(
        op_cast,
        {m.op(op_add, {m.op(op_mul, {x, scalar_tensor(0.0, DType::F32)}), scalar_tensor(500.0, DType::F32)})},
        Attrs().with_dtype(DType::I32));
    const Tensor bad = m.op(op_embedding, {m.noise({4, 8}, 1), m.reshape(at, {40000})});
    must(m.executor->submit({&bad, 1}));
    const auto e = another(m);
    const Tensor next = must(e->apply(op_exp, {bad}));
    EXPECT_TRUE(names(message_of(*e, next), "embedding")) << i;
  }
}

TEST_F(FaultsFailures, AStreamEndedForGoodAfterAFailure) {
  Machine m = Machine::cpu();
  const std::string want = m.sum_of(softmax(m, m.noise({9, 9}, 2)));
  for (int i = 0; i < 3; ++i) {
    EXPECT_NE(message_of(*m.executor, failing(m)), "no failure");
    EXPECT_EQ(m.sum_of(softmax(m, m.noise({9, 9}, 2))), want);
  }
}

TEST_F(FaultsFailures, UnrelatedWorkOfTheSameRunFailedToo) {
  Machine m = Machine::cpu();
  const Tensor x = m.noise({9, 9}, 2);
  const std::string want = m.sum_of(softmax(m, x));
  const Tensor bad = failing(m), child = m.op(op_exp, {bad}), good = softmax(m, x);
  must(m.executor->submit(std::vector<Tensor>{bad, child, good}));
  EXPECT_EQ(m.sum_of(good), want);
  EXPECT_TRUE(names(message_of(*m.executor, child), "embedding"));
}

TEST_F(FaultsFailures, AFailedNodeWasNotMarkedAndHeldUpTheOthers) {
  Machine m = Machine::cpu(2, {}, 8 << 20);
  const Tensor x = m.noise({1000}, 1);
  const Tensor big = m.op(
      op_add, {m.op(op_broadcast_to, {x}, Attrs().with_ints({10000, 1000})), scalar_tensor(1.0, DType::F32)});
  const Tensor child = m.op(op_softmax, {big}, Attrs().with_int(0)), good = m.op(op_exp, {x});
  EXPECT_FALSE(m.executor->wait(big).ok());
  EXPECT_EQ(big->state, NodeState::Failed);
  EXPECT_FALSE(m.executor->wait(child).ok());
  EXPECT_EQ(child->state, NodeState::Failed);
  EXPECT_EQ(m.read(good).size(), 1000u);
  EXPECT_EQ(m.executor->recorder().pending_count(), 0);
}

TEST_F(FaultsFailures, AFailedNodeTookAwayWhatTheRestOfTheRunWasMadeOf) {
  Machine m = Machine::cpu();
  must(set_fail_points("alloc:1"));
  Result<Tensor> none = m.executor->from_host({DType::F32, {4}}, std::vector<std::byte>(16));
  ASSERT_FALSE(none.ok());
  const Tensor failed(new Node);
  failed->type = {DType::F32, {1000}};
  failed->state = NodeState::Failed;
  failed->failure = make_failure(none.error());
  const Tensor x = m.noise({1000}, 1);
  // Only the node that fails holds softmax's result.
  const Tensor child = m.op(op_add, {softmax(m, m.op(op_exp, {x})), failed});
  const Tensor good = m.op(op_exp, {x});
  must(m.executor->flush());
  EXPECT_EQ(child->state, NodeState::Failed);
  EXPECT_EQ(m.read(good).size(), 1000u);
}

TEST_F(FaultsFailures, GrantedRowsWereLostAfterAFailure) {
  Machine m = Machine::cpu();
  Tensor cache = must(m.executor->reserved(DType::F32, {64}, 100));
  cache = m.op(op_append_rows, {cache, m.noise({10, 64}, 1)});
  must(m.executor->wait(cache));
  const Tensor rows = m.op(op_exp, {m.noise({500, 64}, 2)});
  must(m.executor->wait(rows));
  const Tensor appended =
      m.op(op_append_rows,
           {cache, m.op(op_softmax, {m.op(op_index, {rows}, Attrs().with_ints({0, 20, 1, 0, 0, 64, 1, 0}))},
                        Attrs().with_int(-1))});
  must(set_fail_points("alloc:1"));
  EXPECT_FALSE(m.executor->wait(appended).ok());
  must(set_fail_points(""));
  EXPECT_EQ(cache->value.buffer->used_bytes.load(), 10 * 64 * 4) << "rows that nobody wrote are taken";
  const Tensor next = m.op(op_append_rows, {cache, m.noise({3, 64}, 3)});
  EXPECT_EQ(m.read(next).size(), 13u * 64);
  EXPECT_EQ(next->value.buffer, cache->value.buffer) << "it was copied, for want of its own rows";
}

TEST_F(FaultsFailures, AFailedAppendReadAsRows) {
  Machine m = Machine::cpu();
  Tensor cache = must(m.executor->reserved(DType::F32, {8}, 100));
  cache = m.op(op_append_rows, {cache, m.noise({2, 8}, 1)});
  const Tensor good = cache;
  cache = m.op(op_append_rows, {cache, failing(m)});
  cache = m.op(op_append_rows, {cache, m.noise({2, 8}, 2)});
  EXPECT_TRUE(names(message_of(*m.executor, cache), "embedding"));
  EXPECT_EQ(m.read(good).size(), 16u);
  const Tensor again = m.op(op_append_rows, {good, m.noise({2, 8}, 3)});
  EXPECT_EQ(m.read(again).size(), 32u);
}

TEST_F(FaultsFailures, EveryCommandMayFailAndNothingHangs) {
  const auto program = [](Machine& m) {
    Tensor cache = must(m.executor->reserved(DType::F32, {8}, 4));
    Tensor x = m.noise({4, 8}, 3);
    std::vector<Tensor> looked_at;
    for (int i = 0; i < 4; ++i) {
      x = softmax(m, m.op(op_linear, {x, m.noise({8, 8}, 5)}));
      cache = m.op(op_append_rows, {cache, x});
      looked_at.push_back(m.op(op_sum, {cache}, Attrs().with_int(0)));
      looked_at.push_back(m.op(op_tanh, {m.op(op_exp, {x})}));
    }
    return looked_at;
  };
  std::vector<std::string> want;
  Machine reference = Machine::cpu(1, {.eager = true});
  for (const Tensor& t : program(reference)) want.push_back(reference.sum_of(t));
  for (int command = 1; command <= 24; ++command) {
    Machine m = Machine::cpu(2);
    const std::vector<Tensor> values = program(m);
    must(set_fail_points(fmt::format("command:{}", command)));
    int failed = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      const Result<HostTensor> host = m.executor->read(values[i]);
      if (host.ok()) {
        EXPECT_EQ(checksum_hex(checksum(host.value())), want[i]) << "command " << command << ", value " << i;
      } else {
        ++failed;
        EXPECT_TRUE(names(host.error().message, "failed on purpose")) << host.error().message;
        EXPECT_GT(host.error().message.find("failed"), 2u) << "names no op: " << host.error().message;
      }
    }
    must(set_fail_points(""));
    EXPECT_TRUE(failed > 0 || command > 1) << "nothing failed";
    const std::vector<Tensor> again = program(m);
    for (size_t i = 0; i < again.size(); ++i) EXPECT_EQ(m.sum_of(again[i]), want[i]);
  }
}

TEST_F(FaultsFailures, AFailureNobodyLookedAtWasForgotten) {
  Machine m = Machine::cpu();
  {
    const Tensor bad = failing(m);
    must(m.executor->submit({&bad, 1}));
  }
  m.read(m.op(op_exp, {m.noise({4}, 1)}));
  const Result<void> end = m.executor->finish();
  ASSERT_FALSE(end.ok());
  EXPECT_TRUE(names(end.error().message, "embedding"));
}

TEST_F(FaultsFailures, APlanThatRanBeforeFailsAndRunsAgain) {
  Machine m = Machine::cpu();
  const Tensor table = m.noise({4, 8}, 1);
  const auto pick = [&](int index) {
    return m.op(op_exp, {m.op(op_embedding, {table, m.i32({2}, {1, index})})});
  };
  const std::string want = m.sum_of(pick(2));
  EXPECT_TRUE(names(message_of(*m.executor, pick(7)), "embedding"));
  EXPECT_EQ(m.sum_of(pick(2)), want);
  EXPECT_GT(m.executor->stats().plans_reused, 1u);
}

}  // namespace
}  // namespace tl
