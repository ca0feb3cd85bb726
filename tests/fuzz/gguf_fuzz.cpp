// Any bytes as a GGUF file: refused, or every part of it can be read.
#include <cstdlib>

#include "tl/io/gguf.h"

namespace {

volatile unsigned sink;  // keeps the reads below

void touch(const tl::GgufFile& file) {
  unsigned sum = 0;
  for (const auto& [key, value] : file.metadata()) {
    sum += static_cast<unsigned>(key.size() + to_string(value, 50).size());
    if (file.find(key) == nullptr) std::abort();
    sum +=
        file.get_u64(key).ok() + file.get_i64(key).ok() + file.get_f64(key).ok() + file.get_string(key).ok();
    sum += file.get_strings(key).ok() + file.get_f32s(key).ok() + file.get_i64s(key).ok() +
           file.get_bool(key).ok();
  }
  for (const tl::GgufTensor& tensor : file.tensors()) {
    if (file.find_tensor(tensor.name) != &tensor) std::abort();
    if (numel(tensor.shape) < 0) std::abort();
    for (const tl::u8 byte : file.bytes(tensor)) sum += byte;
    sum += file.get_tensor(tensor.name).ok();
  }
  sink = sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const tl::u8* data, size_t size) {
  auto file = tl::GgufFile::read(tl::MappedFile::borrowed({data, size}, "fuzz"));
  if (file.ok()) {
    touch(**file);
  } else if (file.error().message.empty()) {
    std::abort();
  }
  return 0;
}
