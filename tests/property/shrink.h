// Smaller programs that fail too.
#pragma once

#include <string>

#include "tests/property/program.h"

namespace tl::property {

// Removes from a program that fails whatever can be removed, each try in a process of its own; gives what is
// left, as text, with what it says and every op that it applies.
std::string shrunk_listing(Program program);
// How a process ended, by its status: "failed", "ended by signal 6".
std::string end_of(int status);

}  // namespace tl::property
