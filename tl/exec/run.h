// One run of a plan: the sizes, memory and operands of its commands, and what becomes of them.
#pragma once

#include <array>

#include "tl/exec/planner.h"

namespace tl {

// What a run that is kept for another evaluation is told of it: what has changed since the last one.
struct RunChanges {
  std::span<const u8> items;  // 1: the attributes, type or place of an item
  std::span<const u8> dirty;  // 1: the type or place of an item
  std::span<const u8> dirty_leaves;
  std::span<const i32> varying_leaves;  // that are not the same tensor in every run; the others are kept
  std::span<const i32> in_place_items;  // that may write over something
};

class Run {
 public:
  Run(Device& device, CommandStream& stream, Snapshot& snapshot, std::shared_ptr<const Plan> plan);
  ~Run() { let_go_of_slots(); }

  // The next evaluation of the same snapshot and plan. What it was given at first is kept alive by the run:
  // `keep` for leaves that do not vary.
  // `reuse_batches`: what streams give back is as it was handed over.
  void begin_again(const RunChanges& changes, std::shared_ptr<const void> keep, bool reuse_batches);

  // All memory of the run, before anything is submitted: a failure leaves everything as it was, and says in
  // `culprit` which step asked for too much.
  Result<void> allocate(i32& culprit);
  // The commands of one batch, ready to be handed over; `submitted` says which ticket it got.
  std::unique_ptr<Batch> fill(size_t batch);
  void submitted(size_t batch, Ticket ticket);

  // Memory of this run stays until `last` is reached: what has been submitted may be at work in it.
  void note_uses(Ticket last) const;
  // After the last batch: every evaluated node gets its place, and lets go of what it was computed from.
  void settle();
  // The same for nodes that will be evaluated again: they stay as they are.
  void finish_again();
  // Tensors of what `refs` say, after finish_again. What is written where an input lies, and what nobody but
  // this run holds, keeps the input's node: the tensors of a cache are many, and fresh memory for each would
  // cost more than all else.
  void take_outputs(const std::vector<SourceRef>& refs, std::vector<Tensor>& outputs);
  void let_go();  // of the memory of this evaluation; small slots stay for the next one
  // Where the value of item `index` is.
  Placement value_of(i32 index) const;
  const std::shared_ptr<Outcome>& outcome() const { return outcome_; }
  i64 bytes_written(size_t batch) const { return bytes_written_[batch]; }
  u64 skipped() const { return skipped_; }  // steps whose result was kept from before

 private:
  struct StepMemory {
    InlineVector<std::shared_ptr<Buffer>, kMaxOutputs> outputs;  // those that have memory of their own
    Tensor kept;              // a conversion that was made before: the step is skipped
    bool is_to_keep = false;  // its result stays with the leaf it was made of
  };

  // Where an operand's memory is found in every run: what owns it, by number (slots, then leaves, then
  // outputs that are not in slots), and how far in.
  struct OperandSource {
    i32 base = -1;   // -1: a number, in the operand itself
    i64 offset = 0;  // bytes
  };
  // Lists by number, one after the other.
  struct Index {
    std::vector<i32> begin{0}, items;
    void add(std::vector<std::vector<i32>>& lists);
    std::span<const i32> of(size_t i) const { return {items.data() + begin[i], items.data() + begin[i + 1]}; }
  };

  // What a step is told by, the same in every evaluation: its operands in its batch, and its node.
  struct Whereabouts {
    u32 first_operand, last_operand;
    const Node* node;
  };

  const Node& node_of(const Step& step) const;
  const Node& source_node(const StepInput& in) const { return s_.node_of(source_of(in)); }
  static SourceRef source_of(const StepInput& in) {
    return in.from == StepInput::From::Leaf ? ~in.index : in.index;
  }
  const Shape& shape_of(const StepInput& in) const;
  const Shape& output_shape(const Step& step, int k) const;
  i64 output_bytes(const Step& step, int k) const;
  const std::shared_ptr<Buffer>& buffer_of(SourceRef base) const;
  void look_up_kept(size_t index);
  Error memory_error(Error error, const Step& step, int k) const;
  Result<void> allocate_slots(i32& culprit);
  void measure_slots();
  void let_go_of_slots();
  Result<void> allocate_output(size_t index, int k);
  Result<void> commit_in_place(size_t index);
  void add_command(Batch& batch, size_t index, size_t number);
  void set_input(Operand& o, OperandSource& from, const StepInput& in) const;
  void set_output(Operand& o, OperandSource& from, Command& c, const Step& step, size_t index, int k) const;
  void add_accesses(Batch& batch, Command& c, size_t index) const;
  void add_foreign(Batch& batch, Command& c, const Placement& value) const;
  void add_tickets(Batch& batch) const;
  void name_writer(Access& read, const StepInput& in) const;
  void keep_conversions();
  // The place of an item that is written in this run, for a placement that has its memory already.
  void set_value(Placement& p, i32 index) const;
  size_t batch_of(i32 step) const;

  i32 number_of_base(SourceRef base) const;
  i32 number_of_output(i32 step, int k) const;
  const std::shared_ptr<Buffer>& output_buffer(i32 step, int k) const;
  void find_addresses();
  void set_addresses(Batch& batch, size_t index);
  void index_steps(const RunChanges& changes);
  void index_operands(size_t index);
  void find_changed(const RunChanges& changes);
  void find_whereabouts();
  void fetch_step(const Batch& batch, size_t index, i32 step) const;
  void fill_again(Batch& batch, size_t index);
  void set_command(Batch& batch, Command& c, size_t index, OperandSource* sources);
  int which_output(i32 step, i32 node) const;
  void add_all_foreign(Batch& batch, Command& c, size_t index) const;

  Device& device_;
  CommandStream& stream_;
  Snapshot& s_;
  const std::shared_ptr<const Plan> plan_;
  std::shared_ptr<Outcome> outcome_ = std::make_shared<Outcome>();
  std::vector<StepMemory> memory_;                // of every step
  std::vector<std::pair<i32, i32>> own_outputs_;  // step and number of outputs with memory of their own
  std::vector<i32> in_place_;                     // steps that write into memory that is there
  std::vector<i32> may_keep_;                     // steps whose result may be kept
  // Slots up to this many bytes together stay with a run that is kept: to ask for them again and again would
  // cost more than what they are for.
  static constexpr i64 kMostKeptBytes = i64{1} << 20;
  std::vector<i64> slot_bytes_;
  std::vector<i32> largest_;  // step that decides a slot's size
  u64 skipped_ = 0;
  bool has_new_sizes_ = true, reuses_batches_ = false;

  std::vector<std::byte*> addresses_;  // of bases
  std::vector<i32> first_own_;         // of a step's outputs, in own_outputs_; -1: it has none there
  std::vector<i32> number_of_node_;  // of its own memory, in addresses_; -1: it has none, or writes in place

  // Of runs that are kept.
  static constexpr size_t kRecent = 8;
  u64 count_ = 0;                        // of evaluations; 0: not kept
  const RunChanges* changes_ = nullptr;  // null: everything is new
  std::shared_ptr<const void> keep_;
  std::vector<std::shared_ptr<BatchHome>> homes_;    // one a batch
  std::vector<std::vector<OperandSource>> sources_;  // of the operands of each batch
  std::vector<Index> by_base_;                       // operands of each batch, by base
  std::vector<std::vector<i32>> moving_bases_;       // of each batch: those whose address may change
  std::vector<u64> changed_at_;                      // evaluation in which a step last changed
  std::vector<u64> set_at_;                          // evaluation for which a step's command was last set
  std::vector<Whereabouts> whereabouts_;             // of steps
  static constexpr int kFetchedAhead = 3;
  std::array<std::vector<i32>, kRecent> recent_;   // steps that changed in the last evaluations, in order
  Index computes_item_, reads_item_, reads_leaf_;  // steps
  std::vector<i32> varying_leaves_;
  std::vector<size_t> renewed_;     // scratch of take_outputs
  std::vector<i32> reads_varying_;  // steps that read a leaf that varies, or a conversion that may be kept
  std::vector<i32> always_;         // steps that are told a number, or may be kept

  std::vector<std::shared_ptr<Buffer>> slots_;
  std::vector<Ticket> tickets_;
  std::vector<i64> bytes_written_;
};

}  // namespace tl
