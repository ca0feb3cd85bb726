// Failures of the world (files, memory, devices) as values. Mistakes in a program are Diagnostics, ours are
// TL_CHECKs.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "tl/base/check.h"
#include "tl/base/span.h"

namespace tl {

// What kind of failure: decides the exit code (`exit_code_of`) and what a program may catch.
enum class Code : u8 {
  BadFile,      // a file does not hold what it should
  Unsupported,  // right, but not implemented
  Io,           // the operating system refused (missing file, full disk)
  OutOfMemory,
  Device,       // the device failed
  BadProgram,   // the running program is wrong (shapes, indices, types)
  Interrupted,  // Ctrl-C
};

struct [[nodiscard]] Error {
  // Another place of the program that has to do with it.
  struct Note {
    std::string text;
    Span where = {};
  };
  Code code = Code::BadProgram;
  std::string message;  // lower case, one clause, no full stop; names the culprit
  Span where = {};      // the program's line, when one is to blame
  std::vector<Note> also = {};

  Error&& at(Span span) && {
    if (!where) where = span;
    return std::move(*this);
  }
  // "message" becomes "prefix: message".
  Error&& within(std::string_view prefix) && {
    message = fmt::format("{}: {}", prefix, message);
    return std::move(*this);
  }
};

template <typename... Args>
Error fail(Code code, fmt::format_string<Args...> format, Args&&... args) {
  return Error{code, fmt::format(format, std::forward<Args>(args)...)};
}

template <typename T>
class [[nodiscard]] Result {
 public:
  using Value = T;
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & { return checked(); }
  const T& value() const& { return const_cast<Result*>(this)->checked(); }
  T&& value() && { return std::move(checked()); }
  T& operator*() & { return checked(); }
  T&& operator*() && { return std::move(checked()); }
  T* operator->() { return &checked(); }
  Error& error() & { return std::get<1>(state_); }
  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  T& checked() {
    TL_CHECK(ok(), "result holds an error: {}", std::get<1>(state_).message);
    return std::get<0>(state_);
  }
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  using Value = void;
  Result() = default;
  Result(Error error) : failed_(true), error_(std::move(error)) {}

  bool ok() const { return !failed_; }
  explicit operator bool() const { return ok(); }
  Error& error() & { return error_; }
  const Error& error() const& { return error_; }
  Error&& error() && { return std::move(error_); }

 private:
  bool failed_ = false;
  Error error_;
};

}  // namespace tl

#define TL_CONCAT_(a, b) a##b
#define TL_CONCAT(a, b) TL_CONCAT_(a, b)

// TL_TRY(const u32 magic, in.read_u32()): declares `magic`, or returns the error from this function.
#define TL_TRY(declaration, ...) TL_TRY_IMPL_(TL_CONCAT(tl_result_, __LINE__), declaration, __VA_ARGS__)
#define TL_TRY_IMPL_(result, declaration, ...)        \
  auto result = (__VA_ARGS__);                        \
  if (!result.ok()) return std::move(result).error(); \
  declaration = std::move(result).value()

// TL_TRY_DO(flush()): for results without a value.
#define TL_TRY_DO(...)                                                                                    \
  do {                                                                                                    \
    if (auto tl_result_do_ = (__VA_ARGS__); !tl_result_do_.ok()) return std::move(tl_result_do_).error(); \
  } while (false)
