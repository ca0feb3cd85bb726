#include "tl/exec/repeat.h"

#include <algorithm>

#include "tl/ops/ops.h"

namespace tl {

// --- recording a round ---

RoundRecorder::RoundRecorder(Executor& executor, Span origin)
    : executor_(executor),
      origin_(origin),
      observer_before_(executor.recorder().set_observer(nullptr)),
      kept_inputs_(std::in_place, executor.recorder()) {}

RoundRecorder::~RoundRecorder() {
  kept_inputs_.reset();
  executor_.recorder().set_observer(observer_before_);
}

Result<void> RoundRecorder::begin(std::span<const Tensor> state) {
  std::vector<Tensor> in_memory(state.begin(), state.end());
  for (Tensor& t : in_memory) {
    if (t->is_scalar) {
      TL_TRY(t, executor_.apply(op_contiguous, {t}, {}, origin_));
    }
  }
  TL_TRY_DO(executor_.submit(in_memory));
  // Others than the state's own: who keeps one keeps the value it had at first.
  for (const Tensor& t : in_memory) stand_ins_.push_back(constant(t.type(), t->value));
  executor_.recorder().set_observer(this);
  return {};
}

void RoundRecorder::recorded(const Node& node) {
  if (node.op->is_random) random_op_ = node.op->name;
  recorded_.emplace(&node, Tensor(const_cast<Node*>(&node)));
}

Result<void> RoundRecorder::check_types(std::span<const Tensor> next, const Tensor& count) const {
  if (has_looked_)
    return fail(Code::BadProgram, "a round waits for a number, which may be another in the next one");
  if (!random_op_.empty())
    return fail(Code::BadProgram, "a round draws random numbers ({}), which would be the same in each",
                random_op_);
  if (next.size() != stand_ins_.size())
    return fail(Code::BadProgram, "a round makes {} tensors of {}", next.size(), stand_ins_.size());
  for (size_t i = 0; i < next.size(); ++i) {
    if (next[i].type() == stand_ins_[i].type()) continue;
    return fail(Code::BadProgram, "a round makes {} of {} (number {} of the state)",
                to_string(next[i].type()), to_string(stand_ins_[i].type()), i);
  }
  const bool counts = count.rank() == 0 && (is_int(count.dtype()) || count.dtype() == DType::Bool);
  if (counts) return {};
  return fail(Code::BadProgram, "the count of a round is {}, want one whole number", to_string(count.type()));
}

// Whether a value is not a look at something that was there before, which may be the state itself.
bool RoundRecorder::has_own_memory(const Tensor& t) const {
  return recorded_.contains(t.node()) && t->op->kind != OpKind::View && t->op->kind != OpKind::Append;
}

// What the round reads and does not make must be on its way.
Result<void> RoundRecorder::submit_leaves(std::span<const Tensor> roots) {
  std::vector<Tensor> pending;
  std::vector<const Node*> stack;
  std::unordered_map<const Node*, bool> seen;
  const auto visit = [&](const Tensor& t) {
    if (!seen.emplace(t.node(), true).second) return;
    if (recorded_.contains(t.node())) {
      stack.push_back(t.node());
    } else {
      pending.push_back(t);
    }
  };
  for (const Tensor& t : roots) visit(t);
  while (!stack.empty()) {
    const Node* node = stack.back();
    stack.pop_back();
    for (const Tensor& in : node->inputs) visit(in);
  }
  return pending.empty() ? Result<void>() : executor_.submit(pending);
}

// In the order of recording, which is an order of evaluation.
SourceRef RoundRecorder::add(Trace& trace, const Tensor& root) {
  std::vector<Tensor> stack{root};
  while (!stack.empty()) {
    const Tensor t = stack.back();
    if (refs_.contains(t.node())) {
      stack.pop_back();
      continue;
    }
    if (!recorded_.contains(t.node())) {
      refs_.emplace(t.node(), trace.add_constant(t));
      continue;
    }
    InlineVector<SourceRef, kMaxInputs> inputs;
    const size_t depth = stack.size();
    for (const Tensor& in : t->inputs) {
      const auto known = refs_.find(in.node());
      if (known == refs_.end()) {
        stack.push_back(in);
      } else {
        inputs.push_back(known->second);
      }
    }
    if (stack.size() == depth) refs_.emplace(t.node(), trace.add_node(*t.node(), inputs, {}));
  }
  return refs_.at(root.node());
}

Result<std::unique_ptr<Trace>> RoundRecorder::finish(std::vector<Tensor> next, Tensor count) {
  TL_TRY_DO(check_types(next, count));
  for (Tensor& t : next) {
    if (!has_own_memory(t)) {
      TL_TRY(t, executor_.apply(op_contiguous, {t}, {}, origin_));
    }
  }
  if (!has_own_memory(count) || count.dtype() != DType::I64) {
    TL_TRY(count, executor_.apply(op_cast, {count}, Attrs().with_dtype(DType::I64), origin_));
  }
  next.push_back(std::move(count));
  executor_.recorder().set_observer(nullptr);
  TL_TRY_DO(submit_leaves(next));
  auto trace = std::make_unique<Trace>();
  for (const Tensor& t : stand_ins_) refs_.emplace(t.node(), trace->add_input(t));
  for (const Tensor& t : next) trace->add_output(add(*trace, t));
  trace->finish();
  recorded_.clear();
  stand_ins_.clear();
  return trace;
}

// --- the end of a round ---

bool RoundEnd::is_in_place(size_t i) const {
  const SourceRef ref = body_.outputs()[i];
  return body_.snapshot().base_of(ref) == ~static_cast<SourceRef>(i);
}

bool RoundEnd::fits() const {
  const Snapshot& s = body_.snapshot();
  for (const SnapshotItem& item : s.items) {
    if (item.unused || !item.in_place || !is_leaf(item.base)) continue;
    const size_t number = static_cast<size_t>(~item.base);
    if (number < states_ && !is_in_place(number)) return false;
  }
  for (size_t i = 0; i <= states_; ++i) {  // what lies in the state's memory and belongs elsewhere
    const SourceRef base = s.base_of(body_.outputs()[i]);
    const bool is_of_state = is_leaf(base) && static_cast<size_t>(~base) < states_;
    if (is_of_state && (i == states_ || !is_in_place(i))) return false;
  }
  return true;
}

void RoundEnd::add_to_key() {
  std::vector<u64>& key = body_.snapshot().key;
  key.push_back(~u64{0});
  for (size_t i = 0; i < states_; ++i) key.push_back(is_in_place(i) ? 1 : 0);
}

Result<void> RoundEnd::allocate(Device& device, StreamId stream, Span origin) {
  origin_ = origin;
  TL_TRY(count_, device.allocate(size_of(DType::I64), stream, {"a count", {DType::I64, {}}, origin}));
  for (size_t i = 0; i < states_; ++i) state_buffers_.push_back(leaf(i)->value.buffer);
  return {};
}

void RoundEnd::add_copy(Batch& batch, const Placement& from, const TensorType& type,
                        const std::shared_ptr<Buffer>& to, Device& device) {
  Operand in, out;
  in.dtype = out.dtype = type.dtype;
  in.dims = out.dims = type.shape;
  in.strides = from.strides;
  out.strides = contiguous_strides(type.shape);
  in.data = from.buffer->data() + row_bytes(type.dtype, from.offset);
  out.data = to->data();
  Command& c = batch.add(op_contiguous, device.kernel(op_contiguous), {&in, 1}, {&out, 1});
  c.producers = *all_steps_;
  c.origin = origin_;
  if (!device.wants_accesses()) return;
  const i64 bytes = row_bytes(type.dtype, numel(type.shape));
  c.accesses = 2;
  batch.accesses.push_back({from.buffer->id(), row_bytes(type.dtype, from.offset), bytes, Access::Mode::Read,
                            from.outcome.get(), from.step});
  batch.accesses.push_back({to->id(), 0, bytes, Access::Mode::Write});
}

void RoundEnd::add_to(Batch& batch, const Run& run, const Plan& plan, Device& device) {
  const i32 steps = static_cast<i32>(batch.commands.size());
  all_steps_ = std::make_shared<std::vector<i32>>();
  for (i32 i = 0; i < steps; ++i) {
    order_.add(plan.orders[0].after(static_cast<size_t>(i)));
    all_steps_->push_back(i);
  }
  all_steps_->reserve(static_cast<size_t>(steps) + states_);  // commands point into it
  // From the second round on the state is what the last one made of it.
  for (Access& a : batch.accesses) {
    const auto is_it = [&](const auto& buffer) { return buffer->id() == a.buffer; };
    if (a.run != run.outcome().get() && std::any_of(state_buffers_.begin(), state_buffers_.end(), is_it))
      a.run = nullptr, a.step = -1;
  }
  const std::vector<SourceRef>& next = body_.outputs();
  for (size_t i = 0; i < states_; ++i) {
    if (is_in_place(i)) continue;
    order_.add(*all_steps_);
    add_copy(batch, run.value_of(next[i]), body_.snapshot().node_of(next[i]).type, state_buffers_[i], device);
  }
  for (i32 i = steps; i < static_cast<i32>(batch.commands.size()); ++i) all_steps_->push_back(i);
  order_.add(*all_steps_);
  seal_ = static_cast<i32>(batch.commands.size());
  add_copy(batch, run.value_of(next[states_]), {DType::I64, {}}, count_, device);
  batch.rounds = {reinterpret_cast<const i64*>(count_->data()), limit, stop, seal_};
  struct Kept {
    std::shared_ptr<const void> before;
    std::shared_ptr<const std::vector<i32>> steps;
  };
  batch.keep = std::make_shared<Kept>(Kept{batch.keep, all_steps_});
}

std::vector<Tensor> RoundEnd::results(Ticket ticket, const std::shared_ptr<Outcome>& outcome) const {
  std::vector<Tensor> all;
  const auto add = [&](const TensorType& type, const std::shared_ptr<Buffer>& buffer) {
    buffer->note_use(ticket);
    Placement p{buffer, contiguous_strides(type.shape), 0};
    p.stream = static_cast<u32>(ticket.stream), p.ready = ticket.value, p.step = seal_, p.outcome = outcome;
    all.push_back(constant(type, std::move(p)));
  };
  for (size_t i = 0; i < states_; ++i)
    add(body_.snapshot().node_of(body_.outputs()[i]).type, state_buffers_[i]);
  add({DType::I64, {}}, count_);
  return all;
}

}  // namespace tl
