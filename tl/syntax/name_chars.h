// Which characters names are made of.
#pragma once

#include "tl/base/types.h"

namespace tl {

bool is_name_start(u32 c);
bool is_name_part(u32 c);  // not the primes that may end a name

}  // namespace tl
