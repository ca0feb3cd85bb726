// Those who look into a run: made before it from the session's options, reported after it, however it ended.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tl/device/device.h"
#include "tl/diag/source.h"
#include "tl/exec/executor.h"

namespace tl {

class Profile;
class SamplingLog;
class Tokenizer;
class Timeline;

struct WatchOptions {
  bool memory = false;     // what held memory, and how many plans there were
  bool profile = false;    // time per op and per line
  std::string trace_path;  // a timeline; empty: none
  bool explain = false;    // every plan as text, on standard output; the program's own goes to standard error
  bool sampling = false;   // the largest logits of every sampled token, while it runs
};

class Watch {
 public:
  // Looks at what `device` will compute for programs of `files`; both outlive it.
  static Result<std::unique_ptr<Watch>> create(const WatchOptions& options, Device& device,
                                               const SourceFiles& files);
  ~Watch();

  // For the executors of the run; null: nobody looks at them.
  ExecObserver* exec_observer();
  // A tokenizer of the program: its texts go with the ids of its vocabulary. Any thread.
  void opened(std::shared_ptr<const Tokenizer> tokenizer);
  // What there is to print, after the run. Fails if the trace could not be written.
  Result<std::string> report(const ExecStats& stats);
  // The plans; empty unless asked for.
  std::string explanation() const;

 private:
  struct Observers;
  Watch(const WatchOptions& options, Device& device, const SourceFiles& files);
  std::optional<std::string> piece(i64 token, i64 vocabulary);

  const WatchOptions options_;
  Device& device_;
  const SourceFiles& files_;
  std::unique_ptr<Observers> observers_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<const Tokenizer>> tokenizers_;
};

}  // namespace tl
