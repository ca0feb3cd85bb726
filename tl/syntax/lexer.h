// Text to tokens, in one pass. Numbers and strings keep their text; the parser reads their values.
#pragma once

#include <string_view>
#include <vector>

#include "tl/base/span.h"
#include "tl/diag/diagnostic.h"
#include "tl/diag/source.h"

namespace tl {

enum class TokenKind : u8 {
#define TL_TOKEN(kind, description) kind,
#define TL_KEYWORD(kind, word) kind,
#define TL_SIGN(kind, spelling) kind,
#include "tl/syntax/token.def"
};

struct Token {
  TokenKind kind = TokenKind::End;
  bool newline_before = false;  // first on its line
  bool space_before = false;    // true for newlines and comments too
  u32 begin = 0, end = 0;
};

struct TokenList {
  FileId file = FileId::None;
  std::vector<Token> tokens;   // the last one, and only it, is End
  std::vector<Span> comments;  // for the formatter
};

inline constexpr size_t kMaxSourceBytes = size_t{16} << 20;

// Reports what is not a token and goes on after it.
TokenList lex(const SourceFiles& files, FileId file, Diagnostics& diags);
// The tokens of a part of a file: an expression inside a string, where quotes are written \".
TokenList lex_interpolation(const SourceFiles& files, Span part, Diagnostics& diags);

// "'('", "'while'", "a name": for messages.
std::string describe(TokenKind kind);
bool is_keyword(TokenKind kind);
std::vector<std::string_view> all_keywords();
// Whether all of `text` is one name that is not a keyword.
bool is_name(std::string_view text);

}  // namespace tl
