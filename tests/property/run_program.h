// One run of a random program under one way to run it, and what it shows.
#pragma once

#include "tests/property/program.h"
#include "tl/exec/executor.h"

namespace tl::property {

// A way to run a program.
struct Settings {
  enum class Device : u8 { Cpu, Null };
  Device device = Device::Cpu;
  int threads = 1;
  ExecOptions exec;
  bool alone = false;    // each value is computed as it is recorded, one thread after the other: the truth
  bool is_warm = false;  // after a run with other sizes, so that plans are there
  bool keeps_executors = false;  // those of ended threads live on
  std::string failures;          // TL_FAIL's text; a second run without any must then show the right numbers
};
std::string to_string(const Settings& settings);

// What somebody looked at: a checksum, or the message of a failure.
struct Observation {
  std::string where;
  bool failed = false;
  std::string text;
};
using Observations = std::vector<Observation>;

// Runs the program; with failures on purpose the second run's observations go to `afterwards`.
Observations run_program(const Program& program, const Settings& settings, Observations* afterwards,
                         std::string* log);

}  // namespace tl::property
