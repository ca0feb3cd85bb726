// Text. Positions count characters, as len and [] do; string_length alone counts bytes.
#include <algorithm>

#include "tl/base/utf8.h"
#include "tl/builtins/convert.h"
#include "tl/builtins/families.h"
#include "tl/builtins/index.h"
#include "tl/builtins/operators.h"
#include "tl/text/chat_template/text.h"
#include "tl/value/text.h"

namespace tl::lang {
namespace {

constexpr std::string_view kSpaces = " \t\n\r\f\v";

const std::string& text(const Value& v) {
  return v.as<String>().text;
}

template <char kFrom, char kTo, std::string (*kWhole)(std::string_view)>
Value in_case(const Value& v) {
  if (!v.as<String>().is_bytes()) return make_string(kWhole(text(v)));
  std::string out = text(v);
  for (char& c : out) c = c >= kFrom && c < kFrom + 26 ? static_cast<char>(c - kFrom + kTo) : c;
  return make_string(std::move(out));
}
Result<Value> native_upper(CallContext&, std::span<Value> args) {
  return in_case<'a', 'A', jinja::upper>(args[0]);
}
Result<Value> native_lower(CallContext&, std::span<Value> args) {
  return in_case<'A', 'a', jinja::lower>(args[0]);
}
Result<Value> native_title(CallContext&, std::span<Value> args) {
  return make_string(jinja::title(text(args[0])));
}
Result<Value> native_capitalize(CallContext&, std::span<Value> args) {
  return make_string(jinja::capitalize(text(args[0])));
}
template <jinja::Ends kEnds>
Result<Value> native_strip(CallContext&, std::span<Value> args) {
  return make_string(jinja::strip(text(args[0]), text(args[1]), kEnds));
}
template <jinja::CharClass kClass>
Result<Value> native_is(CallContext&, std::span<Value> args) {
  return Value(jinja::all_are(text(args[0]), kClass));
}

Result<Value> native_ord(CallContext&, std::span<Value> args) {
  const auto& s = args[0].as<String>();
  if (s.chars() != 1) return fail(Code::BadProgram, "ord: a text of {} characters, want one", s.chars());
  const utf8::Char c = utf8::decode(s.text, 0);
  if (c.length == 0) return fail(Code::BadProgram, "ord: the text is not UTF-8");
  return Value(static_cast<i64>(c.code));
}
Result<Value> native_chr(CallContext&, std::span<Value> args) {
  const i64 code = args[0].as_int();
  if (code < 0 || code > 0x10ffff || !utf8::is_scalar_value(static_cast<u32>(code)))
    return fail(Code::BadProgram, "chr: {} is the code of no character", code);
  std::string out;
  utf8::append(out, static_cast<u32>(code));
  return make_string(std::move(out));
}

// What is missing to a width, on the left and on the right.
template <int kLeft, int kRight>
Result<Value> native_pad(CallContext&, std::span<Value> args) {
  const auto &s = args[0].as<String>(), &with = args[2].as<String>();
  constexpr i64 kWidest = i64{1} << 28;
  if (with.chars() != 1)
    return fail(Code::BadProgram, "argument 'with' is \"{}\", want one character", with.text);
  if (args[1].as_int() > kWidest) return fail(Code::BadProgram, "a text of {} characters", args[1].as_int());
  const i64 missing = std::max<i64>(args[1].as_int() - s.chars(), 0);
  const i64 left = missing * kLeft / (kLeft + kRight);
  std::string out;
  for (i64 i = 0; i < left; ++i) out += with.text;
  out += s.text;
  for (i64 i = left; i < missing; ++i) out += with.text;
  return make_string(std::move(out));
}

Result<Value> native_remove_prefix(CallContext&, std::span<Value> args) {
  const std::string &s = text(args[0]), &part = text(args[1]);
  return s.starts_with(part) ? make_string(s.substr(part.size())) : args[0];
}
Result<Value> native_remove_suffix(CallContext&, std::span<Value> args) {
  const std::string &s = text(args[0]), &part = text(args[1]);
  return s.ends_with(part) ? make_string(s.substr(0, s.size() - part.size())) : args[0];
}

std::string_view trimmed(std::string_view s, bool front, bool back) {
  const size_t first = front ? s.find_first_not_of(kSpaces) : 0;
  if (first == std::string_view::npos) return {};
  s.remove_prefix(first);
  if (back) s = s.substr(0, s.find_last_not_of(kSpaces) + 1);
  return s;
}
Result<Value> native_trim(CallContext&, std::span<Value> args) {
  return make_string(std::string(trimmed(text(args[0]), true, true)));
}
Result<Value> native_trim_start(CallContext&, std::span<Value> args) {
  return make_string(std::string(trimmed(text(args[0]), true, false)));
}
Result<Value> native_trim_end(CallContext&, std::span<Value> args) {
  return make_string(std::string(trimmed(text(args[0]), false, true)));
}

Value split_text(std::string_view s, std::string_view by) {
  std::vector<Value> parts;
  size_t from = 0;
  for (size_t at; (at = s.find(by, from)) != std::string_view::npos; from = at + by.size()) {
    parts.push_back(make_string(std::string(s.substr(from, at - from))));
  }
  parts.push_back(make_string(std::string(s.substr(from))));
  return make_list(std::move(parts));
}

Value split_words(std::string_view s) {
  std::vector<Value> parts;
  for (s = trimmed(s, true, false); !s.empty(); s = trimmed(s, true, false)) {
    const size_t size = std::min(s.find_first_of(kSpaces), s.size());
    parts.push_back(make_string(std::string(s.substr(0, size))));
    s.remove_prefix(size);
  }
  return make_list(std::move(parts));
}

// split(text, [separator]), split(tensor, size, [axis]) and split(list, size).
Result<Value> native_split(CallContext& ctx, std::span<Value> args) {
  if (const auto* s = args[0].get_if<String>()) {
    if (args[1].is_empty()) return split_words(s->text);
    TL_TRY(const std::string_view by, to_text(args[1]));
    if (by.empty()) return fail(Code::BadProgram, "split: the separator is empty");
    return split_text(s->text, by);
  }
  if (args[1].is_empty())
    return fail(Code::BadProgram, "split: argument 'by' is missing: the size of a part");
  TL_TRY(const i64 size, to_int(ctx, args[1]));
  return split_parts(ctx, args[0], size, args[2].as_int());
}

Result<Value> native_lines(CallContext&, std::span<Value> args) {
  std::string_view s = text(args[0]);
  if (!s.empty() && s.back() == '\n') s.remove_suffix(1);
  return s.empty() ? make_list({}) : split_text(s, "\n");
}

Result<Value> native_join(CallContext& ctx, std::span<Value> args) {
  if (args[0].is(ObjectKind::Task)) return ctx.join(args[0]);
  if (args[1].is_empty()) return fail(Code::BadProgram, "join: argument 'separator' is missing");
  const bool list_first = !args[0].is(ObjectKind::String);
  TL_TRY(const std::string_view by, to_text(args[list_first ? 1 : 0]));
  TL_TRY(const std::vector<Value> items, to_items(ctx, args[list_first ? 0 : 1]));
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out += by;
    if (const auto* part = items[i].get_if<String>()) {
      out += part->text;
      continue;
    }
    TL_TRY(const std::string part, text_of(ctx.reader(), items[i]));
    out += part;
  }
  return make_string(std::move(out));
}

Result<Value> native_replace(CallContext&, std::span<Value> args) {
  const std::string &s = text(args[0]), &from = text(args[1]), &to = text(args[2]);
  if (from.empty()) return fail(Code::BadProgram, "replace: the text to replace is empty");
  std::string out;
  size_t at = 0;
  i64 left = args[3].as_int();
  for (size_t hit; left != 0 && (hit = s.find(from, at)) != std::string::npos;
       at = hit + from.size(), --left) {
    out.append(s, at, hit - at);
    out += to;
  }
  return make_string(out + s.substr(at));
}

Result<Value> native_starts_with(CallContext&, std::span<Value> args) {
  return Value(text(args[0]).starts_with(text(args[1])));
}
Result<Value> native_ends_with(CallContext&, std::span<Value> args) {
  return Value(text(args[0]).ends_with(text(args[1])));
}

// From a character on; -1: nowhere.
Result<Value> native_find(CallContext&, std::span<Value> args) {
  const auto& s = args[0].as<String>();
  const i64 size = s.chars(), given = args[2].as_int(),
            start = given < 0 ? std::max<i64>(given + size, 0) : given;
  if (start > size) return Value(i64{-1});
  const size_t from = s.is_bytes() ? static_cast<size_t>(start) : utf8::char_offset(s.text, start);
  const size_t at = s.text.find(text(args[1]), from);
  if (at == std::string::npos) return Value(i64{-1});
  return Value(s.is_bytes() ? static_cast<i64>(at)
                            : utf8::count_chars(std::string_view(s.text).substr(0, at)));
}
Result<Value> native_rfind(CallContext&, std::span<Value> args) {
  const std::string& s = text(args[0]);
  const size_t at = s.rfind(text(args[1]));
  return Value(at == std::string::npos ? i64{-1} : utf8::count_chars(std::string_view(s).substr(0, at)));
}

Result<Value> native_substring(CallContext&, std::span<Value> args) {
  const std::string_view s = text(args[0]);
  const i64 size = utf8::count_chars(s), start = args[1].as_int();
  const i64 count = args[2].is_empty() ? size : args[2].as_int();
  if (start < 0 || start > size)
    return fail(Code::BadProgram, "substring: start {} is outside of a string of {}", start, size);
  if (count < 0) return fail(Code::BadProgram, "substring: count is {}", count);
  const size_t begin = utf8::char_offset(s, start);
  return make_string(std::string(s.substr(begin, utf8::char_offset(s.substr(begin), count))));
}

Result<Value> native_chars(CallContext&, std::span<Value> args) {
  std::string_view s = text(args[0]);
  std::vector<Value> out;
  while (!s.empty()) {
    const size_t size = utf8::char_offset(s, 1);
    out.push_back(make_string(std::string(s.substr(0, size))));
    s.remove_prefix(size);
  }
  return make_list(std::move(out));
}

Result<Value> native_bytes(CallContext&, std::span<Value> args) {
  std::vector<Value> out;
  for (const char c : text(args[0])) out.emplace_back(static_cast<i64>(static_cast<u8>(c)));
  return make_list(std::move(out));
}

Result<Value> native_string_length(CallContext&, std::span<Value> args) {
  return Value(static_cast<i64>(text(args[0]).size()));
}

const Builtin kRows[] = {
    {"capitalize", "(text: string) -> string", "The first letter in upper case, the others in lower case.",
     "capitalize(\"hELLO\")  //~ Hello", Effect::Pure, native_capitalize},
    {"center", "(text: string, width: int, with: string = \" \") -> string",
     "The text in the middle of so many characters.", "center(\"ab\", 6, \"-\")  //~ --ab--", Effect::Pure,
     native_pad<1, 1>},
    {"chr", "(code: int) -> string", "The character of a Unicode code.", "chr(233)  //~ é", Effect::Pure,
     native_chr},
    {"is_alnum", "(text: string) -> bool", "True if there are characters, all letters or digits.",
     "is_alnum(\"a1\")  //~ true", Effect::Pure, native_is<jinja::CharClass::Alnum>},
    {"is_alpha", "(text: string) -> bool", "True if there are characters, all letters.",
     "is_alpha(\"é\")  //~ true", Effect::Pure, native_is<jinja::CharClass::Alpha>},
    {"is_digit", "(text: string) -> bool", "True if there are characters, all digits.",
     "is_digit(\"12\")  //~ true", Effect::Pure, native_is<jinja::CharClass::Digit>},
    {"is_lower", "(text: string) -> bool", "True if there are letters, all in lower case.",
     "is_lower(\"ab\")  //~ true", Effect::Pure, native_is<jinja::CharClass::Lower>},
    {"is_space", "(text: string) -> bool", "True if there are characters, all spaces.",
     "is_space(\" \")  //~ true", Effect::Pure, native_is<jinja::CharClass::Space>},
    {"is_upper", "(text: string) -> bool", "True if there are letters, all in upper case.",
     "is_upper(\"AB\")  //~ true", Effect::Pure, native_is<jinja::CharClass::Upper>},
    {"lstrip", "(text: string, chars: string = \"\") -> string",
     "Without the characters (or spaces) at the start.", "lstrip(\"xxa\", \"x\")  //~ a", Effect::Pure,
     native_strip<jinja::Ends::Left>},
    {"ord", "(char: string) -> int", "The Unicode code of a character.", "ord(\"a\")  //~ 97", Effect::Pure,
     native_ord},
    {"pad_left", "(text: string, width: int, with: string = \" \") -> string",
     "The text at the end of so many characters.", "pad_left(\"7\", 3, \"0\")  //~ 007", Effect::Pure,
     native_pad<1, 0>},
    {"pad_right", "(text: string, width: int, with: string = \" \") -> string",
     "The text at the start of so many characters.", "pad_right(\"7\", 3, \".\")  //~ 7..", Effect::Pure,
     native_pad<0, 1>},
    {"remove_prefix", "(text: string, part: string) -> string", "Without the part, if text begins with it.",
     "remove_prefix(\"abc\", \"a\")  //~ bc", Effect::Pure, native_remove_prefix},
    {"remove_suffix", "(text: string, part: string) -> string", "Without the part, if text ends with it.",
     "remove_suffix(\"a.tl\", \".tl\")  //~ a", Effect::Pure, native_remove_suffix},
    {"rfind", "(text: string, part: string) -> int", "Where part last is, in characters, -1 if nowhere.",
     "rfind(\"hello\", \"l\")  //~ 3", Effect::Pure, native_rfind},
    {"rstrip", "(text: string, chars: string = \"\") -> string",
     "Without the characters (or spaces) at the end.", "rstrip(\"axx\", \"x\")  //~ a", Effect::Pure,
     native_strip<jinja::Ends::Right>},
    {"strip", "(text: string, chars: string = \"\") -> string",
     "Without the characters (or spaces) at both ends.", "strip(\"--a-\", \"-\")  //~ a", Effect::Pure,
     native_strip<jinja::Ends::Both>},
    {"title", "(text: string) -> string", "Every word with its first letter in upper case.",
     "title(\"hello you\")  //~ Hello You", Effect::Pure, native_title},
    {"bytes", "(text: string) -> list", "The UTF-8 bytes as ints.", "bytes(\"hi\")  //~ [104, 105]",
     Effect::Pure, native_bytes},
    {"chars", "(text: string) -> list", "The characters, one string each.",
     "chars(\"abc\")  //~ [\"a\", \"b\", \"c\"]", Effect::Pure, native_chars},
    {"ends_with", "(text: string, part: string) -> bool", "True if text ends with part.",
     "ends_with(\"abc\", \"bc\")  //~ true", Effect::Pure, native_ends_with},
    {"find", "(text: string, part: string, start: int = 0) -> int",
     "Where part first is from character `start` on, -1 if nowhere.", "find(\"hello\", \"l\", 3)  //~ 3",
     Effect::Pure, native_find},
    {"join", "(items: any, separator: any = none) -> any",
     "The texts of the items with the separator between them. Of a task: waits for it, gives what its "
     "function gave, "
     "shows what it printed, fails as it failed.",
     "join([1, 2, 3], \"-\")  //~ 1-2-3", Effect::Io, native_join},
    {"lines", "(text: string) -> list", "The lines without their ends.",
     "lines(\"a\\nb\\n\")  //~ [\"a\", \"b\"]", Effect::Pure, native_lines},
    {"lower", "(text: string) -> string", "The letters in lower case.", "lower(\"AbC\")  //~ abc",
     Effect::Pure, native_lower},
    {"replace", "(text: string, from: string, to: string, count: int = -1) -> string",
     "Every `from` becomes `to`, or the first so many.", "replace(\"a-b\", \"-\", \"+\")  //~ a+b",
     Effect::Pure, native_replace},
    {"split", "(x: any, by: any = none, axis: int = 0) -> list",
     "Parts of a string between separators (or spaces), or pieces of so many items of a list or of a tensor "
     "along an axis.",
     "split(\"a,b\", \",\")  //~ [\"a\", \"b\"]", Effect::Pure, native_split},
    {"starts_with", "(text: string, part: string) -> bool", "True if text begins with part.",
     "starts_with(\"abc\", \"ab\")  //~ true", Effect::Pure, native_starts_with},
    {"string_length", "(text: string) -> int", "How many bytes the text has.",
     "string_length(\"abc\")  //~ 3", Effect::Pure, native_string_length},
    {"string_substring", "(text: string, start: int, count: int = none) -> string", "The same as substring.",
     "string_substring(\"hello\", 1, 3)  //~ ell", Effect::Pure, native_substring},
    {"substring", "(text: string, start: int, count: int = none) -> string",
     "So many characters from start on.", "substring(\"hello\", 1, 3)  //~ ell", Effect::Pure,
     native_substring},
    {"trim", "(text: string) -> string", "Without the spaces at both ends.", "trim(\" a \") + \"|\"  //~ a|",
     Effect::Pure, native_trim},
    {"trim_end", "(text: string) -> string", "Without the spaces at the end.",
     "trim_end(\"a \") + \"|\"  //~ a|", Effect::Pure, native_trim_end},
    {"trim_start", "(text: string) -> string", "Without the spaces at the start.",
     "trim_start(\" a\")  //~ a", Effect::Pure, native_trim_start},
    {"upper", "(text: string) -> string", "The letters in upper case.", "upper(\"abc\")  //~ ABC",
     Effect::Pure, native_upper},
};

}  // namespace

std::span<const Builtin> string_natives() {
  return kRows;
}

}  // namespace tl::lang
