#include "tl/text/chat_template/text.h"

#include <utf8proc.h>

#include <algorithm>

#include "tl/base/utf8.h"
#include "tl/text/stray_bytes.h"

namespace tl::jinja {

namespace {

// The character at `at`, or one byte that is not UTF-8, which has code 0xDC80 + n like a stray byte.
utf8::Char next(std::string_view text, size_t at) {
  const utf8::Char c = utf8::decode(text, at);
  return c.length == 0 ? utf8::Char{utf8::code_of_stray_byte(text[at]), 1} : c;
}

template <typename Map>
std::string map_chars(std::string_view text, const Map& map) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const auto [code, size] = next(text, i);
    if (utf8::stray_byte(code)) out += text[i];
    if (!utf8::stray_byte(code))
      utf8::append(out, static_cast<u32>(map(static_cast<utf8proc_int32_t>(code))));
    i += size;
  }
  return out;
}

bool is_letter(u32 code) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(code));
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}
bool is_number(u32 code) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(code));
  return category == UTF8PROC_CATEGORY_ND;
}

// Where each character begins, and the end.
std::vector<size_t> bounds(std::string_view text) {
  std::vector<size_t> out;
  for (size_t i = 0; i < text.size(); i += next(text, i).length) out.push_back(i);
  out.push_back(text.size());
  return out;
}

std::vector<std::string> split_spaces(std::string_view text, i64 most, bool from_right) {
  const std::vector<size_t> at = bounds(text);
  const size_t count = at.size() - 1;
  const auto space = [&](size_t i) { return utf8::is_space(next(text, at[i]).code); };
  std::vector<std::string> out;
  if (!from_right) {
    for (size_t i = 0; i < count;) {
      while (i < count && space(i)) ++i;
      if (i == count) break;
      size_t end = i;
      const bool rest = most >= 0 && static_cast<i64>(out.size()) == most;
      while (end < count && (rest || !space(end))) ++end;
      out.emplace_back(text.substr(at[i], at[end] - at[i]));
      i = end;
    }
    if (!out.empty() && most >= 0) out.back() = strip(out.back(), "", Ends::Right).empty() ? "" : out.back();
    return out;
  }
  for (size_t end = count; end > 0;) {
    while (end > 0 && space(end - 1)) --end;
    if (end == 0) break;
    size_t begin = end;
    const bool rest = most >= 0 && static_cast<i64>(out.size()) == most;
    while (begin > 0 && (rest || !space(begin - 1))) --begin;
    out.emplace_back(text.substr(at[begin], at[end] - at[begin]));
    end = begin;
  }
  std::reverse(out.begin(), out.end());
  return out;
}

}  // namespace

std::vector<std::string> characters(std::string_view text) {
  std::vector<std::string> out;
  for (size_t i = 0; i < text.size();) {
    const size_t size = next(text, i).length;
    out.emplace_back(text.substr(i, size));
    i += size;
  }
  return out;
}

size_t length(std::string_view text) {
  size_t count = 0;
  for (size_t i = 0; i < text.size(); i += next(text, i).length) ++count;
  return count;
}

std::string upper(std::string_view text) {
  std::string out;
  for (const std::string& c : characters(text)) {
    out += c == "\u00df" ? "SS" : map_chars(c, [](auto code) { return utf8proc_toupper(code); });
  }
  return out;
}

std::string lower(std::string_view text) {
  return map_chars(text, [](auto code) { return utf8proc_tolower(code); });
}

std::string title(std::string_view text) {
  bool inside = false;
  return map_chars(text, [&](auto code) {
    const bool was_inside = inside;
    inside = is_letter(static_cast<u32>(code));
    return was_inside ? utf8proc_tolower(code) : utf8proc_totitle(code);
  });
}

std::string capitalize(std::string_view text) {
  bool first = true;
  return map_chars(text, [&](auto code) {
    const auto out = first ? utf8proc_totitle(code) : utf8proc_tolower(code);
    first = false;
    return out;
  });
}

std::string strip(std::string_view text, std::string_view set, Ends ends) {
  const std::vector<std::string> chars = characters(set);
  const std::vector<size_t> at = bounds(text);
  const auto wanted = [&](size_t i) {
    const std::string_view c = text.substr(at[i], at[i + 1] - at[i]);
    const u32 code = next(text, at[i]).code;
    if (set.empty()) return utf8::is_space(code) || (code >= 0x1C && code <= 0x1F);
    return std::find(chars.begin(), chars.end(), c) != chars.end();
  };
  size_t begin = 0, end = at.size() - 1;
  while (ends != Ends::Right && begin < end && wanted(begin)) ++begin;
  while (ends != Ends::Left && end > begin && wanted(end - 1)) --end;
  return std::string(text.substr(at[begin], at[end] - at[begin]));
}

std::string replace(std::string_view text, std::string_view from, std::string_view to, i64 most) {
  std::string out;
  if (from.empty()) {  // goes between all characters, as in Python
    i64 done = 0;
    for (const std::string& c : characters(text)) {
      if (most < 0 || done++ < most) out += to;
      out += c;
    }
    if (most < 0 || done < most) out += to;
    return out;
  }
  size_t at = 0;
  for (i64 done = 0; most < 0 || done < most; ++done) {
    const size_t hit = text.find(from, at);
    if (hit == std::string_view::npos) break;
    out.append(text, at, hit - at).append(to);
    at = hit + from.size();
  }
  return out.append(text.substr(at));
}

std::vector<std::string> split(std::string_view text, std::string_view separator, i64 most, bool from_right) {
  if (separator.empty()) return split_spaces(text, most, from_right);
  std::vector<std::string> out;
  while (most < 0 || static_cast<i64>(out.size()) < most) {
    const size_t hit = from_right ? text.rfind(separator) : text.find(separator);
    if (hit == std::string_view::npos) break;
    out.emplace_back(from_right ? text.substr(hit + separator.size()) : text.substr(0, hit));
    text = from_right ? text.substr(0, hit) : text.substr(hit + separator.size());
  }
  out.emplace_back(text);
  if (from_right) std::reverse(out.begin(), out.end());
  return out;
}

std::vector<std::string> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string> out;
  size_t begin = 0;
  for (size_t i = 0; i < text.size();) {
    const auto [code, size] = next(text, i);
    const bool ends = (code >= 0x0A && code <= 0x0D) || (code >= 0x1C && code <= 0x1E) || code == 0x85 ||
                      code == 0x2028 || code == 0x2029;
    if (!ends) {
      i += size;
      continue;
    }
    const size_t stop = i + (text.substr(i).starts_with("\r\n") ? 2 : size);
    out.emplace_back(text.substr(begin, (keep_ends ? stop : i) - begin));
    begin = i = stop;
  }
  if (begin < text.size()) out.emplace_back(text.substr(begin));
  return out;
}

bool all_are(std::string_view text, CharClass wanted) {
  bool cased = false;
  for (size_t i = 0; i < text.size();) {
    const auto [code, size] = next(text, i);
    i += size;
    const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(code));
    const bool upper = category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LT;
    const bool lower = category == UTF8PROC_CATEGORY_LL;
    switch (wanted) {
      case CharClass::Alpha:
        if (!is_letter(code)) return false;
        break;
      case CharClass::Digit:
        if (!is_number(code)) return false;
        break;
      case CharClass::Alnum:
        if (!is_letter(code) && !is_number(code)) return false;
        break;
      case CharClass::Space:
        if (!utf8::is_space(code) && !(code >= 0x1C && code <= 0x1F)) return false;
        break;
      case CharClass::Upper:
        if (lower) return false;
        cased |= upper;
        break;
      case CharClass::Lower:
        if (upper) return false;
        cased |= lower;
        break;
    }
  }
  const bool by_case = wanted == CharClass::Upper || wanted == CharClass::Lower;
  return by_case ? cased : !text.empty();
}

}  // namespace tl::jinja
