// A file being written that appears under its name only when it is whole: an error, Ctrl-C or a kill before
// commit() leaves whatever was there before. Devices and pipes are written in place.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tl/base/result.h"

namespace tl {

class AtomicFile {
 public:
  // Fails if `path` cannot be written. Errors of all members name the path and the system's reason.
  static Result<AtomicFile> create(const std::string& path);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&& other) noexcept;
  ~AtomicFile();  // gives up what is not committed

  const std::string& path() const { return path_; }
  // Appends, through a buffer: a full disk may show only in a later call.
  Result<void> write(std::span<const u8> bytes);
  Result<void> write(std::string_view text);
  // Replaces bytes that were written before.
  Result<void> rewrite(u64 offset, std::span<const u8> bytes);
  // Writes what is buffered, and gives the file its name. The last call. (Does not wait for the disk.)
  Result<void> commit();

 private:
  enum class Mode : u8 {
    InPlace,
    Unnamed,
    Partial
  };  // Partial: under a name of its own, for old file systems
  AtomicFile() = default;
  Result<void> open_target();
  Result<void> flush();
  Result<void> give_name();
  Error system_error(const char* what) const;
  void discard();

  std::string path_;    // as the caller gave it
  std::string target_;  // symbolic links resolved
  std::string partial_;
  int fd_ = -1;
  Mode mode_ = Mode::InPlace;
  std::vector<u8> buffer_;
};

}  // namespace tl
