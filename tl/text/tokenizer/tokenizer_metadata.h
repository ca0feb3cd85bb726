// Tokenizers from the metadata of a model file (the keys "tokenizer.ggml.…").
#pragma once

#include <string_view>
#include <vector>

#include "tl/base/result.h"
#include "tl/text/tokenizer/tokenizer_spec.h"

namespace tl {

class GgufFile;

// The metadata of a model file, wherever it comes from. The getters fail if the key is missing or holds
// something else; the message names the key.
class MetadataView {
 public:
  virtual ~MetadataView() = default;
  virtual bool has(std::string_view key) const = 0;
  virtual Result<std::string> get_string(std::string_view key) const = 0;
  virtual Result<bool> get_bool(std::string_view key) const = 0;
  virtual Result<u64> get_u64(std::string_view key) const = 0;
  virtual Result<std::vector<std::string>> get_strings(std::string_view key) const = 0;
  virtual Result<std::vector<f32>> get_f32s(std::string_view key) const = 0;
  virtual Result<std::vector<i64>> get_i64s(std::string_view key) const = 0;
};

Result<TokenizerSpec> read_tokenizer_spec(const MetadataView& metadata);
Result<TokenizerSpec> read_tokenizer_spec(const GgufFile& file);

}  // namespace tl
