#include "tl/io/tokenizer/utf8.h"

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

// How many of the first bytes of `text` fit one character, at most its length.
size_t fitting(std::string_view text, const Lead& lead) {
  if (text.size() < 2) return text.size();
  const u8 second = static_cast<u8>(text[1]);
  if (second < lead.second_low || second > lead.second_high) return 1;
  size_t count = 2;
  while (count < lead.length && count < text.size() && (static_cast<u8>(text[count]) & 0xC0) == 0x80) ++count;
  return count;
}

std::string map_stray_bytes(std::string_view text, u32 (*replacement)(u8)) {
  std::string out;
  out.reserve(text.size() + 16);
  for (size_t i = 0; i < text.size();) {
    const size_t length = valid_length(text.substr(i));
    if (length == 0) append(out, replacement(static_cast<u8>(text[i])));
    out.append(text, i, length);
    i += std::max<size_t>(length, 1);
  }
  return out;
}

}  // namespace

size_t valid_length(std::string_view text) {
  if (text.empty()) return 0;
  const Lead lead = lead_of(static_cast<u8>(text[0]));
  if (lead.length <= 1) return lead.length;
  return fitting(text, lead) == lead.length ? lead.length : 0;
}

bool is_valid(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const size_t length = static_cast<u8>(text[i]) < 0x80 ? 1 : valid_length(text.substr(i));
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

Char decode(std::string_view text, size_t at) {
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

bool is_space(u32 code) {
  return (code >= 9 && code <= 13) || code == 0x20 || code == 0x85 || code == 0xA0 || code == 0x1680 ||
         (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 || code == 0x202F ||
         code == 0x205F || code == 0x3000;
}

std::string escape_stray_bytes(std::string_view text) {
  return map_stray_bytes(text, [](u8 byte) -> u32 { return 0xDC00u + byte; });
}

std::string replace_stray_bytes(std::string_view text) {
  return map_stray_bytes(text, [](u8) -> u32 { return 0xFFFD; });
}

}  // namespace tl::utf8
