// Tensors in files, and what a program can ask about its own run.
#include "tl/builtins/convert.h"
#include "tl/builtins/families.h"
#include "tl/io/npy.h"

namespace tl::lang {
namespace {

Result<Value> native_save_npy(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Tensor tensor, to_tensor(ctx, args[0]));
  TL_TRY(const HostTensor host, ctx.executor().read(tensor));
  TL_TRY_DO(write_npy(args[1].as<String>().text, tensor.dtype(), tensor.shape(),
                      {reinterpret_cast<const u8*>(host.bytes.data()), host.bytes.size()}));
  return Value::unit();
}

Result<Value> native_load_npy(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const NpyArray array, read_npy(args[0].as<String>().text));
  TL_TRY(Tensor tensor, ctx.executor().from_host(TensorType{array.dtype, array.shape},
                                                 std::as_bytes(std::span(array.bytes))));
  return make_tensor(std::move(tensor));
}

Result<Value> native_memory_in_use(CallContext& ctx, std::span<Value>) {
  return Value(ctx.executor().device().memory().in_use_bytes);
}

Result<Value> native_clear_interrupt(CallContext& ctx, std::span<Value>) {
  if (ctx.host.interrupts != nullptr) (void)ctx.host.interrupts->take();
  return Value::unit();
}

const Builtin kRows[] = {
    {"clear_interrupt", "() -> unit", "Forgets a Ctrl-C that interrupted() was not asked about.",
     "clear_interrupt()", Effect::Io, native_clear_interrupt},
    {"load_npy", "(path: string) -> tensor", "The array in a .npy file.", "", Effect::Io, native_load_npy},
    {"memory_in_use", "() -> int", "Bytes that the device's tensors hold now.",
     "memory_in_use() >= 0  //~ true", Effect::Io, native_memory_in_use},
    {"save_npy", "(x: any, path: string) -> unit", "Writes a tensor as a .npy file.", "", Effect::Io,
     native_save_npy},
};

}  // namespace

std::span<const Builtin> runtime_natives() {
  return kRows;
}

}  // namespace tl::lang
