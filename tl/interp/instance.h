// A program that stays: its top-level statements run once, then its functions can be called from C++, again
// and again, with its globals as the calls before left them.
#pragma once

#include "tl/interp/interp.h"
#include "tl/interp/tasks.h"
#include "tl/interp/vm.h"

namespace tl::interp {

// Of one thread. Program and host outlive it.
class Instance {
 public:
  Instance(const Program& program, lang::Host& host);

  // The top-level statements, imports first; not `main`.
  Result<void> start();
  // Calls a function of the file. A call that fails ends with all its tasks; a call that was interrupted has
  // drawn nothing from the program's generator. What it changed in objects before stays changed.
  Result<Value> call(std::string_view function, std::span<const Value> args = {});
  // Functions that the program has got since, without arguments, one after the other.
  Result<void> run_more(std::span<const int> parts);
  const Value& global(size_t index) const { return vm_.global(index); }
  // Of exit(), where that ended the last run.
  std::optional<int> exit_code() const { return exit_code_; }
  // A test or bench of the program.
  Result<void> run_block(const NamedProto& block);
  // Of the call that failed last, innermost first.
  const std::vector<TraceEntry>& trace() const { return trace_; }

 private:
  template <typename Run>
  Result<Value> whole(Run run);

  const Program& program_;
  lang::Host& host_;
  TaskPool tasks_;
  Vm vm_;
  std::vector<TraceEntry> trace_;
  std::optional<int> exit_code_;
};

}  // namespace tl::interp
