// The tree as an s-expression: for tests and for looking at what the parser understood.
#pragma once

#include <string>

#include "tl/syntax/ast.h"

namespace tl::ast {

// Statements are separated by newlines; nothing ends in one.
std::string dump(const Module& module);
std::string dump(const Stmt& statement);
std::string dump(const Expr& expression);
std::string dump(const Type& type);
std::string dump(const Pattern& pattern);

}  // namespace tl::ast
