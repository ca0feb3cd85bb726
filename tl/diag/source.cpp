#include "tl/diag/source.h"

#include <algorithm>

#include "tl/base/check.h"
#include "tl/base/utf8.h"

namespace tl {

FileId SourceFiles::add(std::string name, std::string text) {
  // The lexer refuses a file this large with a diagnostic; offsets must fit in any case.
  if (text.size() > kMaxBytes) text.resize(kMaxBytes);
  File& file = files_.emplace_back(File{std::move(name), std::move(text), {0}});
  for (size_t i = 0; i < file.text.size(); ++i) {
    if (file.text[i] == '\n') file.line_starts.push_back(static_cast<u32>(i + 1));
  }
  return static_cast<FileId>(files_.size());
}

bool SourceFiles::has(FileId file) const {
  return file != FileId::None && static_cast<size_t>(file) <= files_.size();
}

const SourceFiles::File& SourceFiles::get(FileId file) const {
  TL_CHECK(has(file), "file id {} of {}", static_cast<u32>(file), files_.size());
  return files_[static_cast<size_t>(file) - 1];
}

std::string_view SourceFiles::name(FileId file) const {
  return get(file).name;
}
std::string_view SourceFiles::text(FileId file) const {
  return get(file).text;
}

std::string_view SourceFiles::text(Span span) const {
  const std::string_view all = text(span.file);
  TL_CHECK(span.begin <= span.end && span.end <= all.size(), "span {}..{} of {}", span.begin, span.end,
           all.size());
  return all.substr(span.begin, span.end - span.begin);
}

static size_t line_of(const std::vector<u32>& starts, u32 offset) {
  return static_cast<size_t>(std::upper_bound(starts.begin(), starts.end(), offset) - starts.begin()) - 1;
}

Location SourceFiles::locate(FileId file, u32 offset) const {
  const File& f = get(file);
  offset = std::min(offset, static_cast<u32>(f.text.size()));
  const size_t line = line_of(f.line_starts, offset);
  u32 column = 1;
  for (u32 i = f.line_starts[line]; i < offset; ++column) i += std::max(utf8::decode(f.text, i).length, 1u);
  return {static_cast<u32>(line + 1), column};
}

Span SourceFiles::line_span(FileId file, u32 offset) const {
  const File& f = get(file);
  offset = std::min(offset, static_cast<u32>(f.text.size()));
  const size_t line = line_of(f.line_starts, offset);
  const u32 begin = f.line_starts[line];
  u32 end = line + 1 < f.line_starts.size() ? f.line_starts[line + 1] - 1 : static_cast<u32>(f.text.size());
  if (end > begin && f.text[end - 1] == '\r') --end;
  return {file, begin, end};
}

}  // namespace tl
