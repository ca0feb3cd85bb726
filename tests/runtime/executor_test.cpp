// What the executor does with a graph: values, views, appends, plans, failures.
#include <fstream>

#include "tests/runtime/machine.h"

namespace tl {
namespace {

TEST(Executor, ComputesNothingUntilSomebodyLooks) {
  Machine m = Machine::cpu();
  const Tensor x = m.f32({3}, {1, 2, 3});
  const Tensor y = m.op(op_add, {m.op(op_mul, {x, x}), scalar_tensor(1.0, DType::F32)});
  EXPECT_EQ(m.executor->stats().commands, 0u);
  EXPECT_EQ(m.read(y), (std::vector<double>{2, 5, 10}));
  EXPECT_GT(m.executor->stats().commands, 0u);
}

TEST(Executor, ViewsMoveNothing) {
  Machine m = Machine::cpu();
  const Tensor x = m.f32({2, 3}, {1, 2, 3, 4, 5, 6});
  const Tensor t = m.op(op_transpose, {x}, Attrs().with_int(-2).with_int(-1));
  must(m.executor->wait(t));
  EXPECT_EQ(m.executor->stats().commands, 0u);
  EXPECT_EQ(m.read(t), (std::vector<double>{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(m.read(m.reshape(t, {6})), (std::vector<double>{1, 4, 2, 5, 3, 6}));  // this one is a copy
}

TEST(Executor, AnUnusedNodeIsNeverComputed) {
  Machine m = Machine::cpu();
  const Tensor x = m.f32({2}, {1, 2});
  { const Tensor dropped = m.op(op_exp, {x}); }
  EXPECT_EQ(m.executor->recorder().pending_count(), 0);
  must(m.executor->flush());
  EXPECT_EQ(m.executor->stats().commands, 0u);
}

TEST(Executor, ChecksumsCoverValuesNobodyHolds) {
  const std::string path = testing::TempDir() + "executor_checksums.txt";
  {
    Machine m = Machine::cpu(2, {.checksums_path = path});
    const Tensor x = m.f32({3}, {1, 2, 3});
    m.read(m.op(op_exp, {m.op(op_add, {m.op(op_mul, {x, x}), x})}));
  }
  std::ifstream in(path);
  std::vector<std::string> ops;
  for (std::string line; std::getline(in, line);) ops.push_back(line.substr(0, line.find("] ")));
  EXPECT_EQ(ops, (std::vector<std::string>{"mul float32[3", "add float32[3", "exp float32[3"}));
}

TEST(Executor, AppendsInPlaceAndKeepsOldVersions) {
  Machine m = Machine::cpu();
  Tensor cache = must(m.executor->reserved(DType::F32, {2}, 100));
  const Tensor empty = cache;
  std::vector<Tensor> versions;
  for (int i = 0; i < 5; ++i) {
    cache = m.op(op_append_rows, {cache, m.f32({1, 2}, {float(i), float(-i)})});
    versions.push_back(cache);
  }
  EXPECT_EQ(m.read(cache), (std::vector<double>{0, 0, 1, -1, 2, -2, 3, -3, 4, -4}));
  EXPECT_EQ(cache->value.buffer, versions[0]->value.buffer) << "growing moved the cache";
  // A second branch from an old version must not disturb the first.
  const Tensor branch = m.op(op_append_rows, {versions[1], m.f32({1, 2}, {9, 9})});
  EXPECT_EQ(m.read(branch), (std::vector<double>{0, 0, 1, -1, 9, 9}));
  EXPECT_EQ(m.read(cache), (std::vector<double>{0, 0, 1, -1, 2, -2, 3, -3, 4, -4}));
  EXPECT_EQ(m.read(versions[1]), (std::vector<double>{0, 0, 1, -1}));
  EXPECT_EQ(m.read(empty), (std::vector<double>{}));
}

TEST(Executor, AppendsBeyondItsRoomByCopying) {
  Machine m = Machine::cpu();
  Tensor cache = must(m.executor->reserved(DType::F32, {1024}, 2));
  for (int i = 0; i < 4; ++i) cache = m.op(op_append_rows, {cache, m.noise({1, 1024}, 1)});
  EXPECT_EQ(m.read(cache).size(), 4096u);
}

TEST(Executor, SharesOneConversionAmongReaders) {
  Machine m = Machine::null();
  const Tensor x = m.noise({4, 64}, 1);
  std::vector<std::byte> blocks(static_cast<size_t>(row_bytes(DType::Q8_0, 64 * 32)));
  const Tensor w = must(m.executor->from_host({DType::Q8_0, {32, 64}}, blocks));
  const std::vector<Tensor> roots{m.op(op_linear, {x, w}), m.op(op_linear, {x, w}), m.op(op_linear, {x, w})};
  must(m.executor->submit(roots));
  int packs = 0, linears = 0;
  for (const auto& batch : static_cast<null::NullDevice&>(*m.device).log()) {
    for (const auto& c : batch.commands) packs += c.op == "pack_planes", linears += c.op == "linear";
  }
  EXPECT_EQ(linears, 3);
  EXPECT_EQ(packs, 1);
}

TEST(Executor, TheNullDeviceShowsWhatMayOverlap) {
  Machine m = Machine::null();
  const Tensor x = m.noise({4, 8}, 1);
  const Tensor q = m.op(op_matmul, {x, m.noise({8, 8}, 2)}), k = m.op(op_matmul, {x, m.noise({8, 8}, 3)});
  const Tensor y = m.op(op_matmul, {q, m.op(op_transpose, {k}, Attrs().with_int(0).with_int(1))});
  must(m.executor->wait(y));
  const auto& batch = static_cast<null::NullDevice&>(*m.device).log().at(0);
  ASSERT_EQ(batch.commands.size(), 3u);
  EXPECT_TRUE(batch.may_overlap(0, 1)) << "q and k depend on x only";
  EXPECT_FALSE(batch.may_overlap(0, 2));
  EXPECT_FALSE(batch.may_overlap(1, 2));
}

TEST(Executor, AFailingKernelNamesItsOp) {
  Machine m = Machine::cpu();
  const Tensor row = m.op(op_embedding, {m.noise({4, 8}, 1), m.i32({2}, {1, 7})});
  const Result<HostTensor> read = m.executor->read(row);
  ASSERT_FALSE(read.ok());
  EXPECT_NE(read.error().message.find("embedding"), std::string::npos) << read.error().message;
  EXPECT_NE(read.error().message.find("7"), std::string::npos) << read.error().message;
  {
    const Tensor unseen = m.op(op_embedding, {m.noise({4, 8}, 1), m.i32({2}, {1, 9})});
    must(m.executor->submit({&unseen, 1}));
  }
  const Result<void> end = m.executor->finish();
  ASSERT_FALSE(end.ok()) << "a failure must not be forgotten";
  EXPECT_NE(end.error().message.find("9"), std::string::npos) << "told twice: " << end.error().message;
}

TEST(Executor, RefusesWhatTheOpRefuses) {
  Machine m = Machine::cpu();
  const auto bad = m.executor->apply(op_matmul, {m.noise({2, 3}, 1), m.noise({4, 5}, 1)});
  ASSERT_FALSE(bad.ok());
  EXPECT_NE(bad.error().message.find("3 and 4"), std::string::npos) << bad.error().message;
}

TEST(Executor, ReachingTheMemoryLimitLosesNothing) {
  Machine m = Machine::cpu(2, {}, 64 << 20);
  const Tensor small = m.noise({1000}, 1);
  const std::string before = m.sum_of(small);
  const Tensor big = m.op(op_add, {m.op(op_broadcast_to, {small}, Attrs().with_ints({100000, 1000})), small});
  const Result<void> done = m.executor->wait(big);
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, Code::OutOfMemory);
  EXPECT_EQ(m.sum_of(small), before);
  EXPECT_EQ(m.read(m.op(op_add, {small, small})).size(), 1000u);
}

TEST(Executor, AMillionPendingOpsNeitherGrowNorOverflow) {
  Machine m = Machine::cpu(1);
  Tensor x = m.f32({1}, {0});
  for (int i = 0; i < 200000; ++i) {
    x = m.op(op_add, {x, scalar_tensor(1.0, DType::F32)});
    must(m.executor->loop_point());
  }
  EXPECT_LE(m.executor->recorder().pending_count(), m.executor->options().pending_soft_limit);
  EXPECT_EQ(m.read(x), std::vector<double>{200000});
}

}  // namespace
}  // namespace tl
