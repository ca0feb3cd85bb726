// Calls that another thread cancels at random moments, whatever they are doing: the session goes on as if
// they had not been made. TL_RUNS chooses how many.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <random>
#include <thread>

#include "tl/api/session.h"
#include "tl/builtins/context.h"

namespace tl {
namespace {

using lang::Value;
using Clock = std::chrono::steady_clock;

constexpr const char* kProgram = R"(
rand_seed(5)
let w = randn([64, 64]) * 0.1
let kept = kv_cache(1, 4096)
let held = [w]
fn layer(x) { return rms_norm(softmax(x @ w) + x * 0.5 + relu(x) - x * x, ones([64])) * 2.0 - tanh(x) + x @ w }
fn step(cache, x) {
    let y = layer(x)
    append(cache, 0, reshape(y, [1, 1, 64]), reshape(x, [1, 1, 64]))
    return y + sum(cache.k(0), [0, 1])
}
// the calls that never end by themselves
fn interpreting() { let n = 0
    loop { n = (n + 1) % 1000 } }
fn waiting() { let x = randn([1, 64])
    loop { if item(sum(layer(x))) == 12345.0 { print("never") } } }
fn recording() { let x = randn([1, 64])
    loop { x = x * 0.5 + randn([1, 64]) } }
fn replaying() { let x = randn([1, 64])
    loop { x = layer(x) } }
fn appending() { let x = randn([1, 64])
    loop { x = tanh(step(kept, x))
           if kept.length() > 3000 { truncate(kept, 10) } } }
fn in_tasks() { loop { par_map(range(4), |i| { let x = randn([1, 64])
    for j in range(50) { x = layer(x) }
    return item(sum(x)) }) } }
fn large() { let x = randn([160, 160])
    loop { x = x @ x * 0.001 } }
fn in_a_task() { return spawn(|| { let n = 0
    loop { n = (n + 1) % 7 } }).join() }
fn handling() { loop { try { waiting() } catch e { print(e) } finally { length[0] = length[0] } } }
// what stays: draws, the cache's rows up to where the last answer left them, weights
let length = [0]
fn answer() {
    if kept.length() > length[0] { truncate(kept, length[0]) }
    let x = randn([1, 64])
    for i in range(3) { x = tanh(step(kept, x)) }
    length[0] = kept.length()
    held[0] = held[0] * 0.99 + sum(x) * 0.001
    return checksum(x) + checksum(held[0]) + checksum(randn([3]))
}
)";

class Cancel : public testing::Test {
 protected:
  std::unique_ptr<Session> session(int threads = 2) {
    auto made = Session::create({.device = "cpu", .threads = threads}, {}, out_, err_);
    TL_CHECK(made.ok());
    std::unique_ptr<Session> s = std::move(made).value();
    const Result<void> loaded = s->load("cancel.tl", kProgram);
    EXPECT_TRUE(loaded.ok()) << s->messages();
    return s;
  }
  static std::string answer(Session& s) {
    Result<Value> result = s.call("answer");
    if (!result.ok()) return s.messages();
    return result->as<lang::String>().text;
  }

  lang::StringOutput out_, err_;
};

int runs() {
  const char* text = std::getenv("TL_RUNS");
  return text != nullptr ? std::atoi(text) : std::getenv("TL_SANITIZED") != nullptr ? 40 : 200;
}

TEST_F(Cancel, ACallThatIsCancelledReturnsAndTheNextOnesGiveWhatTheyWouldHave) {
  static constexpr const char* kCalls[] = {"interpreting", "waiting",  "recording", "replaying", "appending",
                                           "in_tasks",     "handling", "large",     "in_a_task"};
  const std::unique_ptr<Session> undisturbed = session(1), disturbed = session(2);
  std::mt19937 random(7);
  double longest = 0;
  for (int run = 0; run < runs(); ++run) {
    const char* const what = kCalls[random() % std::size(kCalls)];
    const auto delay = std::chrono::microseconds(random() % 3 == 0 ? random() % 100 : random() % 8000);
    Clock::time_point cancelled;
    std::atomic<bool> is_over{false};
    std::thread canceller([&] {
      std::this_thread::sleep_for(delay);
      cancelled = Clock::now();
      while (!disturbed->cancel() && !is_over) std::this_thread::yield();  // the call has not begun
    });
    const Result<Value> result = disturbed->call(what);
    const auto returned = Clock::now();
    is_over = true;
    canceller.join();
    ASSERT_FALSE(result.ok()) << what;
    ASSERT_EQ(result.error().code, Code::Interrupted) << what << ": " << disturbed->messages();
    longest = std::max(longest, std::chrono::duration<double>(returned - cancelled).count());
    ASSERT_EQ(answer(*disturbed), answer(*undisturbed)) << "after " << what << ", run " << run;
  }
  if (std::getenv("TL_SANITIZED") == nullptr) {
    EXPECT_LT(longest, 1.0) << "seconds from cancel() to its return";
  }
}

TEST_F(Cancel, WhatComesBetweenCallsCancelsNone) {
  const std::unique_ptr<Session> s = session();
  EXPECT_FALSE(s->cancel());
  EXPECT_EQ(answer(*s), answer(*session()));
  EXPECT_FALSE(s->cancel());
}

TEST_F(Cancel, AProgramThatIsCancelledWhileItLoadsIsFollowedByAnother) {
  const std::unique_ptr<Session> s = session();
  std::thread canceller([&] {
    while (!s->cancel()) std::this_thread::yield();
  });
  const Result<void> loaded = s->load("loop.tl", "let n = 0\nloop { n = (n + 1) % 5 }");
  canceller.join();
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.error().code, Code::Interrupted);
  ASSERT_TRUE(s->load("cancel.tl", kProgram).ok()) << s->messages();
  EXPECT_EQ(answer(*s), answer(*session()));
}

TEST_F(Cancel, AFailureInACallIsToldAndTheNextOneRuns) {
  const std::unique_ptr<Session> s = session();
  ASSERT_TRUE(s->load("fails.tl",
                      "let xs = [1]\nfn bad(i) { spawn(|| { loop { let x = 1 } })\n return xs[i] }\n"
                      "fn good() { xs.push(2)\n return xs.len() }")
                  .ok())
      << s->messages();
  const Value nine(i64{9});
  const Result<Value> bad = s->call("bad", {&nine, 1});
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().code, Code::BadProgram);
  EXPECT_NE(s->messages().find("fails.tl:3:9"), std::string::npos) << s->messages();
  EXPECT_EQ(s->call("good")->as_int(), 2);
  EXPECT_EQ(s->call("good")->as_int(), 3) << "objects stay from call to call";
  EXPECT_EQ(s->call("nobody").error().message, "no function 'nobody'");
}

}  // namespace
}  // namespace tl
