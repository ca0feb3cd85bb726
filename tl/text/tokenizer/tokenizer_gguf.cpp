#include "tl/io/gguf.h"
#include "tl/text/tokenizer/tokenizer_metadata.h"

namespace tl {

namespace {

class GgufMetadata final : public MetadataView {
 public:
  explicit GgufMetadata(const GgufFile& file) : file_(file) {}

  bool has(std::string_view key) const override { return file_.find(key) != nullptr; }
  Result<bool> get_bool(std::string_view key) const override { return file_.get_bool(key); }
  Result<u64> get_u64(std::string_view key) const override { return file_.get_u64(key); }
  Result<std::vector<i64>> get_i64s(std::string_view key) const override { return file_.get_i64s(key); }
  Result<std::vector<f32>> get_f32s(std::string_view key) const override { return file_.get_f32s(key); }
  Result<std::string> get_string(std::string_view key) const override {
    TL_TRY(const std::string_view text, file_.get_string(key));
    return std::string(text);
  }
  Result<std::vector<std::string>> get_strings(std::string_view key) const override {
    TL_TRY(const std::span<const std::string_view> texts, file_.get_strings(key));
    return std::vector<std::string>(texts.begin(), texts.end());
  }

 private:
  const GgufFile& file_;
};

}  // namespace

Result<TokenizerSpec> read_tokenizer_spec(const GgufFile& file) {
  return read_tokenizer_spec(GgufMetadata(file));
}

}  // namespace tl
