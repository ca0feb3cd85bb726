// What each subcommand of tl does; main.cpp only reads the command line. All return the exit code.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tl/api/session.h"
#include "tl/base/result.h"

namespace tl::cli {

// Exit codes scripts rely on.
inline constexpr int kOk = 0, kProgramFailed = 1, kUsage = 2, kEnvironment = 3, kInterrupted = 130,
                     kTerminated = 143;
int exit_code_of(Code code);

// "error: message" on standard error, in colour on a terminal; returns the exit code for the failure.
int report(const Error& error);

struct RunArgs {
  SessionOptions session;
  std::string file;               // "-" is standard input
  std::vector<std::string> args;  // the program's
};
int run_program(const RunArgs& args);
// A program of the standard library with the model as its first argument.
int run_std(const SessionOptions& options, const std::string& program, const std::string& model,
            std::vector<std::string> args);
int check(const std::vector<std::string>& files, bool json);

// Lays out programs, and those in folders. Prints the names of those that would change, if it only checks.
int format_files(const std::vector<std::string>& names, bool only_checks);
int format_stdin(bool only_checks);

int inspect(const std::string& model, bool json);
int tokenize(const std::string& model, bool json, bool special);
int detokenize(const std::string& model, bool json);
int diff(const std::string& a, const std::string& b);
int models_list(bool json);
int models_fetch(const std::string& name);
int models_path(const std::string& name);
// One builtin or family; all families where `name` is empty; docs/reference.md with `markdown`.
int doc(const std::string& name, bool json, bool markdown);
int devices(bool json);
int version(bool json);

// --- shared helpers ---
bool wants_colour();

}  // namespace tl::cli
