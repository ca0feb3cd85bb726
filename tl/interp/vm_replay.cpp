// Calls of functions that were traced (tl/interp/tracer.h), and the tracing of those that were not.
#include <algorithm>
#include <bit>

#include "tl/builtins/generator.h"
#include "tl/exec/observer.h"
#include "tl/interp/vm.h"

namespace tl::interp {

using lang::KVCache;
using lang::List;
using lang::ObjectKind;
using lang::Tuple;

namespace {

constexpr size_t kMostVariants = 8;  // of one function, for different sizes and settings
constexpr u32 kMostFailures = 3;     // calls that could not be traced, until nobody tries again
constexpr u32 kFirstTraced = 2;      // most functions are called once
constexpr int kDeepest = 8;          // traced calls within traced calls: each is a loop on the C++ stack

bool is_same(const Value& a, const Value& b) {
  if (a.tag() != b.tag()) return false;
  if (a.is_float()) return std::bit_cast<u64>(a.as_float()) == std::bit_cast<u64>(b.as_float());
  if (a.is_int()) return a.as_int() == b.as_int();
  if (a.is_bool()) return a.as_bool() == b.as_bool();
  if (a.is_dtype()) return a.as_dtype() == b.as_dtype();
  if (!a.is_object() || a.object() == b.object()) return true;
  const auto *x = a.get_if<lang::String>(), *y = b.get_if<lang::String>();
  if (x != nullptr && y != nullptr) return x->text == y->text;
  const auto *r = a.get_if<lang::Range>(), *q = b.get_if<lang::Range>();
  return r != nullptr && q != nullptr && r->begin == q->begin && r->end == q->end && r->step == q->step;
}

}  // namespace

bool Vm::call_traced(const Proto& proto, Value* args, size_t given, Value& out, bool& is_done) {
  const bool is_inside = tracer_ != nullptr && !tracer_->is_aborted();
  if (is_inside || host_.executor.recorder().keeps_inputs()) return true;
  FunctionTraces& function = traces_[proto.index];
  if (++function.calls < kFirstTraced) return true;
  for (size_t k = given; k < proto.params.size(); ++k) args[k].clear();
  for (const auto& variant : function.variants) {
    error_ = {};
    Value result;  // `out` may be one of the arguments
    if (replay(*variant, args, result)) {
      ++function.hits;
      for (size_t k = 0; k < proto.params.size(); ++k) args[k].clear();
      out = std::move(result);
      return is_done = true;
    }
    if (error_.code == Code::Interrupted) return false;
  }
  ++function.misses;
  if (function.variants.size() >= kMostVariants || !Tracer::can_start()) {
    function.is_off = function.misses > 64 + function.hits;
    return true;
  }
  if (traced_depth_ >= kDeepest) return true;
  is_done = true;
  return trace_call(proto, args, given, out);
}

bool Vm::is_small(const Trace& trace) const {
  return static_cast<i64>(trace.nodes()) < host_.executor.options().fewest_traced_nodes;
}

bool Vm::trace_call(const Proto& proto, Value* args, size_t given, Value& out) {
  FunctionTraces& function = traces_[proto.index];
  const size_t depth = frames_.size();
  std::unique_ptr<Tracer> around = std::move(tracer_);
  tracer_ = std::make_unique<Tracer>(program_, ctx_, globals_);
  tracer_->begin({args, proto.params.size()});
  Value result;
  ++traced_depth_;
  const bool done = enter(proto, args, given, 0, nullptr) && execute(depth, result);
  --traced_depth_;
  std::unique_ptr<TracedCall> traced = done && !tracer_->is_aborted() ? tracer_->finish(result) : nullptr;
  if (done) tell(proto, traced.get());
  if (traced == nullptr) {
    function.failures += tracer_->is_rare() ? 0 : 1;
    function.is_off = function.failures >= kMostFailures;
  } else if (is_small(traced->trace)) {
    function.is_off = true;
  } else {
    function.variants.push_back(std::move(traced));
  }
  tracer_.reset();
  tracer_ = std::move(around);
  if (done) out = std::move(result);
  return done;
}

// Who asked why calls are interpreted (tl explain).
void Vm::tell(const Proto& proto, const TracedCall* traced) {
  ExecObserver* const observer = host_.executor.options().observer;
  if (observer == nullptr) return;
  if (traced == nullptr) return observer->not_traced(proto.span, tracer_->reason_where(), tracer_->reason());
  if (is_small(traced->trace)) return;  // what calls it may be
  if (!traces_[proto.index].variants.empty())
    observer->traced_again(proto.span, misfit_, "what this used has changed");
}

// Two caches or generators of a trace must be two: what one gets the other would have.
bool Vm::is_only_one(const Value& found) const {
  return std::none_of(found_.begin(), found_.end(), [&](const Value* other) {
    return other != nullptr && other != &found && other->is_object() && other->object() == found.object();
  });
}

// Whether what lies at a place lets the trace stand for this call.
bool Vm::fits_place(const Place& place, const Value& found) {
  switch (place.use) {
    case Place::Use::Guard:
      return is_same(found, place.value);
    case Place::Use::Struct:
      return found.is(ObjectKind::Struct) &&
             &found.as<lang::Struct>().type == &place.value.as<lang::Struct>().type;
    case Place::Use::List:
      return found.is(place.is_tuple ? ObjectKind::Tuple : ObjectKind::List) &&
             (!place.fixes_length || items_of(found)->size() == place.number);
    case Place::Use::Cell:
      return found.is(ObjectKind::Cell);
    case Place::Use::Cache: {
      if (!found.is(ObjectKind::KVCache) || found.as<KVCache>().layers.size() != place.number ||
          found.as<KVCache>().sequences != place.sequences ||
          !is_same(stored_type(found.as<KVCache>()), place.value))
        return false;
      return is_only_one(found);
    }
    case Place::Use::Int:
      if (!found.is_int()) return false;
      given_.push_back(found.as_int());
      return true;
    case Place::Use::Generator: {
      const auto* generator = found.get_if<lang::Generator>();
      if (generator == nullptr || generator->is_default != place.value.as_bool()) return false;
      if (generator->is_default) return true;
      given_.push_back(static_cast<i64>(generator->own.seed));
      given_.push_back(static_cast<i64>(generator->own.position));
      return is_only_one(found);
    }
    case Place::Use::Tensor: {
      const auto* tensor = found.get_if<lang::TensorValue>();
      return tensor != nullptr && tensor->is_literal == place.is_literal;
    }
    case Place::Use::SameAs: {
      const Value* first = found_[place.number];
      if (first == nullptr || !found.is_object() || !first->is_object()) return false;
      const Tensor *a = tensor_of(found), *b = tensor_of(*first);
      return a != nullptr && b != nullptr ? *a == *b : found.object() == first->object();
    }
    case Place::Use::Weight: {
      const Tensor* tensor = tensor_of(found);
      return tensor != nullptr && *tensor == *tensor_of(place.value);
    }
  }
  return false;
}

// What a call adds to sequence `k` of a cache.
i64 Vm::more_of(const Place& place, size_t k) const {
  if (place.counts.empty()) return 0;
  const Place::Count& count = place.counts[k];
  return count.given >= 0 ? given_[static_cast<size_t>(count.given)] : count.value;
}

bool Vm::find_places(const TracedCall& call, Value* args) {
  found_.assign(call.places.size(), nullptr);
  found_tensors_.assign(call.places.size(), nullptr);
  found_lengths_.clear();
  given_.clear();
  for (size_t i = 0; i < call.places.size(); ++i) {
    const Place& place = call.places[i];
    const Value* parent = place.parent >= 0 ? found_[static_cast<size_t>(place.parent)] : nullptr;
    const Value* found = nullptr;
    switch (place.kind) {
      case Place::Kind::Arg:
        found = args + place.index;
        break;
      case Place::Kind::Global:
        found = &globals_[place.index];
        break;
      case Place::Kind::Capture:
        found = &parent->as<lang::Function>().captures[place.index];
        break;
      case Place::Kind::Field:
        found = &parent->as<lang::Struct>().fields[place.index];
        break;
      case Place::Kind::Item: {
        const auto& items = *items_of(*parent);
        if (place.index >= items.size()) return false;
        found = &items[place.index];
        break;
      }
      case Place::Kind::Cell:
        found = &parent->as<lang::Cell>().value;
        break;
      case Place::Kind::Keys:
      case Place::Kind::Values: {
        KVCache::Layer& layer = parent->as<KVCache>().layers[place.index];
        Tensor& tensor = place.kind == Place::Kind::Keys ? layer.keys : layer.values;
        if (!tensor || place.use != Place::Use::Tensor) return false;
        found_tensors_[i] = &tensor;
        continue;
      }
      case Place::Kind::Lengths:
      case Place::Kind::Longest: {
        auto& cache = parent->as<KVCache>();
        const KVCache::Layer& layer = cache.layers[place.index];
        misfit_ = place.where;
        if (place.kind == Place::Kind::Longest) {
          i64 longest = 0;
          for (size_t k = 0; k < layer.lengths.size(); ++k)
            longest = std::max(longest, layer.lengths[k] + more_of(place, k));
          given_.push_back(longest);
          continue;
        }
        Result<Tensor> lengths = cache.lengths_of(host_.executor, layer);
        if (!lengths.ok()) return false;
        found_lengths_.push_back(std::move(lengths).value());
        found_tensors_[i] = &found_lengths_.back();
        if (place.use == Place::Use::SameAs) {
          const Tensor* const other = found_tensors_[place.number] != nullptr
                                          ? found_tensors_[place.number]
                                          : tensor_of(*found_[place.number]);
          if (*other != found_lengths_.back()) return false;
        } else if (place.use != Place::Use::Tensor) {
          return false;
        }
        continue;
      }
    }
    found_[i] = found;
    misfit_ = place.where;
    if (!fits_place(place, *found)) return false;
  }
  return true;
}

Value Vm::build(const TracedCall& call, i32 number, std::span<const Tensor> outputs) const {
  const ResultPart& part = call.parts[static_cast<size_t>(number)];
  switch (part.kind) {
    case ResultPart::Kind::Constant:
      return part.value;
    case ResultPart::Kind::Place:
      return *found_[static_cast<size_t>(part.number)];
    case ResultPart::Kind::Tensor:
      return Value(new lang::TensorValue(outputs[static_cast<size_t>(part.number)], part.is_literal));
    case ResultPart::Kind::Int:
      return Value(call.trace.int_value(part.number));
    default:
      break;
  }
  std::vector<Value> items;
  for (const i32 child : part.children) items.push_back(build(call, child, outputs));
  if (part.kind == ResultPart::Kind::Tuple) return lang::make_tuple(std::move(items));
  if (part.kind == ResultPart::Kind::Struct) {
    auto* object = new lang::Struct(part.value.as<lang::Struct>().type);
    object->fields = std::move(items);
    return Value(object);
  }
  Value list = lang::make_list(std::move(items));
  list.as<List>().is_vec = part.is_vec;
  return list;
}

bool Vm::replay(TracedCall& call, Value* args, Value& out) {
  if (!find_places(call, args)) return false;
  std::vector<Tensor> inputs(call.inputs.size());
  const auto input_at = [&](size_t k) {
    const size_t place = static_cast<size_t>(call.inputs[k]);
    return found_tensors_[place] != nullptr ? found_tensors_[place] : tensor_of(*found_[place]);
  };
  // The tensors of a cache are many, and seldom in the processor's caches: it may bring some at a time.
  for (size_t k = 0; k < inputs.size(); ++k) input_at(k)->fetch();
  for (size_t k = 0; k < inputs.size(); ++k) inputs[k] = *input_at(k);
  // What the call leaves changed is taken out of the cache: nobody else may hold what is to be written over.
  for (const CacheEffect& effect : call.effects) {
    if (effect.input >= 0)
      *found_tensors_[static_cast<size_t>(call.inputs[static_cast<size_t>(effect.input)])] = {};
  }
  std::vector<Tensor> outputs;
  Result<bool> done = host_.executor.replay(call.trace, inputs, given_, outputs);
  const bool is_done = done.ok() && *done;
  for (const CacheEffect& effect : call.effects) {
    KVCache::Layer& layer = found_[static_cast<size_t>(effect.cache)]->as<KVCache>().layers[effect.layer];
    Tensor& tensor = effect.is_keys ? layer.keys : layer.values;
    if (is_done) {
      tensor = outputs[static_cast<size_t>(effect.output)];
    } else if (effect.input >= 0) {
      tensor = inputs[static_cast<size_t>(effect.input)];
    }
  }
  if (!is_done) {
    misfit_ = call.trace.failed_guard();
    if (!done.ok()) error_ = std::move(done).error();
    return false;
  }
  for (const LengthsEffect& effect : call.lengths) {
    auto& lengths = found_[static_cast<size_t>(effect.cache)]->as<KVCache>().layers[effect.layer].lengths;
    for (size_t k = 0; k < lengths.size(); ++k)
      lengths[k] += call.trace.int_value(effect.added[effect.added.size() == 1 ? 0 : k]);
  }
  for (const GeneratorEffect& effect : call.draws)
    found_[static_cast<size_t>(effect.generator)]->as<lang::Generator>().own.position += effect.draws;
  out = build(call, call.result, outputs);
  return true;
}

}  // namespace tl::interp
