// Attention written out runs as one step, and no bit tells.
#include <cmath>
#include <functional>
#include <limits>
#include <random>

#include "tests/runtime/machine.h"
#include "tl/ops/einsum/einsum.h"

namespace tl {
namespace {

enum class Mask { None, Bias, BiasOfHeads, BiasOfKeys, Where, Number, Causal, CausalOfHeads, CausalMild };
// What the last key or value is made of: what a mask hides may matter all the same.
enum class Odd { None, KeyNaN, KeyInfinity, KeyHuge, ValueInfinity, ValueNaN, NegativeZeros };

struct Sizes {
  i64 queries = 1, keys = 1, kv_heads = 1, group = 1, depth = 4;
  i64 heads() const { return kv_heads * group; }
};

// One round of attention as a program writes it; every value between is dropped at once.
struct Composer {
  Machine& m;
  DType kv_dtype = DType::F32;
  Mask mask = Mask::Bias;
  Odd odd = Odd::None;

  Tensor sum(std::string_view spec, const Tensor& a, const Tensor& b) {
    const ApplyOp apply = [this](const OpDef& op, std::span<const Tensor> in, Attrs attrs) {
      return m.executor->apply(op, in, std::move(attrs));
    };
    const Tensor both[] = {a, b};
    return must(einsum(apply, spec, both));
  }
  Tensor number(double x) { return scalar_tensor(x, DType::F32); }
  Tensor made(const Shape& shape, u32 seed, DType dtype = DType::F32) {
    Tensor x = m.noise(shape, seed);
    if (dtype != DType::F32) x = m.op(op_cast, {x}, Attrs().with_dtype(dtype));
    must(m.executor->wait(x));
    return x;
  }
  Tensor repeated(const Tensor& x, const Sizes& s) {
    const Tensor apart = m.reshape(x, {s.keys, s.kv_heads, 1, s.depth});
    const Tensor wide =
        m.op(op_broadcast_to, {apart}, Attrs().with_ints({s.keys, s.kv_heads, s.group, s.depth}));
    return m.reshape(wide, {s.keys, s.heads(), s.depth});
  }
  Tensor masked(const Tensor& x, const Sizes& s, u32 seed) {
    const i64 n = s.queries, t = s.keys;
    switch (mask) {
      case Mask::None:
        return x;
      case Mask::Bias:
        return m.op(op_add, {m.op(op_mul, {x, number(0.125)}), made({n, t}, seed)});
      case Mask::BiasOfHeads:
        return m.op(op_add, {made({s.heads(), 1, t}, seed), m.op(op_mul, {x, number(0.3)})});
      case Mask::BiasOfKeys:
        return m.op(op_sub, {x, made({t}, seed)});
      case Mask::Where: {
        const Tensor keep = m.op(op_greater, {made({n, t}, seed), number(-0.2)});
        return m.op(op_where, {keep, m.op(op_div, {x, number(3.0)}), number(-1e30)});
      }
      case Mask::Causal:
      case Mask::CausalOfHeads:
      case Mask::CausalMild: {
        const double hidden = mask == Mask::CausalMild ? -50 : seed % 2 == 0 ? -1e30 : -INFINITY;
        std::vector<float> bias(static_cast<size_t>(n * t), 0.0f);
        for (i64 i = 0; i < n; ++i) {
          for (i64 j = std::max<i64>(0, t - n + i + 1); j < t; ++j)
            bias[static_cast<size_t>(i * t + j)] = static_cast<float>(hidden);
        }
        Tensor b = must(m.executor->from_host({DType::F32, {n, t}}, std::as_bytes(std::span(bias))));
        if (mask == Mask::CausalOfHeads) b = m.op(op_add, {b, made({s.heads(), 1, 1}, seed)});
        must(m.executor->wait(b));
        return m.op(op_add, {m.op(op_mul, {x, number(-0.125)}), b});
      }
      case Mask::Number:
        return m.op(op_mul, {m.op(op_tanh, {m.op(op_div, {x, number(2.0)})}), number(2.0)});
    }
    return x;
  }
  Tensor with_odd(const Tensor& x, bool is_keys) {
    if (odd == Odd::None || (odd <= Odd::KeyHuge) != is_keys || x.shape()[0] == 0) return x;
    std::vector<float> factor(static_cast<size_t>(x.shape()[0]), odd == Odd::NegativeZeros ? -0.0f : 1.0f);
    factor.back() = odd == Odd::KeyNaN || odd == Odd::ValueNaN ? NAN
                    : odd == Odd::KeyHuge                      ? 1e20f
                    : odd == Odd::NegativeZeros                ? -0.0f
                                                               : INFINITY;
    const Tensor f =
        must(m.executor->from_host({DType::F32, {x.shape()[0], 1, 1}}, std::as_bytes(std::span(factor))));
    const Tensor made = m.op(op_cast, {m.op(op_mul, {x, f})}, Attrs().with_dtype(x.dtype()));
    must(m.executor->wait(made));
    return made;
  }
  Tensor attend(const Tensor& q, const Tensor& keys, const Tensor& values, const Sizes& s, u32 seed) {
    const Tensor weights =
        m.op(op_softmax, {masked(sum("ihd,jhd->hij", q, keys), s, seed)}, Attrs().with_int(-1));
    return sum("hij,jhd->ihd", weights, values);
  }
  Tensor round(const Sizes& s, u32 seed) {
    const Tensor q = made({s.queries, s.heads(), s.depth}, seed),
                 k = with_odd(made({s.keys, s.kv_heads, s.depth}, seed + 1, kv_dtype), true),
                 v = with_odd(made({s.keys, s.kv_heads, s.depth}, seed + 2, kv_dtype), false);
    return attend(q, repeated(k, s), repeated(v, s), s, seed + 3);
  }
};

constexpr Mask kMasks[] = {Mask::None,   Mask::Bias,   Mask::BiasOfHeads,   Mask::BiasOfKeys, Mask::Where,
                           Mask::Number, Mask::Causal, Mask::CausalOfHeads, Mask::CausalMild};

Sizes random_sizes(std::mt19937& random) {
  constexpr i64 kKeys[] = {0, 1, 2, 15, 16, 17, 44, 45, 255, 256, 257, 300};
  constexpr i64 kQueries[] = {1, 1, 2, 3, 7, 30};
  constexpr i64 kDepths[] = {1, 3, 16, 20, 64};
  constexpr i64 kGroups[] = {1, 3, 9};
  const auto any = [&](const auto& list) { return list[random() % std::size(list)]; };
  return {any(kQueries), any(kKeys), static_cast<i64>(1 + random() % 3), any(kGroups), any(kDepths)};
}

void expect_same(Machine& fused, Machine& apart, int rounds) {
  std::mt19937 random(5);
  for (int i = 0; i < rounds; ++i) {
    const Sizes s = random_sizes(random);
    const Mask mask = kMasks[random() % std::size(kMasks)];
    constexpr DType kTypes[] = {DType::F32, DType::F32, DType::F16, DType::BF16};
    const DType dtype = kTypes[random() % 4];
    const u32 seed = static_cast<u32>(random());
    const Odd odd = random() % 3 == 0 ? static_cast<Odd>(random() % 7) : Odd::None;
    EXPECT_EQ(fused.sum_of(Composer{fused, dtype, mask, odd}.round(s, seed)),
              apart.sum_of(Composer{apart, dtype, mask, odd}.round(s, seed)))
        << s.queries << " queries, " << s.keys << " keys, " << s.kv_heads << " x " << s.group << " heads of "
        << s.depth << ", mask " << static_cast<int>(mask) << ", odd " << static_cast<int>(odd) << ", "
        << name_of(dtype);
  }
}

TEST(AttentionFusion, ChangesNoBit) {
  Machine fused = Machine::cpu(2), apart = Machine::cpu(2, {.fuse = false});
  expect_same(fused, apart, 400);
  EXPECT_LT(fused.executor->stats().commands, apart.executor->stats().commands);
}

TEST(AttentionFusion, ChangesNoBitAtOtherLevels) {
  for (const SimdLevel level : {SimdLevel::Portable, SimdLevel::Avx2}) {
    const auto machine = [&](bool fuse) {
      return Machine::on(must(cpu::create_device({.threads = 1, .simd = level, .memory_limit_bytes = 0})),
                         {.fuse = fuse});
    };
    Machine fused = machine(true), apart = machine(false);
    expect_same(fused, apart, 60);
  }
}

TEST(AttentionFusion, ChangesNoBitOfTheOracle) {
  Machine fused = Machine::reference(), apart = Machine::reference({.fuse = false});
  expect_same(fused, apart, 40);
}

TEST(AttentionFusion, ChangesNoBitInAnyOrder) {
  Machine apart = Machine::cpu(1, {.eager = true, .fuse = false});
  for (const ExecOptions& options :
       {ExecOptions{.eager = true}, ExecOptions{.shuffle = 3}, ExecOptions{.commands_per_batch = 1}}) {
    Machine fused = Machine::cpu(3, options);
    expect_same(fused, apart, 40);
  }
}

TEST(AttentionFusion, OnePlanServesEverySize) {
  Machine m = Machine::cpu(2), null = Machine::null();
  Composer{m}.round({2, 5, 3, 3, 8}, 1);
  for (Machine* machine : {&m, &null}) {
    Composer c{*machine};
    must(machine->executor->wait(c.round({2, 5, 3, 3, 8}, 1)));
    const u64 made = machine->executor->stats().plans_made;
    for (const i64 keys : {6, 44, 45, 257, 2}) must(machine->executor->wait(c.round({2, keys, 3, 3, 8}, 1)));
    EXPECT_EQ(machine->executor->stats().plans_made, made);
  }
}

// Commands of one evaluation of `root`.
u64 commands_of(Machine& m, const Tensor& root) {
  const u64 before = m.executor->stats().commands;
  must(m.executor->wait(root));
  return m.executor->stats().commands - before;
}

TEST(AttentionFusion, IsOneCommand) {
  Machine m = Machine::cpu(2);
  for (const Mask mask : {Mask::None, Mask::Bias, Mask::BiasOfHeads, Mask::BiasOfKeys, Mask::Number}) {
    for (const i64 group : {1, 3}) {
      Composer c{m, DType::F32, mask};
      EXPECT_EQ(commands_of(m, c.round({4, 10, 2, group, 8}, 1)), 1u)
          << static_cast<int>(mask) << ' ' << group;
    }
  }
}

TEST(AttentionFusion, WhatSomebodyHoldsOrReadsElsewhereStays) {
  const auto run = [](bool fuse) {
    Machine m = Machine::cpu(2, {.fuse = fuse});
    Composer c{m};
    const Sizes s{3, 20, 2, 3, 8};
    const Tensor q = c.made({3, 6, 8}, 1), k = c.made({20, 2, 8}, 2), v = c.made({20, 2, 8}, 3);
    const Tensor keys = c.repeated(k, s);  // held
    std::vector<std::string> sums{m.sum_of(c.attend(q, keys, c.repeated(v, s), s, 4)), m.sum_of(keys)};
    const Tensor shared = c.repeated(v, s);
    sums.push_back(m.sum_of(c.attend(q, shared, shared, s, 4)));  // read twice
    const Tensor scores = c.sum("ihd,jhd->hij", q, c.repeated(k, s));
    const Tensor weights = m.op(op_softmax, {scores}, Attrs().with_int(-1));
    sums.push_back(m.sum_of(c.sum("hij,jhd->ihd", weights, c.repeated(v, s))));
    sums.push_back(m.sum_of(weights));
    sums.push_back(m.sum_of(scores));
    return sums;
  };
  EXPECT_EQ(run(true), run(false));
}

// Keys that a causal mask hides have weights of exactly 0, which still turn infinities into NaN and -0 into
// 0.
TEST(AttentionFusion, HiddenKeysCountAsTheyDoApart) {
  const auto run = [](bool fuse, float odd, i64 at, float fill) {
    Machine m = Machine::cpu(2, {.fuse = fuse});
    Composer c{m};
    const i64 n = 40, t = 40;
    std::vector<float> bias(static_cast<size_t>(n * t)), values(static_cast<size_t>(t * 2 * 8), fill);
    for (i64 i = 0; i < n; ++i) {
      for (i64 j = i + 1; j < t; ++j) bias[static_cast<size_t>(i * t + j)] = -1e30f;
    }
    values[static_cast<size_t>(at)] = odd;
    const Tensor q = c.made({n, 6, 8}, 1), k = c.made({t, 2, 8}, 2), v = m.f32({t, 2, 8}, values);
    const Tensor mask = m.f32({n, t}, bias);
    const Sizes s{n, t, 2, 3, 8};
    const Tensor keys = c.repeated(k, s);
    must(m.executor->wait(keys));
    return m.sum_of(
        c.sum("hij,jhd->ihd",
              m.op(op_softmax, {m.op(op_add, {c.sum("ihd,jhd->hij", q, keys), mask})}, Attrs().with_int(-1)),
              c.repeated(v, s)));
  };
  const float infinity = std::numeric_limits<float>::infinity(), least = -1e-45f;
  for (const i64 at : {0, 17, 500, 639}) {
    for (const float odd : {0.5f, -0.0f, infinity, -infinity, std::numeric_limits<float>::quiet_NaN()}) {
      for (const float fill : {0.25f, -0.0f, least})
        EXPECT_EQ(run(true, odd, at, fill), run(false, odd, at, fill))
            << odd << " at " << at << ", else " << fill;
    }
  }
}

// Attributes are not in the plan key, except where they decide what is fused.
TEST(AttentionFusion, KnowsPermutationsAndAxesApart) {
  const auto run = [](bool fuse) {
    Machine m = Machine::cpu(2, {.fuse = fuse});
    Composer c{m};
    std::vector<std::string> sums;
    // Scores and weights that somebody holds are not fused: they are gone when the product is looked at.
    const auto look = [&](const std::function<Tensor()>& product) {
      const Tensor made = product();
      sums.push_back(m.sum_of(made));
    };
    for (const i64 axis : {-1, 1, 2, 0}) {
      const Tensor q = c.made({4, 4, 4}, 1), k = c.made({4, 4, 4}, 2), v = c.made({4, 4, 4}, 3);
      look([&] {
        return m.op(op_matmul, {m.op(op_softmax, {m.op(op_matmul, {q, k})}, Attrs().with_int(axis)), v});
      });
    }
    const Sizes s{4, 4, 2, 2, 4};
    for (const std::vector<i64>& k_axes :
         std::vector<std::vector<i64>>{{1, 2, 0}, {0, 1, 2}, {2, 0, 1}, {1, 0, 2}}) {
      for (const std::vector<i64>& v_axes : std::vector<std::vector<i64>>{{1, 0, 2}, {0, 1, 2}, {2, 1, 0}}) {
        const auto permuted = [&](const Tensor& x, const std::vector<i64>& axes) {
          return m.op(op_permute, {x}, Attrs().with_ints(axes));
        };
        const Tensor q = c.made({4, 4, 4}, 1), k = c.made({4, 2, 4}, 2), v = c.made({4, 2, 4}, 3);
        look([&] {
          const Tensor scores = m.op(op_matmul, {q, permuted(c.repeated(k, s), k_axes)});
          const Tensor weights = m.op(op_softmax, {scores}, Attrs().with_int(-1));
          return m.op(op_matmul, {weights, permuted(c.repeated(v, s), v_axes)});
        });
      }
    }
    // A reshape that does not merge groups with their heads.
    for (const i64 first : {4, 8}) {
      const Tensor k = c.made({4, 2, 1, 4}, 2), q = c.made({4, 4, 4}, 1);
      look([&] {
        const Tensor wide = m.op(op_broadcast_to, {k}, Attrs().with_ints({4, 2, 2, 4}));
        const Tensor mixed =
            m.op(op_permute, {m.reshape(wide, {first, 16 / first, 4})}, Attrs().with_ints({1, 2, 0}));
        const Tensor queries =
            m.op(op_broadcast_to, {c.made({1, 4, 4}, 5)}, Attrs().with_ints({16 / first, 4, 4}));
        const Tensor weights = m.op(op_softmax, {m.op(op_matmul, {queries, mixed})}, Attrs().with_int(-1));
        return m.op(op_matmul, {weights, c.made({16 / first, first, 4}, 6)});
      });
    }
    return sums;
  };
  EXPECT_EQ(run(true), run(false));
}

// Scores of one head that a mask repeats for all are not those that the fused form would compute.
TEST(AttentionFusion, KnowsScoresThatAMaskRepeats) {
  const auto run = [](bool fuse) {
    Machine m = Machine::cpu(2, {.fuse = fuse});
    Composer c{m};
    std::vector<std::string> sums;
    for (const i64 heads : {4, 1, 4}) {
      const Tensor mixed = [&] {
        const Tensor scores = m.op(op_matmul, {c.made({heads, 5, 8}, 1), c.made({heads, 8, 7}, 2)});
        const Tensor masked = m.op(op_add, {scores, c.made({4, 5, 7}, 3)});
        return m.op(op_matmul, {m.op(op_softmax, {masked}, Attrs().with_int(-1)), c.made({4, 7, 6}, 4)});
      }();
      sums.push_back(m.sum_of(mixed));
    }
    return sums;
  };
  EXPECT_EQ(run(true), run(false));
}

// Neither scores nor repeated heads are in memory.
TEST(AttentionFusion, MemoryDoesNotGrowWithQueriesTimesKeys) {
  Machine m = Machine::cpu(2);
  Composer c{m, DType::F32, Mask::BiasOfKeys};
  const Sizes s{1000, 1000, 2, 8, 8};
  const Tensor q = c.made({1000, 16, 8}, 1), k = c.made({1000, 2, 8}, 2), v = c.made({1000, 2, 8}, 3);
  const i64 before = m.device->memory().in_use_bytes;
  must(m.executor->wait(c.attend(q, c.repeated(k, s), c.repeated(v, s), s, 4)));
  EXPECT_LT(m.device->memory().high_water_bytes - before, 4 * 1000 * 1000);  // all scores: 64 MB
}

}  // namespace
}  // namespace tl
