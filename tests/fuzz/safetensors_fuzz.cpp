// Any bytes as a safetensors file: refused, or every tensor's bytes can be read.
#include <cstdlib>

#include "tl/io/safetensors.h"

namespace {
volatile unsigned sink;  // keeps the reads below
}

extern "C" int LLVMFuzzerTestOneInput(const tl::u8* data, size_t size) {
  auto model = tl::SafetensorsModel::read(tl::MappedFile::borrowed({data, size}, "fuzz"));
  if (!model.ok()) {
    if (model.error().message.empty()) std::abort();
    return 0;
  }
  unsigned sum = 0;
  for (const tl::SafetensorsTensor& tensor : (*model)->tensors()) {
    if ((*model)->find_tensor(tensor.name) != &tensor) std::abort();
    if (numel(tensor.shape) < 0) std::abort();
    for (const tl::u8 byte : (*model)->bytes(tensor)) sum += byte;
    sum += (*model)->get_tensor(tensor.name).ok();
  }
  sink = sum;
  return 0;
}
