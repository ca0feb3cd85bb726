// Every name a program can call: natives and every row of ops.def, in one table that the checker, the
// interpreter, `tl doc` and the example test read.
#pragma once

#include "tl/builtins/context.h"
#include "tl/builtins/signature.h"
#include "tl/tensor/op.h"

namespace tl::lang {

enum class Effect : u8 { Pure, Io, Mutates };

// `args` has one entry per parameter, converted to its kind (Empty where an argument without default is not
// given), then those of a variadic parameter.
using NativeFn = Result<Value> (*)(CallContext& ctx, std::span<Value> args);

struct Builtin {
  std::string_view name;
  std::string_view signature;
  std::string_view doc;      // one line
  std::string_view example;  // "len([1, 2])  //~ 2"; a test runs it
  Effect effect = Effect::Pure;
  NativeFn native = nullptr;  // null: `op`
  // Where a parameter's default is none, a `none` that is given means the same as nothing given, unless this
  // says that it is a value like others (what get(xs, at, none) gives where nothing is).
  bool keeps_none = false;
  // A native of an op's name hides the op, but for one that says this: calls of which it is false are the
  // op's, whose parameters are the row's (some of them optional here).
  bool (*is_other_form)(std::span<const Value> args) = nullptr;
  const OpDef* op = nullptr;  // null: `native`
  Signature parsed = {};      // filled when the table is made
};

// Sorted by name. A native hides the op of the same name.
std::span<const Builtin> all_builtins();
// Null if there is none.
const Builtin* find_builtin(std::string_view name);

// Whether a call with these arguments is the native's and not the op's, where a row has both.
inline bool calls_native(const Builtin& builtin, std::span<const Value> args) {
  if (builtin.op == nullptr || builtin.native == nullptr) return builtin.op == nullptr;
  return builtin.is_other_form(args);
}
// The row of an op, also where a native hides it; null if there is none.
const Builtin* op_row(std::string_view name);

// A builtin as a value.
struct BuiltinRef : ObjectOf<ObjectKind::Builtin> {
  explicit BuiltinRef(const Builtin& b) : builtin(b) {}
  const Builtin& builtin;
};

// Calls with arguments in the order of arrange_arguments (Empty: take the default), which it may overwrite.
Result<Value> call_builtin(const Builtin& builtin, CallContext& ctx, std::span<Value> args);
// Calls with positional arguments only.
Result<Value> call_positional(const Builtin& builtin, CallContext& ctx, std::span<const Value> args);
// Records one application of the op `name`, for natives that are made of ops.
Result<Value> call_op(CallContext& ctx, std::string_view name, std::initializer_list<Value> args);

}  // namespace tl::lang
