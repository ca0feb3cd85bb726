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
  call.fail(fmt::format("row {} is missing", call.appended));
}
void never(KernelCall&) {
  FAIL() << "the oracle ran a cpu kernel";
}

const OpDef kSum{.name = "sum_rows", .reference = {.run = sum_rows, .units = rows}, .cpu = {.run = never}};
const OpDef kDouble{.name = "double_it", .reference = {.run = double_it}, .cpu = {.run = never}};
const OpDef kRefuse{.name = "refuse", .reference = {.run = refuse}};

Operand operand(double* data, const Dims& dims, const Strides& strides) {
  return {reinterpret_cast<std::byte*>(data), DType::F64, dims, strides, 0};
}

class Reference : public testing::Test {
 protected:
  Command command(const OpDef& op) {
    Command c;
    c.op = &op;
    c.kernel = &device->kernel(op);
    c.output = operand(out, {2}, {1});
    return c;
  }
  std::unique_ptr<Device> device = create_device(0);
  std::unique_ptr<CommandStream> stream = device->create_stream();
  double out[2] = {0, 0};
};

TEST_F(Reference, RunsThePlainLoopOverAllUnits) {
  double x[6] = {1, 2, 3, 4, 5, 6};
  Command sum = command(kSum);
  sum.inputs.push_back(operand(x, {2, 3}, {1, 2}));  // a transposed view
  sum.attrs.with_float(10);
  const Ticket done = *stream->submit({sum, command(kDouble)});
  ASSERT_TRUE(stream->wait(done).ok());
  EXPECT_EQ(out[0], 180);
  EXPECT_EQ(out[1], 240);
}

TEST_F(Reference, AFailingKernelNamesItsOp) {
  Command bad = command(kRefuse);
  bad.appended = 5;
  const Ticket done = *stream->submit({bad, command(kDouble)});
  const Result<void> waited = stream->wait(done);
  ASSERT_FALSE(waited.ok());
  EXPECT_EQ(waited.error().message, "refuse: row 5 is missing (operands: )");
}

TEST_F(Reference, IsTheOracle) {
  EXPECT_EQ(device->backend(), Backend::Reference);
  EXPECT_EQ(device->info().name, "reference");
  EXPECT_TRUE(device->computes());
  const OpDef none{.name = "none", .cpu = {.run = never}};
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
