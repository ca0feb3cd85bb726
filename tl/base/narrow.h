// Numbers that go into narrow fields: what does not fit is our mistake, and must not become another number.
#pragma once

#include <utility>

#include "tl/base/check.h"
#include "tl/base/types.h"

namespace tl {

template <typename T, typename From>
T narrow(From value) {
  TL_CHECK(std::in_range<T>(value), "{} does not fit in {} bytes", value, sizeof(T));
  return static_cast<T>(value);
}

}  // namespace tl
