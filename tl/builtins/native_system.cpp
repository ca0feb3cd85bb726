// What programs that serve people and other programs need: JSON out, logits to files, the machine, a prompt.
#include <sys/resource.h>
#include <unistd.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tl/base/hash.h"
#include "tl/builtins/convert.h"
#include "tl/builtins/families.h"
#include "tl/builtins/npy_writer.h"
#include "tl/exec/checksum.h"
#include "tl/value/map.h"

namespace tl::lang {
namespace {

using nlohmann::ordered_json;

// --- to_json: structs and maps become objects, lists arrays, none null ---

Result<ordered_json> json_of(CallContext& ctx, const Value& value, int depth) {
  if (depth > kMaxNesting)
    return fail(Code::BadProgram, "to_json: the value is nested more than {} deep", kMaxNesting);
  if (value.is_empty() || value.is_unit()) return ordered_json();
  if (value.is_int()) return ordered_json(value.as_int());
  if (value.is_bool()) return ordered_json(value.as_bool());
  if (value.is_float())
    return std::isfinite(value.as_float()) ? ordered_json(value.as_float()) : ordered_json();
  if (const auto* s = value.get_if<String>()) return ordered_json(s->text);
  if (const auto* s = value.get_if<Struct>()) {
    ordered_json out = ordered_json::object();
    for (size_t i = 0; i < s->fields.size(); ++i) {
      TL_TRY(out[s->type.fields[i]], json_of(ctx, s->fields[i], depth + 1));
    }
    return out;
  }
  if (const auto* map = value.get_if<Map>()) {
    ordered_json out = ordered_json::object();
    for (size_t at = map->first(); at != Keyed::kNowhere; at = map->after(at)) {
      TL_TRY(const std::string name, text_of(ctx.reader(), map->key(at)));
      TL_TRY(out[name], json_of(ctx, map->value(at), depth + 1));
    }
    return out;
  }
  if (const Tensor* t = tensor_of(value); t != nullptr && t->rank() == 0) {
    TL_TRY(const Value number, to_scalar(ctx, value));
    return json_of(ctx, number, depth + 1);
  }
  Result<std::vector<Value>> items = to_items(ctx, value);
  if (!items.ok()) return fail(Code::BadProgram, "to_json: found a {}, want data", type_name(value));
  ordered_json out = ordered_json::array();
  for (const Value& item : items.value()) {
    TL_TRY(ordered_json element, json_of(ctx, item, depth + 1));
    out.push_back(std::move(element));
  }
  return out;
}

Result<Value> native_to_json(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const ordered_json out, json_of(ctx, args[0], 0));
  return make_string(out.dump(-1, ' ', false, ordered_json::error_handler_t::replace));
}

Result<Value> native_hash_text(CallContext&, std::span<Value> args) {
  const std::string& text = args[0].as<String>().text;
  return make_string(checksum_hex(hash_bytes(text.data(), text.size())));
}

// --- rows of numbers to a .npy file while they come ---

Result<Value> native_npy_writer(CallContext&, std::span<Value> args) {
  return Value(new NpyWriterValue(args[0].as<String>().text));
}

Result<Value> native_write_rows(CallContext& ctx, std::span<Value> args) {
  auto* file = args[0].get_if<NpyWriterValue>();
  if (file == nullptr)
    return fail(Code::BadProgram, "write_rows: found a {}, want an NpyWriter", type_name(args[0]));
  TL_TRY(const Tensor rows, to_tensor(ctx, args[1]));
  TL_TRY_DO(file->append(ctx.executor(), rows));
  return Value::unit();
}

Result<Value> native_close(CallContext&, std::span<Value> args) {
  auto* file = args[0].get_if<NpyWriterValue>();
  if (file == nullptr)
    return fail(Code::BadProgram, "close: found a {}, want an NpyWriter", type_name(args[0]));
  TL_TRY_DO(file->close());
  return Value::unit();
}

// --- the machine and the terminal ---

Result<Value> native_peak_memory(CallContext&, std::span<Value>) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return Value(static_cast<i64>(usage.ru_maxrss) * 1024);
}
Result<Value> native_device_name(CallContext& ctx, std::span<Value>) {
  return make_string(ctx.executor().device().info().name);
}
Result<Value> native_simd_level(CallContext& ctx, std::span<Value>) {
  return make_string(ctx.executor().device().info().simd);
}
Result<Value> native_thread_count(CallContext& ctx, std::span<Value>) {
  return Value(static_cast<i64>(ctx.executor().device().info().threads));
}
Result<Value> native_is_terminal(CallContext& ctx, std::span<Value>) {
  return Value(ctx.host.in != nullptr && isatty(fileno(ctx.host.in)) == 1 && isatty(STDOUT_FILENO) == 1);
}

Result<Value> native_ask(CallContext& ctx, std::span<Value> args) {
  TL_TRY_DO(ctx.host.out.flush());
  if (!ctx.host.ask) return fail(Code::Unsupported, "ask: there is nobody to ask here");
  std::optional<std::string> line = ctx.host.ask(args[0].as<String>().text);
  if (!line) return args[1].is_empty() ? Value::unit() : args[1];
  return make_string(std::move(*line));
}

Result<Value> native_start(CallContext& ctx, std::span<Value> args) {
  std::vector<Tensor> tensors;
  for (const Value& arg : args) {
    TL_TRY(Tensor t, to_tensor(ctx, arg));
    tensors.push_back(std::move(t));
  }
  TL_TRY_DO(ctx.executor().submit(tensors));
  return Value::unit();
}

const Builtin kRows[] = {
    {"ask", "(prompt: string, at_end: any = none) -> any",
     "A line typed at a prompt (with editing on a terminal), or at_end where the input has ended.", "",
     Effect::Io, native_ask, true},
    {"close", "(file: any) -> unit", "Finishes a file that is written in pieces; only now it has its name.",
     "", Effect::Io, native_close},
    {"device_name", "() -> string", "The device that computes.", "len(device_name()) > 0  //~ true",
     Effect::Pure, native_device_name},
    {"hash_text", "(text: string) -> string", "16 hex digits over the text.", "len(hash_text(\"a\"))  //~ 16",
     Effect::Pure, native_hash_text},
    {"is_terminal", "() -> bool", "True if somebody types and reads, not a file or pipe.", "", Effect::Io,
     native_is_terminal},
    {"npy_writer", "(path: string) -> NpyWriter", "A .npy file to write in pieces; see write_rows and close.",
     "", Effect::Io, native_npy_writer},
    {"peak_memory", "() -> int", "The most bytes of memory this process has had.",
     "peak_memory() > 0  //~ true", Effect::Io, native_peak_memory},
    {"simd_level", "() -> string", "The instructions kernels use: portable, avx2, avx512; empty off the CPU.",
     "len(simd_level()) >= 0  //~ true", Effect::Pure, native_simd_level},
    {"start", "(x: any...) -> unit", "Begins to compute the tensors, without waiting.", "start([1.0])",
     Effect::Pure, native_start},
    {"thread_count", "() -> int", "The threads of the device.", "thread_count() > 0  //~ true", Effect::Pure,
     native_thread_count},
    {"to_json", "(value: any) -> string", "JSON: structs as objects, lists as arrays, none as null.",
     "to_json([1, true, \"a\"])  //~ [1,true,\"a\"]", Effect::Pure, native_to_json},
    {"write_rows", "(file: any, rows: any) -> unit", "Appends the rows of a tensor [rows, ...].", "",
     Effect::Io, native_write_rows},
};

}  // namespace

std::span<const Builtin> system_natives() {
  return kRows;
}

}  // namespace tl::lang
