// Text to token ids and back, for SentencePiece-BPE and BPE vocabularies. Exact to the tokenizers the models
// were trained with, lossless for any bytes, and linear in the text (n log n within one word).
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tl/base/result.h"
#include "tl/text/tokenizer/added_tokens.h"
#include "tl/text/tokenizer/lookup.h"
#include "tl/text/tokenizer/merge_word.h"
#include "tl/text/tokenizer/text_steps.h"
#include "tl/text/tokenizer/tokenizer_spec.h"

namespace tl {

struct EncodeOptions {
  bool add_bos = false, add_eos = false;
  bool parse_special = false;  // "<|im_end|>" in the text is that token; else it is text like any other
};

struct DecodeOptions {
  bool skip_special = false;  // control and unknown tokens give no text
};

// Immutable after create(), so safe to share between threads.
class Tokenizer {
 public:
  static Result<Tokenizer> create(TokenizerSpec spec);

  // `text` may be any bytes. Where it is not UTF-8 every stray byte stands alone and keeps its value if the
  // vocabulary has a token for it; else it becomes U+FFFD. A character that has no token, not even byte by
  // byte, becomes the unknown token; where there is none, a byte-level vocabulary leaves it out and others
  // fail.
  Result<std::vector<TokenId>> encode(std::string_view text, const EncodeOptions& options = {}) const;
  // The very bytes, which need not be UTF-8. Fails if an id is not of the vocabulary.
  Result<std::string> decode(std::span<const TokenId> ids, const DecodeOptions& options = {}) const;

  u32 size() const { return static_cast<u32>(spec_.pieces.size()); }
  const TokenizerSpec& spec() const { return spec_; }
  // For `id` < size(): as the vocabulary spells it; and the bytes it adds to a text.
  std::string_view piece(TokenId id) const { return spec_.pieces[id]; }
  std::string_view bytes(TokenId id) const;
  // Control and unknown tokens: what a reader of the text should not see.
  bool is_special(TokenId id) const;
  // Tokens with which a model ends its answer.
  bool is_end(TokenId id) const;
  // The token spelled so in the vocabulary, or kNoToken.
  TokenId find(std::string_view piece) const { return index_.find(spec_.pieces, piece); }

 private:
  class Encoder;

  explicit Tokenizer(TokenizerSpec spec) : spec_(std::move(spec)) {}
  Result<void> check() const;
  Result<void> index_merges();
  Result<void> index_added_tokens();
  void index_bytes();
  void index_ranks();
  void index_decoded();
  void index_ends();
  std::string decoded(TokenId id) const;
  // The id of `piece`, or a number above all ids for a text that is only part of other pieces.
  u32 symbol_of(std::string_view piece, PieceIndex& other_index, std::vector<std::string>& others) const;

  TokenizerSpec spec_;
  Normalizer normalizer_;
  Splitter splitter_;
  AddedTokenFinder added_, added_normalized_;  // looked for in the text before and after the normalizer
  PieceIndex index_;
  PairTable pairs_;                         // Bpe
  std::vector<u32> ranks_;                  // Spm, by id; kNoSymbol: never made by merging
  u32 longest_piece_ = 0;                   // bytes
  std::array<TokenId, 256> byte_tokens_{};  // what a byte alone becomes
  std::string decoded_;                     // all tokens' bytes, end to end
  std::vector<u32> decoded_ends_;
  std::vector<TokenId> ends_;  // sorted
};

}  // namespace tl
