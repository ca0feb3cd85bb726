// What must be true of every random program.
#pragma once

#include <string>

#include "tests/property/program.h"

namespace tl::property {

// Runs the program in many ways; empty, or what differs from the truth. What is badly wrong ends the process.
std::string check_program(const Program& program);
// Every op that the program applies, with its shapes.
std::string log_of(const Program& program);
// Sets up a process that checks programs, the next being `seed`: a poisoned pool for every second one, and an
// end for what hangs.
void prepare_child(u64 seed);

}  // namespace tl::property
