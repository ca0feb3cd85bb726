// Programs from text to exit code through the public interface: output, errors with their place, traces,
// limits.
#include "tl/interp/interp.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tl/device/loop_device_testing.h"

namespace tl::interp {
namespace {

namespace fs = std::filesystem;

class Interp : public testing::Test {
 protected:
  bool compile_text(const std::string& text, const std::string& name = "test.tl") {
    const FileId root = files.add(name, text);
    const ModuleGraph graph = load_modules(files, root, "/no/share", diags);
    if (!diags.has_errors()) program = compile(graph, diags);
    return !diags.has_errors();
  }
  // The exit code, or "text of the span: message".
  std::string run_text(const std::string& text) {
    if (!compile_text(text)) return diags.all()[0].message();
    return run_program();
  }
  std::string run_program(const NamedProto* block = nullptr) {
    trace.clear();
    const Result<int> code = run(program, host, {.trace = &trace, .block = block});
    if (code.ok()) return fmt::format("{}", code.value());
    return fmt::format("{}: {}", files.text(code.error().where), code.error().message);
  }

  LoopDevice device;
  std::unique_ptr<Executor> executor = *Executor::create(device, {});
  lang::StringOutput out, err;
  lang::Host host{.executor = *executor, .out = out, .err = err};
  SourceFiles files;
  Diagnostics diags;
  Program program;
  std::vector<TraceEntry> trace;
};

TEST_F(Interp, RunsTopLevelStatementsThenMain) {
  EXPECT_EQ(
      run_text(
          "main { print(\"main\", total) }\nlet total = 0\nfor i in 0..5 { total += i }\nprint(\"top\")"),
      "0");
  EXPECT_EQ(out.text(), "top\nmain 10\n");
}

TEST_F(Interp, ClosuresStructsAndTensorsMeet) {
  EXPECT_EQ(run_text(R"(
struct Scale { by: float }
impl Scale { fn apply(self, x) { x * self.by } }
fn twice(f) { |x| f(f(x)) }
let s = Scale { by: 3.0 }
main { print(twice(|x| s.apply(x))([1.0, 2.0] * 1.0)) }
)"),
            "0");
  EXPECT_EQ(out.text(), "[ 9.0000 18.0000] shape=[2] float32\n");
}

TEST_F(Interp, AProgramRefersToNothingOfItsTrees) {
  ASSERT_TRUE(compile_text("fn f(n) { \"{n}!\" }\nmain { print(f(3)) }"));
  EXPECT_EQ(run_program(), "0");  // the graph is gone by now
  EXPECT_EQ(run_program(), "0");
  EXPECT_EQ(out.text(), "3!\n3!\n") << "a program keeps no state between runs";
}

TEST_F(Interp, ErrorsCarryTheirPlaceAndACallTrace) {
  EXPECT_EQ(run_text("fn inner(xs) { xs[5] }\nfn outer() { inner([1, 2]) }\nmain { print(1)\n outer() }")
                .substr(0, 7),
            "xs[5]: ");
  ASSERT_EQ(trace.size(), 3u);
  EXPECT_EQ(trace[0].function, "inner");
  EXPECT_EQ(trace[1].function, "outer");
  EXPECT_EQ(files.text(trace[1].span), "inner([1, 2])");
  EXPECT_EQ(out.text(), "1\n") << "what was written before the failure is lost";
}

TEST_F(Interp, CompileTimeProblemsAreDiagnosticsWithSpans) {
  EXPECT_FALSE(compile_text("main { print(nothing) }"));
  ASSERT_EQ(diags.error_count(), 1u);
  EXPECT_EQ(files.text(diags.all()[0].primary.span), "nothing");
  EXPECT_EQ(diags.all()[0].code, DiagCode::UnknownName);
}

TEST_F(Interp, EndlessRecursionIsAnErrorNotACrash) {
  const std::string message = run_text("fn f(n) { f(n + 1) + 1 }\nmain { f(0) }");
  EXPECT_EQ(message, "f(n + 1): calls are nested more than 20000 deep in 'f'");
}

TEST_F(Interp, RecursionThroughBuiltinsIsBoundedToo) {
  const std::string message = run_text("fn f(n) { map([n], |x| f(x)) }\nmain { f(0) }");
  EXPECT_NE(message.find("deep"), std::string::npos) << message;
}

TEST_F(Interp, ExitEndsTheProgramWithItsCode) {
  EXPECT_EQ(run_text("fn f() { exit(3) }\nmain { print(1)\n f()\n print(2) }"), "3");
  EXPECT_EQ(out.text(), "1\n");
  EXPECT_TRUE(trace.empty());
}

TEST_F(Interp, ANamedDimIsOneNumberThroughoutACall) {
  const std::string program =
      "fn mk(n, d) { zeros([n, d]) }\n"
      "fn f(a: float32[n, d], b: float32[m, d]) -> float32[n, m] { mk(2, 4) }\n"
      "fn down(i) { if i == 0 { return 0 }\n f(mk(2, i), mk(4, i))\n return down(i - 1) }\n";
  EXPECT_EQ(run_text(program + "main { down(3) }"), "0");
  const std::string other = run_text(program + "main { f(mk(2, 3), mk(4, 5)) }");
  EXPECT_NE(other.find("'b' is float32[4, 5], want d = 3 on axis 1"), std::string::npos) << other;
  const std::string result = run_text(program + "main { f(mk(3, 3), mk(4, 3)) }");
  EXPECT_NE(result.find("'result' is float32[2, 4], want n = 3 on axis 0"), std::string::npos) << result;
}

TEST_F(Interp, CtrlCEndsALoop) {
  lang::Interrupts pressed;
  pressed.presses = 1;
  host.interrupts = &pressed;
  const std::string message = run_text("main { while true { } }");
  EXPECT_TRUE(message.ends_with("interrupted")) << message;
}

TEST_F(Interp, CtrlCEndsCallsWithoutALoop) {
  lang::Interrupts pressed;
  pressed.presses = 1;
  host.interrupts = &pressed;
  const std::string message =
      run_text("fn f(n) { if n == 0 { return 0 }\n return f(n - 1) + f(n - 1) }\nmain { f(60) }");
  EXPECT_TRUE(message.ends_with("interrupted")) << message;
}

TEST_F(Interp, TestsRunInsteadOfMain) {
  ASSERT_TRUE(
      compile_text("let x = 2\ntest \"doubles\" { assert(x * 2 == 5, \"not five\") }\nmain { print(x) }"));
  ASSERT_EQ(program.tests.size(), 1u);
  EXPECT_EQ(program.tests[0].name, "doubles");
  EXPECT_NE(run_program(&program.tests[0]).find("not five"), std::string::npos);
  EXPECT_EQ(out.text(), "");
}

class Modules : public Interp {
 protected:
  void SetUp() override { fs::create_directories(folder); }
  void TearDown() override { fs::remove_all(folder); }
  void write(const std::string& name, const std::string& text) { std::ofstream(folder / name) << text; }
  const fs::path folder =
      fs::path(testing::TempDir()) / fmt::format("tl_modules_{}", static_cast<const void*>(this));
};

TEST_F(Modules, ComeBeforeThoseWhoImportThemAndOnce) {
  write("base.tl", "print(\"base\")\nfn one() { 1 }");
  write("left.tl", "import \"base.tl\"\nfn two() { one() + one() }");
  ASSERT_TRUE(compile_text("import \"left.tl\"\nimport \"base.tl\"\nmain { print(two() + one()) }",
                           folder / "root.tl"))
      << diags.all()[0].message();
  EXPECT_EQ(run_program(), "0");
  EXPECT_EQ(out.text(), "base\n3\n");
}

TEST_F(Modules, CirclesAndMissingFilesAreDiagnosticsAtTheImport) {
  write("a.tl", "import \"root.tl\"");
  EXPECT_FALSE(compile_text("import \"a.tl\"\nimport \"gone.tl\"", folder / "root.tl"));
  ASSERT_EQ(diags.error_count(), 2u);
  diags.sort();
  EXPECT_EQ(diags.all()[0].code, DiagCode::ImportNotFound);
  EXPECT_EQ(files.text(diags.all()[0].primary.span), "\"gone.tl\"");
  EXPECT_EQ(diags.all()[1].code, DiagCode::ImportCycle);
}

}  // namespace
}  // namespace tl::interp
