// Problems of a program as values: codes (diag.def), labels with spans, the sink they go to. Printing is
// print.h's.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tl/base/span.h"

namespace tl {

enum class DiagCode : u16 {
#define TL_DIAG(code, name, severity, message) name,
#include "tl/diag/diag.def"
#undef TL_DIAG
};
enum class Severity : u8 { Error, Warning };

struct DiagInfo {
  std::string_view code;  // "E0203"
  std::string_view name;  // "InnerDims"
  Severity severity;
  std::string_view message;  // with {} placeholders
};
const DiagInfo& info(DiagCode code);
// Every code, in diag.def's order.
const std::vector<DiagCode>& all_diag_codes();

struct Label {
  Span span;         // nowhere: a note about the whole
  std::string text;  // empty: underline only
};

// One problem, as a value. The CLI, the REPL, the LSP and the golden tests all print this same value.
struct Diagnostic {
  DiagCode code{};                // fixes severity and message text, see diag.def
  std::vector<std::string> args;  // fills the message's placeholders
  Label primary;
  std::vector<Label> related;  // "first defined here", "this operand is [2, 3]"; notes when without a span
  std::optional<Label> replacement;  // an edit an editor may apply: the span's text becomes `text`

  Severity severity() const { return info(code).severity; }
  std::string message() const;

  template <typename... Args>
  Diagnostic& also(Span span, fmt::format_string<Args...> format, Args&&... values) {
    related.push_back({span, fmt::format(format, std::forward<Args>(values)...)});
    return *this;
  }
  // A line after the source: what to do about it.
  template <typename... Args>
  Diagnostic& note(fmt::format_string<Args...> format, Args&&... values) {
    return also(Span{}, format, std::forward<Args>(values)...);
  }
  Diagnostic& replace(Span span, std::string text) {
    replacement = Label{span, std::move(text)};
    return *this;
  }
};

// Where every stage reports. Keeps the first kMaxKept; counts all. Not for several threads.
class Diagnostics {
 public:
  static constexpr size_t kMaxKept = 200;

  // Adds one; the reference is good until the next report.
  template <typename... Args>
  Diagnostic& report(DiagCode code, Span where, const Args&... args) {
    return add(Diagnostic{code, {fmt::format("{}", args)...}, {where, {}}, {}, {}});
  }
  Diagnostic& add(Diagnostic d);

  const std::vector<Diagnostic>& all() const { return all_; }
  bool empty() const { return error_count_ + warning_count_ == 0; }
  bool has_errors() const { return error_count_ > 0; }
  size_t error_count() const { return error_count_; }
  size_t warning_count() const { return warning_count_; }
  // In order of file and place; equal places keep the order of reporting.
  void sort();
  void clear();

 private:
  std::vector<Diagnostic> all_;
  Diagnostic overflow_;  // what report() returns once full
  size_t error_count_ = 0, warning_count_ = 0;
};

}  // namespace tl
