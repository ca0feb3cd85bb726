// A graph that was recorded once and is evaluated again with other inputs, sizes and scalars, without being
// recorded: what is left of a function that has been called before. It keeps its nodes, its snapshot and its
// plan; a replay infers and places only what has changed.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "tl/exec/run.h"

namespace tl {

// How an int that replays may change comes about. Numbers of other ints (`a`, `b`) are of earlier ones.
struct TraceInt {
  enum class Op : u8 {
    Given,  // number `a` of those that the caller gives
    Dim,    // axis `b` of the tensor `a`
    Numel,  // elements of the tensor `a`
    Constant,
    Add,
    Sub,
    Mul,
    Less,
    LessEqual,
    Equal,
  };
  Op op = Op::Constant;
  i32 a = 0, b = 0;
  i64 constant = 0;
};

// One element of a tensor that is made of ints of the program.
struct TraceElement {
  i32 symbol = -1;  // -1: `value`, or `number` where the elements are floats
  i64 value = 0;
  f64 number = 0;
};

// An attribute that is one of the trace's ints, or drawn from the program's generator.
struct TracePatch {
  static constexpr i32 kSeed = -1, kPosition = -2;
  i32 symbol = 0;
  i32 at = 0;  // scalar attribute, or element of the list
  bool in_list = false;
  bool as_float = false;
};

class Trace {
 public:
  // --- Recording: in the order of the program. Tensors are nodes (>= 0) or leaves (~number), as in a
  // snapshot. ---
  SourceRef add_input(const Tensor& first);  // given at each replay, of this element type and rank
  SourceRef add_constant(Tensor tensor);
  SourceRef add_scalar(DType dtype, i32 symbol);
  SourceRef add_literal(TensorType type, std::vector<TraceElement> elements);
  SourceRef add_node(const Node& recorded, std::span<const SourceRef> inputs,
                     std::span<const TracePatch> patches);
  i32 add_int(TraceInt how);  // gives its number
  // What must hold for a replay: int `symbol` is `value`.
  void add_guard(i32 symbol, i64 value, Span where);
  void add_output(SourceRef ref) { outputs_.push_back(ref); }
  void finish();

  size_t nodes() const { return items_.size(); }

  // --- Replaying ---
  enum class Fit : u8 { Fits, Guard, Types };
  // Brings everything up to date with this call's inputs, which it takes; the rows of caches that it will
  // write are claimed.
  using MakeLiteral = std::function<Result<Tensor>(TensorType type, std::span<const std::byte> bytes)>;
  Fit update(Recorder& recorder, std::vector<Tensor>& inputs, std::span<const i64> given,
             const MakeLiteral& make_literal);
  Span failed_guard() const { return failed_guard_; }
  // After update: what an evaluation is about. `key_changed` says whether the plan still fits.
  Snapshot& snapshot() { return snapshot_; }
  bool key_changed() const { return key_changed_; }
  const std::vector<SourceRef>& outputs() const { return outputs_; }
  i64 int_value(i32 symbol) const { return values_[static_cast<size_t>(symbol)]; }
  // After an evaluation that did not come about: the next one makes everything anew.
  void forget();
  // Lets go of this call's inputs.
  void let_go();
  void give_back(std::vector<Tensor>& inputs);

  // What the last update changed, for a run that is kept.
  RunChanges changes() const {
    return {item_changed_, item_dirty_, leaf_dirty_, varying_leaves_, in_place_items_};
  }
  // Keeps alive what every replay reads.
  const std::shared_ptr<const void>& keep() const { return keep_; }

  std::shared_ptr<Plan> plan;
  std::unique_ptr<Run> run;  // of `plan`
  u64 plan_epoch = 0;        // of the executor's plans when it was found

 private:
  struct Leaf {
    enum class Kind : u8 { Input, Constant, Scalar, Literal } kind = Kind::Constant;
    Tensor tensor;  // what it was at the last replay
    TensorType type;
    bool is_scalar = false;
    i32 symbol = -1;
    std::vector<TraceElement> elements;
    View view;  // where it lay at the last replay
  };
  struct Item {
    Tensor node;
    i32 first_patch = 0, patches = 0;  // in patches_
    i32 ints = 0, guards = 0;          // how many come before it
    bool is_volatile = false;          // where it lies depends on who else holds memory
    bool reads_ints = false;           // a scalar or literal of ints
    DType dtype = DType::F32;          // what it was when it was recorded, and must be again
    int rank = 0;
    i32 first_input = 0, inputs = 0;  // in inputs_
    u64 facts = 0;                    // of the plan key
  };
  struct Guard {
    i32 symbol;
    i64 value;
    Span where;
  };

  Fit update_all(Recorder& recorder, std::vector<Tensor>& inputs, std::span<const i64> given);
  bool is_dirty(SourceRef ref) const {
    const auto& dirty = is_leaf(ref) ? leaf_dirty_ : item_dirty_;
    return dirty[static_cast<size_t>(is_leaf(ref) ? ~ref : ref)] != 0;
  }
  bool update_leaf(size_t number, Tensor& tensor);
  void find_lines();
  bool make_leaf(size_t number, std::span<const i64> given);
  bool make_leaves_of(size_t index, std::span<const i64> given);
  bool compute_ints(size_t count, std::span<const i64> given);
  template <typename ShapeOf>
  bool compute_int(size_t number, std::span<const i64> given, const ShapeOf& shape_of);
  bool check_guards(size_t count);
  bool update_item(size_t index, Recorder& recorder);
  enum class Patched : u8 { Same, Changed, Unfit };
  Patched patch(size_t index, Recorder& recorder);
  bool infer(Node& node, const SnapshotItem& item) const;
  void find_unused();
  void find_early();
  Fit check_early(std::span<const Tensor> inputs, std::span<const i64> given);
  static bool fits_leaf(const Leaf& leaf, const Tensor& tensor);

  struct Kept {
    std::shared_ptr<const Plan> plan;
    std::vector<Tensor> constants;
  };

  std::vector<Leaf> leaves_;
  // Of all items; a patch with the value that its attribute has. Apart from the nodes, which are rarely in
  // the processor's caches when a replay begins.
  struct Patch : TracePatch {
    i64 value = 0;
  };
  std::vector<Patch> patches_;
  std::vector<SourceRef> inputs_;
  // What has changed in this replay: what an item computes, its type or place, a leaf's.
  std::vector<u8> item_changed_, item_dirty_, leaf_dirty_;
  std::vector<i32> varying_leaves_, in_place_items_;
  static constexpr int kFetchedAhead = 3;
  std::vector<i32> changed_before_, changed_now_;  // items, in order
  // Where the processor finds what each item of changed_before_ is made anew from: `lines_end_` of them.
  std::vector<const char*> lines_;
  std::vector<u32> lines_end_;
  std::shared_ptr<const void> keep_;
  std::vector<Item> items_;
  std::vector<TraceInt> ints_;
  std::vector<Guard> guards_;
  std::vector<SourceRef> outputs_;
  std::vector<i64> values_;
  // Ints and guards that hang on what is given alone: checked before anything is changed.
  std::vector<i32> early_ints_, early_guards_;
  std::vector<i32> input_leaves_;
  size_t next_int_ = 0, next_guard_ = 0;
  Span failed_guard_;
  Snapshot snapshot_;
  std::unique_ptr<SnapshotPlacer> placer_;
  const MakeLiteral* make_literal_ = nullptr;  // while updating
  std::vector<bool> made_;                     // leaves of ints that are up to date
  bool is_stale_ = true;                       // nothing is known to be up to date
  bool key_changed_ = true;
};

}  // namespace tl
