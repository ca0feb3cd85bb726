// Walking strided operands: a set of axes as one merged index, and one axis as lines. Kernels that reduce,
// normalise or sort along any axis address their inputs through these and need no transposing copies.
#pragma once

#include <span>

#include "tl/base/result.h"
#include "tl/device/kernel.h"
#include "tl/tensor/op.h"

namespace tl {

// Some axes of an operand in row-major order, neighbours merged where their strides allow.
class StridedIndex {
 public:
  StridedIndex() = default;
  void add_axis(i64 dim, i64 stride) {
    count_ *= dim;
    if (dim == 1) return;
    if (!dims_.empty() && strides_.back() == stride * dim) {
      dims_.back() *= dim;
      strides_.back() = stride;
      return;
    }
    dims_.push_back(dim);
    strides_.push_back(stride);
  }
  i64 count() const { return count_; }
  // True if element i lies at i * stride().
  bool is_even() const { return dims_.size() <= 1; }
  i64 stride() const { return strides_.empty() ? 0 : strides_.back(); }
  // Of the innermost merged axis.
  i64 inner_count() const { return dims_.empty() ? 1 : dims_.back(); }

  i64 offset(i64 index) const {
    i64 offset = 0;
    int i = dims_.size() - 1;
    for (; i > 0; --i) {
      offset += index % dims_[i] * strides_[i];
      index /= dims_[i];
    }
    return i == 0 ? offset + index * strides_[0] : offset;
  }

 private:
  Dims dims_;
  Strides strides_;
  i64 count_ = 1;
};

// Every line along one axis of an operand; lines are numbered in row-major order of the other axes. A 0-d
// operand is one line of one element.
struct AxisLines {
  StridedIndex lines;
  i64 length = 1, stride = 1;

  AxisLines(const Operand& x, i64 axis) {
    if (x.rank() == 0) return;
    const int a = static_cast<int>(axis < 0 ? axis + x.rank() : axis);
    for (int i = 0; i < x.rank(); ++i) {
      if (i != a) lines.add_axis(x.dims[i], x.strides[i]);
    }
    length = x.dims[a];
    stride = x.strides[a];
  }
};

// Floats keep their type; whole numbers and truth values are computed and returned as float32.
inline DType float_result(DType t) {
  return is_float(t) ? t : DType::F32;
}

}  // namespace tl
