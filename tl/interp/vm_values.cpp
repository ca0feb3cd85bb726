// Instructions outside of the loop: they compute, build, take apart and convert values.
#include <algorithm>
#include <cmath>

#include "tl/base/utf8.h"
#include "tl/builtins/convert.h"
#include "tl/builtins/tensor_index.h"
#include "tl/interp/vm.h"
#include "tl/value/map.h"
#include "tl/value/text.h"

namespace tl::interp {

using lang::List;
using lang::ObjectKind;
using lang::TensorValue;

bool Vm::prepare_for(Value* state, bool counts, bool of_pairs) {
  if (counts) {
    i64 first = 0, last = 0;
    if (!take(lang::to_int(ctx_, state[0]), first) || !take(lang::to_int(ctx_, state[1]), last)) {
      error_.message = "a bound of the range " + error_.message;
      return false;
    }
    state[0].set(first), state[1].set(last);
    return true;
  }
  Value& over = state[0];
  state[1].set(i64{0});
  if (over.is(ObjectKind::List) || over.is(ObjectKind::Range) || over.is(ObjectKind::Tuple)) return true;
  if (const lang::Keyed* keyed = lang::keyed_of(over)) {  // as it is now: the loop may change it
    over = lang::make_list(of_pairs && keyed->has_values() ? lang::pairs_of(*keyed) : lang::keys_of(*keyed));
    return true;
  }
  if (const auto* text = over.get_if<lang::String>()) {
    std::vector<Value> chars;
    for (std::string_view rest = text->text; !rest.empty();) {
      const size_t size = utf8::char_offset(rest, 1);
      chars.push_back(lang::make_string(std::string(rest.substr(0, size))));
      rest.remove_prefix(size);
    }
    over = lang::make_list(std::move(chars));
    return true;
  }
  if (over.is(ObjectKind::ModelPath)) {
    Tensor tensor;
    if (!take(lang::to_tensor(ctx_, over), tensor)) return false;
    over = lang::make_tensor(std::move(tensor));
  }
  const Tensor* tensor = tensor_of(over);
  if (tensor == nullptr || tensor->rank() == 0) {
    return fail_with(fail(Code::BadProgram, "'for' cannot go over {}", type_name(over)));
  }
  if (tensor->rank() > 1) return true;
  std::vector<Value> items;
  if (!take(lang::to_items(ctx_, over), items)) return false;
  over = lang::make_list(std::move(items));
  return true;
}

bool Vm::next_item(Value* state, Value& out, bool& has) {
  const i64 at = state[1].as_int();
  has = true;
  switch (state[0].object()->kind) {
    case ObjectKind::List:
    case ObjectKind::Tuple: {
      const auto& items =
          state[0].is(ObjectKind::List) ? state[0].as<List>().items : state[0].as<lang::Tuple>().items;
      if (static_cast<size_t>(at) >= items.size())
        has = false;
      else
        out = items[static_cast<size_t>(at)];
      break;
    }
    case ObjectKind::Range: {
      const auto& range = state[0].as<lang::Range>();
      if (at >= range.size())
        has = false;
      else
        out.set(range.at(at));
      break;
    }
    default: {
      const Tensor& tensor = state[0].as<TensorValue>().tensor;
      if (at >= tensor.shape()[0])
        has = false;
      else if (!take(lang::index_at(ctx_, state[0], Value(at)), out))
        return false;
    }
  }
  state[1].set(at + 1);
  return true;
}

bool Vm::interpolate(const std::vector<TextPart>& parts, Value* values, Value& out) {
  std::string text;
  for (const TextPart& part : parts) {
    if (!part.is_value) {
      text += part.text;
      continue;
    }
    std::string piece;
    if (!take(lang::format_value(ctx_.reader(), *values, part.spec), piece)) return false;
    text += piece;
    values->clear();
    ++values;
  }
  out = lang::make_string(std::move(text));
  return true;
}

bool Vm::make_struct(const StructInfo& info, Value* fields, Value& out) {
  auto* object = new lang::Struct(info);
  out = Value(object);
  object->is_dropped = true;  // until it is whole
  for (size_t i = 0; i < info.fields.size(); ++i) {
    if (!coerce(fields[i], info.field_types[i], info.fields[i])) return false;
    object->fields[i] = std::move(fields[i]);
  }
  object->is_dropped = false;
  return true;
}

// A list of ints and floats is one of floats.
Value make_number_list(std::vector<Value> items) {
  bool has_float = false, has_int = false, only_numbers = true;
  for (const Value& item : items) {
    has_float = has_float || item.is_float();
    has_int = has_int || item.is_int();
    only_numbers = only_numbers && item.is_number();
  }
  if (has_float && has_int && only_numbers) {
    for (Value& item : items) item.set(item.number());
  }
  return lang::make_list(std::move(items));
}

// Rows that are tensors of the program's have a type of their own, which the whole then keeps.
static bool has_typed_row(const std::vector<Value>& items) {
  return std::any_of(items.begin(), items.end(), [](const Value& item) {
    if (const auto* list = item.get_if<List>()) return has_typed_row(list->items);
    const auto* row = item.get_if<TensorValue>();
    return row != nullptr && !row->is_literal && row->tensor.rank() > 0;
  });
}

bool Vm::make_tensor_literal(std::vector<Value> items, Value& out) {
  const bool is_literal = !has_typed_row(items);
  const Value list = lang::make_list(std::move(items));
  auto made = lang::to_tensor(ctx_, list);
  if (!made.ok()) {
    made.error().message = "literal " + made.error().message;
    return fail_with(std::move(made).error());
  }
  out = Value(new TensorValue(std::move(made).value(), is_literal));
  return true;
}

void Vm::make_closure(const Frame& frame, const ClosureSpec& spec, Value& out) {
  const Proto& proto = *program_.protos[static_cast<size_t>(spec.proto)];
  auto* function = new lang::Function(&proto, proto.name);
  out = Value(function);
  for (const ClosureSpec::Source& source : spec.sources) {
    function->captures.push_back(source.from_capture ? frame.closure->captures[source.index]
                                                     : frame.base[source.index]);
  }
}

static std::vector<lang::IndexItem> items_of(const IndexSpec& spec, Value* base) {
  std::vector<lang::IndexItem> items;
  Value* next = base + spec.first;
  for (const auto kind : spec.kinds) {
    lang::IndexItem item{.kind = kind};
    if (kind == lang::IndexItem::Kind::At) item.value = std::move(*next++);
    if (kind == lang::IndexItem::Kind::Slice) {
      item.begin = std::move(next[0]), item.end = std::move(next[1]), item.step = std::move(next[2]);
      next += 3;
    }
    items.push_back(std::move(item));
  }
  return items;
}

bool Vm::index_many(const IndexSpec& spec, Value* base, const Value& object, Value& out) {
  return take(lang::index(ctx_, object, items_of(spec, base)), out);
}

bool Vm::set_index_many(const IndexSpec& spec, Value* base, Value& object, const Value& value) {
  const std::vector<lang::IndexItem> items = items_of(spec, base);
  Value after;
  if (!take(lang::set_index(ctx_, object, std::span<const lang::IndexItem>(items), value), after))
    return false;
  object = std::move(after);
  return true;
}

bool Vm::set_field(Value& object, const std::string& name, const Value& value) {
  auto* target = object.get_if<lang::Struct>();
  if (target == nullptr)
    return fail_with(fail(Code::BadProgram, "fields of {} cannot be set", type_name(object)));
  const int at = target->type.find(name);
  if (at < 0) return fail_with(fail(Code::BadProgram, "{} has no field '{}'", target->type.name, name));
  Value converted = value;
  if (!coerce(converted, static_cast<const StructInfo&>(target->type).field_types[static_cast<size_t>(at)],
              name))
    return false;
  target->fields[static_cast<size_t>(at)] = std::move(converted);
  return true;
}

bool Vm::unpack(const Value& from, Value* to, size_t count) {
  const auto* tuple = from.get_if<lang::Tuple>();
  const auto* list = from.get_if<List>();
  const std::vector<Value>* const held = tuple != nullptr  ? &tuple->items
                                         : list != nullptr ? &list->items
                                                           : nullptr;
  if (held != nullptr && held->size() == count) {
    const Value keep = from;  // it may be held by one of the registers
    for (size_t i = 0; i < count; ++i) to[i] = (*held)[i];
    return true;
  }
  std::vector<Value> items;
  if (!take(lang::to_items(ctx_, from), items)) {
    return fail_with(
        fail(Code::BadProgram, "{} cannot be taken apart into {} values", type_name(from), count));
  }
  if (items.size() != count) {
    return fail_with(fail(Code::BadProgram, "{} values cannot be taken apart into {}", items.size(), count));
  }
  for (size_t i = 0; i < count; ++i) to[i] = std::move(items[i]);
  return true;
}

bool Vm::cast(const CastSpec& spec, const Value& value, Value& out) {
  const Tensor* tensor = tensor_of(value);
  const bool is_plain = value.is_number() || value.is_bool() || value.is(ObjectKind::String) ||
                        (tensor != nullptr && numel(tensor->shape()) == 1 && spec.is_scalar);
  if (is_plain && spec.is_scalar) return take(lang::cast(ctx_, value, spec.scalar), out);
  if (!spec.tensor_dtype) return take(lang::cast(ctx_, value, spec.scalar), out);
  return take(lang::cast(ctx_, value, *spec.tensor_dtype), out);
}

static Error unfit(const Value& value, std::string_view name, std::string_view wanted) {
  return fail(Code::BadProgram, "'{}' is {}, want {}", name, type_name(value), wanted);
}

static bool fits(const Shape& shape, const std::vector<i64>& dims) {
  if (static_cast<size_t>(shape.size()) != dims.size()) return false;
  for (int i = 0; i < shape.size(); ++i) {
    const i64 want = dims[static_cast<size_t>(i)];
    if (want >= 0 && want != shape[i]) return false;
  }
  return true;
}

static std::string text_of_spec(const TypeSpec& spec) {
  std::string dims;
  for (const i64 d : spec.dims)
    dims += fmt::format("{}{}", dims.empty() ? "" : ", ", d < 0 ? "?" : fmt::format("{}", d));
  return fmt::format("{}[{}]", name_of(spec.dtype), spec.has_rank ? dims : "...");
}

bool Vm::coerce(Value& value, const TypeSpec& spec, std::string_view name) {
  const Tensor* tensor = tensor_of(value);
  switch (spec.kind) {
    case TypeSpec::Kind::Any:
      return true;
    case TypeSpec::Kind::Int:
      if (value.is_int() || (tensor != nullptr && tensor->rank() == 0 && is_int(tensor->dtype())))
        return true;
      if (value.is_float() && std::abs(value.as_float()) < 0x1p63 &&
          std::floor(value.as_float()) == value.as_float()) {
        value.set(static_cast<i64>(value.as_float()));
        return true;
      }
      return fail_with(unfit(value, name, "int"));
    case TypeSpec::Kind::Float:
      if (value.is_int()) value.set(static_cast<f64>(value.as_int()));
      if (value.is_float() || (tensor != nullptr && tensor->rank() == 0)) return true;
      return fail_with(unfit(value, name, "float"));
    case TypeSpec::Kind::Bool:
      if (value.is_bool() || (tensor != nullptr && tensor->rank() == 0)) return true;
      return fail_with(unfit(value, name, "bool"));
    case TypeSpec::Kind::String:
      if (value.is(ObjectKind::String)) return true;
      return fail_with(unfit(value, name, "string"));
    case TypeSpec::Kind::Tensor:
      break;
  }
  if (!spec.converts && (value.is_number() || value.is_bool())) return true;  // a number serves as a tensor
  Tensor made;
  if (!take(lang::to_tensor(ctx_, value, spec.dtype), made))
    return fail_with(unfit(value, name, text_of_spec(spec)));
  if (spec.converts && made.dtype() != spec.dtype) {
    Value cast;
    if (!take(call_op(ctx_, "cast", {lang::make_tensor(made), Value(spec.dtype)}), cast)) return false;
    made = *tensor_of(cast);
  }
  const bool known = std::all_of(spec.dims.begin(), spec.dims.end(), [](i64 d) { return d >= 0; });
  if (spec.converts && spec.has_rank && known && !fits(made.shape(), spec.dims)) {
    Value shaped;
    if (!take(call_op(ctx_, "reshape", {lang::make_tensor(made), lang::make_ints(spec.dims)}), shaped))
      return false;
    made = *tensor_of(shaped);
  }
  if (spec.has_rank && !fits(made.shape(), spec.dims))
    return fail_with(unfit(lang::make_tensor(made), name, text_of_spec(spec)));
  if (tensor == nullptr || !(made == *tensor)) value = lang::make_tensor(std::move(made));
  return true;
}

bool Vm::bind_dims(const Value& value, const TypeSpec& spec, std::string_view name, Value* base) {
  const Tensor* tensor = tensor_of(value);
  if (tensor == nullptr) return true;  // a number serves as a tensor
  for (const TypeSpec::NamedDim& dim : spec.named) {
    const i64 found = tensor->shape()[dim.axis];
    Value& bound = base[dim.reg];
    if (bound.is_empty()) bound.set(found);
    if (bound.as_int() == found) continue;
    return fail_with(fail(Code::BadProgram, "'{}' is {}, want {} = {} on axis {}", name, type_name(value),
                          dim.name, bound.as_int(), dim.axis));
  }
  return true;
}

// ---- Instructions -----------------------------------------------------------------------------------------

bool Vm::operate(const Instr& i, Value* base) {
  const auto op = static_cast<Operator>(static_cast<int>(i.op) - static_cast<int>(Op::Add));
  if (op == Operator::Add && i.a == i.b && lang::append_text(base[i.a], base[i.c])) {
    if ((i.takes & kTakesC) != 0) base[i.c].clear();
    return true;
  }
  Value result;
  if (!take(apply_operator(ctx_, op, base[i.b], base[i.c]), result)) return false;
  clear_taken(i, base);
  base[i.a] = std::move(result);
  return true;
}

bool Vm::add_amount(const Instr& i, Value* base) {
  const Operator op = i.amount() < 0 ? Operator::Sub : Operator::Add;
  Value result;
  if (!take(apply_operator(ctx_, op, base[i.b], Value(std::abs(i.amount()))), result)) return false;
  clear_taken(i, base);
  base[i.a] = std::move(result);
  return true;
}

bool Vm::compute_value(const Instr& i, Value* base) {
  Value result;
  bool done = false, inside = false;
  switch (i.op) {
    case Op::Negate:
      done = take(lang::negate(ctx_, base[i.b]), result);
      break;
    case Op::Not:
      done = take(lang::logical_not(ctx_, base[i.b]), result);
      break;
    case Op::Approximately:
      done = take(lang::approximately(ctx_, base[i.b], base[i.c]), result);
      break;
    case Op::In:
    case Op::NotIn:
      done = take(lang::contains(ctx_, base[i.b], base[i.c]), inside);
      result.set(inside == (i.op == Op::In));
      break;
    case Op::Cast:
      done = cast(frames_.back().proto->casts[i.long_c()], base[i.b], result);
      break;
    default:
      TL_CHECK(false, "instruction {} computes no value", static_cast<int>(i.op));
  }
  if (!done) return false;
  clear_taken(i, base);
  base[i.a] = std::move(result);
  return true;
}

bool Vm::make_value(const Instr& i, Value* base) {
  const Proto& proto = *frames_.back().proto;
  Value result;
  switch (i.op) {
    case Op::MakeList:
    case Op::MakeTuple: {
      std::vector<Value> items(std::make_move_iterator(base + i.b),
                               std::make_move_iterator(base + i.b + i.c));
      if (i.op == Op::MakeTuple)
        result = lang::make_tuple(std::move(items));
      else if (i.takes == 0)
        result = make_number_list(std::move(items));
      else if (!make_tensor_literal(std::move(items), result))
        return false;
      break;
    }
    case Op::GrowList: {
      auto& items = base[i.a].as<List>().items;
      items.insert(items.end(), std::make_move_iterator(base + i.b),
                   std::make_move_iterator(base + i.b + i.c));
      return true;
    }
    case Op::FinishList: {
      std::vector<Value> items = std::move(base[i.b].as<List>().items);
      base[i.b].clear();
      if (i.c == 0)
        result = make_number_list(std::move(items));
      else if (!make_tensor_literal(std::move(items), result))
        return false;
      break;
    }
    case Op::MakeRange: {
      i64 first = 0, last = 0;
      if (!take(lang::to_int(ctx_, base[i.b]), first)) return false;
      if (!take(lang::to_int(ctx_, base[i.b + 1]), last)) return false;
      result = Value(new lang::Range(first, i.c != 0 && last < INT64_MAX ? last + 1 : last, 1));
      break;
    }
    case Op::RepeatList: {
      const Value args[] = {base[i.b], base[i.c]};
      if (!take(call_positional(*lang::find_builtin("filled"), ctx_, args), result)) return false;
      break;
    }
    case Op::MakeStruct:
      if (!make_struct(*program_.structs[i.b], base + i.c, result)) return false;
      break;
    case Op::MakeClosure:
      make_closure(frames_.back(), proto.closures[static_cast<size_t>(i.wide())], result);
      break;
    case Op::Interpolate:
      if (!interpolate(proto.texts[i.long_b()], base + i.c, result)) return false;
      break;
    default:
      TL_CHECK(false, "instruction {} makes no value", static_cast<int>(i.op));
  }
  base[i.a] = std::move(result);
  free_cycles();
  return true;
}

bool Vm::look_up(const Instr& i, Value* base) {
  const Proto& proto = *frames_.back().proto;
  Value result;
  bool done = false;
  switch (i.op) {
    case Op::Index: {
      done = true;
      if (const auto* map = base[i.b].get_if<lang::Map>()) {
        done = take(lang::map_at(ctx_, *map, base[i.c]), result);
        break;
      }
      const lang::IndexItem item{.value = base[i.c]};
      if ((i.takes & kForUpdate) != 0 && base[i.b].is(ObjectKind::Tensor) && lang::is_mask(item))
        result = base[i.b];
      else
        done = take(lang::index(ctx_, base[i.b], {&item, 1}), result);
      break;
    }
    case Op::IndexMany:
      done = index_many(proto.indices[i.long_c()], base, base[i.b], result);
      break;
    case Op::GetField:
      done = take(lang::get_field(ctx_, base[i.b], proto.names[i.long_c()]), result);
      break;
    default:
      TL_CHECK(false, "instruction {} looks nothing up", static_cast<int>(i.op));
  }
  if (!done) return false;
  clear_taken(i, base);
  base[i.a] = std::move(result);
  return true;
}

bool Vm::change_part(const Instr& i, Value* base) {
  const Proto& proto = *frames_.back().proto;
  if (i.op != Op::SetField && (i.takes & kIfTensor) != 0 && !base[i.c].is(ObjectKind::Tensor)) return true;
  switch (i.op) {
    case Op::SetIndex: {
      if (auto* map = base[i.a].get_if<lang::Map>())
        return allow(lang::set_in_map(ctx_, *map, base[i.b], base[i.c]));
      Value after;
      if (!take(lang::set_index(ctx_, base[i.a], {lang::IndexItem{.value = base[i.b]}}, base[i.c]), after))
        return false;
      base[i.a] = std::move(after);
      return true;
    }
    case Op::SetIndexMany:
      return set_index_many(proto.indices[i.long_b()], base, base[i.a], base[i.c]);
    case Op::SetField:
      return set_field(base[i.a], proto.names[i.long_b()], base[i.c]);
    default:
      TL_CHECK(false, "instruction {} changes no part", static_cast<int>(i.op));
  }
}

// Of a list, or a range, that IsList has found long enough.
bool Vm::take_from_list(const Instr& i, Value* base) {
  const auto* list = base[i.b].get_if<List>();
  const auto* range = base[i.b].get_if<lang::Range>();
  const size_t size = list != nullptr ? list->items.size() : static_cast<size_t>(range->size());
  const auto at = [&](size_t k) {
    return list != nullptr ? list->items[k] : Value(range->at(static_cast<i64>(k)));
  };
  if (i.op == Op::TakeItem) {
    base[i.a] = at((i.takes & kFromEnd) != 0 ? size - i.c : i.c);
    return true;
  }
  std::vector<Value> rest;
  for (size_t k = i.c % 256; k < size - i.c / 256; ++k) rest.push_back(at(k));
  base[i.a] = lang::make_list(std::move(rest));
  free_cycles();
  return true;
}

bool Vm::match_value(const Instr& i, Value* base) {
  switch (i.op) {
    case Op::Unpack:
      if (!unpack(base[i.b], base + i.a, i.c)) return false;
      clear_taken(i, base);
      return true;
    case Op::IsTuple: {
      const auto* tuple = base[i.b].get_if<lang::Tuple>();
      base[i.a].set(tuple != nullptr && tuple->items.size() == i.c);
      return true;
    }
    case Op::IsStruct: {
      const auto* object = base[i.b].get_if<lang::Struct>();
      base[i.a].set(object != nullptr && &object->type == program_.structs[i.c].get());
      return true;
    }
    case Op::IsList: {
      const bool is_list = base[i.b].is(ObjectKind::List) || base[i.b].is(ObjectKind::Range);
      const size_t size = base[i.b].is(ObjectKind::Range)
                              ? static_cast<size_t>(base[i.b].as<lang::Range>().size())
                          : is_list ? base[i.b].as<List>().items.size()
                                    : 0;
      base[i.a].set(is_list && ((i.takes & kOrMore) != 0 ? size >= i.c : size == i.c));
      return true;
    }
    case Op::IsOrdered: {
      const Value &x = base[i.b], &y = base[i.c];
      base[i.a].set((x.is_number() && y.is_number()) ||
                    (x.is(ObjectKind::String) && y.is(ObjectKind::String)));
      return true;
    }
    case Op::TakeItem:
    case Op::TakeRest:
      return take_from_list(i, base);
    case Op::NoMatch:
      return fail_with(fail(Code::BadProgram, "no arm of 'match' takes {}", type_name(base[i.a])));
    default:
      TL_CHECK(false, "instruction {} matches nothing", static_cast<int>(i.op));
  }
}

}  // namespace tl::interp
