#include "tl/api/trace_text.h"

namespace tl {

std::string trace_text(const std::vector<interp::TraceEntry>& trace, const SourceFiles& files) {
  constexpr size_t kShown = 10;
  std::string text;
  for (size_t i = 0; i < trace.size() && i < kShown; ++i) {
    const Span span = trace[i].span;
    if (!span) continue;
    const Location at = files.locate(span.file, span.begin);
    text += fmt::format("  in {} ({}:{}:{})\n", trace[i].function, files.name(span.file), at.line, at.column);
  }
  if (trace.size() > kShown) text += fmt::format("  … and {} calls more\n", trace.size() - kShown);
  return text;
}

}  // namespace tl
