// Program texts by FileId, and where a byte offset is in them. Texts never move: string_views into them stay
// good.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "tl/base/span.h"

namespace tl {

// Both count from 1; a column counts code points, and bytes that are not UTF-8 each.
struct Location {
  u32 line = 1, column = 1;
};

class SourceFiles {
 public:
  static constexpr size_t kMaxBytes = 0x7fffffff;  // of a text: offsets are u32

  // `name` is what messages print: a path as the user gave it, or "<stdin>".
  FileId add(std::string name, std::string text);

  bool has(FileId file) const;
  std::string_view name(FileId file) const;
  std::string_view text(FileId file) const;
  std::string_view text(Span span) const;
  Location locate(FileId file, u32 offset) const;
  // The line that holds `offset`, without its line break.
  Span line_span(FileId file, u32 offset) const;

 private:
  struct File {
    std::string name, text;
    std::vector<u32> line_starts;
  };
  const File& get(FileId file) const;

  std::deque<File> files_;  // FileId 1 is files_[0]
};

}  // namespace tl
