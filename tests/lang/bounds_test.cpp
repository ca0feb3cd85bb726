// Functions with more of everything than 16 bits count: they run right or are refused, and never run
// something else.
#include <gtest/gtest.h>

#include <functional>

#include "tests/lang/run_text.h"
#include "tl/base/result.h"

namespace tl {
namespace {

constexpr int kMany = 65537;

std::string repeated(int count, const std::function<std::string(int)>& line) {
  std::string out;
  for (int i = 0; i < count; ++i) out += line(i);
  return out;
}

std::string result_of(const std::string& program) {
  const Transcript got = run_text("bounds.tl", program, "reference");
  return got.output + got.problems;
}

TEST(Bounds, CallsOfOneFunction) {
  const auto same = [](const std::string& line) { return repeated(kMany, [&](int) { return line; }); };
  EXPECT_EQ(result_of("main {\nlet s = 0\n" + same("s = s + len(\"a\")\n") + "print(s, max(3, 4))\n}"),
            "65537 4\n");
  EXPECT_EQ(result_of("fn f(x) { x + 1 }\nfn g(x) { x * 2 }\nmain {\nlet s = 0\n" + same("s = f(s)\n") +
                      "print(g(s), s.max(1))\n}"),
            "131074 65537\n");
  EXPECT_EQ(result_of("main {\nlet s = [1]\n" + same("s.push(2)\n") + "print(len(s), s.pop())\n}"),
            "65538 2\n");
  EXPECT_EQ(result_of("main {\nlet s = 1\n" + same("s = (|| s + 1)()\n") + "print(s)\n}"), "65538\n");
}

TEST(Bounds, WhatInstructionsNameByNumber) {
  EXPECT_EQ(result_of("main {\nlet s = \"\"\n" +
                      repeated(kMany, [](int i) { return fmt::format("s = \"t{}\"\n", i); }) + "print(s)\n}"),
            "t65536\n");
  EXPECT_EQ(result_of("main {\nlet s = \"\"\n" +
                      repeated(kMany, [](int i) { return fmt::format("s = \"{{s.len()}} {}\"\n", i); }) +
                      "print(s)\n}"),
            "7 65536\n");
  EXPECT_EQ(result_of("main {\nlet s = [1, 2, 3]\n" + repeated(kMany, [](int) { return "s = s[0:3]\n"; }) +
                      "print(s[1:])\n}"),
            "[2, 3]\n");
  EXPECT_EQ(result_of("fn f(p) { let s = 0\n" +
                      repeated(kMany, [](int i) { return fmt::format("if s == 1 {{ s = p.f{} }}\n", i); }) +
                      "s }\nprint(f(1))"),
            "0\n");
}

TEST(Bounds, Variables) {
  const auto let = [](int i) { return fmt::format("let a{} = {}\n", i, i); };
  const std::string lets = repeated(kMany, let);
  EXPECT_EQ(result_of(lets + "fn f() { a0 + a65536 }\nprint(f(), a65535)\n"), "65536 65535\n");
  EXPECT_EQ(result_of("main {\n" + repeated(65510, let) + "print(a0 + a65509)\n}"), "65509\n");
  for (const int too_many : {65521, kMany}) {
    EXPECT_NE(result_of("main {\n" + repeated(too_many, let) + "print(a65520)\n}")
                  .find("function too large: it has more than 65520 variables and temporaries"),
              std::string::npos);
  }
}

TEST(Bounds, LiteralsAndJumps) {
  const std::string items = repeated(70000, [](int i) { return fmt::format("{}, ", i); });
  EXPECT_EQ(result_of("let x = [" + items + "7]\nprint(len(x), x[69999], x[70000])"), "70001 69999 7\n");
  EXPECT_EQ(result_of("let x = [" + items + "0.5]\nprint(x[1:3], sum(tensor(x[:10])))"), "[1.0, 2.0] 45\n");
  EXPECT_EQ(result_of("let x = [" + repeated(70000, [](int i) { return fmt::format("[1, {}], ", i); }) +
                      "[0, 0]]\nprint(shape(x), x[69999])"),
            "[70001, 2] [    1 69999] shape=[2] int64\n");
  EXPECT_EQ(result_of("let n = 0\nwhile n < 3 {\n" + repeated(100000, [](int) { return "n = n + 0\n"; }) +
                      "n = n + 1\n}\nprint(n)"),
            "3\n");
}

}  // namespace
}  // namespace tl
