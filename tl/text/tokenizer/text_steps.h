// The steps a text goes through before it is tokenized: a normalizer rewrites it, splits cut it into words.
// Descriptions here; Normalizer and Splitter run them.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tl/base/result.h"
#include "tl/base/types.h"
#include "tl/text/tokenizer/regex.h"

namespace tl {

struct NormalizerStep {
  enum class Kind : u8 {
    Prepend,  // puts `content` in front of a text that is not empty
    Replace,  // `pattern` by `content`, everywhere
    Nfc,      // the four normal forms of Unicode
    Nfd,
    Nfkc,
    Nfkd,
    Lowercase,
    StripLeft,  // spaces at the ends
    StripRight,
  };
  Kind kind = Kind::Prepend;
  std::string pattern = {};
  std::string content = {};
  bool is_regex = false;  // else `pattern` is taken as it is
};

struct SplitStep {
  enum class Kind : u8 {
    Cut,          // cuts at the matches of `pattern`
    PrefixSpace,  // puts a space in front of every part that has none
    Metaspace,    // spaces become `content`, which may also be put in front
    Spell,        // every byte becomes its character of the byte-level alphabet, until the words are done
  };
  // What happens to a match.
  enum class Matches : u8 { Isolated, Removed, JoinPrevious, JoinNext, Contiguous };
  enum class Prefix : u8 { Never, First, Always };

  Kind kind = Kind::Cut;
  std::string pattern = {};
  bool is_regex = true;  // else `pattern` is taken as it is
  Matches matches = Matches::Isolated;
  bool invert = false;  // what lies between the matches are the matches
  std::string content = {};
  Prefix prefix = Prefix::Never;
  bool cut = true;  // Metaspace: every `content` begins a word
};

class Normalizer {
 public:
  static Result<Normalizer> create(std::span<const NormalizerStep> steps);

  bool empty() const { return steps_.empty(); }
  // `text` as in Regex::find.
  Result<std::string> apply(std::string text) const;

 private:
  struct Step {
    NormalizerStep step;
    std::optional<Regex> regex = {};
  };
  std::vector<Step> steps_;
};

class Splitter {
 public:
  static Result<Splitter> create(std::span<const SplitStep> steps);

  // Calls `word` with each word, in order. `first`: this is where the whole text begins.
  Result<void> apply(std::string_view text, bool first,
                     const std::function<Result<void>(std::string_view)>& word) const;

 private:
  struct Step {
    SplitStep step;
    std::optional<Regex> regex = {};
  };
  std::vector<Step> steps_;
};

}  // namespace tl
