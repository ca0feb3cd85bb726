// Takes little-endian values off the front of bytes that may be hostile: every read is checked against what
// is left.
#pragma once

#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "tl/base/result.h"

namespace tl {

// Text from a file, for a message: in quotes, unprintable bytes as \x.., cut after 64 bytes.
std::string in_quotes(std::string_view text);

class ByteReader {
 public:
  explicit ByteReader(std::span<const u8> bytes) : bytes_(bytes) {}

  u64 offset() const { return offset_; }
  u64 left() const { return bytes_.size() - offset_; }

  Result<std::span<const u8>> take(u64 size) {
    if (size > left()) return too_short(size);
    const auto part = bytes_.subspan(offset_, size);
    offset_ += size;
    return part;
  }
  template <typename T>
  Result<T> read() {
    T value;
    if (sizeof value > left()) return too_short(sizeof value);
    std::memcpy(&value, bytes_.data() + offset_, sizeof value);
    offset_ += sizeof value;
    return value;
  }
  // A u64 length and that many bytes.
  Result<std::string_view> read_string();

 private:
  Error too_short(u64 wanted) const;
  std::span<const u8> bytes_;
  u64 offset_ = 0;
};

}  // namespace tl
