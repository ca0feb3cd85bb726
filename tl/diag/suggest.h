// "Did you mean ...?": the closest of the names that were possible.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "tl/base/types.h"

namespace tl {

// Edits (insert, delete, change, swap of neighbours) between two names, by code units; stops counting at
// `limit` + 1.
int edit_distance(std::string_view a, std::string_view b, int limit);

// The candidate closest to `name` if it is close enough to be a slip (a third of its length; case alone
// always is), else empty. Ties go to the first.
std::string_view closest_name(std::string_view name, std::span<const std::string> candidates);
std::string_view closest_name(std::string_view name, std::span<const std::string_view> candidates);

}  // namespace tl
