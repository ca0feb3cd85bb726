// A stream of random draws as a value of the program: a seed and how many draws were made. Shared and
// mutable, as a list is: `b = a` is another name of the same stream.
#pragma once

#include "tl/builtins/context.h"

namespace tl::lang {

struct Generator : ObjectOf<ObjectKind::Generator> {
  explicit Generator(Recorder::Generator s, bool of_program = false) : own(s), is_default(of_program) {}

  Recorder::Generator own;  // unless it is the program's
  // The stream of draws that name no generator: of the program, or of the task that uses this value.
  const bool is_default;

  Recorder::Generator& in(Executor& executor) { return is_default ? executor.recorder().generator() : own; }
};

}  // namespace tl::lang
