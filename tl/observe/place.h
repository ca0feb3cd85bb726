// Where in a program something is, as reports print it.
#pragma once

#include <string>

#include "tl/diag/source.h"

namespace tl {

// "prog.tl:4:11", or "-" for what no line of a program asked for.
std::string place_of(const SourceFiles& files, Span span);
// "prog.tl:4".
std::string line_of(const SourceFiles& files, Span span);
// The source that a span covers, on one line and cut off where it is long.
std::string excerpt_of(const SourceFiles& files, Span span, size_t most = 40);

// 1536 -> "1.5 KB"; powers of 1000.
std::string size_text(double bytes);

}  // namespace tl
