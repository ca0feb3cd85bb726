// The lazy graph: calling an op records a node; nothing is computed here. A Tensor is a counted reference to
// a node. Evaluation (tl/exec) fills Node::value and drops the inputs.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "tl/base/failure.h"
#include "tl/base/philox.h"
#include "tl/tensor/op.h"

namespace tl {

class Buffer;   // tl/device/buffer.h
class Outcome;  // tl/device/outcome.h
class Recorder;
struct KeptInputs;
struct Node;
struct WatchedNodes;

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
  // Lets the processor bring what says where the value is, for who will ask soon.
  void fetch() const;

 private:
  Node* node_ = nullptr;
};

enum class NodeState : u8 {
  Pending,    // recorded, not yet handed to a stream
  Submitted,  // `value` says where the result is or will be
  Failed,     // it could not be handed over: `failure` says why; whatever depends on it fails the same way
};

// Where a submitted tensor lives, when it is there, and where it is written if computing it has failed.
struct Placement {
  std::shared_ptr<Buffer> buffer;
  Strides strides;
  i64 offset = 0;  // in elements
  u32 stream = 0;  // the ticket (tl/device/ticket.h) of the batch that computes it; value 0: it is there
  u64 ready = 0;
  i32 step = 0;
  std::shared_ptr<const Outcome> outcome = {};  // of its run; null: it cannot fail
};

// What was made of a tensor once and stays with it: weights in the layout or format that a kernel wants.
class KeptConversions {
 public:
  // The conversion of the window `view` by `op`; null if there is none. `asked` becomes true if it was asked
  // for before.
  Tensor find(const OpDef* op, const View& view, bool& asked);
  void keep(const OpDef* op, const View& view, Tensor made, i64 bytes);
  ~KeptConversions();
  static i64 total_bytes();  // of all tensors

 private:
  struct Entry {
    const OpDef* op;
    View view;
    Tensor made;
    i64 bytes = 0;
  };
  std::mutex mutex_;
  std::vector<Entry> entries_;
};

struct Format;  // tl/tensor/format.h

// A value that owns several buffers: each is a tensor of its own, and the value only names them.
struct Parts {
  const Format* format = nullptr;
  InlineVector<Tensor, kMaxOutputs> tensors;
};

// What a replay reads of thousands of values lies together, in front.
struct Node {
  std::atomic<u32> references{0};
  NodeState state = NodeState::Pending;
  bool is_scalar = false;  // a 0-d constant known to the host: `scalar` holds it, no buffer is needed
  i32 index = -1;          // scratch of whoever walks pending nodes
  u32 mark = 0;            // scratch of whoever walks pending nodes
  TensorType type;         // of the first output, where the op has several
  Placement value;
  std::atomic<KeptConversions*> kept{nullptr};

  const OpDef* op = nullptr;  // null: a constant that was made with its value
  Attrs attrs;
  InlineVector<Tensor, kMaxInputs> inputs;
  std::unique_ptr<OutputTypes> output_types;  // of an op with several outputs
  std::unique_ptr<const Parts> parts;         // of a value that owns several buffers: it has no other memory
  Span origin;                                // the program's line
  u64 sequence = 0;                           // order of recording; inputs come before their users
  double scalar = 0;
  i64 scalar_int = 0;
  FailurePtr failure;
  std::shared_ptr<KeptInputs> keeper;         // of the scope it was recorded in (KeepInputs); null: none
  std::shared_ptr<WatchedNodes> watched;      // of the innermost WatchNodes it was made in; null: none
  Recorder* recorder = nullptr;               // while pending
  Node *previous = nullptr, *next = nullptr;  // of the recorder's list, later of the keeper's

  // After evaluation too: a gradient may ask for them.
  bool keeps_inputs() const;
  // It has been evaluated, or cannot be: the inputs go, unless they are kept.
  void drop_inputs();

  ~Node();
};

// The living nodes of one WatchNodes scope, in the order they were made. Nodes may die on any thread.
struct WatchedNodes {
  std::mutex mutex;
  u64 made = 0;
  std::unordered_map<Node*, u64> nodes;
};

// The evaluated nodes of one KeepInputs scope. Nodes may die on any thread.
struct KeptInputs {
  std::mutex mutex;
  std::atomic<bool> is_over{false};
  Node* first = nullptr;
};
inline bool Node::keeps_inputs() const {
  return keeper != nullptr && !keeper->is_over.load(std::memory_order_relaxed);
}

// Is told what a thread does with its tensors, while a function is traced (tl/interp/tracer.h).
class RecordObserver {
 public:
  virtual ~RecordObserver() = default;
  virtual void recorded(const Node& node) = 0;
  virtual void made(const Tensor& constant) = 0;  // of numbers that the host knows
  virtual void materialised(const Tensor& scalar, const Tensor& in_memory) = 0;
  virtual void looked() = 0;  // somebody waits for numbers, or asks for memory to write
};

// The pending nodes of one thread, oldest first. Nodes nobody holds any more leave by themselves.
class Recorder {
 public:
  Recorder() = default;
  ~Recorder();
  Recorder(const Recorder&) = delete;

  // Infers the type and records one application. Fails if the op refuses the types (the message names both
  // shapes), or the result could not be addressed.
  Result<Tensor> record(const OpDef& op, std::span<const Tensor> inputs, Attrs attrs, Span origin);
  // The same for an op with several outputs: a tensor for each.
  Result<std::vector<Tensor>> record_all(const OpDef& op, std::span<const Tensor> inputs, Attrs attrs,
                                         Span origin);

  i64 pending_count() const { return pending_; }
  Node* first() const { return head_; }
  void remove(Node& node);  // it has been submitted or has failed

  bool keeps_inputs() const { return keeper_ != nullptr; }  // inside a KeepInputs scope
  // Inside a WatchNodes scope, what a replay has made is as what is recorded.
  void watch(const Tensor& made);

  // Gives who was there before.
  RecordObserver* set_observer(RecordObserver* observer) { return std::exchange(observer_, observer); }
  RecordObserver* observer() const { return observer_; }

  // The generator of random numbers: a seed and a position, drawn when a node is recorded.
  struct Generator {
    u64 seed = 0, position = 0, substreams = 0;

    u64 draw() { return position++; }
    // The seed of a stream of its own: a function of this one's seed and how many were asked for before.
    u64 substream() { return philox_substream(seed, substreams++); }
    bool operator==(const Generator&) const = default;
  };
  Generator& generator() { return generator_; }
  void set_generator(Generator g) { generator_ = g; }
  void seed(u64 seed) { generator_ = {seed, 0, 0}; }
  u64 seed() const { return generator_.seed; }
  u64 draw() { return generator_.draw(); }
  u64 substream() { return generator_.substream(); }

 private:
  friend class KeepInputs;
  friend class WatchNodes;
  Tensor add(const OpDef& op, TensorType type, std::span<const Tensor> inputs, Attrs attrs, Span origin);

  Node *head_ = nullptr, *tail_ = nullptr;
  i64 pending_ = 0;
  u64 sequence_ = 0;
  std::shared_ptr<KeptInputs> keeper_;
  std::shared_ptr<WatchedNodes> watched_;
  RecordObserver* observer_ = nullptr;
  Generator generator_;
};

// While one lives, what its recorder records can be asked for its inputs, whatever happens to it: submitted
// by a wait, a flush or a bound on what is pending, or failed. A node holds its inputs for as long as
// somebody holds the node and the scope lives; the scope holds no node. Nothing is replayed inside (a replay
// records no nodes). A scope in another one adds nothing: what is recorded there is kept until the outer one
// ends. It lives and ends on its recorder's thread.
class KeepInputs {
 public:
  explicit KeepInputs(Recorder& recorder);
  ~KeepInputs();
  KeepInputs(const KeepInputs&) = delete;

 private:
  Recorder& recorder_;
  bool is_outermost_;
};

// While one lives, it knows what its recorder records and what is replayed, without holding any of it: who
// has to know whether all of that succeeded asks for what is still held by somebody. Scopes in each other end
// in turn, and each knows what was made while it was the innermost.
class WatchNodes {
 public:
  explicit WatchNodes(Recorder& recorder);
  ~WatchNodes();
  WatchNodes(const WatchNodes&) = delete;
  // What somebody holds now, oldest first.
  std::vector<Tensor> living() const;

 private:
  Recorder& recorder_;
  std::shared_ptr<WatchedNodes> watched_, outer_;
};

// The pick of one output of an op with several. Its attribute: which.
extern const OpDef op_output;

// A 0-d constant. It has no buffer: kernels get the number with the command.
Tensor scalar_tensor(double value, DType dtype);
Tensor scalar_tensor(i64 value, DType dtype);
// A tensor over memory that exists already.
Tensor constant(TensorType type, Placement value);
// A value of `type` that lies in parts.
Tensor packed_tensor(TensorType type, const Format& format, std::span<const Tensor> parts);
// The kept conversions of a tensor; made where there are none. Any thread.
KeptConversions& kept_of(Node& node);

}  // namespace tl
