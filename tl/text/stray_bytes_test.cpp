#include "tl/text/stray_bytes.h"

#include <gtest/gtest.h>

#include "tl/base/utf8.h"

namespace tl::utf8 {
namespace {

TEST(StrayBytes, EscapingLosesNoneAndGivesBackEach) {
  const std::string text = "a\xff\xe2\x82\xac\xed\xa0\x80\xe2\x82";  // a, stray, €, a surrogate, half of €
  const std::string escaped = escape_stray_bytes(text);
  std::string back;
  for (size_t i = 0; i < escaped.size();) {
    const Char c = decode_known(escaped, i);
    if (const auto byte = stray_byte(c.code)) {
      back += static_cast<char>(*byte);
    } else {
      back += escaped.substr(i, c.length);
    }
    i += c.length;
  }
  EXPECT_EQ(back, text);
  EXPECT_EQ(escape_stray_bytes("a\u20ac\U0001f600"), "a\u20ac\U0001f600") << "valid text stays as it is";
  EXPECT_EQ(stray_byte(code_of_stray_byte('\x80')), 0x80);
  EXPECT_EQ(stray_byte(0xDC7F), std::nullopt);
}

}  // namespace
}  // namespace tl::utf8
