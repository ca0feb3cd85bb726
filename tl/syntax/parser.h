// Tokens to syntax tree. Accepts every dialect of the language; what names, types and shapes say is sema's.
#pragma once

#include <memory>

#include "tl/diag/diagnostic.h"
#include "tl/diag/source.h"
#include "tl/syntax/ast.h"

namespace tl {

// Parses a whole file. Always gives a module; when errors were reported, nodes of kind Error stand where text
// could not be understood, and the module must not be run.
std::unique_ptr<ast::Module> parse(const SourceFiles& files, FileId file, Diagnostics& diags);

// Parses a builtin's signature, "(x: tensor<F>[..b, n], eps: float = 1e-5) -> tensor<F>[..b, n]", as a Fn
// without name and body.
std::unique_ptr<ast::Fn> parse_signature(const SourceFiles& files, FileId file, Diagnostics& diags);

}  // namespace tl
