// Forks of growing tensors: what they have in common is in memory once.
#include <sys/mman.h>

#include <chrono>
#include <fstream>
#include <random>
#include <thread>

#include "tests/runtime/machine.h"

namespace tl {
namespace {

constexpr i64 kPage = 4096;

Tensor first_rows(Machine& m, const Tensor& x, i64 n) {
  const i64 cols = x.shape()[1];
  return m.op(op_index, {x}, Attrs().with_ints({0, n, 1, 0, 0, cols, 1, 0}));
}

i64 in_use(const Machine& m) {
  return m.device->memory().in_use_bytes;
}

// Memory that the system has given to this process.
i64 resident_bytes() {
  std::ifstream file("/proc/self/statm");
  i64 total = 0, resident = 0;
  file >> total >> resident;
  return resident * kPage;
}

TEST(Forks, AThousandOfThemTakeAPageOrTwoEach) {
  Machine m = Machine::cpu(2);
  constexpr i64 kCols = 192, kRows = (64 << 20) / (kCols * 4);
  Tensor cache = must(m.executor->reserved(DType::F32, {kCols}, 2 * kRows));
  cache = m.op(op_append_rows, {cache, m.noise({kRows, kCols}, 1)});
  must(m.executor->wait(cache));
  const Tensor row = m.noise({1, kCols}, 2);
  must(m.executor->wait(row));
  const i64 before = in_use(m), resident = resident_bytes();
  const auto begin = std::chrono::steady_clock::now();
  std::vector<Tensor> forks;
  for (int i = 0; i < 1000; ++i) {
    forks.push_back(m.op(op_append_rows, {cache, row}));
    must(m.executor->wait(forks.back()));
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  EXPECT_LT(took.count(), 3.0)
      << "below a millisecond each; the rest is for a machine that has others to serve";
  EXPECT_LE(in_use(m) - before, (1000 * 2 * kPage) + (64 << 10));
  EXPECT_LE(resident_bytes() - resident, 64 << 20);
  const auto all = [&](const Tensor& t) { return m.sum_of(t); };
  const std::string first = all(forks[0]);
  EXPECT_EQ(all(forks[500]), first);
  EXPECT_EQ(all(forks[999]), first);
  const Tensor fresh = m.noise({kRows, kCols}, 1);
  EXPECT_EQ(all(m.op(op_append_rows, {fresh, row})), first);
  cache = {};
  forks.erase(forks.begin(), forks.begin() + 998);
  EXPECT_EQ(all(forks[1]), first) << "its pages outlive who made them";
  EXPECT_GE(in_use(m), 64 << 20);
}

// A process may have 65,530 mappings, and a fork takes two of them.
TEST(Forks, WithoutMappingsTheyWereNotMadeAtAll) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "the sanitizer maps its own memory as it goes, and ends the process where it cannot";
#endif
  Machine m = Machine::cpu(2);
  constexpr i64 kCols = 256, kRows = 40;
  Tensor cache = must(m.executor->reserved(DType::F32, {kCols}, 2 * kRows));
  cache = m.op(op_append_rows, {cache, m.noise({kRows, kCols}, 1)});
  const Tensor row = m.noise({1, kCols}, 2);
  const Tensor roots[] = {cache, row};
  for (const Tensor& t : roots) must(m.executor->wait(t));
  const auto fork = [&](const Tensor& of) {
    Tensor made = m.op(op_append_rows, {of, row});
    must(m.executor->wait(made));
    return made;
  };
  std::vector<Tensor> forks = {fork(cache), fork(cache)};  // plans, threads and what they need are there
  const auto all = [&](const Tensor& t) { return m.sum_of(t); };
  const std::string first = all(forks[1]), second = all(fork(forks[1]));
  // Every other page may be read: each is a mapping of its own.
  constexpr size_t kPages = 1 << 18;
  void* const pages =
      mmap(nullptr, kPages * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  size_t at = 1;
  while (at < kPages && mprotect(static_cast<std::byte*>(pages) + at * kPage, kPage, PROT_READ) == 0) at += 2;
  if (at >= kPages) {
    munmap(pages, kPages * kPage);
    GTEST_SKIP() << "this system makes as many mappings as one likes";
  }
  const auto append = [&](const Tensor& of) {  // without a look at what failed
    Tensor made = m.op(op_append_rows, {of, row});
    const Result<void> done = m.executor->wait(made);
    return done.ok() ? std::pair(made, std::string()) : std::pair(Tensor(), done.error().message);
  };
  const auto [third, error] = append(cache);
  const auto [of_third, later_error] = third ? append(third) : std::pair(Tensor(), std::string("none"));
  const auto [again, last_error] = third ? append(third) : std::pair(Tensor(), std::string("none"));
  munmap(pages, kPages * kPage);
  ASSERT_TRUE(third) << error;
  ASSERT_TRUE(of_third) << later_error;
  ASSERT_TRUE(again) << "a fork of one that is copied: " << last_error;
  EXPECT_EQ(all(third), first);
  EXPECT_EQ(all(of_third), second);
  EXPECT_EQ(all(again), second);
  EXPECT_EQ(all(fork(third)), second);
}

TEST(Forks, SharedPagesCountOnceAndAreGivenBackWithTheLast) {
  Machine m = Machine::cpu(1);
  const i64 nothing = in_use(m);
  Tensor cache = must(m.executor->reserved(DType::F32, {1024}, 4000));
  const auto grow = [&](const Tensor& x, i64 rows) {
    const Tensor grown = m.op(op_append_rows, {x, m.noise({rows, 1024}, 7)});
    must(m.executor->wait(grown));
    return grown;
  };
  cache = grow(cache, 1000);
  const i64 whole = in_use(m);
  EXPECT_GE(whole - nothing, 1000 * kPage);
  Tensor fork = grow(first_rows(m, cache, 400), 1);
  EXPECT_LE(in_use(m) - whole, 2 * kPage);
  const std::vector<double> values = m.read(fork);
  const i64 resident = resident_bytes();
  cache = {};
  must(m.executor->flush());
  EXPECT_LE(in_use(m) - nothing, 405 * kPage) << "what lies behind the fork is free";
  EXPECT_LE(resident_bytes(), resident - 400 * kPage) << "for the system too";
  EXPECT_EQ(m.read(fork), values);
  Tensor deeper = grow(first_rows(m, fork, 200), 300);
  fork = {};
  EXPECT_LE(in_use(m) - nothing, 540 * kPage);
  EXPECT_EQ(m.read(first_rows(m, deeper, 200)),
            std::vector<double>(values.begin(), values.begin() + 200 * 1024));
  deeper = {};
  EXPECT_LE(in_use(m) - nothing, 64 * kPage);
}

// Appends anywhere in a tree of forks, against vectors that are really copied.
class ForkTrees : public testing::TestWithParam<int> {};
TEST_P(ForkTrees, HoldWhatDeepCopiesHold) {
  for (const bool looks : {true, false}) {
    for (const i64 cols : {3, 192, 1024, 1500}) {
      Machine m = GetParam() == 0 ? Machine::reference() : Machine::cpu(GetParam());
      std::mt19937 random(static_cast<u32>(cols + looks));
      const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
      struct Branch {
        Tensor tensor;
        std::vector<double> values;
      };
      std::vector<Branch> branches(1);
      branches[0].tensor = must(m.executor->reserved(DType::F32, {cols}, 20));
      for (int step = 0; step < 120; ++step) {
        Branch& at = branches[below(branches.size())];
        const i64 rows = static_cast<i64>(at.values.size()) / cols;
        switch (below(6)) {
          case 0:
            if (branches.size() < 6) {
              branches.push_back(Branch(at));
            } else {
              branches.erase(branches.begin() + static_cast<std::ptrdiff_t>(below(branches.size())));
            }
            break;
          case 1: {
            const i64 kept = static_cast<i64>(below(static_cast<size_t>(rows) + 1));
            at.tensor = first_rows(m, at.tensor, kept);
            at.values.resize(static_cast<size_t>(kept * cols));
            break;
          }
          default: {
            const i64 count = static_cast<i64>(below(9));
            const Tensor more = m.noise({count, cols}, random());
            const std::vector<double> numbers = m.read(more);
            at.tensor = m.op(op_append_rows, {at.tensor, more});
            at.values.insert(at.values.end(), numbers.begin(), numbers.end());
          }
        }
        if (looks && below(2) == 0) must(m.executor->wait(branches[0].tensor));
      }
      for (const Branch& b : branches) EXPECT_EQ(m.read(b.tensor), b.values) << cols << " columns";
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Devices, ForkTrees, testing::Values(0, 1, 5));

// What a fork shares is named as the memory that it is; the device that checks every order would stop the
// process if somebody wrote there while a fork may read.
TEST(Forks, TheNullDeviceSeesWhoseMemoryAForkReads) {
  Machine m = Machine::null();
  auto& device = static_cast<null::NullDevice&>(*m.device);
  Tensor cache = must(m.executor->reserved(DType::F32, {1024}, 100));
  cache = m.op(op_append_rows, {cache, m.noise({10, 1024}, 1)});
  must(m.executor->wait(cache));
  const BufferId owner = cache->value.buffer->id();
  Tensor fork = m.op(op_append_rows, {first_rows(m, cache, 4), m.noise({2, 1024}, 2)});
  must(m.executor->wait(fork));
  ASSERT_NE(fork->value.buffer->id(), owner);
  // Nobody holds the rows behind those that are shared: they are written over in place; the shared ones
  // never.
  const Tensor doubled = m.op(op_add, {fork, fork});
  Tensor again = m.op(op_append_rows, {first_rows(m, std::exchange(cache, {}), 4), m.noise({3, 1024}, 3)});
  must(m.executor->flush());
  must(m.executor->wait(doubled));
  EXPECT_EQ(again->value.buffer->id(), owner);
  const BufferId in_place = again->value.buffer->id();
  again = m.op(op_append_rows, {first_rows(m, std::exchange(again, {}), 3), m.noise({3, 1024}, 3)});
  must(m.executor->wait(again));
  EXPECT_NE(again->value.buffer->id(), in_place) << "rows that a fork shares were written over";
  i64 shared = 0, written = 0;
  for (const auto& batch : device.log()) {
    for (const auto& command : batch.commands) {
      for (const Access& a : command.accesses) {
        if (a.buffer != owner) continue;
        if (command.op == "add") shared += a.size_bytes;
        if (a.mode == Access::Mode::Write && a.offset_bytes < 4 * kPage && a.offset_bytes > 0) ++written;
      }
    }
  }
  EXPECT_EQ(shared, 2 * 4 * kPage);
  EXPECT_EQ(written, 0);
}

TEST(Forks, ThreadsForkOneCacheAtOnce) {
  Machine m = Machine::cpu(2);
  Tensor cache = must(m.executor->reserved(DType::F32, {192}, 4000));
  cache = m.op(op_append_rows, {cache, m.noise({1000, 192}, 1)});
  must(m.executor->wait(cache));
  const std::string expected =
      m.sum_of(m.op(op_append_rows, {m.noise({1000, 192}, 1), m.noise({30, 192}, 5)}));
  std::vector<std::string> sums(8);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < sums.size(); ++i) {
    threads.emplace_back([&, i, mine = cache]() mutable {
      auto executor = must(Executor::create(*m.device, {}));
      Tensor more = mine;
      std::vector<float> numbers;
      u32 state = 5 * 2654435761u + 1;
      for (int k = 0; k < 30 * 192; ++k) {
        state = state * 1664525u + 1013904223u;
        numbers.push_back(static_cast<float>(state >> 8) / 8388608.0f - 1.0f);
      }
      for (size_t k = 0; k < 30; ++k) {
        const Tensor row = must(executor->from_host({DType::F32, {1, 192}},
                                                    std::as_bytes(std::span(numbers).subspan(k * 192, 192))));
        more = must(executor->apply(op_append_rows, {more, row}));
        if (k % 7 == 0) must(executor->wait(more));
      }
      sums[i] = checksum_hex(checksum(must(executor->read(more))));
    });
  }
  for (std::thread& t : threads) t.join();
  for (const std::string& sum : sums) EXPECT_EQ(sum, expected);
}

}  // namespace
}  // namespace tl
