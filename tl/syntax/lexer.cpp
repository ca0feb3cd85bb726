#include "tl/syntax/lexer.h"

#include <algorithm>
#include <array>

#include "tl/base/utf8.h"
#include "tl/syntax/name_chars.h"

namespace tl {
namespace {

struct Spelling {
  TokenKind kind;
  std::string_view text;
};
constexpr Spelling kSigns[] = {
#define TL_SIGN(kind, spelling) {TokenKind::kind, spelling},
#define TL_ALIAS(kind, spelling) {TokenKind::kind, spelling},
#include "tl/syntax/token.def"
};
constexpr Spelling kKeywords[] = {
#define TL_KEYWORD(kind, word) {TokenKind::kind, word},
#include "tl/syntax/token.def"
};
constexpr Spelling kDescriptions[] = {
#define TL_TOKEN(kind, description) {TokenKind::kind, description},
#include "tl/syntax/token.def"
};

bool is_digit(u32 c) {
  return c >= '0' && c <= '9';
}
bool is_hex_digit(u32 c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

class Lexer {
 public:
  // Quotes inside an interpolated expression are written \" because they stand in a string already.
  Lexer(std::string_view text, Span part, bool escaped_quotes, Diagnostics& diags)
      : text_(text.substr(0, part.end)), at_(part.begin), escaped_quotes_(escaped_quotes), diags_(diags) {
    out_.file = part.file;
  }

  TokenList run() {
    if (at_ == 0 && text_.starts_with("\xef\xbb\xbf")) at_ = 3;
    while (true) {
      skip_blanks();
      if (at_ >= text_.size()) break;
      next_token();
    }
    push(TokenKind::End, static_cast<u32>(text_.size()));
    return std::move(out_);
  }

 private:
  u32 peek(size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? static_cast<u8>(text_[at_ + ahead]) : 0;
  }
  Span span_from(u32 begin) const { return {out_.file, begin, static_cast<u32>(at_)}; }

  void push(TokenKind kind, u32 begin) {
    out_.tokens.push_back(
        {kind, newline_ || out_.tokens.empty(), space_ || out_.tokens.empty(), begin, static_cast<u32>(at_)});
    newline_ = space_ = false;
  }

  void skip_blanks() {
    while (at_ < text_.size()) {
      const u32 c = peek();
      if (c == '\n') newline_ = true;
      if (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f') {
        space_ = true;
        ++at_;
      } else if (c == '/' && peek(1) == '/') {
        const u32 begin = static_cast<u32>(at_);
        at_ = std::min(text_.find('\n', at_), text_.size());
        out_.comments.push_back(span_from(begin));
      } else if (c == '/' && peek(1) == '*') {
        skip_block_comment();
      } else {
        return;
      }
    }
  }

  void skip_block_comment() {
    const u32 begin = static_cast<u32>(at_);
    const size_t close = text_.find("*/", at_ + 2);
    at_ = close == std::string_view::npos ? text_.size() : close + 2;
    const std::string_view comment = text_.substr(begin, at_ - begin);
    newline_ = newline_ || comment.find('\n') != std::string_view::npos;
    space_ = true;
    out_.comments.push_back(span_from(begin));
    if (close == std::string_view::npos) {
      diags_.report(DiagCode::UnterminatedComment, {out_.file, begin, begin + 2});
    }
  }

  void next_token() {
    const u32 begin = static_cast<u32>(at_);
    const u32 c = peek();
    if (is_digit(c) || (c == '.' && is_digit(peek(1)) && !ends_operand_here())) return number();
    if (c == '"' || c == '\'') return string(1);
    if (escaped_quotes_ && c == '\\' && peek(1) == '"') return string(2);
    const utf8::Char point = utf8::decode(text_, at_);
    if (point.length == 0) return invalid_bytes();
    if (is_name_start(point.code)) return word();
    const Spelling* best = nullptr;
    for (const Spelling& sign : kSigns) {
      if (sign.text[0] != text_[at_] || !text_.substr(at_).starts_with(sign.text)) continue;
      if (best == nullptr || sign.text.size() > best->text.size()) best = &sign;
    }
    if (best != nullptr) {
      at_ += best->text.size();
      return push(best->kind, begin);
    }
    at_ += point.length;
    unexpected(begin, point);
  }

  // Whether '.' right here is a field access: it touches the end of an operand, as in blk.0 or f(x).0
  bool ends_operand_here() const {
    if (out_.tokens.empty() || space_) return false;
    const TokenKind kind = out_.tokens.back().kind;
    return kind == TokenKind::Ident || kind == TokenKind::Int || kind == TokenKind::RightParen ||
           kind == TokenKind::RightBracket || kind == TokenKind::RightBrace || kind == TokenKind::String;
  }

  void skip_digits() {
    while (is_digit(peek()) || (peek() == '_' && is_digit(peek(1)))) ++at_;
  }

  void number() {
    const u32 begin = static_cast<u32>(at_);
    const bool is_field = !out_.tokens.empty() && !space_ && out_.tokens.back().kind == TokenKind::Dot;
    TokenKind kind = TokenKind::Int;
    if (is_field) {
      while (is_digit(peek())) ++at_;
      return push(kind, begin);
    }
    if (peek() == '0' && (peek(1) == 'x' || peek(1) == 'X') && is_hex_digit(peek(2))) {
      at_ += 2;
      while (is_hex_digit(peek()) || (peek() == '_' && is_hex_digit(peek(1)))) ++at_;
    } else {
      skip_digits();
      if (fraction()) kind = TokenKind::Float;
      if (exponent()) kind = TokenKind::Float;
      if (peek() == 'i' && !(at_ + 1 < text_.size() && is_name_part(utf8::decode(text_, at_ + 1).code))) {
        ++at_;
        return push(TokenKind::Imaginary, begin);
      }
    }
    const size_t end = at_;
    skip_name();
    if (at_ != end) {
      diags_.report(DiagCode::BadNumber, span_from(begin), text_.substr(begin, at_ - begin));
    }
    push(kind, begin);
  }

  // "5." is a number, but "5..7" is a range and "5.sqrt()" a call; "5.e3" is a number.
  bool fraction() {
    if (peek() != '.' || peek(1) == '.') return false;
    if (at_ + 1 < text_.size() && is_name_start(utf8::decode(text_, at_ + 1).code)) {
      const bool e = peek(1) == 'e' || peek(1) == 'E';
      const bool sign = peek(2) == '+' || peek(2) == '-';
      if (!e || !is_digit(peek(sign ? 3 : 2))) return false;
    }
    ++at_;
    skip_digits();
    return true;
  }
  bool exponent() {
    if (peek() != 'e' && peek() != 'E') return false;
    const bool sign = peek(1) == '+' || peek(1) == '-';
    if (!is_digit(peek(sign ? 2 : 1))) return false;
    at_ += sign ? 2 : 1;
    skip_digits();
    return true;
  }

  void string(size_t quote_bytes) {
    const u32 begin = static_cast<u32>(at_);
    const char quote = text_[at_ + quote_bytes - 1];
    at_ += quote_bytes;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (quote_bytes == 2 && c == '\\' && peek(1) == '"') {
        at_ += 2;
        return push(TokenKind::String, begin);
      }
      if (quote_bytes == 1 && c == quote) {
        ++at_;
        return push(TokenKind::String, begin);
      }
      if (quote == '\'' && c == '\n') break;  // probably an apostrophe: spoil no more than its line
      if (c == '\\' && at_ + 1 < text_.size()) ++at_;
      const utf8::Char point = utf8::decode(text_, at_);
      if (point.length == 0) {
        bad_bytes();
      } else {
        at_ += point.length;
      }
    }
    diags_.report(DiagCode::UnterminatedString, {out_.file, begin, begin + 1});
    push(TokenKind::String, begin);
  }

  void skip_name() {
    while (at_ < text_.size()) {
      const utf8::Char point = utf8::decode(text_, at_);
      if (point.length == 0 || !is_name_part(point.code)) break;
      at_ += point.length;
    }
  }

  void word() {
    const u32 begin = static_cast<u32>(at_);
    skip_name();
    while (peek() == '\'') ++at_;  // p', M''
    const std::string_view text = text_.substr(begin, at_ - begin);
    for (const Spelling& keyword : kKeywords) {
      if (keyword.text == text) return push(keyword.kind, begin);
    }
    push(TokenKind::Ident, begin);
  }

  // Reports a run of bytes that are not UTF-8 once, and skips it.
  void bad_bytes() {
    const u32 begin = static_cast<u32>(at_);
    do ++at_;
    while (at_ < text_.size() && utf8::decode(text_, at_).length == 0);
    diags_.report(DiagCode::InvalidUtf8, span_from(begin),
                  fmt::format("{:02x}", static_cast<u8>(text_[begin])));
  }
  void invalid_bytes() {
    bad_bytes();
    space_ = true;
  }

  void unexpected(u32 begin, utf8::Char point) {
    std::string shown(text_.substr(begin, point.length));
    if (point.code < 0x20 || (point.code >= 0x7f && point.code < 0xa0)) {
      shown = fmt::format("\\u{{{:x}}}", point.code);
    }
    Diagnostic& d = diags_.report(DiagCode::UnexpectedCharacter, span_from(begin), shown);
    if (point.code == '#') d.note("a comment starts with '//'");
    if (point.code == '&') d.note("'and' is written '&&' or 'and'");
    if (point.code >= 0x2018 && point.code <= 0x201f) d.note("strings are written in straight quotes");
    space_ = true;
  }

  std::string_view text_;
  size_t at_;
  bool escaped_quotes_;
  Diagnostics& diags_;
  TokenList out_;
  bool newline_ = false, space_ = false;
};

}  // namespace

TokenList lex(const SourceFiles& files, FileId file, Diagnostics& diags) {
  const std::string_view text = files.text(file);
  if (text.size() > kMaxSourceBytes) {
    diags.report(DiagCode::FileTooLarge, {file, 0, 0}, text.size(), kMaxSourceBytes);
    return {file, {Token{TokenKind::End, true, true, 0, 0}}, {}};
  }
  return Lexer(text, {file, 0, static_cast<u32>(text.size())}, false, diags).run();
}

TokenList lex_interpolation(const SourceFiles& files, Span part, Diagnostics& diags) {
  return Lexer(files.text(part.file), part, true, diags).run();
}

std::string describe(TokenKind kind) {
  for (const Spelling& d : kDescriptions) {
    if (d.kind == kind) return std::string(d.text);
  }
  for (const Spelling& k : kKeywords) {
    if (k.kind == kind) return fmt::format("'{}'", k.text);
  }
  for (const Spelling& s : kSigns) {
    if (s.kind == kind) return fmt::format("'{}'", s.text);
  }
  return "a token";
}

bool is_keyword(TokenKind kind) {
  return std::any_of(std::begin(kKeywords), std::end(kKeywords),
                     [kind](const Spelling& k) { return k.kind == kind; });
}

std::vector<std::string_view> all_keywords() {
  std::vector<std::string_view> words;
  for (const Spelling& keyword : kKeywords) words.push_back(keyword.text);
  return words;
}

bool is_name(std::string_view text) {
  if (text.empty() || !is_name_start(utf8::decode(text, 0).code)) return false;
  for (size_t i = 0; i < text.size();) {
    const utf8::Char point = utf8::decode(text, i);
    if (point.length == 0 || !(is_name_part(point.code) || text[i] == '\'')) return false;
    i += point.length;
  }
  return std::none_of(std::begin(kKeywords), std::end(kKeywords),
                      [text](const Spelling& k) { return k.text == text; });
}

}  // namespace tl
