// `tl explain`: what a program's evaluations became. Each plan as text, with the sizes of its first run.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "tl/diag/source.h"
#include "tl/exec/observer.h"

namespace tl {

class Explanation : public ExecObserver {
 public:
  explicit Explanation(const SourceFiles& files) : files_(files) {}
  void runs(const Plan& plan, const Snapshot& snapshot) override;
  void traced_again(Span function, Span where, std::string_view why) override;
  void not_traced(Span function, Span where, std::string_view why) override;
  // Everything so far, in the order in which the plans were made.
  std::string text() const;

 private:
  struct Entry {
    std::string text;
    u64 runs = 0;
  };
  void note(Span function, std::string_view what, Span where, std::string_view why);

  const SourceFiles& files_;
  mutable std::mutex mutex_;
  std::vector<Entry> plans_;
  std::map<std::vector<u64>, size_t> number_of_;  // by key: executors of tasks have plans of their own
  std::map<std::string, u64> notes_;              // of functions, with how often each is true
};

// One plan: steps with shapes and lines, memory, order, fused groups, conversions, batches.
std::string plan_text(const Plan& plan, const Snapshot& snapshot, const SourceFiles& files);

}  // namespace tl
