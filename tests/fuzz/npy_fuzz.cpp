// Any bytes as an .npy file: refused, or an array whose bytes are those of its shape.
#include <cstdlib>

#include "tl/io/npy.h"

extern "C" int LLVMFuzzerTestOneInput(const tl::u8* data, size_t size) {
  const auto array = tl::parse_npy({data, size}, "fuzz");
  if (!array.ok()) {
    if (array.error().message.empty()) std::abort();
    return 0;
  }
  const tl::NpyArray& a = array.value();
  if (static_cast<tl::i64>(a.bytes.size()) != numel(a.shape) * size_of(a.dtype)) std::abort();
  return 0;
}
