// Shapes, strides and broadcasting. A dim of kUnknownDim is not known yet (the checker's case, never at run
// time).
#pragma once

#include <optional>
#include <string>

#include "tl/base/inline_vector.h"
#include "tl/base/result.h"
#include "tl/tensor/dtype.h"

namespace tl {

inline constexpr int kMaxRank = 8;
inline constexpr i64 kUnknownDim = -1;

using Dims = InlineVector<i64, kMaxRank>;
using Shape = Dims;
using Strides = Dims;  // in elements

// dtype and dims of a tensor; what shape inference maps to.
struct TensorType {
  DType dtype = DType::F32;
  Shape shape;
  bool rank_known = true;  // false only in the checker

  bool operator==(const TensorType&) const = default;
  int rank() const { return shape.size(); }
};

// The most elements a tensor may have: sizes in bytes, their sums and what they are rounded up to stay far
// inside of 64 bits.
inline constexpr i64 kMaxElements = i64{1} << 59;

// Whether a tensor of this type could exist: refuses negative dims and sizes nothing can address. Dims of 0
// do not help the others, so that strides and partial products fit too. Unknown dims are taken for 1.
Result<void> check_addressable(const TensorType& type);

// Saturates at the largest i64, where `check_addressable` has not been asked yet.
i64 numel(const Shape& shape);
bool is_known(const Shape& shape);
Strides contiguous_strides(const Shape& shape);
// True where elements lie in row order without gaps (dims of 1 may have any stride).
bool is_contiguous(const Shape& shape, const Strides& strides);

// NumPy's rule. Unknown dims agree with anything. Empty if the shapes do not fit.
std::optional<Shape> broadcast(const Shape& a, const Shape& b);
// Strides that read a tensor of `from` as one of `to`: 0 along broadcast axes.
Strides broadcast_strides(const Shape& from, const Strides& strides, const Shape& to);
// Strides that view a tensor as another shape of the same size, or empty if only a copy can.
std::optional<Strides> reshape_strides(const Shape& from, const Strides& strides, const Shape& to);

// -1 counts from the end; empty if out of range.
std::optional<int> normalise_axis(i64 axis, int rank);
// The same, where it being out of range is the program's mistake: the message names the axis and the shape.
Result<int> checked_axis(i64 axis, const Shape& shape);

std::string to_string(const Shape& shape);      // [2, 3], unknown dims as ?
std::string to_string(const TensorType& type);  // float32[2, 3]

}  // namespace tl
