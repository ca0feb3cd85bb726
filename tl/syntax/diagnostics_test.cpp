// Every syntax diagnostic, recovery after errors, and text that is deep, long or broken on purpose.
#include <gtest/gtest.h>

#include <set>

#include "tl/diag/print.h"
#include "tl/syntax/ast_dump.h"
#include "tl/syntax/lexer.h"
#include "tl/syntax/parser.h"

namespace tl {
namespace {

struct Case {
  DiagCode code;
  std::string source;
  std::string said;  // "line:column: message"
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {DiagCode::InvalidUtf8, "let a = \"\xff\xfe\"", "1:10: file is not UTF-8: found byte 0xff"},
      {DiagCode::InvalidUtf8, "a = \xc3 b", "1:5: file is not UTF-8: found byte 0xc3"},
      {DiagCode::UnexpectedCharacter, "a = # b", "1:5: unexpected character '#'"},
      {DiagCode::UnexpectedCharacter, "let a = \x01 1", "1:9: unexpected character '\\u{1}'"},
      {DiagCode::UnterminatedComment, "a /* b", "1:3: comment opened by '/*' is never closed"},
      {DiagCode::UnterminatedString, "print(\"abc)\n", "1:7: string is never closed"},
      {DiagCode::UnterminatedString, "a = 'bc\nd", "1:5: string is never closed"},
      {DiagCode::BadEscape, "\"\\q\"", "1:2: unknown escape '\\q' in a string"},
      {DiagCode::BadEscape, "\"\\u{110000}\"", "1:2: unknown escape '\\u{110000' in a string"},
      {DiagCode::BadEscape, "\"\\u12\"", "1:2: unknown escape '\\u12' in a string"},
      {DiagCode::BadEscape, "\"\\xff\"", "1:2: unknown escape '\\xff' in a string"},
      {DiagCode::BadNumber, "let a = 12ab", "1:9: '12ab' is not a number"},
      {DiagCode::IntTooLarge, "9223372036854775808",
       "1:1: '9223372036854775808' does not fit in int (64 bits)"},
      {DiagCode::FloatTooLarge, "1e999", "1:1: '1e999' does not fit in float (64 bits)"},
      {DiagCode::FileTooLarge, std::string(kMaxSourceBytes + 1, ' '),
       "1:1: file has 16777217 bytes (at most 16777216 can be read)"},
      {DiagCode::ExpectedToken, "for x of y { }", "1:7: expected 'in', found 'of'"},
      {DiagCode::ExpectedToken, "while a\nb", "2:1: expected '{', found 'b'"},
      {DiagCode::ExpectedClosing, "f(a, b",
       "1:7: expected ')' to close the '(' opened here, found end of file"},
      {DiagCode::ExpectedClosing, "x = [1 2]", "1:8: expected ']' to close the '[' opened here, found '2'"},
      {DiagCode::ExpectedClosing, "fn f() { a",
       "1:11: expected '}' to close the '{' opened here, found end of file"},
      {DiagCode::ExpectedExpression, "x = * 2", "1:5: expected an expression, found '*'"},
      {DiagCode::ExpectedStatement, "a\n)", "2:1: expected a statement, found ')'"},
      {DiagCode::ExpectedStatement, "}", "1:1: expected a statement, found '}'"},
      {DiagCode::ExpectedType, "let x: 3 = 2", "1:8: expected a type, found '3'"},
      {DiagCode::ExpectedPattern, "match x { * => 1 }", "1:11: expected a pattern, found '*'"},
      {DiagCode::ExpectedName, "let 3 = 2", "1:5: expected a variable, found '3'"},
      {DiagCode::ReservedName, "let if = 2", "1:5: 'if' is a reserved word and cannot name a variable"},
      {DiagCode::ReservedName, "fn match() { }",
       "1:4: 'match' is a reserved word and cannot name a function"},
      {DiagCode::TooDeep, std::string(1000, '('), "1:256: program is nested more than 256 levels deep"},
      {DiagCode::BadAssignTarget, "a + b = 3", "1:1: cannot assign to 'a + b'"},
      {DiagCode::UnexpectedElse, "a\nelse { b }", "2:1: 'else' without an 'if' before it"},
      {DiagCode::PositionalAfterNamed, "f(a=1, 2)", "1:8: argument without a name after one with a name"},
      {DiagCode::DuplicateArgument, "f(a=1, a=2)", "1:8: argument 'a' is given twice"},
      {DiagCode::DefaultBeforePlain, "fn f(a = 1, b) { }",
       "1:13: parameter 'b' without a default after one with a default"},
      {DiagCode::DuplicateSetting, "learn { epochs: 1, epochs: 2 }", "1:20: 'epochs' is set twice"},
      {DiagCode::UnknownSetting, "embedding E { size: 4 }", "1:15: unknown setting 'size' of an embedding"},
      {DiagCode::UnknownInferMethod, "infer sideways A(x)?",
       "1:7: unknown way to infer 'sideways' (want forward, backward, gradient or symbolic)"},
      {DiagCode::BadRuleHead, "a + b <- C(x)",
       "1:1: expected a relation with its arguments before '<-', found 'a + b'"},
      {DiagCode::BadQuery, "(1)?", "1:2: expected a relation or a tensor before '?', found '1'"},
      {DiagCode::MissingIndex, "x = a[]", "1:6: expected an index between '[' and ']'"},
      {DiagCode::BadIndexMark, "y[i+1.] = x[i]", ""},
      {DiagCode::BadIndexMark, "y[a(1).] = x[i]",
       "1:3: expected a plain index name before '.', found 'a(1)'"},
      {DiagCode::BadIndexMark, "y[*(t*2)] = x[t]",
       "1:5: expected a plain index name after '*', found '(t*2)'"},
      {DiagCode::ChainedComparison, "a < b < c",
       "1:7: comparisons cannot be chained: write 'a < b and b < c'"},
      {DiagCode::MissingSeparator, "x = a b\nc", "1:7: expected a new line or ';' before 'b'"},
      {DiagCode::AssignInCondition, "if x = 3 { y() }",
       "1:6: '=' assigns, and a condition compares with '=='"},
      {DiagCode::OtherLanguage, "def f(x) { x }", "1:1: 'def' is another language's: here it is 'fn'"},
      {DiagCode::UnclosedBlock, "fn f() {\n  if a {\n    b()\n  c()\n}",
       "2:8: the block opened by this '{' is never closed"},
  };
  return all;
}

// "line:column: message" of every diagnostic.
std::vector<std::string> said(const SourceFiles& files, const Diagnostics& diags) {
  std::vector<std::string> out;
  for (const Diagnostic& d : diags.all()) {
    const Location at = files.locate(d.primary.span.file, d.primary.span.begin);
    out.push_back(fmt::format("{}:{}: {}", at.line, at.column, d.message()));
  }
  return out;
}

TEST(SyntaxDiagnostics, AreReportedOnceAndInPlace) {
  for (const Case& c : cases()) {
    if (c.said.empty()) continue;
    SourceFiles files;
    Diagnostics diags;
    parse(files, files.add("t.tl", c.source), diags);
    ASSERT_EQ(diags.all().size(), 1u) << c.source.substr(0, 100) << "\n"
                                      << render(diags, files).substr(0, 2000);
    EXPECT_EQ(diags.all()[0].code, c.code) << c.source.substr(0, 100);
    EXPECT_EQ(said(files, diags)[0], c.said);
  }
}

TEST(SyntaxDiagnostics, AllHaveACase) {
  std::set<DiagCode> covered;
  for (const Case& c : cases()) {
    if (!c.said.empty()) covered.insert(c.code);
  }
  for (const DiagCode code : all_diag_codes()) {
    if (!info(code).code.starts_with("E00")) continue;
    EXPECT_TRUE(covered.count(code)) << info(code).code << " " << info(code).name << " has no case above";
  }
}

std::vector<std::string> errors_of(std::string_view source, std::string* tree = nullptr) {
  SourceFiles files;
  Diagnostics diags;
  const auto module = parse(files, files.add("t.tl", std::string(source)), diags);
  if (tree != nullptr) *tree = ast::dump(*module);
  return said(files, diags);
}

using Lines = std::vector<std::string>;

TEST(SyntaxRecovery, ReportsSeveralErrorsAtOnce) {
  std::string tree;
  EXPECT_EQ(errors_of("let a = \nlet b = * 2\nlet c = 3\nlet = 4\nfn f(x: ) { y = ) }\nprint(c)\n", &tree),
            (Lines{"2:1: expected an expression, found 'let'", "2:9: expected an expression, found '*'",
                   "4:5: expected a variable, found '='", "5:9: expected a type, found ')'",
                   "5:17: expected an expression, found ')'"}));
  EXPECT_NE(tree.find("(let c 3)"), std::string::npos) << tree;
  EXPECT_NE(tree.find("(call print c)"), std::string::npos) << tree;
}

TEST(SyntaxRecovery, ContinuesInsideBracketsAndBlocks) {
  EXPECT_EQ(errors_of("f(1, *, 2, %)"),
            (Lines{"1:6: expected an expression, found '*'", "1:12: expected an expression, found '%'"}));
  EXPECT_EQ(errors_of("fn f() {\n  let x = )\n  g(1\n}\nfn h() { let y = ] }\n"),
            (Lines{"2:11: expected an expression, found ')'",
                   "4:1: expected ')' to close the '(' opened here, found '}'",
                   "5:18: expected an expression, found ']'"}));
  EXPECT_EQ(errors_of("match x {\n  1 -> 2\n  2 => *\n  3 => 4\n}\ny = ]"),
            (Lines{"2:5: expected '=>', found '->'", "3:8: expected an expression, found '*'",
                   "6:5: expected an expression, found ']'"}));
  EXPECT_EQ(errors_of("struct P {\n  a int\n  b: 3\n  c: int\n}\nimpl P { 3\n fn f() { ) } }\ny = ]"),
            (Lines{"2:5: expected ':', found 'int'", "3:6: expected a type, found '3'",
                   "6:10: expected 'fn', found '3'", "7:11: expected a statement, found ')'",
                   "8:5: expected an expression, found ']'"}));
  EXPECT_EQ(errors_of("learn { epochs: *\n objective: }\ny = ]"),
            (Lines{"1:17: expected an expression, found '*'", "2:13: expected an expression, found '}'",
                   "3:5: expected an expression, found ']'"}));
}

std::string repeat(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

// Depth is a diagnostic, never a stack overflow, whichever construct nests and in whichever direction.
TEST(SyntaxDepth, IsLimited) {
  const int n = 100'000;
  const std::string deep[] = {
      repeat("(", n),
      repeat("[", n),
      repeat("-", n) + "1",
      repeat("!", n) + "a",
      repeat("not ", n) + "a",
      "a" + repeat("+a", n),
      "a" + repeat("**a", n),
      "a" + repeat(" or a", n),
      "a" + repeat(" as int", n),
      "a" + repeat(".b", n),
      "a" + repeat("()", n),
      "a" + repeat("[0]", n),
      "Y = f(" + repeat("a ", n) + ")",
      repeat("{", n),
      repeat("if a {", n),
      repeat("if a then ", n) + "b",
      repeat("while a {", n),
      repeat("fn f() {", n),
      repeat("|x| ", n) + "x",
      repeat("f(a=", n),
      repeat("P { x: ", n),
      repeat("match a { 1 => ", n),
      "match a { " + repeat("(", n),
      "match a { " + repeat("P { x: ", n),
      "let x: " + repeat("[", n),
      "let x: " + repeat("a<", n),
      "let x: " + repeat("fn(", n),
      "let x: " + repeat("f[", n),
      "A(x) <- " + repeat("(B(x), ", n),
      repeat("learn { ", n),
      repeat("0..", n) + "0",
      repeat("a ~ ", n) + "b",
      repeat("(a)[", n),
      "((a" + repeat("+(a", 300) + repeat("+a", 900),
  };
  for (const std::string& source : deep) {
    SourceFiles files;
    Diagnostics diags;
    parse(files, files.add("t.tl", source), diags);
    bool refused = false;
    for (const Diagnostic& d : diags.all()) refused |= d.code == DiagCode::TooDeep;
    EXPECT_TRUE(refused) << source.substr(0, 60) << "\n" << render(diags, files).substr(0, 1000);
  }
}

TEST(SyntaxDepth, LongListsAndChainsOfElseAreNotDeep) {
  const int n = 20'000;
  const std::string wide[] = {
      "if a { b }" + repeat(" else if a { b }", n),
      "x = [" + repeat("1, ", n) + "]",
      "f(" + repeat("a, ", n) + ")",
      repeat("a = b\n", n),
      "A(x) <- B(x)" + repeat(", B(x)", n),
      "match a { " + repeat("1 => 2, ", n) + "}",
      "\"" + repeat("{a} ", n) + "\"",
      "let a = " + repeat("b + ", 900) + "c",
      repeat("(", 200) + "a" + repeat(")", 200),
  };
  for (const std::string& source : wide) {
    SourceFiles files;
    Diagnostics diags;
    const auto module = parse(files, files.add("t.tl", source), diags);
    EXPECT_TRUE(diags.empty()) << source.substr(0, 60) << "\n" << render(diags, files).substr(0, 1000);
  }
}

// A text cut off anywhere, or with any byte changed, gives diagnostics or a tree and nothing worse.
TEST(SyntaxRobustness, SurvivesCutAndSpoiltText) {
  const std::string whole =
      "import \"a.tl\"\nentity P = {a, b}\nrelation R(x: P) weight prob\nR(a)\nS(x) <- R(x), not Q(x) | x > "
      "3\n"
      "tensor w: float16[1, n] learnable = [0.5]\nfn f<T>(x: T = 2, y: [int]) -> (int, T) {\n"
      "  if x { return y } else if z { [1, 2; 3] } else { match x { P { a: 1 } => 2, _ if b => |q| q } }\n}\n"
      "main { print(\"{x:.2} {} \\u{e9}\", x[..., 1:-1, ::2]) S(X)? where X != a order by X limit 3\n"
      "  learn { objective: w, optimizer: adam(lr: 1e-3), epochs: 3 } explain S(a) infer { forward R(x)? }\n"
      "  H[i, k.] = A[i, j] B[j, *t+1] y max= 3 for (a, b) in {c} { } p.0.x += 1 /* c */ }\n"
      "embedding E { entities: auto dimension: 4 init: he } struct A<B> { c: B frozen } impl D for A<B> { fn "
      "g(self) {} }";
  for (size_t cut = 0; cut <= whole.size(); ++cut) {
    SourceFiles files;
    Diagnostics diags;
    const auto module = parse(files, files.add("t.tl", whole.substr(0, cut)), diags);
    ast::dump(*module);
    render(diags, files);
  }
  for (size_t i = 0; i < whole.size(); ++i) {
    for (const char c : {'(', '}', '"', '.'}) {
      std::string spoilt = whole;
      spoilt[i] = c;
      SourceFiles files;
      Diagnostics diags;
      const auto module = parse(files, files.add("t.tl", spoilt), diags);
      render_json(diags, files);
    }
  }
}

}  // namespace
}  // namespace tl
