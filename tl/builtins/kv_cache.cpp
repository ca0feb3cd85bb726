#include "tl/builtins/kv_cache.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "tl/builtins/builtins.h"
#include "tl/builtins/convert.h"
#include "tl/builtins/join.h"
#include "tl/builtins/tensor_index.h"
#include "tl/ops/find_op.h"

namespace tl::lang {

constexpr i64 kDefaultCapacity = 4096;  // positions
constexpr i64 kLeastRoom = 64;          // of the sequences of a batch, that grows by doubling

i64 KVCache::Layer::longest() const {
  return lengths.empty() ? 0 : *std::max_element(lengths.begin(), lengths.end());
}

i64 KVCache::length() const {
  if (layers.empty() || !layers[0].keys) return 0;
  return sequences > 0 ? layers[0].longest() : layers[0].keys.shape()[0];
}

void KVCache::clear() {
  for (Layer& layer : layers) {
    layer = {};
    layer.lengths.assign(static_cast<size_t>(sequences), 0);
  }
}

Result<Tensor> KVCache::lengths_of(Executor& executor, const Layer& layer) {
  if (told_ && told_lengths_ == layer.lengths) return told_;
  std::vector<i32> numbers;
  for (const i64 length : layer.lengths) numbers.push_back(static_cast<i32>(length));
  TL_TRY(told_, executor.from_host({DType::I32, {sequences}}, std::as_bytes(std::span(numbers))));
  told_lengths_ = layer.lengths;
  return told_;
}

Result<Tensor> KVCache::counts_tensor(CallContext& ctx, const Value& list, const std::vector<i64>& counts) {
  const bool is_known = counted_ && counts_.is_object() && list.is_object() &&
                        counts_.object() == list.object() && told_counts_ == counts &&
                        counted_in_ == Object::current_birth;
  if (is_known) return counted_;
  const std::vector<i32> numbers(counts.begin(), counts.end());
  TL_TRY(counted_, ctx.executor().from_host({DType::I32, {sequences}}, std::as_bytes(std::span(numbers))));
  counts_ = list, told_counts_ = counts, counted_in_ = Object::current_birth;
  if (ctx.tracer != nullptr && list.is(ObjectKind::List))
    ctx.tracer->made_literal(counted_, list.as<List>().items);
  return counted_;
}

Value KVCache::copy() const {
  auto* cache = new KVCache;
  cache->layers = layers;
  cache->sequences = sequences;
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

// --- batches ---

Result<std::vector<i64>> counts_of(CallContext& ctx, const KVCache& cache, const Value& counts, i64 given) {
  const size_t sequences = static_cast<size_t>(cache.sequences);
  if (counts.is_empty()) return std::vector<i64>(sequences, given);
  TL_TRY(std::vector<i64> all, to_ints(ctx, counts));
  if (all.size() != sequences)
    return fail(Code::BadProgram, "{} counts for a KVCache of {} sequences", all.size(), sequences);
  for (const i64 count : all) {
    if (count < 0 || count > given)
      return fail(Code::BadProgram, "a sequence takes {} of {} rows", count, given);
  }
  return all;
}

// Room for `rows` rows of each sequence.
static Result<Tensor> with_room(CallContext& ctx, const KVCache& cache, const Tensor& old,
                                const TensorType& like, i64 rows) {
  const i64 room = old ? old.shape()[1] : 0;
  if (old && rows <= room) return old;
  // More than is asked for: the next append must not have to move all of it.
  i64 wanted = std::max(kLeastRoom, static_cast<i64>(std::bit_ceil(static_cast<u64>(rows) + 1)));
  if (rows <= 2 * room) wanted = 2 * room;
  if (cache.capacity >= rows) wanted = std::min(wanted, cache.capacity);
  Shape shape = like.shape;
  shape[1] = wanted - room;
  std::vector<Value> dims;
  for (const i64 dim : shape) dims.emplace_back(dim);
  TL_TRY(Value zeros, call_op(ctx, "zeros", {make_list(std::move(dims)), Value(like.dtype)}));
  if (!old) return *tensor_of(zeros);
  return join_tensors(ctx, {old, *tensor_of(zeros)}, 1);
}

static Result<Value> append_to_batch(CallContext& ctx, KVCache& cache, KVCache::Layer& at, const Tensor& keys,
                                     const Tensor& values, const Value& counts) {
  static const OpDef* const op = find_op("append_sequences");
  for (const Tensor* t : {&keys, &values}) {
    if (t->rank() >= 2 && t->shape()[0] == cache.sequences && t->shape()[1] == keys.shape()[1]) continue;
    return fail(Code::BadProgram, "append: found rows {}, want [{} sequences, rows, ...]",
                to_string(t->shape()), cache.sequences);
  }
  const i64 given = keys.shape()[1];
  TL_TRY(const std::vector<i64> more, counts_of(ctx, cache, counts, given));
  std::vector<i64> lengths = at.lengths;
  for (size_t i = 0; i < more.size(); ++i) lengths[i] += more[i];
  const i64 longest = *std::max_element(lengths.begin(), lengths.end());
  if (longest > std::numeric_limits<i32>::max())
    return fail(Code::BadProgram, "append: {} positions in a sequence", longest);
  TL_TRY(const Tensor before, cache.lengths_of(ctx.executor(), at));
  // Rows beyond those given are nobody's: one number serves all sequences that take every row.
  Tensor taken = scalar_tensor(i64{std::numeric_limits<i32>::max()}, DType::I32);
  if (!counts.is_empty()) {
    TL_TRY(taken, cache.counts_tensor(ctx, counts, more));
  }
  Tensor grown[2];
  for (const bool is_keys : {true, false}) {
    const Tensor& rows = is_keys ? keys : values;
    TL_TRY(Tensor room, with_room(ctx, cache, is_keys ? at.keys : at.values, rows.type(), longest));
    TL_TRY(grown[is_keys], ctx.executor().apply(*op, {room, rows, before, taken}, {}, ctx.span));
  }
  at.keys = std::move(grown[1]), at.values = std::move(grown[0]);
  at.lengths = std::move(lengths);
  return Value::unit();
}

Result<Value> layer_of_cache(CallContext& ctx, KVCache& cache, const Value& layer, bool keys) {
  TL_TRY(const KVCache::Layer* at, layer_of(ctx, cache, layer));
  const Tensor& tensor = keys ? at->keys : at->values;
  if (!tensor) return fail(Code::BadProgram, "layer {} of the KVCache is still empty", layer.as_int());
  if (cache.sequences == 0) return make_tensor(tensor);
  // Always this op, also for all of the rows: a function that is traced says how many there are.
  std::vector<i64> window;
  for (int axis = 0; axis < tensor.rank(); ++axis)
    window.insert(window.end(), {0, axis == 1 ? at->longest() : tensor.shape()[axis], 1, 0});
  static const OpDef* const op = find_op("index");
  TL_TRY(Tensor rows, ctx.executor().apply(*op, {tensor}, Attrs().with_ints(std::move(window)), ctx.span));
  return make_tensor(std::move(rows));
}

static Result<void> check_sequence(const KVCache& cache, i64 sequence) {
  if (cache.sequences == 0) return fail(Code::BadProgram, "a KVCache without an axis of sequences has one");
  if (sequence >= 0 && sequence < cache.sequences) return {};
  return fail(Code::BadProgram, "sequence {} is outside of a KVCache of {}", sequence, cache.sequences);
}

Result<void> truncate_cache(CallContext& ctx, KVCache& cache, i64 length, const Value& sequence) {
  i64 held = cache.length(), only = -1;
  if (!sequence.is_empty()) {
    TL_TRY(only, to_int(ctx, sequence));
    TL_TRY_DO(check_sequence(cache, only));
    held = cache.layers.empty() ? 0 : cache.layers[0].lengths[static_cast<size_t>(only)];
  }
  if (length < 0 || length > held)
    return fail(Code::BadProgram, "truncate: length {} of a KVCache with {} positions", length, held);
  for (KVCache::Layer& layer : cache.layers) {
    for (size_t i = 0; i < layer.lengths.size(); ++i) {
      if (only < 0 || only == static_cast<i64>(i)) layer.lengths[i] = std::min(layer.lengths[i], length);
    }
    if (cache.sequences > 0 || !layer.keys || layer.keys.shape()[0] <= length) continue;
    TL_TRY(const Value keys, slice_axis(ctx, make_tensor(layer.keys), 0, 0, length));
    TL_TRY(const Value values, slice_axis(ctx, make_tensor(layer.values), 0, 0, length));
    layer.keys = *tensor_of(keys);
    layer.values = *tensor_of(values);
  }
  return {};
}

// x[sequence, 0:rows]
static std::vector<IndexItem> rows_of_sequence(i64 sequence, i64 rows) {
  std::vector<IndexItem> items(2);
  items[0].value = Value(sequence);
  items[1].kind = IndexItem::Kind::Slice;
  items[1].begin = Value(i64{0});
  items[1].end = Value(rows);
  return items;
}

Result<Value> sequence_of_cache(CallContext& ctx, const KVCache& cache, i64 sequence) {
  TL_TRY_DO(check_sequence(cache, sequence));
  auto* one = new KVCache;
  Value result(one);
  one->capacity = cache.capacity, one->dtype = cache.dtype, one->has_dtype = cache.has_dtype;
  one->layers.resize(cache.layers.size());
  for (size_t i = 0; i < cache.layers.size(); ++i) {
    const KVCache::Layer& layer = cache.layers[i];
    if (!layer.keys) continue;
    const auto rows = rows_of_sequence(sequence, layer.lengths[static_cast<size_t>(sequence)]);
    TL_TRY(const Value keys, index_tensor(ctx, make_tensor(layer.keys), rows));
    TL_TRY(const Value values, index_tensor(ctx, make_tensor(layer.values), rows));
    one->layers[i].keys = *tensor_of(keys);
    one->layers[i].values = *tensor_of(values);
  }
  return result;
}

Result<void> set_sequence(CallContext& ctx, KVCache& cache, i64 sequence, const KVCache& from) {
  TL_TRY_DO(check_sequence(cache, sequence));
  if (from.sequences > 0 || from.layers.size() != cache.layers.size()) {
    return fail(Code::BadProgram, "set_sequence: want a KVCache of one sequence and {} layers",
                cache.layers.size());
  }
  for (size_t i = 0; i < cache.layers.size(); ++i) {
    KVCache::Layer& layer = cache.layers[i];
    const KVCache::Layer& source = from.layers[i];
    i64& length = layer.lengths[static_cast<size_t>(sequence)];
    length = 0;
    if (!source.keys) continue;
    const i64 rows = source.keys.shape()[0];
    for (const bool is_keys : {true, false}) {
      Tensor& to = is_keys ? layer.keys : layer.values;
      TL_TRY(const Tensor stored, as_stored(ctx, cache, make_tensor(is_keys ? source.keys : source.values)));
      TensorType like = stored.type();
      like.shape.insert(0, cache.sequences);
      TL_TRY(Tensor room, with_room(ctx, cache, to, like, std::max<i64>(rows, 1)));
      to = {};
      Value whole = make_tensor(std::exchange(room, {}));
      TL_TRY(whole, set_index(ctx, whole, rows_of_sequence(sequence, rows), make_tensor(stored)));
      to = *tensor_of(whole);
    }
    length = rows;
  }
  return {};
}

Result<Value> append_to_cache(CallContext& ctx, KVCache& cache, const Value& layer, const Value& k,
                              const Value& v, const Value& counts) {
  TL_TRY(KVCache::Layer * at, layer_of(ctx, cache, layer));
  TL_TRY(const Tensor keys, as_stored(ctx, cache, k));
  TL_TRY(const Tensor values, as_stored(ctx, cache, v));
  if (cache.sequences > 0) return append_to_batch(ctx, cache, *at, keys, values, counts);
  if (!counts.is_empty())
    return fail(Code::BadProgram, "append: counts are for a KVCache of several sequences");
  TL_TRY(Tensor new_keys, grown(ctx, cache, at->keys, keys));
  TL_TRY(at->values, grown(ctx, cache, at->values, values));
  at->keys = std::move(new_keys);
  return Value::unit();
}

Result<Value> set_in_cache(CallContext& ctx, KVCache& cache, const Value& layer, const Value& k,
                           const Value& v) {
  TL_TRY(KVCache::Layer * at, layer_of(ctx, cache, layer));
  TL_TRY(Tensor keys, as_stored(ctx, cache, k));
  TL_TRY(Tensor values, as_stored(ctx, cache, v));
  if (cache.sequences > 0) {
    for (const Tensor* t : {&keys, &values}) {
      if (t->rank() >= 2 && t->shape()[0] == cache.sequences && t->shape()[1] == keys.shape()[1]) continue;
      return fail(Code::BadProgram, "set: found rows {}, want [{} sequences, rows, ...]",
                  to_string(t->shape()), cache.sequences);
    }
    at->lengths.assign(static_cast<size_t>(cache.sequences), keys.shape()[1]);
  }
  at->values = std::move(values);
  at->keys = std::move(keys);
  return Value::unit();
}

}  // namespace tl::lang
