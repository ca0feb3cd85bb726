#include <algorithm>
#include <cmath>

#include "tl/text/chat_template/evaluator.h"
#include "tl/text/chat_template/text.h"

namespace tl::jinja {

namespace {

Error no_operator(std::string_view op, const Value& a, const Value& b) {
  return fail(Code::BadProgram, "'{}' does not go with {} and {}", op, a.type_name(), b.type_name());
}
Error overflow(std::string_view op) {
  return fail(Code::BadProgram, "the result of '{}' is too large", op);
}

Result<Value> repeat(Evaluator& evaluator, const Value& value, i64 times) {
  times = std::max<i64>(times, 0);
  const std::string* text = value.as_string();
  const size_t size = text != nullptr ? text->size() : value.as_list()->size();
  u64 total = 0;
  if (__builtin_mul_overflow(u64{size}, static_cast<u64>(times), &total)) return overflow("*");
  TL_TRY_DO(evaluator.charge(total));
  if (text != nullptr) {
    std::string out;
    for (i64 i = 0; i < times; ++i) out += *text;
    return evaluator.make(std::move(out));
  }
  List out;
  for (i64 i = 0; i < times; ++i) out.insert(out.end(), value.as_list()->begin(), value.as_list()->end());
  return evaluator.make(std::move(out));
}

Result<Value> integers(std::string_view op, i64 a, i64 b) {
  i64 out = 0;
  if (op == "+") return __builtin_add_overflow(a, b, &out) ? Result<Value>(overflow(op)) : Value(out);
  if (op == "-") return __builtin_sub_overflow(a, b, &out) ? Result<Value>(overflow(op)) : Value(out);
  if (op == "*") return __builtin_mul_overflow(a, b, &out) ? Result<Value>(overflow(op)) : Value(out);
  if (op == "**") {
    if (b < 0) return Value(std::pow(static_cast<f64>(a), static_cast<f64>(b)));
    out = 1;
    for (; b > 0; b >>= 1) {
      if ((b & 1) != 0 && __builtin_mul_overflow(out, a, &out)) return overflow(op);
      if (b > 1 && __builtin_mul_overflow(a, a, &a)) return overflow(op);
    }
    return Value(out);
  }
  if (b == 0) return fail(Code::BadProgram, "division by zero");
  if (op == "/") return Value(static_cast<f64>(a) / static_cast<f64>(b));
  if (b == -1) return op == "%" ? Value(0) : integers("-", 0, a);
  const i64 quotient = a / b - ((a % b != 0 && (a < 0) != (b < 0)) ? 1 : 0);  // rounds down, as Python does
  return op == "//" ? Value(quotient) : Value(a - quotient * b);
}

Result<Value> floats(std::string_view op, f64 a, f64 b) {
  if (op == "+") return Value(a + b);
  if (op == "-") return Value(a - b);
  if (op == "*") return Value(a * b);
  if (op == "**") return Value(std::pow(a, b));
  if (b == 0) return fail(Code::BadProgram, "division by zero");
  if (op == "/") return Value(a / b);
  const f64 quotient = std::floor(a / b);
  return Value(op == "//" ? quotient : a - quotient * b);
}

}  // namespace

Result<Value> unary(Evaluator&, std::string_view op, const Value& value) {
  i64 integer = 0;
  if (to_i64(value, integer)) return op == "-" ? integers("-", 0, integer) : Value(integer);
  if (const f64* number = value.as_float()) return Value(op == "-" ? -*number : *number);
  return fail(Code::BadProgram, "'{}' does not go with {}", op, value.type_name());
}

Result<Value> binary(Evaluator& evaluator, std::string_view op, const Value& a, const Value& b) {
  TL_TRY_DO(evaluator.charge(u64{a.weight()} + b.weight()));
  if (op == "~") return evaluator.make(to_text(a) + to_text(b));
  i64 x = 0, y = 0;
  if (to_i64(a, x) && to_i64(b, y)) return integers(op, x, y);
  if (is_number(a) && is_number(b)) return floats(op, to_f64(a), to_f64(b));
  if (op == "+") {
    if (a.as_string() != nullptr && b.as_string() != nullptr)
      return evaluator.make(*a.as_string() + *b.as_string());
    if (a.as_list() != nullptr && b.as_list() != nullptr) {
      List out = *a.as_list();
      out.insert(out.end(), b.as_list()->begin(), b.as_list()->end());
      return evaluator.make(std::move(out));
    }
  }
  if (op == "*") {
    const auto sequence = [](const Value& v) { return v.as_string() != nullptr || v.as_list() != nullptr; };
    if (sequence(a) && to_i64(b, y)) return repeat(evaluator, a, y);
    if (sequence(b) && to_i64(a, x)) return repeat(evaluator, b, x);
  }
  if (op == "%" && a.as_string() != nullptr) {
    return fail(Code::Unsupported, "formatting with '%' is not supported");
  }
  return no_operator(op, a, b);
}

Result<bool> contains(const Value& container, const Value& item) {
  if (const List* list = container.as_list()) {
    return std::any_of(list->begin(), list->end(), [&](const Value& v) { return equal(v, item); });
  }
  if (const std::string* text = container.as_string(); text != nullptr && item.as_string() != nullptr) {
    return text->find(*item.as_string()) != std::string::npos;
  }
  if (container.as_dict() != nullptr) {
    return !container.member(item).is_undefined();
  }
  if (container.is_undefined()) return false;
  return no_operator("in", item, container);
}

Result<Value> index(Evaluator& evaluator, const Value& container, const Value& key) {
  i64 at = 0;
  const List* list = container.as_list();
  const std::string* text = container.as_string();
  if ((list != nullptr || text != nullptr) && to_i64(key, at)) {
    std::vector<std::string> chars;
    if (text != nullptr) {
      TL_TRY_DO(evaluator.charge(text->size() / 4));
      chars = characters(*text);
    }
    const i64 size = static_cast<i64>(list != nullptr ? list->size() : chars.size());
    if (at < 0) at += size;
    if (at < 0 || at >= size) return Value();
    return list != nullptr ? (*list)[static_cast<size_t>(at)] : Value(chars[static_cast<size_t>(at)]);
  }
  const std::string* name = key.as_string();
  if (const Dict* dict = container.as_dict(); dict != nullptr) {
    TL_TRY_DO(evaluator.charge(dict->size() / 8));
    if (Value found = container.member(key); !found.is_undefined()) return found;
  }
  if (container.is_undefined()) return fail(Code::BadProgram, "an undefined value has no elements");
  return name == nullptr ? Result<Value>(Value()) : evaluator.attribute(container, *name);
}

Result<Value> slice(Evaluator& evaluator, const Value& container, const Value& from, const Value& to,
                    const Value& step) {
  i64 stride = 1;
  if (!step.is_undefined() && !step.is_none() && !to_i64(step, stride)) {
    return fail(Code::BadProgram, "the step of a slice is {}", step.type_name());
  }
  if (stride == 0) return fail(Code::BadProgram, "the step of a slice is zero");
  const std::string* text = container.as_string();
  if (text == nullptr && container.as_list() == nullptr) {
    return fail(Code::BadProgram, "{} cannot be sliced", container.type_name());
  }
  TL_TRY(const List items, evaluator.elements(container));
  const i64 size = static_cast<i64>(items.size());
  // Python's rule: count from the end if negative, then clamp to what the direction can reach.
  const auto bound = [&](const Value& value, i64 otherwise) -> Result<i64> {
    if (value.is_undefined() || value.is_none()) return otherwise;
    i64 at = 0;
    if (!to_i64(value, at)) return fail(Code::BadProgram, "a bound of a slice is {}", value.type_name());
    if (at < 0) at = std::max<i64>(at, -size - 1) + size;
    return stride > 0 ? std::clamp<i64>(at, 0, size) : std::clamp<i64>(at, -1, size - 1);
  };
  TL_TRY(const i64 begin, bound(from, stride > 0 ? 0 : size - 1));
  TL_TRY(const i64 end, bound(to, stride > 0 ? size : -1));
  List out;
  for (i64 i = begin; stride > 0 ? i < end : i > end;) {
    out.push_back(items[static_cast<size_t>(i)]);
    if (__builtin_add_overflow(i, stride, &i)) break;
  }
  if (text == nullptr) return evaluator.make(std::move(out));
  std::string joined;
  for (const Value& c : out) joined += *c.as_string();
  return evaluator.make(std::move(joined));
}

}  // namespace tl::jinja
