// Types and shapes before a program runs: what is certainly wrong becomes a diagnostic, what is not known is
// let through. Names, argument counts and struct literals are reported by the compiler to bytecode instead.
#pragma once

#include <span>

#include "tl/diag/diagnostic.h"
#include "tl/syntax/ast.h"

namespace tl::sema {

// Checks a program: imported files first, the program itself last. Trees with syntax errors are fine. `lint`:
// also warns of what runs well and is still odd.
void check(std::span<const ast::Module* const> modules, Diagnostics& diags, bool lint = false);

}  // namespace tl::sema
