// The batching rules that op tables name (Batching, tl/tensor/op.h): how an op runs when inputs have an axis
// of examples in front.
#pragma once

#include "tl/tensor/batch.h"

namespace tl::batch {

using Results = Result<std::vector<Tensor>>;

// For every example by itself, then joined: what is left where no other form gives the same.
Results one_by_one(const BatchCall& call);

// The op treats leading axes alike. `inputs` says which may have one more: the others, batched, go one by
// one.
template <int... inputs>
Results leading(const BatchCall& call) {
  constexpr u32 kMay = ((1u << inputs) | ...);
  return (call.batched & ~kMay) != 0 ? one_by_one(call) : call.record(call.inputs, call.attrs);
}

// Inputs broadcast against each other.
Results elementwise(const BatchCall& call);
// As elementwise, to the shape of input 0.
Results onto_first(const BatchCall& call);
// The first attribute is an axis of input 0.
Results along_axis(const BatchCall& call);
// As along_axis, for several inputs that have all axes in common.
Results joint_axis(const BatchCall& call);
// A list of axes; none are all.
Results along_axes(const BatchCall& call);
// The same elements in row order, in the shape of the op's result.
Results reshaped(const BatchCall& call);

// Of single ops.
Results append_rows(const BatchCall& call);
Results attention(const BatchCall& call);
Results broadcast_to(const BatchCall& call);
Results index(const BatchCall& call);
Results index_put(const BatchCall& call);
Results matmul(const BatchCall& call);
Results permute(const BatchCall& call);
Results rope(const BatchCall& call);
Results set_item(const BatchCall& call);
Results transpose(const BatchCall& call);

inline constexpr Batching kNoInputs("takes no tensors");
inline constexpr Batching kPlanned("is made by the planner");

}  // namespace tl::batch
