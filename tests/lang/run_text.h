// Runs a program given as text and writes down what happened: what it printed, then what went wrong.
#pragma once

#include <string>

#include "tl/exec/executor.h"

namespace tl {

class ExecObserver;

struct Transcript {
  std::string output;
  std::string problems;  // "error[E0101] 3:5: ..." for each diagnostic, or "error 3:5: ..." for a failed run
  u64 replays = 0;       // calls of functions that were replayed
};

struct RunSettings {
  std::string device = "cpu";
  int threads = 2;
  ExecOptions exec = {};
  i64 memory_limit_bytes = 0;  // 0: none
  bool validate = false;
};

// `path` is where the program would lie: its imports are relative to it.
Transcript run_text(const std::string& path, const std::string& text, const std::string& device,
                    int threads = 2, bool validate = false, ExecObserver* observer = nullptr);

Transcript run_text(const std::string& path, const std::string& text, const RunSettings& settings);

}  // namespace tl
