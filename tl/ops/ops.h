// The table of ops. Each is defined in its family's folder as `const OpDef op_<name>`.
#pragma once

#include <span>

#include "tl/tensor/op.h"

namespace tl {

#define TL_OP(name) extern const OpDef op_##name;
#include "tl/ops/ops.def"
#undef TL_OP

// In the order of ops.def.
std::span<const OpDef* const> all_ops();
// Null if there is no such op.
const OpDef* find_op(std::string_view name);

}  // namespace tl
