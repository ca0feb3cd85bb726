// Einstein sums as a composite of other ops: each pairwise step becomes views and one batched matmul, in the
// cheapest order. Nothing here computes; callers say how an op is applied (recorded, or only inferred).
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "tl/tensor/graph.h"

namespace tl {

using ApplyOp = std::function<Result<Tensor>(const OpDef&, std::span<const Tensor>, Attrs)>;

// "ij,jk->ik", "...i,i", "ii->i": letters name axes, `...` the axes no letter names (they broadcast), spaces
// are ignored. Without `->` the result has the axes of `...` and then, in alphabetical order, the letters
// that occur once. Fails with the index and both sizes where they differ.
Result<Tensor> einsum(const ApplyOp& apply, std::string_view spec, std::span<const Tensor> inputs);

// Pairs of axes, one of each input, whose sizes must be equal, if that is all that the ops recorded for two
// inputs ask of their sizes: a sum over one index of a matrix product, each matrix with one index of its own.
// Empty where the ops, or their attributes, are others for other sizes.
std::optional<std::vector<std::pair<int, int>>> einsum_for_any_size(std::string_view spec, const Shape& a,
                                                                    const Shape& b);

// The type einsum would give; dims may be unknown.
Result<TensorType> einsum_type(std::string_view spec, std::span<const TensorType> inputs);

}  // namespace tl
