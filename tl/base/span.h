// Where a piece of program text is. Line and column are computed only when printing.
#pragma once

#include "tl/base/types.h"

namespace tl {

enum class FileId : u32 { None = 0 };

// A half-open byte range in one source file. A default span means "nowhere in a program".
struct Span {
  FileId file = FileId::None;
  u32 begin = 0, end = 0;

  bool operator==(const Span&) const = default;
  explicit operator bool() const { return file != FileId::None; }
};

// The smallest span that covers both (which are in one file).
inline Span join(Span a, Span b) {
  if (!a) return b;
  if (!b) return a;
  return {a.file, a.begin < b.begin ? a.begin : b.begin, a.end > b.end ? a.end : b.end};
}

}  // namespace tl
