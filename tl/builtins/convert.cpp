#include "tl/builtins/convert.h"

#include <cmath>

#include "tl/base/utf8.h"
#include "tl/builtins/builtins.h"
#include "tl/builtins/index.h"
#include "tl/builtins/join.h"
#include "tl/builtins/model.h"
#include "tl/device/kernel.h"
#include "tl/ops/ops.h"
#include "tl/value/map.h"

namespace tl::lang {
namespace {

constexpr i64 kMaxItems = i64{1} << 27;  // of a range that becomes a list or tensor

Error found(const Value& value, std::string_view wanted) {
  return fail(Code::BadProgram, "is {}, want {}", type_name(value), wanted);
}

bool is_whole(f64 v) {
  return std::floor(v) == v && std::abs(v) < 0x1p63;
}

// The shape of nested lists, the widest kind of number in them, and the numbers in row order.
struct Nested {
  Shape shape;
  bool has_float = false, has_int = false, has_bool = false;
  std::vector<f64> floats;
  std::vector<i64> ints;
  std::vector<Value> values;  // while a function is traced
  // Numbers that a device computes and whole tensors as rows, each before the number of what stands in front
  // of it in `floats`.
  struct Part {
    size_t at;
    Tensor tensor;
  };
  std::vector<Part> parts;
  std::optional<DType> rows;  // the widest type of the tensors that are rows

  void saw(DType dtype) { (is_float(dtype) ? has_float : dtype == DType::Bool ? has_bool : has_int) = true; }
};

// A constant without memory is a number like any other, except to a trace: it may be another one next time.
bool is_on_device(const CallContext& ctx, const Tensor& t) {
  return !t->is_scalar || ctx.tracer != nullptr;
}

Result<void> add_leaf(const CallContext& ctx, const Value& value, Nested& out) {
  const Tensor* t = tensor_of(value);
  if (t != nullptr) {  // a constant
    out.saw(t->dtype());
    out.floats.push_back(is_float(t->dtype()) ? (*t)->scalar : static_cast<f64>((*t)->scalar_int));
    out.ints.push_back((*t)->scalar_int);
    return {};
  }
  if (value.is_float())
    out.has_float = true;
  else if (value.is_int())
    out.has_int = true;
  else if (value.is_bool())
    out.has_bool = true;
  else
    return fail(Code::BadProgram, "is a list that holds {}, want numbers", type_name(value));
  out.floats.push_back(value.is_bool() ? (value.as_bool() ? 1 : 0) : value.number());
  out.ints.push_back(value.is_int() ? value.as_int() : value.is_bool() ? value.as_bool() : 0);
  if (ctx.tracer != nullptr) out.values.push_back(value);
  return {};
}

// A number on its way, or the tensor that is a row.
Result<void> add_tensor(const Tensor& t, int depth, Nested& out) {
  const bool is_row = t.rank() > 0;
  if (depth + t.rank() != out.shape.size())
    return fail(Code::BadProgram, "is a list whose rows differ in depth, want a tensor");
  for (int i = 0; i < t.rank(); ++i) {
    if (t.shape()[i] != out.shape[depth + i])
      return fail(Code::BadProgram, "is a list whose rows differ in length, want a tensor");
  }
  if (is_quantised(t.dtype())) return fail(Code::BadProgram, "is a list that holds {}", to_string(t.type()));
  out.saw(t.dtype());
  if (is_row) out.rows = out.rows ? promote(*out.rows, t.dtype()) : t.dtype();
  out.parts.push_back({out.floats.size(), t});
  return {};
}

Result<void> flatten(const CallContext& ctx, const Value& value, int depth, Nested& out) {
  if (const auto* list = value.get_if<List>()) {
    if (depth >= out.shape.size() || out.shape[depth] != static_cast<i64>(list->items.size()))
      return fail(Code::BadProgram, "is a list whose rows differ in length, want a tensor");
    for (const Value& item : list->items) TL_TRY_DO(flatten(ctx, item, depth + 1, out));
    return {};
  }
  const Tensor* t = tensor_of(value);
  if (t != nullptr && is_on_device(ctx, *t)) return add_tensor(*t, depth, out);
  if (depth != out.shape.size())
    return fail(Code::BadProgram, "is a list whose rows differ in depth, want a tensor");
  return add_leaf(ctx, value, out);
}

DType list_dtype(const Nested& nested, std::optional<DType> peer) {
  if (!peer) peer = nested.rows;
  if (nested.has_float) return peer && is_float(*peer) ? *peer : DType::F32;
  if (nested.has_int) return peer && (is_float(*peer) || is_int(*peer)) ? *peer : DType::I64;
  if (nested.has_bool) return DType::Bool;
  return element_type(peer.value_or(DType::F32));  // an empty list
}

// The numbers [begin, end) as a tensor.
Result<Tensor> upload(CallContext& ctx, const Nested& nested, size_t begin, size_t end, const Shape& shape,
                      DType dtype) {
  const auto size = static_cast<size_t>(size_of(dtype));
  std::vector<std::byte> bytes((end - begin) * size);
  for (size_t i = begin; i < end; ++i) {
    const i64 to = static_cast<i64>(i - begin);
    if (is_float(dtype)) {
      store_from_double(dtype, bytes.data(), to, nested.floats[i]);
    } else {
      store_from_int(dtype, bytes.data(), to, nested.ints[i]);
    }
  }
  TL_TRY(Tensor made, ctx.executor().from_host(TensorType{dtype, shape}, bytes));
  if (ctx.tracer != nullptr)
    ctx.tracer->made_literal(made, std::span<const Value>(nested.values).subspan(begin, end - begin));
  return made;
}

// Numbers of the host and of the device in one tensor, level by level. Nothing waits: a program may put what
// it sampled into a list and go on. No size is part of an op, so that a call with others can be replayed.
class ListJoiner {
 public:
  ListJoiner(CallContext& ctx, const Nested& nested, DType dtype)
      : ctx_(ctx), nested_(nested), dtype_(dtype) {}

  Result<Tensor> join(const List& list, int depth) {
    Shape shape;
    for (int i = depth; i < nested_.shape.size(); ++i) shape.push_back(nested_.shape[i]);
    const auto count = static_cast<size_t>(numel(shape));
    if (part_ == nested_.parts.size() || nested_.parts[part_].at >= number_ + count) {
      const size_t first = std::exchange(number_, number_ + count);
      return upload(ctx_, nested_, first, number_, shape, dtype_);
    }
    std::vector<Tensor> pieces;
    for (size_t i = 0; i < list.items.size(); ++i) {
      Tensor row;
      if (const auto* inner = list.items[i].get_if<List>()) {
        TL_TRY(row, join(*inner, depth + 1));
      } else if (is_part(list.items[i])) {
        row = nested_.parts[part_++].tensor;
      } else {
        TL_TRY(row, numbers(list, i));
        pieces.push_back(std::move(row));
        continue;
      }
      if (row.dtype() != dtype_) {
        TL_TRY(row, apply(op_cast, row, Attrs().with_dtype(dtype_)));
      }
      TL_TRY(row, apply(op_unsqueeze, row, Attrs().with_int(0)));
      pieces.push_back(std::move(row));
    }
    if (pieces.size() == 1) return std::move(pieces[0]);
    return join_tensors(ctx_, std::move(pieces), 0);
  }

 private:
  bool is_part(const Value& v) const {
    const Tensor* t = tensor_of(v);
    return t != nullptr && is_on_device(ctx_, *t);
  }
  // The run of numbers from item `i` on, which becomes its last.
  Result<Tensor> numbers(const List& list, size_t& i) {
    const size_t first = number_++;
    for (; i + 1 < list.items.size() && !is_part(list.items[i + 1]); ++i) ++number_;
    return upload(ctx_, nested_, first, number_, {static_cast<i64>(number_ - first)}, dtype_);
  }
  Result<Tensor> apply(const OpDef& op, const Tensor& x, Attrs attrs) {
    return ctx_.executor().apply(op, {&x, 1}, std::move(attrs), ctx_.span);
  }

  CallContext& ctx_;
  const Nested& nested_;
  const DType dtype_;
  size_t number_ = 0, part_ = 0;
};

Result<Tensor> list_to_tensor(CallContext& ctx, const Value& value, std::optional<DType> peer) {
  Nested nested;
  const Value* probe = &value;
  while (const auto* list = probe->get_if<List>()) {
    if (nested.shape.size() == kMaxRank)
      return fail(Code::BadProgram, "is a list of more than {} levels", kMaxRank);
    nested.shape.push_back(static_cast<i64>(list->items.size()));
    if (list->items.empty()) break;
    probe = &list->items[0];
  }
  if (const Tensor* row = tensor_of(*probe)) {
    if (nested.shape.size() + row->rank() > kMaxRank)
      return fail(Code::BadProgram, "is a list of more than {} levels", kMaxRank);
    for (const i64 dim : row->shape()) nested.shape.push_back(dim);
  }
  TL_TRY_DO(flatten(ctx, value, 0, nested));
  const DType dtype = list_dtype(nested, peer);
  if (!nested.parts.empty()) return ListJoiner(ctx, nested, dtype).join(value.as<List>(), 0);
  return upload(ctx, nested, 0, nested.floats.size(), nested.shape, dtype);
}

Result<std::optional<i64>> misfit_in_range(const Range& range, DType peer) {
  if (range.size() == 0) return std::optional<i64>();
  for (const i64 end : {range.at(0), range.at(range.size() - 1)}) {
    if (!holds(peer, end)) return std::optional(end);
  }
  return std::optional<i64>();
}

DType scalar_dtype(const Value& value, std::optional<DType> peer) {
  if (peer) peer = element_type(*peer);
  if (value.is_float()) return peer && is_float(*peer) ? *peer : DType::F32;
  if (value.is_int()) return peer && *peer != DType::Bool ? *peer : DType::I64;
  return DType::Bool;
}

}  // namespace

Result<std::optional<i64>> misfit(CallContext& ctx, const Value& value, std::optional<DType> peer) {
  if (!peer || !is_int(*peer) || *peer == DType::I64) return std::optional<i64>();
  if (value.is_int()) return holds(*peer, value.as_int()) ? std::nullopt : std::optional(value.as_int());
  if (const auto* range = value.get_if<Range>()) return misfit_in_range(*range, *peer);
  if (const auto* list = value.get_if<List>()) {
    for (const Value& item : list->items) {
      if (tensor_of(item) != nullptr) continue;  // numbers on their way: they are no literals
      TL_TRY(const std::optional<i64> found, misfit(ctx, item, peer));
      if (found) return found;
    }
  }
  const auto* known = value.get_if<TensorValue>();
  if (known == nullptr || !known->is_literal || !is_int(known->tensor.dtype())) return std::optional<i64>();
  TL_TRY(const HostTensor host, ctx.executor().read(known->tensor));
  for (i64 i = 0; i < host.numel(); ++i) {
    if (!holds(*peer, host.as_int(i))) return std::optional(host.as_int(i));
  }
  return std::optional<i64>();
}

bool is_weak(const Value& value) {
  return value.is_number() || value.is_bool() || value.is(ObjectKind::List) || value.is(ObjectKind::Range);
}

Value element_value(const HostTensor& tensor, i64 i) {
  if (tensor.type.dtype == DType::Bool) return Value(tensor.as_int(i) != 0);
  if (is_float(tensor.type.dtype)) return Value(tensor.as_double(i));
  return Value(tensor.as_int(i));
}

Result<Value> to_scalar(CallContext& ctx, const Value& value) {
  const Tensor* tensor = tensor_of(value);
  if (tensor == nullptr || numel(tensor->shape()) != 1) return value;
  TL_TRY(const HostTensor host, ctx.executor().read(*tensor));
  return element_value(host, 0);
}

Result<i64> to_int(CallContext& ctx, const Value& value) {
  if (value.is_int()) return value.as_int();
  if (value.is_float()) {
    if (is_whole(value.as_float())) return static_cast<i64>(value.as_float());
    return fail(Code::BadProgram, "is {}, want an int", value.as_float());
  }
  TL_TRY(const Value scalar, to_scalar(ctx, value));
  if (scalar.is_number()) return to_int(ctx, scalar);
  return found(value, "an int");
}

Result<f64> to_float(CallContext& ctx, const Value& value) {
  if (value.is_number()) return value.number();
  TL_TRY(const Value scalar, to_scalar(ctx, value));
  if (scalar.is_number()) return scalar.number();
  return found(value, "a float");
}

Result<bool> to_bool(CallContext& ctx, const Value& value) {
  if (value.is_bool()) return value.as_bool();
  TL_TRY(const Value scalar, to_scalar(ctx, value));
  if (scalar.is_bool()) return scalar.as_bool();
  if (scalar.is_number() && (scalar.number() == 0 || scalar.number() == 1)) return scalar.number() == 1;
  return found(value, "a bool");
}

Result<DType> to_dtype(const Value& value) {
  if (value.is_dtype()) return value.as_dtype();
  if (const auto* text = value.get_if<String>()) {
    if (const auto dtype = find_dtype(text->text)) return *dtype;
    return fail(Code::BadProgram, "is \"{}\", want the name of an element type such as \"float32\"",
                text->text);
  }
  return found(value, "an element type such as float32");
}

Result<std::string_view> to_text(const Value& value) {
  if (const auto* text = value.get_if<String>()) return std::string_view(text->text);
  return found(value, "a string");
}

Result<std::vector<Value>> to_items(CallContext& ctx, const Value& value) {
  if (const auto* list = value.get_if<List>()) return list->items;
  if (const auto* tuple = value.get_if<Tuple>()) return tuple->items;
  if (const Keyed* keyed = keyed_of(value)) return keys_of(*keyed);
  std::vector<Value> items;
  if (const auto* range = value.get_if<Range>()) {
    if (range->size() > kMaxItems)
      return fail(Code::BadProgram, "is a range of {} ints, at most {} make a list", range->size(),
                  kMaxItems);
    for (i64 i = 0; i < range->size(); ++i) items.emplace_back(range->at(i));
    return items;
  }
  if (const Tensor* tensor = tensor_of(value); tensor != nullptr && tensor->rank() == 1) {
    TL_TRY(const HostTensor host, ctx.executor().read(*tensor));
    for (i64 i = 0; i < host.numel(); ++i) items.push_back(element_value(host, i));
    return items;
  }
  if (const Tensor* tensor = tensor_of(value); tensor != nullptr && tensor->rank() > 1) {
    for (i64 i = 0; i < tensor->shape()[0]; ++i) {
      TL_TRY(Value row, index_at(ctx, value, Value(i)));
      items.push_back(std::move(row));
    }
    return items;
  }
  if (const auto* text = value.get_if<String>()) {
    for (std::string_view rest = text->text; !rest.empty();) {
      const size_t size = utf8::char_offset(rest, 1);
      items.push_back(make_string(std::string(rest.substr(0, size))));
      rest.remove_prefix(size);
    }
    return items;
  }
  return found(value, "a list");
}

Result<std::vector<i64>> to_ints(CallContext& ctx, const Value& value) {
  std::vector<i64> out;
  if (const auto* list = value.get_if<List>()) {  // the common case: no copy of the items
    for (const Value& item : list->items) {
      TL_TRY(const i64 i, to_int(ctx, item));
      out.push_back(i);
    }
    return out;
  }
  if (value.is_number() || (tensor_of(value) != nullptr && tensor_of(value)->rank() == 0)) {
    TL_TRY(const i64 i, to_int(ctx, value));
    return std::vector<i64>{i};
  }
  auto items = to_items(ctx, value);
  if (!items.ok()) return found(value, "a list of ints");
  for (const Value& item : *items) {
    TL_TRY(const i64 i, to_int(ctx, item));
    out.push_back(i);
  }
  return out;
}

Result<Tensor> to_tensor(CallContext& ctx, const Value& value, std::optional<DType> peer) {
  TL_TRY(const std::optional<i64> outside, misfit(ctx, value, peer));
  if (outside) return fail(Code::BadProgram, "is {}, which does not fit in {}", *outside, name_of(*peer));
  if (const auto* known = value.get_if<TensorValue>()) {
    const bool takes = peer && (is_float(*peer) || (is_int(*peer) && is_int(known->tensor.dtype())));
    if (!known->is_literal || !takes || known->tensor.dtype() == *peer) return known->tensor;
    TL_TRY(const Value cast, call_op(ctx, "cast", {value, Value(*peer)}));
    return *tensor_of(cast);
  }
  if (value.is_int()) {
    Tensor made = scalar_tensor(value.as_int(), scalar_dtype(value, peer));
    if (ctx.tracer != nullptr) ctx.tracer->made_scalar(made, value);
    return made;
  }
  if (value.is_float()) return scalar_tensor(value.as_float(), scalar_dtype(value, peer));
  if (value.is_bool()) return scalar_tensor(value.as_bool() ? i64{1} : i64{0}, DType::Bool);
  if (value.is(ObjectKind::List)) return list_to_tensor(ctx, value, peer);
  if (value.is(ObjectKind::Range) || value.is(ObjectKind::Tuple)) {
    TL_TRY(std::vector<Value> items, to_items(ctx, value));
    return list_to_tensor(ctx, make_list(std::move(items)), peer);
  }
  if (value.is(ObjectKind::ModelPath)) return model_path_tensor(ctx, value);
  return found(value, "a tensor");
}

Result<Value> convert(CallContext& ctx, const Value& value, ParamKind kind) {
  switch (kind) {
    case ParamKind::Any:
      return value;
    case ParamKind::Int: {
      TL_TRY(const i64 i, to_int(ctx, value));
      return Value(i);
    }
    case ParamKind::Float: {
      TL_TRY(const f64 f, to_float(ctx, value));
      return Value(f);
    }
    case ParamKind::Number: {
      TL_TRY(Value scalar, to_scalar(ctx, value));
      return scalar.is_number() ? Result<Value>(std::move(scalar)) : Result<Value>(found(value, "a number"));
    }
    case ParamKind::Bool: {
      TL_TRY(const bool b, to_bool(ctx, value));
      return Value(b);
    }
    case ParamKind::DType: {
      TL_TRY(const DType d, to_dtype(value));
      return Value(d);
    }
    case ParamKind::Ints: {
      TL_TRY(const std::vector<i64> ints, to_ints(ctx, value));
      return make_ints(ints);
    }
    case ParamKind::String:
      if (value.is(ObjectKind::String)) return value;
      return found(value, "a string");
    case ParamKind::List: {
      if (value.is(ObjectKind::List)) return value;
      TL_TRY(std::vector<Value> items, to_items(ctx, value));
      return make_list(std::move(items));
    }
    case ParamKind::Tensor: {
      if (value.is(ObjectKind::Tensor)) return value;
      TL_TRY(Tensor tensor, to_tensor(ctx, value));
      return make_tensor(std::move(tensor));
    }
  }
  return value;
}

}  // namespace tl::lang
