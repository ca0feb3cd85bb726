// Failure on purpose: TL_FAIL names points of the runtime that are to fail, so that tests can see that every
// failure ends in an error and loses nothing. Costs one load where nothing is asked for.
#pragma once

#include <atomic>
#include <span>
#include <string_view>

#include "tl/base/result.h"
#include "tl/base/types.h"

namespace tl {

// What can be made to fail.
enum class FailPoint : u8 { Command, Alloc, Read, Write, Map, Scratch, Thread };

namespace fail_point {
extern std::atomic<bool> is_active;
bool hits_slowly(FailPoint point, std::span<const std::string_view> names);
}  // namespace fail_point

// `text`, as TL_FAIL has it, separated by commas: "command:7" (the seventh; counted from 1), "op:softmax:2"
// (the second softmax), "alloc:0.01@5" (each with probability 0.01, drawn from seed 5), "read:3", "write:1",
// "map:1", "scratch:2" (what a kernel asks for its own use), "thread:1" (or its stack). Empty: none. Fails on
// text that names nothing.
Result<void> set_fail_points(std::string_view text);

// How many have failed since then.
u64 fail_points_hit();

// Whether this one is to fail. `names`: of a command, its op and those that it stands for. Any thread.
inline bool must_fail(FailPoint point, std::span<const std::string_view> names = {}) {
  return fail_point::is_active.load(std::memory_order_relaxed) && fail_point::hits_slowly(point, names);
}

}  // namespace tl
