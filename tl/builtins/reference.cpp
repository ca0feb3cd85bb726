#include "tl/builtins/reference.h"

#include <algorithm>

#include "tl/diag/suggest.h"

namespace tl::lang {
namespace {

constexpr size_t kWidth = 100;

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(' ') + 1 - first);
}

std::string signature(const Builtin& b) {
  return fmt::format("{}{}", b.name, b.signature);
}

// "a, b, c" in lines that begin with `indent` spaces.
std::string wrapped(const std::vector<const Builtin*>& rows, size_t indent) {
  std::string out, line;
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::string word = fmt::format("{}{}", rows[i]->name, i + 1 < rows.size() ? "," : "");
    if (!line.empty() && indent + line.size() + 1 + word.size() > kWidth) {
      out += fmt::format("{:{}}{}\n", "", indent, line);
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
  }
  return line.empty() ? out : out + fmt::format("{:{}}{}\n", "", indent, line);
}

}  // namespace

ExampleText example_of(const Builtin& builtin) {
  const size_t mark = builtin.example.find("//~");
  if (mark == std::string_view::npos) return {trimmed(builtin.example), {}};
  return {trimmed(builtin.example.substr(0, mark)), trimmed(builtin.example.substr(mark + 3))};
}

std::string description(const Builtin& b) {
  std::string out = fmt::format("{}\n\n  {}\n", signature(b), b.doc);
  const ExampleText example = example_of(b);
  if (!example.code.empty()) out += fmt::format("\n  {}\n", example.code);
  if (!example.output.empty()) out += fmt::format("  //~ {}\n", example.output);
  return out;
}

std::string description(const BuiltinFamily& family) {
  std::string out = fmt::format("{}: {}\n", family.name, family.about);
  for (const Builtin* b : family.rows) out += fmt::format("\n{}\n    {}\n", signature(*b), b->doc);
  return out;
}

std::string list_of_families() {
  std::string out;
  for (const BuiltinFamily& family : builtin_families()) {
    out += fmt::format("{}: {}\n{}", family.name, family.about, wrapped(family.rows, 4));
  }
  return out;
}

std::vector<std::string_view> similar_names(std::string_view name) {
  constexpr size_t kMost = 8;
  std::vector<std::string_view> all, found;
  for (const Builtin& b : all_builtins()) all.push_back(b.name);
  const auto add = [&found](std::string_view other) {
    if (found.size() < kMost && std::find(found.begin(), found.end(), other) == found.end())
      found.push_back(other);
  };
  const bool is_part = name.size() > 1;
  for (const std::string_view other : all) {
    if (is_part && other.starts_with(name)) add(other);
  }
  if (const std::string_view closest = closest_name(name, all); !closest.empty()) add(closest);
  for (const std::string_view other : all) {
    if (is_part && other.find(name) != std::string_view::npos) add(other);
  }
  return found;
}

std::string reference_page() {
  std::string out =
      "# Every builtin\n\n"
      "The names that every program can call, by family. This page is what `tl doc --markdown` prints; `tl "
      "doc "
      "NAME` shows\none of them, and `:doc NAME` does at the prompt of `tl repl`. A test runs the examples: "
      "what "
      "stands after `//~` is what\nthey give, with tensors on one line.\n\n";
  for (const BuiltinFamily& family : builtin_families()) {
    out += fmt::format("- [{}](#{}): {}\n", family.name, family.name, family.about);
  }
  for (const BuiltinFamily& family : builtin_families()) {
    out += fmt::format("\n## {}\n\nOn {}.\n", family.name, family.about);
    for (const Builtin* b : family.rows) {
      out += fmt::format("\n### `{}`\n\n```text\n{}\n```\n{}\n", b->name, signature(*b), b->doc);
      const ExampleText example = example_of(*b);
      if (example.code.empty()) continue;
      out += fmt::format("```text\n{}\n", example.code);
      if (!example.output.empty()) out += fmt::format("//~ {}\n", example.output);
      out += "```\n";
    }
  }
  return out;
}

}  // namespace tl::lang
