// The pool's promises: classes, reuse in a stream's own order, deferral across streams, the limit.
#include "tl/device/host_device.h"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "tl/device/loop_device_testing.h"

namespace tl {
namespace {

TEST(Timelines, ATicketIsReachedWithAllBeforeIt) {
  Timelines& timelines = Timelines::instance();
  const StreamId a = timelines.create(), b = timelines.create();
  EXPECT_TRUE(timelines.reached({a, 0}));
  EXPECT_FALSE(timelines.reached({a, 1}));
  timelines.advance(a, 2);
  EXPECT_TRUE(timelines.reached({a, 1}));
  EXPECT_TRUE(timelines.reached({a, 2}));
  EXPECT_FALSE(timelines.reached({a, 3}));
  EXPECT_FALSE(timelines.reached({b, 1})) << "timelines of two streams are one";
}

TEST(Timelines, WaitingEndsWhenReachedOrTimedOut) {
  Timelines& timelines = Timelines::instance();
  const StreamId stream = timelines.create();
  EXPECT_FALSE(timelines.wait({stream, 1}, 0.01));
  bool is_written = false;
  std::thread worker([&] {
    is_written = true;
    timelines.advance(stream, 1);
  });
  EXPECT_TRUE(timelines.wait({stream, 1}));
  EXPECT_TRUE(is_written) << "what was done before advance is not seen after wait";
  worker.join();
}

class Pool : public testing::Test {
 protected:
  std::shared_ptr<Buffer> take(i64 bytes, StreamId stream) { return *device.allocate(bytes, stream); }
  LoopDevice device;
  const StreamId mine = Timelines::instance().create(), other = Timelines::instance().create();
};

TEST_F(Pool, ClassesWasteAQuarterAtMost) {
  for (i64 bytes = 4096; bytes < (i64{1} << 22); bytes += bytes / 3 + 1) {
    const auto buffer = take(bytes, mine);
    EXPECT_EQ(buffer->bytes(), bytes);
    EXPECT_GE(device.memory().in_use_bytes, bytes);
    EXPECT_LE(device.memory().in_use_bytes, bytes + bytes / 4 + 1);
  }
  EXPECT_EQ(device.memory().in_use_bytes, 0);
}

TEST_F(Pool, AStreamReusesWhatItFreedWithoutTheSystem) {
  const std::byte* first = nullptr;
  {
    const auto buffer = take(100'000, mine);
    buffer->last_write = {mine, 1};  // not reached: the stream's own order is enough
    first = buffer->data();
  }
  EXPECT_GT(device.memory().cached_bytes, 0);
  EXPECT_NE(take(100'000, other)->data(), first) << "another stream took memory still in use";
  const u64 calls = device.memory().system_allocations;
  for (i64 bytes = 99'000; bytes < 100'000; bytes += 100) EXPECT_EQ(take(bytes, mine)->data(), first);
  EXPECT_EQ(device.memory().system_allocations, calls);
}

TEST_F(Pool, MemoryAnotherStreamReadsIsFreeWhenThatIsDone) {
  auto buffer = take(4096, mine);
  const std::byte* const data = buffer->data();
  buffer->reads.push_back({other, 1});
  buffer.reset();
  EXPECT_NE(take(4096, mine)->data(), data) << "taken again under a reader";
  Timelines::instance().advance(other, 1);
  std::vector<std::shared_ptr<Buffer>> taken{take(4096, mine), take(4096, mine)};
  EXPECT_TRUE(taken[0]->data() == data || taken[1]->data() == data);
}

TEST(PoolLimit, NamesTheLargestAndLosesNothing) {
  LoopDevice device(1 << 20);
  const StreamId stream = Timelines::instance().create();
  const auto large = *device.allocate(512 << 10, stream), small = *device.allocate(64 << 10, stream);
  std::memset(large->data(), 7, 512 << 10);
  const auto refused = device.allocate(512 << 10, stream);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::OutOfMemory);
  EXPECT_EQ(refused.error().message,
            "524288 bytes more would pass the memory limit of 1048576 (589824 in use by 2 tensors, the "
            "largest 524288)");
  EXPECT_EQ(large->data()[(512 << 10) - 1], std::byte{7});
  EXPECT_TRUE(device.allocate(256 << 10, stream).ok());
}

TEST(PoolLimit, FreeMemoryOfOtherSizesAndStreamsIsNoReasonToRefuse) {
  LoopDevice device(1 << 20);
  Timelines& timelines = Timelines::instance();
  const StreamId first = timelines.create(), second = timelines.create();
  auto buffer = *device.allocate(768 << 10, first);
  buffer->last_write = {first, 1};
  buffer.reset();
  std::thread work([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    timelines.advance(first, 1);
  });
  const auto big = device.allocate(1 << 20, second);
  EXPECT_TRUE(timelines.reached({first, 1})) << "memory was given back while a command worked in it";
  work.join();
  ASSERT_TRUE(big.ok()) << big.error().message;
  EXPECT_EQ(device.memory().cached_bytes, 0);
  EXPECT_EQ(device.memory().high_water_bytes, 1 << 20);
}

TEST_F(Pool, CopiesGoToAndFromAnyOffset) {
  const auto buffer = take(16, mine);
  const std::vector<std::byte> bytes{std::byte{1}, std::byte{2}, std::byte{3}};
  ASSERT_TRUE(device.upload(*buffer, 5, bytes).ok());
  std::vector<std::byte> back(2);
  ASSERT_TRUE(device.download(*buffer, 6, back).ok());
  EXPECT_EQ(back, (std::vector<std::byte>{std::byte{2}, std::byte{3}}));
}

TEST_F(Pool, MappedFilesAreReadWhereTheyLieAndKept) {
  auto file = std::make_shared<std::vector<std::byte>>(100, std::byte{9});
  const std::weak_ptr<std::vector<std::byte>> watched = file;
  auto buffer = *device.import_host(*file, file);
  EXPECT_EQ(buffer->data(), file->data());
  EXPECT_EQ(device.memory().in_use_bytes, 0);
  file.reset();
  EXPECT_FALSE(watched.expired());
  buffer.reset();
  EXPECT_TRUE(watched.expired());
}

TEST_F(Pool, ReservedRangesCostNothingUntilWritten) {
  const i64 bytes = i64{1} << 36;  // more than the machine may have
  const auto buffer = *device.reserve(bytes);
  EXPECT_TRUE(buffer->is_reserved);
  EXPECT_EQ(device.memory().in_use_bytes, 0);
  buffer->data()[bytes - 1] = std::byte{1};
  EXPECT_EQ(buffer->data()[bytes / 2], std::byte{0});
}

}  // namespace
}  // namespace tl
