#include "tl/text/tokenizer/added_tokens.h"

#include <utf8proc.h>

#include <algorithm>

#include "tl/base/utf8.h"

namespace tl {

namespace {

u32 char_before(std::string_view text, size_t at) {
  return utf8::decode_known(text, utf8::start_before(text, at)).code;
}

bool is_word_char(u32 code) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return false;
  }
}

bool touches_word(std::string_view text, size_t begin, size_t end) {
  return (begin > 0 && is_word_char(char_before(text, begin))) ||
         (end < text.size() && is_word_char(utf8::decode_known(text, end).code));
}

}  // namespace

void AddedTokenFinder::add(std::string_view text, const AddedToken& token, bool special) {
  if (text.empty()) return;
  u32 node = 0;
  for (const char c : text) {
    const u8 byte = static_cast<u8>(c);
    u32 next = child(node, byte);
    if (next == kNoToken) {
      next = static_cast<u32>(nodes_.size());
      nodes_.emplace_back();
      auto& children = nodes_[node].children;
      children.insert(std::lower_bound(children.begin(), children.end(), std::pair<u8, u32>(byte, 0)),
                      {byte, next});
    }
    node = next;
  }
  if (nodes_[node].entry != kNoToken) return;
  nodes_[node].entry = static_cast<u32>(tokens_.size());
  tokens_.push_back({token, special});
}

u32 AddedTokenFinder::child(u32 node, u8 byte) const {
  const auto& children = nodes_[node].children;
  const auto at = std::lower_bound(children.begin(), children.end(), std::pair<u8, u32>(byte, 0));
  return at != children.end() && at->first == byte ? at->second : kNoToken;
}

std::optional<AddedTokenFinder::Hit> AddedTokenFinder::find(std::string_view text, size_t from,
                                                            bool with_special) const {
  if (empty()) return std::nullopt;
  for (size_t begin = from; begin < text.size(); ++begin) {
    if (auto hit = longest_at(text, begin, from, with_special)) return hit;
  }
  return std::nullopt;
}

std::optional<AddedTokenFinder::Hit> AddedTokenFinder::longest_at(std::string_view text, size_t begin,
                                                                  size_t from, bool with_special) const {
  const Entry* best = nullptr;
  Hit hit{.begin = begin};
  u32 node = 0;
  for (size_t end = begin; end < text.size(); ++end) {
    node = child(node, static_cast<u8>(text[end]));
    if (node == kNoToken) break;
    if (nodes_[node].entry == kNoToken) continue;
    const Entry& entry = tokens_[nodes_[node].entry];
    if (entry.special && !with_special) continue;
    best = &entry;
    hit.end = end + 1;
  }
  if (best == nullptr) return std::nullopt;
  if (best->token.single_word && touches_word(text, begin, hit.end)) return std::nullopt;
  hit.id = best->token.id;
  if (best->token.strip_left) {
    for (u32 before; hit.begin > from && utf8::is_space(before = char_before(text, hit.begin));) {
      std::string bytes;
      utf8::append(bytes, before);
      hit.begin -= bytes.size();
    }
  }
  while (best->token.strip_right && hit.end < text.size()) {
    const auto [code, length] = utf8::decode_known(text, hit.end);
    if (!utf8::is_space(code)) break;
    hit.end += length;
  }
  return hit;
}

}  // namespace tl
