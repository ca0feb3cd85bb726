// String literals: escapes, and the values to print inside them.
#include "tl/base/utf8.h"
#include "tl/syntax/name_chars.h"
#include "tl/syntax/parser_impl.h"

namespace tl {

// Where reading stands inside the quotes.
struct Parser::StringCursor {
  std::string_view text;  // the whole file
  u32 at = 0, end = 0;
  bool escaped_quotes = false;
  bool interpolate = true;

  bool done() const { return at >= end; }
  char peek(u32 ahead = 0) const { return at + ahead < end ? text[at + ahead] : '\0'; }
};

namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void add_text(std::vector<ast::StringPart>& parts, std::string text, Span span) {
  if (text.empty()) return;
  if (!parts.empty() && parts.back().kind == ast::StringPart::Kind::Text) {
    parts.back().text += text;
    parts.back().span.end = span.end;
    return;
  }
  ast::StringPart part;
  part.span = span;
  part.text = std::move(text);
  parts.push_back(std::move(part));
}

}  // namespace

ast::ExprPtr Parser::parse_string() {
  const size_t first = at_;
  const Token token = take();
  const std::string_view all = files_.text(file_);
  StringCursor c{all, token.begin, token.end, all[token.begin] == '\\', true};
  const u32 quote = c.escaped_quotes ? 2 : 1;
  const char closing = all[token.begin + quote - 1];
  c.at += quote;
  // An unclosed string was reported by the lexer and reaches to the end of the file.
  if (token.end >= token.begin + 2 * quote && all[token.end - 1] == closing) c.end -= quote;
  std::vector<ast::StringPart> parts;
  while (!c.done()) {
    const u32 begin = c.at;
    std::string text;
    read_text(c, text);
    add_text(parts, std::move(text), {file_, begin, c.at});
    if (c.done()) break;
    ast::StringPart part;
    if (!read_interpolation(c, part)) break;
    if (part.kind == ast::StringPart::Kind::Text) {
      add_text(parts, std::move(part.text), part.span);
    } else {
      parts.push_back(std::move(part));
    }
  }
  auto literal = make<ast::String>(first);
  literal->parts = std::move(parts);
  return literal;
}

// The value of a string where values to print make no sense: an import's path, a quoted name.
std::string Parser::string_value(const Token& token) {
  const std::string_view all = files_.text(file_);
  StringCursor c{all, token.begin + 1, token.end, false, false};
  if (token.end >= token.begin + 2 && all[token.end - 1] == all[token.begin]) --c.end;
  std::string value;
  read_text(c, value);
  return value;
}

// Up to a '{' that may open a value; "{{" and "}}" stand for one brace.
void Parser::read_text(StringCursor& c, std::string& out) {
  while (!c.done()) {
    const char ch = c.peek();
    if (ch == '\\') {
      read_escape(c, out);
      continue;
    }
    if (c.interpolate && ch == '{' && c.peek(1) != '{') return;
    if (c.interpolate && (ch == '{' || ch == '}') && c.peek(1) == ch) ++c.at;
    out += ch;
    ++c.at;
  }
}

void Parser::read_escape(StringCursor& c, std::string& out) {
  const u32 begin = c.at++;
  const char kind = c.peek();
  c.at += c.done() ? 0 : 1;
  constexpr std::string_view kNames = "ntr0\"'\\{}";
  constexpr std::string_view kValues("\n\t\r\0\"'\\{}", kNames.size());
  if (const size_t i = kNames.find(kind); i != std::string_view::npos) {
    out += kValues[i];
    return;
  }
  if (kind == '\n') return;  // a backslash at the end of a line joins it with the next
  u32 value = 0;
  int digits = 0;
  if (kind == 'x') {
    for (; digits < 2 && hex_value(c.peek()) >= 0; ++digits) value = value * 16 + hex_value(c.text[c.at++]);
    if (digits == 2 && value < 0x80) return utf8::append(out, value);
  } else if (kind == 'u' && c.peek() != '{') {
    for (; digits < 4 && hex_value(c.peek()) >= 0; ++digits) value = value * 16 + hex_value(c.text[c.at++]);
    if (digits == 4 && utf8::is_scalar_value(value)) return utf8::append(out, value);
  } else if (kind == 'u') {
    ++c.at;
    for (; digits < 6 && hex_value(c.peek()) >= 0; ++digits) value = value * 16 + hex_value(c.text[c.at++]);
    if (digits > 0 && c.peek() == '}' && utf8::is_scalar_value(value)) {
      ++c.at;
      return utf8::append(out, value);
    }
  } else {
    const utf8::Char point = c.at - 1 < c.end ? utf8::decode(c.text, c.at - 1) : utf8::Char{0, 1};
    if (point.length > 1) c.at = std::min(c.at - 1 + point.length, c.end);
  }
  complain(DiagCode::BadEscape, {file_, begin, c.at}, c.text.substr(begin, c.at - begin))
      .note("escapes are \\n \\t \\r \\0 \\\" \\' \\\\ \\{{ \\}} \\xNN (below 80), \\uNNNN and \\u{{NNNN}}");
}

// At a '{'. "{}" and "{:spec}" are placeholders for print; "{x}" and "{x:spec}" print a value; braces around
// what is no expression are text, as in JSON and templates. (So are those around names that the program does
// not have, which the compiler knows.)
bool Parser::read_interpolation(StringCursor& c, ast::StringPart& part) {
  const u32 open = c.at;
  u32 i = 1;
  while (c.peek(i) == ' ') ++i;
  const char next = c.peek(i);
  const utf8::Char point = open + i < c.end ? utf8::decode(c.text, open + i) : utf8::Char{};
  const bool strict = i == 1;
  // A value holds no braces of its own, which keeps this linear.
  u32 close = open + 1, colon = 0;
  for (int brackets = 0; close < c.end && c.text[close] != '{' && c.text[close] != '}'; ++close) {
    const char ch = c.text[close];
    if (ch == '(' || ch == '[') ++brackets;
    if (ch == ')' || ch == ']') --brackets;
    const bool lone = c.text[close - 1] != ':' && (close + 1 >= c.end || c.text[close + 1] != ':');
    if (ch == ':' && brackets == 0 && colon == 0 && lone) colon = close;
  }
  const bool closed = close < c.end && c.text[close] == '}';
  part.text = "{";
  part.span = {file_, open, open + 1};
  c.at = open + 1;
  const bool placeholder = strict && (next == '}' || next == ':');
  const bool value = next == '(' || next == '-' || (next >= '0' && next <= '9') || is_name_start(point.code);
  if (!placeholder && (!value || point.length == 0)) return true;
  if (!closed) return true;
  const u32 end = close++;
  ast::ExprPtr e;
  if (!placeholder) {
    e = parse_interpolated({file_, open + 1, colon != 0 ? colon : end});
    if (e == nullptr) return true;
  }
  part.kind = placeholder ? ast::StringPart::Kind::Placeholder : ast::StringPart::Kind::Value;
  part.span.end = close;
  part.text = c.text.substr(open, close - open);
  if (colon != 0) part.spec = std::string(c.text.substr(colon + 1, end - colon - 1));
  part.value = std::move(e);
  c.at = close;
  return true;
}

// Null when the part is no expression.
ast::ExprPtr Parser::parse_interpolated(Span part) {
  Diagnostics mine;
  const TokenList tokens = lex_interpolation(files_, part, mine);
  const u32 count = expr_count_;
  ast::ExprPtr e;
  if (depth_ < kMaxNesting) e = Parser(files_, tokens, mine).parse_whole_expression(*this);
  if (!mine.has_errors() && e != nullptr) return e;
  expr_count_ = count;
  return nullptr;
}

}  // namespace tl
