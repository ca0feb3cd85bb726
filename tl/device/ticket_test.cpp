// Timelines: what is reached, waiting, and ids that are given out again.
#include "tl/device/ticket.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace tl {
namespace {

TEST(Timelines, ATicketIsReachedWithAllBeforeIt) {
  Timelines& timelines = Timelines::instance();
  const StreamId a = timelines.create(), b = timelines.create();
  const u64 start = timelines.reached_value(a), other = timelines.reached_value(b);
  EXPECT_TRUE(timelines.reached({a, 0}));
  EXPECT_FALSE(timelines.reached({a, start + 1}));
  timelines.advance(a, start + 2);
  EXPECT_TRUE(timelines.reached({a, start + 1}));
  EXPECT_TRUE(timelines.reached({a, start + 2}));
  EXPECT_FALSE(timelines.reached({a, start + 3}));
  EXPECT_FALSE(timelines.reached({b, other + 1})) << "timelines of two streams are one";
}

TEST(Timelines, WaitingEndsWhenReachedOrTimedOut) {
  Timelines& timelines = Timelines::instance();
  const StreamId stream = timelines.create();
  const Ticket next{stream, timelines.reached_value(stream) + 1};
  const auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(timelines.wait(next, 0.01));
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(10));
  bool is_written = false;
  std::thread worker([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // the waiter is asleep by then
    is_written = true;
    timelines.advance(stream, next.value);
  });
  EXPECT_TRUE(timelines.wait(next));
  EXPECT_TRUE(is_written) << "what was done before advance is not seen after wait";
  worker.join();
}

TEST(Timelines, AnAdvanceWakesEveryWaiterItReaches) {
  Timelines& timelines = Timelines::instance();
  const StreamId stream = timelines.create();
  const u64 start = timelines.reached_value(stream);
  std::atomic<int> early{0}, done{0};
  std::vector<std::thread> waiters;
  for (u64 i = 1; i <= 6; ++i) {
    waiters.emplace_back([&, i] {
      EXPECT_TRUE(timelines.wait({stream, start + i}));
      if (timelines.reached_value(stream) < start + i) ++early;
      ++done;
    });
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  timelines.advance(stream, start + 3);
  while (done < 3) std::this_thread::yield();
  EXPECT_FALSE(timelines.reached({stream, start + 4}));
  timelines.advance(stream, start + 6);
  for (std::thread& t : waiters) t.join();
  EXPECT_EQ(early, 0);
}

TEST(Timelines, AnIdThatIsGivenOutAgainGoesOnWhereItWas) {
  Timelines& timelines = Timelines::instance();
  const StreamId first = timelines.create();
  const u64 last = timelines.reached_value(first) + 7;
  timelines.advance(first, last);
  timelines.retire(first);
  const StreamId again = timelines.create();
  EXPECT_EQ(again, first) << "ids of ended streams are lost";
  EXPECT_EQ(timelines.reached_value(again), last);
  EXPECT_TRUE(timelines.reached({first, last})) << "an old ticket is not reached any more";
  EXPECT_FALSE(timelines.reached({again, last + 1}));
}

TEST(Timelines, ThousandsOfStreamsOneAfterTheOtherUseFewIds) {
  Timelines& timelines = Timelines::instance();
  u32 largest = 0;
  for (int i = 0; i < 300'000; ++i) {  // more than there are ids
    const StreamId stream = timelines.create();
    largest = std::max(largest, static_cast<u32>(stream));
    timelines.advance(stream, timelines.reached_value(stream) + 1);
    timelines.retire(stream);
  }
  EXPECT_LT(largest, 1000u);
}

TEST(Timelines, ManyStreamsAtOneTimeAreApart) {
  Timelines& timelines = Timelines::instance();
  std::vector<StreamId> streams;
  std::vector<u64> starts;
  for (int i = 0; i < 1000; ++i) {  // several chunks of slots
    streams.push_back(timelines.create());
    starts.push_back(timelines.reached_value(streams.back()));
  }
  for (size_t i = 0; i < streams.size(); i += 2) timelines.advance(streams[i], starts[i] + 1);
  for (size_t i = 0; i < streams.size(); ++i) {
    EXPECT_EQ(timelines.reached({streams[i], starts[i] + 1}), i % 2 == 0) << i;
  }
  for (const StreamId s : streams) timelines.retire(s);
}

}  // namespace
}  // namespace tl
