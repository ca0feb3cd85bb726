#include "tl/exec/trace.h"

#include <algorithm>
#include <array>
#include <bit>

#include "tl/device/kernel.h"

namespace tl {

// --- recording ---

SourceRef Trace::add_input(const Tensor& first) {
  leaves_.push_back({.kind = Leaf::Kind::Input, .type = first.type(), .is_scalar = first->is_scalar});
  return ~static_cast<SourceRef>(leaves_.size() - 1);
}

SourceRef Trace::add_constant(Tensor tensor) {
  leaves_.push_back({.kind = Leaf::Kind::Constant,
                     .tensor = tensor,
                     .type = tensor.type(),
                     .is_scalar = tensor->is_scalar});
  return ~static_cast<SourceRef>(leaves_.size() - 1);
}

SourceRef Trace::add_scalar(DType dtype, i32 symbol) {
  leaves_.push_back({.kind = Leaf::Kind::Scalar, .type = {dtype, {}}, .is_scalar = true, .symbol = symbol});
  return ~static_cast<SourceRef>(leaves_.size() - 1);
}

SourceRef Trace::add_literal(TensorType type, std::vector<TraceElement> elements) {
  leaves_.push_back({.kind = Leaf::Kind::Literal, .type = std::move(type), .elements = std::move(elements)});
  return ~static_cast<SourceRef>(leaves_.size() - 1);
}

SourceRef Trace::add_node(const Node& recorded, std::span<const SourceRef> inputs,
                          std::span<const TracePatch> patches) {
  Item item;
  item.node = Tensor(new Node);
  Node& node = *item.node.node();
  node.op = recorded.op;
  node.type = recorded.type;
  node.attrs = recorded.attrs;
  node.origin = recorded.origin;
  node.sequence = recorded.sequence;
  if (recorded.output_types != nullptr)
    node.output_types = std::make_unique<OutputTypes>(*recorded.output_types);
  item.first_patch = static_cast<i32>(patches_.size());
  item.patches = static_cast<i32>(patches.size());
  for (const TracePatch& p : patches) {
    i64 value = 0;
    if (p.symbol >= 0)
      value = p.in_list ? node.attrs.ints()[static_cast<size_t>(p.at)] : node.attrs.int_at(p.at);
    patches_.push_back({p, value});
  }
  item.ints = static_cast<i32>(ints_.size());
  item.guards = static_cast<i32>(guards_.size());
  item.dtype = node.type.dtype, item.rank = node.type.rank();
  item.is_volatile = node.op->kind == OpKind::Append || node.op->donates;
  SnapshotItem& place = snapshot_.items.emplace_back();
  place.node = &node;
  item.first_input = static_cast<i32>(inputs_.size());
  item.inputs = static_cast<i32>(inputs.size());
  for (const SourceRef in : inputs) {
    place.inputs.push_back(in);
    inputs_.push_back(in);
    if (!is_leaf(in)) continue;
    const Leaf::Kind kind = leaves_[static_cast<size_t>(~in)].kind;
    item.reads_ints = item.reads_ints || kind == Leaf::Kind::Scalar || kind == Leaf::Kind::Literal;
  }
  if (item.is_volatile) in_place_items_.push_back(static_cast<i32>(items_.size()));
  items_.push_back(std::move(item));
  return static_cast<SourceRef>(items_.size() - 1);
}

i32 Trace::add_int(TraceInt how) {
  ints_.push_back(how);
  return static_cast<i32>(ints_.size() - 1);
}

void Trace::add_guard(i32 symbol, i64 value, Span where) {
  guards_.push_back({symbol, value, where});
}

// What nobody reads is not computed when it is interpreted either, and then cannot fail.
void Trace::find_unused() {
  for (SnapshotItem& item : snapshot_.items) item.unused = true;
  std::vector<SourceRef> needed(outputs_);
  while (!needed.empty()) {
    const SourceRef ref = needed.back();
    needed.pop_back();
    if (is_leaf(ref) || !snapshot_.items[static_cast<size_t>(ref)].unused) continue;
    SnapshotItem& item = snapshot_.items[static_cast<size_t>(ref)];
    item.unused = false;
    needed.insert(needed.end(), item.inputs.begin(), item.inputs.end());
  }
  std::erase_if(in_place_items_, [&](i32 item) { return snapshot_.items[static_cast<size_t>(item)].unused; });
  for (size_t i = 0; i < items_.size(); ++i)
    items_[i].is_volatile = items_[i].is_volatile && !snapshot_.items[i].unused;
}

void Trace::find_early() {
  std::vector<bool> is_early;
  for (size_t i = 0; i < leaves_.size(); ++i) {
    if (leaves_[i].kind == Leaf::Kind::Input) input_leaves_.push_back(static_cast<i32>(i));
  }
  for (size_t i = 0; i < ints_.size(); ++i) {
    const TraceInt& how = ints_[i];
    bool early = true;
    if (how.op == TraceInt::Op::Dim || how.op == TraceInt::Op::Numel) {
      early = is_leaf(how.a) && leaves_[static_cast<size_t>(~how.a)].kind == Leaf::Kind::Input;
    } else if (how.op != TraceInt::Op::Given && how.op != TraceInt::Op::Constant) {
      early = is_early[static_cast<size_t>(how.a)] && is_early[static_cast<size_t>(how.b)];
    }
    is_early.push_back(early);
    if (early) early_ints_.push_back(static_cast<i32>(i));
  }
  for (size_t i = 0; i < guards_.size(); ++i) {
    if (is_early[static_cast<size_t>(guards_[i].symbol)]) early_guards_.push_back(static_cast<i32>(i));
  }
}

void Trace::finish() {
  find_unused();
  find_early();
  for (const SourceRef ref : outputs_) {
    if (!is_leaf(ref)) snapshot_.items[static_cast<size_t>(ref)].external = true;
  }
  snapshot_.leaves.resize(leaves_.size());
  for (size_t i = 0; i < leaves_.size(); ++i) {
    Leaf& leaf = leaves_[i];
    if (leaf.kind == Leaf::Kind::Constant) snapshot_.leaves[i] = leaf.tensor;
    if (leaf.kind == Leaf::Kind::Scalar) snapshot_.leaves[i] = scalar_tensor(i64{0}, leaf.type.dtype);
  }
  auto kept = std::make_shared<Kept>();
  for (size_t i = 0; i < leaves_.size(); ++i) {
    const Leaf& leaf = leaves_[i];
    const bool is_constant = leaf.kind == Leaf::Kind::Constant && leaf.tensor->value.outcome == nullptr;
    if (is_constant) kept->constants.push_back(leaf.tensor);
    if (!is_constant) varying_leaves_.push_back(static_cast<i32>(i));
  }
  keep_ = std::move(kept);
  item_changed_.resize(items_.size());
  item_dirty_.resize(items_.size());
  leaf_dirty_.resize(leaves_.size());
  values_.resize(ints_.size());
  placer_ = std::make_unique<SnapshotPlacer>(snapshot_);
}

// --- replaying ---

Trace::Fit Trace::update(Recorder& recorder, std::vector<Tensor>& inputs, std::span<const i64> given,
                         const MakeLiteral& make_literal) {
  if (const Fit fit = check_early(inputs, given); fit != Fit::Fits) return fit;
  next_int_ = next_guard_ = 0;
  key_changed_ = plan == nullptr || is_stale_;
  make_literal_ = &make_literal;
  made_.assign(leaves_.size(), false);
  snapshot_.granted.clear();
  const Fit fit = update_all(recorder, inputs, given);
  if (fit == Fit::Fits && key_changed_) placer_->make_key();
  is_stale_ = fit != Fit::Fits;  // what was updated so far is of this call, the rest is not
  return fit;
}

// Most calls that do not fit are known by their arguments: they leave the trace as it is.
Trace::Fit Trace::check_early(std::span<const Tensor> inputs, std::span<const i64> given) {
  for (size_t k = 0; k < inputs.size(); ++k) {
    if (!fits_leaf(leaves_[static_cast<size_t>(input_leaves_[k])], inputs[k])) return Fit::Types;
  }
  if (early_guards_.empty()) return Fit::Fits;
  const auto shape_of = [&](i32 ref) -> const Shape& {
    const auto at = std::lower_bound(input_leaves_.begin(), input_leaves_.end(), ~ref);
    return inputs[static_cast<size_t>(at - input_leaves_.begin())].shape();
  };
  for (const i32 i : early_ints_) {
    if (!compute_int(static_cast<size_t>(i), given, shape_of)) return Fit::Types;
  }
  for (const i32 i : early_guards_) {
    const Guard& guard = guards_[static_cast<size_t>(i)];
    if (values_[static_cast<size_t>(guard.symbol)] == guard.value) continue;
    failed_guard_ = guard.where;
    return Fit::Guard;
  }
  return Fit::Fits;
}

bool Trace::fits_leaf(const Leaf& leaf, const Tensor& tensor) {
  return tensor->type.dtype == leaf.type.dtype && tensor->type.rank() == leaf.type.rank() &&
         tensor->is_scalar == leaf.is_scalar;
}

Trace::Fit Trace::update_all(Recorder& recorder, std::vector<Tensor>& inputs, std::span<const i64> given) {
  std::fill(leaf_dirty_.begin(), leaf_dirty_.end(), is_stale_);
  size_t next_input = 0;
  for (const i32 i : varying_leaves_) {
    if (leaves_[static_cast<size_t>(i)].kind != Leaf::Kind::Input) continue;
    if (!update_leaf(static_cast<size_t>(i), inputs[next_input++])) return Fit::Types;
  }
  // What changed in the last replay most likely changes in this one: the processor may bring it while it is
  // at work on what comes before. Since then the device has driven it out of every cache.
  size_t ahead = 0, line = 0;
  const auto fetch_ahead = [&] {
    if (ahead >= lines_end_.size()) return;
    for (const size_t end = lines_end_[ahead++]; line < end; ++line) __builtin_prefetch(lines_[line], 1);
  };
  for (int k = 0; k < kFetchedAhead; ++k) fetch_ahead();
  changed_now_.clear();
  for (size_t i = 0; i < items_.size(); ++i) {
    const Item& item = items_[i];
    if (item.reads_ints && !make_leaves_of(i, given)) return Fit::Types;
    if (!compute_ints(static_cast<size_t>(item.ints), given)) return Fit::Types;
    if (!check_guards(static_cast<size_t>(item.guards))) return Fit::Guard;
    if (!update_item(i, recorder)) return Fit::Types;
    if (item_changed_[i] == 0) continue;
    changed_now_.push_back(static_cast<i32>(i));
    fetch_ahead();
  }
  const bool is_like_before = changed_now_ == changed_before_;
  changed_now_.swap(changed_before_);
  if (!is_like_before) find_lines();
  for (const i32 i : varying_leaves_) {  // literals that no item reads
    const size_t number = static_cast<size_t>(i);
    if (leaves_[number].kind == Leaf::Kind::Literal && !made_[number] && !make_leaf(number, given))
      return Fit::Types;
  }
  if (!compute_ints(ints_.size(), given)) return Fit::Types;
  return check_guards(guards_.size()) ? Fit::Fits : Fit::Guard;
}

// The memory that update_item needs for each item that changed. Addresses may be stale by the next replay:
// they are only ever fetched.
void Trace::find_lines() {
  lines_.clear();
  lines_end_.clear();
  const auto add = [&](const void* from, const void* end) {
    for (const char* at = static_cast<const char*>(from); at < end; at += 64) lines_.push_back(at);
  };
  for (const i32 index : changed_before_) {
    const SnapshotItem& item = snapshot_.items[static_cast<size_t>(index)];
    add(&item, &item + 1);
    add(item.node, &item.node->inputs);
    for (const SourceRef ref : item.inputs) {
      const Node& input = snapshot_.node_of(ref);
      add(&input, &input.value);
      if (!is_leaf(ref)) {
        const SnapshotItem& place = snapshot_.items[static_cast<size_t>(ref)];
        add(&place.base, &place.compliant);
      } else if (input.value.buffer != nullptr && input.value.buffer->is_reserved) {
        add(input.value.buffer.get(), input.value.buffer.get() + 1);
      }
    }
    lines_end_.push_back(static_cast<u32>(lines_.size()));
  }
}

// Takes the tensor if it fits.
bool Trace::update_leaf(size_t number, Tensor& tensor) {
  Leaf& leaf = leaves_[number];
  const Node& node = *tensor.node();
  if (!fits_leaf(leaf, tensor)) return false;
  if (!leaf.is_scalar) {
    const bool is_same = leaf.view.offset == node.value.offset && leaf.view.shape == node.type.shape &&
                         leaf.view.strides == node.value.strides;
    if (!is_same) leaf.view = {node.type.shape, node.value.strides, node.value.offset};
    if (!is_same) leaf_dirty_[number] = 1;
  }
  snapshot_.leaves[number] = std::move(tensor);
  return true;
}

// Ints that do not fit the type they become are the interpreter's to report.
static bool fits(DType dtype, i64 value) {
  return is_float(dtype) || holds(dtype, value);
}

// A scalar or literal of ints that come before any node that reads it.
bool Trace::make_leaf(size_t number, std::span<const i64> given) {
  Leaf& leaf = leaves_[number];
  if (leaf.kind == Leaf::Kind::Scalar) {
    if (!compute_ints(static_cast<size_t>(leaf.symbol) + 1, given)) return false;
    const i64 value = values_[static_cast<size_t>(leaf.symbol)];
    if (!fits(leaf.type.dtype, value)) return false;
    snapshot_.leaves[number]->scalar = static_cast<double>(value);
    snapshot_.leaves[number]->scalar_int = value;
    return true;
  }
  const DType dtype = leaf.type.dtype;
  std::vector<std::byte> bytes(leaf.elements.size() * static_cast<size_t>(size_of(dtype)));
  for (size_t k = 0; k < leaf.elements.size(); ++k) {
    const TraceElement& e = leaf.elements[k];
    if (e.symbol >= 0 && !compute_ints(static_cast<size_t>(e.symbol) + 1, given)) return false;
    const i64 value = e.symbol >= 0 ? values_[static_cast<size_t>(e.symbol)] : e.value;
    if (e.symbol >= 0 && !fits(dtype, value)) return false;
    if (is_float(dtype)) {
      store_from_double(dtype, bytes.data(), static_cast<i64>(k),
                        e.symbol >= 0 ? static_cast<double>(value) : e.number);
    } else {
      store_from_int(dtype, bytes.data(), static_cast<i64>(k), value);
    }
  }
  Result<Tensor> made = (*make_literal_)(leaf.type, bytes);
  return made.ok() && update_leaf(number, *made);
}

bool Trace::make_leaves_of(size_t index, std::span<const i64> given) {
  for (const SourceRef in : snapshot_.items[index].inputs) {
    if (!is_leaf(in)) continue;
    const size_t number = static_cast<size_t>(~in);
    const Leaf::Kind kind = leaves_[number].kind;
    if ((kind != Leaf::Kind::Scalar && kind != Leaf::Kind::Literal) || made_[number]) continue;
    made_[number] = true;
    if (!make_leaf(number, given)) return false;
  }
  return true;
}

// False where it overflows, which is the interpreter's to report.
template <typename ShapeOf>
bool Trace::compute_int(size_t number, std::span<const i64> given, const ShapeOf& shape_of) {
  const TraceInt& how = ints_[number];
  const auto value_of = [&](i32 n) { return values_[static_cast<size_t>(n)]; };
  i64& out = values_[number];
  switch (how.op) {
    case TraceInt::Op::Given:
      out = given[static_cast<size_t>(how.a)];
      return true;
    case TraceInt::Op::Dim:
      out = shape_of(how.a)[how.b];
      return true;
    case TraceInt::Op::Numel:
      out = numel(shape_of(how.a));
      return true;
    case TraceInt::Op::Constant:
      out = how.constant;
      return true;
    case TraceInt::Op::Add:
      return !__builtin_add_overflow(value_of(how.a), value_of(how.b), &out);
    case TraceInt::Op::Sub:
      return !__builtin_sub_overflow(value_of(how.a), value_of(how.b), &out);
    case TraceInt::Op::Mul:
      return !__builtin_mul_overflow(value_of(how.a), value_of(how.b), &out);
    case TraceInt::Op::Less:
      out = value_of(how.a) < value_of(how.b);
      return true;
    case TraceInt::Op::LessEqual:
      out = value_of(how.a) <= value_of(how.b);
      return true;
    case TraceInt::Op::Equal:
      out = value_of(how.a) == value_of(how.b);
      return true;
  }
  return false;
}

bool Trace::compute_ints(size_t count, std::span<const i64> given) {
  const auto shape_of = [&](i32 ref) -> const Shape& { return snapshot_.node_of(ref).type.shape; };
  for (; next_int_ < count; ++next_int_) {
    const TraceInt& how = ints_[next_int_];
    const bool is_size = how.op == TraceInt::Op::Dim || how.op == TraceInt::Op::Numel;
    if (is_size && !is_dirty(how.a)) continue;  // it is what it was
    if (!compute_int(next_int_, given, shape_of)) return false;
  }
  return true;
}

bool Trace::check_guards(size_t count) {
  for (; next_guard_ < count; ++next_guard_) {
    const Guard& guard = guards_[next_guard_];
    if (values_[static_cast<size_t>(guard.symbol)] == guard.value) continue;
    failed_guard_ = guard.where;
    return false;
  }
  return true;
}

// An int that becomes a float attribute must be one exactly.
static bool is_exact(i64 value) {
  const f64 near = static_cast<f64>(value);
  return near < 0x1p63 && static_cast<i64>(near) == value;
}

// Attributes that are ints of the trace: whether one has changed that a shape may hang on.
Trace::Patched Trace::patch(size_t index, Recorder& recorder) {
  const Item& item = items_[index];
  Patched result = Patched::Same;
  for (i32 k = item.first_patch; k < item.first_patch + item.patches; ++k) {
    Patch& p = patches_[static_cast<size_t>(k)];
    if (p.symbol < 0) {
      const u64 drawn = p.symbol == TracePatch::kSeed ? recorder.seed() : recorder.draw();
      item.node->attrs.set_int(p.at, static_cast<i64>(drawn));
      item_changed_[index] = 1;
      continue;
    }
    i64 value = values_[static_cast<size_t>(p.symbol)];
    if (p.as_float && !is_exact(value)) return Patched::Unfit;
    if (p.as_float) value = std::bit_cast<i64>(static_cast<f64>(value));
    if (p.value == value) continue;
    p.value = value;
    result = Patched::Changed;
    p.in_list ? item.node->attrs.set_item(p.at, value) : item.node->attrs.set_int(p.at, value);
  }
  return result;
}

bool Trace::infer(Node& node, const SnapshotItem& item) const {
  if (node.op->kind == OpKind::Output) {
    node.type = (*snapshot_.node_of(item.inputs[0]).output_types)[static_cast<int>(node.attrs.int_at(0))];
    return true;
  }
  std::array<const TensorType*, kMaxInputs> types;
  for (int k = 0; k < item.inputs.size(); ++k)
    types[static_cast<size_t>(k)] = &snapshot_.node_of(item.inputs[k]).type;
  const InferContext context(std::span(types.data(), static_cast<size_t>(item.inputs.size())), node.attrs);
  if (node.op->infer_outputs != nullptr) {
    Result<OutputTypes> all = node.op->infer_outputs(context);
    if (!all.ok()) return false;
    *node.output_types = std::move(all).value();
    node.type = (*node.output_types)[0];
    return true;
  }
  Result<TensorType> type = node.op->infer(context);
  if (!type.ok()) return false;
  node.type = std::move(type).value();
  return true;
}

bool Trace::update_item(size_t index, Recorder& recorder) {
  Item& item = items_[index];
  bool is_dirty = is_stale_;
  for (i32 k = item.first_input; k < item.first_input + item.inputs; ++k)
    is_dirty = is_dirty || this->is_dirty(inputs_[static_cast<size_t>(k)]);
  item_changed_[index] = item_dirty_[index] = 0;
  if (item.patches > 0) {
    const Patched patched = patch(index, recorder);
    if (patched == Patched::Unfit) return false;
    is_dirty = is_dirty || patched == Patched::Changed;
  }
  if (!is_dirty && !item.is_volatile) return true;
  Node& node = *item.node.node();
  item_changed_[index] = 1;
  SnapshotItem& place = snapshot_.items[index];
  if (is_dirty && !infer(node, place)) return false;
  if (node.type.dtype != item.dtype || node.type.rank() != item.rank) return false;
  if (place.unused) {
    item_dirty_[index] = 1;
    return true;
  }
  const View before = place.view;
  const SourceRef base_before = place.base;
  placer_->place(static_cast<SourceRef>(index));
  const u64 facts = placer_->facts(static_cast<SourceRef>(index));
  key_changed_ = key_changed_ || facts != item.facts;
  item.facts = facts;
  // A value that lies as before hides what changed in front of it.
  item_dirty_[index] = is_stale_ || place.base != base_before || place.view.offset != before.offset ||
                       place.view.shape != before.shape || place.view.strides != before.strides;
  return true;
}

void Trace::forget() {
  is_stale_ = true;
  run.reset();
}

void Trace::let_go() {
  for (const i32 i : varying_leaves_) {
    const Leaf::Kind kind = leaves_[static_cast<size_t>(i)].kind;
    if (kind == Leaf::Kind::Input || kind == Leaf::Kind::Literal)
      snapshot_.leaves[static_cast<size_t>(i)] = {};
  }
}

void Trace::give_back(std::vector<Tensor>& inputs) {
  size_t next_input = 0;
  for (const i32 i : varying_leaves_) {
    if (leaves_[static_cast<size_t>(i)].kind != Leaf::Kind::Input) continue;
    Tensor& leaf = snapshot_.leaves[static_cast<size_t>(i)];
    if (leaf) inputs[next_input] = std::move(leaf);
    ++next_input;
  }
}

}  // namespace tl
