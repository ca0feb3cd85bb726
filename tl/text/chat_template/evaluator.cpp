#include "tl/text/chat_template/evaluator.h"

#include <algorithm>

#include "tl/text/chat_template/text.h"

namespace tl::jinja {

namespace {

constexpr u64 kMaxSteps = 8'000'000;
constexpr u64 kBytesPerStep = 16;  // of text made
constexpr size_t kMaxOutput = size_t{64} << 20;

Error at_line(Error error, u32 line) {
  constexpr std::string_view kWhere = "chat template, line ";
  if (!error.message.starts_with(kWhere))
    error.message = fmt::format("{}{}: {}", kWhere, line, error.message);
  return error;
}

class Macro final : public Callable {
 public:
  Macro(const Stmt& stmt, std::shared_ptr<Frame> home) : stmt_(stmt), home_(std::move(home)) {}
  std::string_view type_name() const override { return "a macro"; }
  Value get(std::string_view name) const override { return name == "name" ? Value(stmt_.text) : Value(); }
  Result<Value> call(Evaluator& evaluator, const Args& args) override {
    return evaluator.run_macro(stmt_, home_, args);
  }

 private:
  const Stmt& stmt_;
  std::shared_ptr<Frame> home_;
};

class Method final : public Callable {
 public:
  Method(Value self, std::string name) : self_(std::move(self)), name_(std::move(name)) {}
  std::string_view type_name() const override { return "a method"; }
  Result<Value> call(Evaluator& evaluator, const Args& args) override {
    return call_method(evaluator, self_, name_, args);
  }

 private:
  Value self_;
  std::string name_;
};

// loop.cycle("odd", "even")
class Cycle final : public Callable {
 public:
  explicit Cycle(size_t at) : at_(at) {}
  std::string_view type_name() const override { return "a function"; }
  Result<Value> call(Evaluator&, const Args& args) override {
    if (args.positional.empty()) return fail(Code::BadProgram, "cycle() has nothing to choose from");
    return args.positional[at_ % args.positional.size()];
  }

 private:
  size_t at_;
};

// What `loop` is inside a for.
class Loop final : public Object {
 public:
  Loop(std::shared_ptr<const List> items, size_t at, u32 depth)
      : items_(std::move(items)), at_(at), depth_(depth) {}
  std::string_view type_name() const override { return "a loop"; }
  Value get(std::string_view name) const override {
    const i64 at = static_cast<i64>(at_), size = static_cast<i64>(items_->size());
    if (name == "index") return at + 1;
    if (name == "index0") return at;
    if (name == "revindex") return size - at;
    if (name == "revindex0") return size - at - 1;
    if (name == "first") return at == 0;
    if (name == "last") return at + 1 == size;
    if (name == "length") return size;
    if (name == "depth") return i64{depth_};
    if (name == "depth0") return i64{depth_} - 1;
    if (name == "previtem") return at == 0 ? Value() : (*items_)[at_ - 1];
    if (name == "nextitem") return at + 1 == size ? Value() : (*items_)[at_ + 1];
    if (name == "cycle") return std::shared_ptr<Object>(std::make_shared<Cycle>(at_));
    return {};
  }

 private:
  std::shared_ptr<const List> items_;
  size_t at_;
  u32 depth_;
};

}  // namespace

// caller() inside a macro: the body of the call block, in the frame where it stands.
class Caller final : public Callable {
 public:
  Caller(const Stmt& stmt, std::shared_ptr<Frame> home) : stmt_(stmt), home_(std::move(home)) {}
  std::string_view type_name() const override { return "a function"; }
  Result<Value> call(Evaluator& evaluator, const Args&) override {
    const std::shared_ptr<Frame> saved = evaluator.frame_;
    evaluator.frame_ = std::make_shared<Frame>(Frame{{}, home_});
    Result<std::string> text = evaluator.run_to_text(stmt_.body);
    evaluator.frame_ = saved;
    if (!text.ok()) return std::move(text).error();
    return evaluator.make(std::move(*text));
  }

 private:
  const Stmt& stmt_;
  std::shared_ptr<Frame> home_;
};

const Value* Args::find(size_t index, std::string_view name) const {
  if (index < positional.size()) return &positional[index];
  const auto at =
      std::find_if(named.begin(), named.end(), [&](const auto& item) { return item.first == name; });
  return at == named.end() ? nullptr : &at->second;
}

Value Namespace::get(std::string_view name) const {
  const auto at = values_.find(name);
  return at == values_.end() ? Value() : at->second;
}

bool Namespace::set(std::string_view name, Value value) {
  values_.insert_or_assign(std::string(name), std::move(value));
  return true;
}

const Value* Frame::find(std::string_view name) const {
  for (const Frame* frame = this; frame != nullptr; frame = frame->parent.get()) {
    if (const auto at = frame->variables.find(name); at != frame->variables.end()) return &at->second;
  }
  return nullptr;
}

void Frame::set(std::string_view name, Value value) {
  variables.insert_or_assign(std::string(name), std::move(value));
}

Evaluator::~Evaluator() {
  for (const auto& made : namespaces_) made->clear();
  for (const auto& home : macro_homes_) home->variables.clear();
}

std::tm Evaluator::now() const {
  if (now_) return *now_;
  const std::time_t seconds = std::time(nullptr);
  std::tm out{};
  localtime_r(&seconds, &out);
  return out;
}

Result<void> Evaluator::charge(u64 steps) {
  if (steps > kMaxSteps || (steps_ += steps) > kMaxSteps) {
    return fail(Code::BadProgram, "takes more than {} steps", kMaxSteps);
  }
  return {};
}

Result<Value> Evaluator::make(std::string text) {
  TL_TRY_DO(charge(1 + text.size() / kBytesPerStep));
  return Value(std::move(text));
}

Result<Value> Evaluator::make(List list) {
  TL_TRY_DO(charge(1 + list.size()));
  return Value(std::move(list));
}

Result<void> Evaluator::write(std::string& out, std::string_view text) {
  if (out.size() + text.size() > kMaxOutput) {
    return fail(Code::BadProgram, "writes more than {} MB", kMaxOutput >> 20);
  }
  TL_TRY_DO(charge(1 + text.size() / kBytesPerStep));
  out += text;
  return {};
}

Result<std::string> Evaluator::run(const Block& block, std::vector<std::pair<std::string, Value>> variables) {
  frame_ = std::make_shared<Frame>();
  for (auto& [name, value] : variables) frame_->set(name, std::move(value));
  std::string out;
  TL_TRY_DO(run_block(block, out));
  return out;
}

Result<Evaluator::Flow> Evaluator::run_block(const Block& block, std::string& out) {
  for (const Stmt& stmt : block) {
    ++depth_;
    Result<Flow> flow = depth_ > kMaxDepth ? Result<Flow>(fail(Code::BadProgram, "calls itself too deeply"))
                                           : run_stmt(stmt, out);
    --depth_;
    if (!flow.ok()) return at_line(std::move(flow).error(), stmt.line);
    if (*flow != Flow::Next) return *flow;
  }
  return Flow::Next;
}

Result<Evaluator::Flow> Evaluator::run_stmt(const Stmt& stmt, std::string& out) {
  using Kind = Stmt::Kind;
  TL_TRY_DO(charge(1));
  switch (stmt.kind) {
    case Kind::Text:
      TL_TRY_DO(write(out, stmt.text));
      return Flow::Next;
    case Kind::Print: {
      TL_TRY(const Value value, eval(*stmt.expr));
      TL_TRY_DO(charge(value.weight()));
      TL_TRY_DO(write(out, to_text(value)));
      return Flow::Next;
    }
    case Kind::If:
      return run_if(stmt, out);
    case Kind::For:
      return run_for(stmt, out);
    case Kind::Set:
      TL_TRY_DO(run_set(stmt));
      return Flow::Next;
    case Kind::SetBlock:
      TL_TRY_DO(run_set_block(stmt));
      return Flow::Next;
    case Kind::Macro:
      TL_TRY_DO(run_macro_definition(stmt));
      return Flow::Next;
    case Kind::Call:
      TL_TRY_DO(run_call_block(stmt, out));
      return Flow::Next;
    case Kind::Filter: {
      TL_TRY(std::string text, run_to_text(stmt.body));
      TL_TRY(const Value value, through_filters(*stmt.expr, Value(std::move(text))));
      TL_TRY_DO(charge(value.weight()));
      TL_TRY_DO(write(out, to_text(value)));
      return Flow::Next;
    }
    case Kind::With:
      return run_with(stmt, out);
    case Kind::Group:
      return run_block(stmt.body, out);
    case Kind::Break:
      return Flow::Break;
    case Kind::Continue:
      return Flow::Continue;
  }
  return Flow::Next;
}

Result<Evaluator::Flow> Evaluator::run_if(const Stmt& stmt, std::string& out) {
  for (const Stmt::Branch& branch : stmt.branches) {
    if (branch.condition != nullptr) {
      TL_TRY(const Value condition, eval(*branch.condition));
      if (!condition.truthy()) continue;
    }
    return run_block(branch.body, out);
  }
  return Flow::Next;
}

Result<void> Evaluator::bind(const std::vector<std::string>& names, const Value& value) {
  if (names.size() == 1) {
    frame_->set(names[0], value);
    return {};
  }
  TL_TRY(const List parts, elements(value));
  if (parts.size() != names.size()) {
    return fail(Code::BadProgram, "{} values for {} names", parts.size(), names.size());
  }
  for (size_t i = 0; i < names.size(); ++i) frame_->set(names[i], parts[i]);
  return {};
}

// What the loop goes through, without what its filter refuses.
Result<List> Evaluator::loop_items(const Stmt& stmt) {
  TL_TRY(const Value source, eval(*stmt.expr));
  TL_TRY(List items, elements(source));
  if (stmt.filter == nullptr) return items;
  List kept;
  const std::shared_ptr<Frame> outer = frame_;
  for (Value& item : items) {
    frame_ = std::make_shared<Frame>(Frame{{}, outer});
    Result<void> bound = bind(stmt.names, item);
    Result<Value> wanted = bound.ok() ? eval(*stmt.filter) : Result<Value>(std::move(bound).error());
    frame_ = outer;
    if (!wanted.ok()) return std::move(wanted).error();
    if (wanted->truthy()) kept.push_back(std::move(item));
  }
  return kept;
}

Result<Evaluator::Flow> Evaluator::run_for(const Stmt& stmt, std::string& out) {
  TL_TRY(List found, loop_items(stmt));
  if (found.empty()) return run_block(stmt.otherwise, out);
  const auto items = std::make_shared<const List>(std::move(found));
  const std::shared_ptr<Frame> outer = frame_;
  Result<Flow> flow = Flow::Next;
  for (size_t i = 0; i < items->size() && flow.ok() && *flow != Flow::Break; ++i) {
    frame_ = std::make_shared<Frame>(Frame{{}, outer});
    frame_->set("loop", std::shared_ptr<Object>(std::make_shared<Loop>(items, i, 1)));
    Result<void> ready = charge(1);
    if (ready.ok()) ready = bind(stmt.names, (*items)[i]);
    flow = ready.ok() ? run_block(stmt.body, out) : Result<Flow>(std::move(ready).error());
  }
  frame_ = outer;
  if (!flow.ok()) return std::move(flow).error();
  return Flow::Next;
}

Result<void> Evaluator::run_set(const Stmt& stmt) {
  TL_TRY(Value value, eval(*stmt.expr));
  if (stmt.text.empty()) return bind(stmt.names, value);
  const Value* target = frame_->find(stmt.text);
  if (target == nullptr || target->as_object() == nullptr ||
      !target->as_object()->set(stmt.names[0], std::move(value))) {
    return fail(Code::BadProgram, "'{}' is not a namespace, so '{}' cannot be set", stmt.text, stmt.names[0]);
  }
  return {};
}

Result<void> Evaluator::run_set_block(const Stmt& stmt) {
  TL_TRY(std::string text, run_to_text(stmt.body));
  TL_TRY(Value value, make(std::move(text)));
  if (stmt.expr != nullptr) {
    TL_TRY(value, through_filters(*stmt.expr, std::move(value)));
  }
  frame_->set(stmt.names[0], std::move(value));
  return {};
}

Result<void> Evaluator::run_macro_definition(const Stmt& stmt) {
  if (std::find(macro_homes_.begin(), macro_homes_.end(), frame_) == macro_homes_.end()) {
    macro_homes_.push_back(frame_);
    TL_TRY_DO(charge(macro_homes_.size()));
  }
  frame_->set(stmt.text, std::shared_ptr<Object>(std::make_shared<Macro>(stmt, frame_)));
  return {};
}

Result<void> Evaluator::run_call_block(const Stmt& stmt, std::string& out) {
  TL_TRY(const Value callee, eval(*stmt.expr->items[0]));
  TL_TRY(Args args, eval_args(*stmt.expr));
  args.named.emplace_back("caller", std::shared_ptr<Object>(std::make_shared<Caller>(stmt, frame_)));
  TL_TRY(const Value value, call(callee, args));
  TL_TRY_DO(charge(value.weight()));
  return write(out, to_text(value));
}

Result<Evaluator::Flow> Evaluator::run_with(const Stmt& stmt, std::string& out) {
  const std::shared_ptr<Frame> outer = frame_;
  const auto inner = std::make_shared<Frame>(Frame{{}, outer});
  for (size_t i = 0; i < stmt.names.size(); ++i) {
    TL_TRY(Value value, eval(*stmt.values[i]));
    inner->set(stmt.names[i], std::move(value));
  }
  frame_ = inner;
  Result<Flow> flow = run_block(stmt.body, out);
  frame_ = outer;
  return flow;
}

Result<std::string> Evaluator::run_to_text(const Block& block) {
  std::string out;
  TL_TRY_DO(run_block(block, out));
  return out;
}

Result<Value> Evaluator::through_filters(const Expr& expr, Value text) {
  if (expr.kind == Expr::Kind::Literal) return text;
  if (expr.kind != Expr::Kind::Filter) return fail(Code::Unsupported, "only filters can follow '|' here");
  TL_TRY(const Value input, through_filters(*expr.items[0], std::move(text)));
  TL_TRY(const Args args, eval_args(expr));
  return apply_filter(*this, expr.text, input, args);
}

Result<Value> Evaluator::run_macro(const Stmt& macro, const std::shared_ptr<Frame>& home, const Args& args) {
  if (args.positional.size() > macro.names.size()) {
    return fail(Code::BadProgram, "macro '{}' takes {} arguments, not {}", macro.text, macro.names.size(),
                args.positional.size());
  }
  for (const auto& [name, value] : args.named) {
    const bool known = std::find(macro.names.begin(), macro.names.end(), name) != macro.names.end();
    if (!known && name != "caller") {
      return fail(Code::BadProgram, "macro '{}' has no argument '{}'", macro.text, name);
    }
  }
  const std::shared_ptr<Frame> saved = frame_;
  const auto inner = std::make_shared<Frame>(Frame{{}, home});
  frame_ = inner;
  Result<std::string> text = [&]() -> Result<std::string> {
    const size_t required = macro.names.size() - macro.values.size();
    for (size_t i = 0; i < macro.names.size(); ++i) {
      const Value* given = args.find(i, macro.names[i]);
      Value value = given != nullptr ? *given : Value();
      if (given == nullptr && i >= required) {
        TL_TRY(value, eval(*macro.values[i - required]));
      }
      inner->set(macro.names[i], std::move(value));
    }
    if (const Value* caller = args.find(macro.names.size(), "caller")) inner->set("caller", *caller);
    return run_to_text(macro.body);
  }();
  frame_ = saved;
  if (!text.ok()) return std::move(text).error();
  return make(std::move(*text));
}

Result<Value> Evaluator::call(const Value& callee, const Args& args) {
  auto* callable = dynamic_cast<Callable*>(callee.as_object());
  if (callable == nullptr) return fail(Code::BadProgram, "{} cannot be called", callee.type_name());
  TL_TRY_DO(charge(1));
  return callable->call(*this, args);
}

Result<Value> Evaluator::attribute(const Value& value, std::string_view name) {
  if (value.is_undefined()) return fail(Code::BadProgram, "an undefined value has no '{}'", name);
  if (const Object* object = value.as_object()) return object->get(name);
  if (has_method(value, name)) {
    return Value(std::shared_ptr<Object>(std::make_shared<Method>(value, std::string(name))));
  }
  if (const Dict* dict = value.as_dict()) TL_TRY_DO(charge(dict->size() / 8));
  return value.member(name);
}

Result<List> Evaluator::elements(const Value& value) {
  List out;
  if (const List* list = value.as_list()) {
    out = *list;
  } else if (const std::string* text = value.as_string()) {
    TL_TRY_DO(charge(text->size()));
    for (std::string& c : characters(*text)) out.emplace_back(std::move(c));
  } else if (const Dict* dict = value.as_dict()) {
    for (const auto& item : *dict) out.emplace_back(item.first);
  } else if (!value.is_undefined()) {
    return fail(Code::BadProgram, "{} has no elements to go through", value.type_name());
  }
  TL_TRY_DO(charge(out.size()));
  return out;
}

}  // namespace tl::jinja
