#include "tl/value/format_spec.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "tl/base/utf8.h"
#include "tl/value/text.h"

namespace tl::lang {
namespace {

constexpr int kMaxWidth = 4096;

bool is_align(char c) {
  return c == '<' || c == '>' || c == '^' || c == '=';
}

class SpecParser {
 public:
  explicit SpecParser(std::string_view spec) : spec_(spec) {}

  Result<FormatSpec> parse() {
    FormatSpec out;
    const size_t fill = spec_.empty() ? 0 : utf8::char_offset(spec_, 1);
    if (fill < spec_.size() && is_align(spec_[fill])) {
      out.fill = spec_.substr(0, fill);
      out.align = spec_[fill];
      at_ = fill + 1;
    } else if (!spec_.empty() && is_align(spec_[0])) {
      out.align = spec_[at_++];
    }
    if (peek() == '+' || peek() == '-' || peek() == ' ') out.sign = spec_[at_++];
    out.alternate = accept('#');
    if (accept('0') && out.align == 0) out.fill = "0", out.align = '=';
    TL_TRY_DO(number(out.width));
    if (peek() == ',' || peek() == '_') out.grouping = spec_[at_++];
    if (accept('.')) {
      if (!is_digit(peek())) return bad();
      TL_TRY_DO(number(out.precision));
    }
    if (at_ < spec_.size()) out.type = spec_[at_++];
    if (at_ < spec_.size() ||
        (out.type != 0 && std::string_view("bcdeEfFgGnosxX%").find(out.type) == std::string_view::npos)) {
      return bad();
    }
    return out;
  }

 private:
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }
  char peek() const { return at_ < spec_.size() ? spec_[at_] : '\0'; }
  bool accept(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  Result<void> number(int& out) {
    if (!is_digit(peek())) return {};
    out = 0;
    while (is_digit(peek())) {
      out = out * 10 + (spec_[at_++] - '0');
      if (out > kMaxWidth)
        return fail(Code::BadProgram, "format '{}' asks for more than {} columns", spec_, kMaxWidth);
    }
    return {};
  }
  Error bad() const {
    return fail(Code::BadProgram, "'{}' is not a format (want [fill][<^>][+][0][width][,][.digits][type])",
                spec_);
  }

  std::string_view spec_;
  size_t at_ = 0;
};

std::string repeated(const std::string& fill, i64 count) {
  std::string out;
  for (; count > 0; --count) out += fill;
  return out;
}

std::string pad(const FormatSpec& spec, const std::string& sign, const std::string& body,
                char default_align) {
  const char align = spec.align != 0 ? spec.align : default_align;
  const i64 missing = spec.width - utf8::count_chars(sign) - utf8::count_chars(body);
  if (missing <= 0) return sign + body;
  switch (align) {
    case '<':
      return sign + body + repeated(spec.fill, missing);
    case '^':
      return repeated(spec.fill, missing / 2) + sign + body + repeated(spec.fill, missing - missing / 2);
    case '=':
      return sign + repeated(spec.fill, missing) + body;
    default:
      return repeated(spec.fill, missing) + sign + body;
  }
}

// Separators every `every` digits from the right of the leading run of digits. Padding with zeros is
// grouped too, until the width is filled.
std::string group(const FormatSpec& spec, std::string body, size_t sign_size, size_t every = 3) {
  if (spec.grouping == 0) return body;
  const auto is_digit = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  };
  size_t digits = 0;
  while (digits < body.size() &&
         (every == 4 ? is_digit(body[digits]) : body[digits] >= '0' && body[digits] <= '9'))
    ++digits;
  const std::string tail = body.substr(digits);
  std::string head = body.substr(0, digits);
  const auto grouped = [&] {
    std::string out;
    for (size_t i = 0; i < head.size(); ++i) {
      if (i > 0 && (head.size() - i) % every == 0) out += spec.grouping;
      out += head[i];
    }
    return out;
  };
  if (spec.fill == "0" && spec.align == '=') {
    while (grouped().size() + tail.size() + sign_size < static_cast<size_t>(spec.width)) head.insert(0, "0");
  }
  return grouped() + tail;
}

std::string sign_text(const FormatSpec& spec, bool negative) {
  if (negative) return "-";
  return spec.sign == '-' ? "" : std::string(1, spec.sign);
}

Error wrong_type(const FormatSpec& spec, std::string_view what) {
  return fail(Code::BadProgram, "format type '{}' does not fit {}", spec.type, what);
}

// Python's %g: `precision` significant digits, exponent beyond them; without a type, one digit after the
// point stays ("1e+02" but "5.0").
std::string general(f64 value, int precision, bool keep_zeros) {
  std::array<char, kMaxWidth + 32> buffer;  // a double's %g has at most precision + 8 characters
  const char* const format = keep_zeros ? "%#.*g" : "%.*g";
  const int size = std::snprintf(buffer.data(), buffer.size(), format, precision, value);
  return std::string(buffer.data(), static_cast<size_t>(size));
}

std::string float_body(const FormatSpec& spec, f64 size) {
  const int precision = spec.precision < 0 ? 6 : spec.precision;
  switch (spec.type) {
    case 'f':
    case 'F':
      return fmt::format("{:.{}f}", size, precision);
    case '%':
      return fmt::format("{:.{}f}%", size * 100, precision);
    case 'e':
      return fmt::format("{:.{}e}", size, precision);
    case 'E':
      return fmt::format("{:.{}E}", size, precision);
    case 'G':
    case 'g':
    case 'n': {
      std::string text = general(size, std::max(precision, 1), spec.alternate);
      if (spec.type == 'G')
        std::transform(text.begin(), text.end(), text.begin(), [](char c) { return c == 'e' ? 'E' : c; });
      return text;
    }
    default:
      break;
  }
  if (spec.precision < 0) return float_text(size);
  // Without a type Python keeps one digit after the point, and goes to exponents one digit earlier than 'g'.
  const int digits = std::max(spec.precision, 1);
  const std::string scientific = fmt::format("{:.{}e}", size, digits - 1);
  const int exponent = std::stoi(scientific.substr(scientific.find('e') + 1));
  std::string text = general(size, digits, false);
  if (exponent == digits - 1) {  // 'g' would print digits without a point: "12" for 12.3 at .2
    std::string mantissa = scientific.substr(0, scientific.find('e'));
    if (mantissa.find('.') != std::string::npos) {
      mantissa.erase(mantissa.find_last_not_of('0') + 1);
      if (mantissa.back() == '.') mantissa.pop_back();
    }
    return mantissa + scientific.substr(scientific.find('e'));
  }
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

}  // namespace

Result<FormatSpec> parse_format_spec(std::string_view spec) {
  return SpecParser(spec).parse();
}

Result<std::string> format_int(const FormatSpec& spec, i64 value) {
  if (std::string_view("eEfFgG%").find(spec.type) != std::string_view::npos && spec.type != 0) {
    return format_float(spec, static_cast<f64>(value));
  }
  // A precision on an int: Python refuses; the number the reader wanted is plain, so it is read as a float.
  if (spec.precision >= 0) return format_float(spec, static_cast<f64>(value));
  const u64 size = value < 0 ? 0 - static_cast<u64>(value) : static_cast<u64>(value);
  std::string sign = sign_text(spec, value < 0);
  std::string body;
  size_t every = 3;
  switch (spec.type) {
    case 0:
    case 'd':
    case 'n':
      body = fmt::format("{}", size);
      break;
    case 'x':
      body = fmt::format("{:x}", size), sign += spec.alternate ? "0x" : "", every = 4;
      break;
    case 'X':
      body = fmt::format("{:X}", size), sign += spec.alternate ? "0X" : "", every = 4;
      break;
    case 'o':
      body = fmt::format("{:o}", size), sign += spec.alternate ? "0o" : "", every = 4;
      break;
    case 'b':
      body = fmt::format("{:b}", size), sign += spec.alternate ? "0b" : "", every = 4;
      break;
    default:
      return wrong_type(spec, "an int");
  }
  return pad(spec, sign, group(spec, body, sign.size(), every), '>');
}

Result<std::string> format_float(const FormatSpec& spec, f64 value) {
  if (spec.type != 0 && std::string_view("eEfFgGn%").find(spec.type) == std::string_view::npos) {
    return wrong_type(spec, "a float");
  }
  const std::string sign = sign_text(spec, std::signbit(value) && !std::isnan(value));
  if (!std::isfinite(value)) {
    const bool upper = spec.type == 'E' || spec.type == 'F' || spec.type == 'G';
    std::string text = std::isnan(value) ? (upper ? "NAN" : "nan") : (upper ? "INF" : "inf");
    if (spec.type == '%') text += "%";
    return pad(spec, sign, text, '>');
  }
  const std::string body = float_body(spec, std::abs(value));
  return pad(spec, sign, group(spec, body, sign.size()), '>');
}

Result<std::string> format_string(const FormatSpec& spec, std::string_view text) {
  if (spec.type != 0 && spec.type != 's') return wrong_type(spec, "a text");
  if (spec.precision >= 0) text = text.substr(0, utf8::char_offset(text, spec.precision));
  FormatSpec plain = spec;
  if (plain.align == '=') plain.align = '<';  // "{s:08}" pads text with zeros on the right, as Python does
  return pad(plain, "", std::string(text), '<');
}

}  // namespace tl::lang
