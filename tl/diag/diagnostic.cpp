#include "tl/diag/diagnostic.h"

#include <algorithm>
#include <tuple>

#include "tl/base/check.h"

namespace tl {

static constexpr DiagInfo kInfos[] = {
#define TL_DIAG(code, name, severity, message) {#code, #name, Severity::severity, message},
#include "tl/diag/diag.def"
#undef TL_DIAG
};

const DiagInfo& info(DiagCode code) {
  TL_CHECK(static_cast<size_t>(code) < std::size(kInfos), "diagnostic code {}", int(code));
  return kInfos[static_cast<size_t>(code)];
}

const std::vector<DiagCode>& all_diag_codes() {
  static const std::vector<DiagCode> codes = [] {
    std::vector<DiagCode> all;
    for (size_t i = 0; i < std::size(kInfos); ++i) all.push_back(static_cast<DiagCode>(i));
    return all;
  }();
  return codes;
}

std::string Diagnostic::message() const {
  // By hand: fmt throws when an argument is missing, and we do not.
  const std::string_view pattern = info(code).message;
  std::string text;
  size_t next = 0;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const bool doubled = i + 1 < pattern.size() && pattern[i + 1] == pattern[i];
    if ((pattern[i] == '{' || pattern[i] == '}') && doubled) {
      text += pattern[i++];
    } else if (pattern[i] == '{') {
      TL_CHECK(next < args.size(), "{} has {} arguments", info(code).name, args.size());
      text += args[next++];
      ++i;  // the '}'
    } else {
      text += pattern[i];
    }
  }
  return text;
}

Diagnostic& Diagnostics::add(Diagnostic d) {
  (d.severity() == Severity::Error ? error_count_ : warning_count_)++;
  if (all_.size() >= kMaxKept) return overflow_ = std::move(d);
  return all_.emplace_back(std::move(d));
}

void Diagnostics::sort() {
  std::stable_sort(all_.begin(), all_.end(), [](const Diagnostic& a, const Diagnostic& b) {
    return std::tuple(a.primary.span.file, a.primary.span.begin) <
           std::tuple(b.primary.span.file, b.primary.span.begin);
  });
}

void Diagnostics::clear() {
  all_.clear();
  error_count_ = warning_count_ = 0;
}

}  // namespace tl
