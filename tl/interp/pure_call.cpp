#include "tl/interp/pure_call.h"

#include <utility>

namespace tl::interp {

// Births behind those of traces (tl/interp/tracer.h); one for each depth of calls in each other, because what
// is made in a call is gone when the next one of its depth begins.
static constexpr u32 kFirstBirth = (1u << 24) - 1024;

PureCall::PureCall(const PureCall* around)
    : birth_(around == nullptr ? kFirstBirth : around->birth_ + 1),
      birth_before_(std::exchange(lang::Object::current_birth, birth_)) {
  TL_CHECK(birth_ >= kFirstBirth && birth_ < 1u << 24, "calls in calls too deep: {}", birth_ - kFirstBirth);
}

PureCall::~PureCall() {
  lang::Object::current_birth = birth_before_;
}

static Result<void> refuse(std::string_view what) {
  return fail(Code::BadProgram, "a function that is called once for all runs of it cannot change {}", what);
}

Result<void> PureCall::check_object(const Value& changed) const {
  if (!changed.is_object() || changed.object()->birth == birth_ || tensor_of(changed) != nullptr) return {};
  return refuse(fmt::format("a {} that was there before", type_name(changed)));
}

Result<void> PureCall::check(const Instr& i, const Value* base) const {
  switch (i.op) {
    case Op::SetGlobal:
      return refuse("a global variable");
    case Op::SetCell:
      if (base[i.a].object()->birth == birth_) return {};
      return refuse("a variable of the function around it");
    case Op::BeginTry:
      return fail(
          Code::BadProgram,
          "a function that is called once for all runs of it cannot handle failures: they come later");
    case Op::SetIndex:
    case Op::SetIndexMany:
    case Op::SetField:
      return check_object(base[i.a]);
    default:
      return {};
  }
}

Result<void> PureCall::check(const lang::Builtin& called, std::span<const Value> args) const {
  const bool makes_one = called.name == "set" && args.size() == 1;
  const bool adds = called.is_other_form != nullptr && !args.empty() && args[0].is(lang::ObjectKind::Set);
  if ((called.effect != lang::Effect::Mutates && !adds) || makes_one || args.empty()) return {};
  return check_object(args[0]);
}

}  // namespace tl::interp
