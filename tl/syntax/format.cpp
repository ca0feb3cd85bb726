#include "tl/syntax/format.h"

#include <algorithm>

#include "tl/base/check.h"
#include "tl/syntax/ast_dump.h"
#include "tl/syntax/lexer.h"
#include "tl/syntax/parser.h"

namespace tl {
namespace {

using Kind = TokenKind;

constexpr size_t kIndent = 4;
constexpr size_t kNone = static_cast<size_t>(-1);

// A token or a comment, and the gap before it.
struct Element {
  bool is_comment = false;
  Kind kind = Kind::End;
  u32 begin = 0, end = 0;
  int newlines = 0;        // in the gap
  bool has_space = false;  // the gap is not empty
};

struct Bracket {
  Kind kind;       // of the opening one; Pipe: around a closure's parameters
  size_t indent;   // of the line it is on
  bool is_block;   // statements are inside
  bool is_padded;  // of a brace: has spaces inside, on one line
};

struct Line {
  size_t indent = 0;
  bool blank_before = false;
  std::string text;
  std::string comment;    // at its end
  size_t comment_column;  // in the source
};

// Characters as a terminal counts them, nearly: code points.
size_t width_of(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<u8>(c) & 0xc0) != 0x80; }));
}

// Without spaces at its end; those of a "//~" are part of what a program is to print.
std::string_view trimmed_comment(std::string_view comment) {
  const size_t last = comment.find_last_not_of(comment.starts_with("//~") ? "\r" : " \t\r\f");
  return comment.starts_with("//") ? comment.substr(0, last + 1) : comment;
}

bool is_opening(Kind kind) {
  return kind == Kind::LeftParen || kind == Kind::LeftBracket || kind == Kind::LeftBrace;
}
bool is_closing(Kind kind) {
  return kind == Kind::RightParen || kind == Kind::RightBracket || kind == Kind::RightBrace;
}
bool ends_operand(Kind kind) {
  switch (kind) {
    case Kind::Ident:
    case Kind::Int:
    case Kind::Float:
    case Kind::Imaginary:
    case Kind::String:
    case Kind::True:
    case Kind::False:
    case Kind::Question:
    case Kind::Ellipsis:
      return true;
    default:
      return is_closing(kind);
  }
}
bool assigns(Kind kind) {
  switch (kind) {
    case Kind::Equal:
    case Kind::ColonEqual:
    case Kind::PlusEqual:
    case Kind::MinusEqual:
    case Kind::StarEqual:
    case Kind::SlashEqual:
    case Kind::PercentEqual:
    case Kind::AtEqual:
    case Kind::StarStarEqual:
      return true;
    default:
      return false;
  }
}
// What a line may end or begin with when it goes on with the one before.
bool joins_lines(Kind kind) {
  return assigns(kind) || kind == Kind::Arrow || kind == Kind::FatArrow || kind == Kind::LeftArrow ||
         kind == Kind::And || kind == Kind::Or || kind == Kind::In || kind == Kind::As;
}
// Names that are words of the language in some places: what stands after them is no call.
bool is_word(std::string_view text) {
  static constexpr std::string_view kWords[] = {"then", "where", "by",      "limit", "desc",  "asc",   "inv",
                                                "rule", "query", "explain", "learn", "infer", "weight"};
  return std::find(std::begin(kWords), std::end(kWords), text) != std::end(kWords);
}

class Formatter {
 public:
  Formatter(std::string_view text, const TokenList& tokens, SyntaxMarks marks)
      : text_(text), marks_(std::move(marks)) {
    for (auto* list : {&marks_.operators, &marks_.statements, &marks_.blocks, &marks_.bars})
      std::sort(list->begin(), list->end());
    gather(tokens);
  }

  std::string run() {
    for (size_t i = 0; i < elements_.size(); ++i) put(i);
    return join_lines();
  }

 private:
  void gather(const TokenList& tokens) {
    size_t comment = 0;
    u32 end = text_.starts_with("\xef\xbb\xbf") ? 3 : 0;
    const auto add = [&](bool is_comment, Kind kind, u32 from, u32 to) {
      const std::string_view gap = text_.substr(end, from - end);
      elements_.push_back({is_comment, kind, from, to,
                           static_cast<int>(std::count(gap.begin(), gap.end(), '\n')), !gap.empty()});
      end = to;
    };
    for (const Token& token : tokens.tokens) {
      for (; comment < tokens.comments.size() && tokens.comments[comment].begin < token.begin; ++comment)
        add(true, Kind::End, tokens.comments[comment].begin, tokens.comments[comment].end);
      if (token.kind != Kind::End) add(false, token.kind, token.begin, token.end);
    }
    for (; comment < tokens.comments.size(); ++comment)
      add(true, Kind::End, tokens.comments[comment].begin, tokens.comments[comment].end);
  }

  std::string_view text_of(const Element& e) const { return text_.substr(e.begin, e.end - e.begin); }
  static bool has(const std::vector<u32>& marks, const Element& e) {
    return !e.is_comment && std::binary_search(marks.begin(), marks.end(), e.begin);
  }
  bool is_operator(const Element& e) const { return has(marks_.operators, e); }
  bool is_bar(const Element& e) const { return has(marks_.bars, e); }
  bool begins_statement(const Element& e) const { return has(marks_.statements, e); }
  bool is_line_comment(const Element& e) const { return e.is_comment && text_[e.begin + 1] == '/'; }
  Kind top() const { return brackets_.empty() ? Kind::End : brackets_.back().kind; }
  size_t next_token(size_t i) const {
    while (i < elements_.size() && elements_[i].is_comment) ++i;
    return i < elements_.size() ? i : kNone;
  }

  // ':-' between the head and the body of a rule: at its ':'.
  bool is_rule_arrow(size_t i) const {
    if (i == 0 || i + 1 >= elements_.size() || top() == Kind::LeftBracket || top() == Kind::LeftParen)
      return false;
    const Element &colon = elements_[i], &minus = elements_[i + 1], &before = elements_[i - 1];
    return colon.kind == Kind::Colon && minus.kind == Kind::Minus && !minus.has_space &&
           !is_operator(minus) && (colon.has_space || is_closing(before.kind));
  }
  bool ends_rule_arrow(size_t i) const {
    return i > 0 && elements_[i].kind == Kind::Minus && is_rule_arrow(i - 1);
  }

  // Whether a '{' or an 'else' that begins a line belongs at the end of the one before.
  bool belongs_above(size_t i) const {
    const Element &e = elements_[i], &before = elements_[i - 1];
    if (e.is_comment || before.is_comment || begins_statement(e)) return false;
    if (before.kind == Kind::RightBrace)
      return e.kind == Kind::Else || text_of(e) == "catch" || text_of(e) == "finally";
    return e.kind == Kind::LeftBrace && has(marks_.blocks, e) &&
           (before.kind == Kind::Else || ends_operand(before.kind) || before.kind == Kind::Greater ||
            is_keyword(before.kind));
  }

  // Whether the line that begins with elements_[i] goes on with the statement before.
  bool continues(size_t i) const {
    const size_t next = next_token(i);
    if (next == kNone || last_token_ == kNone) return false;
    const Element &e = elements_[next], &before = elements_[last_token_];
    if (top() == Kind::LeftParen || top() == Kind::LeftBracket || top() == Kind::Pipe) return false;
    if (before.kind == Kind::FatArrow) return true;
    if (is_closing(e.kind) || begins_statement(e)) return false;
    if (e.kind == Kind::Else && before.kind == Kind::RightBrace) return false;
    if (brackets_.empty() || brackets_.back().is_block) return !is_opening(before.kind);
    if (is_operator(e) || is_operator(before) || joins_lines(e.kind) || joins_lines(before.kind)) return true;
    return e.kind == Kind::Dot || e.kind == Kind::Else;
  }

  void put(size_t i) {
    const Element& e = elements_[i];
    const bool breaks = i == 0 || is_line_comment(elements_[i - 1]) || (e.newlines > 0 && !belongs_above(i));
    if (breaks) {
      begin_line(i);
    } else if (e.is_comment && ends_line(i)) {
      end_with_comment(i);
      return;
    } else if (space_before(i)) {
      lines_.back().text += ' ';
    }
    std::string_view text = text_of(e);
    if (e.is_comment) text = trimmed_comment(text);
    lines_.back().text += text;
    if (e.is_comment) return;
    follow_brackets(i);
    last_token_ = i;
  }

  bool ends_line(size_t i) const {
    return is_line_comment(elements_[i]) || i + 1 == elements_.size() ||
           (elements_[i + 1].newlines > 0 && !belongs_above(i + 1));
  }

  void end_with_comment(size_t i) {
    const Element& e = elements_[i];
    const size_t start = text_.rfind('\n', e.begin);
    Line& line = lines_.back();
    if (!line.comment.empty()) line.comment += ' ';
    if (line.comment.empty())
      line.comment_column = width_of(text_.substr(start == kNone ? 0 : start + 1, e.begin - (start + 1)));
    line.comment += trimmed_comment(text_of(e));
  }

  void begin_line(size_t i) {
    const Element& e = elements_[i];
    Line line;
    const bool after_opening = i > 0 && !elements_[i - 1].is_comment && is_opening(elements_[i - 1].kind);
    line.blank_before = e.newlines > 1 && !lines_.empty() && !after_opening && !is_closing(e.kind);
    if (!brackets_.empty()) {
      const bool closes = is_closing(e.kind) || (is_bar(e) && top() == Kind::Pipe);
      line.indent = brackets_.back().indent + (closes ? 0 : kIndent);
    }
    if (continues(i)) line.indent += kIndent;
    lines_.push_back(std::move(line));
  }

  void follow_brackets(size_t i) {
    const Element& e = elements_[i];
    const bool closes_bars = is_bar(e) && top() == Kind::Pipe;
    if (is_closing(e.kind) || closes_bars) {
      if (!brackets_.empty()) brackets_.pop_back();
    } else if (is_opening(e.kind) || is_bar(e)) {
      const bool is_block = has(marks_.blocks, e);
      brackets_.push_back(
          {e.kind, lines_.back().indent, is_block, e.kind == Kind::LeftBrace && is_padded(i)});
    }
  }

  // Braces of blocks and structs have spaces inside; those of sets, maps and members as their author likes.
  bool is_padded(size_t i) const {
    if (has(marks_.blocks, elements_[i])) return true;
    const Element* before = last_token_ != kNone ? &elements_[last_token_] : nullptr;
    const bool has_name = before != nullptr && (ends_operand(before->kind) ||
                                                (before->kind == Kind::Greater && !is_operator(*before)));
    if (has_name || i + 1 >= elements_.size()) return true;
    return elements_[i + 1].has_space;
  }

  bool space_before(size_t i) const {
    const Element &e = elements_[i], &before = elements_[i - 1];
    if (e.is_comment || before.is_comment) {
      const bool touches_bracket = is_opening(before.kind) || is_closing(e.kind) || e.kind == Kind::Comma;
      return touches_bracket && !(before.is_comment && e.is_comment) ? e.has_space : true;
    }
    if (wants_space(i)) return true;
    return e.has_space && !may_touch(before, e);
  }

  bool may_touch(const Element& a, const Element& b) const {
    SourceFiles files;
    Diagnostics diags;
    const std::string text = std::string(text_of(a)) + std::string(text_of(b));
    const TokenList both = lex(files, files.add("", text), diags);
    return both.comments.empty() && both.tokens.size() == 3 && both.tokens[0].kind == a.kind &&
           both.tokens[1].kind == b.kind && both.tokens[0].end == a.end - a.begin;
  }

  bool wants_space(size_t i) const {
    const Element &e = elements_[i], &before = elements_[i - 1];
    if (e.kind == Kind::Comma || e.kind == Kind::Semicolon) return false;
    if (e.kind == Kind::RightParen || e.kind == Kind::RightBracket) return false;
    if (before.kind == Kind::LeftParen || before.kind == Kind::LeftBracket) return false;
    if (before.kind == Kind::LeftBrace && e.kind == Kind::RightBrace) return false;
    if (before.kind == Kind::Comma && e.kind != Kind::RightBrace) return true;
    if (before.kind == Kind::LeftBrace || e.kind == Kind::RightBrace)
      return brackets_.empty() || brackets_.back().is_padded;
    if (before.kind == Kind::Dot) return begins_statement(e);
    if (e.kind == Kind::Dot || e.kind == Kind::ColonColon || before.kind == Kind::ColonColon) return false;
    if (e.kind == Kind::Colon || before.kind == Kind::Colon) return space_at_colon(i);
    if (ends_rule_arrow(i - 1)) return true;
    if (before.kind == Kind::DotDot || before.kind == Kind::DotDotEqual) return false;
    if (e.kind == Kind::DotDot || e.kind == Kind::DotDotEqual || e.kind == Kind::Question ||
        e.kind == Kind::Ellipsis)
      return !ends_operand(before.kind);
    if (is_bar(before)) return top() != Kind::Pipe;
    if (is_bar(e) && top() == Kind::Pipe) return false;
    if (is_prefix(before)) return false;
    if (before.kind == Kind::LeftArrow && is_operator(before)) return false;
    if (e.kind == Kind::Greater && !is_operator(e)) return false;
    if (before.kind == Kind::Less && !is_operator(before)) return false;
    if (e.kind == Kind::Less && !is_operator(e)) return false;
    if (e.kind == Kind::Equal && is_projection(before) && !e.has_space) return false;
    if (e.kind == Kind::LeftParen || e.kind == Kind::LeftBracket) return space_at_bracket(i);
    return true;
  }

  bool is_prefix(const Element& e) const {
    const bool may_be = e.kind == Kind::Minus || e.kind == Kind::Bang || e.kind == Kind::Star;
    return may_be && !is_operator(e);
  }

  // max=, min= and avg= of tensor equations touch.
  bool is_projection(const Element& e) const {
    const std::string_view text = text_of(e);
    return e.kind == Kind::Ident && top() != Kind::LeftParen && top() != Kind::Pipe &&
           (text == "max" || text == "min" || text == "avg");
  }

  bool space_at_colon(size_t i) const {
    const Element &e = elements_[i], &before = elements_[i - 1];
    if (top() == Kind::LeftBracket) return false;  // a slice
    if (e.kind == Kind::Colon) return is_rule_arrow(i);
    return before.kind == Kind::Colon && !is_rule_arrow(i - 1);
  }

  // A call or an index touches what it is of. Where a space may mean something else, it stays as it is.
  bool space_at_bracket(size_t i) const {
    const Element &e = elements_[i], &before = elements_[i - 1];
    if (i > 1 && elements_[i - 2].kind == Kind::Dot) return e.has_space;  // x.in(y)
    if (before.kind == Kind::Greater && !is_operator(before)) return false;
    if (before.kind == Kind::Fn) return false;
    if (before.kind != Kind::Ident) return ends_operand(before.kind) ? e.has_space : true;
    return (e.kind == Kind::LeftBracket || is_word(text_of(before))) && e.has_space;
  }

  // Comments at the ends of neighbouring lines that stood under each other do so again.
  std::string join_lines() {
    std::string out;
    for (size_t first = 0; first < lines_.size();) {
      size_t end = first, column = 0;
      for (; end < lines_.size() && belongs_to_run(first, end); ++end)
        column = std::max(column, lines_[end].indent + width_of(lines_[end].text));
      end = std::max(end, first + 1);
      for (; first < end; ++first) {
        const Line& line = lines_[first];
        if (line.blank_before) out += '\n';
        out.append(line.indent, ' ') += line.text;
        if (!line.comment.empty()) {
          const size_t width = line.indent + width_of(line.text);
          out.append(std::max(column, width) + 2 - width, ' ') += line.comment;
        }
        out += '\n';
      }
    }
    return out;
  }
  bool belongs_to_run(size_t first, size_t i) const {
    const Line &a = lines_[first], &b = lines_[i];
    const bool is_plain = b.text.find('\n') == std::string::npos;
    return !a.comment.empty() && !b.comment.empty() && is_plain && a.comment_column == b.comment_column &&
           (i == first || !b.blank_before);
  }

  std::string_view text_;
  SyntaxMarks marks_;
  std::vector<Element> elements_;
  std::vector<Bracket> brackets_;
  std::vector<Line> lines_;
  size_t last_token_ = kNone;
};

struct Parsed {
  TokenList tokens;
  SyntaxMarks marks;
  std::string tree;
};

Parsed parse_for_format(const SourceFiles& files, FileId file, Diagnostics& diags) {
  Parsed parsed;
  Diagnostics again;  // parse() reports what lex() does
  parsed.tokens = lex(files, file, again);
  parsed.tree = ast::dump(*parse(files, file, diags, &parsed.marks));
  return parsed;
}

bool same_tokens(std::string_view text_a, const TokenList& a, std::string_view text_b, const TokenList& b) {
  const auto token_text = [](std::string_view text, const Token& t) {
    return text.substr(t.begin, t.end - t.begin);
  };
  const auto comment_text = [](std::string_view text, Span s) {
    return trimmed_comment(text.substr(s.begin, s.end - s.begin));
  };
  return std::equal(a.tokens.begin(), a.tokens.end(), b.tokens.begin(), b.tokens.end(),
                    [&](const Token& x, const Token& y) {
                      return x.kind == y.kind && token_text(text_a, x) == token_text(text_b, y);
                    }) &&
         std::equal(a.comments.begin(), a.comments.end(), b.comments.begin(), b.comments.end(),
                    [&](Span x, Span y) { return comment_text(text_a, x) == comment_text(text_b, y); });
}

}  // namespace

Result<std::string> format_program(const SourceFiles& files, FileId file, Diagnostics& diags) {
  const Parsed before = parse_for_format(files, file, diags);
  if (diags.has_errors()) return fail(Code::BadProgram, "{} has syntax errors", files.name(file));
  std::string out = Formatter(files.text(file), before.tokens, before.marks).run();

  SourceFiles checked;
  Diagnostics problems;
  const FileId id = checked.add(std::string(files.name(file)), out);
  const Parsed after = parse_for_format(checked, id, problems);
  const bool is_same = !problems.has_errors() && after.tree == before.tree &&
                       same_tokens(files.text(file), before.tokens, out, after.tokens);
  if (!is_same)
    return fail(Code::Unsupported, "formatting would change the program {}, which is a mistake of tl",
                files.name(file));
  if (Formatter(out, after.tokens, after.marks).run() != out)
    return fail(Code::Unsupported, "formatting {} twice would change it again, which is a mistake of tl",
                files.name(file));
  return out;
}

}  // namespace tl
