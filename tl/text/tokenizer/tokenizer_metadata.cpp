#include "tl/text/tokenizer/tokenizer_metadata.h"

#include <algorithm>
#include <optional>

#include "tl/text/tokenizer/pre_tokenizers.h"

namespace tl {

namespace {

constexpr std::string_view kModel = "tokenizer.ggml.model";
constexpr std::string_view kPre = "tokenizer.ggml.pre";
constexpr std::string_view kTokens = "tokenizer.ggml.tokens";
constexpr std::string_view kTypes = "tokenizer.ggml.token_type";
constexpr std::string_view kScores = "tokenizer.ggml.scores";
constexpr std::string_view kMerges = "tokenizer.ggml.merges";
constexpr std::string_view kAddSpacePrefix = "tokenizer.ggml.add_space_prefix";
constexpr std::string_view kAddBos = "tokenizer.ggml.add_bos_token";
constexpr std::string_view kAddEos = "tokenizer.ggml.add_eos_token";
constexpr std::string_view kChatTemplate = "tokenizer.chat_template";

// The id under `key`; none if it is missing or, as in some files, not of the vocabulary.
Result<TokenId> read_id(const MetadataView& metadata, std::string_view key, size_t count, TokenId otherwise) {
  if (otherwise >= count) otherwise = kNoToken;
  if (!metadata.has(key)) return otherwise;
  TL_TRY(const u64 id, metadata.get_u64(key));
  return id < count ? static_cast<TokenId>(id) : otherwise;
}

Result<bool> read_flag(const MetadataView& metadata, std::string_view key, bool otherwise) {
  return metadata.has(key) ? metadata.get_bool(key) : Result<bool>(otherwise);
}

Result<void> read_pieces(const MetadataView& metadata, TokenizerSpec& spec) {
  TL_TRY(spec.pieces, metadata.get_strings(kTokens));
  const size_t count = spec.pieces.size();
  spec.types.assign(count, TokenType::Normal);
  if (metadata.has(kTypes)) {
    TL_TRY(const std::vector<i64> types, metadata.get_i64s(kTypes));
    if (types.size() != count) {
      return fail(Code::BadFile, "{} has {} elements, {} has {}", kTypes, types.size(), kTokens, count);
    }
    for (size_t i = 0; i < count; ++i) {
      if (types[i] < 0 || types[i] > 6) {
        return fail(Code::BadFile, "{}[{}] is {} (want 1 to 6)", kTypes, i, types[i]);
      }
      if (types[i] != 0) spec.types[i] = static_cast<TokenType>(types[i]);
    }
  }
  const std::span<const std::string_view> ends = end_spellings();
  for (TokenId id = 0; id < count; ++id) {
    TokenType& type = spec.types[id];
    // Some files call such a token user-defined; then any text that holds it would end an answer.
    const bool is_end = std::find(ends.begin(), ends.end(), spec.pieces[id]) != ends.end();
    if (type == TokenType::UserDefined && is_end) type = TokenType::Control;
    const bool added =
        type == TokenType::Control || type == TokenType::Unknown || type == TokenType::UserDefined;
    if (added) spec.added.push_back({.id = id});
  }
  return {};
}

Result<void> read_special_ids(const MetadataView& metadata, TokenizerSpec& spec) {
  const bool spm = spec.model == TokenizerSpec::Model::Spm;
  const size_t count = spec.pieces.size();
  // SentencePiece numbers its first three tokens so when the file does not say.
  TL_TRY(spec.bos, read_id(metadata, "tokenizer.ggml.bos_token_id", count, spm ? 1 : kNoToken));
  TL_TRY(spec.eos, read_id(metadata, "tokenizer.ggml.eos_token_id", count, spm ? 2 : kNoToken));
  // Byte-level vocabularies name one too, often <|endoftext|>, but no text ever becomes it.
  if (spm) {
    TL_TRY(spec.unknown, read_id(metadata, "tokenizer.ggml.unknown_token_id", count, 0));
  }
  TL_TRY(spec.eot, read_id(metadata, "tokenizer.ggml.eot_token_id", count, kNoToken));
  TL_TRY(spec.pad, read_id(metadata, "tokenizer.ggml.padding_token_id", count, kNoToken));
  return {};
}

Result<void> read_spm(const MetadataView& metadata, TokenizerSpec& spec) {
  spec.model = TokenizerSpec::Model::Spm;
  TL_TRY(spec.scores, metadata.get_f32s(kScores));
  TL_TRY(const bool prefix, read_flag(metadata, kAddSpacePrefix, true));
  if (prefix) spec.normalizer.push_back({.kind = NormalizerStep::Kind::Prepend, .content = " "});
  spec.normalizer.push_back({.kind = NormalizerStep::Kind::Replace, .pattern = " ", .content = "\u2581"});
  spec.byte_fallback = true;
  spec.spaces_as_marks = true;
  spec.strip_leading_space = prefix;
  spec.add_bos = true;
  return {};
}

Result<void> read_bpe(const MetadataView& metadata, TokenizerSpec& spec) {
  spec.model = TokenizerSpec::Model::Bpe;
  spec.byte_level = true;
  spec.pre_tokenizer = "default";
  if (metadata.has(kPre)) {
    TL_TRY(spec.pre_tokenizer, metadata.get_string(kPre));
  }
  TL_TRY(PreTokenizer pre, find_pre_tokenizer(spec.pre_tokenizer));
  spec.splits = std::move(pre.splits);
  spec.whole_words_first = pre.whole_words_first;
  spec.add_bos = pre.add_bos;
  TL_TRY(std::vector<std::string> merges, metadata.get_strings(kMerges));
  spec.merges.reserve(merges.size());
  for (std::string& merge : merges) {
    const size_t space = merge.find(' ', 1);  // the first part may itself be a space
    if (space == std::string::npos || space + 1 == merge.size()) {
      return fail(Code::BadFile, "{}[{}] is '{}' (want two parts and a space between)", kMerges,
                  spec.merges.size(), merge);
    }
    merge.erase(space, 1);
    spec.merges.push_back({std::move(merge), static_cast<u32>(space)});
  }
  return {};
}

}  // namespace

Result<TokenizerSpec> read_tokenizer_spec(const MetadataView& metadata) {
  TokenizerSpec spec;
  TL_TRY(const std::string model, metadata.get_string(kModel));
  if (model != "llama" && model != "gpt2") {
    return fail(Code::Unsupported, "tokenizer model '{}' is not supported (want llama or gpt2)", model);
  }
  TL_TRY_DO(read_pieces(metadata, spec));
  TL_TRY_DO(model == "llama" ? read_spm(metadata, spec) : read_bpe(metadata, spec));
  TL_TRY_DO(read_special_ids(metadata, spec));
  TL_TRY(spec.add_bos, read_flag(metadata, kAddBos, spec.add_bos && spec.bos != kNoToken));
  TL_TRY(spec.add_eos, read_flag(metadata, kAddEos, false));
  if (spec.add_bos && spec.bos == kNoToken) {
    return fail(Code::BadFile, "{} is true but tokenizer.ggml.bos_token_id names no token", kAddBos);
  }
  if (spec.add_eos && spec.eos == kNoToken) {
    return fail(Code::BadFile, "{} is true but tokenizer.ggml.eos_token_id names no token", kAddEos);
  }
  if (metadata.has(kChatTemplate)) {
    TL_TRY(spec.chat_template, metadata.get_string(kChatTemplate));
  }
  return spec;
}

}  // namespace tl
