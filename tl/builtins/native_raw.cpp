// Tensors in the first implementation's own file format, and what it called a learnable value.
#include <cstring>

#include "tl/base/read_file.h"
#include "tl/builtins/convert.h"
#include "tl/builtins/families.h"
#include "tl/io/atomic_file.h"
#include "tl/io/byte_reader.h"

namespace tl::lang {
namespace {

void put(std::string& out, u32 number) {
  char bytes[4];
  std::memcpy(bytes, &number, 4);
  out.append(bytes, 4);
}

// Rank, dims and bytes of an element, each a u32, then the elements in row order, all little-endian.
Result<Value> native_save(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Tensor tensor, to_tensor(ctx, args[0]));
  const DType dtype = tensor.dtype();
  if (dtype != DType::F16 && dtype != DType::F32) {
    return fail(Code::BadProgram, "save: found {}, want float16 or float32 (save_npy keeps every type)",
                type_name(args[0]));
  }
  TL_TRY(const HostTensor host, ctx.executor().read(tensor));
  std::string header;
  put(header, static_cast<u32>(tensor.rank()));
  for (const i64 dim : tensor.shape()) {
    if (dim > 0xffffffff) return fail(Code::BadProgram, "save: a dim of {} does not fit the format", dim);
    put(header, static_cast<u32>(dim));
  }
  put(header, dtype == DType::F16 ? 2 : 4);
  TL_TRY(AtomicFile file, AtomicFile::create(args[1].as<String>().text));
  TL_TRY_DO(file.write(header));
  TL_TRY_DO(file.write({reinterpret_cast<const u8*>(host.bytes.data()), host.bytes.size()}));
  TL_TRY_DO(file.commit());
  return Value::unit();
}

Result<Value> native_load(CallContext& ctx, std::span<Value> args) {
  const std::string& path = args[0].as<String>().text;
  TL_TRY(const std::string text, read_whole_file(path));
  const auto bad = [&](std::string_view why) {
    return fail(Code::BadFile, "{}: not a file that save wrote: {}", path, why);
  };
  size_t at = 0;
  const auto next = [&](u32& out) {
    if (text.size() - at < 4) return false;
    std::memcpy(&out, text.data() + at, 4);
    at += 4;
    return true;
  };
  u32 rank = 0, element = 0;
  if (!next(rank)) return bad("it is empty");
  if (rank > static_cast<u32>(kMaxRank)) return bad(fmt::format("rank {}", rank));
  Shape shape;
  i64 count = 1;
  for (u32 i = 0; i < rank; ++i) {
    u32 dim = 0;
    if (!next(dim)) return bad("it ends within the dims");
    shape.push_back(dim);
    if (__builtin_mul_overflow(count, static_cast<i64>(dim), &count)) return bad("its dims are too large");
  }
  if (!next(element) || (element != 2 && element != 4))
    return bad(fmt::format("elements of {} bytes", element));
  i64 bytes = 0;
  const bool fits = !__builtin_mul_overflow(count, static_cast<i64>(element), &bytes) &&
                    static_cast<u64>(bytes) == text.size() - at;
  if (!fits) return bad(fmt::format("{} bytes of elements, want {} of {}", text.size() - at, count, element));
  const TensorType type{element == 2 ? DType::F16 : DType::F32, shape};
  TL_TRY(Tensor tensor, ctx.executor().from_host(type, std::as_bytes(std::span(text)).subspan(at)));
  return make_tensor(std::move(tensor));
}

Result<Value> native_learnable(CallContext&, std::span<Value> args) {
  return args[0];
}

const Builtin kRows[] = {
    {"learnable", "(x: tensor) -> tensor", "A tensor that learning may change.",
     "learnable([0.5, 1.0])  //~ [0.5000 1.0000] shape=[2] float32", Effect::Pure, native_learnable},
    {"load", "(path: string) -> tensor", "The tensor in a file that save wrote.", "", Effect::Io,
     native_load},
    {"save", "(x: any, path: string) -> unit",
     "Writes a float16 or float32 tensor in the first implementation's format (see save_npy).", "",
     Effect::Io, native_save},
};

}  // namespace

std::span<const Builtin> raw_natives() {
  return kRows;
}

}  // namespace tl::lang
