#include "tl/io/byte_reader.h"

#include <bit>

namespace tl {

static_assert(std::endian::native == std::endian::little, "the file formats are little-endian");

std::string in_quotes(std::string_view text) {
  constexpr size_t kShown = 64;
  std::string out = "'";
  for (const char c : text.substr(0, kShown)) {
    const u8 byte = static_cast<u8>(c);
    if (byte < 0x20 || byte >= 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + (text.size() > kShown ? "…'" : "'");
}

Result<std::string_view> ByteReader::read_string() {
  const u64 start = offset_;
  TL_TRY(const u64 length, read<u64>());
  if (length > left()) {
    return fail(Code::BadFile,
                "string at byte {} is {} bytes long, but the file ends {} bytes after its length", start,
                length, left());
  }
  TL_TRY(const auto bytes, take(length));
  return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

Error ByteReader::too_short(u64 wanted) const {
  return fail(Code::BadFile, "file ends too early: {} bytes left at byte {} (want {})", left(), offset_,
              wanted);
}

}  // namespace tl
