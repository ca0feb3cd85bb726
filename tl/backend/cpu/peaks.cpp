#include "tl/backend/cpu/peaks.h"

#include <sys/mman.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "tl/backend/cpu/simd.h"

namespace tl::cpu {
namespace {

constexpr i64 kStreamBytes = i64{96} << 20;  // of all threads together: more than the caches hold
constexpr int kPasses = 4;
constexpr i64 kMeasuredNs = 15'000'000;

template <typename Work>
double seconds_of(int threads, const Work& work) {
  const i64 begin = now_ns();
  std::vector<std::thread> others;
  for (int t = 1; t < threads; ++t) others.emplace_back([&work, t] { work(t); });
  work(0);
  for (std::thread& thread : others) thread.join();
  return static_cast<double>(now_ns() - begin) * 1e-9;
}

// Eight sums side by side, so that loads are what is waited for.
u64 sum_of(const u64* data, i64 count) {
  u64 lanes[8] = {};
  for (i64 i = 0; i + 8 <= count; i += 8) {
    for (int lane = 0; lane < 8; ++lane) lanes[lane] += data[i + lane];
  }
  u64 total = 0;
  for (const u64 lane : lanes) total += lane;
  return total;
}

double bytes_per_second(int threads) {
  const size_t size = kStreamBytes;
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 0;
  madvise(memory, size, MADV_HUGEPAGE);
  u64* const data = static_cast<u64*>(memory);
  const i64 part = kStreamBytes / static_cast<i64>(sizeof(u64)) / threads / 8 * 8;
  std::vector<u64> sums(static_cast<size_t>(threads));
  seconds_of(threads, [&](int t) { std::fill_n(data + t * part, part, 1); });
  double best = 0;
  for (int pass = 0; pass < kPasses; ++pass) {
    const double seconds =
        seconds_of(threads, [&](int t) { sums[static_cast<size_t>(t)] = sum_of(data + t * part, part); });
    best = std::max(best, static_cast<double>(part * threads) * 8 / seconds);
  }
  munmap(memory, size);
  return sums[0] == static_cast<u64>(part) ? best : 0;  // the sums are looked at, so they are computed
}

double flops_per_second(int threads, SimdLevel simd) {
  const auto run = [&](i64 rounds) {
    return seconds_of(threads, [&](int) {
      alignas(64) float result[kLanes];
      KernelCall call;
      call.out.data = reinterpret_cast<std::byte*>(result);
      call.end = rounds;
      call.simd = simd;
      multiply_add_loop(call);
    });
  };
  i64 rounds = 256;
  double seconds = run(rounds);
  while (seconds * 1e9 < kMeasuredNs) seconds = run(rounds *= 4);
  return static_cast<double>(rounds) * threads * kFmaSteps * kFmaChains * kLanes * 2 / seconds;
}

}  // namespace

Peaks measure_peaks(int threads, SimdLevel simd) {
  return {bytes_per_second(threads), flops_per_second(threads, simd)};
}

}  // namespace tl::cpu
