// Functions on threads of their own.
#include "tl/builtins/convert.h"
#include "tl/builtins/families.h"

namespace tl::lang {
namespace {

Result<Value> native_spawn(CallContext& ctx, std::span<Value> args) {
  return ctx.spawn(args[0], args.subspan(1));
}

Result<Value> native_par_map(CallContext& ctx, std::span<Value> args) {
  auto items = to_items(ctx, args[0]);
  if (!items.ok()) return std::move(items).error().within("par_map: argument 'xs'");
  return ctx.par_map(*items, args[1]);
}

const Builtin kRows[] = {
    {"par_map", "(xs: any, f: any) -> list", "f of every item, each as a task; results in the items' order.",
     "par_map([1, 2, 3], |x| x * x)  //~ [1, 4, 9]", Effect::Io, native_par_map},
    {"spawn", "(f: any, args: any...) -> Task",
     "Begins f(args) on a thread of its own, with copies of all it reads; join gives the result.",
     "spawn(max, 2, 3).join()  //~ 3", Effect::Io, native_spawn},
};

}  // namespace

std::span<const Builtin> task_natives() {
  return kRows;
}

}  // namespace tl::lang
