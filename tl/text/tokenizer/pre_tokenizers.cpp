#include "tl/text/tokenizer/pre_tokenizers.h"

#include <algorithm>
#include <array>

namespace tl {

namespace {

constexpr const char* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
// The cased letters that the model's own list of ranges knows: those of the older scripts.
constexpr const char* kDeepseekLetters =
    R"(\s?(?:(?![\x{560}-\x{588}\x{10C7}-\x{10FF}\x{1C80}-\x{1C8F}\x{2D00}-\x{2D2D}\x{A790}-\x{A7FA})"
    R"(\x{AB30}-\x{AB68}\x{10570}-\x{105BC}\x{10D50}-\x{10D8F}\x{16E40}-\x{16EDF}\x{1D400}-\x{1D7CB})"
    R"(\x{1DF00}-\x{1DFFF}])\p{L&})++)";
constexpr const char* kDeepseekMarks =
    R"(\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002}]+)";
constexpr const char* kDeepseekCjk = R"([\x{800}-\x{9FA5}\x{AC00}-\x{D7FF}]+)";
constexpr const char* kFalconMarks = R"([\p{P}$+<=>^~|`]+)";

// How models spell the end of an answer; a file names at most two of them by id.
constexpr std::string_view kEndSpellings[] = {
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|end_of_text|>",
    "<|return|>",
    "<|call|>",
    "<EOT>",
    "[EOT]",
    "<|END_OF_TURN_TOKEN|>",
    "<｜end▁of▁sentence｜>",
};

struct Row {
  const char* names;  // separated by spaces
  std::array<const char*, 6> words;
  bool whole_words_first = false;
  bool add_bos = false;
};

// Each expression cuts the parts that the one before left.
constexpr Row kRows[] = {
    {"gpt-2 phi-2 mpt olmo jais", {kGpt2Words}},
    {"smollm starcoder refact command-r codeshell exaone minerva-7b", {R"(\p{N})", kGpt2Words}},
    {"llama-bpe llama3 llama-v3 falcon3 pixtral", {kLlama3}, true, true},
    {"dbrx smaug-bpe chatglm-bpe", {kLlama3}},
    {"qwen2 deepseek-r1-qwen stablelm2", {kQwen2}},
    {"deepseek-llm", {R"([\r\n])", kDeepseekLetters, kDeepseekMarks, R"(\s+$)", kDeepseekCjk, R"(\p{N}+)"}},
    {"deepseek-coder", {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", kDeepseekCjk, R"(\p{N})"}},
    {"falcon", {kFalconMarks, kGpt2Words, R"([0-9][0-9][0-9])"}},
    {"default", {R"([\p{P}$+<=>^~|]+)", kGpt2Words, R"(\p{N}+)", R"([0-9][0-9][0-9])"}},
};

std::vector<std::string_view> split_names(std::string_view names) {
  std::vector<std::string_view> out;
  while (!names.empty()) {
    const size_t end = std::min(names.find(' '), names.size());
    out.push_back(names.substr(0, end));
    names.remove_prefix(std::min(end + 1, names.size()));
  }
  return out;
}

}  // namespace

Result<PreTokenizer> find_pre_tokenizer(std::string_view name) {
  for (const Row& row : kRows) {
    for (const std::string_view known : split_names(row.names)) {
      if (known != name) continue;
      PreTokenizer found{.splits = {}, .whole_words_first = row.whole_words_first, .add_bos = row.add_bos};
      for (const char* words : row.words) {
        if (words != nullptr) found.splits.push_back({.pattern = words});
      }
      return found;
    }
  }
  return fail(Code::Unsupported, "pre-tokenizer '{}' is not supported (want one of {})", name,
              fmt::join(pre_tokenizer_names(), ", "));
}

std::span<const std::string_view> end_spellings() {
  return kEndSpellings;
}

std::vector<std::string_view> pre_tokenizer_names() {
  std::vector<std::string_view> names;
  for (const Row& row : kRows) {
    for (const std::string_view name : split_names(row.names)) names.push_back(name);
  }
  return names;
}

}  // namespace tl
