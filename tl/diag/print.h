// Diagnostics and run-time errors as text for a terminal and as JSON. Nothing here writes to a stream.
#pragma once

#include <string>

#include "tl/base/result.h"
#include "tl/diag/diagnostic.h"
#include "tl/diag/source.h"

namespace tl {

struct RenderOptions {
  bool colour = false;  // the caller knows the terminal and NO_COLOR
};

// "prog.tl:4:11: error[E0203]: inner dimensions differ: 3 and 4", the source with carets, notes; ends in a
// newline.
std::string render(const Diagnostic& d, const SourceFiles& files, const RenderOptions& options = {});
std::string render(const Diagnostics& all, const SourceFiles& files, const RenderOptions& options = {});
// "prog.tl:4:11: error: message" and its source line; without a span, "error: message".
std::string render(const Error& error, const SourceFiles& files, const RenderOptions& options = {});

// One JSON object on one line: severity, code, message, file, line, column, end_line, end_column, labels,
// notes, replacement. Ends in a newline.
std::string render_json(const Diagnostic& d, const SourceFiles& files);
std::string render_json(const Diagnostics& all, const SourceFiles& files);
std::string render_json(const Error& error, const SourceFiles& files);

}  // namespace tl
