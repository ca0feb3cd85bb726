// The keys and values of a model's past positions, one pair of tensors a layer, that grow in place. Shared
// and mutable, as a list: `b = a` makes b another name of the same cache. A copy shares what is there, and
// neither sees what the other appends.
//
// A cache of several sequences (a batch) has an axis for them in front: its tensors are [sequences, room,
// ...], room for rows that doubles when it is used up. Each sequence has a length of its own; rows behind it
// are zeros, or what stood there before.
#pragma once

#include "tl/builtins/context.h"

namespace tl::lang {

struct KVCache : ObjectOf<ObjectKind::KVCache> {
  struct Layer {
    Tensor keys, values;       // [positions, ...]; empty: nothing yet
    std::vector<i64> lengths;  // of a batch
    i64 longest() const;
  };
  std::vector<Layer> layers;
  i64 sequences = 0;  // of a batch; 0: one sequence, without an axis
  i64 capacity = 0;   // positions that storage is reserved for; 0: 4,096 at first append
  DType dtype = DType::F32;
  bool has_dtype = false;  // else that of the first keys

  i64 length() const;  // positions in layer 0; of a batch its longest sequence's
  // The lengths of a layer's sequences, int32; the same tensor for layers of the same lengths.
  Result<Tensor> lengths_of(Executor& executor, const Layer& layer);
  Value copy() const;
  // The same of a list of counts. What a traced call asks for belongs to that call.
  Result<Tensor> counts_tensor(CallContext& ctx, const Value& list, const std::vector<i64>& counts);
  void clear();

 private:
  std::vector<i64> told_lengths_, told_counts_;
  Tensor told_, counted_;
  Value counts_;
  u32 counted_in_ = 0;
};

Result<Value> append_to_cache(CallContext& ctx, KVCache& cache, const Value& layer, const Value& k,
                              const Value& v, const Value& counts);
// What a builtin gives of a layer: of a batch all rows up to the longest sequence's end.
Result<Value> layer_of_cache(CallContext& ctx, KVCache& cache, const Value& layer, bool keys);
Result<void> truncate_cache(CallContext& ctx, KVCache& cache, i64 length, const Value& sequence);
// One sequence of a batch as a cache of its own, and such a cache as one of a batch.
Result<Value> sequence_of_cache(CallContext& ctx, const KVCache& cache, i64 sequence);
Result<void> set_sequence(CallContext& ctx, KVCache& cache, i64 sequence, const KVCache& from);
// How many of `given` rows each sequence takes.
Result<std::vector<i64>> counts_of(CallContext& ctx, const KVCache& cache, const Value& counts, i64 given);
Result<Value> set_in_cache(CallContext& ctx, KVCache& cache, const Value& layer, const Value& k,
                           const Value& v);

}  // namespace tl::lang
