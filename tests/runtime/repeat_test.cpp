// Rounds that repeat until a count is zero: the same bits as the loop written out, in memory that does not
// grow, and an end whatever happens.
#include "tl/exec/repeat.h"

#include <chrono>
#include <thread>

#include "tests/runtime/machine.h"
#include "tests/runtime/test_ops.h"
#include "tl/observe/validate.h"

namespace tl {
namespace {

Machine validating() {
  auto device = must(cpu::create_device({.threads = 2, .simd = {}, .memory_limit_bytes = 0}));
  return Machine::on(std::make_unique<ValidatingDevice>(std::move(device)), {});
}

using State = std::vector<Tensor>;
// The state after, and the count last.
using Round = std::function<State(Machine&, const State&)>;

Result<State> try_repeat(Machine& m, const State& state, const Round& round, i64 limit) {
  std::unique_ptr<Trace> body;
  {
    RoundRecorder recorder(*m.executor, {});
    TL_TRY_DO(recorder.begin(state));
    State next = round(m, recorder.state());
    Tensor count = next.back();
    next.pop_back();
    TL_TRY(body, recorder.finish(std::move(next), std::move(count)));
  }
  return m.executor->repeat(std::move(body), state, limit);
}

State repeat(Machine& m, const State& state, const Round& round, i64 limit = 1000000) {
  return must(try_repeat(m, state, round, limit));
}

// The loop written out.
State loop(Machine& m, State state, const Round& round, i64 limit = 1000000) {
  for (i64 i = 0; i < limit; ++i) {
    State next = round(m, state);
    Tensor count = next.back();
    next.pop_back();
    state = std::move(next);
    if (must(m.executor->item_int(count)) == 0 || i + 1 == limit) {
      state.push_back(m.op(op_cast, {count}, Attrs().with_dtype(DType::I64)));
      return state;
    }
  }
  return state;
}

Tensor number(Machine& m, int n) {
  return m.i32({}, {n});
}
Tensor minus_one(Machine& m, const Tensor& n) {
  return m.op(op_sub, {n, scalar_tensor(i64{1}, DType::I32)});
}

// Products, fused passes, views, conversions, parts that are set, an op with several outputs and a count.
State busy_round(Machine& m, const State& s) {
  const Tensor w = m.noise({16, 16}, 9);
  const Tensor x = s[0], half = scalar_tensor(0.5, DType::F32);
  const Tensor y =
      m.op(op_softmax, {m.op(op_tanh, {m.op(op_add, {m.op(op_matmul, {x, w}), x})})}, Attrs().with_int(-1));
  const Tensor turned = m.op(op_transpose, {y}, Attrs().with_int(0).with_int(1));
  const Tensor gram = m.op(op_matmul, {turned, y});
  const State parts =
      must(m.executor->apply_all(op_divide_test, {{m.op(op_mul, {y, half})}}, Attrs().with_float(0.75)));
  const Tensor part = m.op(op_index, {gram}, Attrs().with_ints({0, 8, 2, 0, 0, 16, 1, 0}));
  const Tensor set = m.op(op_set_item, {s[1], part}, Attrs().with_ints({0, 8, 1, 0, 0, 16, 1, 0}));
  return {m.op(op_sub, {m.op(op_add, {x, parts[0]}), y}), set, minus_one(m, s[2]), minus_one(m, s[2])};
}
State busy_state(Machine& m, int rounds) {
  return {m.noise({5, 16}, 1), m.noise({16, 16}, 2), number(m, rounds)};
}

std::vector<std::string> sums(Machine& m, const State& state) {
  std::vector<std::string> all;
  for (const Tensor& t : state) all.push_back(m.sum_of(t));
  return all;
}

TEST(Repeat, GivesTheBitsOfTheLoopWrittenOut) {
  Machine plain = Machine::cpu(1, {.eager = true, .fuse = false});
  for (const int rounds : {1, 2, 7, 100}) {
    const auto expected = sums(plain, loop(plain, busy_state(plain, rounds), busy_round));
    const auto check = [&](Machine m, const char* what) {
      EXPECT_EQ(sums(m, repeat(m, busy_state(m, rounds), busy_round)), expected)
          << rounds << " rounds, " << what;
    };
    for (const int threads : {1, 2, 16}) check(Machine::cpu(threads), "threads");
    check(Machine::cpu(2, {.eager = true}), "eager");
    check(Machine::cpu(2, {.fuse = false}), "not fused");
    check(Machine::cpu(2, {.commands_per_batch = 2}), "short batches");
    for (u64 seed = 1; seed <= 5; ++seed) check(Machine::cpu(2, {.shuffle = seed}), "shuffled");
    check(validating(), "validated");
  }
}

TEST(Repeat, StopsAtTheLimitWithTheCountItHas) {
  Machine m = Machine::cpu();
  const State after = repeat(m, busy_state(m, 10), busy_round, 4);
  EXPECT_EQ(sums(m, after), sums(m, loop(m, busy_state(m, 10), busy_round, 4)));
  EXPECT_EQ(m.read(after.back()), (std::vector<double>{6}));
}

TEST(Repeat, ClosesARelationByProducts) {
  constexpr i64 n = 40;
  Machine m = Machine::cpu();
  std::vector<float> edges(n * n, 0);
  std::vector<bool> reach(n * n, false);
  for (i64 i = 0; i < n; ++i) {
    for (const i64 j : {(i * 7 + 3) % n, (i * i) % n}) edges[i * n + j] = 1, reach[i * n + j] = true;
  }
  for (i64 k = 0; k < n; ++k)
    for (i64 i = 0; i < n; ++i)
      for (i64 j = 0; j < n; ++j)
        if (reach[i * n + k] && reach[k * n + j]) reach[i * n + j] = true;
  const Round round = [](Machine& on, const State& s) -> State {
    const Tensor more = on.op(
        op_minimum, {on.op(op_add, {s[0], on.op(op_matmul, {s[0], s[0]})}), scalar_tensor(1.0, DType::F32)});
    const Tensor is_new = on.op(op_not_equal, {more, s[0]});
    return {more, on.op(op_sum, {on.op(op_flatten, {is_new})}, Attrs().with_ints({0}).with_bool(false))};
  };
  const State after = repeat(m, {m.f32({n, n}, edges)}, round);
  EXPECT_EQ(m.read(after[0]), std::vector<double>(reach.begin(), reach.end()));
  EXPECT_EQ(m.read(after[1]), (std::vector<double>{0}));
}

// Jacobi's method on a chain of springs, with a bound on the rounds.
State jacobi_round(Machine& m, const State& s) {
  const Attrs left = Attrs().with_ints({0, 98, 1, 0}), right = Attrs().with_ints({2, 98, 1, 0});
  const Tensor mean =
      m.op(op_mul, {m.op(op_add, {m.op(op_index, {s[0]}, left), m.op(op_index, {s[0]}, right)}),
                    scalar_tensor(0.5, DType::F32)});
  const Tensor x = m.op(op_set_item, {s[0], mean}, Attrs().with_ints({1, 98, 1, 0}));
  return {x, minus_one(m, s[1]), minus_one(m, s[1])};
}

TEST(Repeat, TenThousandRoundsTakeTheMemoryOfTen) {
  std::vector<float> start(100, 0);
  start[99] = 1;
  const auto run = [&](int rounds, std::vector<double>* x) {
    Machine m = Machine::cpu();
    const State after = repeat(m, {m.f32({100}, start), number(m, rounds)}, jacobi_round);
    must(m.executor->finish());
    if (x != nullptr) *x = m.read(after[0]);
    EXPECT_LE(m.executor->stats().plans_made, 2u) << "the copies of the state, and the round";
    return m.device->memory().high_water_bytes;
  };
  std::vector<double> x;
  EXPECT_EQ(run(10000, &x), run(10, nullptr));
  for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], static_cast<double>(i) / 99, 0.02);
}

TEST(Repeat, StatesMayChangePlaces) {
  for (const int rounds : {1, 2, 3}) {
    Machine m = Machine::cpu();
    const Round swap = [](Machine& on, const State& s) -> State {
      return {s[1], s[0], minus_one(on, s[2]), minus_one(on, s[2])};
    };
    const State after = repeat(m, {m.f32({2}, {1, 2}), m.f32({2}, {3, 4}), number(m, rounds)}, swap);
    EXPECT_EQ(m.read(after[0])[0], rounds % 2 == 0 ? 1 : 3);
    EXPECT_EQ(m.read(after[1])[0], rounds % 2 == 0 ? 3 : 1);
  }
}

TEST(Repeat, StatesMayBeViewsOfTheirLast) {
  const Round turn = [](Machine& on, const State& s) -> State {
    return {on.op(op_transpose, {s[0]}, Attrs().with_int(0).with_int(1)),
            on.op(op_index, {s[1]}, Attrs().with_ints({2, 3, -1, 0})), minus_one(on, s[2]),
            minus_one(on, s[2])};
  };
  for (const int rounds : {1, 2, 3}) {
    Machine m = Machine::cpu();
    const State start{m.noise({3, 3}, 1), m.f32({3}, {1, 2, 3}), number(m, rounds)};
    EXPECT_EQ(sums(m, repeat(m, start, turn)), sums(m, loop(m, start, turn))) << rounds;
  }
}

// What is written over the state of one and becomes another's must go elsewhere.
TEST(Repeat, WhatIsSetInOneStateMayBeAnother) {
  for (auto make : {+[] { return Machine::cpu(); }, +[] { return validating(); }}) {
    Machine m = make();
    const Round round = [](Machine& on, const State& s) -> State {
      const Attrs at = Attrs().with_ints({0, 1, 1, 0});
      const Tensor a = on.op(op_set_item, {s[0], on.f32({1}, {7})}, at);
      const Tensor b = on.op(op_set_item, {s[1], on.f32({1}, {9})}, at);
      return {b, a, minus_one(on, s[2]), minus_one(on, s[2])};
    };
    const State start{m.f32({2}, {1, 2}), m.f32({2}, {3, 4}), number(m, 3)};
    const State after = repeat(m, start, round), want = loop(m, start, round);
    EXPECT_EQ(sums(m, after), sums(m, want));
    EXPECT_EQ(m.read(start[0]), (std::vector<double>{1, 2})) << "a value has changed";
  }
}

// Counts the steps that write over what they are given.
struct InPlace : ExecObserver {
  int steps = 0;
  void runs(const Plan&, const Snapshot& s) override {
    for (const SnapshotItem& item : s.items) steps += item.in_place && item.node->op == &op_set_item ? 1 : 0;
  }
};

TEST(Repeat, WhatIsSetInAStateIsWrittenThere) {
  InPlace observer;
  Machine m = Machine::cpu(2, {.observer = &observer});
  const Round round = [](Machine& on, const State& s) -> State {
    const Tensor a = on.op(op_set_item, {s[0], on.f32({1}, {7})}, Attrs().with_ints({1, 1, 1, 0}));
    return {a, minus_one(on, s[1]), minus_one(on, s[1])};
  };
  const State start{m.f32({3}, {1, 2, 3}), number(m, 5)};
  const State after = repeat(m, start, round);
  EXPECT_EQ(observer.steps, 1);
  EXPECT_EQ(m.read(after[0]), (std::vector<double>{1, 7, 3}));
  EXPECT_EQ(m.read(start[0]), (std::vector<double>{1, 2, 3}));
}

TEST(Repeat, AStateThatIsKeptAsideStaysWhatItWas) {
  Machine m = Machine::cpu();
  Tensor aside, made;
  const State start{m.f32({1}, {5})};
  const State after = repeat(m, start, [&](Machine& on, const State& s) -> State {
    aside = s[0];
    made = on.op(op_sub, {s[0], scalar_tensor(1.0, DType::F32)});
    return {made, on.op(op_sum, {on.op(op_cast, {made}, Attrs().with_dtype(DType::I64))},
                        Attrs().with_ints({0}).with_bool(false))};
  });
  EXPECT_EQ(m.read(after[0]), (std::vector<double>{0}));
  EXPECT_EQ(m.read(aside), (std::vector<double>{5}));
  EXPECT_EQ(m.read(made), (std::vector<double>{4}));
}

TEST(Repeat, AFailureInALaterRoundEndsIt) {
  for (auto make :
       {+[] { return Machine::cpu(); }, +[] { return Machine::reference(); }, +[] { return validating(); }}) {
    Machine m = make();
    const Tensor table = m.f32({4}, {0, 1, 2, 3}), other = m.op(op_neg, {table});
    const Round round = [&](Machine& on, const State& s) -> State {
      const Tensor next = on.op(op_add, {s[0], scalar_tensor(i64{1}, DType::I32)});
      return {next, on.op(op_add, {s[1], on.op(op_index_select, {table, next}, Attrs().with_int(0))}),
              on.op(op_ones, {}, Attrs().with_ints({}).with_dtype(DType::I64))};
    };
    const State after = repeat(m, {m.i32({1}, {0}), m.f32({1}, {0})}, round);
    for (const Tensor& t : after) {
      const Result<HostTensor> read = m.executor->read(m.op(op_neg, {t}));
      ASSERT_FALSE(read.ok()) << "of a round that failed";
      EXPECT_NE(read.error().message.find("index 4 is out of range"), std::string::npos)
          << read.error().message;
    }
    EXPECT_EQ(m.read(other)[3], -3) << "other work goes on";
    EXPECT_EQ(m.read(repeat(m, {number(m, 2)},
                            [](Machine& on, const State& s) -> State {
                              return {minus_one(on, s[0]), minus_one(on, s[0])};
                            })[0]),
              (std::vector<double>{0}));
  }
}

TEST(Repeat, EndlessRoundsEndWhenTheProgramIsToStop) {
  for (auto make :
       {+[] { return Machine::cpu(); }, +[] { return Machine::reference(); }, +[] { return validating(); }}) {
    Machine m = make();
    const auto start = std::chrono::steady_clock::now();
    const auto seconds = [&] {
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
    m.executor->set_cancel_check([&] { return seconds() > 0.2; });
    const State after = repeat(
        m, {m.noise({100}, 3)},
        [](Machine& on, const State& s) -> State {
          return {on.op(op_neg, {s[0]}), on.op(op_ones, {}, Attrs().with_ints({}).with_dtype(DType::I64))};
        },
        INT64_MAX);
    const Result<HostTensor> read = m.executor->read(after[0]);
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().code, Code::Interrupted);
    EXPECT_LT(seconds(), 0.3 + 0.1);
    m.executor->set_cancel_check({});
    EXPECT_EQ(m.read(m.op(op_neg, {m.f32({1}, {2})})), (std::vector<double>{-2})) << "the executor goes on";
  }
}

TEST(Repeat, NobodyWaitsForTheRounds) {
  Machine m = Machine::cpu(1);
  const auto start = std::chrono::steady_clock::now();
  const State after = repeat(m, {number(m, 50000)}, [](Machine& on, const State& s) -> State {
    return {minus_one(on, s[0]), minus_one(on, s[0])};
  });
  const Tensor more = m.op(op_add, {after[0], scalar_tensor(i64{5}, DType::I32)});
  must(m.executor->submit({&more, 1}));
  const auto handed_over = std::chrono::steady_clock::now();
  EXPECT_EQ(m.read(more), (std::vector<double>{5}));
  EXPECT_LT(handed_over - start, std::chrono::steady_clock::now() - handed_over)
      << "waited while handing over";
}

TEST(Repeat, TheNullDeviceProvesItsOrder) {
  Machine m = Machine::null();
  EXPECT_EQ(m.read(repeat(m, busy_state(m, 5), busy_round).back()), (std::vector<double>{0}));
}

TEST(Repeat, WhatCannotBeARoundIsRefused) {
  Machine m = Machine::cpu();
  const auto message = [&](const Round& round) {
    const Result<State> after = try_repeat(m, {m.f32({2}, {1, 2})}, round, 5);
    return after.ok() ? "accepted" : after.error().message;
  };
  const Tensor one = scalar_tensor(i64{1}, DType::I64);
  EXPECT_NE(message([&](Machine& on, const State& s) -> State {
              return {on.op(op_mul, {s[0], scalar_tensor(on.read(s[0])[0], DType::F32)}), one};
            }).find("waits for a number"),
            std::string::npos);
  EXPECT_NE(message([&](Machine& on, const State& s) -> State {
              const Tensor noise = on.op(op_randn, {}, Attrs().with_ints({2}).with_int(1).with_int(2));
              return {on.op(op_add, {s[0], noise}), one};
            }).find("draws random numbers (randn)"),
            std::string::npos);
  EXPECT_NE(message([&](Machine& on, const State& s) -> State {
              return {on.op(op_concat, {s[0], s[0]}, Attrs().with_int(0)), one};
            }).find("a round makes float32[4] of float32[2] (number 0 of the state)"),
            std::string::npos);
  EXPECT_NE(message([&](Machine&, const State& s) -> State {
              return {s[0], s[0]};
            }).find("the count of a round is float32[2], want one whole number"),
            std::string::npos);
  EXPECT_NE(message([&](Machine&, const State& s) -> State {
              return {s[0], s[0], one};
            }).find("makes 2 tensors of 1"),
            std::string::npos);
}

}  // namespace
}  // namespace tl
