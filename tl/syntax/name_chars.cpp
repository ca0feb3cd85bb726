#include "tl/syntax/name_chars.h"

namespace tl {

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
