// What builtins do in a call that is traced, and what the whole of it leaves.
#include <algorithm>

#include "tl/builtins/generator.h"
#include "tl/interp/tracer.h"
#include "tl/ops/einsum/einsum.h"
#include "tl/ops/ops.h"

namespace tl::interp {

using lang::KVCache;
using lang::List;
using lang::ObjectKind;
using lang::TensorValue;

namespace {

constexpr int kDeepest = lang::kMaxNesting;

// Natives that need more care than "what they are given must be as it was".
enum class Native : u8 {
  Shape,
  Len,
  Numel,
  Aware,
  TensorList,
  CacheLayer,
  CacheLength,
  CacheLengths,
  CacheSequences,
  Change,
  Append,
  Einsum
};

const Native* special(std::string_view name) {
  static const std::unordered_map<std::string_view, Native> kNatives = {
      {"shape", Native::Shape},
      {"len", Native::Len},
      {"numel", Native::Numel},
      {"rank", Native::Aware},
      {"ndim", Native::Aware},
      {"dtype", Native::Aware},
      {"linear", Native::Aware},
      {"layer_norm", Native::Aware},
      {"tensor", Native::Aware},
      {"from_array", Native::Aware},
      {"from_vec", Native::Aware},
      {"concat", Native::TensorList},
      {"k", Native::CacheLayer},
      {"v", Native::CacheLayer},
      {"get_k", Native::CacheLayer},
      {"get_v", Native::CacheLayer},
      {"length", Native::CacheLength},
      {"append", Native::Append},
      {"lengths", Native::CacheLengths},
      {"sequences", Native::CacheSequences},
      {"push", Native::Change},
      {"pop", Native::Change},
      {"extend", Native::Change},
      {"insert", Native::Change},
      {"remove", Native::Change},
      {"set", Native::Change},
      {"clear", Native::Change},
      {"einsum", Native::Einsum},
      {"update", Native::Change},
      {"sum", Native::Aware},
      {"any", Native::Aware},
      {"all", Native::Aware},
      {"sort", Native::Change},
  };
  const auto it = kNatives.find(name);
  return it == kNatives.end() ? nullptr : &it->second;
}

}  // namespace

// ---- Builtins ---------------------------------------------------------------------------------------------

// The seed and position of a draw, attributes from `at` on.
void Tracer::patch_draw(const Value& generator, i32 at) {
  if (generator.is_empty() || generator.as<lang::Generator>().is_default) {
    patches_.push_back({TracePatch::kSeed, at, false});
    patches_.push_back({TracePatch::kPosition, at + 1, false});
    return;
  }
  if (!is_callers(generator)) return;  // made in the call: it draws the same in every one
  const auto known = generators_.find(place_of(generator));
  if (is_aborted_) return;
  GeneratorEffect& effect = call_->draws[known->second.effect];
  const i32 before = symbol_for(Value(static_cast<i64>(effect.draws++)));
  patches_.push_back({known->second.seed, at, false});
  patches_.push_back(
      {add_int({.op = TraceInt::Op::Add, .a = known->second.position, .b = before}), at + 1, false});
}

// Which attributes of the op that is recorded next are ints of the trace. Lists become tensors of them.
void Tracer::before_op(const Builtin& row, std::span<Value> args) {
  patches_.clear();
  patched_op_ = row.op;
  const bool of_numbers = args.size() == 1 && row.parsed.params[0].kind == lang::ParamKind::Tensor;
  if (of_numbers) fix(args[0]);
  i32 scalars = 0;
  // Drawn from a generator, unless the program says which draw (tl/builtins/builtins.cpp).
  const Value* const generator = row.op->is_random ? &args.back() : nullptr;
  bool is_drawn = false;
  if (generator != nullptr) {
    is_drawn = generator->is(ObjectKind::Generator) ||
               (args[args.size() - 2].is_empty() && args[args.size() - 3].is_empty());
    args = args.first(args.size() - (is_drawn ? 3 : 1));
  }
  for (size_t i = 0; i < args.size(); ++i) {
    const lang::Parameter& p = row.parsed.params[std::min(i, row.parsed.params.size() - 1)];
    Value& v = args[i];
    switch (p.kind) {
      case lang::ParamKind::Tensor:
        if (is_callers(v) && items_of(v) != nullptr) {  // its items with their symbols, for to_tensor
          fix_lengths(v);
          const i32 place = place_of(v);
          if (place < 0) return;
          std::vector<Value> items;
          for (size_t k = 0; k < items_of(v)->size(); ++k) {
            const Value& item = (*items_of(v))[k];
            items.push_back(read(Place::Kind::Item, place, static_cast<u32>(k), item));
            if (item.is_object()) fix_deep(item);
          }
          v = lang::make_list(std::move(items));
        }
        fix_lists_of_callers(v);
        continue;
      case lang::ParamKind::Ints:
        if (const auto* list = v.get_if<List>(); list != nullptr) {
          if (is_callers(v)) {
            fix_deep(v);
            continue;
          }
          for (size_t k = 0; k < list->items.size(); ++k) {
            const i32 symbol = symbol_of(list->items[k]);
            if (symbol >= 0) patches_.push_back({symbol, static_cast<i32>(k), true});
          }
        } else {
          if (const i32 symbol = symbol_of(v); symbol >= 0) patches_.push_back({symbol, 0, true});
          if (v.is_object()) fix_deep(v);
        }
        continue;
      case lang::ParamKind::String:
        continue;
      case lang::ParamKind::Int:
        if (row.op->is_random && v.is_empty() &&
            p.default_value.is_empty()) {  // only one of the two is given
          patches_.push_back({p.name == "seed" ? TracePatch::kSeed : TracePatch::kPosition, scalars, false});
        } else if (const i32 symbol = symbol_of(v); symbol >= 0) {
          patches_.push_back({symbol, scalars, false});
        } else {
          fix_numbers(v);
        }
        ++scalars;
        continue;
      case lang::ParamKind::Float:
        if (const i32 symbol = symbol_of(v); symbol >= 0) {
          patches_.push_back({symbol, scalars, false, true});
        } else {
          fix_numbers(v);
        }
        ++scalars;
        continue;
      default:
        fix_numbers(v);
        ++scalars;
    }
  }
  if (is_drawn) patch_draw(*generator, scalars);
}

// The tensors of a cache's layer, before the call changes them, become inputs.
Tracer::CacheLayer* Tracer::use_layer(const Value& cache, const Value& layer) {
  fix(layer);
  const i32 place = place_of(cache);
  auto& layers = cache.as<KVCache>().layers;
  if (is_aborted_ || !layer.is_int() || layer.as_int() < 0 ||
      layer.as_int() >= static_cast<i64>(layers.size())) {
    return nullptr;
  }
  const u32 number = static_cast<u32>(layer.as_int());
  const auto known = std::find_if(layers_.begin(), layers_.end(),
                                  [&](const CacheLayer& l) { return l.cache == place && l.layer == number; });
  if (known != layers_.end()) return &*known;
  const KVCache::Layer& at = layers[number];
  if (!at.keys || !at.values) {
    abort("the cache is still empty", cache.as<KVCache>().sequences > 0);
    return nullptr;
  }
  const auto add = [&](Place::Kind kind, const Tensor& t) {
    const size_t before = call_->inputs.size();
    read(kind, place, number, lang::make_tensor(t));
    return call_->inputs.size() > before ? static_cast<i32>(before) : -1;
  };
  const i32 keys = add(Place::Kind::Keys, at.keys), values = add(Place::Kind::Values, at.values);
  layers_.push_back({place, number, at.keys, at.values, keys, values, -1, {}, false});
  if (cache.as<KVCache>().sequences == 0) return &layers_.back();
  for (const Tensor* t : {&at.keys, &at.values}) {  // but for its room
    const SourceRef ref = ref_of(*t);
    for (int axis = 0; axis < t->rank() && !is_aborted_; ++axis) {
      if (axis == 1) continue;
      trace_.add_guard(add_int({.op = TraceInt::Op::Dim, .a = ref, .b = axis}), t->shape()[axis], where_);
    }
  }
  return &layers_.back();
}

// Whether a cache that existed before the call is of several sequences. What is made here is not traced: its
// lengths are no ints of the trace.
bool Tracer::is_batch(const Value& cache) {
  if (!cache.is(ObjectKind::KVCache) || cache.as<KVCache>().sequences == 0) return false;
  if (!is_callers(cache)) abort("it makes a KVCache of several sequences");
  return true;
}

// The int of the trace that says how far the longest sequence of a layer reaches now.
i32 Tracer::longest_of(const Value& cache, CacheLayer& layer) {
  if (layer.longest < 0 && !is_aborted_) {
    const i64 longest = cache.as<KVCache>().layers[layer.layer].longest();
    layer.longest = symbol_of(read(Place::Kind::Longest, layer.cache, layer.layer, Value(longest)));
  }
  return layer.longest;
}

void Tracer::use_lengths(const Value& cache, const CacheLayer& layer) {
  if (layer.has_grown) return abort("it asks for the lengths of a KVCache after it has appended to it");
  auto& c = cache.as<KVCache>();
  is_telling_ = true;
  Result<Tensor> lengths = c.lengths_of(ctx_.executor(), c.layers[layer.layer]);
  is_telling_ = false;
  if (!lengths.ok()) return abort("the lengths of a KVCache could not be told");
  read(Place::Kind::Lengths, layer.cache, layer.layer, lang::make_tensor(*lengths));
}

// The ints of a list of counts, which stay symbols where the call was given them. Null: aborted.
Tracer::Counts* Tracer::use_counts(Value& list, i32 given, i64 rows) {
  if (!list.is_object()) return abort("its counts are no list"), nullptr;
  auto known = std::find_if(counts_.begin(), counts_.end(), [&](const Counts& c) {
    return c.given.object() == list.object() || c.list.object() == list.object();
  });
  if (known != counts_.end()) {  // another layer, of as many rows
    trace_.add_guard(add_int({.op = TraceInt::Op::Equal, .a = given, .b = known->rows}), 1, where_);
    list = known->list;
    return &*known;
  }
  const std::vector<Value>* items = items_of(list);
  if (items == nullptr) return abort("its counts are no list"), nullptr;
  if (is_callers(list)) fix_lengths(list);
  const i32 place = is_callers(list) ? place_of(list) : -1;
  Counts counts{list, {}, {}, {}, {}, given};
  std::vector<Value> with_symbols;
  for (size_t i = 0; i < items->size() && !is_aborted_; ++i) {
    Value item = (*items)[i];
    if (!item.is_int() || item.as_int() < 0 || item.as_int() > rows)
      return abort("its counts do not fit"), nullptr;
    if (place >= 0) item = read(Place::Kind::Item, place, static_cast<u32>(i), item);
    const i32 symbol = symbol_of(item);
    const auto of_symbol = std::find_if(call_->places.begin(), call_->places.end(), [&](const Place& p) {
      return symbol >= 0 && p.use == Place::Use::Int && p.symbol == symbol;
    });
    const bool is_given = of_symbol != call_->places.end();
    if (!is_given) fix(item);
    counts.values.push_back(item.as_int());
    counts.counts.push_back({is_given ? static_cast<i32>(of_symbol->number) : -1, item.as_int()});
    counts.symbols.push_back(symbol_for(item));
    for (const auto& [low, high] : {std::pair(symbol_for(Value(i64{0})), counts.symbols.back()),
                                    std::pair(counts.symbols.back(), given)})
      trace_.add_guard(add_int({.op = TraceInt::Op::LessEqual, .a = low, .b = high}), 1, where_);
    with_symbols.push_back(std::move(item));
  }
  if (is_aborted_) return nullptr;
  counts.list = list = lang::make_list(std::move(with_symbols));
  counts_.push_back(std::move(counts));
  return &counts_.back();
}

void Tracer::append_to_batch(std::span<Value> args) {
  CacheLayer* const layer = use_layer(args[0], args[1]);
  if (layer == nullptr || is_aborted_) return;
  const Tensor *const k = tensor_of(args[2]), *const v = tensor_of(args[3]);
  if (k == nullptr || v == nullptr || k->rank() < 2 || v->rank() < 2)
    return abort("it appends what is no tensor");
  use_lengths(args[0], *layer);
  if (is_aborted_) return;
  const auto dim = [&](const Tensor& t) {
    const SourceRef ref = ref_of(t);
    return is_aborted_ ? 0 : add_int({.op = TraceInt::Op::Dim, .a = ref, .b = 1});
  };
  const i32 given = dim(*k);
  trace_.add_guard(add_int({.op = TraceInt::Op::Equal, .a = given, .b = dim(*v)}), 1, where_);
  const KVCache::Layer& at = args[0].as<KVCache>().layers[layer->layer];
  i64 longest = 0;
  if (args.size() == 4 || args[4].is_empty()) {
    const i32 before = longest_of(args[0], *layer);
    layer->added = {given};
    layer->longest = add_int({.op = TraceInt::Op::Add, .a = before, .b = given});
    longest = at.longest() + k->shape()[1];
  } else {
    const Counts* const counts = use_counts(args[4], given, k->shape()[1]);
    if (counts == nullptr) return;
    if (counts->values.size() != at.lengths.size()) return abort("its counts do not fit");
    layer->added = counts->symbols;
    for (size_t i = 0; i < at.lengths.size(); ++i)
      longest = std::max(longest, at.lengths[i] + counts->values[i]);
    Place place;
    place.kind = Place::Kind::Longest, place.parent = layer->cache, place.index = layer->layer;
    place.where = where_, place.counts = counts->counts;
    use_place(place, static_cast<i32>(call_->places.size()), Value(longest));
    layer->longest = place.symbol;
    call_->places.push_back(std::move(place));
  }
  if (is_aborted_) return;
  for (const Tensor* t : {&at.keys, &at.values}) {
    if (longest > t->shape()[1]) return abort("a KVCache of several sequences gets more room", true);
    const i32 room = dim(*t);
    trace_.add_guard(add_int({.op = TraceInt::Op::LessEqual, .a = layer->longest, .b = room}), 1, where_);
  }
  layer->has_grown = true;
}

bool Tracer::cache_length(const Value& cache, Value& result) {
  const auto& c = cache.as<KVCache>();
  if (!is_callers(cache)) return false;
  if (c.layers.empty() || !c.layers[0].keys) {
    abort("the cache is still empty");
    return false;
  }
  CacheLayer* const layer = use_layer(cache, Value(i64{0}));
  if (is_batch(cache)) {
    if (layer != nullptr) result = make_int(c.length(), longest_of(cache, *layer));
    return !is_aborted_;
  }
  const SourceRef ref = ref_of(c.layers[0].keys);
  result = make_int(c.length(), add_int({.op = TraceInt::Op::Dim, .a = ref, .b = 0}));
  return !is_aborted_;
}

// What changes its first argument may do so only to what the call has made itself.
bool Tracer::change(const Builtin& builtin, std::span<Value> args) {
  if (args.empty() || !args[0].is_object()) return false;
  if (builtin.name == "set" && args.size() == 1) {  // makes one
    fix_deep(args[0]);
    return false;
  }
  const bool is_keyed = args[0].is(ObjectKind::Map) || args[0].is(ObjectKind::Set);
  if ((!args[0].is(ObjectKind::List) && !is_keyed) || is_callers(args[0])) {
    abort(fmt::format("{} changes {} of its caller's", builtin.name, type_name(args[0])));
    return false;
  }
  const bool stores = !is_keyed && (builtin.name == "push" || builtin.name == "append");
  for (const Value& v : args.subspan(1)) {
    if (!stores) fix_deep(v);
  }
  return false;
}

bool Tracer::call(const Builtin& builtin, std::span<Value> args, Value& result) {
  if (is_aborted_) return false;
  if (!lang::calls_native(builtin, args)) {
    before_op(builtin, args);
    return false;
  }
  const Native* kind = special(builtin.name);
  const Tensor* first = args.empty() ? nullptr : tensor_of(args[0]);
  if (kind == nullptr) {
    const bool draws = builtin.op != nullptr && builtin.op->is_random;
    if (builtin.effect != lang::Effect::Pure || draws) {
      abort(fmt::format("it calls {}", builtin.name));
      return false;
    }
    for (const Value& v : args) {
      if (holds_cache(v)) abort(fmt::format("{} looks at a KVCache", builtin.name));
      fix_deep(v);
    }
    return false;
  }
  switch (*kind) {
    case Native::Shape:
      if (first != nullptr) {
        const SourceRef ref = ref_of(*first);
        std::vector<Value> dims;
        for (int axis = 0; axis < first->rank(); ++axis) {
          const i32 symbol = add_int({.op = TraceInt::Op::Dim, .a = ref, .b = axis});
          dims.push_back(make_int(first->shape()[axis], symbol));
        }
        result = lang::make_list(std::move(dims));
        return true;
      }
      fix_deep(args[0]);
      return false;
    case Native::Len:
      if (first != nullptr && first->rank() > 0) {
        const SourceRef ref = ref_of(*first);
        result = make_int(first->shape()[0], add_int({.op = TraceInt::Op::Dim, .a = ref, .b = 0}));
        return true;
      }
      if (args[0].is(ObjectKind::KVCache)) return cache_length(args[0], result);
      if (items_of(args[0]) != nullptr && is_callers(args[0])) read_items(args[0]);
      return false;
    case Native::Numel:
      if (first != nullptr) {
        const SourceRef ref = ref_of(*first);
        result = make_int(numel(first->shape()), add_int({.op = TraceInt::Op::Numel, .a = ref}));
        return true;
      }
      fix_lengths(args[0]);
      return false;
    case Native::Aware:
    case Native::TensorList:
      for (const Value& v : args) {
        if (v.is(ObjectKind::Tensor)) continue;
        if (v.is(ObjectKind::List) && !is_callers(v) && *kind == Native::TensorList) {
          for (const Value& item : v.as<List>().items) {
            if (!item.is(ObjectKind::Tensor)) fix_deep(item);
          }
          continue;
        }
        if (!v.is_int() || builtin.name != "tensor") fix_deep(v);
      }
      return false;
    case Native::CacheLayer:
      if (!args[0].is(ObjectKind::KVCache))
        fix_deep(args[0]);
      else if (is_callers(args[0])) {
        CacheLayer* const layer = use_layer(args[0], args[1]);
        if (layer != nullptr && is_batch(args[0])) {
          patches_ = {{longest_of(args[0], *layer), 5, true}};  // rows of the window along axis 1
          patched_op_ = &op_index;
        }
      } else {
        is_batch(args[0]);
      }
      fix(args[1]);
      return false;
    case Native::CacheLengths:
      if (is_batch(args[0]) && !is_aborted_) {
        CacheLayer* const layer = use_layer(args[0], Value(i64{0}));
        if (layer != nullptr) use_lengths(args[0], *layer);
      }
      return false;
    case Native::CacheSequences:
      return false;  // a guard of the cache's place
    case Native::CacheLength:
      if (!args[0].is(ObjectKind::KVCache)) return false;
      return cache_length(args[0], result);
    case Native::Append:
      if (args[0].is(ObjectKind::KVCache)) {
        if (is_batch(args[0]) && (args.size() == 4 || args.size() == 5)) {
          if (!is_aborted_) append_to_batch(args);
          return false;
        }
        if (args.size() == 4 && is_callers(args[0])) use_layer(args[0], args[1]);
        for (const Value& v : args.subspan(1)) {
          if (!v.is(ObjectKind::Tensor)) fix_deep(v);
        }
        return false;
      }
      if (first != nullptr) {
        for (const Value& v : args.subspan(1)) fix_numbers(v);
        return false;
      }
      return change(builtin, args);
    case Native::Change:
      if (first != nullptr) {  // sorted into a new one
        for (const Value& v : args.subspan(1)) fix_deep(v);
        return false;
      }
      return change(builtin, args);
    case Native::Einsum:
      fix_einsum(args);
      return false;
  }
  return false;
}

Value Tracer::field(const Value& object, int at) {
  const Value& found = object.as<lang::Struct>().fields[static_cast<size_t>(at)];
  if (is_aborted_ || !is_callers(object)) return found;
  const i32 place = place_of(object);
  return place < 0 ? found : read(Place::Kind::Field, place, static_cast<u32>(at), found);
}

// What an einsum records must be what it would record again.
void Tracer::fix_einsum(std::span<Value> args) {
  const Tensor* const a = args.size() == 3 ? tensor_of(args[1]) : nullptr;
  const Tensor* const b = args.size() == 3 ? tensor_of(args[2]) : nullptr;
  fix_deep(args[0]);
  if (a != nullptr && b != nullptr && args[0].is(ObjectKind::String)) {
    if (const auto equal = einsum_for_any_size(args[0].as<lang::String>().text, a->shape(), b->shape())) {
      const SourceRef left = ref_of(*a), right = ref_of(*b);
      for (const auto& [i, j] : *equal) {
        const i32 x = add_int({.op = TraceInt::Op::Dim, .a = left, .b = i});
        const i32 y = add_int({.op = TraceInt::Op::Dim, .a = right, .b = j});
        trace_.add_guard(add_int({.op = TraceInt::Op::Equal, .a = x, .b = y}), 1, where_);
      }
      return;
    }
  }
  for (const Value& v : args.subspan(1)) fix_deep(v);
}

void Tracer::after_call() {
  if (!patches_.empty()) abort("an op did not take its attributes as they were given");
  patches_.clear();
  patched_op_ = nullptr;
}

// ---- The whole --------------------------------------------------------------------------------------------

void Tracer::begin(std::span<Value> args) {
  for (size_t i = 0; i < args.size(); ++i) args[i] = read(Place::Kind::Arg, -1, static_cast<u32>(i), args[i]);
}

i32 Tracer::add_part(const Value& v, int depth) {
  if (is_aborted_) return 0;
  if (depth > kDeepest) return abort("its result is nested too deep"), 0;
  ResultPart part;
  if (const i32 symbol = symbol_of(v); symbol >= 0) {
    part.kind = ResultPart::Kind::Int;
    part.number = symbol;
  } else if (const auto* tensor = v.get_if<TensorValue>()) {
    const SourceRef ref = ref_of(tensor->tensor);
    part.kind = ResultPart::Kind::Tensor;
    part.is_literal = tensor->is_literal;
    part.number = static_cast<i32>(trace_.outputs().size());
    if (is_leaf(ref) && tensor->tensor->is_scalar) return abort("it gives an int as a tensor"), 0;
    trace_.add_output(ref);
  } else if (!v.is_object() || is_unchanging(v.object()->kind)) {
    part.value = v;
  } else if (is_callers(v)) {
    part.kind = ResultPart::Kind::Place;
    part.number = place_of(v);
  } else {
    if (std::find(in_result_.begin(), in_result_.end(), v.object()) != in_result_.end())
      return abort("its result holds one object twice"), 0;
    in_result_.push_back(v.object());
    const std::vector<Value>* items = items_of(v);
    if (const auto* s = v.get_if<lang::Struct>()) {
      part.kind = ResultPart::Kind::Struct;
      part.value = Value(new lang::Struct(s->type));
      part.value.as<lang::Struct>().is_dropped = true;
      items = &s->fields;
    } else if (v.is(ObjectKind::List)) {
      part.kind = ResultPart::Kind::List;
      part.is_vec = v.as<List>().is_vec;
    } else if (v.is(ObjectKind::Tuple)) {
      part.kind = ResultPart::Kind::Tuple;
    } else {
      return abort(fmt::format("it gives {}", type_name(v))), 0;
    }
    for (const Value& item : *items) part.children.push_back(add_part(item, depth + 1));
  }
  call_->parts.push_back(std::move(part));
  return static_cast<i32>(call_->parts.size() - 1);
}

void Tracer::add_effects() {
  for (const CacheLayer& before : layers_) {
    const auto cache = std::find_if(place_of_object_.begin(), place_of_object_.end(),
                                    [&](const auto& p) { return p.second == before.cache; });
    if (cache == place_of_object_.end()) return abort("a cache is gone");
    const auto& after = static_cast<const KVCache*>(cache->first)->layers;
    if (before.layer >= after.size() || !after[before.layer].keys || !after[before.layer].values)
      return abort("it empties a cache");
    const KVCache::Layer& now = after[before.layer];
    const auto add = [&](const Tensor& was, const Tensor& is, bool is_keys, i32 input) {
      if (was == is) return;
      call_->effects.push_back(
          {before.cache, before.layer, is_keys, static_cast<i32>(trace_.outputs().size()), input});
      trace_.add_output(ref_of(is));
    };
    add(before.keys, now.keys, true, before.keys_input);
    add(before.values, now.values, false, before.values_input);
    if (before.has_grown) call_->lengths.push_back({before.cache, before.layer, before.added});
  }
}

std::unique_ptr<TracedCall> Tracer::finish(const Value& result) {
  call_->result = add_part(result);
  add_effects();
  if (is_aborted_) return nullptr;
  trace_.finish();
  return std::move(call_);
}

}  // namespace tl::interp
