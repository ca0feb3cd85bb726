// The layout of every construct, what stays as its author wrote it, and every program of the repository.
#include "tl/syntax/format.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "tl/base/read_file.h"
#include "tl/syntax/ast_dump.h"
#include "tl/syntax/lexer.h"
#include "tl/syntax/parser.h"

namespace tl {
namespace {

std::string formatted(const std::string& text) {
  SourceFiles files;
  Diagnostics diags;
  const Result<std::string> out = format_program(files, files.add("test.tl", text), diags);
  return out.ok() ? out.value() : "error: " + out.error().message;
}

std::string tree_of(const std::string& text) {
  SourceFiles files;
  Diagnostics diags;
  return dump(*parse(files, files.add("test.tl", text), diags));
}

struct Case {
  std::string from, to;
};
template <size_t N>
void expect_layouts(const Case (&cases)[N]) {
  for (const Case& c : cases) {
    EXPECT_EQ(formatted(c.from), c.to + "\n") << c.from;
    EXPECT_EQ(formatted(c.to), c.to + "\n") << c.to;
  }
}

TEST(Format, SpacesOfExpressions) {
  expect_layouts({
      {"a+b*-c", "a + b * -c"},
      {"a  -  1", "a - 1"},
      {"x=- 2**-1", "x = -2 ** -1"},
      {"not  a==b&&! c", "not a == b && !c"},
      {"a<b", "a < b"},
      {"f(a<b,c>d)", "f(a < b, c > d)"},
      {"a <-b", "a <- b"},
      {"f(a <- b)", "f(a <-b)"},
      {"print( x , y )", "print(x, y)"},
      {"print (x)", "print(x)"},
      {"f(a:1,b = 2)", "f(a: 1, b = 2)"},
      {"( a, )", "(a,)"},
      {"[ 1,2 ]+[0 ;3 ]", "[1, 2] + [0; 3]"},
      {"xs[ 1 : -1 ]", "xs[1:-1]"},
      {"xs[:, 1 :,:: 2, ..., i . ]", "xs[:, 1:, ::2, ..., i.]"},
      {"for i in 0 .. n+1 {\n}", "for i in 0..n + 1 {\n}"},
      {"xs . map( | x,y | x+y )", "xs.map(|x, y| x + y)"},
      {"let f = | | 3", "let f = | | 3"},
      {"let f = ||3", "let f = || 3"},
      {"let g = |x:int|x as  float", "let g = |x: int| x as float"},
      {"x . f (1)", "x.f (1)"},
      {"x.f(1)", "x.f(1)"},
      {"x.in(1)", "x.in(1)"},
      {"5 . sqrt()", "5 .sqrt()"},
      {"f32 :: zeros([2])", "f32::zeros([2])"},
      {"P{x:1,y}", "P { x: 1, y }"},
      {"if(a) {b}else{ c }", "if (a) { b } else { c }"},
      {"let z = if a then -1 else(2)", "let z = if a then -1 else (2)"},
      {"\"{ x }\"+'b'", "\"{ x }\" + 'b'"},
      {"a≠b ⊙ c⊗d", "a ≠ b ⊙ c ⊗ d"},
  });
}

TEST(Format, Declarations) {
  expect_layouts({
      {"fn f<T>(a:[T],b:tensor<F>[ ..b,n ],c:fn (int)->int=g,d:any ...)->( int,T ){}",
       "fn f<T>(a: [T], b: tensor<F>[..b, n], c: fn(int) -> int = g, d: any...) -> (int, T) {}"},
      {"struct P<T>{x:T learnable,y:float16[?,3]}", "struct P<T> { x: T learnable, y: float16[?, 3] }"},
      {"impl<T>P<T>{\nfn a(self){}\n}", "impl<T> P<T> {\n    fn a(self) {}\n}"},
      {"match(a,b){\n(1,_)=>x,\nP{x:-1}|Q{y}if y>2=>{ y }\n}",
       "match (a, b) {\n    (1, _) => x,\n    P { x: -1 } | Q { y } if y > 2 => { y }\n}"},
      {"import  'a.tl'", "import 'a.tl'"},
      {"tensor w:float16[ 2 ] learnable=[1,2]", "tensor w: float16[2] learnable = [1, 2]"},
      {"entity  P={a,b}", "entity P = {a, b}"},
      {"entity P = { a, b }", "entity P = { a, b }"},
      {"relation E(x:P,y)weight  prob", "relation E(x: P, y) weight prob"},
      {"rule .9:A(x)<-B(x,y),not C(y)|D(x)", "rule .9: A(x) <- B(x, y), not C(y) | D(x)"},
      {"A(x):-B(x)", "A(x) :- B(x)"},
      {"P(a,b) .", "P(a, b)."},
      {"A(x) ?where x!=b order by  x desc limit 3", "A(x)? where x != b order by x desc limit 3"},
      {"H[i]=W[i,j]X[j, *t+1]", "H[i] = W[i, j] X[j, *t + 1]"},
      {"H[i]=W[i] (X[i]+b)", "H[i] = W[i] (X[i] + b)"},
      {"y[i]max=x[i,j]", "y[i] max= x[i, j]"},
      {"a=1;b=2 ;", "a = 1; b = 2;"},
  });
}

TEST(Format, Lines) {
  expect_layouts({
      {"fn f()\n{\n  if a\n  {\n b\n}\n  else\n  { c }\n}",
       "fn f() {\n    if a {\n        b\n    } else { c }\n}"},
      {"{\na\n}\n{\nb\n}", "{\n    a\n}\n{\n    b\n}"},
      {"let x = f(\na,\n g(|y| {\ny\n}),\n[\n1\n])",
       "let x = f(\n    a,\n    g(|y| {\n        y\n    }),\n    [\n        1\n    ])"},
      {"let x = a +\nb\n+ c\nd", "let x = a +\n    b\n    + c\nd"},
      {"let y = xs\n.map(|x| {\nx\n})\n.len()", "let y = xs\n    .map(|x| {\n        x\n    })\n    .len()"},
      {"main {\nA(x) <- B(x),\nC(x)\nd\n}", "main {\n    A(x) <- B(x),\n        C(x)\n    d\n}"},
      {"let z = if a then b\nelse c", "let z = if a then b\n    else c"},
      {"match x {\n1 =>\n2\n_ => 3\n}", "match x {\n    1 =>\n        2\n    _ => 3\n}"},
      {"\n\na\n\n\n\nb\n\n", "a\n\nb"},
      {"fn f() {\n\na\n\n}", "fn f() {\n    a\n}"},
      {"a\r\nb  \t\r\n", "a\nb"},
      {"\xef\xbb\xbf"
       "a",
       "a"},
      {"\"a\n  b\"", "\"a\n  b\""},
  });
  EXPECT_EQ(formatted(""), "");
  EXPECT_EQ(formatted(" \n\n"), "");
}

TEST(Format, CommentsStayWhereTheyAre) {
  expect_layouts({
      {"//a  \n  // b\nfn f() {// c\n// d\na // e\n//~ f \n}// g",
       "//a\n// b\nfn f() {  // c\n    // d\n    a  // e\n    //~ f \n}  // g"},
      {"f(/* a */x,/* b */y /* c */)", "f(/* a */ x, /* b */ y /* c */)"},
      {"/* a\n   b */\nx", "/* a\n   b */\nx"},
      {"x /* a */", "x  /* a */"},
      {"if a {\nb\n}\n// no\nelse {\nc\n}", "if a {\n    b\n}\n// no\nelse {\n    c\n}"},
      {"let x =  1 // a\nlet yy=2   // b", "let x = 1   // a\nlet yy = 2  // b"},
      {"let x =  1 // a\nlet yy = 2  // b", "let x = 1  // a\nlet yy = 2  // b"},
      {"let y = xs\n// why\n.len()", "let y = xs\n    // why\n    .len()"},
  });
}

TEST(Format, LeavesWhatDoesNotParseAlone) {
  SourceFiles files;
  Diagnostics diags;
  EXPECT_FALSE(format_program(files, files.add("bad.tl", "let = 3\n"), diags).ok());
  EXPECT_TRUE(diags.has_errors());
}

// ---- Every program of the repository ----------------------------------------------------------------------

std::vector<std::string> blocks_of(const std::string& page) {
  std::vector<std::string> blocks;
  for (size_t at = 0; (at = page.find("\n```tl", at)) != std::string::npos;) {
    const size_t first = page.find('\n', at + 1) + 1, end = page.find("\n```", first);
    blocks.push_back(page.substr(first, end - first + 1));
    at = end + 4;
  }
  return blocks;
}

std::vector<std::string> all_programs() {
  namespace fs = std::filesystem;
  std::vector<std::string> programs;
  for (const char* folder : {"std", "examples", "tests", "bench", "docs"}) {
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      const bool is_page = entry.path().extension() == ".md";
      if (!is_page && entry.path().extension() != ".tl") continue;
      const std::string text = read_whole_file(entry.path().string()).value();
      if (!is_page) programs.push_back(text);
      for (const std::string& block : is_page ? blocks_of(text) : std::vector<std::string>())
        programs.push_back(block);
    }
  }
  return programs;
}

// The same tokens, laid out without care: no indentation, wide gaps where there are gaps.
std::string careless(const std::string& text) {
  SourceFiles files;
  Diagnostics diags;
  const TokenList tokens = lex(files, files.add("test.tl", text), diags);
  std::vector<std::pair<u32, u32>> parts;
  for (const Token& t : tokens.tokens) parts.emplace_back(t.begin, t.end);
  for (const Span& s : tokens.comments) parts.emplace_back(s.begin, s.end);
  std::sort(parts.begin(), parts.end());
  std::string out;
  u32 at = 0;
  for (const auto& [begin, end] : parts) {
    const std::string gap = text.substr(at, begin - at);
    const bool is_before_comment = text.substr(begin, 2) == "//";
    const size_t lines = static_cast<size_t>(std::count(gap.begin(), gap.end(), '\n'));
    out += lines > 0 ? std::string(lines, '\n') : is_before_comment || gap.empty() ? gap : "   ";
    out += text.substr(begin, end - begin);
    at = end;
  }
  return out;
}

TEST(Format, EveryProgramOfTheRepositoryStaysTheSame) {
  const std::vector<std::string> programs = all_programs();
  ASSERT_GT(programs.size(), 100u);
  for (const std::string& program : programs) {
    SourceFiles files;
    Diagnostics diags;
    const auto out = format_program(files, files.add("test.tl", program), diags);
    if (diags.has_errors()) continue;
    ASSERT_TRUE(out.ok()) << out.error().message << ":\n" << program;
    EXPECT_EQ(tree_of(out.value()), tree_of(program));
    EXPECT_EQ(formatted(out.value()), out.value()) << "twice is as once";
    if (program.find("  //") == std::string::npos) {
      EXPECT_EQ(formatted(careless(program)), out.value());
    }
  }
}

// Whatever still parses after a byte was lost, or a line was broken or joined, is a program like any other.
TEST(Format, SpoiltProgramsThatStillParseStayTheSame) {
  std::mt19937 random(7);
  const auto below = [&random](size_t n) { return random() % n; };
  size_t count = 0;
  for (const std::string& program : all_programs()) {
    if (program.size() > 4000) continue;
    for (int round = 0; round < 60; ++round) {
      std::string spoilt = program;
      for (size_t n = below(3) + 1; n > 0 && !spoilt.empty(); --n) {
        const size_t at = below(spoilt.size());
        const size_t space = spoilt.find_first_of(" \n", at);
        const size_t kind = below(4);
        if (kind == 0) spoilt.erase(at, below(4) + 1);
        if (kind == 1) spoilt.insert(at, 1, " \n"[below(2)]);
        if (kind > 1 && space != std::string::npos)
          spoilt.replace(space, 1, kind == 2 ? "" : spoilt[space] == ' ' ? "\n" : " ");
      }
      SourceFiles files;
      Diagnostics diags;
      const auto out = format_program(files, files.add("test.tl", spoilt), diags);
      if (diags.has_errors()) continue;
      ++count;
      ASSERT_TRUE(out.ok()) << out.error().message << ":\n" << spoilt;
    }
  }
  EXPECT_GT(count, 500u);
}

TEST(Format, TheStandardLibraryAndTheExamplesAreLaidOut) {
  for (const char* folder : {"std", "examples"}) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().extension() != ".tl") continue;
      const std::string text = read_whole_file(entry.path().string()).value();
      EXPECT_EQ(formatted(text), text) << entry.path() << ": tl fmt std examples";
    }
  }
}

}  // namespace
}  // namespace tl
