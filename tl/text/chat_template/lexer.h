// Cuts a chat template into text and the tokens of its tags, with whitespace control as transformers sets it
// up: a newline after a block tag goes (trim_blocks), and so do the spaces before one (lstrip_blocks).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tl/base/result.h"
#include "tl/base/types.h"

namespace tl::jinja {

struct Token {
  enum class Kind : u8 {
    Text,
    PrintBegin,
    PrintEnd,
    BlockBegin,
    BlockEnd,
    Name,
    Integer,
    Float,
    String,
    Operator,
    End
  };
  Kind kind = Kind::End;
  std::string text = {};
  u32 line = 1;
};

// Always ends with an End token.
Result<std::vector<Token>> tokenize(std::string_view source);

}  // namespace tl::jinja
