// What programs do to tensors without a copy and without waiting. x[...] = v writes what changes and nothing
// else, wherever x is held; numbers go into lists and literals unread.
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

// Appends, and those of them that had to take memory of their own.
struct Appends : ExecObserver {
  int all = 0, elsewhere = 0;
  void runs(const Plan&, const Snapshot& s) override {
    for (const SnapshotItem& item : s.items) {
      if (item.unused || item.node->op->kind != OpKind::Append) continue;
      ++all;
      elsewhere += item.in_place ? 0 : 1;
    }
  }
};

TEST(Caches, AreAppendedInPlaceByReplaysToo) {
  const char* const kText =
      "fn step(c, x) { let y = x\n for i in range(5) { y = tanh(y) + 1.0 }\n"
      "  c.append(0, y, y)\n sum(c.k(0) + c.v(0)) }\n"
      "main { let c = kv_cache(1, 100)\n let last = 0\n"
      "  for round in range(20) {\n"
      "    for i in range(4) { last = step(c, ones([1, 8]) * i) }\n wait(last)\n c.truncate(c.length() - 3) "
      "}\n"
      "  print(c.length()) }";
  for (const bool is_replayed : {false, true}) {
    Appends appends;
    RunSettings settings;
    settings.exec.replay = is_replayed;
    settings.exec.fewest_traced_nodes = 1;
    settings.exec.observer = &appends;
    const Transcript got = run_text("appends.tl", kText, settings);
    EXPECT_EQ(got.output + got.problems, "20\n");
    EXPECT_EQ(got.replays > 50, is_replayed) << got.replays;
    EXPECT_EQ(appends.all, 160);
    EXPECT_LE(appends.elsewhere, 4) << "truncated rows are kept, " << is_replayed;
  }
}

// A call that waits for a number is not traced, and says so.
struct Waits : ExecObserver {
  std::string why;
  void not_traced(Span, Span, std::string_view reason) override { why += reason; }
};

TEST(Literals, AreNotReadBack) {
  const char* const kText =
      "fn f(x, n) { x + [[[n, 1], [2, 3]], [[4, 5], [argmax(x[0, 0]), 7]]] }\n"
      "main { let x = zeros([2, 2, 2])\n for i in range(20) { x = f(x, i) }\n print(to_list(x)) }";
  Waits waits;
  const Transcript got = run_text("literals.tl", kText, "cpu", 2, false, &waits);
  EXPECT_EQ(got.output + got.problems, "[[[190.0, 20.0], [40.0, 60.0]], [[80.0, 100.0], [2.0, 140.0]]]\n");
  EXPECT_EQ(waits.why, "");
}

}  // namespace
}  // namespace tl
