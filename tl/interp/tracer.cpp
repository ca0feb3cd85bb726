#include "tl/interp/tracer.h"

#include <algorithm>
#include <atomic>

#include "tl/builtins/generator.h"
#include "tl/builtins/model.h"
#include "tl/value/map.h"

namespace tl::interp {

using lang::KVCache;
using lang::List;
using lang::ObjectKind;
using lang::Tag;
using lang::TensorValue;
using lang::Tuple;

namespace {

constexpr u32 kMostInts = 4096;              // of one trace
constexpr u32 kMostTraces = 1u << 20;        // of a process: symbols and births are numbered through
constexpr int kDeepest = lang::kMaxNesting;  // of lists and structs
std::atomic<u32> g_traces{0};

}  // namespace

bool is_unchanging(ObjectKind kind) {
  switch (kind) {
    case ObjectKind::String:
    case ObjectKind::Range:
    case ObjectKind::Tensor:
    case ObjectKind::Builtin:
    case ObjectKind::Model:
    case ObjectKind::ModelPath:
    case ObjectKind::Metadata:
    case ObjectKind::Tokenizer:
      return true;
    default:
      return false;
  }
}

const std::vector<Value>* items_of(const Value& v) {
  if (const auto* list = v.get_if<List>()) return &list->items;
  if (const auto* tuple = v.get_if<Tuple>()) return &tuple->items;
  return nullptr;
}

Value stored_type(const KVCache& cache) {
  return cache.has_dtype ? Value(cache.dtype) : Value();
}

bool holds_cache(const Value& v, int depth) {
  if (v.is(ObjectKind::KVCache) || depth > kDeepest) return true;
  const std::vector<Value>* items = items_of(v);
  if (const auto* s = v.get_if<lang::Struct>()) items = &s->fields;
  if (v.is(ObjectKind::Map)) items = &v.as<lang::Map>().entries();
  return items != nullptr && std::any_of(items->begin(), items->end(), [&](const Value& item) {
           return item.is_object() && holds_cache(item, depth + 1);
         });
}

bool Tracer::can_start() {
  return g_traces.load(std::memory_order_relaxed) < kMostTraces - 1;
}

Tracer::Tracer(const Program& program, lang::CallContext& ctx, std::vector<Value>& globals)
    : program_(program), ctx_(ctx), globals_(globals) {
  const u32 number = g_traces.fetch_add(1, std::memory_order_relaxed) % kMostTraces;
  birth_ = number + 1;
  first_symbol_ = number * kMostInts + 1;
  birth_before_ = std::exchange(lang::Object::current_birth, birth_);
  observer_before_ = ctx.executor().recorder().set_observer(this);
  tracer_before_ = std::exchange(ctx.tracer, static_cast<lang::ValueTracer*>(this));
}

Tracer::~Tracer() {
  lang::Object::current_birth = birth_before_;
  ctx_.executor().recorder().set_observer(observer_before_);
  ctx_.tracer = tracer_before_;
}

void Tracer::abort(std::string reason, bool is_rare) {
  if (is_aborted_) return;
  is_rare_ = is_rare;
  is_aborted_ = true;
  reason_ = std::move(reason);
  reason_where_ = where_;
}

// ---- Ints -------------------------------------------------------------------------------------------------

i32 Tracer::symbol_of(const Value& v) const {
  if (!v.is_int() || v.symbol() < first_symbol_) return -1;
  const u32 number = v.symbol() - first_symbol_;
  return number < static_cast<u32>(ints_) ? static_cast<i32>(number) : -1;
}

i32 Tracer::add_int(TraceInt how) {
  if (ints_ + 1 >= static_cast<i32>(kMostInts)) {
    abort("it works with too many ints");
    return 0;
  }
  trace_.add_int(how);
  is_fixed_.push_back(false);
  return ints_++;
}

i32 Tracer::symbol_for(const Value& v) {
  if (const i32 symbol = symbol_of(v); symbol >= 0) return symbol;
  const auto [it, is_new] = constants_.try_emplace(v.as_int(), 0);
  if (is_new) {
    it->second = add_int({.op = TraceInt::Op::Constant, .constant = v.as_int()});
    is_fixed_[static_cast<size_t>(it->second)] = true;
  }
  return it->second;
}

Value Tracer::make_int(i64 value, i32 symbol) const {
  Value v(value);
  v.set_symbol(first_symbol_ + static_cast<u32>(symbol));
  return v;
}

void Tracer::fix(const Value& v) {
  const i32 symbol = symbol_of(v);
  if (symbol < 0 || is_fixed_[static_cast<size_t>(symbol)]) return;
  is_fixed_[static_cast<size_t>(symbol)] = true;
  trace_.add_guard(symbol, v.as_int(), where_);
}

void Tracer::fix_shape(const Tensor& t) {
  const SourceRef ref = ref_of(t);
  for (int axis = 0; axis < t.rank() && !is_aborted_; ++axis) {
    const i32 symbol = add_int({.op = TraceInt::Op::Dim, .a = ref, .b = axis});
    trace_.add_guard(symbol, t.shape()[axis], where_);
  }
}

void Tracer::fix_numbers(const Value& v) {
  if (v.is_int()) return fix(v);
  if (v.is_object() && !v.is(ObjectKind::Tensor)) fix_deep(v);
}

void Tracer::fix_deep(const Value& v, int depth) {
  if (is_aborted_) return;
  if (v.is_int()) return fix(v);
  if (!v.is_object()) return;
  if (depth > kDeepest) return abort("it uses lists that are nested too deep");
  if (const Tensor* t = tensor_of(v)) return fix_shape(*t);
  if (is_unchanging(v.object()->kind)) return;
  if (is_callers(v)) {
    if (items_of(v) != nullptr || v.is(ObjectKind::Struct) || v.is(ObjectKind::Cell)) {
      read_items(v);
    } else if (!v.is(ObjectKind::Function) && !v.is(ObjectKind::KVCache)) {
      abort(fmt::format("it uses {} of its caller's", type_name(v)));
    }
  }
  if (const auto* items = items_of(v)) {
    const i32 place = is_callers(v) ? place_of(v) : -1;
    for (size_t i = 0; i < items->size(); ++i) {
      const Value& item = (*items)[i];
      fix_deep(place < 0 ? item : read(Place::Kind::Item, place, static_cast<u32>(i), item), depth + 1);
    }
  } else if (v.is(ObjectKind::Map)) {  // made by the call: one of the caller's ends the trace
    for (const Value& item : v.as<lang::Map>().entries()) fix_deep(item, depth + 1);
  } else if (const auto* s = v.get_if<lang::Struct>()) {
    const i32 place = is_callers(v) ? place_of(v) : -1;
    for (size_t i = 0; i < s->fields.size(); ++i) {
      const Value& field = s->fields[i];
      fix_deep(place < 0 ? field : read(Place::Kind::Field, place, static_cast<u32>(i), field), depth + 1);
    }
  }
}

// The lists that existed before, in one that the call has made: their items have no symbols.
void Tracer::fix_lists_of_callers(const Value& v, int depth) {
  if (is_aborted_ || items_of(v) == nullptr) return;
  if (depth > kDeepest) return abort("it uses lists that are nested too deep");
  if (is_callers(v)) return fix_deep(v);
  for (const Value& item : *items_of(v)) fix_lists_of_callers(item, depth + 1);
}

// The lengths of nested lists, not what is in them.
void Tracer::fix_lengths(const Value& v, int depth) {
  const auto* items = items_of(v);
  if (items == nullptr) {
    if (v.is_object()) fix_deep(v);
    return;
  }
  if (depth > kDeepest) return abort("it uses lists that are nested too deep");
  const i32 place = is_callers(v) ? place_of(v) : -1;
  if (place >= 0) call_->places[static_cast<size_t>(place)].fixes_length = true;
  for (size_t i = 0; i < items->size() && !is_aborted_; ++i) {
    const Value& item = (*items)[i];
    fix_lengths(place < 0 ? item : read(Place::Kind::Item, place, static_cast<u32>(i), item), depth + 1);
  }
}

// ---- Objects ----------------------------------------------------------------------------------------------

bool Tracer::is_callers(const Value& v) const {
  return v.is_object() && !is_unchanging(v.object()->kind) && !is_born_here(v);
}

i32 Tracer::place_of(const Value& v) {
  const auto it = place_of_object_.find(v.object());
  if (it != place_of_object_.end()) return it->second;
  abort(fmt::format("it uses {} that came neither from its arguments nor from a global", type_name(v)));
  return -1;
}

void Tracer::read_items(const Value& list) {
  const i32 place = place_of(list);
  if (place >= 0) call_->places[static_cast<size_t>(place)].fixes_length = true;
}

// What is at a place for the first time: from then on it is known.
Value Tracer::read(Place::Kind kind, i32 parent, u32 index, const Value& found) {
  if (is_aborted_) return found;
  const auto [it, is_new] = place_numbers_.try_emplace({parent, kind, index}, 0);
  if (is_new) {
    it->second = static_cast<i32>(call_->places.size());
    Place place;
    place.kind = kind, place.parent = parent, place.index = index, place.where = where_;
    use_place(place, it->second, found);
    call_->places.push_back(std::move(place));
  }
  const Place& place = call_->places[static_cast<size_t>(it->second)];
  if (place.use != Place::Use::Int) return found;
  return make_int(found.as_int(), place.symbol);
}

void Tracer::use_place(Place& place, i32 self, const Value& found) {
  using Use = Place::Use;
  place.use = Use::Guard;
  place.value = found;
  if (found.is_int()) {
    // Fields and globals are sizes and settings, as a rule: what depends on them is made for them.
    if (place.kind != Place::Kind::Arg && place.kind != Place::Kind::Item &&
        place.kind != Place::Kind::Longest)
      return;
    place.use = Use::Int;
    place.symbol = add_int({.op = TraceInt::Op::Given, .a = static_cast<i32>(call_->given)});
    place.number = call_->given++;
    place.value = {};
    return;
  }
  if (!found.is_object()) return;
  if (found.is(ObjectKind::Tensor)) return use_tensor(place, self, found);
  if (is_unchanging(found.object()->kind)) return;
  held_objects_.push_back(found);
  const auto [it, is_new] = place_of_object_.try_emplace(found.object(), self);
  if (!is_new) {
    place.use = Use::SameAs;
    place.number = static_cast<u32>(it->second);
    place.value = {};
    return;
  }
  switch (found.object()->kind) {
    case ObjectKind::Struct:
      place.use = Use::Struct;
      place.value = Value(new lang::Struct(found.as<lang::Struct>().type));
      place.value.as<lang::Struct>().is_dropped = true;
      break;
    case ObjectKind::List:
    case ObjectKind::Tuple:
      place.use = Use::List;
      place.value = {};
      place.is_tuple = place.fixes_length = found.is(ObjectKind::Tuple);
      place.number = static_cast<u32>(items_of(found)->size());
      break;
    case ObjectKind::Cell:
      place.use = Use::Cell;
      place.value = {};
      break;
    case ObjectKind::KVCache:
      place.use = Use::Cache;
      place.value = stored_type(found.as<KVCache>());
      place.number = static_cast<u32>(found.as<KVCache>().layers.size());
      place.sequences = found.as<KVCache>().sequences;
      break;
    case ObjectKind::Function:
      break;
    case ObjectKind::Generator:
      use_generator(place, self, found);
      break;
    default:
      abort(fmt::format("it is given {}", type_name(found)));
  }
}

void Tracer::use_generator(Place& place, i32 self, const Value& found) {
  const bool is_default = found.as<lang::Generator>().is_default;
  place.use = Place::Use::Generator;
  place.value = Value(is_default);
  if (is_default) return;
  place.number = call_->given;
  const auto given = [&] {
    return add_int({.op = TraceInt::Op::Given, .a = static_cast<i32>(call_->given++)});
  };
  const i32 seed = given(), position = given();
  generators_[self] = {seed, position, call_->draws.size()};
  call_->draws.push_back({self, 0});
}

void Tracer::use_tensor(Place& place, i32 self, const Value& found) {
  const auto& tensor = found.as<TensorValue>();
  if (tensor.tensor->state == NodeState::Failed) return abort("an argument could not be computed");
  if (tensor.tensor->parts != nullptr) return abort("it is given a tensor of several buffers");
  place.is_literal = tensor.is_literal;
  const auto it = known_.find(tensor.tensor.node());
  if (it != known_.end() && it->second.sequence == tensor.tensor->sequence) {
    // What was known under another name must be that again.
    place.use = it->second.place >= 0 ? Place::Use::SameAs : Place::Use::Weight;
    place.number = static_cast<u32>(std::max(it->second.place, 0));
    return;
  }
  place.use = Place::Use::Tensor;
  place.value = {};
  hold(tensor.tensor, trace_.add_input(tensor.tensor));
  known_[tensor.tensor.node()].place = self;
  call_->inputs.push_back(self);
}

void Tracer::hold(const Tensor& t, SourceRef ref) {
  known_[t.node()] = {ref, t->sequence};
  held_.push_back(t);
}

SourceRef Tracer::ref_of(const Tensor& t) {
  const auto it = known_.find(t.node());
  if (it != known_.end() && it->second.sequence == t->sequence) return it->second.ref;
  if (t->is_scalar) {
    const SourceRef ref = trace_.add_constant(t);
    hold(t, ref);
    return ref;
  }
  abort("it uses a tensor that came neither from its arguments nor from a global");
  return ~0;
}

// ---- What the graph is told -------------------------------------------------------------------------------

void Tracer::recorded(const Node& node) {
  if (is_aborted_) return;
  InlineVector<SourceRef, kMaxInputs> inputs;
  for (const Tensor& in : node.inputs) inputs.push_back(ref_of(in));
  std::vector<TracePatch> patches;
  if (patched_op_ == node.op) {
    patches = std::move(patches_);
    patches_.clear();
    patched_op_ = nullptr;
  } else if (node.op->is_random) {
    return abort("it draws random numbers in a way that is not known");
  }
  if (is_aborted_) return;
  known_[&node] = {trace_.add_node(node, inputs, patches), node.sequence};
}

void Tracer::made(const Tensor& constant) {
  if (!is_aborted_ && !is_telling_) hold(constant, trace_.add_constant(constant));
}

void Tracer::materialised(const Tensor& scalar, const Tensor&) {
  const auto it = known_.find(scalar.node());
  const bool is_constant = it == known_.end() || it->second.sequence != scalar->sequence ||
                           std::find(held_.begin(), held_.end(), scalar) == held_.end();
  if (!is_constant) abort("it views an int as a tensor");
}

void Tracer::looked() {
  abort("it waits for a number");
}

void Tracer::made_scalar(const Tensor& tensor, const Value& from) {
  const i32 symbol = symbol_of(from);
  if (is_aborted_ || symbol < 0 || is_fixed_[static_cast<size_t>(symbol)]) return;
  if (tensor.dtype() == DType::Bool) return fix(from);
  hold(tensor, trace_.add_scalar(tensor.dtype(), symbol));
}

void Tracer::made_literal(const Tensor& tensor, std::span<const Value> elements) {
  if (is_aborted_) return;
  bool has_symbol = false;
  std::vector<TraceElement> all;
  all.reserve(elements.size());
  for (const Value& v : elements) {
    const i32 symbol = symbol_of(v);
    has_symbol = has_symbol || symbol >= 0;
    const i64 as_int = v.is_int() ? v.as_int() : v.is_bool() ? v.as_bool() : 0;
    all.push_back({symbol, as_int, v.is_number() ? v.number() : static_cast<f64>(as_int)});
  }
  if (has_symbol) hold(tensor, trace_.add_literal(tensor.type(), std::move(all)));
}

void Tracer::loaded(const Tensor& weight) {
  if (is_aborted_ || known_.contains(weight.node())) return;
  hold(weight, trace_.add_constant(weight));
}

}  // namespace tl::interp
