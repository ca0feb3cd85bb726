// What is remembered of the steps of a run.
#include "tl/device/outcome.h"

#include <gtest/gtest.h>

#include <thread>

namespace tl {
namespace {

FailurePtr failure(std::string_view message) {
  return make_failure(fail(Code::BadProgram, "{}", message));
}

TEST(Outcome, KnowsTheFirstFailureOfEachStep) {
  Outcome outcome;
  EXPECT_FALSE(outcome.any_failed());
  EXPECT_EQ(outcome.failure_of(3), nullptr);
  const FailurePtr first = failure("first");
  outcome.fail(3, first);
  outcome.fail(3, failure("second"));
  outcome.fail(5, failure("another step"));
  EXPECT_TRUE(outcome.any_failed());
  EXPECT_EQ(outcome.failure_of(3), first);
  EXPECT_EQ(outcome.failure_of(5)->error.message, "another step");
  EXPECT_EQ(outcome.failure_of(4), nullptr) << "a step beside it has failed";
}

TEST(Outcome, OneTellingIsEnoughForAllThatShareAFailure) {
  Outcome outcome;
  const FailurePtr cause = failure("cause");
  outcome.fail(0, cause);
  outcome.fail(1, cause);
  EXPECT_FALSE(outcome.failure_of(0)->is_seen) << "asking is not telling";
  EXPECT_EQ(see(*outcome.failure_of(1)).message, "cause");
  EXPECT_TRUE(outcome.failure_of(0)->is_seen);
}

TEST(Outcome, IsWrittenByManyThreads) {
  Outcome outcome;
  std::vector<std::thread> threads;
  for (i32 t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (i32 i = 0; i < 50; ++i) outcome.fail(i * 8 + t, failure(std::to_string(i * 8 + t)));
    });
  }
  for (std::thread& t : threads) t.join();
  for (i32 i = 0; i < 400; ++i) {
    ASSERT_NE(outcome.failure_of(i), nullptr) << i;
    EXPECT_EQ(outcome.failure_of(i)->error.message, std::to_string(i));
  }
}

}  // namespace
}  // namespace tl
