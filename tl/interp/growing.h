// Bytecode that grows, module by module, while it runs.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tl/interp/interp.h"

namespace tl::interp {

class Compiler;

// Both arguments outlive it; so do the trees of every module that it has ever seen in `graph`.
class GrowingProgram {
 public:
  GrowingProgram(const ModuleGraph& graph, Diagnostics& diags);
  ~GrowingProgram();

  // The modules of the graph from `first` on are new; the last of them also has the names that the module
  // `before` has, and may declare them anew. Every variable is a global.
  void compile_from(size_t first, size_t before);
  // The modules from `first` on had errors, and are gone from the graph.
  void forget_from(size_t first);
  // What was added and is to be run, in order.
  std::vector<int> take_parts();
  const Program& program() const;
  // Of a module: where a variable is, and all names it sees.
  std::optional<size_t> global(size_t module, std::string_view name) const;
  std::vector<std::string> names(size_t module) const;

 private:
  std::unique_ptr<Compiler> compiler_;
};

}  // namespace tl::interp
