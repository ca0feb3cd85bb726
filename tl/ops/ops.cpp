#include "tl/ops/ops.h"

#include <unordered_map>

#include "tl/ops/find_op.h"

namespace tl {

static constexpr const OpDef* kOps[] = {
#define TL_OP(name) &op_##name,
#include "tl/ops/ops.def"
#undef TL_OP
};

std::span<const OpDef* const> all_ops() {
  return kOps;
}

const OpDef* find_op(std::string_view name) {
  static const auto* by_name = [] {
    auto* map = new std::unordered_map<std::string_view, const OpDef*>;
    for (const OpDef* op : kOps) map->emplace(op->name, op);
    return map;
  }();
  const auto it = by_name->find(name);
  return it == by_name->end() ? nullptr : it->second;
}

}  // namespace tl
