// The codes of element-wise ops and their types. The table is scalar_ops.def; fused chains are in fused.h.
#pragma once

#include <cmath>
#include <span>

#include "tl/device/kernel.h"
#include "tl/ops/ops.h"

namespace tl {

enum class ScalarRule : u8 {
  Number,   // promoted operands; bool counts as int64; the result has the operands' type
  Float,    // whole numbers and bool become float32
  Compare,  // promoted operands; the result is bool
  Logical,  // operands are looked at as zero or not; the result is bool
  Select,   // a condition, then two promoted operands
  Cast,     // the type the program names
};

enum class ScalarCode : u8 {
#define TL_UNARY(name, ...) name,
#define TL_BINARY(name, ...) name,
#define TL_TERNARY(name, ...) name,
#include "tl/ops/elementwise/scalar_ops.def"
#undef TL_UNARY
#undef TL_BINARY
#undef TL_TERNARY
};

struct ScalarInfo {
  std::string_view name;
  int arity;
  ScalarRule rule;
};
const ScalarInfo& info(ScalarCode code);
int scalar_code_count();

// The type the arithmetic is done in (float16 and bfloat16 in float32 registers, ints in int64 ones). For
// casts `named` is the type asked for; otherwise it means nothing.
DType compute_dtype(ScalarCode code, std::span<const DType> args, DType named);
// The type of the result.
DType result_dtype(ScalarCode code, std::span<const DType> args, DType named);

// Single values: what `real` and `whole` of the table call.
namespace scalar {

inline constexpr i64 kNoWhole = 0;

inline i64 wrap_add(i64 a, i64 b) {
  return static_cast<i64>(static_cast<u64>(a) + static_cast<u64>(b));
}
inline i64 wrap_sub(i64 a, i64 b) {
  return static_cast<i64>(static_cast<u64>(a) - static_cast<u64>(b));
}
inline i64 wrap_mul(i64 a, i64 b) {
  return static_cast<i64>(static_cast<u64>(a) * static_cast<u64>(b));
}
// Toward zero. `bad` for b = 0.
inline i64 divide(i64 a, i64 b, bool& bad) {
  if (b == 0) return bad = true, 0;
  return b == -1 ? wrap_sub(0, a) : a / b;
}
// With the sign of b.
inline i64 modulo(i64 a, i64 b, bool& bad) {
  if (b == 0) return bad = true, 0;
  if (b == -1) return 0;
  const i64 r = a % b;
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
// `bad` for b < 0; too large results wrap around.
inline i64 power(i64 a, i64 b, bool& bad) {
  if (b < 0) return bad = true, 0;
  i64 result = 1;
  for (; b > 0; b >>= 1) {
    if ((b & 1) != 0) result = wrap_mul(result, a);
    a = wrap_mul(a, a);
  }
  return result;
}
// With the sign of a.
inline i64 remainder(i64 a, i64 b, bool& bad) {
  if (b == 0) return bad = true, 0;
  return b == -1 ? 0 : a % b;
}
inline double mod(double a, double b) {
  const double r = std::fmod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
inline float rem_f32(float a, float b) {
  return std::fmod(a, b);
}
// Exact in double, rounded once.
inline float mod_f32(float a, float b) {
  return static_cast<float>(mod(a, b));
}
inline float pow_f32(float a, float b) {
  return std::pow(a, b);
}
inline double sigmoid(double a) {
  const double e = std::exp(-std::abs(a));
  return (a < 0 ? e : 1) / (1 + e);
}
// Saturates; NaN becomes 0.
inline i64 to_whole(double a) {
  if (std::isnan(a)) return 0;
  if (a >= 0x1p63) return INT64_MAX;
  if (a < -0x1p63) return INT64_MIN;
  return static_cast<i64>(a);
}
// The nearest number that a type of ints has.
inline i64 saturate(DType dtype, i64 a) {
  const IntRange range = int_range(dtype);
  return a < range.low ? range.low : a > range.high ? range.high : a;
}
// What storing to an integer type and loading again leaves of a number.
i64 wrap_to(DType dtype, i64 a);
// Why `bad` was set.
const char* why_bad(ScalarCode code);

}  // namespace scalar

// Operands after broadcasting: the output's axes, merged where every operand allows it.
struct BroadcastPlan {
  Dims dims;  // of the output; at least one
  std::array<Strides, kMaxInputs> strides;
  explicit BroadcastPlan(const KernelCall& call);
};

namespace ref {
// One value of a register: `whole` for integer and bool types, else `real`.
struct Number {
  double real = 0;
  i64 whole = 0;
};
Number load_number(DType dtype, const void* data, i64 index);
// The number as another type holds it.
Number convert(Number x, DType from, DType to);
Number evaluate(ScalarCode code, DType compute, DType out, std::span<const Number> args, bool& bad);
void elementwise(KernelCall& call, ScalarCode code);
}  // namespace ref

namespace cpu {
void elementwise(KernelCall& call, ScalarCode code);
}

}  // namespace tl
