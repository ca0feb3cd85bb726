// What is reported, where, and that correct programs are let through.
#include "tl/sema/sema.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "tl/base/read_file.h"
#include "tl/builtins/builtins.h"
#include "tl/diag/print.h"
#include "tl/syntax/parser.h"

namespace tl {
namespace {

namespace fs = std::filesystem;

// A file and what it imports, imports first.
class Program {
 public:
  void add(const std::string& path, std::string text) {
    if (!seen_.insert(path).second) return;
    const FileId file = files.add(path, std::move(text));
    auto tree = parse(files, file, diags);
    for (const auto& s : tree->statements) {
      const auto* import = ast::get_if<ast::Import>(s);
      if (import == nullptr) continue;
      const bool is_std = import->path.starts_with("std/");
      const std::string target =
          (is_std ? fs::path(import->path) : fs::path(path).parent_path() / import->path).string();
      add(target, read_whole_file(target).value());
    }
    trees_.push_back(std::move(tree));
  }
  // "E0203 2:7: inner dimensions differ: 3 and 4; 2:7 this is [2, 3]; ..." a line each.
  std::string check(bool lint = false) {
    std::vector<const ast::Module*> modules;
    for (const auto& tree : trees_) modules.push_back(tree.get());
    sema::check(modules, diags, lint);
    diags.sort();
    std::string out;
    for (const Diagnostic& d : diags.all()) {
      out += fmt::format("{}{} {}: {}", out.empty() ? "" : "\n", info(d.code).code, place(d.primary.span),
                         d.message());
      for (const Label& label : d.related) {
        if (label.span) out += fmt::format("; {} {}", place(label.span), label.text);
      }
    }
    return out;
  }
  SourceFiles files;
  Diagnostics diags;

 private:
  std::string place(Span span) {
    const Location at = files.locate(span.file, span.begin);
    return fmt::format("{}:{}", at.line, at.column);
  }
  std::vector<std::unique_ptr<ast::Module>> trees_;
  std::set<std::string> seen_;
};

std::string checked(const std::string& source) {
  Program program;
  program.add("t.tl", source);
  return program.check();
}

// With what only `tl check` warns of.
std::string linted(const std::string& source) {
  Program program;
  program.add("t.tl", source);
  return program.check(true);
}

struct Case {
  DiagCode code;
  std::string source, said;
};

const std::vector<Case>& wrong_programs() {
  using enum DiagCode;
  static const std::vector<Case> all = {
      // Operands and ops
      {InnerDims, "let a = zeros([2, 3])\nlet b = zeros([4, 5])\nprint(a @ b)",
       "E0203 3:7: inner dimensions differ: 3 and 4; 3:7 this is [2, 3]; 3:11 this is [4, 5]"},
      {InnerDims, "main { print(linear(zeros([2, 3]), ones([5, 4]))) }",
       "E0203 1:14: inner dimensions differ: 3 and 4; 1:21 this is [2, 3]; 1:36 this is [5, 4]"},
      {InnerDims, "let x = [[1.0, 2.0], [3.0, 4.0]]\nmatmul(x, [1.0, 2.0, 3.0])",
       "E0203 2:1: inner dimensions differ: 2 and 3; 2:8 this is [2, 2]; 2:11 this is [3]"},
      {InnerDims, "let n = 3\nlet a = rand([n, n + 1])\na.matmul(rand([n * 2, n]))",
       "E0203 3:1: inner dimensions differ: 4 and 6; 3:1 this is [3, 4]; 3:10 this is [6, 3]"},
      {NoBroadcast, "zeros([2, 3]) + ones([4])",
       "E0202 1:1: shapes do not fit: [2, 3] and [4]; 1:1 this is [2, 3]; 1:17 this is [4]"},
      {NoBroadcast, "[1, 2, 3] * [1, 2]",
       "E0202 1:1: shapes do not fit: [3] and [2]; 1:1 this is [3]; 1:13 this is [2]"},
      {NoBroadcast, "let x = zeros([4, 3])\nx += zeros([4])",
       "E0202 2:1: shapes do not fit: [4, 3] and [4]; 2:1 this is [4, 3]; 2:6 this is [4]"},
      {OpRejects, "let x = arange(6)\nreshape(x, [4, 2])",
       "E0201 2:1: reshape: [6] has 6 elements, [4, 2] has 8; 2:9 this is [6]"},
      {OpRejects, "zeros([2, 3]).reshape([4, -1])",
       "E0201 1:1: reshape: [2, 3] has 6 elements, which [4, ?] cannot hold; 1:1 this is [2, 3]"},
      {OpRejects, "softmax(zeros([2, 3]), axis: 2)",
       "E0201 1:1: softmax: axis 2 is out of range for [2, 3]; 1:9 this is [2, 3]"},
      {OpRejects, "concat(zeros([2, 3]), zeros([2, 4]))",
       "E0201 1:1: concat: cannot join [2, 3] and [2, 4] along axis 0: other dims differ; 1:8 this is [2, "
       "3]; 1:23 this "
       "is [2, 4]"},
      {OpRejects, "embedding(zeros([4, 2]), zeros([3]) > 0.5)",
       "E0201 1:1: embedding: found ids of bool, want whole numbers; 1:11 this is [4, 2]; 1:26 this is [3]"},
      {OpRejects, "zeros([2, -3])", "E0201 1:1: zeros: found the negative dim -3 in [2, -3]"},
      // Kinds
      {BadOperands, "print(\"a\" + 1)",
       "E0205 1:7: '+' cannot take string and int; 1:7 this is string; 1:13 this is int"},
      {BadOperands, "true + 1", "E0205 1:1: '+' cannot take bool and int; 1:1 this is bool; 1:8 this is int"},
      {BadOperands, "let t = zeros([2])\nt * \"a\"",
       "E0205 2:1: '*' cannot take float32[2] and string; 2:1 this is float32[2]; 2:5 this is string"},
      {BadOperands, "2 @ 3", "E0205 1:1: '@' cannot take int and int; 1:1 this is int; 1:5 this is int"},
      {BadOperand, "let s = \"a\"\n!s", "E0206 2:1: '!' cannot take string; 2:2 this is string"},
      {BadOperand, "-\"a\"", "E0206 1:1: '-' cannot take string; 1:2 this is string"},
      {BadCondition, "if 1 + 1 { print(1) }", "E0207 1:4: condition is int, want bool"},
      {BadCondition, "while \"a\" { }", "E0207 1:7: condition is string, want bool"},
      {BadCondition, "if zeros([2]) > 0.0 { }", "E0207 1:4: condition is bool[2], want bool"},
      {BadCondition, "true && 3", "E0207 1:9: condition is int, want bool"},
      {NotCallable, "let x = 3\nx(2)", "E0106 2:1: int cannot be called"},
      {NotIterable, "for i in 2.5 { }", "E0213 1:10: cannot go through float item by item"},
      {BadUnpack, "let (a, b) = (1, 2, 3)", "E0214 1:14: 3 values cannot be taken apart into 2"},
      // Declared types
      {TypeMismatch, "fn f(x: float) { x }\nf(\"a\")", "E0204 2:3: 'x' is string, want float"},
      {TypeMismatch, "fn f(x: int) { x }\nf(2.5)", "E0204 2:3: 'x' is float, want int"},
      {TypeMismatch, "fn f() -> int { return \"a\" }", "E0204 1:24: 'result' is string, want int"},
      {TypeMismatch, "fn f() -> string { 3 }", "E0204 1:20: 'result' is int, want string"},
      {TypeMismatch, "let x: string = 3", "E0204 1:17: 'x' is int, want string"},
      {TypeMismatch, "let x: float32[2, 3] = zeros([3, 2])",
       "E0204 1:24: 'x' is float32[3, 2], want float32[2, 3]"},
      {TypeMismatch, "fn f(x: float16[n, 4]) { x }\nf(zeros([2, 3]))",
       "E0204 2:3: 'x' is float32[2, 3], want float16[n, 4]"},
      {TypeMismatch, "fn f(x: float16[n, m]) { x }\nf(zeros([2]))",
       "E0204 2:3: 'x' is float32[2], want float16[n, m]"},
      {TypeMismatch, "fn f(x: tensor<F>[..b, 3]) { x }\nf(zeros([5, 2, 4]))",
       "E0204 2:3: 'x' is float32[5, 2, 4], want tensor[..b, 3]"},
      {TypeMismatch, "tensor w: float32[2, 2] = [1.0, 2.0, 3.0]",
       "E0204 1:27: 'w' is tensor [3], want float32[2, 2]"},
      {TypeMismatch, "substring(\"abc\", \"b\")", "E0204 1:18: 'start' is string, want int"},
      {TypeMismatch, "softmax(\"abc\")", "E0204 1:9: 'x' is string, want tensor"},
      {TypeMismatch, "struct P { x: float }\nP { x: \"a\" }", "E0204 2:8: 'x' is string, want float"},
      {TypeMismatch, "struct P { x: float }\nlet p = P { x: 1 }\np.x = \"a\"",
       "E0204 3:7: 'x' is string, want float"},
      {TypeMismatch, "struct P { x: float }\nstruct Q { y: float }\nfn f(p: P) { p }\nf(Q { y: 1.0 })",
       "E0204 4:3: 'p' is Q, want P"},
      {TypeMismatch, "struct P { x: float }\nimpl P { fn f(self, n: int) { n } }\nP { x: 1.0 }.f(\"a\")",
       "E0204 3:16: 'n' is string, want int"},
      {TypeMismatch, "fn out() { fn f(n: int) { n }\n f(\"a\") }", "E0204 2:4: 'n' is string, want int"},
      {NamedDim,
       "fn f(x: float16[n, d], w: float16[m, d]) -> float16[n, m] { x @ transpose(w) }\nf(zeros([2, 3]), "
       "zeros([5, 4]))",
       "E0208 2:18: dimension 'd' is 3 and 4; 2:3 this is [2, 3]; 2:18 this is [5, 4]; 1:38 'd' is declared "
       "here"},
      {InnerDims,
       "fn f(x: float16[n, d], w: float16[m, d]) -> float16[n, m] { x @ transpose(w) }\nf(zeros([2, 3]), "
       "zeros([5, 3])) @ zeros([4])",
       "E0203 2:1: inner dimensions differ: 5 and 4; 2:1 this is [2, 5]; 2:35 this is [4]"},
      // Indices, fields, literals
      {RaggedLiteral, "[[1, 2], [3]]",
       "E0209 1:10: rows of a literal differ in shape: [2] and [1]; 1:2 this is [2]"},
      {IndexRange, "let x = zeros([2, 3])\nx[2]",
       "E0210 2:3: index 2 is outside of axis 0 of [2, 3]; 2:1 this is [2, 3]"},
      {IndexRange, "zeros([2, 3])[..., -4]",
       "E0210 1:20: index -4 is outside of axis 1 of [2, 3]; 1:1 this is [2, 3]"},
      {IndexRange, "(1, 2)[2]", "E0210 1:8: index 2 is outside of a tuple of 2"},
      {TooManyIndices, "zeros([2])[0, 0]", "E0211 1:1: 2 indices into float32[2]; 1:1 this is [2]"},
      {NotIndexable, "let n = 3\nn[0]", "E0212 2:1: int has no items to index"},
      {TypeMismatch, "zeros([2])[\"a\"]", "E0204 1:12: index is string, want int"},
      {NoBroadcast, "let x = zeros([2, 3])\nx[0] = [1.0, 2.0]",
       "E0202 2:1: shapes do not fit: [2] and [3]; 2:1 this is [2, 3]"},
      {NoBroadcast, "let x = zeros([2, 3])\nx[:, 1] = zeros([1, 2])",
       "E0202 2:1: shapes do not fit: [1, 2] and [2]; 2:1 this is [2, 3]"},
      {TypeMismatch, "let x = zeros([2])\nx[0] = \"a\"", "E0204 2:1: value is string, want tensor"},
      {BadAssignTarget, "let t = (1, 2)\nt[0] = 3", "E0029 2:1: cannot assign to an item of a tuple"},
      {BadAssignTarget, "let s = \"ab\"\ns[0] += \"c\"", "E0029 2:1: cannot assign to an item of a string"},
      {NoBroadcast, "let x = zeros([6, 4])\nx[1:3] + x[::2]",
       "E0202 2:1: shapes do not fit: [2, 4] and [3, 4]; 2:1 this is [2, 4]; 2:10 this is [3, 4]"},
      {UnknownField, "struct P { x: float }\nlet p = P { x: 1.0 }\np.y",
       "E0104 3:3: P has no field 'y'; 1:8 'P' is declared here"},
      {UnknownField, "fn f(n: int) { n.size }", "E0104 1:18: int has no field 'size'"},
      {DuplicateName, "fn f(a, b, a) { a }", "E0102 1:12: 'a' is declared twice; 1:6 first declared here"},
      {DuplicateName, "struct P { x: int\n x: int }",
       "E0102 2:2: 'x' is declared twice; 1:12 first declared here"},
      {OpRejects, "einsum(\"ij,jk->ik\", zeros([2, 3]), zeros([4, 5]))", ""},
      // Tasks
      {NotCallable, "spawn(3, 4)", "E0106 1:7: int cannot be called"},
      {BadArguments, "fn f(x) { x }\nspawn(f, 1, 2)",
       "E0105 2:1: the task's function: takes at most 1 argument, got 2"},
      {BadArguments, "fn f(x, y) { x }\npar_map([1, 2], f)",
       "E0105 2:1: the task's function: argument 'y' is missing"},
      {TypeMismatch, "fn f(x: int) { x }\nspawn(f, \"a\")", "E0204 2:10: 'x' is string, want int"},
      // Declarations, generics, enums and cases
      {MissingReturn, "fn f(x: int) -> int {\n let y = x\n}",
       "E0215 3:1: 'f' gives int, and its end is reached without a value; 1:17 the result is declared here"},
      {UnknownType, "fn f(x: flaot) { x }\nlet y: Shap = 1\nenum Shape { Circle(flot) }",
       "E0103 1:9: unknown type 'flaot'\nE0103 2:8: unknown type 'Shap'\nE0103 3:21: unknown type 'flot'"},
      {TypeMismatch, "fn pick<T>(a: T, b: T) -> T { a }\npick(1, 2.0)\npick(1, \"a\")",
       "E0204 3:9: 'b' is string, want int; 3:6 here T is int; 1:9 T is one type in a call"},
      {BadOperands, "fn pick<T>(a: T, b: T) -> T { a }\npick(\"a\", \"b\") + 1",
       "E0205 2:1: '+' cannot take string and int; 2:1 this is string; 2:18 this is int"},
      {TypeMismatch,
       "enum Shape { Circle(float), Empty }\nCircle(\"a\")\nfn f(s: Shape) { s }\nf(3)\nf(Empty)",
       "E0204 2:8: '0' of Circle is string, want float\nE0204 4:3: 's' is int, want Shape"},
      {MissingCase,
       "enum E { A, B(bool), C(E) }\nfn f(e) { match e { A => 1  B(true) => 2  C(A | B(_)) => 3 } }",
       "E0118 2:11: match does not say what B(false) gives"},
      {TypeMismatch, "fn f(x: float32[2]) { x }\nf([[true, false]])", ""},
      // Flow
      {Unreachable, "fn f() {\n return 1\n print(2)\n}",
       "W0101 3:2: this never runs; 2:2 nothing runs after this"},
      {Unreachable, "fn f(x) {\n if x { return 1 } else { return 2 }\n x\n}",
       "W0101 3:2: this never runs; 2:2 nothing runs after this"},
      {Unreachable, "while true {\n break\n print(1)\n}",
       "W0101 3:2: this never runs; 2:2 nothing runs after this"},
      {BadOperands, "let x = 1\nlet c = len(args()) > 0\nif c { x = 2 } else { x = 3 }\nx + \"a\"",
       "E0205 4:1: '+' cannot take int and string; 4:1 this is int; 4:5 this is string"},
      {TypeMismatch, "fn f(x: int) { x }\nf(\"a\")\nif f(\"b\") == 1 { }",
       "E0204 2:3: 'x' is string, want int\nE0204 3:6: 'x' is string, want int"},
  };
  return all;
}

TEST(Sema, ReportsWhatIsWrong) {
  for (const Case& c : wrong_programs()) {
    if (c.said.empty()) {
      EXPECT_NE(checked(c.source).find(info(c.code).code), std::string::npos) << c.source << "\n"
                                                                              << checked(c.source);
    } else {
      EXPECT_EQ(checked(c.source), c.said) << c.source;
    }
  }
}

TEST(Sema, EveryDiagnosticOfItsOwnHasACase) {
  std::set<DiagCode> shown;
  for (const Case& c : wrong_programs()) shown.insert(c.code);
  for (const DiagCode code : all_diag_codes()) {
    const std::string_view name = info(code).code;
    if (name.starts_with("E02") || name == "W0101") {
      EXPECT_TRUE(shown.count(code) > 0) << name << " has no case";
    }
  }
}

TEST(Sema, WarnsOfWhatIsOdd) {
  EXPECT_EQ(linted("fn f(x) {\n let y = 1\n x + 1\n let _z = 2\n len([1])\n return x\n}"),
            "W0103 2:6: 'y' is never used\nW0102 3:2: the result of this expression is not used\n"
            "W0102 5:2: the result of 'len' is not used");
  EXPECT_EQ(linted("fn f(x) -> int {\n if x > 1 { return 1 }\n}"),
            "W0106 3:1: 'f' gives int, and its end may be reached without a value; 1:12 the result is "
            "declared here");
  EXPECT_EQ(linted("fn f(n) { match n { 0 => 1  1..5 => 2 } }"),
            "W0104 1:11: match does not say what _ gives");
  EXPECT_EQ(linted("fn f(b) { match b { true => 1 } }"), "W0104 1:11: match does not say what false gives");
  EXPECT_EQ(linted("fn f(v) { match v { _ => 1  3 => 2 } }"),
            "W0101 1:29: this never runs; 1:21 this takes every value");
  EXPECT_EQ(linted("let n = 5 // 2\nprint(n) // 5"),
            "W0105 1:11: '//' begins a comment, so nothing is divided by 2");
  EXPECT_EQ(linted("enum E { A, B }\nfn f(e) {\n let n = 1\n match e { A => n  B => 2 }\n}"), "");
}

TEST(Sema, LetsThroughWhatMayBeRight) {
  const std::string programs[] = {
      "let x = 0\nwhile x < 3 { x = zeros([2]) }\nx[0]",
      "let x = none\nif len(args()) > 0 { x = 3 }\nx + 1",
      "let x = 1\nlet f = || { x = \"a\" }\nf()\nx + \"b\"",
      "let g = 1\nfn set() { g = \"a\" }\nmain { set()\n print(g + \"b\") }",
      "let a = [1, 2]\nlet b = a\nb.push(3)\na[2]\na * [1, 2, 3]",
      "fn f(x: float) -> float { x * 2 }\nf(3) + f(sum([1.0]))",
      "fn f(x: int) { x }\nf(2.0)\nf(argmax([1.0, 2.0]))",
      "fn f(x: float16[n, n]) { x }\nf(zeros([2, 2]))\nf(3)\nf([[1, 2], [3, 4]])",
      "fn f(x: float16[n, ?], y: float16[..b, n]) -> float16[n] { x[0] }\nf(zeros([2, 3]), zeros([4, 5, 2]))",
      "fn f(p = none, q: int = 3) { p }\nf()\nf(q: 4)\nf(3)",
      "fn f(x) { if x > 1 { return 1 }\n \"a\" }\nf(2)",
      "let t = [[1.0, 2.0]]\nif t[0, 0] > 1.0 { print(1) }\nif t.sum() > 0 { }",
      "\"ab\" * 3\n3 * \"ab\"\n\"a\" < \"b\"\n\"a\" == 1\n[\"a\"] + [1]\nnone == 3",
      "let (a, b) = [1, 2]\nlet (c, d) = (1, 2)\n(a, b) = (b, a)",
      "for (i, x) in enumerate([1, 2]) { print(i + x) }\nfor c in \"ab\" { c + \"x\" }\nfor r in zeros([2, "
      "3]) { r + ones([3]) }",
      "match 3 { 1 => \"a\", n => n + 1 }",
      "let x = 3\nlet x = \"a\"\nfn f() { x + \"b\" }\nf()",
      "let s = shape(zeros([2, 3]))\nreshape(arange(6), [s[0], 3])\nzeros(shape(zeros([2, 3])))",
      "let n = len(args())\nlet w = zeros([n, 4])\nw @ zeros([4, 2])\nw + zeros([3, 4])\nw[5]\nreshape(w, [n "
      "* 4])",
      "print(max(1, 2), max([1.0, 2.0]), max([[1, 2]], 0), abs(-1), sqrt(2), clamp(3, 1, 2))",
      "let len = 3\nlen + 1",
      "W[i, k] = A[i, j] B[j, k]\nP[q, k.] = softmax(Q[q, d] K[k, d])\nH[i] = X[i, j] * y[j]",
      "relation P(x: string)\nP(ann)\nP(X)?\nrule Q(X) <- P(X)",
      "fn f(x) { loop { if x > 1 { break } }\n 3 }",
      "struct P { f: any }\nlet p = P { f: |x| x }\np.f(3)\nlet q = P { f: none }\nq.f = 3",
      "impl Nothing { fn f() { 1 } }\nUnknown { a: 1 }\nunknown(1)\nlet x = unknown\nx.y.z(1)[2]",
      "tensor w: float16[2, 2] = [1.0, 2.0, 3.0, 4.0]\nw @ w\ntensor v: float32[3]\nv + w[0, 0]",
      "let x = zeros([2, 3], dtype: int64)\nx as float\nx.float32()\n3 as string + \"a\"\nint(\"3\") + 1",
      "let f = |x: int| -> int { x + 1 }\nf(2)\n[1, 2].map(|x| x * 2)",
      "einsum(\"ij,jk->ik\", zeros([2, 3]), zeros([3, 5])) + zeros([2, 5])",
      "fn f(x: int, y = 2) { x }\nspawn(f, 1)\nspawn(|| 3).join() + 1\npar_map([1, 2], f).map(|x| "
      "x)\nspawn(max, 1, "
      "2)",
      "layer_norm(zeros([2, 3]), 3)\nlinear(zeros([2, 3]), zeros([4, 3]), zeros([4]))\nrope(zeros([2, 1, "
      "4]), 0)",
  };
  for (const std::string& source : programs) EXPECT_EQ(checked(source), "") << source;
}

TEST(Sema, LetsThroughTheProgramsWeShip) {
  int count = 0;
  for (const char* folder : {"std", "examples", "tests/lang"}) {
    if (!fs::exists(folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      const std::string path = entry.path().string();
      if (entry.path().extension() != ".tl" || path.find("/errors/") != std::string::npos) continue;
      Program program;
      program.add(path, read_whole_file(path).value());
      EXPECT_EQ(program.check(), "") << path;
      ++count;
    }
  }
  EXPECT_GT(count, 5);
}

TEST(Sema, LetsThroughTheExamplesOfBuiltins) {
  for (const lang::Builtin& b : lang::all_builtins()) {
    if (b.example.empty()) continue;
    EXPECT_EQ(checked(std::string(b.example)), "") << b.name << ": " << b.example;
  }
}

TEST(Sema, LetsThroughTheProgramsOfTheGuide) {
  for (const auto& entry : fs::recursive_directory_iterator("docs")) {
    if (entry.path().extension() != ".md") continue;
    std::ifstream in(entry.path());
    std::string source;
    bool inside = false;
    for (std::string line; std::getline(in, line);) {
      if (line.starts_with("```")) {
        if (inside) {
          EXPECT_EQ(checked(source), "") << entry.path() << "\n" << source;
        }
        inside = line.starts_with("```tl");
        source.clear();
      } else if (inside) {
        source += line + "\n";
      }
    }
  }
}

TEST(Sema, SurvivesTextThatIsBrokenOrDeep) {
  std::string deep, nested;
  for (int i = 0; i < 200; ++i) deep += "if true { while x { x = x + 1\n";
  checked(deep);
  for (int i = 0; i < 240; ++i) nested += "[";
  checked("let x = " + nested);
  checked("fn f(x: float16[n * n * 9223372036854775807, n / 0]) { x }\nf(zeros([3, 3]))");
  checked("let x = -9223372036854775807 - 1\nlet y = x / -1\nlet z = -x\nzeros([x, y])[x:y:z, x]");
  checked("zeros([1, 1, 1, 1, 1, 1, 1, 1, 1])\nlet t: float32[1, 1, 1, 1, 1, 1, 1, 1, 1] = 3\nt[0]");
  checked("zeros([9223372036854775807, 9223372036854775807])\narange(1e300)\nfull([2, 2], 1, dtype: q4_0)");
  for (const Case& c : wrong_programs()) {
    for (size_t cut = 0; cut < c.source.size(); ++cut) checked(c.source.substr(0, cut));
  }
}

}  // namespace
}  // namespace tl
