// Any bytes: as text for small vocabularies of every kind, where decoding must give the bytes back, and as a
// tokenizer.json.
#include "tl/text/tokenizer/byte_level.h"
#include "tl/text/tokenizer/pre_tokenizers.h"
#include "tl/text/tokenizer/stream_decoder.h"
#include "tl/text/tokenizer/tokenizer_json.h"

namespace tl {
namespace {

TokenizerSpec byte_level_spec(std::string_view pre) {
  TokenizerSpec spec;
  spec.byte_level = true;
  for (u32 byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    spec.pieces.push_back(byte_level::spell({&c, 1}));
  }
  for (const char* pair :
       {"e l", "el l", "h ell", "hell o", "Ġ hello", "1 2", "Ċ Ċ", "ð Ł", "ðŁ ĺ", "a a", "aa aa"}) {
    std::string merge = pair;
    const size_t space = merge.find(' ');
    merge.erase(space, 1);
    spec.pieces.push_back(merge);
    spec.merges.push_back({merge, static_cast<u32>(space)});
  }
  spec.types.assign(spec.pieces.size(), TokenType::Normal);
  for (const char* special : {"<|a|>", "<|a|><|b|>", "<|b"}) {
    spec.added.push_back({.id = static_cast<TokenId>(spec.pieces.size())});
    spec.pieces.push_back(special);
    spec.types.push_back(TokenType::Control);
  }
  auto found = find_pre_tokenizer(pre);
  TL_CHECK(found.ok());
  spec.splits = std::move(found->splits);
  spec.whole_words_first = found->whole_words_first;
  return spec;
}

TokenizerSpec spm_spec() {
  TokenizerSpec spec;
  spec.model = TokenizerSpec::Model::Spm;
  spec.byte_fallback = spec.spaces_as_marks = true;
  spec.normalizer = {{.kind = NormalizerStep::Kind::Replace, .pattern = " ", .content = "\u2581"}};
  for (u32 byte = 0; byte < 256; ++byte) spec.pieces.push_back(fmt::format("<0x{:02X}>", byte));
  spec.types.assign(256, TokenType::Byte);
  for (const char* piece :
       {"\u2581", "h", "e", "l", "o", "ll", "he", "hell", "hello", "\u2581hello", "\u00e9", "aa", "a"}) {
    spec.pieces.push_back(piece);
    spec.types.push_back(TokenType::Normal);
  }
  for (size_t i = 0; i < spec.pieces.size(); ++i) spec.scores.push_back(-static_cast<f32>(i));
  return spec;
}

Tokenizer make(TokenizerSpec spec) {
  auto made = Tokenizer::create(std::move(spec));
  TL_CHECK(made.ok(), "{}", made.ok() ? "" : made.error().message);
  return std::move(*made);
}

void round_trip(const Tokenizer& tokenizer, std::string_view text, bool lossless) {
  for (const bool special : {false, true}) {
    auto ids = tokenizer.encode(text, {.parse_special = special});
    if (!ids.ok()) continue;
    auto back = tokenizer.decode(*ids);
    TL_CHECK(back.ok());
    TL_CHECK(!lossless || *back == text, "decoded text differs");
    StreamDecoder stream(tokenizer);
    std::string streamed;
    for (const TokenId id : *ids) streamed += *stream.feed(id);
    TL_CHECK(streamed + stream.finish() == *back, "streamed text differs");
  }
}

}  // namespace
}  // namespace tl

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tl;
  static const std::vector<Tokenizer>* all = [] {
    auto* made = new std::vector<Tokenizer>;
    for (const std::string_view pre :
         {"gpt-2", "smollm", "llama-bpe", "qwen2", "deepseek-llm", "deepseek-coder", "falcon"}) {
      made->push_back(make(byte_level_spec(pre)));
    }
    return made;
  }();
  static const Tokenizer* spm = new Tokenizer(make(spm_spec()));
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (size < 4096) {
    for (const Tokenizer& tokenizer : *all) round_trip(tokenizer, text, true);
    // "▁" in the text comes back as a space, which is how SentencePiece spells one.
    round_trip(*spm, text, text.find("\u2581") == std::string_view::npos);
  }
  if (auto spec = read_tokenizer_json(text); spec.ok()) {
    if (auto tokenizer = Tokenizer::create(std::move(*spec)); tokenizer.ok()) {
      round_trip(*tokenizer, "Hello, wörld! 123\n\xff <s>", false);
    }
  }
  return 0;
}
