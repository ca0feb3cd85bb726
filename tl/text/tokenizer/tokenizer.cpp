#include "tl/text/tokenizer/tokenizer.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "tl/text/stray_bytes.h"
#include "tl/text/tokenizer/byte_level.h"
#include "tl/text/tokenizer/pre_tokenizers.h"

namespace tl {

namespace {

constexpr std::string_view kMark = "\u2581";  // SentencePiece's space
constexpr u64 kMaxPieceBytes = 0x7fffffff;    // of a whole vocabulary, so that offsets fit 32 bits

// Order-preserving: a higher score gives a lower rank.
u32 rank_of(f32 score) {
  const u32 bits = std::bit_cast<u32>(score + 0.0f);
  return bits >> 31 ? bits : ~(bits | 0x80000000u);
}

std::optional<u8> parse_byte_token(std::string_view piece) {
  const auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
  };
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return std::nullopt;
  if (digit(piece[3]) < 0 || digit(piece[4]) < 0) return std::nullopt;
  return static_cast<u8>(digit(piece[3]) * 16 + digit(piece[4]));
}

}  // namespace

Result<Tokenizer> Tokenizer::create(TokenizerSpec spec) {
  Tokenizer made(std::move(spec));
  TL_TRY_DO(made.check());
  TL_TRY(made.normalizer_, Normalizer::create(made.spec_.normalizer));
  TL_TRY(made.splitter_, Splitter::create(made.spec_.splits));
  made.index_.reserve(made.spec_.pieces.size());
  for (TokenId id = 0; id < made.size(); ++id) {
    made.index_.add(made.spec_.pieces, id);
    made.longest_piece_ = std::max(made.longest_piece_, static_cast<u32>(made.spec_.pieces[id].size()));
  }
  made.index_bytes();
  if (made.spec_.model == TokenizerSpec::Model::Spm) made.index_ranks();
  if (made.spec_.model == TokenizerSpec::Model::Bpe) TL_TRY_DO(made.index_merges());
  TL_TRY_DO(made.index_added_tokens());
  made.index_decoded();
  made.index_ends();
  return made;
}

Result<void> Tokenizer::check() const {
  const size_t count = spec_.pieces.size();
  if (count == 0) return fail(Code::BadFile, "the vocabulary is empty");
  if (count >= kNoToken / 4) return fail(Code::BadFile, "the vocabulary has {} pieces, too many", count);
  u64 bytes = 0;
  for (const std::string& piece : spec_.pieces) bytes += piece.size();
  if (bytes > kMaxPieceBytes)
    return fail(Code::BadFile, "the vocabulary has {} bytes of pieces, too many", bytes);
  if (spec_.types.size() != count) {
    return fail(Code::BadFile, "the vocabulary has {} pieces but {} token types", count, spec_.types.size());
  }
  if (spec_.model == TokenizerSpec::Model::Spm) {
    if (spec_.scores.size() != count) {
      return fail(Code::BadFile, "the vocabulary has {} pieces but {} scores", count, spec_.scores.size());
    }
    const auto bad =
        std::find_if(spec_.scores.begin(), spec_.scores.end(), [](f32 s) { return std::isnan(s); });
    if (bad != spec_.scores.end()) {
      return fail(Code::BadFile, "the score of token {} is not a number", bad - spec_.scores.begin());
    }
  }
  for (const AddedToken& token : spec_.added) {
    if (token.id >= count)
      return fail(Code::BadFile, "added token {} is not among the {} pieces", token.id, count);
  }
  const std::pair<const char*, TokenId> named[] = {{"bos", spec_.bos},
                                                   {"eos", spec_.eos},
                                                   {"eot", spec_.eot},
                                                   {"pad", spec_.pad},
                                                   {"unknown", spec_.unknown}};
  for (const auto& [name, id] : named) {
    if (id != kNoToken && id >= count) {
      return fail(Code::BadFile, "the {} token {} is not among the {} pieces", name, id, count);
    }
  }
  return {};
}

void Tokenizer::index_bytes() {
  byte_tokens_.fill(kNoToken);
  if (spec_.byte_level) {
    for (u32 byte = 0; byte < 256; ++byte) {
      const char c = static_cast<char>(byte);
      const TokenId id = find(byte_level::spell({&c, 1}));
      // A user-defined token of the same spelling stands for that character, not for the byte.
      if (id != kNoToken && spec_.types[id] == TokenType::Normal) byte_tokens_[byte] = id;
    }
  } else if (spec_.byte_fallback) {
    for (TokenId id = 0; id < size(); ++id) {
      const std::optional<u8> byte = parse_byte_token(spec_.pieces[id]);
      if (byte && spec_.types[id] == TokenType::Byte && byte_tokens_[*byte] == kNoToken)
        byte_tokens_[*byte] = id;
    }
  }
}

void Tokenizer::index_ranks() {
  ranks_.assign(size(), kNoSymbol);
  for (TokenId id = 0; id < size(); ++id) {
    const TokenType type = spec_.types[id];
    // Text never becomes a control token by merging; only the caller's wish does that.
    const bool text =
        type == TokenType::Normal || type == TokenType::UserDefined || type == TokenType::Unused;
    if (text) ranks_[id] = std::min(rank_of(spec_.scores[id]), kNoSymbol - 1);
  }
}

u32 Tokenizer::symbol_of(std::string_view piece, PieceIndex& other_index,
                         std::vector<std::string>& others) const {
  const TokenId id = find(piece);
  if (id != kNoToken) return id;
  u32 other = other_index.find(others, piece);
  if (other == kNoSymbol) {
    other = static_cast<u32>(others.size());
    others.emplace_back(piece);
    other_index.add(others, other);
  }
  return size() + other;
}

Result<void> Tokenizer::index_merges() {
  if (spec_.merges.size() >= kNoToken / 16) {
    return fail(Code::BadFile, "the vocabulary has {} merges, too many", spec_.merges.size());
  }
  std::vector<std::string> others;  // parts that are no pieces themselves
  PieceIndex other_index;
  other_index.reserve(3 * spec_.merges.size());
  pairs_.reserve(spec_.merges.size());
  for (u32 rank = 0; rank < spec_.merges.size(); ++rank) {
    const MergeRule& rule = spec_.merges[rank];
    if (rule.left_size == 0 || rule.left_size >= rule.text.size()) {
      return fail(Code::BadFile, "merge {} '{}' has not two parts", rank, rule.text);
    }
    const std::string_view text = rule.text;
    const u32 left = symbol_of(text.substr(0, rule.left_size), other_index, others);
    const u32 right = symbol_of(text.substr(rule.left_size), other_index, others);
    const u32 both = symbol_of(text, other_index, others);
    if (!spec_.byte_level && std::max({left, right, both}) >= size()) {
      return fail(Code::BadFile, "merge {} '{}' is not of pieces of the vocabulary", rank, rule.text);
    }
    pairs_.add(left, right, {rank, both});
  }
  return {};
}

Result<void> Tokenizer::index_added_tokens() {
  for (const AddedToken& token : spec_.added) {
    const TokenType type = spec_.types[token.id];
    const bool special = type == TokenType::Control || type == TokenType::Unknown;
    std::string text = spec_.pieces[token.id];
    if (token.normalized && !normalizer_.empty()) {
      TL_TRY(text, normalizer_.apply(utf8::escape_stray_bytes(text)));
      added_normalized_.add(text, token, special);
    } else {
      added_.add(text, token, special);
    }
  }
  return {};
}

std::string Tokenizer::decoded(TokenId id) const {
  const std::string& piece = spec_.pieces[id];
  switch (spec_.types[id]) {
    case TokenType::Unknown:
    case TokenType::Control:
    case TokenType::UserDefined:
      return piece;
    case TokenType::Byte:
      if (const auto byte = parse_byte_token(piece)) return std::string(1, static_cast<char>(*byte));
      break;
    case TokenType::Normal:
    case TokenType::Unused:
      break;
  }
  if (spec_.byte_level) return byte_level::unspell(piece).value_or(piece);
  if (!spec_.spaces_as_marks) return piece;
  std::string out;
  for (size_t i = 0; i < piece.size();) {
    const bool mark = std::string_view(piece).substr(i).starts_with(kMark);
    out += mark ? ' ' : piece[i];
    i += mark ? kMark.size() : 1;
  }
  return out;
}

void Tokenizer::index_decoded() {
  decoded_ends_.reserve(size());
  for (TokenId id = 0; id < size(); ++id) {
    decoded_ += decoded(id);
    decoded_ends_.push_back(static_cast<u32>(decoded_.size()));
  }
}

void Tokenizer::index_ends() {
  for (const TokenId id : {spec_.eos, spec_.eot}) {
    if (id != kNoToken) ends_.push_back(id);
  }
  for (const std::string_view spelling : end_spellings()) {
    const TokenId id = find(spelling);
    if (id == kNoToken) continue;
    if (spec_.types[id] == TokenType::Control || spec_.types[id] == TokenType::UserDefined)
      ends_.push_back(id);
  }
  std::sort(ends_.begin(), ends_.end());
  ends_.erase(std::unique(ends_.begin(), ends_.end()), ends_.end());
}

std::string_view Tokenizer::bytes(TokenId id) const {
  TL_CHECK(id < size(), "token {} of a vocabulary of {}", id, size());
  const u32 begin = id == 0 ? 0 : decoded_ends_[id - 1];
  return std::string_view(decoded_).substr(begin, decoded_ends_[id] - begin);
}

bool Tokenizer::is_special(TokenId id) const {
  TL_CHECK(id < size(), "token {} of a vocabulary of {}", id, size());
  return spec_.types[id] == TokenType::Control || spec_.types[id] == TokenType::Unknown;
}

bool Tokenizer::is_end(TokenId id) const {
  return std::binary_search(ends_.begin(), ends_.end(), id);
}

Result<std::string> Tokenizer::decode(std::span<const TokenId> ids, const DecodeOptions& options) const {
  std::string out;
  bool at_start = spec_.strip_leading_space;
  for (const TokenId id : ids) {
    if (id >= size()) return fail(Code::BadProgram, "token {} is not in the vocabulary of {}", id, size());
    if (options.skip_special && is_special(id)) continue;
    std::string_view text = bytes(id);
    if (at_start && text.starts_with(' ')) text.remove_prefix(1);
    if (!bytes(id).empty()) at_start = false;
    out += text;
  }
  return out;
}

}  // namespace tl
