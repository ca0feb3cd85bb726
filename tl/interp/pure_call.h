// A function that a builtin calls once for many runs of it: for all examples (vmap), for every round
// (repeat_until). What it changed of its caller's would be changed once, so that is refused.
#pragma once

#include "tl/builtins/builtins.h"
#include "tl/interp/bytecode.h"

namespace tl::interp {

// While one lives, objects that are made are the function's own. They must not outlive it: whoever calls
// the function copies what it gives.
class PureCall {
 public:
  explicit PureCall(const PureCall* around);  // the call that this one is in, or null
  ~PureCall();
  PureCall(const PureCall&) = delete;

  // Before an instruction runs, and before a builtin does.
  Result<void> check(const Instr& i, const Value* base) const;
  Result<void> check(const lang::Builtin& called, std::span<const Value> args) const;

 private:
  Result<void> check_object(const Value& changed) const;

  const u32 birth_, birth_before_;
};

}  // namespace tl::interp
