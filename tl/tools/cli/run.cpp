// tl run, check and the programs of the standard library.
#include <editline/readline.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tl/api/paths.h"
#include "tl/diag/print.h"
#include "tl/tools/cli/commands.h"
#include "tl/tools/cli/signals.h"

namespace tl::cli {
namespace {

// Ctrl-C drops the line that was begun: an empty one is the answer, and a program that does not ask is
// stopped.
std::optional<std::string> ask_terminal(const std::string& prompt) {
  const int before = interrupts().presses.load();
  char* line = readline(prompt.c_str());
  if (line == nullptr) {
    if (interrupts().presses.load() == before) return std::nullopt;
    std::fputc('\n', stdout);
    return std::string();
  }
  std::string text = line;
  if (!text.empty()) add_history(line);
  std::free(line);
  return text;
}

std::optional<std::string> ask_pipe(const std::string&) {
  const int before = interrupts().presses.load();
  std::string text;
  for (int c; (c = std::getc(stdin)) != EOF;) {
    if (c == '\n') return text;
    text += static_cast<char>(c);
  }
  if (interrupts().presses.load() != before) {  // not the end of the input
    std::clearerr(stdin);
    return std::string();
  }
  return text.empty() ? std::nullopt : std::optional(text);
}

int exit_code_of(const ProgramOutcome& outcome) {
  if (outcome.output_closed) return kOk;             // `tl … | head` ends quietly
  if (outcome.failure && signal_exit_code() != 0) {  // whatever it was that it broke off
    std::fputs(outcome.failure->code == Code::Interrupted ? outcome.messages.c_str() : "error: interrupted\n",
               stderr);
    return signal_exit_code();
  }
  std::fputs(outcome.messages.c_str(), stderr);
  if (outcome.program_is_wrong) return kProgramFailed;
  return outcome.failure ? cli::exit_code_of(outcome.failure->code) : outcome.exit_code;
}

}  // namespace

int exit_code_of(Code code) {
  switch (code) {
    case Code::BadFile:
    case Code::Unsupported:
    case Code::Io:
    case Code::OutOfMemory:
    case Code::Device:
      return kEnvironment;
    case Code::BadProgram:
      return kProgramFailed;
    case Code::Interrupted:
      return kInterrupted;
  }
  return kProgramFailed;
}

bool wants_colour() {
  const char* no = std::getenv("NO_COLOR");
  return isatty(STDERR_FILENO) == 1 && (no == nullptr || *no == '\0');
}

int report(const Error& error) {
  std::fputs(render(error, SourceFiles(), {.colour = wants_colour()}).c_str(), stderr);
  return exit_code_of(error.code);
}

int run_program(const RunArgs& args) {
  catch_signals();
  const bool terminal = isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
  const SessionHooks hooks{.ask = terminal ? ask_terminal : ask_pipe, .interrupts = &interrupts()};
  return exit_code_of(run_file(args.session, hooks, args.file, args.args, wants_colour()));
}

int run_std(const SessionOptions& options, const std::string& program, const std::string& model,
            std::vector<std::string> args) {
  Result<std::string> path = find_model(model);
  if (!path.ok()) return report(path.error());
  args.insert(args.begin(), path.value());
  return run_program({options, share_dir() + "/std/" + program + ".tl", std::move(args)});
}

namespace {

// "12.3 ms": three digits.
std::string time_text(double seconds) {
  for (const auto& [unit, size] : {std::pair{"s", 1.0}, {"ms", 1e-3}, {"µs", 1e-6}}) {
    if (seconds >= size) return fmt::format("{:.3g} {}", seconds / size, unit);
  }
  return fmt::format("{:.3g} ns", seconds * 1e9);
}

std::string json_text(const BlockReport& block, bool is_test) {
  nlohmann::ordered_json out;
  out["name"] = block.name;
  out["passed"] = block.passed;
  if (!block.passed) out["message"] = block.message;
  out["file"] = block.file, out["line"] = block.line, out["column"] = block.column;
  if (is_test) {
    out["seconds"] = block.seconds.back();
  } else {
    out["seconds"] = block.seconds;
  }
  return out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string test_text(const BlockReport& block, bool old_form) {
  if (block.passed) return fmt::format("test {} ... ✓ ok\n", block.name);
  std::string text = fmt::format("test {} ... ✗ FAILED\n", block.name);
  if (old_form) text += "  Error: " + block.message + "\n";
  return text + block.details;
}

std::string bench_text(const BlockReport& block, bool old_form) {
  if (!block.passed) return fmt::format("bench {} ... ✗ FAILED\n{}", block.name, block.details);
  std::vector<double> seconds = block.seconds;
  std::sort(seconds.begin(), seconds.end());
  if (old_form)
    return fmt::format("bench {} ...\n  Total time: {:.3f}ms\n", block.name, seconds.back() * 1e3);
  return fmt::format("bench {} ... {} (from {} to {}, {} runs)\n", block.name,
                     time_text(seconds[seconds.size() / 2]), time_text(seconds.front()),
                     time_text(seconds.back()), seconds.size());
}

}  // namespace

int run_blocks(const BlockArgs& args) {
  catch_signals();
  const bool tests = args.kind == BlockOptions::Kind::Tests;
  const bool colour = wants_colour();
  const SessionHooks hooks{.ask = ask_pipe, .interrupts = &interrupts()};
  if (args.old_form) fmt::print("=== Running {} ===\n", tests ? "Tests" : "Benchmarks");
  BlockOptions options{.kind = args.kind, .filter = args.filter};
  if (!tests && !args.old_form) options.seconds = 0.5;
  options.report = [&](const BlockReport& block) {
    const std::string text = args.json ? json_text(block, tests)
                             : tests   ? test_text(block, args.old_form)
                                       : bench_text(block, args.old_form);
    std::fputs(text.c_str(), stdout);
    std::fflush(stdout);
  };
  int passed = 0, failed = 0, code = kOk;
  for (const std::string& file : args.files) {
    if (args.files.size() > 1 && !args.json) fmt::print("{}:\n", file);
    const BlockOutcome outcome = tl::run_blocks(args.session, hooks, file, options, colour);
    passed += outcome.passed, failed += outcome.failed;
    const int here = exit_code_of(outcome.program);
    if (code == kOk) code = here;
    if (signal_exit_code() != 0) break;
  }
  if (!tests) return code;
  if (args.old_form)
    fmt::print("\ntest result: {}. {} passed; {} failed\n", failed == 0 ? "ok" : "FAILED", passed, failed);
  if (args.json) {
    fmt::print("{{\"passed\": {}, \"failed\": {}}}\n", passed, failed);
  } else {
    fmt::print("{} passed, {} failed\n", passed, failed);
  }
  return code;
}

int check(const std::vector<std::string>& files, bool json) {
  int code = kOk;
  for (const std::string& file : files) {
    CheckResult result;
    check_file(file, result);
    if (result.failure) {
      code = report(*result.failure);
      continue;
    }
    if (json) {
      std::fputs(render_json(result.diagnostics, result.files).c_str(), stdout);
    } else {
      std::fputs(render(result.diagnostics, result.files, {.colour = wants_colour()}).c_str(), stderr);
    }
    if (result.diagnostics.has_errors() && code == kOk) code = kProgramFailed;
  }
  return code;
}

}  // namespace tl::cli
