// --shuffle: any order that a plan allows.
#pragma once

#include <random>

#include "tl/device/stream.h"

namespace tl {

// The commands of `batch` in a random order in which each comes after those it must come after.
void shuffle_commands(Batch& batch, const Order& order, std::mt19937_64& random);

}  // namespace tl
