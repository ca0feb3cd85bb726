// A file as read-only bytes of memory. Pages are read when touched; a file cut short while mapped cannot be
// read safely any more, so the size is taken once, at open, and check_whole() compares it again.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "tl/base/result.h"

namespace tl {

class MappedFile {
 public:
  // Maps a regular file (an empty one too). Fails with the path and the system's reason.
  static Result<MappedFile> open(const std::string& path);
  // Bytes owned by the caller, which must outlive this, under a name for messages: for tests and fuzzing.
  static MappedFile borrowed(std::span<const u8> bytes, std::string name);

  std::span<const u8> bytes() const { return bytes_; }
  const std::string& path() const { return path_; }

  // Fails if the file on disk no longer has the size it had at open.
  Result<void> check_whole() const;
  // Asks the system to read ahead. `part` is within bytes().
  void prefetch(std::span<const u8> part) const;
  // Drops whole pages of `part` from this process; touching them reads the file again.
  void release_pages(std::span<const u8> part) const;

 private:
  struct Mapping;
  MappedFile() = default;
  std::string path_;
  std::span<const u8> bytes_;
  std::shared_ptr<const Mapping> mapping_;  // none for borrowed bytes
};

}  // namespace tl
