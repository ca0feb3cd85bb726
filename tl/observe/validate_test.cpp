// The validator catches each planted fault, and names both commands and both lines.
#include "tl/observe/validate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tl/device/held_device_testing.h"
#include "tl/device/loop_device_testing.h"
#include "tl/exec/executor.h"
#include "tl/observe/value_check.h"
#include "tl/ops/ops.h"

namespace tl {
namespace {

constexpr auto kRead = Access::Mode::Read, kWrite = Access::Mode::Write;
constexpr i64 kBytes = 16;  // of every tensor here: four floats

void fill_with_2(KernelCall& call) {
  for (i64 i = 0; i < call.out.numel(); ++i) call.out.mutable_ptr<float>()[i] = 2;
}
void add_1(KernelCall& call) {
  for (i64 i = 0; i < call.out.numel(); ++i)
    call.out.mutable_ptr<float>()[i] = call.in[0].ptr<float>()[i] + 1;
}
void forget_the_third(KernelCall& call) {
  for (i64 i = 0; i < 4; ++i) {
    if (i != 2) call.out.mutable_ptr<i32>()[i] = 0x5ca05ca0;  // looks unwritten, and is not
  }
}
void divide_by_0(KernelCall& call) {
  for (i64 i = 0; i < call.out.numel(); ++i)
    call.out.mutable_ptr<float>()[i] = call.in[0].ptr<float>()[i] / 0.0f;
}

OpDef op_named(std::string_view name, void (*run)(KernelCall&)) {
  OpDef op{.name = name, .batch = Batching("is a test's")};
  op.reference.run = run;
  op.reference.units = [](const KernelCall&) -> i64 { return 1; };
  return op;
}
const OpDef op_fill = op_named("fill", fill_with_2), op_next = op_named("next", add_1),
            op_forgetful = op_named("forgetful", forget_the_third), op_over = op_named("over", divide_by_0);

class Validate : public testing::Test {
 protected:
  using Memory = std::shared_ptr<Buffer>;
  Memory memory() { return device.allocate(kBytes, StreamId{}, {"made", {DType::F32, {4}}, at(1)}).value(); }
  Memory floats(const std::vector<float>& values) {
    Memory m = memory();
    EXPECT_TRUE(device.upload(*m, 0, std::as_bytes(std::span(values))).ok());
    return m;
  }
  static Span at(u32 line) { return {FileId{1}, line, line + 1}; }

  // A batch of commands and its order, as the executor would hand it over.
  struct Plan {
    std::unique_ptr<Batch> batch = std::make_unique<Batch>();
    Order order;
  };
  // `line` is the command's place; reads `in` where there is one, writes `out`; after the commands `after`.
  void add(Plan& p, const OpDef& op, u32 line, const Memory& in, const Memory& out,
           std::vector<i32> after = {}, Access meant = {}) {
    const auto operand = [](const Memory& m, DType dtype) {
      return Operand{.data = m->data(), .dtype = dtype, .dims = {4}, .strides = {1}};
    };
    std::vector<Operand> inputs;
    if (in) inputs.push_back(operand(in, DType::F32));
    const Operand output = operand(out, &op == &op_forgetful ? DType::I32 : DType::F32);
    Command& c = p.batch->add(op, op.reference, inputs, {&output, 1});
    c.origin = at(line);
    if (in) {
      p.batch->accesses.push_back({in->id(), 0, kBytes, kRead, meant.run, meant.step});
      ++c.accesses;
    }
    p.batch->accesses.push_back({out->id(), 0, kBytes, kWrite});
    ++c.accesses;
    p.order.add(after);
  }
  Result<Ticket> run(CommandStream& stream, Plan p) {
    p.batch->outcome = outcome;
    const PreparedId id = stream.prepare(p.order).value();
    return stream.replay(id, std::move(p.batch), Then::GoesOn);
  }
  Result<Ticket> run(Plan p) { return run(*stream, std::move(p)); }

  // The fault is `message` at `line`, with `other` beside it.
  static void expect(const Error& error, std::string_view message, u32 line, std::string_view note,
                     u32 other) {
    EXPECT_NE(error.message.find(message), std::string::npos) << error.message;
    EXPECT_EQ(error.where, at(line)) << error.message;
    ASSERT_FALSE(error.also.empty()) << error.message;
    EXPECT_NE(error.also[0].text.find(note), std::string::npos) << error.also[0].text;
    EXPECT_EQ(error.also[0].where, at(other)) << error.also[0].text;
  }

  ValidatingDevice device{std::make_unique<LoopDevice>()};
  std::unique_ptr<CommandStream> stream = device.create_stream();
  std::shared_ptr<Outcome> outcome = std::make_shared<Outcome>();
};

TEST_F(Validate, WhatIsRightRuns) {
  const Memory a = floats({1, 2, 3, 4}), b = memory(), c = memory();
  Plan p;
  add(p, op_next, 10, a, b);
  add(p, op_next, 11, b, c, {0});
  const Result<Ticket> done = run(std::move(p));
  ASSERT_TRUE(done.ok()) << done.error().message;
  for (const Memory& m : {a, b, c}) m->note_use(done.value());
  std::array<float, 4> values{};
  ASSERT_TRUE(device.download(*c, 0, std::as_writable_bytes(std::span(values))).ok());
  EXPECT_EQ(values, (std::array<float, 4>{3, 4, 5, 6}));
  EXPECT_FALSE(device.first_fault().has_value());
}

TEST_F(Validate, ADroppedEdgeIsCaught) {
  const Memory a = floats({1, 2, 3, 4}), b = memory(), c = memory();
  Plan p;
  add(p, op_next, 10, a, b);
  add(p, op_next, 11, b, c);  // must come after the first
  const Result<Ticket> done = run(std::move(p));
  ASSERT_FALSE(done.ok());
  expect(done.error(), "next and next use the same memory", 11, "the other one", 10);
}

TEST_F(Validate, ReadingWhatNobodyWroteIsCaught) {
  const Memory a = memory(), b = memory();
  Plan p;
  add(p, op_next, 10, a, b);
  const Result<Ticket> done = run(std::move(p));
  ASSERT_FALSE(done.ok());
  expect(done.error(), "nobody has written", 10, "made float32[4]", 1);
  EXPECT_FALSE(run({}).ok()) << "the first fault stops everything";
}

TEST_F(Validate, TheHostReadingWhatNobodyWroteIsCaught) {
  const Memory a = memory();
  std::array<float, 4> values{};
  EXPECT_FALSE(device.download(*a, 0, std::as_writable_bytes(std::span(values))).ok());
}

TEST_F(Validate, AnEarlyFreeIsCaught) {
  Memory a = floats({1, 2, 3, 4});
  const Memory b = memory();
  Plan p;
  add(p, op_next, 10, a, b);
  ASSERT_TRUE(run(std::move(p)).ok());
  a.reset();  // and nobody has said that the command uses it
  ASSERT_TRUE(device.first_fault().has_value());
  expect(*device.first_fault(), "let go of while next", 10, "made for made", 1);
}

// A run that is interrupted, or whose wait took too long, lets go of memory that the device still works in.
TEST_F(Validate, WhatAGivenUpWaitLeavesAtWorkIsNotTouched) {
  auto inner = std::make_unique<HeldDevice>();
  HeldDevice& held = *inner;
  ValidatingDevice device(std::move(inner));
  const auto stream = device.create_stream();
  stream->wait_by([](Ticket) -> Result<void> { return interrupted_error(); });
  const MemoryLabel label{"made", {DType::F32, {4}}, at(1)};
  Memory a = device.allocate(kBytes, StreamId{}, label).value();
  const Memory b = device.allocate(kBytes, StreamId{}, label).value();
  const std::vector<float> values = {1, 2, 3, 4};
  ASSERT_TRUE(device.upload(*a, 0, std::as_bytes(std::span(values))).ok());
  Plan p;
  add(p, op_next, 10, a, b);
  EXPECT_FALSE(run(*stream, std::move(p)).ok());
  a.reset();
  EXPECT_FALSE(device.first_fault().has_value()) << device.first_fault()->message;
  ASSERT_TRUE(held.let_go(stream->id()));
  const auto* const out = reinterpret_cast<const float*>(b->data());
  EXPECT_EQ(std::vector<float>(out, out + 4), (std::vector<float>{2, 3, 4, 5}));
}

TEST_F(Validate, UseAfterFreeIsCaught) {
  Memory a = floats({1, 2, 3, 4});
  const Memory b = memory();
  Plan first;
  add(first, op_next, 10, a, b);
  Plan second;
  add(second, op_next, 11, a, b);
  const Result<Ticket> done = run(std::move(first));
  ASSERT_TRUE(done.ok());
  a->note_use(done.value());
  a.reset();
  const Result<Ticket> late = run(std::move(second));
  ASSERT_FALSE(late.ok());
  expect(late.error(), "next uses memory that was let go of", 11, "next had it last", 10);
}

TEST_F(Validate, AnUnwrittenOutputIsCaught) {
  const Memory a = floats({1, 2, 3, 4}), b = memory();
  Plan p;
  add(p, op_fill, 9, nullptr, a, {});
  ASSERT_TRUE(run(std::move(p)).ok());
  static const OpDef op_gap = op_named("gap", [](KernelCall& call) {
    for (i64 i = 0; i < 4; ++i) {
      if (i != 2) call.out.mutable_ptr<float>()[i] = 1;
    }
  });
  Plan gap;
  add(gap, op_gap, 10, a, b);
  const Result<Ticket> done = run(std::move(gap));
  ASSERT_FALSE(done.ok());
  expect(done.error(), "gap: did not write its output at [2]", 10, "input 1 was written by fill", 9);
}

TEST_F(Validate, ValuesThatLookUnwrittenAreToldFromThoseThatAre) {
  const Memory b = memory();
  Plan p;
  add(p, op_forgetful, 10, nullptr, b);
  const Result<Ticket> done = run(std::move(p));
  ASSERT_FALSE(done.ok());
  EXPECT_NE(done.error().message.find("at [2]"), std::string::npos) << done.error().message;
}

// A mask that is made once and read later, when its memory holds something else.
TEST_F(Validate, AStaleMaskIsCaught) {
  const Memory mask = memory(), b = memory();
  Plan p;
  add(p, op_fill, 10, nullptr, mask);
  add(p, op_fill, 11, nullptr, mask, {0});
  add(p, op_next, 12, mask, b, {1}, {.run = outcome.get(), .step = 0});
  const Result<Ticket> done = run(std::move(p));
  ASSERT_FALSE(done.ok());
  expect(done.error(), "next reads memory that fill has written over", 12, "fill wrote here", 11);
}

// Runs come and go, and a later one may lie where an earlier one lay. Its append of no rows writes nothing,
// and what is read for it is not what the earlier run's step of that number wrote.
TEST_F(Validate, AnAppendOfNoRowsIsNotTakenForAnEarlierRun) {
  const Memory rows = memory(), b = memory();
  for (int i = 0; i < 100; ++i) {
    outcome = nullptr, outcome = std::make_shared<Outcome>();
    Plan p;
    add(p, op_fill, 10, nullptr, rows);
    Command& c = p.batch->commands.back();
    c.step = i % 3 == 1 ? 1 : 0;
    if (i % 3 == 2) c.kept_bytes = kBytes, p.batch->accesses.back().size_bytes = 0;
    add(p, op_next, 11, rows, b, {0}, {.run = outcome.get(), .step = c.step});
    const Result<Ticket> done = run(std::move(p));
    ASSERT_TRUE(done.ok()) << "run " << i << ": " << done.error().message;
  }
}

TEST_F(Validate, AStaleMaskOfTheHostIsCaught) {
  const Memory mask = floats({1, 2, 3, 4}), b = memory();
  Plan p;
  add(p, op_fill, 11, nullptr, mask);
  add(p, op_next, 12, mask, b, {0}, {.run = nullptr, .step = 0});
  const Result<Ticket> done = run(std::move(p));
  ASSERT_FALSE(done.ok());
  expect(done.error(), "written over", 12, "fill wrote here", 11);
}

TEST_F(Validate, AMissingTicketBetweenStreamsIsCaught) {
  const auto other = device.create_stream();
  const Memory a = floats({1, 2, 3, 4}), b = memory(), c = memory();
  Plan first;
  add(first, op_next, 10, a, b);
  ASSERT_TRUE(run(std::move(first)).ok());
  Plan second;
  add(second, op_next, 11, b, c);
  const Result<Ticket> done = run(*other, std::move(second));
  ASSERT_FALSE(done.ok());
  expect(done.error(), "next reads what next writes on another stream", 11, "next writes it", 10);
}

TEST_F(Validate, WritingOverWhatAnotherStreamReadsIsCaught) {
  const auto other = device.create_stream();
  const Memory a = floats({1, 2, 3, 4}), b = memory();
  Plan first;
  add(first, op_next, 10, a, b);
  ASSERT_TRUE(run(std::move(first)).ok());
  Plan second;
  add(second, op_fill, 11, nullptr, a);
  const Result<Ticket> done = run(*other, std::move(second));
  ASSERT_FALSE(done.ok());
  expect(done.error(), "writes over what next reads on another stream", 11, "next reads it", 10);
}

TEST_F(Validate, TicketsBringWhatTheirStreamsKnew) {
  const auto second = device.create_stream(), third = device.create_stream();
  const Memory a = floats({1, 2, 3, 4}), b = memory(), c = memory(), d = memory();
  Plan p;
  add(p, op_next, 10, a, b);
  const Ticket one = run(std::move(p)).value();
  Plan q;
  add(q, op_next, 11, b, c);
  q.batch->after.push_back(one);
  const Result<Ticket> two = run(*second, std::move(q));
  ASSERT_TRUE(two.ok()) << two.error().message;
  EXPECT_FALSE(third->reached(two.value())) << "that it happens to be done is no order";
  EXPECT_TRUE(third->wait(two.value(), 1));
  EXPECT_TRUE(third->reached(one));
  Plan r;
  add(r, op_next, 12, b, d);
  const Result<Ticket> three = run(*third, std::move(r));
  EXPECT_TRUE(three.ok()) << three.error().message;
}

TEST_F(Validate, TheFirstInfinityAndTheFirstNaNAreCaught) {
  const Memory a = memory(), b = memory();
  Plan p;
  add(p, op_fill, 10, nullptr, a);
  add(p, op_over, 11, a, b, {0});
  Result<Ticket> done = run(std::move(p));
  ASSERT_FALSE(done.ok());
  expect(done.error(), "over: gives an infinity at [0]", 11, "input 1 was written by fill", 10);
  EXPECT_EQ(done.error().code, Code::BadProgram);

  ValidatingDevice fresh(std::make_unique<LoopDevice>());
  const auto executor = std::move(Executor::create(fresh, {})).value();
  const float values[] = {-1, 4};
  const Tensor x = executor->from_host({DType::F32, {2}}, std::as_bytes(std::span(values))).value();
  const Result<void> nan = executor->wait(executor->apply(op_sqrt, {x}, {}, at(5)).value());
  ASSERT_FALSE(nan.ok());
  EXPECT_NE(nan.error().message.find("gives NaN at [0]"), std::string::npos) << nan.error().message;
  EXPECT_EQ(nan.error().where, at(5));
}

// What a program asks for, masks made of -inf, and the logarithm of 0 are no faults; what comes of them may
// be.
TEST_F(Validate, MasksOfInfinityAreTheProgramsOwn) {
  const auto executor = std::move(Executor::create(device, {})).value();
  const auto op = [&](const OpDef& def, std::initializer_list<Tensor> in, Attrs attrs = {}) {
    return executor->apply(def, in, std::move(attrs)).value();
  };
  const float values[] = {0, 1, 1, 0};
  const Tensor keep = executor->from_host({DType::F32, {2, 2}}, std::as_bytes(std::span(values))).value();
  const Tensor mask = op(op_log, {keep});
  const Tensor p = op(op_softmax, {op(op_add, {keep, mask})}, Attrs().with_int(-1));
  Result<void> done = executor->wait(p);
  EXPECT_TRUE(done.ok()) << done.error().message;
  const Tensor inf = scalar_tensor(-std::numeric_limits<double>::infinity(), DType::F32);
  done = executor->wait(op(op_where, {op(op_greater, {keep, scalar_tensor(0.5, DType::F32)}), keep, inf}));
  EXPECT_TRUE(done.ok()) << done.error().message;
  done = executor->wait(op(op_mul, {mask, scalar_tensor(0.0, DType::F32)}));
  EXPECT_FALSE(done.ok()) << "-inf times 0 is not a number";
}

TEST_F(Validate, PatternsAndOddNumbersAreFoundInEveryType) {
  for (const DType dtype : {DType::F32, DType::F16, DType::BF16, DType::F64, DType::I8, DType::I16,
                            DType::I32, DType::I64, DType::U8, DType::Bool}) {
    std::vector<std::byte> data(static_cast<size_t>(3000 * size_of(dtype)));
    const i64 bytes = static_cast<i64>(data.size());
    EXPECT_EQ(find_unwritten(dtype, data.data(), bytes), -1);
    poison(dtype, data.data(), bytes);
    for (i64 i = 0; i < 3000; ++i) {
      if (i != 2017) store_from_double(dtype, data.data(), i, 1);
    }
    EXPECT_EQ(find_unwritten(dtype, data.data(), bytes), 2017) << info(dtype).name;
    EXPECT_EQ(find_unwritten(dtype, data.data(), bytes, true), -1) << info(dtype).name;
    if (!is_float(dtype)) continue;
    EXPECT_TRUE(find_odd(dtype, data.data(), bytes)->is_nan) << "the pattern is a NaN";
    store_from_double(dtype, data.data(), 2017, -std::numeric_limits<double>::infinity());
    EXPECT_FALSE(find_odd(dtype, data.data(), bytes)->is_nan);
    EXPECT_EQ(find_odd(dtype, data.data(), bytes)->element, 2017);
    store_from_double(dtype, data.data(), 2900, std::nan(""));
    EXPECT_EQ(find_odd(dtype, data.data(), bytes)->element, 2900);
  }
}

}  // namespace
}  // namespace tl
