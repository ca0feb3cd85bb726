// The lazy graph: calling an op records a node; nothing is computed here. A Tensor is a counted reference to
// a node. Evaluation (tl/exec) fills Node::value and drops the inputs.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "tl/tensor/op.h"

namespace tl {

class Buffer;  // tl/device/buffer.h
class Recorder;
struct Node;

// A tensor value: immutable, any number of readers, cheap to copy.
class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(Node* node);  // takes a reference
  Tensor(const Tensor& other);
  Tensor(Tensor&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
  Tensor& operator=(Tensor other) noexcept {
    std::swap(node_, other.node_);
    return *this;
  }
  ~Tensor();

  explicit operator bool() const { return node_ != nullptr; }
  Node* node() const { return node_; }
  Node* operator->() const { return node_; }
  const TensorType& type() const;
  const Shape& shape() const { return type().shape; }
  DType dtype() const { return type().dtype; }
  int rank() const { return type().rank(); }
  bool operator==(const Tensor&) const = default;  // the same node

 private:
  Node* node_ = nullptr;
};

enum class NodeState : u8 {
  Pending,    // recorded, not yet handed to a stream
  Submitted,  // `value` says where the result is or will be; reading it waits for the buffer's last writer
  Failed,     // `failure` says why; whatever depends on it fails the same way
};

// Where a submitted tensor lives.
struct Value {
  std::shared_ptr<Buffer> buffer;
  Strides strides;
  i64 offset = 0;  // in elements
};

struct Node {
  const OpDef* op = nullptr;  // null: a constant that was made with its value
  TensorType type;
  Attrs attrs;
  InlineVector<Tensor, kMaxInputs> inputs;
  Span origin;       // the program's line
  u64 sequence = 0;  // order of recording; inputs come before their users
  NodeState state = NodeState::Pending;
  bool is_scalar = false;  // a 0-d constant known to the host: `scalar` holds it, no buffer is needed
  double scalar = 0;
  i64 scalar_int = 0;
  Value value;
  std::shared_ptr<const Error> failure;
  i64 appended = 0;  // OpKind::Append: length of axis 0 that is in the buffer already
  u32 mark = 0;      // scratch of whoever walks the graph
  i32 index = -1;    // scratch of whoever walks the graph

  std::atomic<u32> references{0};
  Recorder* recorder = nullptr;  // while pending
  Node *previous = nullptr, *next = nullptr;

  ~Node();
};

// The pending nodes of one thread, oldest first. Nodes nobody holds any more leave by themselves.
class Recorder {
 public:
  Recorder() = default;
  ~Recorder();
  Recorder(const Recorder&) = delete;

  // Infers the type and records one application. Fails if the op refuses the types (the message names both
  // shapes).
  Result<Tensor> record(const OpDef& op, std::span<const Tensor> inputs, Attrs attrs, Span origin);

  i64 pending_count() const { return pending_; }
  Node* first() const { return head_; }
  void remove(Node& node);  // it has been submitted or has failed

  // Seed and position of the next random numbers; drawn when a node is recorded.
  void seed(u64 seed) { seed_ = seed, position_ = 0; }
  u64 seed() const { return seed_; }
  u64 draw() { return position_++; }

 private:
  Node *head_ = nullptr, *tail_ = nullptr;
  i64 pending_ = 0;
  u64 sequence_ = 0;
  u64 seed_ = 0, position_ = 0;
};

// A 0-d constant. It has no buffer: kernels get the number with the command.
Tensor scalar_tensor(double value, DType dtype);
Tensor scalar_tensor(i64 value, DType dtype);
// A tensor over memory that exists already.
Tensor constant(TensorType type, Value value);

}  // namespace tl
