// Names of the first implementation and of programs for it that are those of other builtins here, or forms
// that nothing else has.
#include "tl/builtins/builtins.h"
#include "tl/builtins/convert.h"
#include "tl/builtins/families.h"
#include "tl/ops/ops.h"

namespace tl::lang {
namespace {

Result<Value> call_named(CallContext& ctx, std::string_view name, std::span<const Value> args) {
  return call_positional(*find_builtin(name), ctx, args);
}

Result<Value> native_dims(CallContext& ctx, std::span<Value> args) {
  return call_named(ctx, "shape", args);
}

Result<Value> native_vec(CallContext& ctx, std::span<Value> args) {
  if (args.size() == 1 && (args[0].is(ObjectKind::Tensor) || args[0].is(ObjectKind::Range)))
    return call_named(ctx, "to_list", args);
  if (args.size() == 1 && args[0].is(ObjectKind::List)) return args[0];
  return make_list({args.begin(), args.end()});
}

// Rows are appended to it, one after the other: it has none yet.
Result<Value> native_create_cache(CallContext& ctx, std::span<Value> args) {
  TL_TRY(std::vector<i64> shape, to_ints(ctx, args[1]));
  if (args[0].as_int() < 0) return fail(Code::BadProgram, "argument 'length' is {}", args[0].as_int());
  shape.insert(shape.begin(), 0);
  return call_op(ctx, "zeros", {make_ints(shape), args[2]});
}

Result<Value> native_zeros_f32(CallContext& ctx, std::span<Value> args) {
  return call_op(ctx, "zeros", {args[0], Value(DType::F32)});
}

Result<Value> native_get_weight(CallContext& ctx, std::span<Value> args) {
  return call_named(ctx, "get_tensor", args);
}
Result<Value> native_get_weight_names(CallContext& ctx, std::span<Value> args) {
  return call_named(ctx, "tensor_names", args);
}

Result<Value> native_get_metal_device(CallContext&, std::span<Value>) {
  return make_string("cpu");
}

Result<Value> native_get_scalar(CallContext& ctx, std::span<Value> args) {
  return call_named(ctx, "item", args);
}

const Builtin kRows[] = {
    {"create_cache", "(length: int, shape: any, dtype: dtype = float32) -> tensor",
     "A tensor of no rows of this shape, to append to; the length is how many are expected.",
     "shape(create_cache(8, [2, 4]))  //~ [0, 2, 4]", Effect::Pure, native_create_cache},
    {"dims", "(x: any) -> list", "The same as shape.", "dims([[1.0, 2.0]])  //~ [1, 2]", Effect::Pure,
     native_dims},
    {"get_metal_device", "() -> string", "The name of the device that computes.",
     "get_metal_device()  //~ cpu", Effect::Pure, native_get_metal_device},
    {"get_scalar", "(x: any) -> any", "The same as item.", "get_scalar([2.5])  //~ 2.5", Effect::Pure,
     native_get_scalar},
    {"get_weight", "(model: any, name: string) -> tensor", "The same as get_tensor.", "", Effect::Io,
     native_get_weight},
    {"get_weight_names", "(model: any) -> list", "The same as tensor_names.", "", Effect::Io,
     native_get_weight_names},
    {.name = "random_normal",
     .signature =
         "(shape: ints, dtype: dtype = float32, seed: int = none, position: int = none, generator: any "
         "= none) -> tensor",
     .doc = "The same as randn.",
     .example = "shape(random_normal([2, 3]))  //~ [2, 3]",
     .op = &op_randn},
    {"vec", "(values: any...) -> list", "A list of the values; of one tensor, its elements.",
     "vec(1, 2)  //~ [1, 2]", Effect::Pure, native_vec},
    {"zeros_f32", "(shape: any) -> tensor", "The same as zeros.",
     "zeros_f32([2])  //~ [0.0000 0.0000] shape=[2] float32", Effect::Pure, native_zeros_f32},
};

}  // namespace

std::span<const Builtin> first_natives() {
  return kRows;
}

}  // namespace tl::lang
