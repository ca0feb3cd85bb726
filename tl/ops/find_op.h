// Ops by name, for those who name none of them in code (the others include tl/ops/ops.h).
#pragma once

#include <span>
#include <string_view>

namespace tl {

struct OpDef;

// In the order of ops.def.
std::span<const OpDef* const> all_ops();
// Null if there is no such op.
const OpDef* find_op(std::string_view name);

}  // namespace tl
