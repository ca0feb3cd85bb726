#include "tl/base/read_file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "tl/base/fail_point.h"
#include "tl/base/physical_memory.h"

namespace tl {

Result<std::string> read_whole_file(const std::string& path, size_t most) {
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "rb"));
  if (file == nullptr) return fail(Code::Io, "cannot read {}: {}", path, std::strerror(errno));
  return read_whole_file(file.get(), path, most);
}

Result<std::string> read_whole_file(std::FILE* in, const std::string& name, size_t most) {
  if (must_fail(FailPoint::Read)) return fail(Code::Io, "cannot read {}: failed on purpose", name);
  most = std::min(most, static_cast<size_t>(physical_memory_bytes() / 4));
  std::string text;
  std::array<char, 1 << 16> part;
  for (size_t n; (n = std::fread(part.data(), 1, part.size(), in)) > 0;) {
    if (n > most - text.size())
      return fail(Code::BadFile, "cannot read {}: it has more than {} bytes", name, most);
    text.append(part.data(), n);
  }
  if (std::ferror(in) != 0) return fail(Code::Io, "cannot read {}: {}", name, std::strerror(errno));
  return text;
}

}  // namespace tl
