// Faults between threads: races, limits of what many may do at once, and what one of them waited for. Each
// test is named after its fault.
#include <chrono>
#include <condition_variable>
#include <thread>

#include "tests/runtime/machine.h"

namespace tl {
namespace {

using Clock = std::chrono::steady_clock;

std::unique_ptr<Executor> another(Machine& m, ExecOptions options = {}) {
  return must(Executor::create(*m.device, std::move(options)));
}
std::string sum_of(Executor& e, const Tensor& t) {
  return checksum_hex(checksum(must(e.read(t))));
}
Tensor times(Executor& e, const Tensor& a, const Tensor& b) {
  return must(e.apply(op_matmul, {a, b}));
}
void in_threads(int count, const std::function<void(int)>& work) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back(work, i);
  for (std::thread& t : threads) t.join();
}

TEST(FaultsThreads, ReadersOfASharedWeightRaced) {
  Machine m = Machine::cpu(4);
  const Tensor w = m.noise({96, 64}, 1), x = m.noise({5, 64}, 2);
  std::vector<std::byte> blocks(static_cast<size_t>(row_bytes(DType::Q8_0, 64) * 1200));
  const Tensor quantised = must(m.executor->from_host({DType::Q8_0, {1200, 64}}, blocks));
  const std::string want = m.sum_of(m.op(op_linear, {x, w}));
  in_threads(8, [&](int) {
    const auto e = another(m);
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(sum_of(*e, must(e->apply(op_linear, {x, w}))), want);
      must(e->wait(must(e->apply(op_linear, {x, quantised}))));  // kept conversions are made and found by all
    }
  });
}

TEST(FaultsThreads, ThreadsThatAppendToOneCacheRaced) {
  Machine m = Machine::cpu(4);
  const Tensor cache =
      m.op(op_append_rows, {must(m.executor->reserved(DType::F32, {16}, 4000)), m.noise({3, 16}, 1)});
  must(m.executor->submit({&cache, 1}));
  std::vector<std::string> got(6), want(6);
  const auto grow = [&](Executor& e, const Tensor& start, u32 i) {
    Tensor mine = start;
    for (u32 k = 0; k < 40; ++k) {
      const Tensor row = must(e.apply(op_softmax, {m.noise({1, 16}, 100 * i + k)}, Attrs().with_int(-1)));
      mine = must(e.apply(op_append_rows, {mine, row}));
      if (k % 7 == 0) must(e.wait(mine));
    }
    return sum_of(e, mine);
  };
  in_threads(6, [&](int i) {
    const auto e = another(m);
    got[static_cast<size_t>(i)] = grow(*e, cache, static_cast<u32>(i));
  });
  for (u32 i = 0; i < 6; ++i) want[i] = grow(*m.executor, cache, i);
  EXPECT_EQ(got, want);
  EXPECT_EQ(m.read(cache).size(), 48u);
}

TEST(FaultsThreads, MoreThanFourForeignTicketsAborted) {
  Machine m = Machine::cpu(2);
  const Tensor x = m.noise({60, 60}, 1);
  std::vector<std::unique_ptr<Executor>> others;
  std::vector<Tensor> results;
  std::string want;
  for (int i = 0; i < 12; ++i) {
    others.push_back(another(m));
    results.push_back(times(*others.back(), x, x));
    must(others.back()->submit({&results.back(), 1}));
  }
  Tensor all = results[0], alone = m.op(op_matmul, {x, x}), sum = alone;
  for (size_t i = 1; i < results.size(); ++i) {
    all = m.op(op_add, {all, results[i]});
    sum = m.op(op_add, {sum, alone});
  }
  EXPECT_EQ(m.sum_of(all), m.sum_of(sum));
}

TEST(FaultsThreads, ANinthStreamsReadBlocked) {
  Machine m = Machine::cpu(2);
  Tensor x = m.noise({40, 40}, 1);
  const std::string want = m.sum_of(m.op(op_matmul, {x, x}));
  in_threads(20, [&](int) {
    const auto e = another(m);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(sum_of(*e, times(*e, x, x)), want);
  });
  x = {};
  EXPECT_LT(m.device->memory().in_use_bytes, 1 << 20);
}

TEST(FaultsThreads, AForeignDependencyWasMissing) {
  Machine m = Machine::cpu(4);
  const Tensor a = m.noise({160, 160}, 1), b = m.noise({160, 160}, 2);
  const Tensor want_of =
      m.op(op_softmax, {m.op(op_matmul, {m.op(op_matmul, {a, b}), b})}, Attrs().with_int(-1));
  const std::string want = m.sum_of(want_of);
  for (int i = 0; i < 40; ++i) {
    const auto e = another(m), f = another(m);
    const Tensor one = times(*e, a, b);
    must(e->submit({&one, 1}));
    const Tensor two = times(*f, one, b);
    must(f->submit({&two, 1}));
    EXPECT_EQ(m.sum_of(m.op(op_softmax, {two}, Attrs().with_int(-1))), want) << i;
  }
}

TEST(FaultsThreads, AReaderOnAnotherStreamSawTheNextRows) {
  Machine m = Machine::cpu(4);
  const Tensor w = m.noise({64, 64}, 3), base = m.noise({900, 64}, 4);
  const std::string want = m.sum_of(m.op(op_matmul, {m.op(op_matmul, {base, w}), w}));
  for (int i = 0; i < 30; ++i) {
    Tensor cache = m.op(op_append_rows, {must(m.executor->reserved(DType::F32, {64}, 2000)), base});
    must(m.executor->submit({&cache, 1}));
    const auto e = another(m);
    Tensor read = times(*e, times(*e, cache, w), w);
    must(e->submit({&read, 1}));
    // Rewound and written over while the other one may still read.
    const Tensor start = m.op(op_index, {cache}, Attrs().with_ints({0, 1, 1, 0, 0, 64, 1, 0}));
    cache = m.op(op_append_rows, {start, m.noise({800, 64}, 5)});
    must(m.executor->submit({&cache, 1}));
    EXPECT_EQ(sum_of(*e, read), want) << i;
  }
}

TEST(FaultsThreads, ASmallProductWaitedForAllThatAnotherThreadHadQueued) {
  Machine m = Machine::cpu(2);
  const Tensor a = m.noise({400, 400}, 1), small = m.noise({8, 8}, 2);
  const auto e = another(m);
  must(e->wait(times(*e, small, small)));
  Tensor x = a;
  const auto begin = Clock::now();
  for (int i = 0; i < 60; ++i) x = m.op(op_matmul, {x, a});
  must(m.executor->submit({&x, 1}));
  // Big enough for the pool, not for the thread that waits.
  const Tensor middle = times(*e, m.noise({100, 400}, 3), a);
  must(e->wait(middle));
  const auto waited = Clock::now() - begin;
  must(m.executor->wait(x));
  const auto all = Clock::now() - begin;
  EXPECT_LT(waited * 2, all) << "it was served last";
}

TEST(FaultsThreads, ResultsOutliveTheExecutorsThatMadeThem) {
  Machine m = Machine::cpu(2);
  const Tensor a = m.noise({120, 120}, 1);
  const std::string want = m.sum_of(m.op(op_matmul, {a, m.op(op_matmul, {a, a})}));
  for (int i = 0; i < 20; ++i) {
    Tensor result;
    std::thread([&] {
      const auto e = another(m);
      result = times(*e, a, times(*e, a, a));
      must(e->submit({&result, 1}));
    }).join();
    EXPECT_EQ(m.sum_of(result), want);
  }
}

TEST(FaultsThreads, ExecutorsOfManyThreadsGiveTheBitsOfOne) {
  Machine m = Machine::cpu(4);
  const Tensor w = m.noise({64, 64}, 1);
  const auto program = [&](Executor& e, u32 seed) {
    Tensor x = m.noise({static_cast<i64>(seed % 5 * 30), 64}, seed);
    for (int i = 0; i < 10; ++i) {
      x = must(e.apply(op_softmax, {must(e.apply(op_add, {times(e, x, w), x}))}, Attrs().with_int(-1)));
    }
    return sum_of(e, x);
  };
  std::vector<std::string> want, got(12);
  for (u32 i = 0; i < 12; ++i) want.push_back(program(*m.executor, i));
  in_threads(12, [&](int i) { got[static_cast<size_t>(i)] = program(*another(m), static_cast<u32>(i)); });
  EXPECT_EQ(got, want);
}

}  // namespace
}  // namespace tl
