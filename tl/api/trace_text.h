// The calls that were under way when a program failed, as lines of a message.
#pragma once

#include <string>
#include <vector>

#include "tl/diag/source.h"
#include "tl/interp/interp.h"

namespace tl {

std::string trace_text(const std::vector<interp::TraceEntry>& trace, const SourceFiles& files);

}  // namespace tl
