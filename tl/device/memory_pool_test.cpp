// The pool's promises: classes, reuse in a stream's own order, deferral across streams, the limit, poison.
#include "tl/device/memory_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "tl/base/fail_point.h"
#include "tl/device/loop_device_testing.h"

namespace tl {
namespace {

Ticket next_of(StreamId stream) {
  return {stream, Timelines::instance().reached_value(stream) + 1};
}
void reach(Ticket t) {
  Timelines::instance().advance(t.stream, t.value);
}

class Pool : public testing::Test {
 protected:
  std::shared_ptr<Buffer> take(i64 bytes, StreamId stream) { return *device.allocate(bytes, stream); }
  // Two buffers of one class at a time, as addresses.
  std::vector<std::byte*> take_two(i64 bytes, StreamId stream) {
    const auto a = take(bytes, stream), b = take(bytes, stream);
    return {a->data(), b->data()};
  }
  static bool has(const std::vector<std::byte*>& addresses, const std::byte* one) {
    return std::find(addresses.begin(), addresses.end(), one) != addresses.end();
  }
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
    buffer->note_use(next_of(mine));  // not reached: the stream's own order is enough
    first = buffer->data();
  }
  EXPECT_GT(device.memory().cached_bytes, 0);
  EXPECT_NE(take(100'000, other)->data(), first) << "another stream took memory still in use";
  EXPECT_NE(take(100'000, StreamId{})->data(), first) << "an upload took memory still in use";
  const u64 calls = device.memory().system_allocations;
  for (i64 bytes = 99'000; bytes < 100'000; bytes += 100) EXPECT_EQ(take(bytes, mine)->data(), first);
  EXPECT_EQ(device.memory().system_allocations, calls);
}

TEST_F(Pool, MemoryAnotherStreamReadsIsFreeWhenThatIsDone) {
  auto buffer = take(4096, mine);
  const std::byte* const data = buffer->data();
  const Ticket reading = next_of(other);
  buffer->note_use(reading);
  buffer.reset();
  EXPECT_FALSE(has(take_two(4096, mine), data)) << "taken again under a reader";
  reach(reading);
  std::vector<std::shared_ptr<Buffer>> taken{take(4096, mine), take(4096, mine), take(4096, mine)};
  EXPECT_TRUE(std::any_of(taken.begin(), taken.end(), [&](const auto& b) { return b->data() == data; }));
}

TEST_F(Pool, MemoryThatMoreThanNineStreamsReadIsFreeWhenAllAreDone) {
  auto buffer = take(4096, mine);
  const std::byte* const data = buffer->data();
  std::vector<Ticket> reading;
  for (int i = 0; i < 12; ++i) reading.push_back(next_of(Timelines::instance().create()));
  for (const Ticket& t : reading) buffer->note_use(t);
  buffer.reset();
  for (size_t i = 0; i < reading.size(); ++i) {
    EXPECT_FALSE(has(take_two(4096, mine), data)) << "taken again under " << reading.size() - i << " readers";
    reach(reading[(i * 5) % reading.size()]);
  }
  std::vector<std::shared_ptr<Buffer>> taken{take(4096, mine), take(4096, mine), take(4096, mine)};
  EXPECT_TRUE(std::any_of(taken.begin(), taken.end(), [&](const auto& b) { return b->data() == data; }));
}

TEST_F(Pool, MemoryOfAStreamThatEndedIsEverybodys) {
  const StreamId third = Timelines::instance().create();
  auto kept = take(50'000, mine), used = take(50'000, mine);
  const std::byte *const kept_data = kept->data(), *const used_data = used->data();
  const Ticket work = next_of(mine);
  used->note_use(work);
  used.reset();
  EXPECT_FALSE(has(take_two(50'000, other), used_data)) << "taken again under its stream";
  reach(work);
  device.retire(mine);
  Timelines::instance().retire(mine);
  const u64 calls = device.memory().system_allocations;
  EXPECT_EQ(take(50'000, third)->data(), used_data) << "memory of a stream that ended is lost";
  kept.reset();  // outlived its stream
  EXPECT_EQ(take(50'000, StreamId{})->data(), kept_data);
  EXPECT_EQ(device.memory().system_allocations, calls);
}

TEST_F(Pool, ThousandsOfShortStreamsUseTheMemoryOfOne) {
  u64 calls = 0;
  for (int i = 0; i < 2000; ++i) {
    const auto stream = device.create_stream();
    (void)take(1 << 20, stream->id());
    if (i == 0) calls = device.memory().system_allocations;
  }
  EXPECT_EQ(device.memory().system_allocations, calls);
}

TEST_F(Pool, ReservedRangesCountByWhatIsCommitted) {
  const i64 before = device.memory().in_use_bytes;
  auto range = *device.reserve(i64{1} << 30);
  EXPECT_EQ(device.memory().in_use_bytes, before);
  ASSERT_TRUE(device.commit(*range, 100).ok());
  const i64 piece = device.memory().in_use_bytes - before;
  EXPECT_GE(piece, 100);
  EXPECT_LE(piece, 1 << 20) << "a small part counts as much more";
  ASSERT_TRUE(device.commit(*range, 50).ok());
  ASSERT_TRUE(device.commit(*range, piece).ok());
  EXPECT_EQ(device.memory().in_use_bytes - before, piece) << "committed twice counts twice";
  ASSERT_TRUE(device.commit(*range, 10 << 20).ok());
  EXPECT_GE(device.memory().in_use_bytes - before, 10 << 20);
  EXPECT_LT(device.memory().in_use_bytes - before, 11 << 20);
  EXPECT_GE(device.memory().high_water_bytes, 10 << 20);
  auto small = *device.reserve(100);  // smaller than a piece
  const i64 in_use = device.memory().in_use_bytes;
  ASSERT_TRUE(device.commit(*small, 100).ok());
  EXPECT_EQ(device.memory().in_use_bytes - in_use, 100);
  range.reset(), small.reset();
  EXPECT_EQ(device.memory().in_use_bytes, before);
}

TEST_F(Pool, AReservedRangeStaysUntilItsLastUse) {
  auto range = *device.reserve(1 << 20);
  ASSERT_TRUE(device.commit(*range, 1 << 20).ok());
  const Ticket writing = next_of(other);
  range->note_use(writing);
  range.reset();
  EXPECT_EQ(device.memory().in_use_bytes, 1 << 20) << "unmapped under a writer";
  reach(writing);
  (void)take(4096, mine);  // looks what has become free
  EXPECT_EQ(device.memory().in_use_bytes, 0);
}

TEST_F(Pool, SizesThatNoMemoryHasAreErrors) {
  for (const i64 bytes : {i64{-1}, i64{1} << 63 >> 1, INT64_MAX, (i64{1} << 62) + 1, i64{1} << 60}) {
    const auto refused = device.allocate(bytes, mine);
    ASSERT_FALSE(refused.ok()) << bytes;
    EXPECT_EQ(refused.error().code, Code::OutOfMemory);
  }
  EXPECT_EQ(take(0, mine)->bytes(), 0);
}

TEST_F(Pool, AFailureOnPurposeLosesNothing) {
  (void)take(4096, mine);  // one is kept for reuse
  const MemoryStats before = device.memory();
  ASSERT_TRUE(set_fail_points("alloc:1").ok());
  const auto kept = device.allocate(4096, mine);
  ASSERT_TRUE(set_fail_points("alloc:1").ok());
  const auto fresh = device.allocate(1 << 20, mine);
  ASSERT_TRUE(set_fail_points("").ok());
  EXPECT_FALSE(kept.ok());
  EXPECT_FALSE(fresh.ok());
  EXPECT_EQ(device.memory().in_use_bytes, before.in_use_bytes);
  EXPECT_EQ(device.memory().cached_bytes, before.cached_bytes);
  (void)take(4096, mine);
  EXPECT_EQ(device.memory().system_allocations, before.system_allocations);
}

TEST(PoolLimit, NamesTheLargestAndLosesNothing) {
  LoopDevice device(1 << 20);
  const StreamId stream = Timelines::instance().create();
  const Span line{FileId{1}, 3, 9};
  const auto large = *device.allocate(512 << 10, stream, {"matmul", {DType::F32, {256, 512}}, line});
  const auto small = *device.allocate(64 << 10, stream, {"exp", {DType::F32, {16384}}, {}});
  const auto unnamed = *device.allocate(32 << 10, stream);
  const auto least = *device.allocate(16 << 10, stream, {"neg", {DType::F32, {4096}}, {}});
  std::memset(large->data(), 7, 512 << 10);
  const auto refused = device.allocate(512 << 10, stream);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::OutOfMemory);
  EXPECT_EQ(refused.error().message,
            "524288 bytes more would pass the memory limit of 1048576 (638976 in use by 4 tensors, the "
            "largest 524288)");
  ASSERT_EQ(refused.error().also.size(), 2u) << "the three largest, where it is known what they are";
  EXPECT_EQ(refused.error().also[0].text, "524288 bytes: float32[256, 512] of matmul");
  EXPECT_EQ(refused.error().also[0].where, line);
  EXPECT_EQ(refused.error().also[1].text, "65536 bytes: float32[16384] of exp");
  EXPECT_EQ(large->data()[(512 << 10) - 1], std::byte{7});
  EXPECT_TRUE(device.allocate(256 << 10, stream).ok());
}

TEST(PoolLimit, CountsReservedRangesAndNotFiles) {
  LoopDevice device(1 << 20);
  const StreamId stream = Timelines::instance().create();
  const std::vector<std::byte> file(4 << 20);
  const auto mapped = *device.import_host(file, nullptr);
  auto range = *device.reserve(i64{1} << 30, {"a cache", {DType::F32, {0, 64}}, {}});
  ASSERT_TRUE(device.commit(*range, 768 << 10).ok());
  const auto refused = device.allocate(512 << 10, stream);
  ASSERT_FALSE(refused.ok());
  ASSERT_EQ(refused.error().also.size(), 1u);
  EXPECT_EQ(refused.error().also[0].text, "786432 bytes: float32[0, 64] of a cache");
  const Result<void> more = device.commit(*range, 2 << 20);
  ASSERT_FALSE(more.ok());
  EXPECT_EQ(more.error().code, Code::OutOfMemory);
  EXPECT_EQ(device.memory().in_use_bytes, 768 << 10) << "what was refused counts";
  range.reset();
  EXPECT_TRUE(device.allocate(512 << 10, stream).ok());
}

TEST(PoolLimit, FreeMemoryOfOtherSizesAndStreamsIsNoReasonToRefuse) {
  LoopDevice device(1 << 20);
  Timelines& timelines = Timelines::instance();
  const StreamId first = timelines.create(), second = timelines.create();
  const Ticket working = next_of(first);
  auto buffer = *device.allocate(768 << 10, first);
  buffer->note_use(working);
  buffer.reset();
  std::thread work([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    reach(working);
  });
  const auto big = device.allocate(1 << 20, second);
  EXPECT_TRUE(timelines.reached(working)) << "memory was given back while a command worked in it";
  work.join();
  ASSERT_TRUE(big.ok()) << big.error().message;
  EXPECT_EQ(device.memory().cached_bytes, 0);
  EXPECT_EQ(device.memory().high_water_bytes, 1 << 20);
}

// What the system gives, counted.
class Counted : public MemorySource {
 public:
  Result<void*> take(i64 bytes) override {
    if (held + bytes > most) return fail(Code::OutOfMemory, "no more");
    held += bytes;
    return std::malloc(static_cast<size_t>(bytes));
  }
  void give_back(void* data, i64 bytes) override {
    held -= bytes;
    std::free(data);
  }
  i64 held = 0, most = INT64_MAX;
};

TEST(PoolSource, GetsBackWhatItGave) {
  Counted source;
  LoopDevice device;  // whose the buffers say they are
  {
    MemoryPool pool(source, 0);
    const StreamId stream = Timelines::instance().create(), reader = Timelines::instance().create();
    auto a = *pool.allocate(device, 10'000, stream, {}), b = *pool.allocate(device, 10'000, stream, {});
    a->note_use(next_of(reader));  // deferred for ever
    a.reset(), b.reset();
    EXPECT_GT(source.held, 0);
  }
  EXPECT_EQ(source.held, 0);
}

TEST(PoolSource, IsAskedAgainWhenTheCacheWasGivenBack) {
  Counted source;
  source.most = 100'000;
  LoopDevice device;
  MemoryPool pool(source, 0);
  const StreamId stream = Timelines::instance().create();
  for (const i64 bytes : {60'000, 20'000}) (void)*pool.allocate(device, bytes, stream, {});
  EXPECT_GT(pool.stats().cached_bytes, 0);
  const auto all = pool.allocate(device, 90'000, stream, {});
  ASSERT_TRUE(all.ok()) << all.error().message;
  EXPECT_EQ(pool.stats().cached_bytes, 0);
  const auto more = pool.allocate(device, 90'000, stream, {});
  ASSERT_FALSE(more.ok());
  EXPECT_EQ(more.error().message, "no more");
}

// Says so, and finds nothing, where it is asked for more than it has.
class Scarce : public Counted {
 public:
  Result<void*> take(i64 bytes) override {
    Result<void*> data = Counted::take(bytes);
    if (!data.ok()) was_asked = true;
    return data;
  }
  std::atomic<bool> was_asked = false;
};

TEST(PoolSource, GetsNothingBackThatACommandWorksIn) {
  Scarce source;
  source.most = 110'000;
  LoopDevice device;
  MemoryPool pool(source, 0);
  const StreamId stream = Timelines::instance().create(), other = Timelines::instance().create();
  auto first = *pool.allocate(device, 60'000, stream, {}), second = *pool.allocate(device, 20'000, other, {});
  const Ticket working = next_of(stream), later = next_of(other);
  first->note_use(working), second->note_use(later);
  first.reset();
  Result<std::shared_ptr<Buffer>> large = fail(Code::OutOfMemory, "");
  std::thread waits([&] { large = pool.allocate(device, 70'000, stream, {}); });
  while (!source.was_asked) std::this_thread::yield();
  second.reset();  // while somebody waits for the first
  const i64 kept = pool.stats().cached_bytes;
  reach(working);
  waits.join();
  ASSERT_TRUE(large.ok()) << large.error().message;
  EXPECT_GT(pool.stats().cached_bytes, 0) << "memory that is worked in went back to the system";
  EXPECT_LT(pool.stats().cached_bytes, kept);
  reach(later);
}

// Fresh memory and memory that is used again read as signalling NaNs. (The pool reads TL_POISON once, so this
// needs a process of its own.)
TEST(PoolPoisonDeathTest, WhatWasNotWrittenIsNoNumber) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto is_poisoned = [](const Buffer& b) {
    for (i64 i = 0; i < b.bytes() / 4; ++i) {
      u32 bits;
      std::memcpy(&bits, b.data() + 4 * i, 4);
      if ((bits & 0x7fc00000) != 0x7f800000 || (bits & 0x3fffff) == 0) return false;
    }
    return true;
  };
  const auto check = [&] {
    setenv("TL_POISON", "1", 1);
    LoopDevice device;
    const StreamId stream = Timelines::instance().create();
    auto buffer = *device.allocate(10'000, stream);
    if (!is_poisoned(*buffer)) return 1;
    std::memset(buffer->data(), 0, 10'000);
    buffer.reset();
    buffer = *device.allocate(10'000, stream);
    if (!is_poisoned(*buffer)) return 2;
    // Memory that its stream still works in is poisoned when that is done, not before.
    std::memset(buffer->data(), 0, 10'000);
    const Ticket working = next_of(stream);
    buffer->note_use(working);
    const std::byte* const data = buffer->data();
    buffer.reset();
    std::atomic<bool> is_early = false;
    std::thread work([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      is_early = data[0] != std::byte{0};
      reach(working);
    });
    buffer = *device.allocate(10'000, stream);
    work.join();
    if (buffer->data() != data || is_early) return 3;
    return is_poisoned(*buffer) ? 0 : 4;
  };
  EXPECT_EXIT(std::exit(check()), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace tl
