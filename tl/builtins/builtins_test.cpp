// Signatures, the binding of arguments, the table's completeness, and calls as a program makes them.
#include "tl/builtins/builtins.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tl/builtins/convert.h"
#include "tl/builtins/families.h"
#include "tl/builtins/operators.h"
#include "tl/device/loop_device_testing.h"
#include "tl/ops/find_op.h"
#include "tl/tensor/op.h"
#include "tl/value/text.h"

namespace tl::lang {
namespace {

TEST(Signatures, HaveKindsDefaultsAndARest) {
  const Signature s = *parse_signature(
      "(x: tensor<F>[..b, n], axis: int = -1, eps: float = 1, name: string = \"a, b\", dims: ints = [1, 2], "
      "seed: int = none, rest: any...) -> tensor<F>[n]");
  ASSERT_EQ(s.params.size(), 7u);
  EXPECT_EQ(s.params[0].kind, ParamKind::Tensor);
  EXPECT_FALSE(s.params[0].is_optional);
  EXPECT_EQ(s.params[1].default_value.as_int(), -1);
  EXPECT_TRUE(s.params[2].default_value.is_float()) << "1 for a float";
  EXPECT_EQ(s.params[3].default_value.as<String>().text, "a, b");
  EXPECT_EQ(s.params[4].default_value.as<List>().items.size(), 2u);
  EXPECT_TRUE(s.params[5].is_optional && s.params[5].default_value.is_empty());
  EXPECT_TRUE(s.is_variadic());
  EXPECT_EQ(s.result, "tensor<F>[n]");
  EXPECT_EQ(s.find("eps"), 2);
  EXPECT_EQ(s.find("nothing"), -1);
  EXPECT_EQ(parse_signature("()")->result, "unit");
}

TEST(Signatures, SayWhereTheyAreWrong) {
  const std::pair<const char*, const char*> rows[] = {
      {"x: int", "expected '(' at column 1"},
      {"(x int)", "expected 'name: type' at column 4"},
      {"(x: matrix)", "expected a parameter type at column 11"},
      {"(x: int y: int)", "expected ',' or ')' at column 9"},
      {"(x: int = ?)", "expected a default value at column 12"},
      {"(x: any..., y: int)", "expected ')' after a parameter that takes the rest at column 19"},
      {"(x: string = \"a)", "expected '\"' at column 15"},
      {"(x: int", "expected ',' or ')' at column 8"},
  };
  for (const auto& [text, wanted] : rows) {
    const Result<Signature> s = parse_signature(text);
    ASSERT_FALSE(s.ok()) << text;
    EXPECT_EQ(s.error().message, fmt::format("signature '{}': {}", text, wanted));
  }
}

std::string bound(std::string_view signature, std::vector<std::string_view> names) {
  const auto order = arrange_arguments(*parse_signature(signature), names);
  return order.ok() ? fmt::format("{}", fmt::join(order.value(), " ")) : order.error().message;
}

TEST(Arguments, GoToTheirParameters) {
  const char* const fixed = "(a: int, b: int = 2, c: int = 3)";
  EXPECT_EQ(bound(fixed, {"", "", ""}), "0 1 2");
  EXPECT_EQ(bound(fixed, {"", "c"}), "0 -1 1");
  EXPECT_EQ(bound(fixed, {"c", "a"}), "1 -1 0");
  EXPECT_EQ(bound("(a: int, rest: any...)", {"", "", ""}), "0 1 2");
  EXPECT_EQ(bound(fixed, {}), "argument 'a' is missing");
  EXPECT_EQ(bound(fixed, {"", "", "", ""}), "takes at most 3 arguments, got 4");
  EXPECT_EQ(bound("(a: int)", {"", ""}), "takes at most 1 argument, got 2");
  EXPECT_EQ(bound(fixed, {"", "d"}), "has no parameter 'd'");
  EXPECT_EQ(bound(fixed, {"", "a"}), "argument 'a' is given twice");
  EXPECT_EQ(bound("(a: int, rest: any...)", {"", "rest"}), "has no parameter 'rest'");
}

TEST(Table, IsSortedWithoutDuplicatesAndHasEveryOp) {
  const auto rows = all_builtins();
  for (size_t i = 1; i < rows.size(); ++i) EXPECT_LT(rows[i - 1].name, rows[i].name);
  for (const Builtin& b : rows) EXPECT_EQ(find_builtin(b.name), &b);
  EXPECT_EQ(find_builtin("no_such_name"), nullptr);
  for (const OpDef* op : all_ops()) {
    const Builtin* row = find_builtin(op->name);
    if (op->is_internal) {
      EXPECT_TRUE(row == nullptr || row->op != op) << op->name << " is callable";
    } else {
      ASSERT_NE(row, nullptr) << op->name;
      EXPECT_TRUE(row->op == op || row->native != nullptr) << op->name;
    }
  }
}

TEST(Table, EveryRowIsDocumented) {
  for (const Builtin& b : all_builtins()) {
    EXPECT_EQ(b.native != nullptr && b.op != nullptr, b.is_other_form != nullptr) << b.name;
    EXPECT_TRUE(b.native != nullptr || b.op != nullptr) << b.name;
    EXPECT_FALSE(b.doc.empty()) << b.name;
    EXPECT_EQ(b.doc.find('\n'), std::string_view::npos) << b.name << ": more than a line";
    EXPECT_FALSE(b.parsed.result.empty()) << b.name;
    const bool is_worldly = b.effect == Effect::Io || b.name == "fail" || b.name == "panic";
    const auto models = model_natives();
    const bool wants_model =
        std::any_of(models.begin(), models.end(), [&](const Builtin& m) { return m.name == b.name; });
    EXPECT_TRUE(is_worldly || wants_model || b.example.find(b.name) != std::string_view::npos) << b.name;
    for (const Parameter& p : b.parsed.params) EXPECT_EQ(&p - b.parsed.params.data(), b.parsed.find(p.name));
  }
}

class Calls : public testing::Test {
 protected:
  std::string call(std::string_view name, std::vector<Value> args) {
    const auto result = call_positional(*find_builtin(name), ctx, args);
    return result.ok() ? *text_of(read_with(*executor), result.value()) : result.error().message;
  }
  static Value ints(std::vector<i64> v) { return make_ints(v); }

  LoopDevice device;
  std::unique_ptr<Executor> executor = *Executor::create(device, {});
  StringOutput out, err;
  Host host{.executor = *executor, .out = out, .err = err};
  CallContext ctx{.host = host};
};

TEST_F(Calls, ConvertToTheSignaturesTypes) {
  EXPECT_EQ(call("len", {ints({1, 2})}), "2");
  EXPECT_EQ(call("print", {Value(i64{1}), make_string("x"), Value(2.5)}), "none");
  EXPECT_EQ(out.take(), "1 x 2.5\n");
  EXPECT_EQ(call("zeros", {make_list({Value(2.0)})}), "[0.0000 0.0000] shape=[2] float32");
  EXPECT_EQ(call("sum", {ints({1, 2, 3})}), "6") << "a list as a tensor, a default for the axis";
}

TEST_F(Calls, ErrorsNameBuiltinAndParameter) {
  EXPECT_EQ(call("softmax", {}), "softmax: argument 'x' is missing");
  EXPECT_EQ(call("softmax", {make_string("a")}), "softmax: argument 'x' is string, want a tensor");
  EXPECT_EQ(call("softmax", {ints({1}), Value(0.5)}), "softmax: argument 'axis' is 0.5, want an int");
}

TEST_F(Calls, RandomOpsDrawWhenCalledAndRepeatFromASeed) {
  const auto draws = [&] {
    executor->recorder().seed(7);
    const std::string first = call("rand", {ints({4})});
    return std::pair(first, call("rand", {ints({4})}));
  };
  const auto [first, second] = draws();
  EXPECT_NE(first, second);
  EXPECT_EQ(draws(), std::pair(first, second));
  EXPECT_EQ(call("rand", {ints({4}), Value(DType::F32), Value(i64{7}), Value(i64{0})}), first);
}

TEST_F(Calls, NumbersTakeTheTypeOfTheTensorTheyMeet) {
  EXPECT_EQ(to_tensor(ctx, Value(i64{2}))->dtype(), DType::I64);
  EXPECT_EQ(to_tensor(ctx, Value(i64{2}), DType::F16)->dtype(), DType::F16);
  EXPECT_EQ(to_tensor(ctx, Value(2.5), DType::I32)->dtype(), DType::F32) << "an int cannot hold it";
  const Value rows = make_list({ints({1, 2}), ints({3, 4})});
  EXPECT_EQ(to_tensor(ctx, rows)->shape(), (Shape{2, 2}));
  EXPECT_EQ(to_tensor(ctx, make_list({ints({1, 2}), ints({3})})).error().message,
            "is a list whose rows differ in length, want a tensor");
  EXPECT_EQ(*to_int(ctx, Value(3.0)), 3);
  EXPECT_FALSE(to_int(ctx, Value(1e300)).ok());
}

// Notes whether anybody waits for a number.
struct Watcher : RecordObserver {
  bool has_looked = false;
  void recorded(const Node&) override {}
  void made(const Tensor&) override {}
  void materialised(const Tensor&, const Tensor&) override {}
  void looked() override { has_looked = true; }
};

TEST_F(Calls, ListsOfNumbersOnTheirWayAreNotWaitedFor) {
  const auto best = [&](std::vector<i64> of) {
    return *call_positional(*find_builtin("argmax"), ctx, std::vector<Value>{ints(of)});
  };
  const Value weight = make_tensor(*to_tensor(ctx, make_list({ints({1, 2}), ints({3, 4})}), DType::F32));
  const auto mean = [&](std::vector<i64> of) {
    return *call_positional(*find_builtin("mean"), ctx, std::vector<Value>{ints(of)});
  };
  Watcher watcher;
  executor->recorder().set_observer(&watcher);
  const Value id = best({1, 5, 2});
  std::vector<Value> many, mixed;
  for (i64 i = 0; i < 20; ++i) {
    many.push_back(i % 3 == 0 ? best({0, i}) : Value(i));
    mixed.push_back(make_list({Value(i), i % 7 == 0 ? mean({i, i}) : Value(i)}));
  }
  std::vector<Tensor> made;
  const auto add = [&](const Value& list, std::optional<DType> peer = {}) {
    made.push_back(*to_tensor(ctx, list, peer));
  };
  add(make_list({id}));
  add(make_list({id, Value(i64{7}), id}));
  add(make_list({Value(0.5), id, Value(true)}));
  add(make_list({Value(i64{3}), id}), DType::I32);
  add(make_list({make_list({id, Value(i64{2})}), ints({3, 4})}));
  add(make_list({make_tensor(scalar_tensor(2.5, DType::F16)), Value(i64{1})}));
  add(make_list({weight, weight}));
  add(make_list(many));
  add(make_list(mixed));
  const std::vector<Value> look_up = {weight, make_list({id})};
  add(*call_positional(*find_builtin("embedding"), ctx, look_up));
  executor->recorder().set_observer(nullptr);
  EXPECT_FALSE(watcher.has_looked);
  const auto text = [&](size_t i) { return *text_of(read_with(*executor), make_tensor(made[i])); };
  EXPECT_EQ(text(0), "[1] shape=[1] int64");
  EXPECT_EQ(text(1), "[1 7 1] shape=[3] int64");
  EXPECT_EQ(text(2), "[0.5000 1.0000 1.0000] shape=[3] float32");
  EXPECT_EQ(text(3), "[3 1] shape=[2] int32");
  EXPECT_EQ(text(4), "[[1 2]\n [3 4]] shape=[2, 2] int64");
  EXPECT_EQ(text(5), "[2.5000 1.0000] shape=[2] float32");
  EXPECT_EQ(made[6].shape(), (Shape{2, 2, 2}));
  EXPECT_EQ(text(7), "[ 0  1  2  1  4  5  1  7  8  1 10 11  1 13 14  1 16 17  1 19] shape=[20] int64");
  EXPECT_EQ(made[8].shape(), (Shape{20, 2}));
  EXPECT_EQ(executor->read(made[8])->as_double(29), 14);
  EXPECT_EQ(text(9), "[[3.0000 4.0000]] shape=[1, 2] float32");
  EXPECT_EQ(to_tensor(ctx, make_list({weight, id})).error().message,
            "is a list whose rows differ in depth, want a tensor");
  EXPECT_EQ(to_tensor(ctx, make_list({ints({1, 2, 3}), weight})).error().message,
            "is a list whose rows differ in depth, want a tensor");
}

TEST_F(Calls, IntsNeverWrap) {
  const auto sum = apply_operator(ctx, Operator::Add, Value(INT64_MAX), Value(i64{1}));
  ASSERT_FALSE(sum.ok());
  EXPECT_EQ(sum.error().code, Code::BadProgram);
  EXPECT_EQ(apply_operator(ctx, Operator::Add, Value(INT64_MAX), Value(i64{0}))->as_int(), INT64_MAX);
}

}  // namespace
}  // namespace tl::lang
