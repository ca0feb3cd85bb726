#include "tl/base/utf8.h"

#include <gtest/gtest.h>

namespace tl::utf8 {
namespace {

constexpr std::string_view kNotUtf8[] = {
    "\x80", "\xc3",    "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
    "\xf8", "\xe2\x82"};

TEST(Utf8, EveryScalarValueComesBack) {
  for (u32 code = 0; code <= 0x10FFFF; ++code) {
    std::string text;
    append(text, code);
    const Char c = decode(text, 0);
    if (!is_scalar_value(code)) {
      ASSERT_EQ(c.length, 0u) << code;
      ASSERT_EQ(decode_known(text, 0).code, code);
      continue;
    }
    ASSERT_EQ(c.code, code);
    ASSERT_EQ(c.length, text.size());
    ASSERT_EQ(decode_known(text, 0).length, text.size());
    ASSERT_EQ(start_before("a" + text, 1 + text.size()), 1u);
  }
}

TEST(Utf8, IsStrict) {
  for (const char* text : {"", "a", "\u00e9", "\u20ac", "\U0001f600", "\ue000", "\ufffd"}) {
    EXPECT_TRUE(is_valid(text)) << text;
  }
  for (const std::string_view text : kNotUtf8) {
    EXPECT_FALSE(is_valid(text));
    EXPECT_EQ(decode(text, 0).length, 0u);
  }
}

TEST(Utf8, UnfinishedTail) {
  EXPECT_EQ(unfinished_tail("a\xf0\x9f\x98"), 3u);
  EXPECT_EQ(unfinished_tail("a\xe2\x82"), 2u);
  EXPECT_EQ(unfinished_tail("a\xed\xa0"), 0u);
  EXPECT_EQ(unfinished_tail("\u20ac"), 0u);
}

TEST(Utf8, EachByteThatIsNotUtf8CountsAsOneChar) {
  for (const std::string_view text : kNotUtf8) {
    EXPECT_EQ(count_chars(text), static_cast<i64>(text.size()));
    EXPECT_EQ(char_offset(text, 1), 1u);
  }
  EXPECT_EQ(count_chars("a\u20ac\xff\U0001f600"), 4);
  EXPECT_EQ(char_offset("a\u20ac\xff\U0001f600", 3), 5u);
  EXPECT_EQ(char_offset("ab", 7), 2u);
}

}  // namespace
}  // namespace tl::utf8
