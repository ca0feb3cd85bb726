#include "tl/builtins/kv_cache.h"

#include "tl/builtins/builtins.h"
#include "tl/builtins/convert.h"
#include "tl/ops/find_op.h"

namespace tl::lang {

constexpr i64 kDefaultCapacity = 4096;  // positions

i64 KVCache::length() const {
  return layers.empty() || !layers[0].keys ? 0 : layers[0].keys.shape()[0];
}

Value KVCache::copy() const {
  auto* cache = new KVCache;
  cache->layers = layers;
  cache->capacity = capacity;
  cache->dtype = dtype;
  cache->has_dtype = has_dtype;
  return Value(cache);
}

static Result<KVCache::Layer*> layer_of(CallContext& ctx, KVCache& cache, const Value& layer) {
  TL_TRY(const i64 index, to_int(ctx, layer));
  if (index < 0 || index >= static_cast<i64>(cache.layers.size())) {
    return fail(Code::BadProgram, "layer {} is outside of a KVCache of {} layers", index,
                cache.layers.size());
  }
  return &cache.layers[static_cast<size_t>(index)];
}

static Result<Tensor> as_stored(CallContext& ctx, const KVCache& cache, const Value& value) {
  TL_TRY(Tensor tensor, to_tensor(ctx, value));
  if (tensor.rank() == 0) return fail(Code::BadProgram, "a KVCache holds rows of positions, found a number");
  if (!cache.has_dtype || tensor.dtype() == cache.dtype) return tensor;
  TL_TRY(const Value cast, call_op(ctx, "cast", {make_tensor(tensor), Value(cache.dtype)}));
  return *tensor_of(cast);
}

// The first append reserves room, so that the others write behind it.
static Result<Tensor> grown(CallContext& ctx, const KVCache& cache, const Tensor& old, const Tensor& rows) {
  static const OpDef* const op = find_op("append_rows");
  if (op == nullptr) return fail(Code::Unsupported, "not implemented yet: the op 'append_rows'");
  Tensor base = old;
  if (!base) {
    Shape row = rows.shape();
    row.erase(0);
    const i64 capacity = std::max(cache.capacity > 0 ? cache.capacity : kDefaultCapacity, rows.shape()[0]);
    TL_TRY(base, ctx.executor().reserved(rows.dtype(), row, capacity));
  }
  return ctx.executor().apply(*op, {base, rows}, {}, ctx.span);
}

Result<Value> append_to_cache(CallContext& ctx, KVCache& cache, const Value& layer, const Value& k,
                              const Value& v) {
  TL_TRY(KVCache::Layer * at, layer_of(ctx, cache, layer));
  TL_TRY(const Tensor keys, as_stored(ctx, cache, k));
  TL_TRY(const Tensor values, as_stored(ctx, cache, v));
  TL_TRY(Tensor new_keys, grown(ctx, cache, at->keys, keys));
  TL_TRY(at->values, grown(ctx, cache, at->values, values));
  at->keys = std::move(new_keys);
  return Value::unit();
}

Result<Value> set_in_cache(CallContext& ctx, KVCache& cache, const Value& layer, const Value& k,
                           const Value& v) {
  TL_TRY(KVCache::Layer * at, layer_of(ctx, cache, layer));
  TL_TRY(Tensor keys, as_stored(ctx, cache, k));
  TL_TRY(at->values, as_stored(ctx, cache, v));
  at->keys = std::move(keys);
  return Value::unit();
}

}  // namespace tl::lang
