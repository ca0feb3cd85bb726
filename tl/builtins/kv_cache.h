// The keys and values of a model's past positions, one pair of tensors a layer, that grow in place. Shared
// and mutable, as a list: `b = a` makes b another name of the same cache. A copy shares what is there, and
// neither sees what the other appends.
#pragma once

#include "tl/builtins/context.h"

namespace tl::lang {

struct KVCache : ObjectOf<ObjectKind::KVCache> {
  struct Layer {
    Tensor keys, values;  // [positions, ...]; empty: nothing yet
  };
  std::vector<Layer> layers;
  i64 capacity = 0;  // positions that storage is reserved for; 0: 4,096 at first append
  DType dtype = DType::F32;
  bool has_dtype = false;  // else that of the first keys

  i64 length() const;  // positions in layer 0
  Value copy() const;
  void clear() {
    for (Layer& layer : layers) layer = {};
  }
};

Result<Value> append_to_cache(CallContext& ctx, KVCache& cache, const Value& layer, const Value& k,
                              const Value& v);
Result<Value> set_in_cache(CallContext& ctx, KVCache& cache, const Value& layer, const Value& k,
                           const Value& v);

}  // namespace tl::lang
