#include "tl/builtins/context.h"

#include <cerrno>
#include <cstring>

#include "tl/base/fail_point.h"

namespace tl::lang {

constexpr size_t kFlushAt = 1 << 14;  // bytes

FileOutput::~FileOutput() {
  (void)flush();
}

Result<void> FileOutput::write(std::string_view text) {
  buffer_ += text;
  return buffer_.size() < kFlushAt ? Result<void>() : flush();
}

Result<void> FileOutput::flush() {
  if (buffer_.empty()) return {};
  const bool on_purpose = must_fail(FailPoint::Write);
  const size_t written = on_purpose ? 0 : std::fwrite(buffer_.data(), 1, buffer_.size(), file_);
  const bool failed = written < buffer_.size() || std::fflush(file_) != 0;
  const int reason = on_purpose ? EIO : errno;
  buffer_.clear();
  if (!failed) return {};
  is_closed_ = is_closed_ || reason == EPIPE;
  return fail(Code::Io, "cannot write output: {}", std::strerror(reason));
}

}  // namespace tl::lang
