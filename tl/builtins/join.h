// Tensors one after the other, however many there are.
#pragma once

#include <vector>

#include "tl/builtins/context.h"

namespace tl::lang {

// At least one part. Records ops and waits for nothing.
Result<Tensor> join_tensors(CallContext& ctx, std::vector<Tensor> parts, i64 axis);

}  // namespace tl::lang
