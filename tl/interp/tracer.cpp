#include "tl/interp/tracer.h"

#include <algorithm>
#include <atomic>

#include "tl/builtins/model.h"

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

// Natives that need more care than "what they are given must be as it was".
enum class Native : u8 { Shape, Len, Numel, Aware, TensorList, CacheLayer, CacheLength, Change, Append };

const Native* special(std::string_view name) {
  static const std::unordered_map<std::string_view, Native> kNatives = {
      {"shape", Native::Shape},        {"len", Native::Len},
      {"numel", Native::Numel},        {"rank", Native::Aware},
      {"ndim", Native::Aware},         {"dtype", Native::Aware},
      {"linear", Native::Aware},       {"layer_norm", Native::Aware},
      {"tensor", Native::Aware},       {"from_array", Native::Aware},
      {"from_vec", Native::Aware},     {"concat", Native::TensorList},
      {"k", Native::CacheLayer},       {"v", Native::CacheLayer},
      {"get_k", Native::CacheLayer},   {"get_v", Native::CacheLayer},
      {"length", Native::CacheLength}, {"append", Native::Append},
      {"push", Native::Change},        {"pop", Native::Change},
      {"extend", Native::Change},      {"insert", Native::Change},
      {"remove", Native::Change},      {"set", Native::Change},
      {"clear", Native::Change},
  };
  const auto it = kNatives.find(name);
  return it == kNatives.end() ? nullptr : &it->second;
}

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

}  // namespace

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

void Tracer::abort(std::string reason) {
  if (is_aborted_) return;
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
  } else if (const auto* s = v.get_if<lang::Struct>()) {
    const i32 place = is_callers(v) ? place_of(v) : -1;
    for (size_t i = 0; i < s->fields.size(); ++i) {
      const Value& field = s->fields[i];
      fix_deep(place < 0 ? field : read(Place::Kind::Field, place, static_cast<u32>(i), field), depth + 1);
    }
  }
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
    if (place.kind != Place::Kind::Arg && place.kind != Place::Kind::Item) return;
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
      break;
    case ObjectKind::KVCache:
      place.use = Use::Cache;
      place.value = {};
      place.number = static_cast<u32>(found.as<KVCache>().layers.size());
      break;
    case ObjectKind::Function:
      break;
    default:
      abort(fmt::format("it is given {}", type_name(found)));
  }
}

void Tracer::use_tensor(Place& place, i32 self, const Value& found) {
  const auto& tensor = found.as<TensorValue>();
  if (tensor.tensor->state == NodeState::Failed) return abort("an argument could not be computed");
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
  if (!is_aborted_) hold(constant, trace_.add_constant(constant));
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

// ---- Instructions -----------------------------------------------------------------------------------------

bool Tracer::arithmetic(const Instr& i, Value* base) {
  const Value &x = base[i.b], &y = base[i.c];
  if (x.is_int() && y.is_int() && (symbol_of(x) >= 0 || symbol_of(y) >= 0)) {
    i64 r = 0;
    const bool overflows = i.op == Op::Add   ? __builtin_add_overflow(x.as_int(), y.as_int(), &r)
                           : i.op == Op::Sub ? __builtin_sub_overflow(x.as_int(), y.as_int(), &r)
                           : i.op == Op::Mul ? __builtin_mul_overflow(x.as_int(), y.as_int(), &r)
                                             : true;
    if (!overflows) {
      const auto op = i.op == Op::Add   ? TraceInt::Op::Add
                      : i.op == Op::Sub ? TraceInt::Op::Sub
                                        : TraceInt::Op::Mul;
      const i32 a = symbol_for(x), b = symbol_for(y);
      base[i.a] = make_int(r, add_int({.op = op, .a = a, .b = b}));
      return true;
    }
  }
  const bool with_tensor = x.is(ObjectKind::Tensor) || y.is(ObjectKind::Tensor);
  for (const Value* v : {&x, &y}) {
    if (!v->is_int() || !with_tensor) fix_numbers(*v);  // an int that meets a tensor becomes one: made_scalar
  }
  return false;
}

bool Tracer::comparison(const Instr& i, Value* base) {
  const Value &x = base[i.b], &y = base[i.c];
  if (!x.is_int() || !y.is_int()) {
    fix_numbers(x), fix_numbers(y);
    return false;
  }
  if (symbol_of(x) < 0 && symbol_of(y) < 0) return false;
  const i64 a = x.as_int(), b = y.as_int();
  i32 p = symbol_for(x), q = symbol_for(y);
  TraceInt::Op how = TraceInt::Op::Equal;
  bool holds = false, is_negated = false;
  switch (i.op) {
    case Op::Equal:
    case Op::NotEqual:
      holds = a == b, is_negated = i.op == Op::NotEqual;
      break;
    case Op::Less:
    case Op::GreaterEqual:
      how = TraceInt::Op::Less, holds = a < b, is_negated = i.op == Op::GreaterEqual;
      break;
    default:
      how = TraceInt::Op::LessEqual, holds = a <= b, is_negated = i.op == Op::Greater;
  }
  trace_.add_guard(add_int({.op = how, .a = p, .b = q}), holds ? 1 : 0, where_);
  base[i.a] = Value(holds != is_negated);
  return true;
}

bool Tracer::index(const Instr& i, Value* base) {
  const Value &object = base[i.b], &at = base[i.c];
  fix_numbers(at);
  if (const Tensor* t = tensor_of(object)) {
    fix_shape(*t);
    return false;
  }
  const auto* items = items_of(object);
  if (items == nullptr || !is_callers(object)) {
    if (object.is_object() && items == nullptr) fix_deep(object);
    return false;
  }
  if (!at.is_int()) {
    fix_deep(object);
    return false;
  }
  const i32 place = place_of(object);
  const i64 size = static_cast<i64>(items->size());
  if (at.as_int() < 0) read_items(object);  // counted from the end
  const i64 p = at.as_int() < 0 ? at.as_int() + size : at.as_int();
  if (place < 0 || p < 0 || p >= size) {
    read_items(object);
    return false;
  }
  Value item = read(Place::Kind::Item, place, static_cast<u32>(p), (*items)[static_cast<size_t>(p)]);
  if ((i.takes & kTakesB) != 0) base[i.b].clear();
  if ((i.takes & kTakesC) != 0) base[i.c].clear();
  base[i.a] = std::move(item);
  return true;
}

bool Tracer::get_field(const Instr& i, Value* base, const Proto& proto) {
  const Value& object = base[i.b];
  const std::string& name = proto.names[i.long_c()];
  Value found;
  if (const Tensor* t = tensor_of(object); t != nullptr && name == "shape") {
    const SourceRef ref = ref_of(*t);
    std::vector<Value> dims;
    for (int axis = 0; axis < t->rank(); ++axis)
      dims.push_back(make_int(t->shape()[axis], add_int({.op = TraceInt::Op::Dim, .a = ref, .b = axis})));
    found = lang::make_list(std::move(dims));
  } else if (const auto* s = object.get_if<lang::Struct>(); s != nullptr && is_callers(object)) {
    const int at = s->type.find(name);
    const i32 place = place_of(object);
    if (at < 0 || place < 0) return false;
    found = read(Place::Kind::Field, place, static_cast<u32>(at), s->fields[static_cast<size_t>(at)]);
  } else {
    if (is_callers(object)) fix_deep(object);
    return false;
  }
  if ((i.takes & kTakesB) != 0) base[i.b].clear();
  base[i.a] = std::move(found);
  return true;
}

void Tracer::before_coerce(const Value& v, const TypeSpec& spec) {
  switch (spec.kind) {
    case TypeSpec::Kind::Float:
      return fix(v);
    case TypeSpec::Kind::Tensor:
      if (const Tensor* t = tensor_of(v)) {
        if (spec.has_rank || !spec.named.empty()) fix_shape(*t);
      } else if (v.is_object() || spec.has_rank) {
        fix_numbers(v);
      }
      return;
    default:
      return;
  }
}

bool Tracer::visit(const Instr& i, Value* base, const Proto& proto, const lang::Function* closure,
                   Span where) {
  if (is_aborted_) return false;
  where_ = where;
  switch (i.op) {
    case Op::GetGlobal: {
      const Value& global = globals_[static_cast<size_t>(i.wide())];
      if (global.is_empty()) return false;
      base[i.a] = read(Place::Kind::Global, -1, static_cast<u32>(i.wide()), global);
      return true;
    }
    case Op::SetGlobal:
      abort("it sets a global");
      return false;
    case Op::GetCell: {
      const Value& cell = base[i.b];
      if (!is_callers(cell)) return false;
      const i32 place = place_of(cell);
      if (place < 0) return false;
      Value found = read(Place::Kind::Cell, place, 0, cell.as<lang::Cell>().value);
      base[i.a] = std::move(found);
      return true;
    }
    case Op::SetCell:
      if (is_callers(base[i.a])) abort("it sets a variable of the function around it");
      return false;
    case Op::LoadCapture: {
      if (closure == nullptr || closure->birth == birth_) return false;
      const auto it = place_of_object_.find(closure);
      if (it == place_of_object_.end()) {
        abort("it calls a function that came neither from its arguments nor from a global");
        return false;
      }
      base[i.a] = read(Place::Kind::Capture, it->second, i.b, closure->captures[i.b]);
      return true;
    }
    case Op::Add:
    case Op::Sub:
    case Op::Mul:
    case Op::Div:
    case Op::Mod:
    case Op::Pow:
    case Op::MatMul:
      return arithmetic(i, base);
    case Op::AddInt: {
      const Value& x = base[i.b];
      i64 r = 0;
      if (symbol_of(x) < 0 || __builtin_add_overflow(x.as_int(), i.amount(), &r)) {
        if (!x.is(ObjectKind::Tensor)) fix_numbers(x);
        return false;
      }
      const i32 a = symbol_for(x), b = symbol_for(Value(i.amount()));
      base[i.a] = make_int(r, add_int({.op = TraceInt::Op::Add, .a = a, .b = b}));
      return true;
    }
    case Op::Equal:
    case Op::NotEqual:
    case Op::Less:
    case Op::LessEqual:
    case Op::Greater:
    case Op::GreaterEqual:
      return comparison(i, base);
    case Op::Negate:
    case Op::Not:
    case Op::Cast:
      fix_numbers(base[i.b]);
      return false;
    case Op::Approximately:
    case Op::In:
    case Op::NotIn:
      fix_numbers(base[i.b]), fix_numbers(base[i.c]);
      return false;
    case Op::Coerce:
      before_coerce(base[i.a], proto.types[i.long_c()]);
      return false;
    case Op::Index:
      return index(i, base);
    case Op::IndexMany: {
      const IndexSpec& spec = proto.indices[i.long_c()];
      for (u16 k = 0; k < spec.count; ++k) fix_numbers(base[spec.first + k]);
      fix_deep(base[i.b]);
      return false;
    }
    case Op::SetIndex:
      fix_numbers(base[i.b]);
      if (const Tensor* t = tensor_of(base[i.a])) {
        fix_shape(*t);
      } else if (is_callers(base[i.a])) {
        abort("it changes a list of its caller's");
      }
      return false;
    case Op::SetIndexMany: {
      const IndexSpec& spec = proto.indices[i.long_b()];
      for (u16 k = 0; k < spec.count; ++k) fix_numbers(base[spec.first + k]);
      if (const Tensor* t = tensor_of(base[i.a])) {
        fix_shape(*t);
      } else if (is_callers(base[i.a])) {
        abort("it changes a list of its caller's");
      }
      return false;
    }
    case Op::SetField:
      if (is_callers(base[i.a])) abort("it changes a struct of its caller's");
      fix(base[i.c]);  // the field's type may convert
      return false;
    case Op::GetField:
      return get_field(i, base, proto);
    case Op::MakeRange:
      fix_numbers(base[i.b]), fix_numbers(base[i.b + 1]);
      return false;
    case Op::RepeatList:
      fix_numbers(base[i.c]);
      return false;
    case Op::MakeList:
    case Op::GrowList: {
      bool has_float = false;
      for (u16 k = 0; k < i.c; ++k) has_float = has_float || base[i.b + k].is_float();
      for (u16 k = 0; has_float && k < i.c; ++k) fix(base[i.b + k]);
      return false;
    }
    case Op::FinishList: {
      const auto& items = base[i.b].as<List>().items;
      const bool has_float =
          std::any_of(items.begin(), items.end(), [](const Value& v) { return v.is_float(); });
      for (const Value& v : items) {
        if (has_float) fix(v);
      }
      return false;
    }
    case Op::MakeStruct: {
      const StructInfo& info = *program_.structs[i.b];
      for (size_t k = 0; k < info.field_types.size(); ++k) before_coerce(base[i.c + k], info.field_types[k]);
      return false;
    }
    case Op::Interpolate:
      for (size_t k = 0, n = 0; k < proto.texts[i.long_b()].size(); ++k) {
        if (proto.texts[i.long_b()][k].is_value) fix_deep(base[i.c + n++]);
      }
      return false;
    case Op::ForPrepare:
      if (i.b != 0) {
        fix_numbers(base[i.a]), fix_numbers(base[i.a + 1]);
      } else {
        fix_deep(base[i.a]);
      }
      return false;
    case Op::Unpack:
      if (!base[i.b].is_object() || is_callers(base[i.b])) fix_deep(base[i.b]);
      return false;
    default:
      return false;
  }
}

// ---- Builtins ---------------------------------------------------------------------------------------------

// Which attributes of the op that is recorded next are ints of the trace. Lists become tensors of them.
void Tracer::before_op(const Builtin& row, std::span<Value> args) {
  patches_.clear();
  patched_op_ = row.op;
  const bool of_numbers = args.size() == 1 && row.parsed.params[0].kind == lang::ParamKind::Tensor;
  if (of_numbers) fix(args[0]);
  i32 scalars = 0;
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
            if (item.is_object()) fix_deep(item);
            items.push_back(read(Place::Kind::Item, place, static_cast<u32>(k), item));
          }
          v = lang::make_list(std::move(items));
        }
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
        if (row.op->is_random && v.is_empty() && p.default_value.is_empty()) {
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
}

// The tensors of a cache's layer, before the call changes them, become inputs.
void Tracer::use_layer(const Value& cache, const Value& layer) {
  fix(layer);
  const i32 place = place_of(cache);
  auto& layers = cache.as<KVCache>().layers;
  if (is_aborted_ || !layer.is_int() || layer.as_int() < 0 ||
      layer.as_int() >= static_cast<i64>(layers.size())) {
    return;
  }
  const u32 number = static_cast<u32>(layer.as_int());
  const bool is_known = std::any_of(layers_.begin(), layers_.end(), [&](const CacheLayer& l) {
    return l.cache == place && l.layer == number;
  });
  if (is_known) return;
  const KVCache::Layer& at = layers[number];
  if (!at.keys || !at.values) return abort("the cache is still empty");
  const auto add = [&](Place::Kind kind, const Tensor& t) {
    const size_t before = call_->inputs.size();
    read(kind, place, number, lang::make_tensor(t));
    return call_->inputs.size() > before ? static_cast<i32>(before) : -1;
  };
  const i32 keys = add(Place::Kind::Keys, at.keys), values = add(Place::Kind::Values, at.values);
  layers_.push_back({place, number, at.keys, at.values, keys, values});
}

bool Tracer::cache_length(const Value& cache, Value& result) {
  const auto& c = cache.as<KVCache>();
  if (!is_callers(cache)) return false;
  if (c.layers.empty() || !c.layers[0].keys) {
    abort("the cache is still empty");
    return false;
  }
  use_layer(cache, Value(i64{0}));
  const SourceRef ref = ref_of(c.layers[0].keys);
  result = make_int(c.length(), add_int({.op = TraceInt::Op::Dim, .a = ref, .b = 0}));
  return !is_aborted_;
}

// What changes its first argument may do so only to what the call has made itself.
bool Tracer::change(const Builtin& builtin, std::span<Value> args) {
  if (args.empty() || !args[0].is_object()) return false;
  if (!args[0].is(ObjectKind::List) || is_callers(args[0])) {
    abort(fmt::format("{} changes {} of its caller's", builtin.name, type_name(args[0])));
    return false;
  }
  const bool stores = builtin.name == "push" || builtin.name == "append";
  for (const Value& v : args.subspan(1)) {
    if (!stores) fix_deep(v);
  }
  return false;
}

bool Tracer::call(const Builtin& builtin, std::span<Value> args, Value& result) {
  if (is_aborted_) return false;
  if (builtin.op != nullptr) {
    before_op(builtin, args);
    return false;
  }
  const Native* kind = special(builtin.name);
  const Tensor* first = args.empty() ? nullptr : tensor_of(args[0]);
  if (kind == nullptr) {
    if (builtin.effect != lang::Effect::Pure) {
      abort(fmt::format("it calls {}", builtin.name));
      return false;
    }
    for (const Value& v : args) fix_deep(v);
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
      else if (is_callers(args[0]))
        use_layer(args[0], args[1]);
      fix(args[1]);
      return false;
    case Native::CacheLength:
      if (!args[0].is(ObjectKind::KVCache)) return false;
      return cache_length(args[0], result);
    case Native::Append:
      if (args[0].is(ObjectKind::KVCache)) {
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
      return change(builtin, args);
  }
  return false;
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
