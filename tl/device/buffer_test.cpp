// What a buffer remembers of the work in it.
#include "tl/device/buffer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "tl/device/loop_device_testing.h"

namespace tl {
namespace {

class Uses : public testing::Test {
 protected:
  // A ticket of `stream` that is not reached until done() says so.
  static Ticket next(StreamId stream) { return {stream, Timelines::instance().reached_value(stream) + 1}; }
  static void done(Ticket t) { Timelines::instance().advance(t.stream, t.value); }
  std::vector<Ticket> unreached(StreamId except = {}) const {
    std::vector<Ticket> tickets;
    buffer->add_unreached(except, tickets);
    return tickets;
  }

  LoopDevice device;
  const StreamId a = Timelines::instance().create(), b = Timelines::instance().create();
  const std::shared_ptr<Buffer> buffer = *device.allocate(64, a);
};

TEST_F(Uses, TheLastOfEachStreamCounts) {
  EXPECT_TRUE(unreached().empty());
  EXPECT_EQ(buffer->last_use(a).value, 0u);
  buffer->note_use({});
  EXPECT_TRUE(unreached().empty());
  const Ticket first = next(a), later{a, first.value + 3}, other = next(b);
  buffer->note_use(later);
  buffer->note_use(first);  // earlier than what is known already
  buffer->note_use(other);
  EXPECT_EQ(buffer->last_use(a), later);
  EXPECT_EQ(buffer->last_use(b), other);
  EXPECT_EQ(unreached(), (std::vector<Ticket>{later, other}));
  EXPECT_EQ(unreached(a), (std::vector<Ticket>{other})) << "a stream keeps its own order";
  done(other);
  EXPECT_EQ(unreached(), (std::vector<Ticket>{later}));
  done(first);
  EXPECT_EQ(unreached(), (std::vector<Ticket>{later})) << "the last use of a stream is not its first";
  done(later);
  EXPECT_TRUE(unreached().empty());
}

TEST_F(Uses, OfSeveralStreamsDoNotGoBack) {
  for (const StreamId stream : {a, b}) {
    const Ticket first = next(stream), later{stream, first.value + 3};
    buffer->note_use(later);
    buffer->note_use(first);
    EXPECT_EQ(buffer->last_use(stream), later);
  }
}

TEST_F(Uses, AnyNumberOfStreamsMayRead) {
  std::vector<Ticket> uses;
  for (int i = 0; i < 100; ++i) {
    uses.push_back(next(Timelines::instance().create()));
    buffer->note_use(uses.back());
  }
  EXPECT_EQ(unreached(), uses);
  for (size_t i = 0; i < uses.size(); i += 3) done(uses[i]);
  const std::vector<Ticket> left = unreached();
  EXPECT_EQ(left.size(), 66u);
  for (const Ticket& t : left) EXPECT_FALSE(Timelines::instance().reached(t));
}

TEST_F(Uses, ReachedOnesAreForgotten) {
  const Ticket busy = next(b);
  buffer->note_use(busy);
  for (int i = 0; i < 50; ++i) {
    const Ticket t = next(Timelines::instance().create());
    buffer->note_use(t);
    done(t);
  }
  buffer->note_use(next(a));
  EXPECT_EQ(buffer->last_use(b), busy) << "a use that is not reached was forgotten";
  std::vector<Ticket> known = unreached();
  EXPECT_EQ(known.size(), 2u);
  EXPECT_LE(buffer->uses().size(), 3u);
}

TEST_F(Uses, AreNotedByManyThreadsAtOnce) {
  std::vector<std::thread> threads;
  std::vector<StreamId> streams;
  for (int i = 0; i < 12; ++i) streams.push_back(Timelines::instance().create());
  for (const StreamId s : streams) {
    threads.emplace_back([this, s] {
      const u64 start = Timelines::instance().reached_value(s);
      for (u64 i = 1; i <= 1000; ++i) buffer->note_use({s, start + i});
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(unreached().size(), streams.size());
  for (const StreamId s : streams) {
    EXPECT_EQ(buffer->last_use(s).value, Timelines::instance().reached_value(s) + 1000);
  }
}

TEST_F(Uses, RowsBehindBelongToTheOneWhoClaimsThem) {
  const auto growing = *device.reserve(1 << 16);
  EXPECT_TRUE(growing->claim(0, 100));
  EXPECT_FALSE(growing->claim(0, 200)) << "two took the same rows";
  EXPECT_TRUE(growing->claim(100, 200));
  EXPECT_EQ(growing->used_bytes.load(), 200);
}

TEST_F(Uses, BuffersHaveIdsOfTheirOwn) {
  std::vector<BufferId> ids;
  for (int i = 0; i < 100; ++i) ids.push_back((*device.allocate(64, a))->id());
  std::sort(ids.begin(), ids.end());
  EXPECT_EQ(std::adjacent_find(ids.begin(), ids.end()), ids.end()) << "memory that is reused keeps its id";
}

}  // namespace
}  // namespace tl
