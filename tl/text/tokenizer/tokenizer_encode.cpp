#include <algorithm>

#include "tl/base/utf8.h"
#include "tl/text/stray_bytes.h"
#include "tl/text/tokenizer/byte_level.h"
#include "tl/text/tokenizer/tokenizer.h"

namespace tl {

// One call of encode(): text → stretches between added tokens → words → symbols → ids.
class Tokenizer::Encoder {
 public:
  Encoder(const Tokenizer& tokenizer, const EncodeOptions& options)
      : t_(tokenizer), with_special_(options.parse_special) {}

  std::vector<TokenId> take() { return std::move(out_); }
  void push(TokenId id) { out_.push_back(id); }

  Result<void> text(std::string_view text) {
    return between(t_.added_, text, [&](std::string_view part, bool first) { return stretch(part, first); });
  }

 private:
  // Calls `plain` for what lies between the added tokens, which go out as they are.
  template <typename Plain>
  Result<void> between(const AddedTokenFinder& finder, std::string_view text, const Plain& plain) {
    size_t done = 0;
    while (done < text.size()) {
      const auto hit = finder.find(text, done, with_special_);
      const size_t end = hit ? hit->begin : text.size();
      if (end > done) TL_TRY_DO(plain(text.substr(done, end - done), done == 0));
      if (!hit) break;
      push(hit->id);
      done = hit->end;
    }
    return {};
  }

  Result<void> stretch(std::string_view part, bool first) {
    const auto split = [&](std::string_view text, bool first_here) {
      return t_.splitter_.apply(text, first && first_here, [&](std::string_view w) { return word(w); });
    };
    if (t_.normalizer_.empty()) return split(part, true);
    TL_TRY(const std::string normalized, t_.normalizer_.apply(std::string(part)));
    return between(t_.added_normalized_, normalized, split);
  }

  Result<void> word(std::string_view word) {
    if (t_.spec_.whole_words_first) {
      const TokenId id =
          t_.find(t_.spec_.byte_level ? byte_level::spell(raw_bytes(word)) : std::string(word));
      if (id != kNoToken) {
        push(id);
        return {};
      }
    }
    symbols_.clear();
    if (t_.spec_.model == TokenizerSpec::Model::Spm) return spm_word(word);
    return t_.spec_.byte_level ? byte_level_word(word) : char_word(word);
  }

  Result<void> spm_word(std::string_view word) {
    for (u32 at = 0; at < word.size();) {
      const u32 length = utf8::decode_known(word, at).length;
      const TokenId id = t_.find(word.substr(at, length));
      symbols_.push(id != kNoToken && t_.ranks_[id] != kNoSymbol ? id : kNoSymbol, at, length);
      at += length;
    }
    symbols_.merge([&](const Symbol& a, const Symbol& b) -> Merge {
      const u32 size = a.size + b.size;
      if (size > t_.longest_piece_) return {};
      const TokenId id = t_.find(word.substr(a.begin, size));
      if (id == kNoToken || t_.ranks_[id] == kNoSymbol) return {};
      return {t_.ranks_[id], id};
    });
    for (const Symbol& symbol : symbols_.symbols()) {
      if (symbol.size == 0) continue;
      if (symbol.id != kNoSymbol) push(symbol.id);
      if (symbol.id == kNoSymbol) TL_TRY_DO(fall_back(word.substr(symbol.begin, symbol.size)));
    }
    return {};
  }

  Result<void> byte_level_word(std::string_view word) {
    const std::string bytes = raw_bytes(word);
    for (u32 at = 0; at < bytes.size(); ++at)
      symbols_.push(t_.byte_tokens_[static_cast<u8>(bytes[at])], at, 1);
    merge_pairs();
    for (const Symbol& symbol : symbols_.symbols()) {
      if (symbol.size == 0) continue;
      if (symbol.id < t_.size()) {
        push(symbol.id);
        continue;
      }
      // A merged text that is no piece, or a byte without one.
      for (const char c : std::string_view(bytes).substr(symbol.begin, symbol.size)) push_byte(c);
    }
    return {};
  }

  // Characters without a piece become byte tokens, or one unknown token, before anything is merged.
  Result<void> char_word(std::string_view word) {
    bool after_unknown = false;
    for (u32 at = 0; at < word.size();) {
      const u32 length = utf8::decode_known(word, at).length;
      const std::string_view text = word.substr(at, length);
      const TokenId id = t_.find(text);
      if (id != kNoToken) {
        symbols_.push(id, at, length);
      } else if (const std::string bytes = raw_bytes(text); has_bytes(bytes)) {
        for (const char c : bytes) symbols_.push(t_.byte_tokens_[static_cast<u8>(c)], at, 1);
      } else if (t_.spec_.unknown == kNoToken) {
        return no_token(bytes);
      } else if (after_unknown && t_.spec_.fuse_unknown) {
        symbols_.symbols().back().size += length;
      } else {
        symbols_.push(t_.spec_.unknown, at, length);
      }
      after_unknown = symbols_.symbols().back().id == t_.spec_.unknown;
      at += length;
    }
    merge_pairs();
    for (const Symbol& symbol : symbols_.symbols()) {
      if (symbol.size > 0) push(symbol.id);
    }
    return {};
  }

  void merge_pairs() {
    symbols_.merge([&](const Symbol& a, const Symbol& b) { return t_.pairs_.find(a.id, b.id); });
  }

  Result<void> fall_back(std::string_view text) {
    const std::string bytes = raw_bytes(text);
    if (has_bytes(bytes)) {
      for (const char c : bytes) push(t_.byte_tokens_[static_cast<u8>(c)]);
      return {};
    }
    if (t_.spec_.unknown == kNoToken) return no_token(bytes);
    push(t_.spec_.unknown);
    return {};
  }

  // A few control characters have no token in some byte-level vocabularies; as in the tokenizers these come
  // from, such a character is left out.
  void push_byte(char c) {
    const TokenId id = t_.byte_tokens_[static_cast<u8>(c)];
    if (id != kNoToken || t_.spec_.unknown != kNoToken) push(id == kNoToken ? t_.spec_.unknown : id);
  }

  bool has_bytes(std::string_view bytes) const {
    return std::all_of(bytes.begin(), bytes.end(),
                       [&](char c) { return t_.byte_tokens_[static_cast<u8>(c)] != kNoToken; });
  }

  static Error no_token(std::string_view bytes) {
    return fail(Code::Unsupported, "the vocabulary has no token for the bytes {:02x} and no unknown token",
                fmt::join(std::vector<u8>(bytes.begin(), bytes.end()), " "));
  }

  // Undoes escape_stray_bytes; a stray byte that has no token becomes U+FFFD.
  std::string raw_bytes(std::string_view text) const {
    std::string out;
    out.reserve(text.size());
    for (size_t i = 0; i < text.size();) {
      const bool maybe = static_cast<u8>(text[i]) == 0xED;
      const auto [code, length] = maybe ? utf8::decode_known(text, i) : utf8::Char{0, 1};
      const std::optional<u8> stray = utf8::stray_byte(code);
      if (!stray) {
        out.append(text, i, length);
      } else if (t_.byte_tokens_[*stray] == kNoToken) {
        utf8::append(out, 0xFFFD);
      } else {
        out += static_cast<char>(*stray);
      }
      i += length;
    }
    return out;
  }

  const Tokenizer& t_;
  const bool with_special_;
  std::vector<TokenId> out_;
  WordMerger symbols_;
};

Result<std::vector<TokenId>> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  constexpr size_t kMaxText = size_t{1}
                              << 30;  // offsets within a word are 32 bits, and a stray byte takes three
  if (text.size() > kMaxText) {
    return fail(Code::Unsupported, "text of {} bytes is too long to tokenize at once (at most {})",
                text.size(), kMaxText);
  }
  const bool valid = utf8::is_valid(text);
  const std::string escaped = valid ? std::string() : utf8::escape_stray_bytes(text);
  Encoder encoder(*this, options);
  if (options.add_bos) {
    if (spec_.bos == kNoToken) return fail(Code::BadProgram, "the vocabulary names no bos token");
    encoder.push(spec_.bos);
  }
  TL_TRY_DO(encoder.text(valid ? text : std::string_view(escaped)));
  if (options.add_eos) {
    if (spec_.eos == kNoToken) return fail(Code::BadProgram, "the vocabulary names no eos token");
    encoder.push(spec_.eos);
  }
  return encoder.take();
}

}  // namespace tl
