// Text that is not UTF-8 made so without losing a byte: a stray byte 0x80..0xff becomes U+DC80..U+DCFF, which
// valid text never holds. Escaped text is read by utf8::decode_known.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tl/base/types.h"

namespace tl::utf8 {

std::string escape_stray_bytes(std::string_view text);
inline u32 code_of_stray_byte(char byte) {
  return 0xDC00u + static_cast<u8>(byte);
}
// The byte that `code` stands for, if it stands for one.
inline std::optional<u8> stray_byte(u32 code) {
  if (code < 0xDC80 || code > 0xDCFF) return std::nullopt;
  return static_cast<u8>(code - 0xDC00);
}

}  // namespace tl::utf8
