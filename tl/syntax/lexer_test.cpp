#include "tl/syntax/lexer.h"

#include <gtest/gtest.h>

namespace tl {
namespace {

// Tokens separated by spaces; a '~' before one says that it is first on its line.
std::string lexed(std::string_view source, Diagnostics& diags) {
  SourceFiles files;
  const FileId file = files.add("t.tl", std::string(source));
  std::string out;
  for (const Token& t : lex(files, file, diags).tokens) {
    if (t.kind == TokenKind::End) break;
    out += (out.empty() ? "" : " ") + std::string(t.newline_before && !out.empty() ? "~" : "");
    switch (t.kind) {
      case TokenKind::Int:
        out += "i:";
        break;
      case TokenKind::Float:
        out += "f:";
        break;
      case TokenKind::Imaginary:
        out += "j:";
        break;
      case TokenKind::Ident:
        out += "n:";
        break;
      default:
        break;
    }
    out += files.text(Span{file, t.begin, t.end});
  }
  return out;
}

struct Case {
  std::string_view source, tokens;
};

TEST(Lexer, SplitsTextIntoTokens) {
  const Case cases[] = {
      {"", ""},
      {"   \n\t ", ""},
      {"let letter = 1", "let n:letter = i:1"},  // keywords have word boundaries
      {"breaker returned inv_freq", "n:breaker n:returned n:inv_freq"},
      {"1 1.5 1e-5 .5 5. 1.0e+3 5.e3 2E4", "i:1 f:1.5 f:1e-5 f:.5 f:5. f:1.0e+3 f:5.e3 f:2E4"},
      {"1_000 0xFF 1e5_0", "i:1_000 i:0xFF f:1e5_0"},
      {"2i 2.5i", "j:2i j:2.5i"},
      {"0..5 0..=5 x[..., 0]", "i:0 .. i:5 i:0 ..= i:5 n:x [ ... , i:0 ]"},
      {"5.sqrt() 5.", "i:5 . n:sqrt ( ) f:5."},
      {"blk.0.w x.1.2 f(x).0 .5", "n:blk . i:0 . n:w n:x . i:1 . i:2 n:f ( n:x ) . i:0 f:.5"},
      {"a+=b -= c ** d **= e", "n:a += n:b -= n:c ** n:d **= n:e"},
      {"a<-b :- := :: -> => <= >=", "n:a <- n:b : - := :: -> => <= >="},
      {"a ⊙ b ⊗ c ≈ d − e ← f ≤ g", "n:a ⊙ n:b ⊗ n:c ≈ n:d − n:e ← n:f ≤ n:g"},
      {"M'[j, q''] α β₁", "n:M' [ n:j , n:q'' ] n:α n:β₁"},
      {"a // b\nc", "n:a ~n:c"},
      {"a /* b\n */ c /**/ d", "n:a ~n:c n:d"},
      {"a // last line", "n:a"},
      {"\"a\\\"b\" 'it' \"two\nlines\"", "\"a\\\"b\" 'it' \"two\nlines\""},
      {"\xef\xbb\xbfx", "n:x"},
      {"a\r\nb", "n:a ~n:b"},
      {"a&&b||!c", "n:a && n:b || ! n:c"},
  };
  for (const Case& c : cases) {
    Diagnostics diags;
    EXPECT_EQ(lexed(c.source, diags), c.tokens) << c.source;
    EXPECT_TRUE(diags.empty()) << c.source;
  }
}

TEST(Lexer, KeepsComments) {
  SourceFiles files;
  Diagnostics diags;
  const FileId file = files.add("t.tl", "a // one\n/* two */ b // three");
  const TokenList list = lex(files, file, diags);
  ASSERT_EQ(list.comments.size(), 3u);
  EXPECT_EQ(files.text(list.comments[0]), "// one");
  EXPECT_EQ(files.text(list.comments[1]), "/* two */");
  EXPECT_EQ(files.text(list.comments[2]), "// three");
}

TEST(Lexer, KnowsNames) {
  EXPECT_TRUE(is_name("x") && is_name("p'") && is_name("tensor") && is_name("_a1"));
  EXPECT_FALSE(is_name("") || is_name("1a") || is_name("while") || is_name("a b"));
}

}  // namespace
}  // namespace tl
