// Hazards from named byte ranges, the inline stream's failures, and what kernels get.
#include "tl/device/stream.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tl/device/loop_device_testing.h"

namespace tl {
namespace {

constexpr auto kRead = Access::Mode::Read, kWrite = Access::Mode::Write;

Command touching(std::initializer_list<Access> accesses) {
  Command c;
  for (const Access& a : accesses) c.accesses.push_back(a);
  return c;
}

TEST(Hazards, AreConflictsOfNamedRangesAndNothingElse) {
  const BufferId a{1}, b{2};
  const std::vector<Command> batch{
      touching({{a, 0, 8, kWrite}}),
      touching({{a, 8, 8, kWrite}}),                    // beside it
      touching({{a, 0, 8, kRead}, {b, 0, 4, kWrite}}),  // read after write
      touching({{a, 4, 4, kRead}}),                     // two readers
      touching({{a, 7, 2, kWrite}}),                    // write after read, and after both writes
      touching({{b, 4, 4, kWrite}}),                    // the same place of another buffer
      touching({{a, 9, 7, kRead}, {b, 0, 1, kRead}}),   // the latest of two
  };
  EXPECT_EQ(find_hazards(batch), (std::vector<i32>{-1, -1, 0, 0, 3, -1, 2}));
}

void add_one(KernelCall& call) {
  for (i64 i = call.begin; i < call.end; ++i) call.out.mutable_ptr<i64>()[i] = call.in[0].ptr<i64>()[i] + 1;
}
void refuse(KernelCall& call) {
  call.fail("index 7 is out of range");
  call.fail("and something later");
}
const OpDef kAddOne{.name = "add_one", .reference = {.run = add_one}};
const OpDef kRefuse{.name = "refuse", .reference = {.run = refuse}};

class Inline : public testing::Test {
 protected:
  Command command(const OpDef& op) {
    const auto operand = [&](i64* at) {
      return Operand{reinterpret_cast<std::byte*>(at), DType::I64, {2}, {1}, 0};
    };
    Command c;
    c.op = &op;
    c.kernel = &op.reference;
    c.inputs.push_back(operand(numbers));
    c.output = operand(numbers);
    c.origin = {FileId{1}, 10, 20};
    return c;
  }
  LoopDevice device;
  std::unique_ptr<CommandStream> stream = device.create_stream();
  i64 numbers[2] = {0, 10};
};

TEST_F(Inline, RunsCommandsInOrderAndGivesRisingTickets) {
  const Ticket first = *stream->submit({command(kAddOne), command(kAddOne)});
  const PreparedId plan = *stream->prepare({});
  const Ticket second = *stream->replay(plan, {command(kAddOne)});
  EXPECT_LT(first.value, second.value);
  EXPECT_EQ(first.stream, stream->id());
  EXPECT_TRUE(stream->reached(second));
  ASSERT_TRUE(stream->wait(second).ok());
  EXPECT_EQ(numbers[0], 3);
  EXPECT_EQ(numbers[1], 13);
}

TEST_F(Inline, AFailureNamesItsOpAndFailsWhatFollowsNotWhatCameBefore) {
  const Ticket before = *stream->submit({command(kAddOne)});
  const Ticket failed = *stream->submit({command(kRefuse), command(kAddOne)});
  const Ticket after = *stream->submit({command(kAddOne)});
  EXPECT_TRUE(stream->wait(before).ok());
  for (const Ticket t : {failed, after, failed}) {
    const Result<void> done = stream->wait(t);
    ASSERT_FALSE(done.ok());
    EXPECT_EQ(done.error().message, "refuse: index 7 is out of range (operands: int64[2])");
    EXPECT_EQ(done.error().where, (Span{FileId{1}, 10, 20}));
  }
  EXPECT_EQ(numbers[0], 1) << "a command after the failure ran";
}

TEST(Elements, EveryPlainTypeKeepsANumber) {
  for (int t = 0; t < dtype_count(); ++t) {
    const DType dtype = static_cast<DType>(t);
    if (!is_float(dtype) && !is_int(dtype)) continue;
    u64 memory[4] = {};
    store_from_double(dtype, memory, 2, 100);
    EXPECT_EQ(load_as_double(dtype, memory, 2), 100) << name_of(dtype);
    store_from_int(dtype, memory, 1, 3);
    EXPECT_EQ(load_as_int(dtype, memory, 1), 3) << name_of(dtype);
    EXPECT_EQ(load_as_int(dtype, memory, 2), 100) << name_of(dtype) << ": a neighbour was overwritten";
  }
}

TEST(Elements, FloatsThatNoIntHoldsSaturate) {
  const double values[] = {1e300, -1e300, std::nan(""), -2.9};
  const i64 wanted[] = {INT64_MAX, INT64_MIN, 0, -2};
  for (i64 i = 0; i < 4; ++i) {
    EXPECT_EQ(load_as_int(DType::F64, values, i), wanted[i]);
    i64 stored = 1;
    store_from_double(DType::I64, &stored, 0, values[i]);
    EXPECT_EQ(stored, wanted[i]);
  }
}

TEST(Operands, AreRowsOfTheirLastAxis) {
  const Operand matrix{nullptr, DType::F32, {2, 3, 4}, {12, 4, 1}, 0},
      empty{nullptr, DType::F32, {5, 0}, {1, 1}, 0};
  EXPECT_EQ(matrix.rows(), 6);
  EXPECT_EQ(matrix.cols(), 4);
  EXPECT_EQ(empty.rows(), 0);
  EXPECT_EQ(strided_offset(5, {2, 3}, {1, 10}), 21);  // the last element of a transposed matrix
  Operand constant{.dtype = DType::I64};
  constant.constant = 42;
  EXPECT_EQ(*constant.ptr<i64>(), 42);
  EXPECT_EQ(constant.rows() * constant.cols(), 1);
}

TEST(ScratchMemory, IsAlignedAndReused) {
  Scratch scratch;
  void* const big = scratch.get(100'000);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(big) % 64, 0u);
  EXPECT_EQ(scratch.get(10), big);
}

}  // namespace
}  // namespace tl
