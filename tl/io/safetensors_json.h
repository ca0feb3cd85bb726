// The JSON parts of safetensors: a file's header and the index of a model in several files. Parsed as a
// stream, so hostile nesting or size costs nothing; knows nothing of where bytes lie.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tl/base/result.h"

namespace tl::safetensors {

struct HeaderTensor {
  std::string name;
  std::string type;  // "F32", "BF16"
  std::vector<u64> dims;
  std::vector<u64> offsets;  // begin and end in the file's data; checked to be two
};

struct Header {
  std::vector<HeaderTensor> tensors;            // in the header's order
  std::map<std::string, std::string> metadata;  // of "__metadata__"
};

Result<Header> parse_header(std::string_view json);

// Tensor name to file name.
Result<std::vector<std::pair<std::string, std::string>>> parse_index(std::string_view json);

std::string write_header(const Header& header);

}  // namespace tl::safetensors
