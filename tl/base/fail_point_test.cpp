// Failures on purpose: which one fails, and that text which names nothing is refused.
#include "tl/base/fail_point.h"

#include <gtest/gtest.h>

#include <vector>

namespace tl {
namespace {

class FailPoints : public testing::Test {
 protected:
  ~FailPoints() override { EXPECT_TRUE(set_fail_points("").ok()); }
  // The numbers, from 1, of those of `count` that fail.
  static std::vector<int> failing(FailPoint point, int count, std::string_view name = {}) {
    std::vector<int> numbers;
    for (int i = 1; i <= count; ++i) {
      if (must_fail(point, {&name, 1})) numbers.push_back(i);
    }
    return numbers;
  }
};

TEST_F(FailPoints, NothingFailsUnasked) {
  EXPECT_FALSE(fail_point::is_active);
  EXPECT_TRUE(failing(FailPoint::Command, 100).empty());
  ASSERT_TRUE(set_fail_points("write:2").ok());
  EXPECT_TRUE(failing(FailPoint::Read, 10).empty()) << "another kind failed";
  ASSERT_TRUE(set_fail_points("").ok());
  EXPECT_TRUE(failing(FailPoint::Write, 10).empty());
}

TEST_F(FailPoints, TheOneThatWasAskedForFails) {
  const std::pair<std::string_view, FailPoint> kinds[] = {
      {"command", FailPoint::Command}, {"alloc", FailPoint::Alloc}, {"read", FailPoint::Read},
      {"write", FailPoint::Write},     {"map", FailPoint::Map},     {"scratch", FailPoint::Scratch},
      {"thread", FailPoint::Thread}};
  for (const auto& [name, point] : kinds) {
    ASSERT_TRUE(set_fail_points(fmt::format("{}:7", name)).ok());
    EXPECT_EQ(failing(point, 20), std::vector<int>{7}) << name;
  }
}

TEST_F(FailPoints, AnOpIsCountedByItself) {
  ASSERT_TRUE(set_fail_points("op:softmax:2").ok());
  EXPECT_TRUE(failing(FailPoint::Command, 5, "matmul").empty());
  EXPECT_TRUE(failing(FailPoint::Command, 5, "softmax_backward").empty());
  EXPECT_EQ(failing(FailPoint::Command, 5, "softmax"), std::vector<int>{2});
}

TEST_F(FailPoints, SeveralCountEachForItself) {
  ASSERT_TRUE(set_fail_points("alloc:2,alloc:4,op:exp:1,read:1").ok());
  EXPECT_EQ(failing(FailPoint::Alloc, 9), (std::vector<int>{2, 4}));
  EXPECT_EQ(failing(FailPoint::Command, 3, "exp"), std::vector<int>{1});
  EXPECT_EQ(failing(FailPoint::Read, 3), std::vector<int>{1});
}

TEST_F(FailPoints, ChanceIsDrawnFromItsSeed) {
  const auto draw = [&](std::string_view text) {
    EXPECT_TRUE(set_fail_points(text).ok());
    return failing(FailPoint::Alloc, 10'000);
  };
  const std::vector<int> first = draw("alloc:0.01@5");
  EXPECT_GT(first.size(), 50u);
  EXPECT_LT(first.size(), 200u);
  EXPECT_EQ(draw("alloc:0.01@5"), first) << "the same seed failed others";
  EXPECT_NE(draw("alloc:0.01@6"), first);
  EXPECT_TRUE(draw("alloc:0@5").empty());
  EXPECT_EQ(draw("alloc:1@5").size(), 10'000u);
}

TEST_F(FailPoints, TextThatNamesNothingIsRefusedAndChangesNothing) {
  ASSERT_TRUE(set_fail_points("read:1").ok());
  for (const std::string_view text :
       {"command", "command:", "command:0", "command:-1", "command:x", "command:1.5", "command:1 ", "fail:1",
        "op:softmax", "op::1", "op:softmax:0", "alloc:2@5", "alloc:nan@5", "alloc:-0.1@5", "alloc:0.1@",
        "alloc:0.1@x", "read:1,fail:2", ","}) {
    const Result<void> set = set_fail_points(text);
    ASSERT_FALSE(set.ok()) << text;
    EXPECT_EQ(set.error().code, Code::BadProgram);
    EXPECT_TRUE(set.error().message.starts_with("TL_FAIL: '")) << set.error().message;
  }
  EXPECT_EQ(failing(FailPoint::Read, 3), std::vector<int>{1});
}

TEST_F(FailPoints, EveryOpThatACommandStandsForCounts) {
  constexpr std::string_view fused[] = {"fused", "exp", "add", "exp"};
  ASSERT_TRUE(set_fail_points("op:exp:3").ok());
  EXPECT_FALSE(must_fail(FailPoint::Command, fused));
  EXPECT_TRUE(must_fail(FailPoint::Command, fused));
  ASSERT_TRUE(set_fail_points("op:add:1,op:fused:2,command:3").ok());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(must_fail(FailPoint::Command, fused)) << i;
}

}  // namespace
}  // namespace tl
