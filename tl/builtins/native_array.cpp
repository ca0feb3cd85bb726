#include "tl/builtins/families.h"
namespace tl::lang {
std::span<const Builtin> array_natives() {
  return {};
}
}  // namespace tl::lang
