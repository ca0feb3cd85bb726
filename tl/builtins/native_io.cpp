// What programs do to the world: output, input, files, time, checks, leaving.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "tl/base/fail_point.h"
#include "tl/base/read_file.h"
#include "tl/builtins/convert.h"
#include "tl/builtins/families.h"
#include "tl/builtins/operators.h"
#include "tl/exec/checksum.h"
#include "tl/io/atomic_file.h"
#include "tl/value/text.h"

namespace tl::lang {
namespace {

// Format mode, as the first implementation's print: a text with "{}" and values after it.
bool is_format(std::span<const Value> values) {
  if (values.size() < 2) return false;
  const auto* first = values[0].get_if<String>();
  return first != nullptr &&
         (first->text.find("{}") != std::string::npos || first->text.find("{:") != std::string::npos);
}

Result<std::string> line_of(CallContext& ctx, std::span<const Value> values) {
  if (is_format(values)) return format_text(ctx.reader(), values[0].as<String>().text, values.subspan(1));
  std::string line;
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0) line += ' ';
    TL_TRY(const std::string text, text_of(ctx.reader(), values[i]));
    line += text;
  }
  return line;
}

Result<Value> emit(CallContext& ctx, Output& out, std::span<const Value> values, std::string_view end) {
  TL_TRY(std::string line, line_of(ctx, values));
  line += end;
  TL_TRY_DO(out.write(line));
  return Value::unit();
}

Result<Value> native_print(CallContext& ctx, std::span<Value> args) {
  return emit(ctx, ctx.host.out, args, "\n");
}
Result<Value> native_write(CallContext& ctx, std::span<Value> args) {
  return emit(ctx, ctx.host.out, args, "");
}
Result<Value> native_flush(CallContext& ctx, std::span<Value>) {
  TL_TRY_DO(ctx.host.out.flush());
  return Value::unit();
}
Result<Value> native_eprint(CallContext& ctx, std::span<Value> args) {
  TL_TRY_DO(ctx.host.out.flush());  // what was printed before stands before
  TL_TRY(Value done, emit(ctx, ctx.host.err, args, "\n"));
  TL_TRY_DO(ctx.host.err.flush());
  return done;
}
Result<Value> native_ewrite(CallContext& ctx, std::span<Value> args) {
  TL_TRY_DO(ctx.host.out.flush());  // what was printed before stands before
  TL_TRY(Value done, emit(ctx, ctx.host.err, args, ""));
  TL_TRY_DO(ctx.host.err.flush());
  return done;
}

// A line without its end; empty() at the end of input.
Result<std::optional<std::string>> read_line(CallContext& ctx) {
  if (ctx.host.in == nullptr) return fail(Code::BadProgram, "a task cannot read standard input");
  TL_TRY_DO(ctx.host.out.flush());
  char* line = nullptr;
  size_t capacity = 0;
  const ssize_t size = getline(&line, &capacity, ctx.host.in);
  std::optional<std::string> out;
  if (size >= 0) {
    out.emplace(line, static_cast<size_t>(size));
    while (!out->empty() && (out->back() == '\n' || out->back() == '\r')) out->pop_back();
  }
  std::free(line);
  if (size < 0 && std::ferror(ctx.host.in) != 0)
    std::clearerr(ctx.host.in);  // Ctrl-C: what follows can be read
  return out;
}

Result<std::optional<std::string>> ask(CallContext& ctx, const Value& prompt) {
  if (must_fail(FailPoint::Read)) return fail(Code::Io, "cannot read standard input: failed on purpose");
  const std::string text = prompt.is_empty() ? "" : prompt.as<String>().text;
  if (ctx.host.ask) {
    TL_TRY_DO(ctx.host.out.flush());
    return ctx.host.ask(text);
  }
  TL_TRY_DO(ctx.host.out.write(text));
  return read_line(ctx);
}

Result<Value> native_input(CallContext& ctx, std::span<Value> args) {
  TL_TRY(std::optional<std::string> line, ask(ctx, args[0]));
  if (!line) return fail(Code::Io, "input: standard input has ended");
  return make_string(std::move(*line));
}

Result<Value> native_read_line(CallContext& ctx, std::span<Value> args) {
  TL_TRY(std::optional<std::string> line, ask(ctx, args[0]));
  return line ? make_string(std::move(*line)) : Value::unit();
}

Result<Value> native_env(CallContext&, std::span<Value> args) {
  const std::string& name = args[0].as<String>().text;
  if (const char* value = std::getenv(name.c_str())) return make_string(value);
  if (!args[1].is_empty()) return args[1];
  return fail(Code::BadProgram, "env: '{}' is not set in the environment", name);
}

Result<Value> native_args(CallContext& ctx, std::span<Value>) {
  std::vector<Value> out;
  for (const std::string& arg : ctx.host.args) out.push_back(make_string(arg));
  return make_list(std::move(out));
}

Result<Value> native_exit(CallContext& ctx, std::span<Value> args) {
  ctx.exit_code = static_cast<int>(args[0].as_int() & 0xff);
  return fail(Code::Interrupted, "exit({})", args[0].as_int());
}

Result<Value> native_fail(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const std::string text, line_of(ctx, args));
  return fail(Code::BadProgram, "{}", text).at(ctx.span);
}

Result<Value> native_panic(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const std::string text, line_of(ctx, args));
  return fail(Code::BadProgram, "panic: {}", text).at(ctx.span);
}

Result<Value> native_assert(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const bool holds, condition(ctx, args[0]));
  if (holds) return Value::unit();
  if (args.size() == 1) return fail(Code::BadProgram, "assertion failed").at(ctx.span);
  TL_TRY(const std::string text, line_of(ctx, args.subspan(1)));
  return fail(Code::BadProgram, "assertion failed: {}", text).at(ctx.span);
}

Result<Value> mismatch(CallContext& ctx, const Value& a, const Value& b, std::string_view relation) {
  TL_TRY(const std::string x, text_of(ctx.reader(), a));
  TL_TRY(const std::string y, text_of(ctx.reader(), b));
  return fail(Code::BadProgram, "assertion failed: {} {} {}", x, relation, y).at(ctx.span);
}

// The numbers of two tensors or lists that must match, element by element.
Result<bool> all_close(CallContext& ctx, const Value& a, const Value& b, f64 tolerance) {
  TL_TRY(const Tensor x, to_tensor(ctx, a));
  TL_TRY(const Tensor y, to_tensor(ctx, b));
  if (!(x.shape() == y.shape())) return false;
  TL_TRY(const HostTensor p, ctx.executor().read(x));
  TL_TRY(const HostTensor q, ctx.executor().read(y));
  for (i64 i = 0; i < p.numel(); ++i) {
    const f64 u = p.as_double(i), v = q.as_double(i);
    if (!(u == v || std::abs(u - v) <= tolerance)) return false;
  }
  return true;
}

Result<Value> native_assert_eq(CallContext& ctx, std::span<Value> args) {
  bool same = false;
  if (tensor_of(args[0]) != nullptr || tensor_of(args[1]) != nullptr) {
    TL_TRY(same, all_close(ctx, args[0], args[1], 0));
  } else {
    TL_TRY(same, equal(args[0], args[1]));
  }
  if (same) return Value::unit();
  return mismatch(ctx, args[0], args[1], "is not equal to");
}

Result<Value> native_assert_about_eq(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const bool close, all_close(ctx, args[0], args[1], args[2].as_float()));
  if (close) return Value::unit();
  return mismatch(ctx, args[0], args[1], fmt::format("is not within {} of", args[2].as_float()));
}

Result<Value> native_clock(CallContext&, std::span<Value>) {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return Value(std::chrono::duration<f64>(now).count());
}
Result<Value> native_time_now(CallContext&, std::span<Value>) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return Value(std::chrono::duration<f64>(now).count());
}

Result<Value> native_interrupted(CallContext& ctx, std::span<Value>) {
  return Value(ctx.host.interrupts != nullptr && ctx.host.interrupts->take());
}

Result<Value> native_cleanup(CallContext&, std::span<Value>) {
  return Value::unit();
}

Result<Value> native_read_file(CallContext&, std::span<Value> args) {
  TL_TRY(std::string text, read_whole_file(args[0].as<String>().text));
  return make_string(std::move(text));
}

Result<Value> native_write_file(CallContext&, std::span<Value> args) {
  const std::string &path = args[0].as<String>().text, &text = args[1].as<String>().text;
  TL_TRY(AtomicFile file, AtomicFile::create(path));
  TL_TRY_DO(file.write(text));
  TL_TRY_DO(file.commit());
  return Value::unit();
}

const Builtin kRows[] = {
    {"args", "() -> list", "What the command line gave after the program's name.", "len(args())  //~ 0",
     Effect::Io, native_args},
    {"assert", "(holds: any, message: any...) -> unit", "Stops the program unless the condition holds.",
     "assert(1 < 2)", Effect::Io, native_assert},
    {"assert_about_eq", "(a: any, b: any, tolerance: float = 1e-6) -> unit",
     "Stops the program unless the numbers differ by at most the tolerance.",
     "assert_about_eq(0.1 + 0.2, 0.3, 1e-9)", Effect::Io, native_assert_about_eq},
    {"assert_eq", "(a: any, b: any) -> unit", "Stops the program unless both are equal.",
     "assert_eq(2 + 2, 4)", Effect::Io, native_assert_eq},
    {"cleanup", "(values: any...) -> unit", "Does nothing: memory is given back by itself.", "cleanup()",
     Effect::Io, native_cleanup},
    {"clock", "() -> float", "Seconds on a clock that never goes back.", "clock() > 0.0  //~ true",
     Effect::Io, native_clock},
    {"env", "(name: string, default: any = none) -> string", "A variable of the environment.",
     "env(\"NO_SUCH_VARIABLE\", \"none\")  //~ none", Effect::Io, native_env, true},
    {"eprint", "(values: any...) -> unit", "print to standard error.", "eprint()", Effect::Io, native_eprint},
    {"ewrite", "(values: any...) -> unit", "write to standard error.", "ewrite(\"\")", Effect::Io,
     native_ewrite},
    {"exit", "(code: int = 0) -> unit", "Ends the program.", "exit(0)", Effect::Io, native_exit},
    {"fail", "(message: any...) -> unit", "Ends the program with an error.", "", Effect::Io, native_fail},
    {"flush", "() -> unit", "Shows at once what was written.", "flush()", Effect::Io, native_flush},
    {"input", "(prompt: string = none) -> string", "A line of standard input; its end is an error.", "",
     Effect::Io, native_input},
    {"interrupted", "() -> bool",
     "True once after each Ctrl-C; a program that asks is not stopped by the first.",
     "interrupted()  //~ false", Effect::Io, native_interrupted},
    {"panic", "(message: any...) -> unit", "Stops the program with the message.", "", Effect::Io,
     native_panic},
    {"print", "(values: any...) -> unit",
     "Writes its arguments, separated by spaces, and a newline; a text with {} is filled in.",
     "print(\"{} and {:.2f}\", 1, 0.5)  //~ 1 and 0.50", Effect::Io, native_print},
    {"read_file", "(path: string) -> string", "The text in a file.", "", Effect::Io, native_read_file},
    {"read_text", "(path: string) -> string", "The same as read_file.", "", Effect::Io, native_read_file},
    {"read_line", "(prompt: string = none) -> any", "A line of standard input, or none where it has ended.",
     "", Effect::Io, native_read_line},
    {"time_now", "() -> float", "Seconds since 1970.", "time_now() > 1e9  //~ true", Effect::Io,
     native_time_now},
    {"write", "(values: any...) -> unit", "print without the newline.", "write(\"ab\")  //~ ab", Effect::Io,
     native_write},
    {"write_file", "(path: string, text: string) -> unit", "Makes a file that holds the text.", "",
     Effect::Io, native_write_file},
};

}  // namespace

std::span<const Builtin> io_natives() {
  return kRows;
}

}  // namespace tl::lang
