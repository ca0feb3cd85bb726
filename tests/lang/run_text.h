// Runs a program given as text and writes down what happened: what it printed, then what went wrong.
#pragma once

#include <string>

namespace tl {

class ExecObserver;

struct Transcript {
  std::string output;
  std::string problems;  // "error[E0101] 3:5: ..." for each diagnostic, or "error 3:5: ..." for a failed run
};

// `path` is where the program would lie: its imports are relative to it.
Transcript run_text(const std::string& path, const std::string& text, const std::string& device,
                    int threads = 2, bool validate = false, ExecObserver* observer = nullptr);

}  // namespace tl
