// Faults of order: what ran too early or too late because a plan was made by the sizes of its first run, or
// because a value was looked at where its memory had become another's. Each test is named after its fault.
#include <functional>

#include "tests/runtime/machine.h"
#include "tests/runtime/test_ops.h"

namespace tl {
namespace {

constexpr i64 kCols = 64;

Tensor rows(Machine& m, const Tensor& x, i64 from, i64 count) {
  return m.op(op_index, {x}, Attrs().with_ints({from, count, 1, 0, 0, x.shape()[1], 1, 0}));
}
Tensor transposed(Machine& m, const Tensor& x) {
  return m.op(op_transpose, {x}, Attrs().with_int(-2).with_int(-1));
}
Tensor softmax(Machine& m, const Tensor& x) {
  return m.op(op_softmax, {x}, Attrs().with_int(-1));
}
Tensor cumsum(Machine& m, const Tensor& x) {
  return m.op(op_cumsum, {x}, Attrs().with_int(1));
}
Tensor scaled(Machine& m, const Tensor& x, double by) {
  return m.op(op_mul, {x, scalar_tensor(by, DType::F32)});
}

using Program = std::function<std::vector<std::string>(Machine&)>;

// The same bits on every machine, again and again; the null device proves the order of each replay.
void expect_same_bits(const Program& program) {
  Machine eager = Machine::cpu(1, {.eager = true});
  const std::vector<std::string> want = program(eager);
  for (const int threads : {2, 16}) {
    for (int i = 0; i < 5; ++i) {
      Machine m = Machine::cpu(threads);
      EXPECT_EQ(program(m), want) << threads << " threads";
    }
  }
  for (u64 seed = 1; seed <= 5; ++seed) {
    Machine m = Machine::cpu(2, {.shuffle = seed, .commands_per_batch = 1000});
    EXPECT_EQ(program(m), want) << "shuffled by " << seed;
  }
  Machine null = Machine::null();
  program(null);
}

TEST(FaultsOrder, APlanMadeWithOneSizeWasReplayedWithAnother) {
  expect_same_bits([](Machine& m) {
    const Tensor w = m.noise({kCols, kCols}, 1), base = m.noise({2400, kCols}, 2);
    std::vector<std::string> sums;
    for (i64 i = 0; i < 8; ++i) {
      const Tensor t1 = m.op(op_matmul, {scaled(m, rows(m, base, i * 300, 300), 2), w});
      const Tensor t2 = m.op(op_matmul, {rows(m, t1, i == 0 ? 240 : 0, 60), w});
      const Tensor t3 = softmax(m, rows(m, base, i, 60));
      sums.push_back(m.sum_of(m.op(op_add, {cumsum(m, t2), cumsum(m, t3)})));
    }
    EXPECT_EQ(m.executor->stats().plans_made, 1u) << "not one plan for all offsets";
    return sums;
  });
}

TEST(FaultsOrder, ACacheWasAppendedThenSlicedAtAnotherPlace) {
  expect_same_bits([](Machine& m) {
    Tensor cache = must(m.executor->reserved(DType::F32, {kCols}, 4000));
    const Tensor base = m.noise({400, kCols}, 3);
    std::vector<std::string> sums;
    for (i64 i = 0; i < 8; ++i) {
      cache = m.op(op_append_rows, {cache, softmax(m, scaled(m, rows(m, base, i, 100), 3))});
      // The first run looks at old rows only, later ones at those that were just appended.
      const i64 from = i == 0 ? 0 : cache.shape()[0] - 50;
      sums.push_back(m.sum_of(cumsum(m, rows(m, cache, from, 50))));
    }
    return sums;
  });
}

TEST(FaultsOrder, TheFirstRunWasOnAnEmptyTensor) {
  expect_same_bits([](Machine& m) {
    const Tensor w = m.noise({kCols, kCols}, 1), base = m.noise({500, kCols}, 4);
    std::vector<std::string> sums;
    for (const i64 n : {0, 400, 0, 1, 300}) {
      const Tensor x = m.op(op_matmul, {m.op(op_exp, {rows(m, base, 0, n)}), w});
      const Tensor y = m.op(op_matmul, {softmax(m, x), w});
      sums.push_back(m.sum_of(cumsum(m, m.op(op_matmul, {y, w}))));
    }
    return sums;
  });
}

TEST(FaultsOrder, ASlotWasReadInPartAndThenReused) {
  expect_same_bits([](Machine& m) {
    const Tensor base = m.noise({600, kCols}, 5);
    std::vector<std::string> sums;
    for (const i64 from : {i64{0}, i64{350}, i64{100}}) {
      const Tensor whole = softmax(m, rows(m, base, 0, 400));
      const Tensor part = cumsum(m, rows(m, whole, from, 50));
      // Free for the next one from here on.
      const Tensor next = softmax(m, scaled(m, rows(m, base, 200, 400), 4));
      const Tensor small = cumsum(m, rows(m, next, 0, 50));
      sums.push_back(m.sum_of(m.op(op_add, {part, small})));
    }
    return sums;
  });
}

TEST(FaultsOrder, ASecondOutputWasWrittenOverWhileItWasRead) {
  expect_same_bits([](Machine& m) {
    const Tensor base = m.noise({300, kCols}, 9);
    std::vector<std::string> sums;
    for (const i64 n : {i64{300}, i64{100}}) {
      const auto both =
          must(m.executor->apply_all(op_divide_test, {{rows(m, base, 0, n)}}, Attrs().with_float(0.01)));
      const Tensor read = m.op(op_cumsum, {both[1]}, Attrs().with_int(1));
      // As large as the second output, whose memory is free from here on.
      const Tensor next = cumsum(m, softmax(m, scaled(m, rows(m, base, 0, n), 4)));
      sums.push_back(m.sum_of(m.op(op_add, {m.op(op_add, {next, read}), both[0]})));
    }
    return sums;
  });
}

TEST(FaultsOrder, AHeldViewsMemoryWasReused) {
  expect_same_bits([](Machine& m) {
    const Tensor base = m.noise({300, kCols}, 6);
    std::vector<std::string> sums;
    for (int i = 0; i < 4; ++i) {
      const Tensor held = transposed(m, softmax(m, rows(m, base, i, 200)));
      Tensor more = rows(m, base, i, 200);
      for (int k = 0; k < 6; ++k) more = softmax(m, scaled(m, more, 1 + k));
      sums.push_back(m.sum_of(more));
      for (int k = 0; k < 3; ++k) sums.push_back(m.sum_of(softmax(m, scaled(m, rows(m, base, k, 200), 9))));
      sums.push_back(m.sum_of(held));
    }
    return sums;
  });
}

TEST(FaultsOrder, APassThatReadsACacheRanAfterItsRowsWereWrittenOver) {
  expect_same_bits([](Machine& m) {
    const Tensor base = m.noise({20, kCols}, 7);
    std::vector<std::string> sums;
    for (int i = 0; i < 3; ++i) {
      Tensor cache = m.op(op_append_rows, {must(m.executor->reserved(DType::F32, {kCols}, 100)), base});
      must(m.executor->wait(cache));
      // The first half of a fused chain is recorded before the rows are written over, the other half after.
      Tensor chain = scaled(m, rows(m, cache, 10, 5), 2);
      cache = m.op(op_append_rows, {rows(m, cache, 0, 5), softmax(m, rows(m, base, 0, 12))});
      chain = m.op(op_exp, {chain});
      const std::vector<Tensor> both{chain, cache};
      must(m.executor->submit(both));
      sums.push_back(m.sum_of(chain));
      sums.push_back(m.sum_of(cache));
    }
    return sums;
  });
}

TEST(FaultsOrder, AttentionThatReadsACacheRanAfterItsRowsWereWrittenOver) {
  constexpr i64 kHeads = 2, kDepth = 16;
  const auto positions = [](Machine& m, const Tensor& x, i64 from, i64 count) {
    return m.op(op_index, {x}, Attrs().with_ints({from, count, 1, 0, 0, kHeads, 1, 0, 0, kDepth, 1, 0}));
  };
  expect_same_bits([&](Machine& m) {
    const Tensor base = m.noise({20, kHeads, kDepth}, 7), more = m.noise({15, kHeads, kDepth}, 8),
                 q = m.noise({kHeads, 3, kDepth}, 9), values = m.noise({kHeads, 5, kDepth}, 10);
    std::vector<std::string> sums;
    for (int i = 0; i < 3; ++i) {
      Tensor cache =
          m.op(op_append_rows, {must(m.executor->reserved(DType::F32, {kHeads, kDepth}, 100)), base});
      must(m.executor->wait(cache));
      // The scores are recorded before the keys are written over, the second product after.
      Tensor out =
          m.op(op_matmul, {q, m.op(op_permute, {positions(m, cache, 10, 5)}, Attrs().with_ints({1, 2, 0}))});
      cache = m.op(op_append_rows, {positions(m, cache, 0, 5), more});
      out = m.op(op_matmul, {softmax(m, out), values});
      const std::vector<Tensor> both{out, cache};
      must(m.executor->submit(both));
      sums.push_back(m.sum_of(out));
      sums.push_back(m.sum_of(cache));
    }
    return sums;
  });
}

TEST(FaultsOrder, ARewoundCacheWasWrittenOverByItsOwnRows) {
  expect_same_bits([](Machine& m) {
    const Tensor base = m.noise({30, kCols}, 8);
    std::vector<std::string> sums;
    for (int i = 0; i < 3; ++i) {
      Tensor cache = m.op(op_append_rows, {must(m.executor->reserved(DType::F32, {kCols}, 100)), base});
      must(m.executor->wait(cache));
      cache = m.op(op_append_rows, {rows(m, cache, 0, 10), rows(m, cache, 3 + i, 20)});
      sums.push_back(m.sum_of(cache));
    }
    const Tensor want = m.op(op_concat, {rows(m, base, 0, 10), rows(m, base, 3, 20)}, Attrs().with_int(0));
    EXPECT_EQ(sums[0], m.sum_of(want));
    return sums;
  });
}

TEST(FaultsOrder, AppendedThenTruncatedBeforeAnybodyLooked) {
  expect_same_bits([](Machine& m) {
    Tensor keys = must(m.executor->reserved(DType::F32, {kCols}, 100));
    Tensor values = must(m.executor->reserved(DType::F32, {kCols}, 100));
    std::vector<std::string> sums;
    for (int i = 0; i < 4; ++i) {
      keys = m.op(op_append_rows, {keys, softmax(m, m.noise({8, kCols}, 8))});
      values = m.op(op_append_rows, {values, softmax(m, m.noise({8, kCols}, 9))});
      keys = rows(m, keys, 0, 3);
      values = rows(m, values, 0, 3);
      keys = m.op(op_append_rows, {keys, m.noise({2, kCols}, 10)});
      values = m.op(op_append_rows, {values, m.noise({2, kCols}, 11)});
      sums.push_back(m.sum_of(values));
      sums.push_back(m.sum_of(keys));
    }
    return sums;
  });
}

TEST(FaultsOrder, OneMaskServesAllLayersOfAllSteps) {
  constexpr int kLayers = 22, kSteps = 100;
  const auto run = [](bool shares) {
    Machine m = Machine::cpu(4);
    const auto mask = [&] { return m.noise({8, 8}, 12); };
    const Tensor shared = mask();
    Tensor x = m.noise({8, 8}, 13);
    for (int step = 0; step < kSteps; ++step) {
      for (int layer = 0; layer < kLayers; ++layer) {
        x = softmax(m, m.op(op_add, {m.op(op_matmul, {x, x}), shares ? shared : mask()}));
      }
      must(m.executor->loop_point());
    }
    return m.sum_of(x);
  };
  EXPECT_EQ(run(true), run(false));
}

TEST(FaultsOrder, AFlushChangedTheBits) {
  const auto run = [](int every) {
    Machine m = Machine::cpu(4);
    Tensor x = m.noise({40, kCols}, 14);
    for (int i = 0; i < 60; ++i) {
      x = softmax(m, scaled(m, m.op(op_add, {x, transposed(m, transposed(m, x))}), 1.5));
      if (every > 0 && i % every == 0) must(m.executor->flush());
    }
    return m.sum_of(x);
  };
  const std::string want = run(0);
  for (const int every : {1, 2, 7}) EXPECT_EQ(run(every), want) << every;
}

}  // namespace
}  // namespace tl
