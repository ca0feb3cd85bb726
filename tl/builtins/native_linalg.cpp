#include "tl/builtins/families.h"
namespace tl::lang {
std::span<const Builtin> linalg_natives() {
  return {};
}
}  // namespace tl::lang
