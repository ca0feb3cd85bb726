// Builtins that are made of ops: formulas of lazy results, where what follows a step that failed does
// nothing.
#pragma once

#include "tl/builtins/builtins.h"
#include "tl/builtins/operators.h"

namespace tl::lang {

class Chain {
 public:
  explicit Chain(CallContext& ctx) : ctx_(ctx) {}

  Value op(std::string_view name, std::initializer_list<Value> args) {
    return step([&] { return call_op(ctx_, name, args); });
  }
  Value add(const Value& a, const Value& b) { return apply(Operator::Add, a, b); }
  Value sub(const Value& a, const Value& b) { return apply(Operator::Sub, a, b); }
  Value mul(const Value& a, const Value& b) { return apply(Operator::Mul, a, b); }
  Value div(const Value& a, const Value& b) { return apply(Operator::Div, a, b); }

  // What the formula gave, or what went wrong in it.
  Result<Value> give(Value result) {
    if (error_) return std::move(*error_);
    return result;
  }

 private:
  Value apply(Operator op, const Value& a, const Value& b) {
    return step([&] { return apply_operator(ctx_, op, a, b); });
  }
  template <typename Step>
  Value step(const Step& run) {
    if (error_) return {};
    Result<Value> result = run();
    if (result.ok()) return std::move(result).value();
    error_ = std::move(result).error();
    return {};
  }

  CallContext& ctx_;
  std::optional<Error> error_;
};

}  // namespace tl::lang
