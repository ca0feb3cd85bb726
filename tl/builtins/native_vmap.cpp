// A function of one example, run on many at once.
#include "tl/builtins/convert.h"
#include "tl/builtins/families.h"
#include "tl/ops/ops.h"
#include "tl/tensor/batch.h"

namespace tl::lang {
namespace {

// Stands for any of the examples while the function runs: it has a type and no value. Whoever looks at what
// hangs on it is told.
Tensor stand_in(TensorType type) {
  Tensor t(new Node);
  type.shape.erase(0);
  t->type = std::move(type);
  t->state = NodeState::Failed;
  t->failure =
      make_failure({Code::BadProgram,
                    "vmap runs all examples at once: a number that is another in each cannot be looked at"});
  return t;
}

// Where the function draws; what it records otherwise is nobody's business.
class Draws : public RecordObserver {
 public:
  explicit Draws(Recorder& recorder) : recorder_(recorder), before_(recorder.set_observer(this)) {}
  ~Draws() override { recorder_.set_observer(before_); }
  void recorded(const Node& node) override {
    if (node.op->is_random && first_ == nullptr) first_ = node.op, where_ = node.origin;
  }
  void made(const Tensor&) override {}
  void materialised(const Tensor&, const Tensor&) override {}
  void looked() override {}
  Result<void> none() const {
    if (first_ == nullptr) return {};
    return fail(Code::BadProgram,
                "vmap: {} would draw once for all examples; draw before, and pass what was drawn",
                first_->name)
        .at(where_);
  }

 private:
  Recorder& recorder_;
  RecordObserver* const before_;
  const OpDef* first_ = nullptr;
  Span where_;
};

// Whether `rebuild` copies it, or it never changes: nothing else may leave the function.
bool can_be_given(const Value& v) {
  return !v.is_object() || tensor_of(v) != nullptr || v.is(ObjectKind::String) || v.is(ObjectKind::Range) ||
         v.is(ObjectKind::List) || v.is(ObjectKind::Tuple) || v.is(ObjectKind::Struct);
}

// The tensors of a result, in the order in which `rebuild` takes their replacements.
Result<void> collect(CallContext& ctx, const Value& v, std::vector<Tensor>& out, int depth = 0) {
  if (depth > kMaxNesting) return fail(Code::BadProgram, "vmap: the result is nested too deep");
  if (!can_be_given(v))
    return fail(Code::BadProgram,
                "vmap: the function gives {}, want numbers, tensors, and lists, tuples or structs of them",
                type_name(v));
  if (const Tensor* t = tensor_of(v)) {
    // A value in parts is not of the graph, its parts are.
    TL_TRY(Tensor whole, ctx.executor().unpack(*t, ctx.span));
    out.push_back(std::move(whole));
  }
  const std::vector<Value>* items = nullptr;
  if (const auto* list = v.get_if<List>()) items = &list->items;
  if (const auto* tuple = v.get_if<Tuple>()) items = &tuple->items;
  if (const auto* s = v.get_if<Struct>()) items = &s->fields;
  for (size_t i = 0; items != nullptr && i < items->size(); ++i)
    TL_TRY_DO(collect(ctx, (*items)[i], out, depth + 1));
  return {};
}

Value rebuild(const Value& v, std::span<const Tensor>& from) {
  const auto all = [&](const std::vector<Value>& items) {
    std::vector<Value> out;
    for (const Value& item : items) out.push_back(rebuild(item, from));
    return out;
  };
  if (tensor_of(v) != nullptr) {
    Value tensor = make_tensor(from.front());
    from = from.subspan(1);
    return tensor;
  }
  if (const auto* list = v.get_if<List>()) return make_list(all(list->items));
  if (const auto* tuple = v.get_if<Tuple>()) return make_tuple(all(tuple->items));
  if (const auto* s = v.get_if<Struct>()) {
    auto* copy = new Struct(s->type);
    Value result(copy);
    copy->fields = all(s->fields);
    return result;
  }
  return v;
}

// What the function is given, and the tensors whose first axis is examples.
struct Examples {
  std::vector<Value> args;
  std::vector<BatchedInput> inputs;
  i64 count = -1;
};

Result<Examples> take_examples(CallContext& ctx, std::span<const Value> args) {
  Examples out;
  for (const Value& arg : args) {
    if (!arg.is(ObjectKind::Tensor) && !arg.is(ObjectKind::List)) {
      out.args.push_back(arg);
      continue;
    }
    auto all = to_tensor(ctx, arg);
    if (!all.ok()) return std::move(all).error().within("vmap");
    if (all->rank() == 0)
      return fail(Code::BadProgram, "vmap: found a single number, want an axis of examples");
    const i64 count = all->shape()[0];
    if (out.count >= 0 && out.count != count)
      return fail(Code::BadProgram, "vmap: found {} and {} examples", out.count, count);
    out.count = count;
    out.inputs.push_back({stand_in(all->type()), *all});
    out.args.push_back(make_tensor(out.inputs.back().example));
  }
  if (out.count < 0)
    return fail(Code::BadProgram, "vmap: found no tensor, want one with an axis of examples");
  return out;
}

Result<Tensor> for_each_example(CallContext& ctx, const BatchedOutput& out, i64 count) {
  if (out.is_batched) return out.tensor;
  Shape shape = out.tensor.shape();
  shape.insert(0, count);
  return ctx.executor().apply(op_broadcast_to, {out.tensor}, Attrs().with_ints({shape.begin(), shape.end()}),
                              ctx.span);
}

Result<Value> native_vmap(CallContext& ctx, std::span<Value> args) {
  TL_TRY(Examples examples, take_examples(ctx, args.subspan(1)));
  Executor& executor = ctx.executor();
  const KeepInputs scope(executor.recorder());  // flushes on the way must not cut the graph
  Value result;
  {
    const Draws draws(executor.recorder());
    TL_TRY(result, ctx.call_pure(args[0], examples.args));
    TL_TRY_DO(draws.none());
  }
  std::vector<Tensor> outputs;
  TL_TRY_DO(collect(ctx, result, outputs));
  const RecordOp record = [&](const OpDef& op, std::span<const Tensor> in, Attrs attrs,
                              Span origin) -> Result<std::vector<Tensor>> {
    if (op.infer_outputs != nullptr) return executor.apply_all(op, in, std::move(attrs), origin);
    TL_TRY(Tensor made, executor.apply(op, in, std::move(attrs), origin));
    return std::vector<Tensor>{std::move(made)};
  };
  TL_TRY(const std::vector<BatchedOutput> batched,
         batch_graph(outputs, examples.inputs, examples.count, record));
  std::vector<Tensor> whole;
  for (const BatchedOutput& out : batched) {
    TL_TRY(Tensor t, for_each_example(ctx, out, examples.count));
    whole.push_back(std::move(t));
  }
  std::span<const Tensor> next = whole;
  return rebuild(result, next);
}

const Builtin kRows[] = {
    {"vmap", "(f: any, xs: any...) -> any",
     "f of every example at once: tensors and lists are split along their first axis, other arguments serve "
     "all.",
     "vmap(|x| sum(x * x), [[1.0, 2.0], [3.0, 4.0]])  //~ [ 5.0000 25.0000] shape=[2] float32", Effect::Io,
     native_vmap},
};

}  // namespace

std::span<const Builtin> vmap_natives() {
  return kRows;
}

}  // namespace tl::lang
