// TL_CHECK: our own mistakes stop the program with values and a stack, in release builds too.
#pragma once

#include <fmt/format.h>

#include <string>

namespace tl {

[[noreturn]] void check_failed(const char* file, int line, const char* condition, const std::string& message);

}  // namespace tl

#define TL_CHECK(condition, ...)                                                         \
  do {                                                                                   \
    if (!(condition)) [[unlikely]]                                                       \
      ::tl::check_failed(__FILE__, __LINE__, #condition, ::fmt::format("" __VA_ARGS__)); \
  } while (false)

#ifdef NDEBUG
#define TL_DCHECK(condition, ...) \
  do {                            \
  } while (false)
#else
#define TL_DCHECK(condition, ...) TL_CHECK(condition, __VA_ARGS__)
#endif
