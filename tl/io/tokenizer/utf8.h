// UTF-8 as the tokenizers see it: strict (no surrogates, no overlong forms), and text that is not UTF-8 made
// so without losing a byte: a stray byte 0x80..0xff becomes U+DC80..U+DCFF, which valid text never holds.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tl/base/types.h"

namespace tl::utf8 {

// Bytes of the valid character that `text` starts with, or 0.
size_t valid_length(std::string_view text);
bool is_valid(std::string_view text);
// How many bytes at the end of `text` may be the beginning of a character (0 to 3).
size_t unfinished_tail(std::string_view text);

// The character that starts at `text[at]`, which must be valid or one of ours for a stray byte.
struct Char {
  u32 code = 0;
  u32 length = 1;
};
Char decode(std::string_view text, size_t at);
void append(std::string& out, u32 code);

// White_Space of Unicode.
bool is_space(u32 code);

std::string escape_stray_bytes(std::string_view text);
// The byte that `code` stands for, if it stands for one.
inline std::optional<u8> stray_byte(u32 code) {
  if (code < 0xDC80 || code > 0xDCFF) return std::nullopt;
  return static_cast<u8>(code - 0xDC00);
}
// The same text with U+FFFD for every stray byte: for readers that take only UTF-8.
std::string replace_stray_bytes(std::string_view text);

}  // namespace tl::utf8
