// Finds the tokens that are cut out of a text before anything else: the leftmost, and of those the longest.
#pragma once

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "tl/base/types.h"
#include "tl/text/tokenizer/tokenizer_spec.h"

namespace tl {

class AddedTokenFinder {
 public:
  struct Hit {
    size_t begin = 0, end = 0;  // bytes, with the spaces it swallows
    TokenId id = kNoToken;
  };

  // `special`: found only where the caller asks for special tokens. An empty `text` is never found.
  void add(std::string_view text, const AddedToken& token, bool special);
  bool empty() const { return tokens_.empty(); }

  // The first one in `text` that begins at or after `from`.
  std::optional<Hit> find(std::string_view text, size_t from, bool with_special) const;

 private:
  struct Entry {
    AddedToken token;
    bool special = false;
  };
  struct Node {
    std::vector<std::pair<u8, u32>> children = {};  // sorted by byte
    u32 entry = kNoToken;
  };

  u32 child(u32 node, u8 byte) const;
  std::optional<Hit> longest_at(std::string_view text, size_t begin, size_t from, bool with_special) const;

  std::vector<Entry> tokens_;
  std::vector<Node> nodes_ = {Node()};
};

}  // namespace tl
