// Tokens to text while they come: gives out only whole characters, so that one spread over tokens prints
// right.
#pragma once

#include <string>

#include "tl/base/result.h"
#include "tl/text/tokenizer/tokenizer.h"

namespace tl {

class StreamDecoder {
 public:
  // `tokenizer` must outlive the decoder.
  explicit StreamDecoder(const Tokenizer& tokenizer, DecodeOptions options = {})
      : tokenizer_(&tokenizer), options_(options), at_start_(tokenizer.spec().strip_leading_space) {}

  // What can be shown now that `id` has come. All of it, with finish(), is what Tokenizer::decode gives.
  Result<std::string> feed(TokenId id);
  // What is left: the beginning of a character that never ended.
  std::string finish();

 private:
  const Tokenizer* tokenizer_;
  DecodeOptions options_;
  bool at_start_;
  std::string pending_;
};

}  // namespace tl
