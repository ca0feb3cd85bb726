// tl run, check and the programs of the standard library.
#include <editline/readline.h>
#include <unistd.h>

#include <cstdlib>

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
