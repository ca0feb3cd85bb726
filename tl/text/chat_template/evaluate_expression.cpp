#include <algorithm>

#include "tl/text/chat_template/evaluator.h"

namespace tl::jinja {

Result<Value> Evaluator::eval(const Expr& expr) {
  TL_TRY_DO(charge(1));
  if (depth_ >= kMaxDepth) return fail(Code::BadProgram, "calls itself too deeply");
  ++depth_;
  Result<Value> value = eval_kind(expr);
  --depth_;
  return value;
}

Result<Value> Evaluator::eval_kind(const Expr& expr) {
  using Kind = Expr::Kind;
  switch (expr.kind) {
    case Kind::Literal:
      return expr.value;
    case Kind::Name:
      return eval_name(expr);
    case Kind::List: {
      List list;
      for (const ExprPtr& item : expr.items) {
        TL_TRY(Value value, eval(*item));
        list.push_back(std::move(value));
      }
      TL_TRY_DO(charge(list.size()));
      return expr.text.empty() ? Value(std::move(list)) : Value::tuple(std::move(list));
    }
    case Kind::Dict:
      return eval_dict(expr);
    case Kind::Attribute: {
      TL_TRY(const Value value, eval(*expr.items[0]));
      if (value.is_undefined() && expr.items[0]->kind != Kind::Literal && !expr.items[0]->text.empty()) {
        return fail(Code::BadProgram, "'{}' is undefined, so it has no '{}'", expr.items[0]->text, expr.text);
      }
      return attribute(value, expr.text);
    }
    case Kind::Index:
      return eval_index(expr);
    case Kind::Slice:
      return eval_slice(expr);
    case Kind::Call:
      return eval_call(expr);
    case Kind::Filter:
      return eval_filter(expr);
    case Kind::Test:
      return eval_test(expr);
    case Kind::Unary: {
      TL_TRY(const Value value, eval(*expr.items[0]));
      return unary(*this, expr.text, value);
    }
    case Kind::Binary: {
      TL_TRY(const Value left, eval(*expr.items[0]));
      TL_TRY(const Value right, eval(*expr.items[1]));
      return binary(*this, expr.text, left, right);
    }
    case Kind::Compare:
      return eval_compare(expr);
    case Kind::And:
    case Kind::Or: {
      TL_TRY(Value left, eval(*expr.items[0]));
      if (left.truthy() == (expr.kind == Kind::Or)) return left;
      return eval(*expr.items[1]);
    }
    case Kind::Not: {
      TL_TRY(const Value value, eval(*expr.items[0]));
      return Value(!value.truthy());
    }
    case Kind::Choice: {
      TL_TRY(const Value condition, eval(*expr.items[1]));
      if (condition.truthy()) return eval(*expr.items[0]);
      return expr.items[2] == nullptr ? Result<Value>(Value()) : eval(*expr.items[2]);
    }
  }
  return Value();
}

Result<Value> Evaluator::eval_name(const Expr& expr) {
  if (const Value* found = frame_->find(expr.text)) return *found;
  return find_function(expr.text);
}

Result<Value> Evaluator::eval_dict(const Expr& expr) {
  Dict dict;
  for (size_t i = 0; i + 1 < expr.items.size(); i += 2) {
    TL_TRY(const Value key, eval(*expr.items[i]));
    TL_TRY(Value value, eval(*expr.items[i + 1]));
    if (key.as_string() == nullptr && key.as_int() == nullptr) {
      return fail(Code::Unsupported, "a key of a dictionary is {} (want a string or integer)",
                  key.type_name());
    }
    const auto old =
        std::find_if(dict.begin(), dict.end(), [&](auto& item) { return equal(item.first, key); });
    if (old != dict.end()) {
      old->second = std::move(value);
    } else {
      dict.emplace_back(key, std::move(value));
    }
    TL_TRY_DO(charge(dict.size()));
  }
  return Value(std::move(dict));
}

Result<Value> Evaluator::eval_index(const Expr& expr) {
  TL_TRY(const Value container, eval(*expr.items[0]));
  TL_TRY(const Value key, eval(*expr.items[1]));
  if (container.is_undefined() && !expr.items[0]->text.empty()) {
    return fail(Code::BadProgram, "'{}' is undefined, so it has no elements", expr.items[0]->text);
  }
  return index(*this, container, key);
}

Result<Value> Evaluator::eval_slice(const Expr& expr) {
  TL_TRY(const Value container, eval(*expr.items[0]));
  Value bounds[3];
  for (size_t i = 0; i < 3; ++i) {
    if (expr.items[i + 1] == nullptr) continue;
    TL_TRY(bounds[i], eval(*expr.items[i + 1]));
  }
  return slice(*this, container, bounds[0], bounds[1], bounds[2]);
}

Result<Args> Evaluator::eval_args(const Expr& expr) {
  Args args;
  for (size_t i = 1; i < expr.items.size(); ++i) {
    TL_TRY(Value value, eval(*expr.items[i]));
    args.positional.push_back(std::move(value));
  }
  for (const auto& [name, item] : expr.named) {
    TL_TRY(Value value, eval(*item));
    args.named.emplace_back(name, std::move(value));
  }
  return args;
}

Result<Value> Evaluator::eval_call(const Expr& expr) {
  const Expr& callee = *expr.items[0];
  TL_TRY(const Value function, eval(callee));
  if (function.as_object() == nullptr && !callee.text.empty()) {
    return fail(Code::BadProgram, "'{}' is {} and cannot be called", callee.text, function.type_name());
  }
  TL_TRY(const Args args, eval_args(expr));
  return call(function, args);
}

Result<Value> Evaluator::eval_filter(const Expr& expr) {
  TL_TRY(const Value value, eval(*expr.items[0]));
  TL_TRY(const Args args, eval_args(expr));
  return apply_filter(*this, expr.text, value, args);
}

Result<Value> Evaluator::eval_test(const Expr& expr) {
  TL_TRY(const Value value, eval(*expr.items[0]));
  TL_TRY(const Args args, eval_args(expr));
  TL_TRY(const bool holds, apply_test(*this, expr.text, value, args));
  return Value(holds);
}

Result<Value> Evaluator::eval_compare(const Expr& expr) {
  TL_TRY(Value left, eval(*expr.items[0]));
  for (size_t i = 0; i < expr.words.size(); ++i) {
    TL_TRY(Value right, eval(*expr.items[i + 1]));
    const std::string& word = expr.words[i];
    TL_TRY_DO(charge(u64{left.weight()} + right.weight()));
    bool holds = false;
    if (word == "==" || word == "!=") {
      holds = equal(left, right) == (word == "==");
    } else if (word == "in" || word == "not in") {
      TL_TRY(const bool found, contains(right, left));
      holds = found == (word == "in");
    } else {
      TL_TRY(const int order, compare(left, right));
      holds = word == "<" ? order < 0 : word == ">" ? order > 0 : word == "<=" ? order <= 0 : order >= 0;
    }
    if (!holds) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

}  // namespace tl::jinja
