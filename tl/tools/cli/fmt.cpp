// tl fmt: lays out programs, in place.
#include <algorithm>
#include <filesystem>

#include "tl/base/read_file.h"
#include "tl/diag/print.h"
#include "tl/io/atomic_file.h"
#include "tl/syntax/format.h"
#include "tl/tools/cli/commands.h"

namespace tl::cli {
namespace {
namespace fs = std::filesystem;

// Folders stand for the programs in them.
Result<std::vector<std::string>> programs_of(const std::vector<std::string>& names) {
  std::vector<std::string> files;
  for (const std::string& name : names) {
    std::error_code error;
    if (!fs::is_directory(name, error)) {
      files.push_back(name);
      continue;
    }
    const size_t first = files.size();
    for (fs::recursive_directory_iterator it(name, error), end; !error && it != end; it.increment(error)) {
      if (it->path().extension() == ".tl" && it->is_regular_file(error)) files.push_back(it->path().string());
    }
    if (error) return fail(Code::Io, "cannot read the folder {}: {}", name, error.message());
    std::sort(files.begin() + static_cast<std::ptrdiff_t>(first), files.end());
  }
  return files;
}

Result<void> write(const std::string& path, const std::string& text) {
  TL_TRY(AtomicFile file, AtomicFile::create(path));
  TL_TRY_DO(file.write(text));
  return file.commit();
}

// What `text` becomes; otherwise the exit code, with the reason on standard error.
Result<std::string> layout(const std::string& name, std::string text, int& code) {
  SourceFiles files;
  Diagnostics diags;
  Result<std::string> out = format_program(files, files.add(name, std::move(text)), diags);
  if (out.ok()) return out;
  if (diags.has_errors()) {
    diags.sort();
    std::fputs(render(diags, files, {.colour = wants_colour()}).c_str(), stderr);
    code = kProgramFailed;
  } else {
    code = report(out.error());
  }
  return out;
}

}  // namespace

int format_files(const std::vector<std::string>& names, bool only_checks) {
  const Result<std::vector<std::string>> files = programs_of(names);
  if (!files.ok()) return report(files.error());
  int code = kOk;
  const auto note = [&code](int other) { code = std::max(code, other); };
  for (const std::string& file : files.value()) {
    Result<std::string> text = read_whole_file(file, SourceFiles::kMaxBytes);
    if (!text.ok()) {
      note(report(text.error()));
      continue;
    }
    int failed = kOk;
    const Result<std::string> out = layout(file, text.value(), failed);
    if (!out.ok()) {
      note(failed);
    } else if (out.value() != text.value() && only_checks) {
      fmt::print("{}\n", file);
      note(kProgramFailed);
    } else if (out.value() != text.value()) {
      if (const Result<void> done = write(file, out.value()); !done.ok()) note(report(done.error()));
    }
  }
  return code;
}

int format_stdin(bool only_checks) {
  Result<std::string> text = read_whole_file(stdin, "<stdin>", SourceFiles::kMaxBytes);
  if (!text.ok()) return report(text.error());
  int code = kOk;
  const Result<std::string> out = layout("<stdin>", text.value(), code);
  if (!out.ok()) return code;
  if (only_checks) return out.value() == text.value() ? kOk : kProgramFailed;
  std::fputs(out.value().c_str(), stdout);
  return kOk;
}

}  // namespace tl::cli
