// The `test` and `bench` blocks of a program: each is run, and what came of it reported.
#pragma once

#include "tl/api/session.h"

namespace tl {

struct BlockReport {
  std::string name;
  bool passed = true;
  std::string message;          // of a test that failed: one line
  std::string details;          // the same with its source line and calls, rendered
  std::string file;             // where it failed, or begins
  int line = 0, column = 0;     // from 1
  std::vector<double> seconds;  // of each run
};

struct BlockOptions {
  enum class Kind : u8 { Tests, Benches } kind = Kind::Tests;
  std::string filter;                              // runs those whose names have this text
  double seconds = 0;                              // a bench runs again until this time is over; 0: once
  std::function<void(const BlockReport&)> report;  // after each block
};

struct BlockOutcome {
  ProgramOutcome program;  // what kept blocks from running, or the top level's failure
  int passed = 0, failed = 0;
};

// Runs the top-level statements of `file`, then its blocks one after the other, not `main`. A test that fails
// ends by itself; the others go on.
BlockOutcome run_blocks(const SessionOptions& options, const SessionHooks& hooks, const std::string& file,
                        const BlockOptions& blocks, bool colour);

}  // namespace tl
