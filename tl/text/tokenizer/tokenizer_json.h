// Tokenizers from HuggingFace's tokenizer.json: BPE models, byte-level or SentencePiece-like. What a file
// asks for and we do not do is an error that names it, never a silent difference.
#pragma once

#include <string_view>

#include "tl/base/result.h"
#include "tl/text/tokenizer/tokenizer_spec.h"

namespace tl {

// `config` is the text of the tokenizer_config.json beside it, which names the special tokens and holds the
// chat template; empty if there is none.
Result<TokenizerSpec> read_tokenizer_json(std::string_view text, std::string_view config = {});

}  // namespace tl
