#include "tl/tensor/graph.h"

#include <utility>
#include <vector>

namespace tl {

Tensor::Tensor(Node* node) : node_(node) {
  if (node_ != nullptr) node_->references.fetch_add(1, std::memory_order_relaxed);
}

Tensor::Tensor(const Tensor& other) : Tensor(other.node_) {}

// Frees a chain of nodes without recursion: a long lazy chain must not overflow the stack.
Tensor::~Tensor() {
  if (node_ == nullptr || node_->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  thread_local std::vector<Node*> dead;
  thread_local bool draining = false;
  dead.push_back(node_);
  if (draining) return;
  draining = true;
  while (!dead.empty()) {
    Node* node = dead.back();
    dead.pop_back();
    delete node;
  }
  draining = false;
}

const TensorType& Tensor::type() const {
  return node_->type;
}

Node::~Node() {
  if (recorder != nullptr) recorder->remove(*this);
}

Recorder::~Recorder() {
  while (head_ != nullptr) remove(*head_);
}

void Recorder::remove(Node& node) {
  (node.previous != nullptr ? node.previous->next : head_) = node.next;
  (node.next != nullptr ? node.next->previous : tail_) = node.previous;
  node.previous = node.next = nullptr;
  node.recorder = nullptr;
  --pending_;
}

Result<Tensor> Recorder::record(const OpDef& op, std::span<const Tensor> inputs, Attrs attrs, Span origin) {
  InlineVector<TensorType, kMaxInputs> types;
  TL_CHECK(inputs.size() <= static_cast<size_t>(kMaxInputs), "{} takes {} tensors", op.name, inputs.size());
  for (const Tensor& t : inputs) types.push_back(t.type());
  Result<TensorType> type = op.infer(InferContext(types, attrs));
  if (!type.ok()) return std::move(type).error().within(op.name).at(origin);

  Tensor result(new Node);
  Node& node = *result.node();
  node.op = &op;
  node.type = std::move(type).value();
  node.attrs = std::move(attrs);
  for (const Tensor& t : inputs) node.inputs.push_back(t);
  node.origin = origin;
  node.sequence = ++sequence_;
  node.recorder = this;
  node.previous = tail_;
  (tail_ != nullptr ? tail_->next : head_) = &node;
  tail_ = &node;
  ++pending_;
  return result;
}

static Tensor make_scalar(double value, i64 as_int, DType dtype) {
  Tensor t(new Node);
  t->type = {dtype, {}};
  t->state = NodeState::Submitted;
  t->is_scalar = true;
  t->scalar = value;
  t->scalar_int = as_int;
  return t;
}

Tensor scalar_tensor(double value, DType dtype) {
  return make_scalar(value, static_cast<i64>(value), dtype);
}
Tensor scalar_tensor(i64 value, DType dtype) {
  return make_scalar(static_cast<double>(value), value, dtype);
}

Tensor constant(TensorType type, Value value) {
  Tensor t(new Node);
  t->type = std::move(type);
  t->state = NodeState::Submitted;
  t->value = std::move(value);
  return t;
}

}  // namespace tl
