// Functions that a builtin calls once for many runs: what they would change of their caller's once, they may
// not change; what is their own, they may.
#include <gtest/gtest.h>

#include "tests/lang/run_text.h"

namespace tl {
namespace {

struct Case {
  const char* name;
  const char* text;  // `keep` is something the function is not to change, `f` the function
  const char* what;
};

const Case kCases[] = {
    {"a list", "let keep = []\nlet f = |x| { keep.push(x)\nreturn x }", "a list"},
    {"an item", "let keep = [1]\nlet f = |x| { keep[0] = x\nreturn x }", "a list"},
    {"an item of an item", "let keep = [[1, \"a\"]]\nlet f = |x| { keep[0][0] = x\nreturn x }", "a list"},
    {"a field", "struct P { a: any }\nlet keep = P { a: 1 }\nlet f = |x| { keep.a = x\nreturn x }", "a P"},
    {"a cache", "let keep = kv_cache(1, 8)\nlet f = |x| { keep.append(0, x, x)\nreturn x }", "a KVCache"},
    {"a global", "let keep = 1\nfn g(x) { keep = x\nreturn x }\nlet f = g", "a global variable"},
    {"a variable around", "fn make() { let n = 1\nreturn |x| { n = x\nreturn x } }\nlet f = make()",
     "a variable of the function around it"},
    {"through a method",
     "struct P { a: any }\nimpl P { fn set(self, x) { self.a = x } }\nlet keep = P { a: 1 }\nlet f = |x| { "
     "keep.set(x)\nreturn x }",
     "a P"},
};

std::string problems_of(const std::string& text) {
  return run_text("pure.tl", text, "cpu").problems;
}

TEST(PureCall, DoesNotChangeWhatWasThereBefore) {
  for (const Case& c : kCases) {
    for (const char* use :
         {"vmap(f, ones([2, 3, 1]))", "repeat_until(|s| (f(s), sum(s)), ones([3, 1]), 4)"}) {
      const std::string problems = problems_of(std::string(c.text) + "\nprint(" + use + ")\n");
      EXPECT_NE(problems.find(std::string("cannot change ") + c.what), std::string::npos)
          << c.name << ", " << use << ": " << problems;
    }
  }
}

TEST(PureCall, ChangesWhatIsItsOwn) {
  const char* const text = R"(
struct P { a: any }
fn own(x) {
    let l = [x]
    l.push(x * 2.0)
    l[0] = x + 1.0
    let p = P { a: l[0] }
    p.a = p.a + l[1]
    let n = 0
    let count = || { n = n + 1 }
    count()
    return p.a * n
}
fn cached(x) {
    let c = kv_cache(1, 8)
    c.append(0, ones([1, 2]), ones([1, 2]))
    return x + sum(c.k(0))
}
print(vmap(cached, [[1.0], [2.0]]))
print(vmap(own, [[1.0], [2.0]]))
print(repeat_until(|s| (own(s), sum(s > 100.0)), ones([1])))
)";
  const Transcript got = run_text("pure.tl", text, "cpu");
  EXPECT_EQ(got.problems, "");
  EXPECT_EQ(got.output,
            "[[3.0000]\n [4.0000]] shape=[2, 1] float32\n[[4.0000]\n [7.0000]] shape=[2, 1] float32\n"
            "([4.0000] shape=[1] float32, 0)\n");
}

TEST(PureCall, EndsWithItsCall) {
  const char* const text = R"(
let keep = []
print(vmap(|x| x + 1.0, ones([2])))
keep.push(1)
vmap(|x| { keep.push(x)
    return x }, ones([2]))
)";
  const Transcript got = run_text("pure.tl", text, "cpu");
  EXPECT_EQ(got.output, "[2.0000 2.0000] shape=[2] float32\n");
  EXPECT_NE(got.problems.find("cannot change a list"), std::string::npos) << got.problems;
}

// A call in a call: what is the outer one's own was there before the inner one.
TEST(PureCall, InOneAnother) {
  const char* const text = R"(
vmap(|x| {
    let n = []
    n.push(1)
    vmap(|y| { n.push(y)
        return y }, x)
    return x
}, ones([2, 2])))";
  EXPECT_NE(
      problems_of(text).find("5:16: a function that is called once for all runs of it cannot change a list"),
      std::string::npos)
      << problems_of(text);
}

TEST(PureCall, GivesNothingThatHoldsExamplesUnseen) {
  EXPECT_NE(problems_of("vmap(|x| |y| x, ones([2]))").find("gives function, want numbers"),
            std::string::npos);
  EXPECT_NE(problems_of(
                "fn f(x) { let c = kv_cache(1, 8)\nc.append(0, x, x)\nreturn [c] }\nvmap(f, ones([2, 1, 1]))")
                .find("gives KVCache, want numbers"),
            std::string::npos);
  EXPECT_NE(
      problems_of("vmap(|x| bitset(x), ones([2, 3, 3]) > 0.0)").find("pack_bits does not run on examples"),
      std::string::npos);
  // One that is the same for all is given to all.
  const Transcript same =
      run_text("pure.tl", "let b = bitset(ones([1, 2]) > 0.0)\nprint(shape(vmap(|x| b, ones([3]))))", "cpu");
  EXPECT_EQ(same.output + same.problems, "[3, 1, 2]\n");
}

}  // namespace
}  // namespace tl
