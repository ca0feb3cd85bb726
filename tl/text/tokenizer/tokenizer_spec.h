// What a tokenizer is, as plain data: made from GGUF metadata or a tokenizer.json, turned into a Tokenizer.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tl/base/types.h"
#include "tl/text/tokenizer/text_steps.h"

namespace tl {

using TokenId = u32;
inline constexpr TokenId kNoToken = 0xffffffffu;

// The numbers are GGUF's.
enum class TokenType : u8 { Normal = 1, Unknown = 2, Control = 3, UserDefined = 4, Unused = 5, Byte = 6 };

// How a token that is cut out of the text before anything else takes its surroundings.
struct AddedToken {
  TokenId id = kNoToken;
  bool strip_left = false, strip_right = false;  // swallows the spaces beside it
  bool single_word = false;                      // only where no letter or digit touches it
  bool normalized = false;                       // looked for in the normalized text, itself normalized
};

// Two neighbours that become one piece.
struct MergeRule {
  std::string text;  // of both
  u32 left_size = 0;
};

struct TokenizerSpec {
  // Spm joins the neighbours whose piece has the best score, Bpe those whose rule comes first.
  enum class Model : u8 { Spm, Bpe };

  Model model = Model::Bpe;
  std::vector<std::string> pieces;  // by id
  std::vector<TokenType> types;     // by id
  std::vector<f32> scores;          // by id; Spm only
  std::vector<MergeRule> merges;    // best first; Bpe only
  std::vector<AddedToken> added;    // control, unknown and user-defined tokens

  std::vector<NormalizerStep> normalizer;
  std::vector<SplitStep> splits;
  std::string pre_tokenizer;       // its name in the file, for people
  bool byte_level = false;         // pieces are spelled with a printable character for every byte
  bool byte_fallback = false;      // what has no piece becomes "<0x0A>" tokens
  bool fuse_unknown = false;       // neighbouring unknown characters become one unknown token
  bool whole_words_first = false;  // a word that is a piece is that piece, whatever the merges say

  bool spaces_as_marks = false;      // decoding turns "▁" into a space
  bool strip_leading_space = false;  // decoding drops the space that encoding put in front

  TokenId bos = kNoToken, eos = kNoToken, eot = kNoToken, pad = kNoToken;
  TokenId unknown = kNoToken;             // what a character without a piece becomes
  bool add_bos = false, add_eos = false;  // what the model was trained with
  std::string chat_template;              // empty: none
};

}  // namespace tl
