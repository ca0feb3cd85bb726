// Arrays as NumPy has them, made of ops: parts moved about, grids, sums over neighbours, chance.
#include <algorithm>
#include <cmath>

#include "tl/base/physical_memory.h"
#include "tl/builtins/convert.h"
#include "tl/builtins/families.h"
#include "tl/builtins/index.h"
#include "tl/builtins/join.h"
#include "tl/builtins/operators.h"
#include "tl/builtins/tensor_index.h"
#include "tl/device/kernel.h"

namespace tl::lang {
namespace {

Result<Value> joined(CallContext& ctx, std::vector<Tensor> parts, i64 axis) {
  if (parts.size() == 1) return make_tensor(std::move(parts[0]));
  TL_TRY(Tensor whole, join_tensors(ctx, std::move(parts), axis));
  return make_tensor(std::move(whole));
}

Result<Value> flat(CallContext& ctx, const Value& x) {
  const i64 all[] = {-1};
  return call_op(ctx, "reshape", {x, make_ints(all)});
}

Result<i64> axis_of(const Value& x, const Value& axis, i64 otherwise) {
  const i64 wanted = axis.is_int() ? axis.as_int() : otherwise;
  TL_TRY(const int at, checked_axis(wanted, tensor_of(x)->shape()));
  return i64{at};
}

// x[..., item, ...] with the item on one axis.
Result<Value> on_axis(CallContext& ctx, const Value& x, i64 axis, IndexItem item) {
  std::vector<IndexItem> items(static_cast<size_t>(axis), IndexItem{.kind = IndexItem::Kind::Slice});
  items.push_back(std::move(item));
  return index_tensor(ctx, x, items);
}

// ---- Parts moved about
// --------------------------------------------------------------------------------------

// Without an axis, of all elements in their order.
Result<Value> native_roll(CallContext& ctx, std::span<Value> args) {
  Value x = args[0];
  const bool is_flat = args[2].is_empty() && tensor_of(x)->rank() > 1;
  const Shape shape = tensor_of(x)->shape();
  if (is_flat) {
    TL_TRY(x, flat(ctx, x));
  }
  TL_TRY(const i64 axis, axis_of(x, args[2], 0));
  const i64 size = tensor_of(x)->shape()[static_cast<int>(axis)];
  const i64 shift = size == 0 ? 0 : ((args[1].as_int() % size) + size) % size;
  if (shift != 0) {
    TL_TRY(const Value last, slice_axis(ctx, x, axis, size - shift, size));
    TL_TRY(const Value first, slice_axis(ctx, x, axis, 0, size - shift));
    TL_TRY(x, joined(ctx, {*tensor_of(last), *tensor_of(first)}, axis));
  }
  return is_flat ? call_op(ctx, "reshape", {x, make_ints(shape)}) : Result<Value>(x);
}

Result<Value> native_flip(CallContext& ctx, std::span<Value> args) {
  Value x = args[0];
  std::vector<i64> axes;
  if (args[1].is_empty()) {
    for (i64 i = 0; i < tensor_of(x)->rank(); ++i) axes.push_back(i);
  } else {
    TL_TRY(axes, to_ints(ctx, args[1]));
  }
  for (const i64 given : axes) {
    TL_TRY(const i64 axis, axis_of(x, Value(given), 0));
    TL_TRY(x, on_axis(ctx, x, axis, {.kind = IndexItem::Kind::Slice, .step = Value(i64{-1})}));
  }
  return x;
}

// Every `size` elements of x, which lie one behind the other, `times` over: `axis` becomes so many times
// longer.
Result<Value> repeated(CallContext& ctx, const Value& x, i64 axis, i64 size, i64 times) {
  std::vector<i64> shape(tensor_of(x)->shape().begin(), tensor_of(x)->shape().end());
  i64& grown = shape[static_cast<size_t>(axis)];
  if (__builtin_mul_overflow(grown, times, &grown))
    return fail(Code::BadProgram, "{} times {} is too much for an axis", to_string(tensor_of(x)->type()),
                times);
  const i64 all = numel(tensor_of(x)->shape());
  if (all == 0) return call_op(ctx, "reshape", {x, make_ints(shape)});
  const std::vector<i64> parts = {all / size, 1, size};
  const std::vector<i64> more = {parts[0], times, size};
  TL_TRY(Value out, call_op(ctx, "reshape", {x, make_ints(parts)}));
  TL_TRY(out, call_op(ctx, "broadcast_to", {out, make_ints(more)}));
  return call_op(ctx, "reshape", {out, make_ints(shape)});
}

// How many elements lie behind `axis`, with or without its own.
i64 size_from(const Tensor& x, i64 axis) {
  i64 size = 1;
  for (i64 k = axis; k < x.rank(); ++k) size *= x.shape()[static_cast<int>(k)];
  return size;
}

Result<Value> native_tile(CallContext& ctx, std::span<Value> args) {
  TL_TRY(std::vector<i64> times, to_ints(ctx, args[1]));
  Value x = args[0];
  std::vector<i64> shape(tensor_of(x)->shape().begin(), tensor_of(x)->shape().end());
  if (shape.size() < times.size()) {
    shape.insert(shape.begin(), times.size() - shape.size(), 1);
    TL_TRY(x, call_op(ctx, "reshape", {x, make_ints(shape)}));
  }
  times.insert(times.begin(), shape.size() - times.size(), 1);
  for (size_t k = 0; k < times.size(); ++k) {
    const i64 axis = static_cast<i64>(k);
    if (times[k] < 0) return fail(Code::BadProgram, "tile: {} times", times[k]);
    if (times[k] == 0) {
      TL_TRY(x, slice_axis(ctx, x, axis, 0, 0));
    } else if (times[k] > 1) {
      TL_TRY(x, repeated(ctx, x, axis, size_from(*tensor_of(x), axis), times[k]));
    }
  }
  return x;
}

// repeat(text, n) is text; of a tensor or list every element n times over, along an axis or of all in order.
Result<Value> native_repeat(CallContext& ctx, std::span<Value> args) {
  if (args[0].is(ObjectKind::String)) {
    TL_TRY(const i64 times, to_int(ctx, args[1]));
    return apply_operator(ctx, Operator::Mul, args[0], Value(times));
  }
  TL_TRY(Tensor given, to_tensor(ctx, args[0]));
  Value x = make_tensor(std::move(given));
  if (args[2].is_empty()) {
    TL_TRY(x, flat(ctx, x));
  }
  TL_TRY(const i64 axis, axis_of(x, args[2], 0));
  const i64 size = tensor_of(x)->shape()[static_cast<int>(axis)];
  TL_TRY(const std::vector<i64> times, to_ints(ctx, args[1]));
  if (times.size() != 1 && static_cast<i64>(times.size()) != size)
    return fail(Code::BadProgram, "repeat: {} counts for an axis of {}", times.size(), size);
  i64 total = 0;
  for (const i64 n : times) {
    if (n < 0) return fail(Code::BadProgram, "repeat: {} times", n);
    if (__builtin_add_overflow(total, n, &total) || total > physical_memory_bytes()) {
      return fail(Code::OutOfMemory, "repeat: {} and more elements are more than this machine's memory holds",
                  n);
    }
  }
  if (total == 0) return slice_axis(ctx, x, axis, 0, 0);
  if (times.size() == 1) return repeated(ctx, x, axis, size_from(*tensor_of(x), axis + 1), times[0]);
  std::vector<i64> ids;
  for (i64 i = 0; i < size; ++i) ids.insert(ids.end(), static_cast<size_t>(times[static_cast<size_t>(i)]), i);
  return call_op(ctx, "index_select", {x, Value(axis), make_ints(ids)});
}

// ---- Grids and triangles
// --------------------------------------------------------------------------------------

Result<Value> native_meshgrid(CallContext& ctx, std::span<Value> args) {
  std::vector<Value> axes(args.begin(), args.end());
  bool is_xy = true;
  if (!axes.empty() && axes.back().is(ObjectKind::String)) {
    const std::string& order = axes.back().as<String>().text;
    if (order != "xy" && order != "ij")
      return fail(Code::BadProgram, "meshgrid: the order is \"{}\", want \"xy\" or \"ij\"", order);
    is_xy = order == "xy";
    axes.pop_back();
  }
  std::vector<i64> shape;
  for (Value& axis : axes) {
    TL_TRY(Tensor t, to_tensor(ctx, axis));
    if (t.rank() != 1) return fail(Code::BadProgram, "meshgrid: found {}, want rows", to_string(t.type()));
    shape.push_back(t.shape()[0]);
    axis = make_tensor(std::move(t));
  }
  const auto place = [&](size_t i) { return is_xy && axes.size() > 1 && i < 2 ? 1 - i : i; };
  std::vector<i64> whole(shape.size());
  for (size_t i = 0; i < shape.size(); ++i) whole[place(i)] = shape[i];
  std::vector<Value> out;
  for (size_t i = 0; i < axes.size(); ++i) {
    std::vector<i64> dims(shape.size(), 1);
    dims[place(i)] = shape[i];
    TL_TRY(const Value wide, call_op(ctx, "reshape", {axes[i], make_ints(dims)}));
    TL_TRY(Value grid, call_op(ctx, "broadcast_to", {wide, make_ints(whole)}));
    out.push_back(std::move(grid));
  }
  return make_tuple(std::move(out));
}

// True on and below the k-th diagonal.
Result<Value> below(CallContext& ctx, const Tensor& x, i64 k) {
  if (x.rank() < 2) return fail(Code::BadProgram, "found {}, want matrices", to_string(x.type()));
  TL_TRY(const Value mask,
         call_op(ctx, "causal_mask",
                 {Value(x.shape()[x.rank() - 2]), Value(x.shape()[x.rank() - 1]), Value(k)}));
  return call_op(ctx, "cast", {mask, Value(DType::Bool)});
}
Result<Value> zero_of(CallContext& ctx, const Tensor& x) {
  return call_op(ctx, "cast", {make_tensor(scalar_tensor(i64{0}, DType::I64)), Value(x.dtype())});
}

Result<Value> native_tril(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Value keep, below(ctx, *tensor_of(args[0]), args[1].as_int()));
  TL_TRY(const Value zero, zero_of(ctx, *tensor_of(args[0])));
  return call_op(ctx, "where", {keep, args[0], zero});
}
Result<Value> native_triu(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Value drop, below(ctx, *tensor_of(args[0]), args[1].as_int() - 1));
  TL_TRY(const Value zero, zero_of(ctx, *tensor_of(args[0])));
  return call_op(ctx, "where", {drop, zero, args[0]});
}

// A row as the diagonal of a matrix; of matrices their diagonals.
Result<Value> native_diag(CallContext& ctx, std::span<Value> args) {
  const Tensor x = *tensor_of(args[0]);
  if (x.rank() == 0) return fail(Code::BadProgram, "diag: found a number, want a row or matrix");
  const i64 rows = x.rank() == 1 ? x.shape()[0] : x.shape()[x.rank() - 2];
  const i64 cols = x.shape()[x.rank() - 1], n = std::min(rows, cols);
  std::vector<i64> steps(static_cast<size_t>(n));
  if (x.rank() > 1) {  // every (cols + 1)-th number of the matrices laid out
    for (i64 i = 0; i < n; ++i) steps[static_cast<size_t>(i)] = i * (cols + 1);
    std::vector<i64> shape(x.shape().begin(), x.shape().end() - 2);
    shape.push_back(rows * cols);
    TL_TRY(const Value laid, call_op(ctx, "reshape", {args[0], make_ints(shape)}));
    return call_op(ctx, "index_select", {laid, Value(static_cast<i64>(shape.size()) - 1), make_ints(steps)});
  }
  TL_TRY(const Value eye, call_op(ctx, "eye", {Value(n), Value(DType::Bool)}));
  TL_TRY(const Value zero, zero_of(ctx, x));
  return call_op(ctx, "where", {eye, args[0], zero});
}
Result<Value> native_trace(CallContext& ctx, std::span<Value> args) {
  if (tensor_of(args[0])->rank() < 2) return fail(Code::BadProgram, "trace: found no matrix");
  TL_TRY(const Value diagonal, native_diag(ctx, args));
  const i64 last[] = {-1};
  return call_op(ctx, "sum", {diagonal, make_ints(last)});
}

Result<Value> native_logspace(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Value exponents, call_op(ctx, "linspace", {args[0], args[1], args[2], args[4]}));
  return apply_operator(ctx, Operator::Pow, args[3], exponents);
}

Result<Value> native_outer(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Value a, flat(ctx, args[0]));
  TL_TRY(const Value b, flat(ctx, args[1]));
  TL_TRY(const Value column, call_op(ctx, "unsqueeze", {a, Value(i64{1})}));
  return apply_operator(ctx, Operator::Mul, column, b);
}

// ---- Neighbours
// -----------------------------------------------------------------------------------------------

Result<Value> native_diff(CallContext& ctx, std::span<Value> args) {
  Value x = args[0];
  TL_TRY(const i64 axis, axis_of(x, args[2], -1));
  for (i64 i = 0; i < args[1].as_int(); ++i) {
    const i64 size = tensor_of(x)->shape()[static_cast<int>(axis)];
    TL_TRY(const Value after, slice_axis(ctx, x, axis, std::min<i64>(1, size), size));
    TL_TRY(const Value before, slice_axis(ctx, x, axis, 0, std::max<i64>(size - 1, 0)));
    TL_TRY(x, apply_operator(ctx, Operator::Sub, after, before));
  }
  return x;
}

Result<Value> native_trapz(CallContext& ctx, std::span<Value> args) {
  const Value& y = args[0];
  TL_TRY(const i64 axis, axis_of(y, args[3], -1));
  const i64 size = tensor_of(y)->shape()[static_cast<int>(axis)];
  TL_TRY(const Value after, slice_axis(ctx, y, axis, std::min<i64>(1, size), size));
  TL_TRY(const Value before, slice_axis(ctx, y, axis, 0, std::max<i64>(size - 1, 0)));
  TL_TRY(const Value both, apply_operator(ctx, Operator::Add, after, before));
  TL_TRY(Value part, apply_operator(ctx, Operator::Mul, both, Value(0.5)));
  Value width = args[2];
  if (!args[1].is_empty()) {
    TL_TRY(Tensor x, to_tensor(ctx, args[1], tensor_of(part)->dtype()));
    const i64 rank = x.rank();
    Value of_x[] = {make_tensor(std::move(x)), Value(i64{1}), rank == 1 ? Value(i64{0}) : Value(axis)};
    TL_TRY(width, native_diff(ctx, of_x));
    if (rank == 1 && tensor_of(y)->rank() > 1) {
      std::vector<i64> dims(static_cast<size_t>(tensor_of(y)->rank()), 1);
      dims[static_cast<size_t>(axis)] = -1;
      TL_TRY(width, call_op(ctx, "reshape", {width, make_ints(dims)}));
    }
  }
  TL_TRY(part, apply_operator(ctx, Operator::Mul, part, width));
  const i64 axes[] = {axis};
  return call_op(ctx, "sum", {part, make_ints(axes)});
}

// Products up to each place, in the order of the places: read, multiplied, written.
Result<Value> native_cumprod(CallContext& ctx, std::span<Value> args) {
  const Tensor x = *tensor_of(args[0]);
  TL_TRY(const i64 axis, axis_of(args[0], args[1], -1));
  TL_TRY(const HostTensor host, ctx.executor().read(x));
  const DType dtype = is_float(x.dtype()) ? x.dtype() : DType::I64;
  const i64 size = x.shape()[static_cast<int>(axis)];
  i64 inner = 1;
  for (int i = static_cast<int>(axis) + 1; i < x.rank(); ++i) inner *= x.shape()[i];
  std::vector<std::byte> bytes(static_cast<size_t>(host.numel() * size_of(dtype)));
  for (i64 outer = 0; size > 0 && outer < host.numel() / (size * inner); ++outer) {
    for (i64 k = 0; k < inner; ++k) {
      f64 product = 1;
      u64 whole = 1;
      for (i64 i = 0; i < size; ++i) {
        const i64 at = (outer * size + i) * inner + k;
        if (is_float(dtype)) {
          store_from_double(dtype, bytes.data(), at, product *= host.as_double(at));
        } else {
          whole *= static_cast<u64>(host.as_int(at));
          store_from_int(dtype, bytes.data(), at, static_cast<i64>(whole));
        }
      }
    }
  }
  TL_TRY(Tensor made, ctx.executor().from_host(TensorType{dtype, x.shape()}, bytes));
  return make_tensor(std::move(made));
}

// Where values would go into a row that rises: before its equals, or behind them.
Result<Value> native_searchsorted(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Tensor row, to_tensor(ctx, args[0]));
  if (row.rank() != 1)
    return fail(Code::BadProgram, "searchsorted: found {}, want a row", to_string(row.type()));
  const bool is_right = args[2].as_bool();
  TL_TRY(const Tensor values, to_tensor(ctx, args[1], row.dtype()));
  TL_TRY(const HostTensor in, ctx.executor().read(row));
  TL_TRY(const HostTensor of, ctx.executor().read(values));
  std::vector<f64> numbers(static_cast<size_t>(in.numel()));
  for (i64 i = 0; i < in.numel(); ++i) numbers[static_cast<size_t>(i)] = in.as_double(i);
  std::vector<i64> places;
  for (i64 i = 0; i < of.numel(); ++i) {
    const f64 v = of.as_double(i);
    const auto is_less = [](f64 a, f64 b) { return a < b || (std::isnan(b) && !std::isnan(a)); };  // as sort
    const auto at = is_right ? std::upper_bound(numbers.begin(), numbers.end(), v, is_less)
                             : std::lower_bound(numbers.begin(), numbers.end(), v, is_less);
    places.push_back(at - numbers.begin());
  }
  if (values.rank() == 0) return Value(places[0]);
  TL_TRY(Tensor made,
         ctx.executor().from_host(TensorType{DType::I64, values.shape()}, std::as_bytes(std::span(places))));
  return make_tensor(std::move(made));
}

// ---- Chance
// ---------------------------------------------------------------------------------------------------

Result<Value> order_by_chance(CallContext& ctx, i64 size, const Value& generator) {
  const i64 shape[] = {size};
  TL_TRY(const Value keys, call_op(ctx, "rand", {make_ints(shape), Value(), Value(), Value(), generator}));
  return call_op(ctx, "argsort", {keys});
}

Result<Value> native_permutation(CallContext& ctx, std::span<Value> args) {
  if (args[0].as_int() < 0) return fail(Code::BadProgram, "permutation: of {} ints", args[0].as_int());
  return order_by_chance(ctx, args[0].as_int(), args[1]);
}

Result<std::vector<i64>> places_of(CallContext& ctx, const Value& ids) {
  TL_TRY(const HostTensor host, ctx.executor().read(*tensor_of(ids)));
  std::vector<i64> out;
  for (i64 i = 0; i < host.numel(); ++i) out.push_back(host.as_int(i));
  return out;
}

// A list changes where it is; of a tensor the rows go into a new one.
Result<Value> native_shuffle(CallContext& ctx, std::span<Value> args) {
  if (auto* list = args[0].get_if<List>()) {
    TL_TRY(const Value ids, order_by_chance(ctx, static_cast<i64>(list->items.size()), args[1]));
    TL_TRY(const std::vector<i64> order, places_of(ctx, ids));
    std::vector<Value> out;
    for (const i64 at : order) out.push_back(list->items[static_cast<size_t>(at)]);
    list->items = std::move(out);
    return args[0];
  }
  TL_TRY(Tensor x, to_tensor(ctx, args[0]));
  if (x.rank() == 0) return fail(Code::BadProgram, "shuffle: found a number");
  TL_TRY(const Value ids, order_by_chance(ctx, x.shape()[0], args[1]));
  return call_op(ctx, "index_select", {make_tensor(std::move(x)), Value(i64{0}), ids});
}

// One of the items, or so many of them: any may come again, unless replace is false.
Result<Value> native_choice(CallContext& ctx, std::span<Value> args) {
  const Tensor* const rows = tensor_of(args[0]);
  std::vector<Value> items;
  if (rows == nullptr) {
    TL_TRY(items, to_items(ctx, args[0]));
  } else if (rows->rank() == 0) {
    return fail(Code::BadProgram, "choice: found a number");
  }
  const i64 size = rows != nullptr ? rows->shape()[0] : static_cast<i64>(items.size());
  if (size == 0) return fail(Code::BadProgram, "choice: there are no items");
  TL_TRY(const i64 count, args[1].is_empty() ? Result<i64>(i64{1}) : to_int(ctx, args[1]));
  if (count < 0 || (!args[2].as_bool() && count > size))
    return fail(Code::BadProgram, "choice: {} of {} items", count, size);
  Value ids;
  if (args[2].as_bool()) {
    const i64 shape[] = {count};
    TL_TRY(ids, call_op(ctx, "randint",
                        {Value(i64{0}), Value(size), make_ints(shape), Value(), Value(), args[3]}));
  } else {
    TL_TRY(const Value all, order_by_chance(ctx, size, args[3]));
    TL_TRY(ids, slice_axis(ctx, all, 0, 0, count));
  }
  if (rows != nullptr) {
    TL_TRY(const Value picked, call_op(ctx, "index_select", {args[0], Value(i64{0}), ids}));
    return args[1].is_empty() ? index_at(ctx, picked, Value(i64{0})) : Result<Value>(picked);
  }
  TL_TRY(const std::vector<i64> places, places_of(ctx, ids));
  if (args[1].is_empty()) return items[static_cast<size_t>(places[0])];
  std::vector<Value> out;
  for (const i64 at : places) out.push_back(items[static_cast<size_t>(at)]);
  return make_list(std::move(out));
}

const Builtin kRows[] = {
    {"choice", "(xs: any, count: any = none, replace: bool = true, generator: any = none) -> any",
     "One of the items by chance, or so many of them; with replace: false none comes twice.",
     "choice([7])  //~ 7", Effect::Io, native_choice},
    {"cumprod", "(x: tensor, axis: int = -1) -> tensor", "The products up to each place along an axis.",
     "cumprod([1, 2, 3])  //~ [1 2 6] shape=[3] int64", Effect::Pure, native_cumprod},
    {"diag", "(x: tensor) -> tensor", "The diagonal of matrices, or the matrix with a row as its diagonal.",
     "diag([[1, 2], [3, 4]])  //~ [1 4] shape=[2] int64", Effect::Pure, native_diag},
    {"diff", "(x: tensor, times: int = 1, axis: int = -1) -> tensor",
     "Each element less the one before it along an axis, so many times over.",
     "diff([1, 4, 9])  //~ [3 5] shape=[2] int64", Effect::Pure, native_diff},
    {"flip", "(x: tensor, axis: any = none) -> tensor", "Backwards along an axis, several, or all.",
     "flip([1, 2, 3])  //~ [3 2 1] shape=[3] int64", Effect::Pure, native_flip},
    {"logspace",
     "(start: float, stop: float, count: int, base: float = 10.0, dtype: dtype = float32) -> tensor",
     "Powers of the base whose exponents go in equal steps from start to stop.",
     "logspace(0.0, 2.0, 3)  //~ [1.0000 10.0000 100.0000] shape=[3] float32", Effect::Pure, native_logspace},
    {"meshgrid", "(axes: any...) -> tuple",
     "The coordinates of a grid, a tensor for each axis; rows go along the second axis, unless \"ij\" "
     "follows.",
     "shape(meshgrid([1, 2, 3], [4, 5]).0)  //~ [2, 3]", Effect::Pure, native_meshgrid},
    {"outer", "(a: tensor, b: tensor) -> tensor", "The product of every element of a with every one of b.",
     "outer([1, 2], [3, 4])  //~ [[3 4] [6 8]] shape=[2, 2] int64", Effect::Pure, native_outer},
    {"permutation", "(n: int, generator: any = none) -> tensor", "The ints below n in an order of chance.",
     "permutation(1)  //~ [0] shape=[1] int64", Effect::Io, native_permutation},
    {"repeat", "(x: any, times: any, axis: any = none) -> any",
     "A text so many times over, like text * times; of a tensor every element, along an axis or of all in "
     "order.",
     "repeat(\"ab\", 3)  //~ ababab", Effect::Pure, native_repeat},
    {"roll", "(x: tensor, shift: int, axis: any = none) -> tensor",
     "Moved on by so many places along an axis, or as one row; what leaves at the end comes in at the start.",
     "roll([1, 2, 3], 1)  //~ [3 1 2] shape=[3] int64", Effect::Pure, native_roll},
    {"searchsorted", "(row: any, values: any, right: bool = false) -> any",
     "Where each value would go into a row that rises, before its equals or (right) behind them.",
     "searchsorted([1, 3, 5], 3)  //~ 1", Effect::Pure, native_searchsorted},
    {"shuffle", "(xs: any, generator: any = none) -> any",
     "Puts a list into an order of chance and gives it; of a tensor, a new one with its rows so.",
     "shuffle([7])  //~ [7]", Effect::Mutates, native_shuffle},
    {"tile", "(x: tensor, times: ints) -> tensor", "The whole so many times over along each axis.",
     "tile([1, 2], 2)  //~ [1 2 1 2] shape=[4] int64", Effect::Pure, native_tile},
    {"trace", "(x: tensor) -> tensor", "The sum of the diagonal of matrices.",
     "trace([[1, 2], [3, 4]])  //~ 5", Effect::Pure, native_trace},
    {"trapz", "(y: tensor, x: any = none, dx: float = 1.0, axis: int = -1) -> tensor",
     "The area under y along an axis, at steps of dx or at the places x, by trapezoids.",
     "trapz([1.0, 2.0, 3.0])  //~ 4", Effect::Pure, native_trapz},
    {"tril", "(x: tensor, k: int = 0) -> tensor", "Matrices with 0 above the k-th diagonal.",
     "tril([[1, 2], [3, 4]])  //~ [[1 0] [3 4]] shape=[2, 2] int64", Effect::Pure, native_tril},
    {"triu", "(x: tensor, k: int = 0) -> tensor", "Matrices with 0 below the k-th diagonal.",
     "triu([[1, 2], [3, 4]])  //~ [[1 2] [0 4]] shape=[2, 2] int64", Effect::Pure, native_triu},
    {"clip", "(x: any, low: any, high: any) -> any", "The same as clamp.", "clip(7, 0, 5)  //~ 5",
     Effect::Pure,
     [](CallContext& ctx, std::span<Value> args) {
       return call_positional(*find_builtin("clamp"), ctx, args);
     }},
};

}  // namespace

std::span<const Builtin> array_natives() {
  return kRows;
}

}  // namespace tl::lang
