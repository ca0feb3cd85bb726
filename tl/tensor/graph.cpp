#include "tl/tensor/graph.h"

#include <algorithm>
#include <cmath>
#include <utility>

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

void Tensor::fetch() const {
  const char* const end = reinterpret_cast<const char*>(&node_->op);
  for (const char* at = reinterpret_cast<const char*>(node_); at < end; at += 64) __builtin_prefetch(at, 1);
}

const TensorType& Tensor::type() const {
  return node_->type;
}

static bool same_window(const View& a, const View& b) {
  return a.offset == b.offset && a.shape == b.shape && a.strides == b.strides;
}

Tensor KeptConversions::find(const OpDef* op, const View& view, bool& asked) {
  const std::lock_guard lock(mutex_);
  for (const Entry& e : entries_) {
    if (e.op != op || !same_window(e.view, view)) continue;
    asked = true;
    return e.made;
  }
  constexpr size_t kMost = 64;  // a tensor that is sliced anew in every step must not remember every slice
  if (entries_.size() < kMost) entries_.push_back({op, view, {}, 0});
  return {};
}

static std::atomic<i64> kept_bytes{0};

void KeptConversions::keep(const OpDef* op, const View& view, Tensor made, i64 bytes) {
  const std::lock_guard lock(mutex_);
  for (Entry& e : entries_) {
    if (e.op != op || !same_window(e.view, view) || e.made) continue;
    e.made = std::move(made);
    e.bytes = bytes;
    kept_bytes += bytes;
    return;
  }
}

KeptConversions::~KeptConversions() {
  for (const Entry& e : entries_) kept_bytes -= e.bytes;
}

i64 KeptConversions::total_bytes() {
  return kept_bytes.load(std::memory_order_relaxed);
}

Node::~Node() {
  if (recorder != nullptr) recorder->remove(*this);
  if (watched != nullptr) {
    const std::lock_guard lock(watched->mutex);
    watched->nodes.erase(this);
  }
  if (keeper != nullptr) {
    const std::lock_guard lock(keeper->mutex);
    if (previous != nullptr) previous->next = next;
    if (next != nullptr) next->previous = previous;
    if (keeper->first == this) keeper->first = next;
  }
  delete kept.load(std::memory_order_acquire);
}

void Node::drop_inputs() {
  if (!keeps_inputs()) return inputs.clear();
  TL_DCHECK(recorder == nullptr, "a pending node drops its inputs");
  const std::lock_guard lock(keeper->mutex);
  next = keeper->first;
  if (next != nullptr) next->previous = this;
  keeper->first = this;
}

KeepInputs::KeepInputs(Recorder& recorder) : recorder_(recorder), is_outermost_(!recorder.keeps_inputs()) {
  if (is_outermost_) recorder_.keeper_ = std::make_shared<KeptInputs>();
}

KeepInputs::~KeepInputs() {
  if (!is_outermost_) return;
  const std::shared_ptr<KeptInputs> kept = std::exchange(recorder_.keeper_, nullptr);
  std::vector<InlineVector<Tensor, kMaxInputs>> dropped;  // nodes that die of it ask for the lock
  const std::lock_guard lock(kept->mutex);
  kept->is_over.store(true, std::memory_order_relaxed);
  for (Node* node = kept->first; node != nullptr;) {
    Node* const next = node->next;
    dropped.push_back(std::move(node->inputs));
    node->inputs.clear();
    node->previous = node->next = nullptr;
    node = next;
  }
  kept->first = nullptr;
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

Tensor Recorder::add(const OpDef& op, TensorType type, std::span<const Tensor> inputs, Attrs attrs,
                     Span origin) {
  Tensor result(new Node);
  Node& node = *result.node();
  node.op = &op;
  node.type = std::move(type);
  node.attrs = std::move(attrs);
  for (const Tensor& t : inputs) node.inputs.push_back(t);
  node.origin = origin;
  node.sequence = ++sequence_;
  node.keeper = keeper_;
  node.recorder = this;
  node.previous = tail_;
  (tail_ != nullptr ? tail_->next : head_) = &node;
  tail_ = &node;
  ++pending_;
  if (watched_ != nullptr) watch(result);
  if (observer_ != nullptr && op.infer_outputs == nullptr) observer_->recorded(node);
  return result;
}

void Recorder::watch(const Tensor& made) {
  if (watched_ == nullptr || made->watched != nullptr) return;
  const std::lock_guard lock(watched_->mutex);
  made->watched = watched_;
  watched_->nodes.emplace(made.node(), ++watched_->made);
}

WatchNodes::WatchNodes(Recorder& recorder)
    : recorder_(recorder),
      watched_(std::make_shared<WatchedNodes>()),
      outer_(std::exchange(recorder.watched_, watched_)) {}

WatchNodes::~WatchNodes() {
  recorder_.watched_ = outer_;
}

std::vector<Tensor> WatchNodes::living() const {
  std::vector<std::pair<u64, Tensor>> found;
  {
    const std::lock_guard lock(watched_->mutex);
    for (const auto& [node, at] : watched_->nodes) {
      // One whose last reference is just going, on another thread, waits for the lock with none.
      u32 references = node->references.load();
      while (references > 0 && !node->references.compare_exchange_weak(references, references + 1)) {
      }
      if (references == 0) continue;
      found.emplace_back(at, Tensor(node));
      node->references.fetch_sub(1);
    }
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Tensor> out;
  for (auto& [at, tensor] : found) out.push_back(std::move(tensor));
  return out;
}

static Result<OutputTypes> infer_from(const OpDef& op, std::span<const Tensor> inputs, const Attrs& attrs) {
  InlineVector<TensorType, kMaxInputs> types;
  TL_CHECK(inputs.size() <= static_cast<size_t>(kMaxInputs), "{} takes {} tensors", op.name, inputs.size());
  for (const Tensor& t : inputs) types.push_back(t.type());
  return infer_types(op, types, attrs);
}

Result<Tensor> Recorder::record(const OpDef& op, std::span<const Tensor> inputs, Attrs attrs, Span origin) {
  TL_CHECK(op.infer != nullptr, "{} has several outputs", op.name);
  Result<OutputTypes> types = infer_from(op, inputs, attrs);
  if (!types.ok()) return std::move(types).error().within(op.name).at(origin);
  return add(op, std::move(types.value()[0]), inputs, std::move(attrs), origin);
}

Result<std::vector<Tensor>> Recorder::record_all(const OpDef& op, std::span<const Tensor> inputs, Attrs attrs,
                                                 Span origin) {
  Result<OutputTypes> types = infer_from(op, inputs, attrs);
  if (!types.ok()) return std::move(types).error().within(op.name).at(origin);
  const OutputTypes& all = types.value();
  const Tensor whole = add(op, all[0], inputs, std::move(attrs), origin);
  if (op.infer_outputs == nullptr) return std::vector<Tensor>{whole};
  whole->output_types = std::make_unique<OutputTypes>(all);
  if (observer_ != nullptr) observer_->recorded(*whole.node());
  std::vector<Tensor> outputs;
  for (int i = 0; i < all.size(); ++i) {
    outputs.push_back(add(op_output, all[i], {&whole, 1}, Attrs().with_int(i), origin));
  }
  return outputs;
}

const OpDef op_output = {
    .name = "output",
    .signature = "(x: tensor, which: int) -> tensor",
    .doc = "One of the outputs of an op that has several.",
    .batch = Batching("is taken with the op that has it"),
    .kind = OpKind::Output,
    .is_internal = true,
};

static Tensor make_scalar(double value, i64 as_int, DType dtype) {
  Tensor t(new Node);
  t->type = {dtype, {}};
  t->state = NodeState::Submitted;
  t->is_scalar = true;
  t->scalar = value;
  t->scalar_int = as_int;
  return t;
}

// Floats that no int holds stop at the ends; NaN is 0.
static i64 nearest_int(double value) {
  if (std::abs(value) < 0x1p63) return static_cast<i64>(value);
  return std::isnan(value) ? 0 : value > 0 ? INT64_MAX : INT64_MIN;
}

Tensor scalar_tensor(double value, DType dtype) {
  return make_scalar(value, nearest_int(value), dtype);
}
Tensor scalar_tensor(i64 value, DType dtype) {
  return make_scalar(static_cast<double>(value), value, dtype);
}

Tensor constant(TensorType type, Placement value) {
  Tensor t(new Node);
  t->type = std::move(type);
  t->state = NodeState::Submitted;
  t->value = std::move(value);
  return t;
}

Tensor packed_tensor(TensorType type, const Format& format, std::span<const Tensor> parts) {
  Tensor t = constant(std::move(type), {});
  auto all = std::make_unique<Parts>();
  all->format = &format;
  for (const Tensor& part : parts) all->tensors.push_back(part);
  t->parts = std::move(all);
  return t;
}

KeptConversions& kept_of(Node& node) {
  KeptConversions* kept = node.kept.load(std::memory_order_acquire);
  if (kept != nullptr) return *kept;
  auto made = std::make_unique<KeptConversions>();
  if (node.kept.compare_exchange_strong(kept, made.get(), std::memory_order_acq_rel)) return *made.release();
  return *kept;
}

}  // namespace tl
