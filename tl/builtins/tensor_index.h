// Tensor indexing by NumPy's rules, as views where it can be: ints, slices, '...', and lists or tensors of
// ints.
#pragma once

#include "tl/builtins/index.h"

namespace tl::lang {

Result<Value> index_tensor(CallContext& ctx, const Value& tensor, std::span<const IndexItem> items);
// The rows that are there of an op's counted output (OpDef::counted_outputs): waits for the count. A look at
// them, or a copy where they are the smaller part of what they lie in.
Result<Tensor> cut_rows(CallContext& ctx, const Tensor& rows, const Tensor& count);
// True values for the places that are picked, as a tensor or list.
bool is_mask(const IndexItem& item);
// A new tensor, with the part replaced by `value` (broadcast to it). Records ops that write in place where
// nobody holds the old one when they run.
Result<Value> set_in_tensor(CallContext& ctx, const Value& tensor, std::span<const IndexItem> items,
                            const Value& value);

}  // namespace tl::lang
