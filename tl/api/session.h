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
struct Interrupts;
}

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

// Every problem of a file and what it imports, without running it.
struct CheckResult {
  SourceFiles files;
  Diagnostics diagnostics;
  std::optional<Error> failure;  // it could not be read
};
void check_file(const std::string& file, CheckResult& result);

}  // namespace tl
