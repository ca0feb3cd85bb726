// Runs programs: loads a file with its imports, compiles it to bytecode, runs that. Compile-time problems are
// diagnostics, run-time ones an Error with the span and a trace of calls.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tl/builtins/context.h"
#include "tl/diag/diagnostic.h"
#include "tl/diag/source.h"
#include "tl/interp/bytecode.h"
#include "tl/syntax/ast.h"

namespace tl::interp {

struct Module {
  std::string path;  // "std/..." or as the file system has it
  std::unique_ptr<ast::Module> tree;
  std::vector<size_t> imports;  // ModuleGraph::modules, all of whose names are seen
  std::vector<std::pair<const ast::Import*, size_t>> named;  // import ... as, from ... import
};

// A program's files, imports before those who import them; the last is the program itself.
struct ModuleGraph {
  std::vector<Module> modules;
  const SourceFiles* files = nullptr;
};

// Parses `root`, which `files` has, and what it imports: "std/..." from the folder `share_dir`, anything else
// from the folder of the importing file.
ModuleGraph load_modules(SourceFiles& files, FileId root, const std::string& share_dir, Diagnostics& diags);

// Run only if `diags` has no errors. The program refers to nothing of `graph` but its files.
Program compile(const ModuleGraph& graph, Diagnostics& diags);

struct TraceEntry {
  std::string function;
  Span span;  // of the call that is under way in it
};

struct RunOptions {
  std::vector<TraceEntry>* trace = nullptr;  // filled when the run fails: innermost first
  const NamedProto* block = nullptr;         // a test or bench of the program, run instead of main
};

// Runs top-level statements and `main`. Gives the exit code of exit(), else 0.
Result<int> run(const Program& program, lang::Host& host, const RunOptions& options = {});

}  // namespace tl::interp
