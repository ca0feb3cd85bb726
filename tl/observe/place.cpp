#include "tl/observe/place.h"

#include <fmt/format.h>

namespace tl {

std::string place_of(const SourceFiles& files, Span span) {
  if (!files.has(span.file)) return "-";
  const Location at = files.locate(span.file, span.begin);
  return fmt::format("{}:{}:{}", files.name(span.file), at.line, at.column);
}

std::string line_of(const SourceFiles& files, Span span) {
  if (!files.has(span.file)) return "-";
  return fmt::format("{}:{}", files.name(span.file), files.locate(span.file, span.begin).line);
}

std::string excerpt_of(const SourceFiles& files, Span span, size_t most) {
  if (!files.has(span.file)) return "";
  std::string text;
  for (const char c : files.text(span)) {
    const bool is_space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (is_space && (text.empty() || text.back() == ' ')) continue;
    text += is_space ? ' ' : c;
  }
  if (text.size() <= most) return text;
  size_t end = most - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;  // a character stays whole
  return text.substr(0, end) + "...";
}

std::string size_text(double bytes) {
  constexpr const char* kUnits[] = {"B", "KB", "MB", "GB", "TB"};
  size_t unit = 0;
  while (bytes >= 999.5 && unit + 1 < std::size(kUnits)) bytes /= 1000, ++unit;
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.3g} {}", bytes, kUnits[unit]);
}

}  // namespace tl
