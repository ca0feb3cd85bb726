// Results whose size depends on data, without anybody waiting for the size: rows with a capacity go from op
// to op with their count.
#include "tests/runtime/machine.h"
#include "tl/observe/validate.h"

namespace tl {
namespace {

Machine validating() {
  auto device = must(cpu::create_device({.threads = 2, .simd = {}, .memory_limit_bytes = 0}));
  return Machine::on(std::make_unique<ValidatingDevice>(std::move(device)), {});
}

// The different values among those that are large enough: two results of unknown size, one made of the other.
std::vector<Tensor> different_large(Machine& m, const Tensor& x) {
  const Tensor mask = m.op(op_greater_equal, {x, scalar_tensor(0.0, DType::F32)});
  const auto rows = must(m.executor->apply_all(op_counted_rows, {{x, mask}}));
  const Tensor coarse = m.op(op_floor, {m.op(op_mul, {rows[0], scalar_tensor(8.0, DType::F32)})});
  const auto unique = must(m.executor->apply_all(op_counted_unique, {{coarse, rows[1]}}));
  return {m.op(op_sum, {rows[0]}, Attrs().with_ints({0}).with_bool(false)), unique[0], unique[3]};
}

std::vector<std::vector<double>> run(Machine m) {
  std::vector<std::vector<double>> all;
  for (const i64 n : {100, 3, 0, 5000, 1}) {
    const u64 submitted = m.executor->stats().batches;
    const std::vector<Tensor> results = different_large(m, m.noise({n}, 5));
    EXPECT_EQ(m.executor->stats().batches, submitted) << "recording handed something over";
    must(m.executor->submit(results));
    for (const Tensor& t : results) all.push_back(m.read(t));
  }
  EXPECT_EQ(m.executor->stats().plans_made, 1u) << "one evaluation each, planned once";
  return all;
}

TEST(Counted, ResultsOfUnknownSizeAreChainedWithoutAWait) {
  const auto expected = run(Machine::reference());
  EXPECT_EQ(expected[2], (std::vector<double>{8})) << "of 100";
  EXPECT_EQ(expected[8], (std::vector<double>{0})) << "of none";
  for (const int threads : {1, 2, 16}) EXPECT_EQ(run(Machine::cpu(threads)), run(Machine::cpu(1)));
  const auto got = run(Machine::cpu());
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(got[i].size(), expected[i].size());
    for (size_t k = 0; k < got[i].size(); ++k) EXPECT_NEAR(got[i][k], expected[i][k], 1e-3);
  }
  EXPECT_EQ(run(Machine::cpu(2, {.shuffle = 3})), got);
  EXPECT_EQ(run(validating()), got);
}

TEST(Counted, ACountThatDoesNotFitFailsWhatReadsIt) {
  Machine m = Machine::cpu();
  const auto all = must(
      m.executor->apply_all(op_counted_unique, {{m.f32({2}, {1, 2}), scalar_tensor(i64{3}, DType::I64)}}));
  const Result<HostTensor> read = m.executor->read(m.op(op_neg, {all[0]}));
  ASSERT_FALSE(read.ok());
  EXPECT_NE(read.error().message.find("the count is 3, of 2 rows"), std::string::npos)
      << read.error().message;
}

TEST(Counted, TheNullDeviceCountsNothing) {
  Machine m = Machine::null();
  EXPECT_EQ(m.read(different_large(m, m.noise({50}, 1))[2]), (std::vector<double>{0}));
}

}  // namespace
}  // namespace tl
