// What builtins for lists do where they are given a map or set.
#pragma once

#include "tl/builtins/context.h"
#include "tl/value/map.h"

namespace tl::lang {

// One of its own with the same entries.
Result<Value> copy_of(const Value& keyed);
// Of the items of anything; Empty: none.
Result<Value> new_set(CallContext& ctx, const Value& items);
// Gives what was there, or `otherwise` (Empty: fails) where nothing was.
Result<Value> remove_key(CallContext& ctx, Keyed& keyed, const Value& key, const Value& otherwise);

}  // namespace tl::lang
