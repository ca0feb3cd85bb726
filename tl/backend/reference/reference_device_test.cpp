// The oracle runs an op's reference kernel over all its units, command after command.
#include "tl/backend/reference/reference_device.h"

#include <gtest/gtest.h>

namespace tl::ref {
namespace {

// Row sums of a matrix: one unit per row.
void sum_rows(KernelCall& call) {
  auto* const sums = static_cast<double*>(call.scratch->get(sizeof(double) * static_cast<size_t>(call.end)));
  for (i64 r = call.begin; r < call.end; ++r) {
    sums[r] = 0;
    for (i64 c = 0; c < call.in[0].dims[1]; ++c) {
      sums[r] += call.in[0].ptr<double>()[r * call.in[0].strides[0] + c * call.in[0].strides[1]];
    }
    call.out.mutable_ptr<double>()[r] = sums[r] * call.attrs->float_at(0);
  }
}
i64 rows(const KernelCall& call) {
  return call.out.dims[0];
}
void double_it(KernelCall& call) {
  for (i64 i = call.begin; i < call.end; ++i) call.out.mutable_ptr<double>()[i] *= 2;
}
void refuse(KernelCall& call) {
  call.fail(fmt::format("row {} is missing", call.kept_bytes));
}
void never(KernelCall&) {
  FAIL() << "the oracle ran a cpu kernel";
}

const OpDef kSum{.name = "sum_rows",
                 .batch = Batching("is a test's"),
                 .reference = {.run = sum_rows, .units = rows},
                 .cpu = {.run = never}};
const OpDef kDouble{.name = "double_it",
                    .batch = Batching("is a test's"),
                    .reference = {.run = double_it},
                    .cpu = {.run = never}};
const OpDef kRefuse{.name = "refuse", .batch = Batching("is a test's"), .reference = {.run = refuse}};

Operand operand(double* data, const Dims& dims, const Strides& strides) {
  return {reinterpret_cast<std::byte*>(data), DType::F64, dims, strides, 0};
}

class Reference : public testing::Test {
 protected:
  Command& add(const OpDef& op, std::span<const Operand> inputs = {}, Attrs attrs = {}) {
    const Operand to = operand(out, {2}, {1});
    return batch->add(op, device->kernel(op), inputs, {&to, 1}, std::move(attrs));
  }
  // Runs what was added; its outcome.
  std::shared_ptr<Outcome> run() {
    auto outcome = batch->outcome = std::make_shared<Outcome>();
    const PreparedId plan = *stream->prepare(Order::chain(batch->commands.size()));
    const Ticket done = *stream->replay(plan, std::move(batch), Then::GoesOn);
    EXPECT_TRUE(stream->wait(done));
    batch = stream->take_batch();
    return outcome;
  }
  std::unique_ptr<Device> device = create_device(0);
  std::unique_ptr<CommandStream> stream = device->create_stream();
  std::unique_ptr<Batch> batch = stream->take_batch();
  double out[2] = {0, 0};
};

TEST_F(Reference, RunsThePlainLoopOverAllUnits) {
  double x[6] = {1, 2, 3, 4, 5, 6};
  const Operand transposed = operand(x, {2, 3}, {1, 2});
  add(kSum, {&transposed, 1}, Attrs().with_float(10));
  add(kDouble);
  EXPECT_FALSE(run()->any_failed());
  EXPECT_EQ(out[0], 180);
  EXPECT_EQ(out[1], 240);
}

TEST_F(Reference, AFailingKernelNamesItsOpAndStopsNothingElse) {
  out[0] = 3;
  add(kRefuse).kept_bytes = 5;
  add(kDouble);
  const auto outcome = run();
  ASSERT_NE(outcome->failure_of(0), nullptr);
  EXPECT_EQ(outcome->failure_of(0)->error.message, "refuse: row 5 is missing (operands: )");
  EXPECT_EQ(outcome->failure_of(1), nullptr);
  EXPECT_EQ(out[0], 6);
}

TEST_F(Reference, IsTheOracle) {
  EXPECT_EQ(device->backend(), Backend::Reference);
  EXPECT_EQ(device->info().name, "reference");
  EXPECT_TRUE(device->computes());
  EXPECT_FALSE(device->wants_accesses());
  const OpDef none{.name = "none", .batch = Batching("is a test's"), .cpu = {.run = never}};
  EXPECT_EQ(device->kernel(none).run, nullptr);
}

TEST_F(Reference, KeepsItsMemoryLimit) {
  const auto small = create_device(1 << 16);
  EXPECT_EQ(small->memory().limit_bytes, 1 << 16);
  EXPECT_FALSE(small->allocate(1 << 17, stream->id()).ok());
  EXPECT_TRUE(device->allocate(1 << 17, stream->id()).ok());
}

}  // namespace
}  // namespace tl::ref
