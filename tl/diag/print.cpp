#include "tl/diag/print.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tl/base/utf8.h"

namespace tl {
namespace {

constexpr u32 kWidestLine = 160;  // code points shown of a source line
constexpr u32 kBeforeCaret = 60;  // shown before the caret when a line is cut

struct Style {
  std::string_view error, warning, note, place, reset;
};
constexpr Style kPlain{"", "", "", "", ""};
constexpr Style kColours{"\x1b[1;31m", "\x1b[1;33m", "\x1b[1;36m", "\x1b[1m", "\x1b[0m"};

// Decodes one code point for display: what a terminal might obey, and bytes that are not UTF-8, come out as
// '?'.
std::string_view shown_char(std::string_view text, size_t at, size_t* length) {
  const u8 c = static_cast<u8>(text[at]);
  *length = 1;
  if (c == '\t') return " ";
  if (c < 0x20 || c == 0x7f) return "?";
  const utf8::Char found = utf8::decode(text, at);
  *length = std::max(found.length, 1u);
  const bool is_control = found.code >= 0x80 && found.code < 0xa0;
  return found.length == 0 || is_control ? "?" : text.substr(at, found.length);
}

struct ShownLine {
  std::string text;
  u32 first = 0;  // code points cut away on the left
};

// The part of a line that shows columns around `focus` (0-based).
ShownLine show_line(std::string_view line, u32 focus) {
  ShownLine shown;
  if (focus >= kWidestLine) shown.first = focus - kBeforeCaret;
  u32 column = 0;
  size_t length = 0;
  for (size_t i = 0; i < line.size() && column < shown.first + kWidestLine; i += length, ++column) {
    const std::string_view c = shown_char(line, i, &length);
    if (column >= shown.first) shown.text += c;
  }
  while (!shown.text.empty() && shown.text.back() == ' ') shown.text.pop_back();
  return shown;
}

class Renderer {
 public:
  Renderer(const SourceFiles& files, const RenderOptions& options)
      : files_(files), style_(options.colour ? kColours : kPlain) {}

  void headline(Span span, std::string_view kind, std::string_view kind_style, std::string_view message) {
    if (files_.has(span.file)) {
      const Location at = files_.locate(span.file, span.begin);
      out_ += fmt::format("{}{}:{}:{}:{} ", style_.place, files_.name(span.file), at.line, at.column,
                          style_.reset);
    }
    out_ += fmt::format("{}{}:{} {}\n", kind_style, kind, style_.reset, message);
  }

  // The source lines of `labels`, the first of which is the primary one; labels of one line share its copy.
  void snippet(const std::vector<const Label*>& labels) {
    std::vector<const Label*> left;
    u32 widest = 1;
    for (const Label* label : labels) {
      if (!files_.has(label->span.file)) continue;
      left.push_back(label);
      widest = std::max(widest, files_.locate(label->span.file, label->span.begin).line);
    }
    gutter_ = std::max<size_t>(3, fmt::formatted_size("{}", widest));
    for (bool first = true; !left.empty(); first = false) {
      const Span line = files_.line_span(left[0]->span.file, left[0]->span.begin);
      if (!first && left[0]->span.file != labels[0]->span.file) {
        const Location at = files_.locate(line.file, left[0]->span.begin);
        out_ +=
            fmt::format("{:>{}} {}:{}:{}\n", "-->", gutter_ + 2, files_.name(line.file), at.line, at.column);
      }
      const auto on_line = [&](const Label* l) {
        return l->span.file == line.file && files_.line_span(line.file, l->span.begin).begin == line.begin;
      };
      std::vector<const Label*> here;
      std::copy_if(left.begin(), left.end(), std::back_inserter(here), on_line);
      std::erase_if(left, on_line);
      line_with_carets(line, here, labels[0]);
    }
  }

  void note(std::string_view text) {
    out_ += fmt::format("{:>{}} {}note:{} {}\n", "=", gutter_ + 2, style_.note, style_.reset, text);
  }
  const Style& style() const { return style_; }
  std::string take() { return std::move(out_); }

 private:
  void line_with_carets(Span line, const std::vector<const Label*>& labels, const Label* primary) {
    const Location at = files_.locate(line.file, labels[0]->span.begin);
    const ShownLine shown = show_line(files_.text(line), at.column - 1);
    out_ += fmt::format("{:>{}} | {}\n", at.line, gutter_, shown.text);
    for (const Label* label : labels) {
      const u32 from = files_.locate(line.file, label->span.begin).column - 1;
      const u32 end_offset = std::min(std::max(label->span.end, label->span.begin), line.end);
      const u32 to = files_.locate(line.file, std::max(end_offset, label->span.begin)).column - 1;
      if (from < shown.first || from > shown.first + kWidestLine) continue;
      const u32 room = shown.first + kWidestLine - from;
      const u32 width = std::clamp<u32>(to > from ? to - from : 1, 1, std::max<u32>(room, 1));
      std::string marks(width, label == primary ? '~' : '-');
      if (label == primary) marks[0] = '^';
      out_ += fmt::format("{:>{}} | {}{}{}{}", "", gutter_, std::string(from - shown.first, ' '),
                          label == primary ? style_.error : style_.note, marks, style_.reset);
      out_ += label->text.empty() ? "\n" : fmt::format(" {}\n", label->text);
    }
  }

  const SourceFiles& files_;
  Style style_;
  std::string out_;
  size_t gutter_ = 3;
};

nlohmann::json json_place(Span span, const SourceFiles& files) {
  nlohmann::json j = nlohmann::json::object();
  if (!files.has(span.file)) return j;
  const Location begin = files.locate(span.file, span.begin), end = files.locate(span.file, span.end);
  j["file"] = files.name(span.file);
  j["line"] = begin.line;
  j["column"] = begin.column;
  j["end_line"] = end.line;
  j["end_column"] = end.column;
  return j;
}

std::string dump_line(const nlohmann::json& j) {
  return j.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string_view severity_name(Severity s) {
  return s == Severity::Error ? "error" : "warning";
}

}  // namespace

std::string render(const Diagnostic& d, const SourceFiles& files, const RenderOptions& options) {
  Renderer r(files, options);
  const std::string kind = fmt::format("{}[{}]", severity_name(d.severity()), info(d.code).code);
  r.headline(d.primary.span, kind, d.severity() == Severity::Error ? r.style().error : r.style().warning,
             d.message());
  std::vector<const Label*> labels{&d.primary};
  for (const Label& label : d.related) {
    if (label.span) labels.push_back(&label);
  }
  r.snippet(labels);
  for (const Label& label : d.related) {
    if (!label.span) r.note(label.text);
  }
  return r.take();
}

std::string render(const Diagnostics& all, const SourceFiles& files, const RenderOptions& options) {
  std::string out;
  for (const Diagnostic& d : all.all()) out += render(d, files, options);
  const size_t dropped = all.error_count() + all.warning_count() - all.all().size();
  if (dropped > 0) out += fmt::format("... and {} more\n", dropped);
  return out;
}

std::string render(const Error& error, const SourceFiles& files, const RenderOptions& options) {
  Renderer r(files, options);
  r.headline(error.where, "error", r.style().error, error.message);
  const Label label{error.where, {}};
  r.snippet({&label});
  for (const Error::Note& note : error.also) {
    if (!note.where) {
      r.note(note.text);
      continue;
    }
    const Location at = files.locate(note.where.file, note.where.begin);
    r.note(fmt::format("{} ({}:{}:{})", note.text, files.name(note.where.file), at.line, at.column));
  }
  return r.take();
}

std::string render_json(const Diagnostic& d, const SourceFiles& files) {
  nlohmann::json j = json_place(d.primary.span, files);
  j["severity"] = severity_name(d.severity());
  j["code"] = info(d.code).code;
  j["message"] = d.message();
  j["labels"] = nlohmann::json::array();
  j["notes"] = nlohmann::json::array();
  if (!d.primary.text.empty()) j["label"] = d.primary.text;
  for (const Label& label : d.related) {
    if (!label.span) {
      j["notes"].push_back(label.text);
      continue;
    }
    nlohmann::json place = json_place(label.span, files);
    place["message"] = label.text;
    j["labels"].push_back(std::move(place));
  }
  if (d.replacement) {
    j["replacement"] = json_place(d.replacement->span, files);
    j["replacement"]["text"] = d.replacement->text;
  }
  return dump_line(j);
}

std::string render_json(const Diagnostics& all, const SourceFiles& files) {
  std::string out;
  for (const Diagnostic& d : all.all()) out += render_json(d, files);
  return out;
}

std::string render_json(const Error& error, const SourceFiles& files) {
  nlohmann::json j = json_place(error.where, files);
  j["severity"] = "error";
  j["message"] = error.message;
  j["labels"] = j["notes"] = nlohmann::json::array();
  for (const Error::Note& note : error.also) {
    nlohmann::json place = json_place(note.where, files);
    place["message"] = note.text;
    j["labels"].push_back(std::move(place));
  }
  return dump_line(j);
}

}  // namespace tl
