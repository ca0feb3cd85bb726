// The operators of the language on values of any kind: ints that never wrap, floats, strings, lists as
// tensors, and tensors, on which an operator records an op.
#pragma once

#include "tl/builtins/context.h"

namespace tl::lang {

enum class Operator : u8 {
  Add,
  Sub,
  Mul,
  Div,
  Mod,
  Pow,
  MatMul,
  Equal,
  NotEqual,
  Less,
  LessEqual,
  Greater,
  GreaterEqual
};

std::string_view spelling(Operator op);

Result<Value> apply_operator(CallContext& ctx, Operator op, const Value& a, const Value& b);
// `text += more` in place, where both are strings and nobody else holds the first; false where not.
bool append_text(Value& text, const Value& more);
Result<Value> negate(CallContext& ctx, const Value& value);
// `!x`: of a bool, or of a tensor of bools.
Result<Value> logical_not(CallContext& ctx, const Value& value);
// `a ≈ b`: within 1e-6 relative or absolute.
Result<Value> approximately(CallContext& ctx, const Value& a, const Value& b);
// Whether a stands before b when sorted: tuples and lists by their first items that differ.
Result<bool> comes_before(CallContext& ctx, const Value& a, const Value& b);
// `x in xs`.
Result<bool> contains(CallContext& ctx, const Value& item, const Value& in);
// What `if` and `while` branch on: a bool, or a tensor of one bool, which is waited for.
Result<bool> condition(CallContext& ctx, const Value& value);
// `value as type`.
Result<Value> cast(CallContext& ctx, const Value& value, DType dtype);
enum class ScalarType : u8 { Int, Float, Bool, String };
Result<Value> cast(CallContext& ctx, const Value& value, ScalarType type);

}  // namespace tl::lang
