// UTF-8, one code point at a time.
#pragma once

#include <string>
#include <string_view>

#include "tl/base/types.h"

namespace tl {

struct CodePoint {
  u32 value = 0;
  u32 length = 0;  // bytes; 0 when the bytes are not UTF-8 (also overlong forms and surrogates)
};
CodePoint decode_utf8(std::string_view text, size_t at);
// `value` must be a Unicode scalar value.
void append_utf8(std::string& out, u32 value);
bool is_scalar_value(u32 value);

bool is_name_start(u32 c);
bool is_name_part(u32 c);  // not the primes that may end a name

}  // namespace tl
