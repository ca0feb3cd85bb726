#include "tl/text/chat_template/lexer.h"

#include <algorithm>
#include <optional>

#include "tl/base/utf8.h"

namespace tl::jinja {

namespace {

constexpr std::string_view kOperators[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "*",
                                           "/",  "%",  "~",  "<",  ">",  "=",  ".", ":", "|",
                                           ",",  "(",  ")",  "[",  "]",  "{",  "}"};

bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<u8>(c) >= 0x80;
}

// One kind of newline, and none at the very end: both are what Jinja does before anything else.
std::string normalize_newlines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r' && i + 1 < source.size() && source[i + 1] == '\n') continue;
    out += source[i] == '\r' ? '\n' : source[i];
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : s_(source) {}

  Result<std::vector<Token>> run() {
    while (at_ < s_.size()) {
      const size_t tag = next_tag();
      const char kind = tag < s_.size() ? s_[tag + 1] : ' ';
      push_text(tag, kind);
      if (tag == s_.size()) break;
      at_ = tag + 2;
      if (at_ < s_.size() && (s_[at_] == '-' || (s_[at_] == '+' && kind != '{'))) ++at_;
      if (kind == '#') TL_TRY_DO(comment());
      if (kind == '{') TL_TRY_DO(inside("}}", Token::Kind::PrintBegin, Token::Kind::PrintEnd));
      if (kind == '%' && is_raw()) {
        TL_TRY_DO(raw());
      } else if (kind == '%') {
        TL_TRY_DO(inside("%}", Token::Kind::BlockBegin, Token::Kind::BlockEnd));
      }
    }
    push(Token::Kind::End, "");
    return std::move(tokens_);
  }

 private:
  size_t next_tag() const {
    for (size_t i = s_.find('{', at_); i != std::string_view::npos; i = s_.find('{', i + 1)) {
      if (i + 1 < s_.size() && (s_[i + 1] == '{' || s_[i + 1] == '%' || s_[i + 1] == '#')) return i;
    }
    return s_.size();
  }

  void push(Token::Kind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }
  void move_to(size_t end) {
    line_ += static_cast<u32>(std::count(s_.begin() + at_, s_.begin() + end, '\n'));
    at_ = end;
  }
  Error error(std::string_view message) const {
    return fail(Code::BadFile, "chat template, line {}: {}", line_, message);
  }

  // The text up to the tag at `end`, less what the tag's sign or lstrip_blocks take away.
  void push_text(size_t end, char kind) {
    std::string_view text = s_.substr(at_, end - at_);
    const char sign = end + 2 < s_.size() ? s_[end + 2] : ' ';
    if (end < s_.size() && sign == '-') {
      while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    } else if ((kind == '%' || kind == '#') && sign != '+') {
      const size_t newline = text.rfind('\n');
      const size_t start = newline == std::string_view::npos ? 0 : newline + 1;
      const bool starts_line = start > 0 || at_ == 0 || s_[at_ - 1] == '\n';
      if (starts_line && std::all_of(text.begin() + start, text.end(), is_space))
        text = text.substr(0, start);
    }
    if (!text.empty()) push(Token::Kind::Text, std::string(text));
    move_to(end);
  }

  // Behind the two characters that end a tag, `minus` before them or not: what the tag swallows.
  void after_tag(char sign, bool block) {
    size_t end = at_;
    while (sign == '-' && end < s_.size() && is_space(s_[end])) ++end;
    if (sign == ' ' && block && end < s_.size() && s_[end] == '\n') ++end;
    move_to(end);
  }

  Result<void> comment() {
    const size_t end = s_.find("#}", at_);
    if (end == std::string_view::npos) return error("comment without '#}'");
    const char sign = end > at_ && (s_[end - 1] == '-' || s_[end - 1] == '+') ? s_[end - 1] : ' ';
    move_to(end + 2);
    after_tag(sign, true);
    return {};
  }

  // Whether the tag at at_ is {% name %}; gives its end and sign.
  struct Named {
    size_t end = 0;
    char sign = ' ';
  };
  std::optional<Named> named_tag(size_t at, std::string_view name) const {
    const auto skip = [&] {
      while (at < s_.size() && is_space(s_[at])) ++at;
    };
    skip();
    if (!s_.substr(at).starts_with(name)) return std::nullopt;
    at += name.size();
    skip();
    char sign = ' ';
    if (at < s_.size() && (s_[at] == '-' || s_[at] == '+')) sign = s_[at++];
    if (!s_.substr(at).starts_with("%}")) return std::nullopt;
    return Named{at + 2, sign};
  }
  bool is_raw() const { return named_tag(at_, "raw").has_value(); }

  Result<void> raw() {
    const Named open = *named_tag(at_, "raw");
    move_to(open.end);
    after_tag(open.sign, true);
    for (size_t i = s_.find("{%", at_); i != std::string_view::npos; i = s_.find("{%", i + 2)) {
      const bool signed_tag = i + 2 < s_.size() && (s_[i + 2] == '-' || s_[i + 2] == '+');
      const auto close = named_tag(i + (signed_tag ? 3 : 2), "endraw");
      if (!close) continue;
      push_text(i, '%');
      move_to(close->end);
      after_tag(close->sign, true);
      return {};
    }
    return error("'raw' without 'endraw'");
  }

  Result<void> inside(std::string_view closer, Token::Kind begin, Token::Kind end) {
    push(begin, "");
    std::string open;  // brackets not closed yet
    while (true) {
      size_t start = at_;
      while (start < s_.size() && is_space(s_[start])) ++start;
      move_to(start);
      if (at_ == s_.size()) return error(fmt::format("tag without '{}'", closer));
      const bool block = closer == "%}";
      const char sign = s_[at_] == '-' || (s_[at_] == '+' && block) ? s_[at_] : ' ';
      if (open.empty() && s_.substr(at_ + (sign == ' ' ? 0 : 1)).starts_with(closer)) {
        push(end, "");
        move_to(at_ + (sign == ' ' ? 2 : 3));
        after_tag(sign, block);
        return {};
      }
      TL_TRY_DO(token(open));
    }
  }

  Result<void> token(std::string& open) {
    const char c = s_[at_];
    if (c == '"' || c == '\'') return string(c);
    if (is_digit(c)) return number();
    if (is_name_start(c)) {
      size_t end = at_;
      while (end < s_.size() && (is_name_start(s_[end]) || is_digit(s_[end]))) ++end;
      push(Token::Kind::Name, std::string(s_.substr(at_, end - at_)));
      at_ = end;
      return {};
    }
    for (const std::string_view op : kOperators) {
      if (!s_.substr(at_).starts_with(op)) continue;
      if (op == "(" || op == "[" || op == "{") open += op;
      if (op == ")" || op == "]" || op == "}") {
        const char want = op == ")" ? '(' : op == "]" ? '[' : '{';
        if (open.empty() || open.back() != want) return error(fmt::format("'{}' closes nothing", op));
        open.pop_back();
      }
      push(Token::Kind::Operator, std::string(op));
      at_ += op.size();
      return {};
    }
    return error(fmt::format("'{}' is no part of an expression", c));
  }

  Result<void> number() {
    size_t end = at_;
    const auto digits = [&] {
      while (end < s_.size() && (is_digit(s_[end]) || (s_[end] == '_' && is_digit(s_[end - 1])))) ++end;
    };
    digits();
    bool is_float = false;
    if (end + 1 < s_.size() && s_[end] == '.' && is_digit(s_[end + 1])) {
      is_float = true;
      ++end;
      digits();
    }
    if (end < s_.size() && (s_[end] == 'e' || s_[end] == 'E')) {
      size_t exponent = end + 1;
      if (exponent < s_.size() && (s_[exponent] == '-' || s_[exponent] == '+')) ++exponent;
      if (exponent < s_.size() && is_digit(s_[exponent])) {
        is_float = true;
        end = exponent;
        digits();
      }
    }
    std::string text(s_.substr(at_, end - at_));
    text.erase(std::remove(text.begin(), text.end(), '_'), text.end());
    push(is_float ? Token::Kind::Float : Token::Kind::Integer, std::move(text));
    at_ = end;
    return {};
  }

  Result<void> string(char quote) {
    std::string out;
    size_t i = at_ + 1;
    while (i < s_.size() && s_[i] != quote) {
      if (s_[i] != '\\' || i + 1 == s_.size()) {
        out += s_[i++];
        continue;
      }
      TL_TRY(const size_t used, escape(i + 1, out));
      i += 1 + used;
    }
    if (i >= s_.size()) return error("string without an end");
    push(Token::Kind::String, std::move(out));
    move_to(i + 1);
    return {};
  }

  // Python's escapes, of which `at` is the character behind the backslash. Unknown ones stay as they are.
  Result<size_t> escape(size_t at, std::string& out) const {
    static constexpr std::string_view kPlain = "\\'\"abfnrtv", kMeant = "\\'\"\a\b\f\n\r\t\v";
    const char c = s_[at];
    if (const size_t i = kPlain.find(c); i != std::string_view::npos) {
      out += kMeant[i];
      return size_t{1};
    }
    if (c == '\n') return size_t{1};
    const size_t count = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    u32 code = 0;
    if (count == 0 && c >= '0' && c <= '7') {
      size_t used = 0;
      for (; used < 3 && at + used < s_.size() && s_[at + used] >= '0' && s_[at + used] <= '7'; ++used) {
        code = code * 8 + static_cast<u32>(s_[at + used] - '0');
      }
      utf8::append(out, code);
      return used;
    }
    if (count == 0) {
      out += '\\';
      out += c;
      return size_t{1};
    }
    for (size_t i = 1; i <= count; ++i) {
      const char h = at + i < s_.size() ? s_[at + i] : ' ';
      const int digit = is_digit(h)              ? h - '0'
                        : (h >= 'a' && h <= 'f') ? h - 'a' + 10
                        : (h >= 'A' && h <= 'F') ? h - 'A' + 10
                                                 : -1;
      if (digit < 0) return error(fmt::format("'\\{}' needs {} hexadecimal digits", c, count));
      code = code << 4 | static_cast<u32>(digit);
    }
    const bool surrogate = code >= 0xD800 && code < 0xE000;
    if (code > 0x10FFFF || surrogate) return error(fmt::format("'\\{}' names no character", c));
    utf8::append(out, code);
    return count + 1;
  }

  std::string_view s_;
  size_t at_ = 0;
  u32 line_ = 1;
  std::vector<Token> tokens_;
};

}  // namespace

Result<std::vector<Token>> tokenize(std::string_view source) {
  const std::string text = normalize_newlines(source);
  return Lexer(text).run();
}

}  // namespace tl::jinja
