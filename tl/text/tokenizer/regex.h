// A compiled regular expression, in the dialect tokenizer.json files use (Oniguruma's), run by PCRE2.
// Searching takes time linear in the text for every pattern of the built-in pre-tokenizers.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tl/base/result.h"
#include "tl/base/types.h"

namespace tl {

class Regex {
 public:
  struct Match {
    size_t begin = 0, end = 0;  // bytes
  };

  // Fails if the pattern is wrong or uses what PCRE2 reads differently.
  static Result<Regex> compile(std::string_view pattern);
  // Matches `text` as it is.
  static Result<Regex> literal(std::string_view text);

  // The first match that starts at or after `from`; empty if there is none. `text` must be valid UTF-8, stray
  // bytes escaped (see utf8.h). Fails only if the pattern needs more steps than its limit. Any thread.
  Result<std::optional<Match>> find(std::string_view text, size_t from) const;

  const std::string& pattern() const { return pattern_; }

 private:
  struct Code;
  static Result<Regex> build(std::string_view shown, std::string_view pattern, u32 options);
  Regex(std::string pattern, std::shared_ptr<const Code> code)
      : pattern_(std::move(pattern)), code_(std::move(code)) {}

  std::string pattern_;
  std::shared_ptr<const Code> code_;
};

}  // namespace tl
