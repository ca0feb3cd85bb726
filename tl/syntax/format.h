// The layout of programs: what `tl fmt` writes. Lines are broken where their author broke them; indentation,
// spaces and blank lines are the formatter's. It never adds, drops or changes a token or a comment.
#pragma once

#include <string>

#include "tl/base/result.h"
#include "tl/diag/diagnostic.h"
#include "tl/diag/source.h"

namespace tl {

// The program laid out anew; doing so twice changes nothing. Fails where the text has syntax errors, which go
// to `diags`, and where what came out would not be the same program: that is our mistake, and said so.
Result<std::string> format_program(const SourceFiles& files, FileId file, Diagnostics& diags);

}  // namespace tl
