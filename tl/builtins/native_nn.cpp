// Layers in the forms of the first implementation: those of an op's name that the op does not have, and those
// that are a few ops each.
#include <numeric>

#include "tl/builtins/chain.h"
#include "tl/builtins/convert.h"
#include "tl/builtins/families.h"
#include "tl/builtins/index.h"

namespace tl::lang {
namespace {

bool is_given(std::span<const Value> args, size_t i) {
  return i < args.size() && !args[i].is_empty() && !args[i].is_unit();
}

// The axes of a tensor, or of nested lists.
int depth_of(const Value& value) {
  if (const Tensor* t = tensor_of(value)) return t->rank();
  const auto* list = value.get_if<List>();
  if (list == nullptr) return value.is(ObjectKind::Range) ? 1 : 0;
  return 1 + (list->items.empty() ? 0 : depth_of(list->items[0]));
}

// ---- Other forms of ops -----------------------------------------------------------------------------------

// rope(x, cos, sin) by tables, rope(x, positions, base, "neox").
bool is_other_rope(std::span<const Value> args) {
  const auto is_text = [&](size_t i) { return args[i].is(ObjectKind::String); };
  return depth_of(args[2]) > 0 || is_text(2) || is_text(3) || is_text(4);
}
Result<Value> native_rope(CallContext& ctx, std::span<Value> args) {
  if (depth_of(args[2]) > 0) {
    const Value& pairing = args[3].is(ObjectKind::String) ? args[3] : args[5];
    return call_op(ctx, "rope_tables", {args[0], args[1], args[2], pairing});
  }
  Value values[] = {args[2], args[3], args[4]};
  Value pairing = args[5];
  for (Value& v : values) {
    if (v.is(ObjectKind::String)) pairing = std::exchange(v, Value());
  }
  return call_op(ctx, "rope", {args[0], args[1], values[0], values[1], values[2], pairing});
}

// rms_norm(x) and rms_norm(x, eps) have no weight.
bool is_other_rms_norm(std::span<const Value> args) {
  return !is_given(args, 1) || args[1].is_number();
}
Result<Value> native_rms_norm(CallContext& ctx, std::span<Value> args) {
  const Value& eps = args[1].is_number() ? args[1] : args[2];
  TL_TRY(const Tensor tensor, to_tensor(ctx, args[0]));
  Chain c(ctx);
  const Value x = make_tensor(tensor);
  const Value power =
      c.op("mean", {c.op("square", {c.op("cast", {x, Value(DType::F32)})}), Value(i64{-1}), Value(true)});
  const Value scale = c.op("rsqrt", {c.add(power, eps)});
  return c.give(
      c.op("cast", {c.mul(x, scale), Value(is_float(tensor.dtype()) ? tensor.dtype() : DType::F32)}));
}

// One id, as a plain number, is a list of one: the result has an axis for it.
bool is_other_embedding(std::span<const Value> args) {
  return args[1].is_number();
}
Result<Value> native_embedding(CallContext& ctx, std::span<Value> args) {
  return call_op(ctx, "embedding", {args[0], make_list({args[1]})});
}

// Floats that are whole numbers, as places along an axis of this size.
Result<Tensor> to_places(CallContext& ctx, const Value& index, i64 size) {
  TL_TRY(Tensor places, to_tensor(ctx, index));
  if (!is_float(places.dtype())) return places;
  Chain c(ctx);
  const Value flat =
      c.op("gather", {c.op("arange", {Value(size)}), Value(i64{0}), c.op("flatten", {make_tensor(places)})});
  TL_TRY(const Value shaped, c.give(c.op("reshape", {flat, make_ints(places.shape())})));
  return *tensor_of(shaped);
}

// gather(x, axis, ids) with ids along one axis: places along the axis, or one of each row of a matrix.
bool is_other_gather(std::span<const Value> args) {
  return depth_of(args[2]) == 1 && depth_of(args[0]) > 1;
}
Result<Value> native_gather(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Tensor x, to_tensor(ctx, args[0]));
  TL_TRY(const i64 given, to_int(ctx, args[1]));
  TL_TRY(const int axis, checked_axis(given, x.shape()));
  TL_TRY(const Tensor ids, to_places(ctx, args[2], x.shape()[axis]));
  Chain c(ctx);
  if (axis == 0 || x.rank() != 2 || ids.shape()[0] != x.shape()[0])
    return call_op(ctx, "index_select", {make_tensor(x), Value(i64{axis}), make_tensor(ids)});
  const Value column = c.op("unsqueeze", {make_tensor(ids), Value(i64{1})});
  return c.give(c.op("squeeze", {c.op("gather", {make_tensor(x), Value(i64{1}), column}), Value(i64{1})}));
}

// Where each element of `index` lies in x in row order: its own place, but for the axis, where it says
// itself.
Value flat_places(Chain& c, const Shape& x, const Shape& index_shape, int axis, Value index) {
  i64 stride = 1;
  Value places;
  for (int i = x.size() - 1; i >= 0; --i) {
    Value here;
    if (i == axis) {
      const Value size(x[i]);
      const Value wraps = c.op("cast", {c.op("less", {index, Value(i64{0})}), Value(DType::I64)});
      here = c.add(index, c.mul(wraps, size));
    } else {
      Shape wide;
      for (int k = 0; k < x.size(); ++k) wide.push_back(k == i ? index_shape[i] : 1);
      here = c.op("reshape", {c.op("arange", {Value(index_shape[i])}), make_ints(wide)});
    }
    here = c.mul(here, Value(stride));
    places = places.is_empty() ? here : c.add(places, here);
    stride *= x[i];
  }
  return places;
}

Result<Value> native_scatter(CallContext& ctx, std::span<Value> args) {
  const Tensor x = *tensor_of(args[0]);
  TL_TRY(const int axis, checked_axis(args[1].as_int(), x.shape()));
  TL_TRY(const Tensor index, to_places(ctx, args[2], x.shape()[axis]));
  TL_TRY(const Tensor src, to_tensor(ctx, args[3], x.dtype()));
  if (index.rank() == 1 && x.rank() > 1)
    return call_op(ctx, "index_put", {args[0], Value(i64{axis}), make_tensor(index), make_tensor(src)});
  bool fits = index.rank() == x.rank();
  for (int i = 0; fits && i < x.rank(); ++i) fits = i == axis || index.shape()[i] <= x.shape()[i];
  if (!fits) {
    return fail(Code::BadProgram, "cannot scatter into {} by an index of {} along axis {}",
                to_string(x.shape()), to_string(index.shape()), axis);
  }
  Chain c(ctx);
  Value ids = make_tensor(index);
  if (index.dtype() != DType::I64) ids = c.op("cast", {ids, Value(DType::I64)});
  const Value places = flat_places(c, x.shape(), index.shape(), axis, ids);
  Value values = make_tensor(src);
  if (src.rank() == x.rank() && !(src.shape() == index.shape())) {  // as much of it as the index asks for
    for (int i = 0; i < x.rank(); ++i) {
      if (src.shape()[i] <= index.shape()[i]) continue;
      TL_TRY(values, slice_axis(ctx, values, i, 0, index.shape()[i]));
    }
  }
  values = c.op("flatten", {c.op("broadcast_to", {values, make_ints(index.shape())})});
  const Value flat =
      c.op("index_put", {c.op("flatten", {args[0]}), Value(i64{0}), c.op("flatten", {places}), values});
  return c.give(c.op("reshape", {flat, make_ints(x.shape())}));
}

// ---- Layers -----------------------------------------------------------------------------------------------

Result<Value> native_dropout(CallContext& ctx, std::span<Value> args) {
  const f64 p = args[1].as_float();
  if (!(p >= 0 && p <= 1)) return fail(Code::BadProgram, "argument 'p' is {}, want 0 to 1", p);
  if (!args[2].as_bool() || p == 0) return args[0];
  const Tensor x = *tensor_of(args[0]);
  Chain c(ctx);
  const Value kept = c.op("greater_equal", {c.op("rand", {make_ints(x.shape())}), Value(p)});
  return c.give(c.op("where", {kept, c.mul(args[0], Value(p < 1 ? 1 / (1 - p) : 0.0)), Value(0.0)}));
}

// Each feature (axis 1; of one row, every element's) over everything else.
Result<Value> native_batch_norm(CallContext& ctx, std::span<Value> args) {
  const Tensor x = *tensor_of(args[0]);
  if (x.rank() == 0) return fail(Code::BadProgram, "found a number, want [rows, features, ...]");
  std::vector<i64> axes;
  Shape wide;
  for (int i = 0; i < x.rank(); ++i) {
    if (i != 1) axes.push_back(i);
    wide.push_back(i == 1 ? x.shape()[i] : 1);
  }
  Chain c(ctx);
  const Value wide_x = c.op("cast", {args[0], Value(DType::F32)});
  const Value mean = c.op("mean", {wide_x, make_ints(axes), Value(true)});
  const Value variance = c.op("variance", {wide_x, make_ints(axes), Value(true)});
  Value out = c.mul(c.sub(wide_x, mean), c.op("rsqrt", {c.add(variance, args[3])}));
  const auto per_feature = [&](const Value& v) {
    const bool is_row = tensor_of(v)->rank() == 1 && x.rank() > 1;
    return is_row ? c.op("reshape", {v, make_ints(wide)}) : v;
  };
  if (is_given(args, 1)) {
    TL_TRY(const Tensor gamma, to_tensor(ctx, args[1]));
    out = c.mul(out, per_feature(make_tensor(gamma)));
  }
  if (is_given(args, 2)) {
    TL_TRY(const Tensor beta, to_tensor(ctx, args[2]));
    out = c.add(out, per_feature(make_tensor(beta)));
  }
  return c.give(c.op("cast", {out, Value(is_float(x.dtype()) ? x.dtype() : DType::F32)}));
}

Result<Value> native_apply_mask(CallContext& ctx, std::span<Value> args) {
  return call_op(ctx, "apply_attention_mask", {args[0], args[1]});
}

Result<Value> native_fused_add_relu(CallContext& ctx, std::span<Value> args) {
  Chain c(ctx);
  return c.give(c.op("relu", {c.add(args[0], args[1])}));
}
Result<Value> native_fused_mul_relu(CallContext& ctx, std::span<Value> args) {
  Chain c(ctx);
  return c.give(c.op("relu", {c.mul(args[0], args[1])}));
}
Result<Value> native_fused_affine(CallContext& ctx, std::span<Value> args) {
  Chain c(ctx);
  return c.give(c.add(c.mul(args[0], args[1]), args[2]));
}
Result<Value> native_fused_gelu_linear(CallContext& ctx, std::span<Value> args) {
  Chain c(ctx);
  const Value product = c.op("matmul", {c.op("gelu", {args[0]}), args[1]});
  return c.give(is_given(args, 2) ? c.add(product, args[2]) : product);
}

// Every head of [length, heads, dims] or [batch, heads, length, dims] `count` times, one after the other.
Result<Value> native_repeat_kv(CallContext& ctx, std::span<Value> args) {
  const Tensor x = *tensor_of(args[0]);
  const i64 count = args[1].as_int();
  if (x.rank() < 2 || count < 1)
    return fail(Code::BadProgram, "found {} and {} times, want [length, heads, dims] and 1 or more",
                to_string(x.shape()), count);
  Shape wide, out = x.shape();
  for (int i = 0; i < x.rank(); ++i) {
    wide.push_back(x.shape()[i]);
    if (i == 1) wide.push_back(count);
  }
  out[1] *= count;
  Chain c(ctx);
  const Value apart = c.op("unsqueeze", {args[0], Value(i64{2})});
  return c.give(c.op("reshape", {c.op("broadcast_to", {apart, make_ints(wide)}), make_ints(out)}));
}

// Queries of new positions on the keys and values of all, [length, heads * dims] or [length, heads, dims].
// The keys have their positions already; the queries get theirs here, the last of the cache.
Result<Value> native_attention_with_cache(CallContext& ctx, std::span<Value> args) {
  const Tensor q = *tensor_of(args[0]), k = *tensor_of(args[1]), v = *tensor_of(args[2]);
  const bool is_flat = q.rank() == 2;
  const bool fits = (is_flat || q.rank() == 3) && (k.rank() == 2 || k.rank() == 3) && k.shape() == v.shape();
  if (!fits) {
    return fail(Code::BadProgram, "found q {}, keys {} and values {}, want [length, width] each",
                to_string(q.shape()), to_string(k.shape()), to_string(v.shape()));
  }
  const i64 count = q.shape()[0], length = k.shape()[0];
  const i64 width = numel(q.shape()) / std::max<i64>(count, 1);
  const i64 kv_width = numel(k.shape()) / std::max<i64>(length, 1);
  i64 dims = !is_flat ? q.shape()[2] : k.rank() == 3 ? k.shape()[2] : 0;
  if (dims == 0 && args[4].as_int() > 0) dims = width / args[4].as_int();
  const auto divides = [&](i64 d) { return d > 0 && d % 2 == 0 && width % d == 0 && kv_width % d == 0; };
  if (!divides(dims) && is_flat && k.rank() == 2)
    dims = std::gcd(width, kv_width);  // fewer heads than asked for
  if (!divides(dims) || (width / dims) % (kv_width / dims) != 0 || length < count) {
    return fail(Code::BadProgram, "heads of {} dims do not divide q {} and keys {}", dims,
                to_string(q.shape()), to_string(k.shape()));
  }
  const auto heads = [&](const Value& x, i64 rows, i64 w) {
    const i64 shape[] = {rows, w / dims, dims};
    return call_op(ctx, "reshape", {x, make_ints(shape)});
  };
  TL_TRY(const Value queries, heads(args[0], count, width));
  TL_TRY(const Value keys, heads(args[1], length, kv_width));
  TL_TRY(const Value values, heads(args[2], length, kv_width));
  Chain c(ctx);
  const Value positions = c.op("arange", {Value(length - count), Value(length)});
  const Value turned = c.op("rope", {queries, positions});
  const Value scale(1 / std::sqrt(static_cast<f64>(dims)));
  const i64 flat[] = {count, width};
  Value out = c.op("reshape", {c.op("attention", {turned, keys, values, positions, scale}), make_ints(flat)});
  if (is_given(args, 3)) out = c.op("linear", {out, args[3]});
  return c.give(out);
}

const Builtin kRows[] = {
    {"apply_mask", "(scores: tensor, mask: tensor) -> tensor", "The same as apply_attention_mask.",
     "apply_mask([1.0, 2.0], [1.0, 0.0])  //~ [1.0000   -inf] shape=[2] float32", Effect::Pure,
     native_apply_mask},
    {"attention_with_cache",
     "(q: tensor, keys: tensor, values: tensor, output: any = none, heads: int = 32) -> tensor",
     "Causal attention of the queries at the last positions of a cache, [length, heads * dims], which get "
     "their "
     "rope here, then linear with the output weight.",
     "attention_with_cache([[1.0, 0.0]], [[1.0, 0.0]], [[2.0, 3.0]], [[1.0, 0.0], [0.0, 1.0]], heads: 1)  "
     "//~ "
     "[[2.0000 3.0000]] shape=[1, 2] float32",
     Effect::Pure, native_attention_with_cache},
    {"batch_norm", "(x: tensor, gamma: any = none, beta: any = none, eps: float = 1e-5) -> tensor",
     "Shifts and scales each feature (axis 1) to mean 0 and variance 1 over the batch, then times gamma plus "
     "beta.",
     "batch_norm([[1.0], [3.0]], [2.0], [1.0], 0.0)  //~ [[-1.0000] [ 3.0000]] shape=[2, 1] float32",
     Effect::Pure, native_batch_norm},
    {"dropout", "(x: tensor, p: float = 0.5, training: bool = true) -> tensor",
     "Sets elements to 0 with probability p and scales the others by 1 / (1 - p); x itself where it is not "
     "training.",
     "dropout([1.0, 2.0], 0.5, false)  //~ [1.0000 2.0000] shape=[2] float32", Effect::Mutates,
     native_dropout},
    {.name = "embedding",
     .signature = "(table: tensor, ids: tensor) -> tensor",
     .doc =
         "The rows of a table that the ids name (one id as a plain number: one row); quantised rows come out "
         "as float32.",
     .example = "embedding([[1.0, 2.0], [3.0, 4.0]], [1, 0])  //~ [[3.0000 4.0000] [1.0000 2.0000]] "
                "shape=[2, 2] float32",
     .native = native_embedding,
     .is_other_form = is_other_embedding},
    {"fused_add_relu", "(a: tensor, b: tensor) -> tensor", "relu(a + b).",
     "fused_add_relu([1.0, -2.0], [1.0, 1.0])  //~ [2.0000 0.0000] shape=[2] float32", Effect::Pure,
     native_fused_add_relu},
    {"fused_affine", "(x: tensor, scale: tensor, bias: tensor) -> tensor", "x * scale + bias.",
     "fused_affine([1.0, 2.0], [2.0, 2.0], [1.0, 0.0])  //~ [3.0000 4.0000] shape=[2] float32", Effect::Pure,
     native_fused_affine},
    {"fused_gelu_linear", "(x: tensor, weight: tensor, bias: any = none) -> tensor",
     "gelu(x) @ weight + bias.",
     "fused_gelu_linear([[0.0]], [[2.0]], [3.0])  //~ [[3.0000]] shape=[1, 1] float32", Effect::Pure,
     native_fused_gelu_linear},
    {"fused_mul_relu", "(a: tensor, b: tensor) -> tensor", "relu(a * b).",
     "fused_mul_relu([1.0, -2.0], [3.0, 1.0])  //~ [3.0000 0.0000] shape=[2] float32", Effect::Pure,
     native_fused_mul_relu},
    {.name = "gather",
     .signature = "(x: tensor, axis: int, index: tensor) -> tensor",
     .doc =
         "For every element of index: the element of x there along the axis, elsewhere at the same place. An "
         "index of one axis picks places along the axis; as long as a matrix has rows, and along axis 1, one "
         "of each row.",
     .example =
         "gather([[1.0, 2.0], [3.0, 4.0]], 1, [[1], [0]])  //~ [[2.0000] [3.0000]] shape=[2, 1] float32",
     .native = native_gather,
     .is_other_form = is_other_gather},
    {"repeat_kv", "(x: tensor, count: int) -> tensor",
     "Every head (axis 1) of keys or values so many times, for queries that share them.",
     "shape(repeat_kv(ones([3, 2, 4]), 2))  //~ [3, 4, 4]", Effect::Pure, native_repeat_kv},
    {.name = "rms_norm",
     .signature = "(x: tensor, weight: tensor = none, eps: float = 1e-6) -> tensor",
     .doc = "Scales each row to unit root-mean-square, then by weight.",
     .example = "rms_norm([[3.0, 4.0]], [1.0, 1.0])  //~ [[0.8485 1.1314]] shape=[1, 2] float32",
     .native = native_rms_norm,
     .is_other_form = is_other_rms_norm},
    {.name = "rope",
     .signature =
         "(x: tensor, positions: tensor = 0, base: float = 10000.0, dims: int = 0, scale: float = 1.0, "
         "pairing: string = \"adjacent\") -> tensor",
     .doc = "Rotates the pairs of x [..., positions, heads, dims] by position * scale * base^(-2i/dims); a "
            "single position is that of the first row. rope(x, cos, sin) takes the angles from tables.",
     .example =
         "rope([[[1.0, 0.0]], [[1.0, 0.0]]])  //~ [[[1.0000 0.0000]] [[0.5403 0.8415]]] shape=[2, 1, 2] "
         "float32",
     .native = native_rope,
     .is_other_form = is_other_rope},
    {"scatter", "(x: tensor, axis: int, index: tensor, src: any) -> tensor",
     "x, where for every element of index the element of src there has been put at that place along the "
     "axis; of "
     "a place named twice the last stays. An index of one axis names places along the axis.",
     "scatter([[0.0, 0.0], [0.0, 0.0]], 1, [[1], [0]], [[5.0], [6.0]])  //~ [[0.0000 5.0000] [6.0000 "
     "0.0000]] "
     "shape=[2, 2] float32",
     Effect::Pure, native_scatter},
};

}  // namespace

std::span<const Builtin> nn_natives() {
  return kRows;
}

}  // namespace tl::lang
