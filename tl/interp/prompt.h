// A program that grows: every input is compiled beside those before, whose names it sees, and runs at once.
#pragma once

#include <set>

#include "tl/interp/growing.h"
#include "tl/interp/instance.h"

namespace tl::interp {

// Of one thread. `files` and `host` outlive it.
class Prompt {
 public:
  Prompt(SourceFiles& files, std::string share_dir, lang::Host& host);
  ~Prompt();

  // Compiles and runs one input: its top-level statements, then its `main`. Gives the value of a last
  // statement that is an expression without ';', which stays under the name '_'; otherwise the unit.
  // Empty: `diags` say why there is nothing to run, and the program is what it was.
  std::optional<Result<Value>> run(FileId input, Diagnostics& diags);
  // What the inputs have declared so far.
  std::vector<std::string> names() const;
  std::optional<int> exit_code() const { return instance_.exit_code(); }
  const std::vector<TraceEntry>& trace() const { return instance_.trace(); }

 private:
  bool gives_value(const ast::Module& input) const;
  void take_modules(ModuleGraph added);

  SourceFiles& files_;
  std::string share_dir_;
  ModuleGraph graph_;
  std::vector<std::unique_ptr<ast::Module>> refused_;  // the compiler has looked at them
  Diagnostics diags_;                                  // of the input under way
  GrowingProgram growing_;
  Instance instance_;
  std::set<std::string, std::less<>> relations_;
  size_t last_input_;  // graph_.modules
};

}  // namespace tl::interp
