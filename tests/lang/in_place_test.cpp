// x[...] = v writes what changes and nothing else, wherever x is held: no form of assignment keeps the old
// tensor for longer than it must.
#include <gtest/gtest.h>

#include "tests/lang/run_text.h"
#include "tl/exec/observer.h"
#include "tl/exec/snapshot.h"

namespace tl {
namespace {

// Counts the steps that could write in place, and those that do not.
struct Counter : ExecObserver {
  int changes = 0, copies = 0;
  void runs(const Plan&, const Snapshot& s) override {
    for (const SnapshotItem& item : s.items) {
      if (!item.node->op->donates) continue;
      ++changes;
      copies += item.in_place ? 0 : 1;
    }
  }
};

struct Case {
  const char* name;
  const char* text;
  int copies = 0;
};

const Case kCases[] = {
    {"local",
     "main { let x = zeros([1000000])\n for i in range(10000) { x[i] = i * 1.0 }\n"
     "  print(item(sum(x))) }"},
    {"global",
     "let x = zeros([100, 100])\nfor i in range(10000) { x[i / 100, i % 100] = i * 1.0 }\n"
     "print(item(sum(x)))"},
    {"field",
     "struct S { x: float32[?] }\n"
     "main { let s = S { x: zeros([10000]) }\n for i in range(10000) { s.x[i] = i * 1.0 }\n"
     "  print(item(sum(s.x))) }"},
    {"list",
     "main { let xs = [zeros([3]), zeros([10000])]\n"
     "  for i in range(10000) { xs[1][i] = i * 1.0 }\n  print(item(sum(xs[1]))) }"},
    {"captured",
     "main { let x = zeros([10000])\n let put = |i| { x[i] = i * 1.0 }\n"
     "  for i in range(10000) { put(i) }\n  print(item(sum(x))) }"},
    {"compound",
     "main { let x = zeros([10000])\n for i in range(10000) { x[i] += i * 1.0 }\n"
     "  print(item(sum(x))) }"},
    {"list of places",
     "main { let x = zeros([10000])\n for i in range(10000) { x[[i]] = i * 1.0 }\n"
     "  print(item(sum(x))) }"},
    {"another holder",
     "main { let x = zeros([10000])\n let y = x\n"
     "  for i in range(10000) { x[i] = i * 1.0 }\n  print(item(sum(x) - sum(y))) }",
     1},
};

TEST(SettingParts, CopiesNothing) {
  for (const Case& c : kCases) {
    Counter counter;
    const Transcript got = run_text("in_place.tl", c.text, "cpu", 2, false, &counter);
    EXPECT_EQ(got.output + got.problems, "49995000\n") << c.name;
    EXPECT_EQ(counter.changes, 10000) << c.name;
    EXPECT_EQ(counter.copies, c.copies) << c.name;
  }
}

}  // namespace
}  // namespace tl
