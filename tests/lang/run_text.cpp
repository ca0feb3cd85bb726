#include "tests/lang/run_text.h"

#include "tl/api/devices.h"
#include "tl/interp/interp.h"

namespace tl {

static std::string place(const SourceFiles& files, Span span) {
  if (!span) return "?";
  const Location at = files.locate(span.file, span.begin);
  return fmt::format("{}:{}", at.line, at.column);
}

// Messages name files as they were given; a test's folder is anywhere.
static std::string without_folder(std::string message, const std::string& path) {
  const std::string folder = path.substr(0, path.rfind('/') + 1);
  for (size_t at; !folder.empty() && (at = message.find(folder)) != std::string::npos;)
    message.erase(at, folder.size());
  return message;
}

Transcript run_text(const std::string& path, const std::string& text, const std::string& device, int threads,
                    bool validate, ExecObserver* observer) {
  RunSettings settings{.device = device, .threads = threads, .validate = validate};
  settings.exec.observer = observer;
  return run_text(path, text, settings);
}

Transcript run_text(const std::string& path, const std::string& text, const RunSettings& settings) {
  Transcript out;
  SourceFiles files;
  Diagnostics diags;
  const FileId root = files.add(path, text);
  const interp::ModuleGraph graph = interp::load_modules(files, root, TL_SHARE_DIR, diags);
  interp::Program program;
  if (!diags.has_errors()) program = interp::compile(graph, diags);
  diags.sort();
  for (const Diagnostic& d : diags.all()) {
    const std::string message = without_folder(d.message(), path);
    out.problems +=
        fmt::format("error[{}] {}: {}\n", info(d.code).code, place(files, d.primary.span), message);
  }
  if (diags.has_errors()) return out;

  auto device = create_device({.device = settings.device,
                               .threads = settings.threads,
                               .memory_limit_bytes = settings.memory_limit_bytes,
                               .validate = settings.validate});
  if (!device.ok()) return out.problems += device.error().message, out;
  auto executor = Executor::create(*device.value(), settings.exec);
  if (!executor.ok()) return out.problems += executor.error().message, out;
  lang::StringOutput printed, errors;
  lang::Host host{.executor = *executor.value(), .out = printed, .err = errors};
  const Result<int> code = interp::run(program, host);
  out.output = printed.text();
  out.replays = executor.value()->stats().replays;
  if (!code.ok())
    out.problems += fmt::format("error {}: {}\n", place(files, code.error().where), code.error().message);
  return out;
}

}  // namespace tl
