// The arguments of an op that are not tensors, in the order of its signature. Cheap to copy: a recorded node,
// its command and a kernel share what does not fit in the scalars.
#pragma once

#include <array>
#include <bit>
#include <memory>
#include <string>
#include <vector>

#include "tl/base/check.h"
#include "tl/tensor/dtype.h"

namespace tl {

class Attrs {
 public:
  static constexpr int kMaxScalars = 7;

  Attrs() = default;
  // Appends in signature order. A list or a text takes no scalar place; an op has at most one of each.
  Attrs& with_int(i64 v) { return with(static_cast<u64>(v)); }
  Attrs& with_float(double v) { return with(std::bit_cast<u64>(v)); }
  Attrs& with_bool(bool v) { return with(v ? 1 : 0); }
  Attrs& with_dtype(DType v) { return with(static_cast<u64>(v)); }
  Attrs& with_ints(std::vector<i64> v) {
    extra_mutable().ints = std::move(v);
    return *this;
  }
  Attrs& with_text(std::string v) {
    extra_mutable().text = std::move(v);
    return *this;
  }

  // Others at a place that is there already.
  void set_int(int i, i64 v) {
    TL_DCHECK(i < count_, "attribute {} of {}", i, count_);
    scalars_[static_cast<size_t>(i)] = static_cast<u64>(v);
  }
  void set_item(int i, i64 v) { extra_mutable().ints.at(static_cast<size_t>(i)) = v; }

  int count() const { return count_; }
  i64 int_at(int i) const { return static_cast<i64>(raw(i)); }
  double float_at(int i) const { return std::bit_cast<double>(raw(i)); }
  bool bool_at(int i) const { return raw(i) != 0; }
  DType dtype_at(int i) const { return static_cast<DType>(raw(i)); }
  const std::vector<i64>& ints() const;
  const std::string& text() const;

 private:
  struct Extra {
    std::vector<i64> ints;
    std::string text;
  };
  Attrs& with(u64 bits) {
    TL_CHECK(count_ < kMaxScalars);
    scalars_[static_cast<size_t>(count_++)] = bits;
    return *this;
  }
  u64 raw(int i) const {
    TL_DCHECK(i < count_, "attribute {} of {}", i, count_);
    return scalars_[static_cast<size_t>(i)];
  }
  Extra& extra_mutable() {
    extra_ = extra_ ? std::make_shared<Extra>(*extra_) : std::make_shared<Extra>();
    return const_cast<Extra&>(*extra_);
  }

  std::array<u64, kMaxScalars> scalars_{};
  int count_ = 0;
  std::shared_ptr<const Extra> extra_;
};

}  // namespace tl
