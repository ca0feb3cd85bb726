// The same bits on every run: a small transformer, written with composed attention, under every way to run
// it.
#include "tests/runtime/machine.h"

namespace tl {
namespace {

constexpr i64 kWidth = 32, kHeads = 4, kDim = 8, kLayers = 22;

// Appends to the caches and gives the last layer's output for `rows` new rows.
struct Net {
  Machine& m;
  bool fresh_masks = false;
  std::vector<Tensor> k, v;
  std::array<Tensor, 5> weights;

  explicit Net(Machine& machine) : m(machine) {
    for (u32 i = 0; i < weights.size(); ++i) weights[i] = m.noise({kWidth, kWidth}, 100 + i);
    for (i64 i = 0; i < kLayers; ++i) {
      k.push_back(must(m.executor->reserved(DType::F32, {kHeads, kDim}, 2048)));
      v.push_back(must(m.executor->reserved(DType::F32, {kHeads, kDim}, 2048)));
    }
  }

  // 1 = keep: row r (at position start + r) sees columns up to itself.
  Tensor mask(i64 start, i64 rows) {
    std::vector<float> values;
    for (i64 r = 0; r < rows; ++r) {
      for (i64 c = 0; c < start + rows; ++c) values.push_back(c <= start + r ? 0.0f : -1e30f);
    }
    return m.f32({rows, start + rows}, values);
  }

  Tensor heads(const Tensor& x, const Tensor& w) {
    const i64 rows = x.shape()[0];
    return m.reshape(m.op(op_linear, {x, w}), {rows, kHeads, kDim});
  }

  Tensor layer(Tensor x, i64 i, const Tensor& bias) {
    const i64 rows = x.shape()[0];
    const size_t l = static_cast<size_t>(i);
    const auto permute = [&](const Tensor& t, std::vector<i64> axes) {
      return m.op(op_permute, {t}, Attrs().with_ints(std::move(axes)));
    };
    const Tensor q = heads(x, weights[0]);
    k[l] = m.op(op_append_rows, {k[l], heads(x, weights[1])});
    v[l] = m.op(op_append_rows, {v[l], heads(x, weights[2])});
    const Tensor scores = m.op(op_matmul, {permute(q, {1, 0, 2}), permute(k[l], {1, 2, 0})});
    const Tensor scaled = m.op(op_mul, {scores, scalar_tensor(0.35, DType::F32)});
    const Tensor p = m.op(op_softmax, {m.op(op_add, {scaled, bias})}, Attrs().with_int(-1));
    const Tensor mixed =
        m.reshape(permute(m.op(op_matmul, {p, permute(v[l], {1, 0, 2})}), {1, 0, 2}), {rows, kWidth});
    x = m.op(op_add, {x, m.op(op_linear, {mixed, weights[3]})});
    const Tensor gate = m.op(op_silu, {m.op(op_linear, {x, weights[4]})});
    return m.op(op_tanh, {m.op(op_add, {x, m.op(op_mul, {gate, x})})});
  }

  Tensor forward(Tensor x) {
    const i64 start = k[0].shape()[0], rows = x.shape()[0];
    const Tensor shared = mask(start, rows);
    for (i64 i = 0; i < kLayers; ++i) x = layer(x, i, fresh_masks ? mask(start, rows) : shared);
    return x;
  }
};

Tensor rows_of(Machine& m, const Tensor& x, i64 from, i64 count) {
  return m.op(op_index, {x}, Attrs().with_ints({from, count, 1, 0, 0, kWidth, 1, 0}));
}

// The last row's output for a prompt of 46 fed in pieces, then 3 more steps; hashes of all.
std::vector<std::string> run(Machine m, i64 chunk = 46, bool fresh_masks = false) {
  Net net(m);
  net.fresh_masks = fresh_masks;
  const Tensor prompt = m.noise({46, kWidth}, 7);
  std::vector<std::string> sums;
  Tensor last;
  for (i64 done = 0; done < 46; done += chunk) {
    const i64 n = std::min(chunk, 46 - done);
    const Tensor out = net.forward(rows_of(m, prompt, done, n));
    last = rows_of(m, out, n - 1, 1);
  }
  sums.push_back(m.sum_of(last));
  for (int step = 0; step < 3; ++step) {
    last = net.forward(last);
    sums.push_back(m.sum_of(last));
  }
  return sums;
}

TEST(SameBits, OnEveryWayToRun) {
  const std::vector<std::string> expected = run(Machine::cpu(2));
  for (const int threads : {1, 2, 5})
    EXPECT_EQ(run(Machine::cpu(threads)), expected) << threads << " threads";
  for (const int batch : {1, 20, 50, 200, 10000}) {
    EXPECT_EQ(run(Machine::cpu(2, {.commands_per_batch = batch})), expected) << "batches of " << batch;
  }
  EXPECT_EQ(run(Machine::cpu(2, {.eager = true})), expected) << "eager";
  EXPECT_EQ(run(Machine::cpu(2, {.fuse = false})), expected) << "not fused";
  for (u64 seed = 1; seed <= 5; ++seed) {
    EXPECT_EQ(run(Machine::cpu(2, {.shuffle = seed, .commands_per_batch = 10000})), expected)
        << "shuffled by " << seed;
  }
  for (int i = 0; i < 20; ++i) EXPECT_EQ(run(Machine::cpu(2)), expected) << "run " << i;
}

TEST(SameBits, HoweverThePromptIsCut) {
  const std::vector<std::string> expected = run(Machine::cpu(2));
  for (const i64 chunk : {1, 7, 45})
    EXPECT_EQ(run(Machine::cpu(2), chunk), expected) << "chunks of " << chunk;
}

TEST(SameBits, OneMaskForAllLayersIsAFreshMaskForEach) {
  EXPECT_EQ(run(Machine::cpu(2), 46, true), run(Machine::cpu(2), 46, false));
}

TEST(Plans, ALongGenerationMakesNoNewPlanAfterItsFirstSteps) {
  Machine m = Machine::cpu(2);
  Net net(m);
  Tensor x = m.noise({1, kWidth}, 3);
  u64 after_three = 0;
  for (int step = 0; step < 200; ++step) {
    x = net.forward(x);
    must(m.executor->wait(x));
    if (step == 2) after_three = m.executor->stats().plans_made;
  }
  EXPECT_EQ(m.executor->stats().plans_made, after_three);
  EXPECT_GT(m.executor->stats().plans_reused, 190u);
}

TEST(Memory, IsFlatInLayersAndSteps) {
  Machine m = Machine::cpu(2);
  Net net(m);
  must(m.executor->wait(net.forward(m.noise({46, kWidth}, 3))));
  Tensor x = m.noise({1, kWidth}, 3);
  u64 allocations = 0;
  i64 in_use = 0;
  for (int step = 0; step < 300; ++step) {
    x = net.forward(x);
    must(m.executor->wait(x));
    if (step == 20)
      allocations = m.device->memory().system_allocations, in_use = m.device->memory().in_use_bytes;
  }
  // The masks grow with the length; everything else must come from the pool.
  EXPECT_LE(m.device->memory().system_allocations, allocations + 4);
  EXPECT_LE(m.device->memory().in_use_bytes, in_use + (64 << 10));
}

TEST(Devices, AgreeWithinTolerance) {
  Machine reference = Machine::reference(), cpu = Machine::cpu();
  Net a(reference), b(cpu);
  const std::vector<double> x = reference.read(a.forward(reference.noise({5, kWidth}, 7)));
  const std::vector<double> y = cpu.read(b.forward(cpu.noise({5, kWidth}, 7)));
  ASSERT_EQ(x.size(), y.size());
  for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], y[i], 1e-4) << i;
}

TEST(Submit, ReturnsWhileThePoolComputes) {
  Machine m = Machine::cpu(1);
  const Tensor a = m.noise({700, 700}, 1);
  Tensor x = a;
  for (int i = 0; i < 8; ++i) x = m.op(op_matmul, {x, a});
  must(m.executor->submit({&x, 1}));
  const Ticket ticket{static_cast<StreamId>(x->value.stream), x->value.ready};
  EXPECT_FALSE(Timelines::instance().reached(ticket)) << "submit waited";
  const Tensor next = m.op(op_add, {x, x});  // recorded while the pool computes
  must(m.executor->wait(next));
  EXPECT_TRUE(Timelines::instance().reached(ticket));
}

}  // namespace
}  // namespace tl
