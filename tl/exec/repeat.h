// Steps that repeat until a count is zero: the fixpoints of a logic program, iterative solvers. A round is
// recorded once, as a graph of its own from the state before to the state after and a count; it is planned
// once, and its stream runs it again without the host (Batch::rounds).
#pragma once

#include <optional>
#include <unordered_map>

#include "tl/exec/executor.h"
#include "tl/exec/trace.h"

namespace tl {

// Records a round. What is applied on this thread between begin and finish to `state()`, and to anything
// else, is the round; nothing of it is computed, so looking at a number is refused, as are random draws,
// which would be the same in every round.
class RoundRecorder : public RecordObserver {
 public:
  RoundRecorder(Executor& executor, Span origin);
  ~RoundRecorder() override;

  Result<void> begin(std::span<const Tensor> state);
  // Stand for the state while the round is recorded.
  const std::vector<Tensor>& state() const { return stand_ins_; }
  // The state after, of the types before, and a whole number: how much is still to do. Then Executor::repeat.
  Result<std::unique_ptr<Trace>> finish(std::vector<Tensor> next, Tensor count);

  void recorded(const Node& node) override;
  void made(const Tensor&) override {}
  void materialised(const Tensor&, const Tensor&) override {}
  void looked() override { has_looked_ = true; }

 private:
  Result<void> check_types(std::span<const Tensor> next, const Tensor& count) const;
  bool has_own_memory(const Tensor& t) const;
  Result<void> submit_leaves(std::span<const Tensor> roots);
  SourceRef add(Trace& trace, const Tensor& t);

  Executor& executor_;
  const Span origin_;
  std::vector<Tensor> stand_ins_;
  std::unordered_map<const Node*, Tensor> recorded_;  // of the round
  std::unordered_map<const Node*, SourceRef> refs_;
  bool has_looked_ = false;
  std::string_view random_op_;
  RecordObserver* observer_before_ = nullptr;
  std::optional<KeepInputs> kept_inputs_;
};

// How a round ends: what it has made of the state goes to where the state lies, and then the count is told.
// So the next round finds its state at the same addresses, which is what lets a device repeat what it has
// captured.
class RoundEnd {
 public:
  RoundEnd(Trace& body, size_t states) : body_(body), states_(states) {}

  // Whether all that the round writes over its state is the state after. (Otherwise it must write elsewhere.)
  bool fits() const;
  // What makes its plan another than that of the same steps done once.
  void add_to_key();
  Result<void> allocate(Device& device, StreamId stream, Span origin);
  // Adds its commands to those of `plan`.
  void add_to(Batch& batch, const Run& run, const Plan& plan, Device& device);
  const Order& order() const { return order_; }
  // The state and the count, as they will be.
  std::vector<Tensor> results(Ticket ticket, const std::shared_ptr<Outcome>& outcome) const;

  i64 limit = 1;
  const std::function<bool()>* stop = nullptr;

 private:
  bool is_in_place(size_t i) const;  // the state after lies where the state before did
  const Tensor& leaf(size_t i) const { return body_.snapshot().leaves[i]; }
  void add_copy(Batch& batch, const Placement& from, const TensorType& type,
                const std::shared_ptr<Buffer>& to, Device& device);

  Trace& body_;
  const size_t states_;
  Span origin_;
  std::shared_ptr<Buffer> count_;
  std::vector<std::shared_ptr<Buffer>> state_buffers_;
  std::shared_ptr<std::vector<i32>> all_steps_;
  Order order_;
  i32 seal_ = 0;  // step that tells the count: it fails if anything has
};

}  // namespace tl
