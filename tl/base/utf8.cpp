#include "tl/base/utf8.h"

#include <algorithm>

namespace tl::utf8 {

namespace {

// What a first byte asks for: the length, and the range of the second byte that keeps the form strict.
struct Lead {
  u8 length = 0;
  u8 second_low = 0x80, second_high = 0xBF;
};

Lead lead_of(u8 byte) {
  if (byte < 0x80) return {1};
  if (byte < 0xC2) return {0};
  if (byte < 0xE0) return {2};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0};
}

bool continues(char byte) {
  return (static_cast<u8>(byte) & 0xC0) == 0x80;
}

// How many of the first bytes of `text` fit one character, at most its length.
size_t fitting(std::string_view text, const Lead& lead) {
  if (text.size() < 2) return text.size();
  const u8 second = static_cast<u8>(text[1]);
  if (second < lead.second_low || second > lead.second_high) return 1;
  size_t count = 2;
  while (count < lead.length && count < text.size() && continues(text[count])) ++count;
  return count;
}

}  // namespace

Char decode(std::string_view text, size_t at) {
  const u8 first = static_cast<u8>(text[at]);
  if (first < 0x80) return {first, 1};
  const Lead lead = lead_of(first);
  if (lead.length == 0 || fitting(text.substr(at), lead) != lead.length) return {};
  return decode_known(text, at);
}

Char decode_known(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) -> u32 { return at + i < text.size() ? static_cast<u8>(text[at + i]) : 0; };
  const u32 first = byte(0);
  if (first < 0x80) return {first, 1};
  if (first < 0xE0) return {(first & 0x1F) << 6 | (byte(1) & 0x3F), 2};
  if (first < 0xF0) return {(first & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), 3};
  return {(first & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F), 4};
}

void append(std::string& out, u32 code) {
  const auto put = [&](u32 byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6);
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

bool is_scalar_value(u32 code) {
  return code <= 0x10FFFF && !(code >= 0xD800 && code <= 0xDFFF);
}

bool is_valid(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const u32 length = decode(text, i).length;
    if (length == 0) return false;
    i += length;
  }
  return true;
}

size_t unfinished_tail(std::string_view text) {
  for (size_t size = 1; size <= std::min<size_t>(3, text.size()); ++size) {
    const std::string_view tail = text.substr(text.size() - size);
    const Lead lead = lead_of(static_cast<u8>(tail[0]));
    if (lead.length > size && fitting(tail, lead) == size) return size;
  }
  return 0;
}

size_t start_before(std::string_view text, size_t at) {
  --at;
  while (at > 0 && continues(text[at])) --at;
  return at;
}

i64 count_chars(std::string_view text) {
  i64 count = 0;
  for (size_t at = 0; at < text.size(); at += std::max(decode(text, at).length, 1u)) ++count;
  return count;
}

size_t char_offset(std::string_view text, i64 index) {
  size_t at = 0;
  for (; index > 0 && at < text.size(); --index) at += std::max(decode(text, at).length, 1u);
  return at;
}

bool is_space(u32 code) {
  return (code >= 9 && code <= 13) || code == 0x20 || code == 0x85 || code == 0xA0 || code == 0x1680 ||
         (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 || code == 0x202F ||
         code == 0x205F || code == 0x3000;
}

}  // namespace tl::utf8
