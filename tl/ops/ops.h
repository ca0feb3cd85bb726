// The table of ops. Each is defined in its family's folder as `const OpDef op_<name>`.
#pragma once

#include "tl/tensor/op.h"

namespace tl {

#define TL_OP(name) extern const OpDef op_##name;
#include "tl/ops/ops.def"
#undef TL_OP

}  // namespace tl
