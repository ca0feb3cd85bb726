#include "tl/syntax/unicode.h"

namespace tl {

CodePoint decode_utf8(std::string_view text, size_t at) {
  const u8 first = static_cast<u8>(text[at]);
  if (first < 0x80) return {first, 1};
  const u32 length = first >= 0xf0 && first < 0xf5   ? 4
                     : first >= 0xe0 && first < 0xf0 ? 3
                     : first >= 0xc2 && first < 0xe0 ? 2
                                                     : 0;
  if (length == 0 || at + length > text.size()) return {};
  u32 value = first & (0x7fu >> length);
  for (u32 i = 1; i < length; ++i) {
    const u8 next = static_cast<u8>(text[at + i]);
    if ((next & 0xc0u) != 0x80u) return {};
    value = (value << 6) | (next & 0x3fu);
  }
  const u32 least = length == 2 ? 0x80u : length == 3 ? 0x800u : 0x10000u;
  if (value < least || !is_scalar_value(value)) return {};
  return {value, length};
}

void append_utf8(std::string& out, u32 value) {
  const auto byte = [&out](u32 b) { out += static_cast<char>(b); };
  if (value < 0x80) {
    byte(value);
  } else if (value < 0x800) {
    byte(0xc0u | (value >> 6));
    byte(0x80u | (value & 0x3fu));
  } else if (value < 0x10000) {
    byte(0xe0u | (value >> 12));
    byte(0x80u | ((value >> 6) & 0x3fu));
    byte(0x80u | (value & 0x3fu));
  } else {
    byte(0xf0u | (value >> 18));
    byte(0x80u | ((value >> 12) & 0x3fu));
    byte(0x80u | ((value >> 6) & 0x3fu));
    byte(0x80u | (value & 0x3fu));
  }
}

bool is_scalar_value(u32 value) {
  return value <= 0x10ffff && !(value >= 0xd800 && value <= 0xdfff);
}

bool is_name_start(u32 c) {
  if (c < 0x80) return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  if (c < 0xc0) return c == 0xaa || c == 0xb5 || c == 0xba;
  if (c == 0xd7 || c == 0xf7) return false;      // × ÷
  if (c >= 0x2000 && c <= 0x206f) return false;  // spaces, dashes, quotes
  if (c >= 0x2190 && c <= 0x2bff) return false;  // arrows, operators, boxes, shapes
  if (c >= 0x2e00 && c <= 0x303f) return false;  // more punctuation
  if (c >= 0xe000 && c <= 0xf8ff) return false;  // private use
  return !(c >= 0xfe00 && c <= 0xfe0f) && c != 0xfeff && c < 0xfff0;
}

bool is_name_part(u32 c) {
  return is_name_start(c) || (c >= '0' && c <= '9');
}

}  // namespace tl
