#include "tl/text/stray_bytes.h"

#include <algorithm>

#include "tl/base/utf8.h"

namespace tl::utf8 {

std::string escape_stray_bytes(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 16);
  for (size_t i = 0; i < text.size();) {
    const u32 length = decode(text, i).length;
    if (length == 0) append(out, code_of_stray_byte(text[i]));
    out.append(text, i, length);
    i += std::max(length, 1u);
  }
  return out;
}

}  // namespace tl::utf8
