// Numbers: casts, and the mathematics that works on plain numbers as on tensors.
#include <cmath>
#include <limits>

#include "tl/builtins/convert.h"
#include "tl/builtins/families.h"
#include "tl/builtins/operators.h"
#include "tl/value/text.h"

namespace tl::lang {
namespace {

Result<Value> native_to_int(CallContext& ctx, std::span<Value> args) {
  return cast(ctx, args[0], ScalarType::Int);
}
Result<Value> native_to_float(CallContext& ctx, std::span<Value> args) {
  return cast(ctx, args[0], ScalarType::Float);
}
Result<Value> native_to_bool(CallContext& ctx, std::span<Value> args) {
  return cast(ctx, args[0], ScalarType::Bool);
}
Result<Value> native_str(CallContext& ctx, std::span<Value> args) {
  return cast(ctx, args[0], ScalarType::String);
}

Result<Value> native_format(CallContext& ctx, std::span<Value> args) {
  TL_TRY(std::string text, format_text(ctx.reader(), args[0].as<String>().text, args.subspan(1)));
  return make_string(std::move(text));
}

Result<Value> native_type(CallContext&, std::span<Value> args) {
  return make_string(type_name(args[0]));
}

Result<Value> native_abs(CallContext& ctx, std::span<Value> args) {
  const Value& x = args[0];
  if (x.is_int()) return x.as_int() < 0 ? negate(ctx, x) : x;
  if (x.is_float()) return Value(std::abs(x.as_float()));
  return call_op(ctx, "abs", {x});
}

Result<Value> whole(CallContext& ctx, const Value& x, std::string_view op, f64 (*f)(f64)) {
  if (x.is_int()) return x;
  if (x.is_float()) return cast(ctx, Value(f(x.as_float())), ScalarType::Int);
  return call_op(ctx, op, {x});
}
Result<Value> native_floor(CallContext& ctx, std::span<Value> args) {
  return whole(ctx, args[0], "floor", std::floor);
}
Result<Value> native_ceil(CallContext& ctx, std::span<Value> args) {
  return whole(ctx, args[0], "ceil", std::ceil);
}

Result<Value> native_round(CallContext& ctx, std::span<Value> args) {
  const i64 digits = args[1].as_int();
  if (digits == 0) return whole(ctx, args[0], "round", std::nearbyint);
  TL_TRY(const f64 x, to_float(ctx, args[0]));
  if (digits < 0 || digits > 15)
    return fail(Code::BadProgram, "round: argument 'digits' is {}, want 0 to 15", digits);
  return Value(std::stod(fmt::format("{:.{}f}", x, digits)));
}

// The first item whose key no other's exceeds.
Result<Value> best_by_key(CallContext& ctx, const Value& xs, const Value& key, bool want_max) {
  TL_TRY(const std::vector<Value> items, to_items(ctx, xs));
  if (items.empty()) return fail(Code::BadProgram, "{}: the list is empty", want_max ? "max" : "min");
  std::optional<Value> best;
  size_t at = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    TL_TRY_DO(ctx.go_on());
    TL_TRY(const Value here, ctx.call(key, {&items[i], 1}));
    if (ctx.tracer != nullptr) ctx.tracer->looks_at(here);
    if (best) {
      TL_TRY(const bool better, want_max ? comes_before(ctx, *best, here) : comes_before(ctx, here, *best));
      if (!better) continue;
    }
    best = here, at = i;
  }
  return items[at];
}

// max(t), max(t, axis, keepdim), max(a, b) and max(list of numbers).
Result<Value> extreme(CallContext& ctx, std::span<Value> args, bool want_max) {
  const std::string_view reduce = want_max ? "max" : "min";
  const Value &x = args[0], &y = args[1];
  if (!args[3].is_empty()) {
    if (!y.is_empty()) return fail(Code::BadProgram, "{}: a key goes with one list", reduce);
    return best_by_key(ctx, x, args[3], want_max);
  }
  if (y.is_empty() && !args[2].is_empty()) return call_op(ctx, reduce, {x, Value(), args[2]});
  if (y.is_empty()) {
    if (x.is_number()) return x;
    if (x.is(ObjectKind::Tensor)) return call_op(ctx, reduce, {x});
    TL_TRY(const std::vector<Value> items, to_items(ctx, x));
    if (items.empty()) return fail(Code::BadProgram, "{}: the list is empty", reduce);
    if (items[0].is(ObjectKind::List)) return call_op(ctx, reduce, {x});  // rows
    Value best = items[0];
    for (const Value& item : items) {
      TL_TRY(const bool better, want_max ? comes_before(ctx, best, item) : comes_before(ctx, item, best));
      const bool is_nan = item.is_float() && std::isnan(item.as_float());  // NaN wins, as in a tensor
      if (is_nan || better) best = item;
      if (is_nan) break;
    }
    return best;
  }
  if (x.is_number() && y.is_number()) {
    if (!args[2].is_empty())
      return fail(Code::BadProgram, "{} takes one or two numbers, found three (a list may hold more)",
                  reduce);
    if (x.is_int() && y.is_int())
      return Value(want_max ? std::max(x.as_int(), y.as_int()) : std::min(x.as_int(), y.as_int()));
    if (std::isnan(x.number()) || std::isnan(y.number())) return Value(std::numeric_limits<f64>::quiet_NaN());
    return Value(want_max ? std::max(x.number(), y.number()) : std::min(x.number(), y.number()));
  }
  const bool is_axis =
      (y.is_int() || y.is(ObjectKind::List)) && tensor_of(x) != nullptr && tensor_of(x)->rank() > 0;
  if (is_axis) return call_op(ctx, reduce, {x, y, args[2].is_empty() ? Value(false) : args[2]});
  return call_op(ctx, want_max ? "maximum" : "minimum", {x, y});
}
Result<Value> native_max(CallContext& ctx, std::span<Value> args) {
  return extreme(ctx, args, true);
}
Result<Value> native_min(CallContext& ctx, std::span<Value> args) {
  return extreme(ctx, args, false);
}

Result<Value> native_clamp(CallContext& ctx, std::span<Value> args) {
  const Value& x = args[0];
  if (!x.is_number()) {
    TL_TRY(const Value low, call_op(ctx, "maximum", {x, args[1]}));
    return call_op(ctx, "minimum", {low, args[2]});
  }
  TL_TRY(const Value low, apply_operator(ctx, Operator::Less, x, args[1]));
  if (low.as_bool()) return args[1];
  TL_TRY(const Value high, apply_operator(ctx, Operator::Greater, x, args[2]));
  return high.as_bool() ? args[2] : x;
}

Result<Value> native_pow(CallContext& ctx, std::span<Value> args) {
  return apply_operator(ctx, Operator::Pow, args[0], args[1]);
}

Result<Value> native_is_nan(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const f64 x, to_float(ctx, args[0]));
  return Value(std::isnan(x));
}
Result<Value> native_is_inf(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const f64 x, to_float(ctx, args[0]));
  return Value(std::isinf(x));
}

constexpr f64 kSqrtHalf = 0.70710678118654752440;

struct ScalarRow {
  std::string_view op;
  ScalarFn f;
};
constexpr ScalarRow kScalarFunctions[] = {
    {"sqrt", [](f64 x) { return std::sqrt(x); }},
    {"rsqrt", [](f64 x) { return 1 / std::sqrt(x); }},
    {"exp", [](f64 x) { return std::exp(x); }},
    {"log", [](f64 x) { return std::log(x); }},
    {"log2", [](f64 x) { return std::log2(x); }},
    {"log10", [](f64 x) { return std::log10(x); }},
    {"sin", [](f64 x) { return std::sin(x); }},
    {"cos", [](f64 x) { return std::cos(x); }},
    {"tan", [](f64 x) { return std::tan(x); }},
    {"tanh", [](f64 x) { return std::tanh(x); }},
    {"sigmoid", [](f64 x) { return 1 / (1 + std::exp(-x)); }},
    {"silu", [](f64 x) { return x / (1 + std::exp(-x)); }},
    {"relu", [](f64 x) { return x > 0 ? x : 0; }},
    {"erf", [](f64 x) { return std::erf(x); }},
    {"gelu",
     [](f64 x) { return 0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))); }},
    {"gelu_erf", [](f64 x) { return 0.5 * x * (1 + std::erf(x * kSqrtHalf)); }},
    {"square", [](f64 x) { return x * x; }},
};

const Builtin kRows[] = {
    {"abs", "(x: any) -> any", "The absolute value.", "abs(-3)  //~ 3", Effect::Pure, native_abs},
    {"bool", "(x: any) -> bool", "True unless the number is 0.", "bool(2)  //~ true", Effect::Pure,
     native_to_bool},
    {"ceil", "(x: any) -> any", "Rounds up; a number becomes an int.", "ceil(1.2)  //~ 2", Effect::Pure,
     native_ceil},
    {"clamp", "(x: any, low: any, high: any) -> any", "x, but not below low nor above high.",
     "clamp(7, 0, 5)  //~ 5", Effect::Pure, native_clamp},
    {"float", "(x: any) -> float", "A number or the text of one as float.", "float(\"2.5\")  //~ 2.5",
     Effect::Pure, native_to_float},
    {"floor", "(x: any) -> any", "Rounds down; a number becomes an int.", "floor(-1.2)  //~ -2", Effect::Pure,
     native_floor},
    {"format", "(text: string, values: any...) -> string",
     "Fills each {} and {:marks} of the text by the next value.",
     "format(\"{:>4}|{:.2f}\", 7, 0.5)  //~    7|0.50", Effect::Pure, native_format},
    {"int", "(x: any) -> int", "A number, cut off at the point, or the text of an int.", "int(2.9)  //~ 2",
     Effect::Pure, native_to_int},
    {"is_inf", "(x: any) -> bool", "True for the infinities.", "is_inf(1.0)  //~ false", Effect::Pure,
     native_is_inf},
    {"is_nan", "(x: any) -> bool", "True for what is not a number.", "is_nan(1.0)  //~ false", Effect::Pure,
     native_is_nan},
    {"max", "(x: any, y: any = none, keepdim: any = none, key: any = none) -> any",
     "The larger of two, the largest of a list, or the maximum of a tensor, over all or along an "
     "axis; with a key, the item for which key(item) is largest.",
     "max(2, 5)  //~ 5", Effect::Pure, native_max},
    {"min", "(x: any, y: any = none, keepdim: any = none, key: any = none) -> any",
     "The smaller of two, the smallest of a list, or the minimum of a tensor, over all or along an "
     "axis; with a key, the item for which key(item) is smallest.",
     "min([3, 1, 2])  //~ 1", Effect::Pure, native_min},
    {"pow", "(x: any, exponent: any) -> any", "x to the power of exponent.", "pow(2, 10)  //~ 1024",
     Effect::Pure, native_pow},
    {"round", "(x: any, digits: int = 0) -> any",
     "To the nearest int, halves to the even one; with digits, to that many places.", "round(2.5)  //~ 2",
     Effect::Pure, native_round},
    {"str", "(x: any) -> string", "The text print would write.", "str(1.5) + \"!\"  //~ 1.5!", Effect::Pure,
     native_str},
    {"to_float", "(x: any) -> float", "The same as float.", "to_float(2)  //~ 2", Effect::Pure,
     native_to_float},
    {"to_int", "(x: any) -> int", "The same as int.", "to_int(7.0)  //~ 7", Effect::Pure, native_to_int},
    {"type_of", "(x: any) -> string", "What kind of value x is.", "type_of(1.5)  //~ float", Effect::Pure,
     native_type},
};

}  // namespace

std::span<const Builtin> scalar_natives() {
  return kRows;
}

ScalarFn scalar_function(std::string_view name) {
  for (const ScalarRow& row : kScalarFunctions) {
    if (row.op == name) return row.f;
  }
  return nullptr;
}

}  // namespace tl::lang
