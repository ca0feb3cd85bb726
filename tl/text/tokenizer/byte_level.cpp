#include "tl/text/tokenizer/byte_level.h"

#include <array>

#include "tl/base/utf8.h"

namespace tl::byte_level {

namespace {

constexpr u32 kAlphabetEnd = 0x144;

constexpr bool spells_itself(u32 byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xFF && byte != 0xAD);
}

struct Alphabet {
  std::array<u16, 256> chars{};
  std::array<i16, kAlphabetEnd> bytes{};

  constexpr Alphabet() {
    bytes.fill(-1);
    u32 next = 0x100;
    for (u32 byte = 0; byte < 256; ++byte) {
      chars[byte] = static_cast<u16>(spells_itself(byte) ? byte : next++);
      bytes[chars[byte]] = static_cast<i16>(byte);
    }
  }
};
constexpr Alphabet kAlphabet;

}  // namespace

u32 char_of(u8 byte) {
  return kAlphabet.chars[byte];
}

std::optional<u8> byte_of(u32 code) {
  if (code >= kAlphabetEnd || kAlphabet.bytes[code] < 0) return std::nullopt;
  return static_cast<u8>(kAlphabet.bytes[code]);
}

std::string spell(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) utf8::append(out, char_of(static_cast<u8>(c)));
  return out;
}

std::optional<std::string> unspell(std::string_view piece) {
  std::string out;
  for (size_t i = 0; i < piece.size();) {
    const auto [code, length] = utf8::decode_known(piece, i);
    const std::optional<u8> byte = byte_of(code);
    if (!byte) return std::nullopt;
    out += static_cast<char>(*byte);
    i += length;
  }
  return out;
}

}  // namespace tl::byte_level
