// Einstein sums as a composite of other ops: each pairwise step becomes views and one batched matmul, in the
// cheapest order. Nothing here computes; callers say how an op is applied (recorded, or only inferred).
#pragma once

#include <functional>
#include <span>
#include <string_view>

#include "tl/tensor/graph.h"

namespace tl {

using ApplyOp = std::function<Result<Tensor>(const OpDef&, std::span<const Tensor>, Attrs)>;

// "ij,jk->ik", "...i,i", "ii->i": letters name axes, `...` the axes no letter names (they broadcast), spaces
// are ignored. Without `->` the result has the axes of `...` and then, in alphabetical order, the letters
// that occur once. Fails with the index and both sizes where they differ.
Result<Tensor> einsum(const ApplyOp& apply, std::string_view spec, std::span<const Tensor> inputs);

// The type einsum would give; dims may be unknown.
Result<TensorType> einsum_type(std::string_view spec, std::span<const TensorType> inputs);

}  // namespace tl
