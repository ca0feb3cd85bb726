// UTF-8, one character at a time and strictly: no surrogates, no overlong forms. Bytes that are not UTF-8 are
// the caller's to judge; the tokenizers escape them (tl/text/stray_bytes.h).
#pragma once

#include <string>
#include <string_view>

#include "tl/base/types.h"

namespace tl::utf8 {

struct Char {
  u32 code = 0;
  u32 length = 0;  // bytes; 0: not UTF-8
};
// The character that starts at `text[at]`, which is within the text.
Char decode(std::string_view text, size_t at);
// The same for text known to be UTF-8 but for surrogates written in three bytes (they pass).
Char decode_known(std::string_view text, size_t at);
// Writes a surrogate in three bytes: is_scalar_value tells.
void append(std::string& out, u32 code);
bool is_scalar_value(u32 code);

bool is_valid(std::string_view text);
// How many bytes at the end of `text` may be the beginning of a character (0 to 3).
size_t unfinished_tail(std::string_view text);
// Where the character before `at`, which is not 0, starts in text known to be UTF-8.
size_t start_before(std::string_view text, size_t at);

// Characters, where a byte that is not UTF-8 counts as one.
i64 count_chars(std::string_view text);
// The byte offset of character `index`; the size where there are fewer.
size_t char_offset(std::string_view text, i64 index);

// White_Space of Unicode.
bool is_space(u32 code);

}  // namespace tl::utf8
