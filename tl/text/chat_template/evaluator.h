// Runs a chat template. Steps, depth, and the size of all it makes are bounded, so a hostile template ends in
// an error. Operators are in operators.cpp, what a template calls by name in filters, methods and functions.
#pragma once

#include <ctime>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tl/text/chat_template/ast.h"

namespace tl::jinja {

struct Args {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;

  // The argument at `index` or called `name`; null if it was not given.
  const Value* find(size_t index, std::string_view name) const;
};

class Evaluator;

class Callable : public Object {
 public:
  Value get(std::string_view) const override { return {}; }
  virtual Result<Value> call(Evaluator& evaluator, const Args& args) = 0;
};

class Namespace final : public Object {
 public:
  std::string_view type_name() const override { return "a namespace"; }
  Value get(std::string_view name) const override;
  bool set(std::string_view name, Value value) override;
  void clear() { values_.clear(); }

 private:
  std::map<std::string, Value, std::less<>> values_;
};

// The variables of one block, macro or loop round.
struct Frame {
  std::map<std::string, Value, std::less<>> variables;
  std::shared_ptr<Frame> parent;

  const Value* find(std::string_view name) const;  // here and in the parents
  void set(std::string_view name, Value value);    // here
};

inline constexpr u32 kMaxDepth = 300;  // of expressions and statements within each other, through macros too

class Evaluator {
 public:
  explicit Evaluator(std::optional<std::tm> now) : now_(now) {}
  ~Evaluator();
  Evaluator(const Evaluator&) = delete;
  Evaluator& operator=(const Evaluator&) = delete;

  Result<std::string> run(const Block& block, std::vector<std::pair<std::string, Value>> variables);

  // What the built-in names need.
  Result<void> charge(u64 steps);
  // Pays for a new string, and gives it as a value.
  Result<Value> make(std::string text);
  Result<Value> make(List list);
  Result<Value> call(const Value& callee, const Args& args);
  Result<Value> attribute(const Value& value, std::string_view name);
  // The elements that `for` goes through.
  Result<List> elements(const Value& value);
  std::tm now() const;
  void keep(std::shared_ptr<Namespace> made) { namespaces_.push_back(std::move(made)); }

  // Runs a macro's body in a frame of its own.
  Result<Value> run_macro(const Stmt& macro, const std::shared_ptr<Frame>& home, const Args& args);

 private:
  friend class Caller;
  enum class Flow : u8 { Next, Break, Continue };

  Result<Flow> run_block(const Block& block, std::string& out);
  Result<Flow> run_stmt(const Stmt& stmt, std::string& out);
  Result<Flow> run_if(const Stmt& stmt, std::string& out);
  Result<Flow> run_for(const Stmt& stmt, std::string& out);
  Result<void> run_set(const Stmt& stmt);
  Result<void> run_set_block(const Stmt& stmt);
  Result<void> run_macro_definition(const Stmt& stmt);
  Result<void> run_call_block(const Stmt& stmt, std::string& out);
  Result<Flow> run_with(const Stmt& stmt, std::string& out);
  Result<List> loop_items(const Stmt& stmt);
  Result<void> bind(const std::vector<std::string>& names, const Value& value);
  Result<std::string> run_to_text(const Block& block);
  // `expr` is a chain of filters over an empty literal, which stands for `text`.
  Result<Value> through_filters(const Expr& expr, Value text);
  Result<void> write(std::string& out, std::string_view text);

  Result<Value> eval(const Expr& expr);
  Result<Value> eval_kind(const Expr& expr);
  Result<Value> eval_name(const Expr& expr);
  Result<Value> eval_dict(const Expr& expr);
  Result<Value> eval_index(const Expr& expr);
  Result<Value> eval_slice(const Expr& expr);
  Result<Value> eval_call(const Expr& expr);
  Result<Value> eval_filter(const Expr& expr);
  Result<Value> eval_test(const Expr& expr);
  Result<Value> eval_compare(const Expr& expr);
  Result<Args> eval_args(const Expr& expr);

  std::optional<std::tm> now_;
  u64 steps_ = 0;
  u32 depth_ = 0;
  std::shared_ptr<Frame> frame_;
  std::vector<std::shared_ptr<Namespace>> namespaces_;  // emptied at the end: they may hold each other
  std::vector<std::shared_ptr<Frame>> macro_homes_;     // likewise, with the macros that know them
};

Result<Value> unary(Evaluator& evaluator, std::string_view op, const Value& value);
Result<Value> binary(Evaluator& evaluator, std::string_view op, const Value& a, const Value& b);
Result<bool> contains(const Value& container, const Value& item);
Result<Value> index(Evaluator& evaluator, const Value& container, const Value& key);
Result<Value> slice(Evaluator& evaluator, const Value& container, const Value& from, const Value& to,
                    const Value& step);

// Whether values of this kind have a method `name`; and its call.
bool has_method(const Value& self, std::string_view name);
Result<Value> call_method(Evaluator& evaluator, const Value& self, std::string_view name, const Args& args);
Result<Value> apply_filter(Evaluator& evaluator, std::string_view name, const Value& value, const Args& args);
Result<bool> apply_test(Evaluator& evaluator, std::string_view name, const Value& value, const Args& args);
// The functions every template can call: range, namespace, raise_exception…; undefined if there is none.
Value find_function(std::string_view name);

}  // namespace tl::jinja
