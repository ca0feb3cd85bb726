// The names that model files rely on without explaining them: one table of pre-tokenizers and their regular
// expressions, one of the tokens that end an answer.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tl/base/result.h"
#include "tl/text/tokenizer/text_steps.h"

namespace tl {

struct PreTokenizer {
  std::vector<SplitStep> splits;
  bool whole_words_first = false;
  bool add_bos = false;  // where the file does not say
};

// Fails with the name if it is not in the table.
Result<PreTokenizer> find_pre_tokenizer(std::string_view name);
// In the table's order.
std::vector<std::string_view> pre_tokenizer_names();

// The spellings of tokens that end an answer, whichever of them a file names by id.
std::span<const std::string_view> end_spellings();

// The pre-tokenizer of GPT-2, which tokenizer.json files imply without spelling it.
inline constexpr const char* kGpt2Words =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

}  // namespace tl
