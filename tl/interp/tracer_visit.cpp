// What each instruction does to the ints and objects of a call that is traced.
#include <algorithm>

#include "tl/interp/tracer.h"

namespace tl::interp {

using lang::List;
using lang::ObjectKind;

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
    // Compared with none only the kind of a thing counts, which every place fixes.
    if ((x.is_empty() || y.is_empty()) && (i.op == Op::Equal || i.op == Op::NotEqual)) return false;
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
    case Op::Cast:
      // A tensor of one element becomes a number.
      if (const Tensor* t = tensor_of(base[i.b]); t != nullptr) fix_shape(*t);
      fix_numbers(base[i.b]);
      return false;
    case Op::Negate:
    case Op::Not:
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
        fix_lists_of_callers(base[i.c]);
      } else if (is_callers(base[i.a])) {
        abort("it changes a list of its caller's");
      }
      return false;
    case Op::SetIndexMany: {
      const IndexSpec& spec = proto.indices[i.long_b()];
      for (u16 k = 0; k < spec.count; ++k) fix_numbers(base[spec.first + k]);
      if (const Tensor* t = tensor_of(base[i.a])) {
        fix_shape(*t);
        fix_lists_of_callers(base[i.c]);
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
      if (info.has_drop) abort("it makes something with a drop");
      for (size_t k = 0; k < info.field_types.size(); ++k) before_coerce(base[i.c + k], info.field_types[k]);
      return false;
    }
    case Op::Interpolate:
      for (size_t k = 0, n = 0; k < proto.texts[i.long_b()].size(); ++k) {
        if (!proto.texts[i.long_b()][k].is_value) continue;
        if (holds_cache(base[i.c + n])) abort("it makes text of a KVCache");
        fix_deep(base[i.c + n++]);
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
    case Op::IsList:
    case Op::TakeItem:
    case Op::TakeRest:
      if (!base[i.b].is_object() || is_callers(base[i.b])) fix_deep(base[i.b]);
      return false;
    case Op::IsOrdered:
      return false;
    case Op::BeginTry:
      abort("it handles failures");
      return false;
    default:
      return false;
  }
}

}  // namespace tl::interp
