// The alphabet of byte-level vocabularies: every byte is spelled with one printable character. Printable
// Latin-1 bytes spell themselves, the other 68 take U+0100 onwards in order.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tl/base/types.h"

namespace tl::byte_level {

u32 char_of(u8 byte);
std::optional<u8> byte_of(u32 code);

// `bytes` spelled with the alphabet.
std::string spell(std::string_view bytes);
// The bytes that `piece` spells; empty if a character is not of the alphabet.
std::optional<std::string> unspell(std::string_view piece);

}  // namespace tl::byte_level
