// Ctrl-C and SIGTERM, in one place: the first ends the run by its own way out, a second one, or too long a
// way, at once.
#pragma once

#include "tl/builtins/interrupts.h"

namespace tl::cli {

// From here on; what has no way out of its own ends 50 ms after the signal.
void catch_signals();
lang::Interrupts& interrupts();
// The signal's exit code, 130 or 143; 0 where none came that ends the run.
int signal_exit_code();

}  // namespace tl::cli
