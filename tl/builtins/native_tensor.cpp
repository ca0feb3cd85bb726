// Tensors where an op alone is not enough: questions about types, conversions, forms of the first
// implementation.
#include "tl/builtins/convert.h"
#include "tl/builtins/families.h"
#include "tl/builtins/index.h"
#include "tl/builtins/join.h"
#include "tl/builtins/operators.h"
#include "tl/exec/checksum.h"
#include "tl/ops/einsum/einsum.h"
#include "tl/ops/ops.h"

namespace tl::lang {
namespace {

Result<Value> native_shape(CallContext& ctx, std::span<Value> args) {
  if (const auto* list = args[0].get_if<List>(); list != nullptr && !list->items.empty() &&
                                                 !list->items[0].is_number() &&
                                                 !list->items[0].is(ObjectKind::List)) {
    return make_list({Value(static_cast<i64>(list->items.size()))});
  }
  TL_TRY(const Tensor t, to_tensor(ctx, args[0]));
  return make_ints(t.shape());
}

Result<Value> native_dtype(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Tensor t, to_tensor(ctx, args[0]));
  return Value(t.dtype());
}

Result<Value> native_rank(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Tensor t, to_tensor(ctx, args[0]));
  return Value(static_cast<i64>(t.rank()));
}

Result<Value> native_numel(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Tensor t, to_tensor(ctx, args[0]));
  return Value(numel(t.shape()));
}

Result<Value> native_item(CallContext& ctx, std::span<Value> args) {
  TL_TRY(Tensor tensor, to_tensor(ctx, args[0]));
  TL_TRY(const Value scalar, to_scalar(ctx, make_tensor(std::move(tensor))));
  if (scalar.is_number() || scalar.is_bool()) return scalar;
  return fail(Code::BadProgram, "item: argument 'x' is {}, want one number", type_name(args[0]));
}

// tensor(values, dtype), tensor(values, shape) and both.
Result<Value> native_tensor(CallContext& ctx, std::span<Value> args) {
  const bool type_first = args[1].is_dtype() || args[1].is(ObjectKind::String);
  const Value& type = type_first ? args[1] : args[2];
  const Value& shape = type_first ? args[2] : args[1];
  std::optional<DType> dtype;
  if (!type.is_empty()) {
    TL_TRY(dtype, to_dtype(type));
  }
  auto made = to_tensor(ctx, args[0], dtype);
  if (!made.ok()) return std::move(made).error().within("tensor");
  Value out = make_tensor(std::move(made).value());
  if (dtype && tensor_of(out)->dtype() != *dtype) {
    TL_TRY(out, call_op(ctx, "cast", {out, Value(*dtype)}));
  }
  return shape.is_empty() ? out : call_op(ctx, "reshape", {out, shape});
}

Value nested_list(const HostTensor& host, int axis, i64& at) {
  if (axis == host.type.rank()) return element_value(host, at++);
  std::vector<Value> items;
  for (i64 i = 0; i < host.type.shape[axis]; ++i) items.push_back(nested_list(host, axis + 1, at));
  return make_list(std::move(items));
}

Result<Value> native_to_list(CallContext& ctx, std::span<Value> args) {
  if (tensor_of(args[0]) == nullptr && !args[0].is(ObjectKind::ModelPath)) {
    TL_TRY(std::vector<Value> items, to_items(ctx, args[0]));
    return make_list(std::move(items));
  }
  TL_TRY(const Tensor t, to_tensor(ctx, args[0]));
  TL_TRY(const HostTensor host, ctx.executor().read(t));
  i64 at = 0;
  return nested_list(host, 0, at);
}

Result<Value> native_chunk(CallContext& ctx, std::span<Value> args) {
  const i64 count = args[1].as_int();
  if (count < 1) return fail(Code::BadProgram, "chunk: argument 'count' is {}", count);
  i64 size = 0;
  if (const Tensor* t = tensor_of(args[0])) {
    auto axis = checked_axis(args[2].as_int(), t->shape());
    if (!axis.ok()) return std::move(axis).error().within("chunk");
    size = t->shape()[*axis];
  } else {
    TL_TRY(const std::vector<Value> items, to_items(ctx, args[0]));
    size = static_cast<i64>(items.size());
  }
  return split_parts(ctx, args[0], size == 0 ? 1 : 1 + (size - 1) / count, args[2].as_int());
}

Result<Value> native_checksum(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Tensor t, to_tensor(ctx, args[0]));
  TL_TRY(const HostTensor host, ctx.executor().read(t));
  return make_string(checksum_hex(checksum(host)));
}

Result<Value> native_rand_seed(CallContext& ctx, std::span<Value> args) {
  ctx.executor().recorder().seed(static_cast<u64>(args[0].as_int()));
  return Value::unit();
}

Result<Value> joined(Result<Tensor> result, std::string_view who) {
  if (!result.ok()) return std::move(result).error().within(who);
  return make_tensor(std::move(result).value());
}

// Tensors; numbers and lists among them take the type of the first tensor.
Result<std::vector<Tensor>> to_parts(CallContext& ctx, std::span<const Value> values) {
  std::optional<DType> peer;
  for (const Value& v : values) {
    const auto* t = v.get_if<TensorValue>();
    if (t != nullptr && !t->is_literal && !peer) peer = t->tensor.dtype();
  }
  std::vector<Tensor> parts;
  for (const Value& v : values) {
    TL_TRY(Tensor part, to_tensor(ctx, v, peer));
    parts.push_back(std::move(part));
  }
  return parts;
}

// concat(a, b, axis), and concat([a, b, c], axis) of a list; lists that hold no tensors are joined as lists.
Result<Value> native_concat(CallContext& ctx, std::span<Value> args) {
  const bool is_list = args[0].is(ObjectKind::List) && (args[1].is_empty() || args[1].is_int());
  if (!is_list) {
    if (args[1].is_empty())
      return fail(Code::BadProgram, "concat: found one {}, want two tensors or a list of them",
                  type_name(args[0]));
    if (args[0].is(ObjectKind::List) && args[1].is(ObjectKind::List) && args[2].is_empty()) {
      std::vector<Value> items = args[0].as<List>().items;
      const auto& more = args[1].as<List>().items;
      items.insert(items.end(), more.begin(), more.end());
      return make_list(std::move(items));
    }
    const i64 no_axis = 0;
    TL_TRY(const i64 axis, args[2].is_empty() ? Result<i64>(no_axis) : to_int(ctx, args[2]));
    TL_TRY(std::vector<Tensor> both, to_parts(ctx, args.first(2)));
    return joined(join_tensors(ctx, std::move(both), axis), "concat");
  }
  const std::vector<Value>& items = args[0].as<List>().items;
  if (items.empty()) return fail(Code::BadProgram, "concat: the list is empty");
  const i64 axis = args[1].is_int() ? args[1].as_int() : args[2].is_int() ? args[2].as_int() : 0;
  TL_TRY(std::vector<Tensor> parts, to_parts(ctx, items));
  return joined(join_tensors(ctx, std::move(parts), axis), "concat");
}

Result<Value> native_stack(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const std::vector<Value> items, to_items(ctx, args[0]));
  if (items.empty()) return fail(Code::BadProgram, "stack: the list is empty");
  TL_TRY(std::vector<Tensor> parts, to_parts(ctx, items));
  const Shape first = parts[0].shape();
  for (Tensor& part : parts) {
    if (!(part.shape() == first)) {
      return fail(Code::BadProgram, "stack: shapes differ: {} and {}", to_string(first),
                  to_string(part.shape()));
    }
    auto wide = call_op(ctx, "unsqueeze", {make_tensor(part), args[1]});
    if (!wide.ok()) return std::move(wide).error().within("stack");
    part = *tensor_of(*wide);
  }
  return joined(join_tensors(ctx, std::move(parts), args[1].as_int()), "stack");
}

Result<Value> native_top_k_values(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Value both, call_op(ctx, "topk", {args[0], args[1]}));
  return both.as<Tuple>().items[0];
}
Result<Value> native_top_k_indices(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Value both, call_op(ctx, "topk", {args[0], args[1]}));
  return both.as<Tuple>().items[1];
}

Result<Value> native_einsum(CallContext& ctx, std::span<Value> args) {
  std::vector<Tensor> inputs;
  std::optional<DType> peer;
  for (const Value& arg : args.subspan(1)) {
    if (const auto* t = arg.get_if<TensorValue>(); t != nullptr && !t->is_literal && !peer)
      peer = t->tensor.dtype();
  }
  for (const Value& arg : args.subspan(1)) {
    TL_TRY(Tensor t, to_tensor(ctx, arg, peer));
    inputs.push_back(std::move(t));
  }
  const auto apply = [&](const OpDef& op, std::span<const Tensor> tensors, Attrs attrs) {
    return ctx.executor().apply(op, tensors, std::move(attrs), ctx.span);
  };
  TL_TRY(Tensor result, einsum(apply, args[0].as<String>().text, inputs));
  return make_tensor(std::move(result));
}

Result<Value> native_linear(CallContext& ctx, std::span<Value> args) {
  TL_TRY(Value out, call_op(ctx, "linear", {args[0], args[1]}));
  return args[2].is_empty() ? out : apply_operator(ctx, Operator::Add, out, args[2]);
}

// layer_norm(x), layer_norm(x, weight, bias, eps); the first implementation's second argument, an int or
// list, is the width of the rows and says nothing new.
Result<Value> native_layer_norm(CallContext& ctx, std::span<Value> args) {
  const bool has_weight = tensor_of(args[1]) != nullptr || args[1].is(ObjectKind::ModelPath);
  if (!has_weight) {
    const Value& eps = args[2].is_float() ? args[2] : args[3];
    return call_op(ctx, "layer_norm", {args[0], eps});
  }
  if (args[2].is_empty()) {
    TL_TRY(const Value normed, call_op(ctx, "layer_norm", {args[0], args[3]}));
    return apply_operator(ctx, Operator::Mul, normed, args[1]);
  }
  return call_op(ctx, "layer_norm_affine", {args[0], args[1], args[2], args[3]});
}

// slice(x, start, end) along axis 0, of lists too; slice(x, row, start, end) of one row.
Result<Value> native_slice(CallContext& ctx, std::span<Value> args) {
  const IndexItem range{.kind = IndexItem::Kind::Slice, .begin = args[1], .end = args[2]};
  if (args[3].is_empty()) return index(ctx, args[0], {&range, 1});
  const IndexItem items[] = {{.value = args[1]},
                             {.kind = IndexItem::Kind::Slice, .begin = args[2], .end = args[3]}};
  return index(ctx, args[0], items);
}

Result<Value> native_slice_last(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Tensor t, to_tensor(ctx, args[0]));
  auto axis = checked_axis(args[1].as_int(), t.shape());
  if (!axis.ok()) return std::move(axis).error().within("slice_last");
  std::vector<IndexItem> items(static_cast<size_t>(*axis), IndexItem{.kind = IndexItem::Kind::Slice});
  items.push_back({.value = Value(i64{-1})});
  return index(ctx, make_tensor(t), items);
}

Result<Value> native_wait(CallContext& ctx, std::span<Value> args) {
  for (const Value& v : args) {
    if (const Tensor* t = tensor_of(v)) TL_TRY_DO(ctx.executor().wait(*t));
  }
  return Value::unit();
}

const Builtin kRows[] = {
    {"concat", "(a: any, b: any = none, axis: any = none) -> tensor",
     "b after a along an axis (0); or all of a list.",
     "concat([[1.0], [2.0]], [[3.0]])  //~ [[1.0000] [2.0000] [3.0000]] shape=[3, 1] float32", Effect::Pure,
     native_concat},
    {"einsum", "(spec: string, x: any...) -> tensor", "An Einstein sum: \"ij,jk->ik\" is the matrix product.",
     "einsum(\"i,i->\", [1.0, 2.0], [3.0, 4.0])  //~ 11", Effect::Pure, native_einsum},
    {"layer_norm", "(x: any, weight: any = none, bias: any = none, eps: float = 1e-5) -> tensor",
     "Shifts and scales each row to mean 0 and variance 1, then times weight plus bias.",
     "layer_norm([1.0, 3.0])  //~ [-1.0000 1.0000] shape=[2] float32", Effect::Pure, native_layer_norm},
    {"linear", "(x: any, weight: any, bias: any = none) -> tensor",
     "Products of the rows of x with the rows of weight, which may be quantised, plus bias.",
     "linear([1.0, 2.0], [[3.0, 4.0], [5.0, 6.0]])  //~ [11.0000 17.0000] shape=[2] float32", Effect::Pure,
     native_linear},
    {"slice", "(x: any, start: any, end: any, last: any = none) -> any",
     "x[start:end], or x[start, end:last] with four arguments.", "slice([5, 6, 7], 1, 3)  //~ [6, 7]",
     Effect::Pure, native_slice},
    {"slice_last", "(x: any, axis: int = 0) -> tensor", "The last slice along an axis.",
     "slice_last([[1.0, 2.0], [3.0, 4.0]], 0)  //~ [3.0000 4.0000] shape=[2] float32", Effect::Pure,
     native_slice_last},
    {"stack", "(xs: any, axis: int = 0) -> tensor", "Tensors of one shape along a new axis.",
     "stack([tensor([1.0, 2.0]), tensor([3.0, 4.0])])  //~ [[1.0000 2.0000] [3.0000 4.0000]] shape=[2, 2] "
     "float32",
     Effect::Pure, native_stack},
    {"checksum", "(x: any) -> string", "16 hex digits over element type, shape and values.",
     "len(checksum([1.0, 2.0]))  //~ 16", Effect::Pure, native_checksum},
    {"chunk", "(x: any, count: int, axis: int = 0) -> list",
     "A list or tensor in so many parts of about the same size.",
     "chunk([1, 2, 3, 4], 2)  //~ [[1, 2], [3, 4]]", Effect::Pure, native_chunk},
    {"dtype", "(x: any) -> dtype", "The element type of a tensor.", "dtype([1.5])  //~ float32", Effect::Pure,
     native_dtype},
    {"from_array", "(values: any, shape: any = none, dtype: any = none) -> tensor", "The same as tensor.",
     "shape(from_array([1.0, 2.0]))  //~ [2]", Effect::Pure, native_tensor},
    {"from_vec", "(values: any, shape: any = none, dtype: any = none) -> tensor", "The same as tensor.",
     "shape(from_vec([1.0, 2.0]))  //~ [2]", Effect::Pure, native_tensor},
    {"item", "(x: any) -> any", "The number in a tensor of one element; waits for it.",
     "item([2.5])  //~ 2.5", Effect::Pure, native_item},
    {"ndim", "(x: any) -> int", "How many axes a tensor has.", "ndim([[1.0]])  //~ 2", Effect::Pure,
     native_rank},
    {"numel", "(x: any) -> int", "How many elements a tensor has.", "numel([[1.0, 2.0]])  //~ 2",
     Effect::Pure, native_numel},
    {"rand_seed", "(seed: int) -> unit", "Starts the random numbers anew.", "rand_seed(1)", Effect::Mutates,
     native_rand_seed},
    {"rank", "(x: any) -> int", "How many axes a tensor has.", "rank([[1.0]])  //~ 2", Effect::Pure,
     native_rank},
    {"shape", "(x: any) -> list", "The dims of a tensor.", "shape([[1.0, 2.0]])  //~ [1, 2]", Effect::Pure,
     native_shape},
    {"tensor", "(values: any, shape: any = none, dtype: any = none) -> tensor",
     "A tensor of a list of numbers, nested or not; of a shape, of an element type.",
     "tensor([1, 2], float32)  //~ [1.0000 2.0000] shape=[2] float32", Effect::Pure, native_tensor},
    {"top_k_indices", "(x: tensor, k: int) -> tensor",
     "Where the k largest of each row are, as int64, in falling order; the first of equals comes first.",
     "top_k_indices([3.0, 1.0, 2.0], 2)  //~ [0 2] shape=[2] int64", Effect::Pure, native_top_k_indices},
    {"top_k_values", "(x: tensor, k: int) -> tensor", "The k largest of each row, in falling order.",
     "top_k_values([3.0, 1.0, 2.0], 2)  //~ [3.0000 2.0000] shape=[2] float32", Effect::Pure,
     native_top_k_values},
    {"to_list", "(x: any) -> list", "The elements of a tensor as nested lists.",
     "to_list([[1.5], [2.0]])  //~ [[1.5], [2.0]]", Effect::Pure, native_to_list},
    {"to_vec", "(x: any) -> list", "The same as to_list.", "to_vec([1.5])  //~ [1.5]", Effect::Pure,
     native_to_list},
    {"wait", "(x: any...) -> unit", "Waits until the tensors are computed.", "wait([1.0])", Effect::Pure,
     native_wait},
};

}  // namespace

std::span<const Builtin> tensor_natives() {
  return kRows;
}

}  // namespace tl::lang
