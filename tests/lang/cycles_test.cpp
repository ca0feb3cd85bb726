// Values that contain themselves: they are freed, though references are counted, and nothing that follows
// them overflows the stack.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/lang/run_text.h"

namespace tl {
namespace {

Transcript run_in(const std::string& text, i64 megabytes, bool replay = true) {
  RunSettings settings{.memory_limit_bytes = megabytes << 20};
  settings.exec.replay = replay;
  return run_text("test.tl", text, settings);
}

// Each round leaves a cycle behind that holds a tensor of 16 kB.
void expect_flat(const std::string& before, const std::string& body, int rounds = 20000) {
  if (std::getenv("TL_SANITIZED") != nullptr) rounds = 10000;
  const std::string text = fmt::format(
      "{}\nlet kept = [0]\nkept.push(kept)\nfor i in range({}) {{ {} }}\n"
      "print(kept[1][1][0], len(kept))\n",
      before, rounds, body);
  for (const bool replay : {true, false}) {
    const Transcript got = run_in(text, 100, replay);
    EXPECT_EQ(got.problems, "") << text;
    EXPECT_EQ(got.output, "0 2\n") << text;
  }
}

TEST(Cycles, ListsThatContainThemselvesWereNeverFreed) {
  expect_flat("", "let l = [i]; l.push(l); l.push(ones([4096]) + i); wait(l[2])", 100000);
}

TEST(Cycles, StructsWereNeverFreed) {
  expect_flat("struct Node { next: any, data: any }",
              "let a = Node { next: 0, data: ones([4096]) + i }; let b = Node { next: (a, 1), data: [a] }; "
              "a.next = b; wait(a.data)");
}

TEST(Cycles, ClosuresWereNeverFreed) {
  expect_flat("fn make(t) { let f = |n| n; f = |n| if n == 0 { t } else { f(n - 1) }; f }",
              "wait(make(ones([4096]) + i)(2))");
}

TEST(Cycles, OfFunctionsThatAreReplayedWereNeverFreed) {
  expect_flat(
      "fn make(x, i) { let l = [x + i, 2]; l.push(l); let y = exp(l[0]) * 2.0 + 1.0; l.push(y - x); l }",
      "let l = make(ones([4096]), i); wait(l[3])");
}

TEST(Cycles, OfTasksWereNeverFreed) {
  const std::string text = R"(
fn work(n) {
    for i in range(500) { let l = [i]; l.push(l); l.push(ones([4096]) + i); wait(l[2]) }
    let out = [n, ones([4096]) + n]
    out.push(out)
    return out
}
let total = 0
for i in range(20) {
    for r in par_map(range(8), work) { total += r[2][2][0] }
    let t = spawn(work, i)
    let r = join(t)
    r.push(t)
    total += len(r)
}
print(total)
)";
  const Transcript got = run_in(text, 200);
  EXPECT_EQ(got.problems, "");
  EXPECT_EQ(got.output, "640\n");
}

TEST(Cycles, WhatIsInUseIsKept) {
  const std::string text = R"(
struct Node { next: any, id: any }
fn ring(n) {
    let first = Node { next: 0, id: 0 }
    let last = first
    for i in range(1, n) { let node = Node { next: 0, id: i }; last.next = node; last = node }
    last.next = first
    return first
}
let rings = []
for i in range(300) { rings.push(ring(20)); ring(50) }
let sum = 0
for r in rings { let at = r; for k in range(40) { sum += at.id; at = at.next } }
let adders = []
for i in range(3000) { let f = |n| n; f = |n| if n == 0 { i } else { f(n - 1) }; adders.push(f) }
for i in range(3000) { let l = []; l.push([l, |x| l]) }
for f in adders { sum += f(3) }
print(sum, [adders[0](1), adders[1](1)])
)";
  for (const bool replay : {true, false}) {
    const Transcript got = run_in(text, 100, replay);
    EXPECT_EQ(got.problems, "");
    EXPECT_EQ(got.output, fmt::format("{} [0, 1]\n", 300 * 2 * 190 + 2999 * 1500));
  }
}

TEST(Cycles, ShowThemselvesOnce) {
  const Transcript got = run_in(R"(
struct Node { next: any, id: int }
let l = [1, 2]
l.push(l)
let pair = (l, [])
pair[1].push(pair)
let node = Node { next: 0, id: 3 }
node.next = [node, node]
print(l, pair, node, "{l}")
print([l, l])
)",
                                100);
  EXPECT_EQ(got.problems, "");
  EXPECT_EQ(got.output,
            "[1, 2, [...]] ([1, 2, [...]], [(...)]) Node { next: [Node { ... }, Node { ... }], id: 3 } "
            "[1, 2, [...]]\n[[1, 2, [...]], [1, 2, [...]]]\n");
}

// Whatever follows a list to its end says so, or stops where it meets itself; none crashes.
TEST(Cycles, NothingThatFollowsThemOverflowsTheStack) {
  for (const char* use : {"print(l == m)",
                          "print(l == l)",
                          "print(l in [m])",
                          "print(m in l)",
                          "print(copy(l) == l)",
                          "sum(l)",
                          "tensor(l)",
                          "print(shape(l))",
                          "numel(l)",
                          "f(l)",
                          "print(sort(l))",
                          "l + 1.0",
                          "ones([2]) + l",
                          "join(spawn(|| l))",
                          "par_map([l, m], |x| len(x))",
                          "checksum(l)",
                          "x[l] = 1.0",
                          "print(x[l])",
                          "max(l)",
                          "reshape(x, l)",
                          "zeros(l)",
                          "concat(l)",
                          "stack(l)",
                          "wait(l)",
                          "print(l ~= m)",
                          "assert_eq(l, m)",
                          "write_text(l, \"\")",
                          "str(l)",
                          "len(l)",
                          "reversed(l)",
                          "flatten(l)",
                          "print(\"{l:>5}\")",
                          "let (a, b) = l",
                          "match l { [a, b] => print(1), _ => print(2) }"}) {
    const std::string text = fmt::format(R"(
fn f(l) {{ exp(ones([4]) * len(l)) + sum(l) }}
let l = [1]
l.push(l)
l[0] = l
let m = [1]
m.push(m)
m[0] = m
let x = ones([4])
{}
{}
)",
                                         use, use);
    run_in(text, 100);
  }
}

}  // namespace
}  // namespace tl
