// Speed of `linear`, `matmul` and `attention` kernels at the shapes of SmolLM2-135M and TinyLlama-1.1B. Each
// benchmark first checks its result against the oracle. Threads share the units, as the device's workers do.
#include <benchmark/benchmark.h>

#include <cmath>
#include <random>
#include <thread>
#include <vector>

#include "tl/backend/cpu/simd_level.h"
#include "tl/ops/linear/linear.h"
#include "tl/ops/linear/random_operands.h"
#include "tl/ops/ops.h"

namespace tl {
using namespace testing_kernels;

namespace {

// Runs units [begin, end) split evenly among `threads`.
void run_units(const Kernel& kernel, const KernelCall& call, int threads, Scratch* scratch, i64 begin,
               i64 end) {
  const auto part = [&](int t) {
    KernelCall mine = call;
    mine.scratch = scratch + t;
    mine.begin = begin + (end - begin) * t / threads, mine.end = begin + (end - begin) * (t + 1) / threads;
    if (mine.begin < mine.end) kernel.run(mine);
  };
  std::vector<std::thread> others;
  for (int t = 1; t < threads; ++t) others.emplace_back(part, t);
  part(0);
  for (std::thread& t : others) t.join();
}

i64 units_of(const Kernel& kernel, const KernelCall& call) {
  return kernel.units != nullptr ? kernel.units(call) : call.out.numel();
}

// Relative error of the units that the oracle computes, [0, units).
double error_of(const OpDef& op, KernelCall call, std::span<const Operand> in, i64 checked_columns) {
  Scratch scratch;
  std::vector<double> want(static_cast<size_t>(call.out.numel()));
  KernelCall reference = call;
  reference.in = in;
  reference.out.data = reinterpret_cast<std::byte*>(want.data());
  reference.out.dtype = DType::F64;
  reference.scratch = &scratch;
  reference.begin = 0, reference.end = checked_columns;
  op.reference.run(reference);
  double errors = 0, squares = 1e-300;
  for (i64 i = 0; i < call.out.numel(); ++i) {
    const double w = want[static_cast<size_t>(i)];
    if (w == 0) continue;
    errors += std::pow(w - load_as_double(call.out.dtype, call.out.data, i), 2), squares += w * w;
  }
  return std::sqrt(errors / squares);
}

void linear_bench(benchmark::State& state, DType dtype, i64 n, i64 k, i64 rows, int threads) {
  std::mt19937 random(1);
  Buffered x(DType::F32, {rows, k}, rows * k * 4), w(dtype, {n, k}, row_bytes(dtype, n * k));
  Buffered out(DType::F32, {rows, n}, rows * n * 4), planes(DType::Planes, {rows, k}, rows * k * 4);
  fill_random(x.operand, random), fill_random(w.operand, random);
  const Operand plain[] = {x.operand, w.operand}, packed[] = {planes.operand, w.operand};
  const Attrs attrs;
  std::vector<Scratch> scratch(static_cast<size_t>(threads));
  KernelCall pack{.in = {&x.operand, 1}, .out = planes.operand, .attrs = &attrs, .simd = best_simd_level()};
  KernelCall call{.in = is_quantised(dtype) ? packed : plain,
                  .out = out.operand,
                  .attrs = &attrs,
                  .simd = best_simd_level()};
  const auto step = [&] {
    if (is_quantised(dtype)) run_units(op_pack_planes.cpu, pack, 1, scratch.data(), 0, rows);
    run_units(op_linear.cpu, call, threads, scratch.data(), 0, units_of(op_linear.cpu, call));
  };
  step();
  if (const double error = error_of(op_linear, call, plain, std::min<i64>(n, 20)); !(error < 4e-5)) {
    return state.SkipWithError(fmt::format("differs from the oracle by {}", error).c_str());
  }
  for (auto _ : state) step();
  const double macs = static_cast<double>(rows * n * k), bytes = static_cast<double>(row_bytes(dtype, n * k));
  state.counters["GMAC/s"] = benchmark::Counter(macs * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["GB/s"] = benchmark::Counter(bytes * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

void matmul_bench(benchmark::State& state, i64 size, bool turned) {
  std::mt19937 random(1);
  Buffered a(DType::F32, {size, size}, size * size * 4), b(DType::F32, {size, size}, size * size * 4);
  Buffered out(DType::F32, {size, size}, size * size * 4);
  fill_random(a.operand, random), fill_random(b.operand, random);
  if (turned) std::swap(b.operand.strides[0], b.operand.strides[1]);
  const Operand in[] = {a.operand, b.operand};
  const Attrs attrs;
  Scratch scratch;
  KernelCall call{.in = in, .out = out.operand, .attrs = &attrs, .simd = best_simd_level()};
  const auto step = [&] { run_units(op_matmul.cpu, call, 1, &scratch, 0, units_of(op_matmul.cpu, call)); };
  step();
  if (const double error = error_of(op_matmul, call, in, size); !(error < 2e-6))
    return state.SkipWithError(fmt::format("differs from the oracle by {}", error).c_str());
  for (auto _ : state) step();
  const double macs = std::pow(static_cast<double>(size), 3);
  state.counters["GMAC/s"] = benchmark::Counter(macs * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

void attention_bench(benchmark::State& state, i64 s, i64 h, i64 hk, i64 t, int threads) {
  std::mt19937 random(1);
  const i64 d = 64;
  Buffered q(DType::F32, {s, h, d}, 4 * s * h * d), k(DType::F32, {t, hk, d}, 4 * t * hk * d);
  Buffered v(DType::F32, {t, hk, d}, 4 * t * hk * d), p(DType::I32, {s}, 4 * s),
      out(DType::F32, {s, h, d}, 4 * s * h * d);
  fill_random(q.operand, random), fill_random(k.operand, random), fill_random(v.operand, random);
  for (i64 i = 0; i < s; ++i) p.operand.mutable_ptr<i32>()[i] = static_cast<i32>(t - s + i);
  const Operand in[] = {q.operand, k.operand, v.operand, p.operand};
  Attrs attrs;
  attrs.with_float(0.125).with_int(0);
  std::vector<Scratch> scratch(static_cast<size_t>(threads));
  KernelCall call{.in = in, .out = out.operand, .attrs = &attrs, .simd = best_simd_level()};
  const auto step = [&] {
    run_units(op_attention.cpu, call, threads, scratch.data(), 0, units_of(op_attention.cpu, call));
  };
  step();
  if (const double error = error_of(op_attention, call, in, std::min<i64>(s * h, 8)); !(error < 1e-5))
    return state.SkipWithError(fmt::format("differs from the oracle by {}", error).c_str());
  for (auto _ : state) step();
  const double pairs =
      static_cast<double>(s) * static_cast<double>(t) - 0.5 * static_cast<double>(s * (s - 1));
  state.counters["GMAC/s"] = benchmark::Counter(2 * pairs * static_cast<double>(h * d) * 1e-9,
                                                benchmark::Counter::kIsIterationInvariantRate);
}

struct Shape2 {
  const char* name;
  i64 n, k;
};
constexpr Shape2 kShapes[] = {
    {"cached", 256, 2048},      {"smollm_q", 576, 576},      {"smollm_up", 1536, 576},
    {"smollm_down", 576, 1536}, {"smollm_head", 49152, 576}, {"tiny_q", 2048, 2048},
    {"tiny_up", 5632, 2048},    {"tiny_down", 2048, 5632},   {"tiny_head", 32000, 2048}};

void register_all() {
  for (const Shape2& shape : kShapes)
    for (const DType dtype :
         {DType::Q4_0, DType::Q4_1, DType::Q8_0, DType::Q4_K, DType::Q5_K, DType::Q6_K, DType::Q2_K,
          DType::Q3_K, DType::Q5_0, DType::Q5_1, DType::F16, DType::BF16, DType::F32}) {
      if (info(dtype).block_elements > 1 && shape.k % info(dtype).block_elements != 0) continue;
      for (const i64 rows : {1, 7, 64, 512})
        for (const int threads : {1, 2}) {
          const auto name =
              fmt::format("linear/{}/{}/rows:{}/threads:{}", shape.name, name_of(dtype), rows, threads);
          benchmark::RegisterBenchmark(name.c_str(), linear_bench, dtype, shape.n, shape.k, rows, threads)
              ->UseRealTime()
              ->Unit(benchmark::kMicrosecond);
        }
    }
  for (const i64 size : {64, 256, 1024})
    for (const bool turned : {false, true})
      benchmark::RegisterBenchmark(fmt::format("matmul/{}{}", size, turned ? "/turned" : "").c_str(),
                                   matmul_bench, size, turned)
          ->Unit(benchmark::kMicrosecond);
  struct Heads {
    const char* name;
    i64 h, hk;
  };
  for (const Heads& m : {Heads{"smollm", 9, 3}, Heads{"tiny", 32, 4}})
    for (const auto& [s, t] : {std::pair<i64, i64>{1, 512}, {1, 2048}, {512, 512}})
      for (const int threads : {1, 2})
        benchmark::RegisterBenchmark(
            fmt::format("attention/{}/s:{}/t:{}/threads:{}", m.name, s, t, threads).c_str(), attention_bench,
            s, m.h, m.hk, t, threads)
            ->UseRealTime()
            ->Unit(benchmark::kMicrosecond);
}

}  // namespace
}  // namespace tl

int main(int argc, char** argv) {
  tl::register_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
