#include "tl/builtins/operators.h"

#include <algorithm>
#include <cmath>

#include "tl/builtins/builtins.h"
#include "tl/builtins/convert.h"
#include "tl/ops/find_op.h"
#include "tl/tensor/op.h"
#include "tl/value/map.h"
#include "tl/value/text.h"

namespace tl::lang {

std::string_view spelling(Operator op) {
  static constexpr std::string_view kSpellings[] = {"+",  "-",  "*", "/",  "%", "**", "@",
                                                    "==", "!=", "<", "<=", ">", ">="};
  return kSpellings[static_cast<size_t>(op)];
}

namespace {

constexpr size_t kMaxTextBytes = size_t{1} << 30;

// In the order of Operator.
constexpr std::string_view kOpNames[] = {"add",        "sub",     "mul",          "div",       "rem",
                                         "pow",        "matmul",  "equal",        "not_equal", "less",
                                         "less_equal", "greater", "greater_equal"};

Error overflow(Operator op, i64 a, i64 b) {
  return fail(Code::BadProgram, "integer overflow: {} {} {} does not fit in 64 bits", a, spelling(op), b);
}

Error unfit(Operator op, const Value& a, const Value& b) {
  return fail(Code::BadProgram, "'{}' cannot take {} and {}", spelling(op), type_name(a), type_name(b));
}

Result<Value> int_power(i64 base, i64 exponent) {
  if (exponent < 0) return Value(std::pow(static_cast<f64>(base), static_cast<f64>(exponent)));
  i64 result = 1, square = base;
  for (i64 left = exponent; left > 0; left >>= 1) {
    if ((left & 1) != 0 && __builtin_mul_overflow(result, square, &result))
      return overflow(Operator::Pow, base, exponent);
    if (left > 1 && __builtin_mul_overflow(square, square, &square))
      return overflow(Operator::Pow, base, exponent);
  }
  return Value(result);
}

template <typename T>
bool compare(Operator op, T order_a, T order_b) {
  switch (op) {
    case Operator::Equal:
      return order_a == order_b;
    case Operator::NotEqual:
      return order_a != order_b;
    case Operator::Less:
      return order_a < order_b;
    case Operator::LessEqual:
      return order_a <= order_b;
    case Operator::Greater:
      return order_a > order_b;
    default:
      return order_a >= order_b;
  }
}

Result<Value> int_operator(Operator op, i64 a, i64 b) {
  i64 result = 0;
  switch (op) {
    case Operator::Add:
      return __builtin_add_overflow(a, b, &result) ? Result<Value>(overflow(op, a, b)) : Value(result);
    case Operator::Sub:
      return __builtin_sub_overflow(a, b, &result) ? Result<Value>(overflow(op, a, b)) : Value(result);
    case Operator::Mul:
      return __builtin_mul_overflow(a, b, &result) ? Result<Value>(overflow(op, a, b)) : Value(result);
    case Operator::Div:
    case Operator::Mod:
      if (b == 0) return fail(Code::BadProgram, "division by zero");
      if (b == -1 && op == Operator::Mod) return Value(i64{0});
      if (b == -1 && __builtin_sub_overflow(i64{0}, a, &result)) return overflow(op, a, b);
      return Value(op == Operator::Div ? a / b : a % b);
    case Operator::Pow:
      return int_power(a, b);
    case Operator::MatMul:
      return unfit(op, Value(a), Value(b));
    default:
      return Value(compare(op, a, b));
  }
}

Result<Value> float_operator(Operator op, f64 a, f64 b) {
  switch (op) {
    case Operator::Add:
      return Value(a + b);
    case Operator::Sub:
      return Value(a - b);
    case Operator::Mul:
      return Value(a * b);
    case Operator::Div:
    case Operator::Mod:
      if (b == 0) return fail(Code::BadProgram, "division by zero");
      return Value(op == Operator::Div ? a / b : std::fmod(a, b));
    case Operator::Pow:
      return Value(std::pow(a, b));
    case Operator::MatMul:
      return unfit(op, Value(a), Value(b));
    default:
      return Value(compare(op, a, b));
  }
}

Result<Value> string_operator(Operator op, const Value& a, const Value& b) {
  const std::string &x = a.as<String>().text, &y = b.as<String>().text;
  if (op == Operator::Add) {
    if (x.size() + y.size() > kMaxTextBytes)
      return fail(Code::BadProgram, "a string of more than {} bytes", kMaxTextBytes);
    return make_string(x + y);
  }
  if (op >= Operator::Equal) return Value(compare(op, std::string_view(x), std::string_view(y)));
  return unfit(op, a, b);
}

Result<Value> repeat_string(const std::string& text, i64 times) {
  if (times <= 0 || text.empty()) return make_string("");
  if (static_cast<u64>(times) > kMaxTextBytes / text.size())
    return fail(Code::BadProgram, "a string of more than {} bytes", kMaxTextBytes);
  std::string out;
  out.reserve(text.size() * static_cast<size_t>(times));
  for (i64 i = 0; i < times; ++i) out += text;
  return make_string(std::move(out));
}

bool is_tensor_like(const Value& v) {
  return v.is(ObjectKind::Tensor) || v.is(ObjectKind::ModelPath);
}
bool is_sequence(const Value& v) {
  return v.is(ObjectKind::List) || v.is(ObjectKind::Range);
}
bool holds_numbers(const Value& v) {
  const auto* list = v.get_if<List>();
  return list == nullptr || list->items.empty() || !list->items[0].is_object() ||
         is_sequence(list->items[0]) || is_tensor_like(list->items[0]);
}

Result<Value> tensor_operator(CallContext& ctx, Operator op, const Value& a, const Value& b) {
  std::optional<DType> peer_a, peer_b;
  if (const Tensor* t = tensor_of(a)) peer_b = t->dtype();
  if (const Tensor* t = tensor_of(b)) peer_a = t->dtype();
  // What does not fit into the other's type is compared by its value, and cannot be calculated with.
  TL_TRY(const std::optional<i64> outside_a, misfit(ctx, a, peer_a));
  TL_TRY(const std::optional<i64> outside_b, misfit(ctx, b, peer_b));
  if (outside_a || outside_b) {
    if (op < Operator::Equal) {
      return fail(Code::BadProgram, "'{}': {} does not fit in {}, the type of the tensor it meets",
                  spelling(op), outside_a ? *outside_a : *outside_b, name_of(outside_a ? *peer_a : *peer_b));
    }
    peer_a = peer_b = std::nullopt;
  }
  auto x = to_tensor(ctx, a, peer_a), y = to_tensor(ctx, b, peer_b);
  if (!x.ok() || !y.ok()) return unfit(op, a, b);
  static const OpDef* const ops[] = {find_op(kOpNames[0]), find_op(kOpNames[1]),  find_op(kOpNames[2]),
                                     find_op(kOpNames[3]), find_op(kOpNames[4]),  find_op(kOpNames[5]),
                                     find_op(kOpNames[6]), find_op(kOpNames[7]),  find_op(kOpNames[8]),
                                     find_op(kOpNames[9]), find_op(kOpNames[10]), find_op(kOpNames[11]),
                                     find_op(kOpNames[12])};
  const OpDef* def = ops[static_cast<size_t>(op)];
  if (def == nullptr) return fail(Code::Unsupported, "not implemented yet: '{}' on tensors", spelling(op));
  TL_TRY(Tensor result, ctx.executor().apply(*def, {*x, *y}, {}, ctx.span));
  return make_tensor(std::move(result));
}

// A comparison looks at the numbers at once where both sides are single ones.
Result<Value> compare_with_tensor(CallContext& ctx, Operator op, const Value& a, const Value& b) {
  const auto is_single = [](const Value& v) {
    const Tensor* t = tensor_of(v);
    return t != nullptr ? t->rank() == 0 : v.is_number() || v.is_bool();
  };
  if (!is_single(a) || !is_single(b)) return tensor_operator(ctx, op, a, b);
  TL_TRY(const Value x, to_scalar(ctx, a));
  TL_TRY(const Value y, to_scalar(ctx, b));
  return apply_operator(ctx, op, x, y);
}

Result<Value> sequence_operator(CallContext& ctx, Operator op, const Value& a, const Value& b) {
  if (op == Operator::Equal || op == Operator::NotEqual) {
    if (is_sequence(a) && is_sequence(b)) {
      TL_TRY(const bool same, equal(a, b));
      return Value(same == (op == Operator::Equal));
    }
    return Value(op == Operator::NotEqual);
  }
  if (op == Operator::Add && is_sequence(a) && is_sequence(b)) {
    TL_TRY(std::vector<Value> items, to_items(ctx, a));
    TL_TRY(const std::vector<Value> more, to_items(ctx, b));
    items.insert(items.end(), more.begin(), more.end());
    return make_list(std::move(items));
  }
  if (!holds_numbers(a) || !holds_numbers(b)) return unfit(op, a, b);
  if (is_sequence(a) && is_sequence(b) && op != Operator::MatMul) {
    TL_TRY(const std::vector<Value> x, to_items(ctx, a));
    TL_TRY(const std::vector<Value> y, to_items(ctx, b));
    if (x.size() != y.size()) {
      return fail(Code::BadProgram,
                  "'{}' goes number by number, and the lists have {} and {} ('+' joins lists)", spelling(op),
                  x.size(), y.size());
    }
  }
  return tensor_operator(ctx, op, a, b);
}

}  // namespace

Result<Value> apply_operator(CallContext& ctx, Operator op, const Value& a, const Value& b) {
  if (a.is_int() && b.is_int()) return int_operator(op, a.as_int(), b.as_int());
  if (a.is_number() && b.is_number()) return float_operator(op, a.number(), b.number());
  if (is_tensor_like(a) || is_tensor_like(b)) {
    if (!a.is(ObjectKind::String) && !b.is(ObjectKind::String) && !a.is_unit() && !b.is_unit()) {
      return op >= Operator::Equal ? compare_with_tensor(ctx, op, a, b) : tensor_operator(ctx, op, a, b);
    }
  }
  if (a.is(ObjectKind::String) && b.is(ObjectKind::String)) return string_operator(op, a, b);
  if (op == Operator::Mul && a.is(ObjectKind::String) && b.is_int())
    return repeat_string(a.as<String>().text, b.as_int());
  if (op == Operator::Mul && b.is(ObjectKind::String) && a.is_int())
    return repeat_string(b.as<String>().text, a.as_int());
  if (op > Operator::NotEqual && a.is(ObjectKind::Tuple) && b.is(ObjectKind::Tuple)) {
    const bool is_swapped = op == Operator::Greater || op == Operator::LessEqual;
    TL_TRY(const bool before, is_swapped ? comes_before(ctx, b, a) : comes_before(ctx, a, b));
    return Value(before == (op == Operator::Less || op == Operator::Greater));
  }
  const bool plain_a = is_sequence(a) || a.is_number(), plain_b = is_sequence(b) || b.is_number();
  if (plain_a && plain_b) return sequence_operator(ctx, op, a, b);
  if (op == Operator::Equal || op == Operator::NotEqual) {
    TL_TRY(const bool same, equal(a, b));
    return Value(same == (op == Operator::Equal));
  }
  if (op > Operator::Equal && a.is_bool() && b.is_bool()) return Value(compare(op, a.as_bool(), b.as_bool()));
  return unfit(op, a, b);
}

static const std::vector<Value>* ordered_items(const Value& v) {
  if (const auto* list = v.get_if<List>()) return &list->items;
  if (const auto* tuple = v.get_if<Tuple>()) return &tuple->items;
  return nullptr;
}

static Result<bool> before_at(CallContext& ctx, const Value& a, const Value& b, int depth) {
  const std::vector<Value>*x = ordered_items(a), *y = ordered_items(b);
  if (x == nullptr || y == nullptr || a.object()->kind != b.object()->kind) {
    TL_TRY(const Value less, apply_operator(ctx, Operator::Less, a, b));
    if (less.is_bool()) return less.as_bool();
    return fail(Code::BadProgram, "{} and {} have no order", type_name(a), type_name(b));
  }
  if (depth > kMaxNesting)
    return fail(Code::BadProgram, "values nested more than {} deep cannot be compared", kMaxNesting);
  for (size_t i = 0; i < std::min(x->size(), y->size()); ++i) {
    TL_TRY(const bool before, before_at(ctx, (*x)[i], (*y)[i], depth + 1));
    if (before) return true;
    TL_TRY(const bool after, before_at(ctx, (*y)[i], (*x)[i], depth + 1));
    if (after) return false;
  }
  return x->size() < y->size();
}

Result<bool> comes_before(CallContext& ctx, const Value& a, const Value& b) {
  return before_at(ctx, a, b, 0);
}

bool append_text(Value& text, const Value& more) {
  if (!text.is(ObjectKind::String) || !more.is(ObjectKind::String)) return false;
  auto& string = text.as<String>();
  const std::string& end = more.as<String>().text;
  if (string.references != 1 || &more == &text || string.text.size() + end.size() > kMaxTextBytes)
    return false;
  string.append(end);
  return true;
}

Result<Value> negate(CallContext& ctx, const Value& value) {
  if (value.is_int()) return int_operator(Operator::Sub, 0, value.as_int());
  if (value.is_float()) return Value(-value.as_float());
  if (is_tensor_like(value) || is_sequence(value)) {
    TL_TRY(Tensor tensor, to_tensor(ctx, value));
    return call_op(ctx, "neg", {make_tensor(std::move(tensor))});
  }
  return fail(Code::BadProgram, "unary '-' cannot take {}", type_name(value));
}

Result<Value> logical_not(CallContext& ctx, const Value& value) {
  if (value.is_bool()) return Value(!value.as_bool());
  if (is_tensor_like(value)) return call_op(ctx, "logical_not", {value});
  return fail(Code::BadProgram, "'!' wants a bool, found {}", type_name(value));
}

Result<Value> approximately(CallContext& ctx, const Value& a, const Value& b) {
  TL_TRY(const f64 x, to_float(ctx, a));
  TL_TRY(const f64 y, to_float(ctx, b));
  return Value(x == y || std::abs(x - y) <= 1e-6 * std::max(1.0, std::max(std::abs(x), std::abs(y))));
}

Result<bool> contains(CallContext& ctx, const Value& item, const Value& in) {
  if (const auto* text = in.get_if<String>()) {
    TL_TRY(const std::string_view part, to_text(item));
    return text->text.find(part) != std::string::npos;
  }
  const Keyed* const keyed = keyed_of(in);
  if (u64 quick = 0; keyed != nullptr && quick_hash(item, quick))
    return keyed->find(item, quick) != Keyed::kNowhere;
  TL_TRY(const Value wanted, to_scalar(ctx, item));
  if (keyed != nullptr) {
    TL_TRY(const u64 hash, hash_of(wanted));
    return keyed->find(wanted, hash) != Keyed::kNowhere;
  }
  if (const auto* range = in.get_if<Range>()) {
    if (!wanted.is_number()) return false;
    auto i = to_int(ctx, wanted);
    if (!i.ok()) return false;
    const bool inside =
        range->step > 0 ? *i >= range->begin && *i < range->end : *i <= range->begin && *i > range->end;
    return inside && (*i - range->begin) % range->step == 0;
  }
  auto items = to_items(ctx, in);
  if (!items.ok()) return fail(Code::BadProgram, "'in' cannot look into {}", type_name(in));
  for (const Value& candidate : *items) {
    TL_TRY(const bool same, equal(candidate, wanted));
    if (same) return true;
  }
  return false;
}

Result<bool> condition(CallContext& ctx, const Value& value) {
  if (value.is_bool()) return value.as_bool();
  if (const Tensor* tensor = tensor_of(value); tensor != nullptr && numel(tensor->shape()) == 1) {
    TL_TRY(const Value scalar, to_scalar(ctx, value));
    return scalar.is_bool() ? scalar.as_bool() : scalar.number() != 0;
  }
  return fail(Code::BadProgram, "condition is {}, want bool", type_name(value));
}

Result<Value> cast(CallContext& ctx, const Value& value, DType dtype) {
  if (is_tensor_like(value) || is_sequence(value)) return call_op(ctx, "cast", {value, Value(dtype)});
  if (is_float(dtype)) return cast(ctx, value, ScalarType::Float);
  return cast(ctx, value, dtype == DType::Bool ? ScalarType::Bool : ScalarType::Int);
}

static Result<Value> text_to_number(const std::string& text, ScalarType type) {
  const char* begin = text.c_str();
  char* end = nullptr;
  const bool is_int = type == ScalarType::Int;
  errno = 0;
  const Value value =
      is_int ? Value(static_cast<i64>(std::strtoll(begin, &end, 10))) : Value(std::strtod(begin, &end));
  while (end != begin && std::isspace(static_cast<unsigned char>(*end)) != 0) ++end;
  if (end == begin || end != begin + text.size() || (is_int && errno == ERANGE)) {
    return fail(Code::BadProgram, "\"{}\" is not {}", text, is_int ? "an int" : "a float");
  }
  return value;
}

Result<Value> cast(CallContext& ctx, const Value& value, ScalarType type) {
  if (type == ScalarType::String) {
    TL_TRY(std::string text, text_of(ctx.reader(), value));
    return make_string(std::move(text));
  }
  if (const auto* text = value.get_if<String>(); text != nullptr && type != ScalarType::Bool)
    return text_to_number(text->text, type);
  TL_TRY(const Value v, to_scalar(ctx, value));
  if (!v.is_number() && !v.is_bool())
    return fail(Code::BadProgram, "cannot make a number of {}", type_name(value));
  const f64 number = v.is_bool() ? (v.as_bool() ? 1 : 0) : v.number();
  switch (type) {
    case ScalarType::Float:
      return Value(number);
    case ScalarType::Bool:
      return Value(number != 0);
    default:
      break;
  }
  if (v.is_int()) return v;
  if (!(std::abs(number) < 0x1p63))
    return fail(Code::BadProgram, "{} does not fit in int", float_text(number));
  return Value(static_cast<i64>(number));
}

}  // namespace tl::lang
