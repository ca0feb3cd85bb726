// Tokens to syntax tree. Accepts every dialect of the language; what names, types and shapes say is sema's.
#pragma once

#include <memory>
#include <vector>

#include "tl/diag/diagnostic.h"
#include "tl/diag/source.h"
#include "tl/syntax/ast.h"

namespace tl {

// How signs with several meanings were read, as offsets of tokens in no order: what the formatter cannot see
// in the tokens alone.
struct SyntaxMarks {
  std::vector<u32> operators;   // that have an operand on both sides
  std::vector<u32> statements;  // their first tokens
  std::vector<u32> blocks;      // their opening braces
  std::vector<u32> bars;        // around the parameters of closures
};

// Parses a whole file. Always gives a module; when errors were reported, nodes of kind Error stand where text
// could not be understood, and the module must not be run.
std::unique_ptr<ast::Module> parse(const SourceFiles& files, FileId file, Diagnostics& diags,
                                   SyntaxMarks* marks = nullptr);

// Parses a builtin's signature, "(x: tensor<F>[..b, n], eps: float = 1e-5) -> tensor<F>[..b, n]", as a Fn
// without name and body.
std::unique_ptr<ast::Fn> parse_signature(const SourceFiles& files, FileId file, Diagnostics& diags);

}  // namespace tl
