// One plan, whatever the sizes: it is made by the first run and must fit all that follow.
#include <thread>

#include "tests/runtime/machine.h"
#include "tests/runtime/test_ops.h"

namespace tl {
namespace {

// A program with most of what a plan must order: shared temporaries, conversions, views, fused passes, a
// growing cache, a value that is written over, and an op with several outputs.
struct Program {
  explicit Program(Machine& machine) : m(machine) {
    square = m.noise({16, 16}, 1);
    blocks = quantised({32, 64});
    cache = must(m.executor->reserved(DType::F32, {16}, 4096));
    state = m.noise({8}, 3);
  }

  Tensor quantised(const Shape& shape) {
    std::vector<std::byte> bytes(static_cast<size_t>(row_bytes(DType::Q8_0, numel(shape))));
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i % 34 < 2 ? 0x1c : i * 37);
    return must(m.executor->from_host({DType::Q8_0, shape}, bytes));
  }

  // Hashes of all that a round with `n` rows gives.
  std::vector<std::string> round(i64 n) {
    const Tensor x = m.noise({n, 16}, static_cast<u32>(n) + 5);
    const Tensor a = m.op(op_matmul, {x, square});
    const Tensor b = m.op(op_softmax, {m.op(op_add, {a, m.op(op_mul, {a, x})})}, Attrs().with_int(-1));
    const Tensor turned = m.op(op_transpose, {b}, Attrs().with_int(0).with_int(1));
    const Tensor gram = m.op(op_matmul, {turned, b});  // [16, 16], of any number of rows
    const Tensor wide =
        m.op(op_concat,
             {m.op(op_concat, {a, b}, Attrs().with_int(1)), m.op(op_concat, {b, a}, Attrs().with_int(1))},
             Attrs().with_int(1));
    const Tensor packed = m.op(op_linear, {wide, blocks});
    cache = m.op(op_append_rows, {cache, b});
    const Tensor seen = m.op(op_matmul, {cache, gram});
    const Tensor first = m.op(op_sum, {packed}, Attrs().with_int(0).with_bool(false));
    state = m.op(op_put_test, {state, m.f32({1}, {0.5f})}, Attrs().with_int(n % 8));
    const std::vector<Tensor> parts =
        must(m.executor->apply_all(op_divide_test, {{m.op(op_exp, {x})}}, Attrs().with_float(0.75)));
    const Tensor all[] = {a, gram, packed, seen, first, parts[0], parts[1]};
    must(m.executor->submit(all));
    must(m.executor->flush());
    std::vector<std::string> sums;
    for (const Tensor& t : all) sums.push_back(m.sum_of(t));
    for (const double v : m.read(state)) sums.push_back(std::to_string(v));
    return sums;
  }

  Machine& m;
  Tensor square, blocks, cache, state;
};

std::vector<std::vector<std::string>> run(Machine m, const std::vector<i64>& sizes) {
  Program program(m);
  std::vector<std::vector<std::string>> sums;
  for (const i64 n : sizes) sums.push_back(program.round(n));
  return sums;
}

// Larger, smaller, single, empty and equal to other dims, each as the first.
const std::vector<i64> kOrders[] = {
    {5, 40, 5, 2, 0, 3, 16, 1, 40}, {40, 2, 16, 0, 5, 1, 40}, {0, 7, 0, 16, 1, 33}, {1, 0, 64, 2, 1, 9},
    {16, 15, 17, 0, 16, 1},
};

TEST(OnePlan, GivesTheSameBitsForEverySize) {
  for (const std::vector<i64>& sizes : kOrders) {
    const auto expected = run(Machine::cpu(1, {.eager = true, .fuse = false}), sizes);
    for (const int threads : {1, 2, 16}) {
      EXPECT_EQ(run(Machine::cpu(threads), sizes), expected)
          << sizes[0] << " first, " << threads << " threads";
    }
    for (u64 seed = 1; seed <= 5; ++seed) {
      EXPECT_EQ(run(Machine::cpu(2, {.shuffle = seed}), sizes), expected) << sizes[0] << " first, shuffled";
    }
    EXPECT_EQ(run(Machine::cpu(4, {.commands_per_batch = 3}), sizes), expected)
        << sizes[0] << " first, in pieces";
  }
}

// The null device proves of every replay that the order of its plan holds for the ranges it has.
TEST(OnePlan, OrdersEverySize) {
  for (const std::vector<i64>& sizes : kOrders) {
    for (const int batch : {0, 1, 3}) run(Machine::null({.commands_per_batch = batch}), sizes);
    run(Machine::null({.fuse = false}), sizes);
  }
}

TEST(OnePlan, IsMadeOncePerStructure) {
  Machine m = Machine::cpu(2);
  Program program(m);
  for (const i64 n : {5, 40, 2}) program.round(n);
  const u64 made = m.executor->stats().plans_made;
  for (const i64 n : {7, 80, 3, 100, 11}) program.round(n);
  EXPECT_EQ(m.executor->stats().plans_made, made);
  EXPECT_GT(m.executor->stats().plans_reused, 5u);
}

TEST(OnePlan, ServesManyThreadsEachItsOwn) {
  const auto expected = run(Machine::cpu(1), kOrders[0]);
  Machine shared = Machine::cpu(3);
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&] {
      Machine mine;
      mine.executor = must(Executor::create(*shared.device, {}));
      Program program(mine);
      for (size_t i = 0; i < kOrders[0].size(); ++i) EXPECT_EQ(program.round(kOrders[0][i]), expected[i]);
    });
  }
  for (std::thread& t : threads) t.join();
}

TEST(OnePlan, ProgramsThatNeverRepeatDoNotGrow) {
  Machine m = Machine::cpu(1);
  const Tensor x = m.f32({1}, {0});
  for (int i = 0; i < 3000; ++i) {  // each of another length: more than plans are kept
    Tensor y = x;
    for (int bit = 0; bit < 12; ++bit)
      y = m.op((i >> bit & 1) != 0 ? op_sum : op_max, {m.reshape(y, {1})},
               Attrs().with_int(0).with_bool(true));
    EXPECT_EQ(m.read(y), std::vector<double>{0});
  }
  EXPECT_EQ(m.executor->stats().plans_made, 3000u);
}

}  // namespace
}  // namespace tl
