// Whole files as text: programs, tables, vocabularies. Models are mapped (tl/io/mapped_file.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

#include "tl/base/result.h"

namespace tl {

// All bytes of a file, a pipe or a device, at most `most` and a quarter of the machine's memory (some never
// end). Fails with "cannot read PATH: " and why.
Result<std::string> read_whole_file(const std::string& path, size_t most = SIZE_MAX);
// What is left of an open file, which messages call `name`.
Result<std::string> read_whole_file(std::FILE* in, const std::string& name, size_t most = SIZE_MAX);

}  // namespace tl
