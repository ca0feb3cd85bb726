#include "tl/io/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <system_error>

#include "tl/base/fail_point.h"

namespace tl {

// Owns the descriptor (kept for check_whole) and the pages.
struct MappedFile::Mapping {
  int fd = -1;
  void* data = nullptr;
  size_t size = 0;

  Mapping() = default;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    if (data != nullptr) ::munmap(data, size);
    if (fd >= 0) ::close(fd);
  }
};

namespace {

std::string reason(int error) {
  return std::generic_category().message(error);
}

Error system_error(const std::string& path, const char* what) {
  return fail(Code::Io, "{}: cannot {}: {}", path, what, reason(errno));
}

struct Extent {
  u8* start = nullptr;
  size_t size = 0;
};

// The whole pages inside `part`, or, if `outward`, the pages it touches.
Extent pages_of(std::span<const u8> part, bool outward) {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(part.data()), end = begin + part.size();
  const uintptr_t first = (outward ? begin : begin + page - 1) / page * page;
  const uintptr_t last = outward ? end : end / page * page;
  if (part.empty() || first >= last) return {};
  return {reinterpret_cast<u8*>(first), last - first};
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::string& path) {
  if (must_fail(FailPoint::Read)) return fail(Code::Io, "{}: cannot open file: failed on purpose", path);
  auto mapping = std::make_shared<Mapping>();
  // Non-blocking, so that a pipe without a writer is refused below and not waited for.
  mapping->fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (mapping->fd < 0) return system_error(path, "open file");
  struct stat status {};
  if (::fstat(mapping->fd, &status) != 0) return system_error(path, "read the file's size");
  if (S_ISDIR(status.st_mode)) return fail(Code::Io, "{}: is a directory (want a file)", path);
  if (!S_ISREG(status.st_mode)) return fail(Code::Io, "{}: is not a regular file", path);
  if (static_cast<u64>(status.st_size) > std::numeric_limits<size_t>::max() / 2) {
    return fail(Code::Unsupported, "{}: {} bytes do not fit in this machine's memory map", path,
                status.st_size);
  }

  MappedFile file;
  file.path_ = path;
  if (status.st_size > 0) {
    mapping->size = static_cast<size_t>(status.st_size);
    if (must_fail(FailPoint::Map)) return fail(Code::Io, "{}: cannot map file: failed on purpose", path);
    void* data = ::mmap(nullptr, mapping->size, PROT_READ, MAP_PRIVATE, mapping->fd, 0);
    if (data == MAP_FAILED) return system_error(path, "map file");
    mapping->data = data;
    file.bytes_ = {static_cast<const u8*>(data), mapping->size};
  }
  file.mapping_ = std::move(mapping);
  return file;
}

MappedFile MappedFile::borrowed(std::span<const u8> bytes, std::string name) {
  MappedFile file;
  file.path_ = std::move(name);
  file.bytes_ = bytes;
  return file;
}

Result<void> MappedFile::check_whole() const {
  if (!mapping_) return {};
  struct stat status {};
  if (::fstat(mapping_->fd, &status) != 0) return system_error(path_, "read the file's size");
  if (static_cast<u64>(status.st_size) != bytes_.size()) {
    return fail(Code::Io, "{}: file has {} bytes, but had {} when it was opened", path_, status.st_size,
                bytes_.size());
  }
  return {};
}

// Advice may be refused (an old kernel, locked memory); nothing depends on it.
void MappedFile::prefetch(std::span<const u8> part) const {
  const Extent e = pages_of(part, true);
  if (mapping_ && e.size > 0) (void)::madvise(e.start, e.size, MADV_WILLNEED);
}

void MappedFile::release_pages(std::span<const u8> part) const {
  const Extent e = pages_of(part, false);
  if (mapping_ && e.size > 0) (void)::madvise(e.start, e.size, MADV_DONTNEED);
}

}  // namespace tl
