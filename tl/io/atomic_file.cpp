#include "tl/io/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "tl/base/fail_point.h"

namespace tl {
namespace {

constexpr size_t kBufferBytes = 1 << 20;
constexpr mode_t kMode = 0666;  // less the umask

// As if the disk had failed.
bool fails_on_purpose() {
  if (!must_fail(FailPoint::Write)) return false;
  errno = EIO;
  return true;
}

// Writes all of `bytes`, at `offset` or, if that is negative, where the file is. False with errno set.
bool write_all(int fd, std::span<const u8> bytes, i64 offset) {
  if (!bytes.empty() && fails_on_purpose()) return false;
  while (!bytes.empty()) {
    const ssize_t n = offset < 0 ? ::write(fd, bytes.data(), bytes.size())
                                 : ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    if (offset >= 0) offset += n;
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return true;
}

std::string descriptor_path(int fd) {
  return fmt::format("/proc/self/fd/{}", fd);
}

std::string partial_name(const std::string& target) {
  static std::atomic<u32> counter{0};
  return fmt::format("{}.{}-{}.part", target, ::getpid(), counter++);
}

}  // namespace

Error AtomicFile::system_error(const char* what) const {
  return fail(Code::Io, "{}: cannot {}: {}", path_, what, std::generic_category().message(errno));
}

Result<AtomicFile> AtomicFile::create(const std::string& path) {
  AtomicFile file;
  file.path_ = file.target_ = path;
  std::error_code ignored;  // a link to nowhere is replaced by the file
  if (auto real = std::filesystem::canonical(path, ignored); !ignored) file.target_ = real.string();
  TL_TRY_DO(file.open_target());
  return file;
}

Result<void> AtomicFile::open_target() {
  if (fails_on_purpose()) return system_error("open file");
  struct stat status {};
  const bool exists = ::stat(target_.c_str(), &status) == 0;
  if (exists && S_ISDIR(status.st_mode)) return fail(Code::Io, "{}: is a directory (want a file)", path_);
  if (exists && !S_ISREG(status.st_mode)) {
    fd_ = ::open(target_.c_str(), O_WRONLY | O_CLOEXEC);
    return fd_ < 0 ? Result<void>(system_error("open file")) : Result<void>();
  }
  if (exists && ::access(target_.c_str(), W_OK) != 0) return system_error("write file");

  const std::string parent = std::filesystem::path(target_).parent_path().string();
  const bool can_name = ::access("/proc/self/fd", X_OK) == 0;
  if (can_name) fd_ = ::open(parent.empty() ? "." : parent.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, kMode);
  mode_ = Mode::Unnamed;
  if (fd_ >= 0) return {};
  mode_ = Mode::Partial;
  partial_ = partial_name(target_);
  fd_ = ::open(partial_.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, kMode);
  if (fd_ >= 0) return {};
  partial_.clear();
  return system_error("create file");
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept {
  *this = std::move(other);
}

AtomicFile& AtomicFile::operator=(AtomicFile&& other) noexcept {
  if (this == &other) return *this;
  discard();
  path_ = std::move(other.path_);
  target_ = std::move(other.target_);
  partial_ = std::exchange(other.partial_, {});
  fd_ = std::exchange(other.fd_, -1);
  mode_ = other.mode_;
  buffer_ = std::exchange(other.buffer_, {});
  return *this;
}

AtomicFile::~AtomicFile() {
  discard();
}

void AtomicFile::discard() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  if (!partial_.empty()) ::unlink(partial_.c_str());
  partial_.clear();
}

Result<void> AtomicFile::flush() {
  TL_CHECK(fd_ >= 0, "{} is written after commit", path_);
  const std::vector<u8> bytes = std::exchange(buffer_, {});
  if (!write_all(fd_, bytes, -1)) return system_error("write file");
  return {};
}

Result<void> AtomicFile::write(std::span<const u8> bytes) {
  if (buffer_.size() + bytes.size() > kBufferBytes) TL_TRY_DO(flush());
  if (bytes.size() < kBufferBytes) {
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  } else if (!write_all(fd_, bytes, -1)) {
    return system_error("write file");
  }
  return {};
}

Result<void> AtomicFile::write(std::string_view text) {
  return write(std::span(reinterpret_cast<const u8*>(text.data()), text.size()));
}

Result<void> AtomicFile::rewrite(u64 offset, std::span<const u8> bytes) {
  TL_TRY_DO(flush());
  if (!write_all(fd_, bytes, static_cast<i64>(offset))) return system_error("write file");
  return {};
}

Result<void> AtomicFile::commit() {
  TL_TRY_DO(flush());
  TL_TRY_DO(give_name());
  const int fd = std::exchange(fd_, -1);
  partial_.clear();
  if (::close(fd) != 0) return system_error("write file");
  return {};
}

Result<void> AtomicFile::give_name() {
  if (mode_ == Mode::InPlace) return {};
  if (fails_on_purpose()) return system_error("create file");
  if (mode_ == Mode::Unnamed) {
    const std::string self = descriptor_path(fd_);
    if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, target_.c_str(), AT_SYMLINK_FOLLOW) == 0) return {};
    if (errno != EEXIST) return system_error("create file");
    // A link never replaces a file, a rename does.
    const std::string partial = partial_name(target_);
    if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, partial.c_str(), AT_SYMLINK_FOLLOW) != 0) {
      return system_error("create file");
    }
    partial_ = partial;
  }
  if (::rename(partial_.c_str(), target_.c_str()) != 0) return system_error("replace file");
  return {};
}

}  // namespace tl
