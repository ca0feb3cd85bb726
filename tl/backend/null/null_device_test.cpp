// What the recorder records: order, overlap and replays, and memory that reads as zeros.
#include "tl/backend/null/null_device.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace tl::null {
namespace {

void never(KernelCall&) {
  FAIL() << "the null device computed something";
}
const OpDef kOp{.name = "op", .reference = {.run = never}, .cpu = {.run = never}};

class Null : public testing::Test {
 protected:
  std::shared_ptr<Buffer> buffer() {
    auto made = *device->allocate(32, stream->id());
    std::fill_n(reinterpret_cast<float*>(made->data()), 8, 5.0f);
    return made;
  }
  Command command(const Buffer& from, const Buffer& to) {
    Command c;
    c.op = &kOp;
    c.kernel = &device->kernel(kOp);
    c.inputs.push_back({from.data(), DType::F32, {8}, {1}, 0});
    c.output = {to.data(), DType::F32, {8}, {1}, 0};
    c.accesses.push_back({from.id(), 0, 32, Access::Mode::Read});
    c.accesses.push_back({to.id(), 0, 32, Access::Mode::Write});
    c.sequence = ++sequence;
    return c;
  }
  static std::vector<float> values(const Buffer& b) {
    const auto* const v = reinterpret_cast<const float*>(b.data());
    return {v, v + 8};
  }
  std::unique_ptr<NullDevice> device = create_device();
  std::unique_ptr<CommandStream> stream = device->create_stream();
  u64 sequence = 0;
};

TEST_F(Null, RecordsOrderAndOverlap) {
  const auto x = buffer(), q = buffer(), k = buffer(), y = buffer(), z = buffer();
  // q and k are made of x; y of q; z of x, and then overwritten from k
  const Ticket t =
      *stream->submit({command(*x, *q), command(*x, *k), command(*q, *y), command(*x, *z), command(*k, *z)});
  EXPECT_TRUE(stream->reached(t));
  ASSERT_EQ(device->log().size(), 1u);
  const BatchLog& log = device->log()[0];
  std::vector<i32> after;
  for (const BatchLog::Entry& e : log.commands) after.push_back(e.after);
  EXPECT_EQ(after, (std::vector<i32>{-1, -1, 0, -1, 3}));
  EXPECT_TRUE(log.may_overlap(0, 1));
  EXPECT_TRUE(log.may_overlap(2, 1));
  EXPECT_FALSE(log.may_overlap(2, 0));
  EXPECT_FALSE(log.may_overlap(1, 4)) << "reads what 1 wrote";
  EXPECT_FALSE(log.may_overlap(2, 4)) << "waits for 3 and all before it";
  EXPECT_FALSE(log.may_overlap(3, 3));
  EXPECT_EQ(log.commands[4].sequence, 5u);
  EXPECT_EQ(log.commands[4].op, "op");
  EXPECT_FALSE(log.replayed);
}

TEST_F(Null, OutputsReadAsZerosAndInputsStay) {
  const auto x = buffer(), y = buffer();
  ASSERT_TRUE(stream->submit({command(*x, *y)}).ok());
  EXPECT_EQ(values(*y), std::vector<float>(8, 0));
  EXPECT_EQ(values(*x), std::vector<float>(8, 5));
}

TEST_F(Null, AnAppendKeepsTheRowsThatAreThere) {
  const auto x = buffer(), cache = buffer();
  Command append = command(*x, *cache);
  append.output.dims = {4, 2};
  append.output.strides = {2, 1};
  append.appended = 3;
  ASSERT_TRUE(stream->submit({append}).ok());
  EXPECT_EQ(values(*cache), (std::vector<float>{5, 5, 5, 5, 5, 5, 0, 0}));
}

TEST_F(Null, AReplayKeepsThePlannedOrderOnOtherBuffers) {
  const auto a = buffer(), b = buffer(), c = buffer(), d = buffer();
  const std::vector<Command> planned{command(*a, *b), command(*b, *c)};
  const PreparedId plan = *stream->prepare(planned);
  EXPECT_TRUE(device->log().empty()) << "preparing is not running";
  const Ticket t = *stream->replay(plan, {command(*c, *d), command(*a, *b)});
  EXPECT_EQ(t.stream, stream->id());
  const BatchLog& log = device->log().at(0);
  EXPECT_TRUE(log.replayed);
  EXPECT_FALSE(log.may_overlap(0, 1)) << "planned to conflict";
  device->clear_log();
  EXPECT_TRUE(device->log().empty());
}

using NullDeathTest = Null;
TEST_F(NullDeathTest, AReplayThatConflictsBeyondItsPlanIsOurMistake) {
  const auto a = buffer(), b = buffer(), c = buffer();
  const std::vector<Command> independent{command(*a, *b), command(*a, *c)};
  const PreparedId plan = *stream->prepare(independent);
  EXPECT_DEATH((void)stream->replay(plan, {command(*a, *b), command(*b, *c)}).ok(),
               "command 1 of a replay must come after 0, planned after -1");
}

TEST_F(Null, PlansForTheBackendItStandsFor) {
  EXPECT_EQ(&device->kernel(kOp), &kOp.cpu);
  EXPECT_EQ(&create_device(Backend::Reference)->kernel(kOp), &kOp.reference);
  EXPECT_EQ(create_device(Backend::Reference)->backend(), Backend::Reference);
  EXPECT_FALSE(device->computes());
}

}  // namespace
}  // namespace tl::null
