// One program's run or check, from a file name to an exit code: what every tool of tl is made of.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tl/api/devices.h"
#include "tl/api/watch.h"
#include "tl/diag/diagnostic.h"
#include "tl/diag/source.h"
#include "tl/exec/executor.h"

namespace tl {

namespace lang {
class Output;
class Value;
struct Host;
struct Interrupts;
}  // namespace lang
namespace interp {
struct Program;
struct TraceEntry;
}  // namespace interp

struct SessionOptions {
  DeviceOptions device;
  ExecOptions exec;
  WatchOptions watch;
};

// What a run leaves to its caller.
struct SessionHooks {
  std::function<std::optional<std::string>(const std::string& prompt)> ask;
  lang::Interrupts* interrupts = nullptr;
};

// How a run ended. Messages are complete (file, line, source, trace), ready to be printed.
struct ProgramOutcome {
  int exit_code = 0;  // of a program that ended by itself
  std::optional<Error> failure;
  std::string messages;           // diagnostics and the failure, rendered
  bool program_is_wrong = false;  // it did not get past checking
  bool output_closed = false;     // the reader of standard output went away
};

// Runs `file` ("-": standard input) with `args`. Output goes to standard output, nothing else does.
ProgramOutcome run_file(const SessionOptions& options, const SessionHooks& hooks, const std::string& file,
                        std::vector<std::string> args, bool colour);

// The same with `body` in the place of the run, for a file that could be compiled: it gives an exit code, or
// a failure with the calls that led to it.
using ProgramBody =
    std::function<Result<int>(const interp::Program& program, lang::Host& host, const SourceFiles& files,
                              std::vector<interp::TraceEntry>& trace)>;
ProgramOutcome run_with(const SessionOptions& options, const SessionHooks& hooks, const std::string& file,
                        std::vector<std::string> args, bool colour, const ProgramBody& body);

// A program whose functions a C++ caller calls: a prompt, a server. What its globals hold, models, caches,
// plans and replayed calls, stays from call to call, whether a call succeeded, failed or was cancelled. Of
// one thread, apart from cancel().
class Session {
 public:
  static Result<std::unique_ptr<Session>> create(const DeviceOptions& device, const ExecOptions& exec,
                                                 lang::Output& out, lang::Output& err);
  ~Session();

  // Runs the top-level statements of a program, in place of the one before. The program's generator and the
  // device go on as they are.
  Result<void> load(const std::string& name, std::string text);
  // Calls a function of it. A call that is cancelled fails with Code::Interrupted: what was submitted until
  // then is still computed, so every value that the program holds is what it says; it has drawn nothing from
  // the program's generator; objects that it has changed (lists, caches) stay as it left them.
  Result<lang::Value> call(std::string_view function, std::span<const lang::Value> args = {});
  // Ends the load or call that is under way, within 100 ms. False: there is none; the next is not touched.
  // Any thread, and signal handlers.
  bool cancel();
  // The last failure, or diagnostics, with source lines.
  const std::string& messages() const { return messages_; }
  Executor& executor() { return *executor_; }

 private:
  struct Loaded;
  Session();

  std::unique_ptr<Device> device_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<lang::Interrupts> interrupts_;
  std::unique_ptr<lang::Host> host_;
  std::unique_ptr<Loaded> loaded_;
  std::string messages_;
};

// Every problem of a file and what it imports, without running it.
struct CheckResult {
  SourceFiles files;
  Diagnostics diagnostics;
  std::optional<Error> failure;  // it could not be read
};
void check_file(const std::string& file, CheckResult& result);

}  // namespace tl
