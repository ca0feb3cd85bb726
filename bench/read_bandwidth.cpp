// Read bandwidth of this machine's memory, the limit that decoding runs against: every thread sums its own
// part of a buffer far larger than the caches. Prints the best and the median of several passes, in GB/s (1e9
// bytes).
//   build/release/bench/read_bandwidth [MEGABYTES] [PASSES]

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

namespace {

using u64 = unsigned long long;

// Eight independent sums, so that loads and not additions are what is waited for.
u64 sum(const u64* data, size_t count) {
  u64 lanes[8] = {};
  for (size_t i = 0; i + 8 <= count; i += 8) {
    for (int lane = 0; lane < 8; ++lane) lanes[lane] += data[i + lane];
  }
  u64 total = 0;
  for (const u64 lane : lanes) total += lane;
  return total;
}

double pass_seconds(const u64* data, size_t count, int threads, u64& check) {
  std::vector<u64> sums(threads);
  std::vector<std::thread> pool;
  const size_t part = count / threads;
  const auto begin = std::chrono::steady_clock::now();
  for (int t = 0; t < threads; ++t) pool.emplace_back([&, t] { sums[t] = sum(data + t * part, part); });
  for (std::thread& thread : pool) thread.join();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  check = 0;
  for (const u64 s : sums) check += s;
  return took.count();
}

}  // namespace

int main(int argc, char** argv) {
  const size_t megabytes = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1024;
  const int passes = argc > 2 ? std::atoi(argv[2]) : 15;
  if (megabytes == 0 || megabytes > (1u << 20) || passes < 1) {
    std::fprintf(stderr, "usage: read_bandwidth [MEGABYTES] [PASSES]\n");
    return 2;
  }
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  const size_t count = megabytes * (1u << 20) / sizeof(u64) / (8u * cores) * (8u * cores);
  const auto data = std::make_unique<u64[]>(count);
  for (size_t i = 0; i < count; ++i) data[i] = i & 0xff;
  u64 expected = 0;
  for (size_t i = 0; i < count; ++i) expected += data[i];
  for (int threads = 1; threads <= cores; threads *= 2) {
    std::vector<double> rates;
    for (int pass = 0; pass < passes; ++pass) {
      u64 check = 0;
      const double seconds = pass_seconds(data.get(), count, threads, check);
      if (check != expected) return std::fprintf(stderr, "wrong sum\n"), 1;
      rates.push_back(static_cast<double>(count * sizeof(u64)) / seconds / 1e9);
    }
    std::sort(rates.begin(), rates.end());
    std::printf("%d thread%s: best %.1f GB/s, median %.1f GB/s\n", threads, threads == 1 ? "" : "s",
                rates.back(), rates[rates.size() / 2]);
  }
  return 0;
}
