#include "tests/ops/materialised.h"

#include <cstring>

#include "tl/base/half.h"
#include "tl/ops/linear/random_operands.h"
#include "tl/tensor/quant.h"

namespace tl::cases {
namespace {

constexpr u8 kGuardByte = 0xa5;

// Small and the same everywhere: the case tables must not depend on a standard library's distributions.
class Lcg {
 public:
  explicit Lcg(u64 seed) : state_(seed * 0x9e3779b97f4a7c15ull + 0x1234567ull) { next(), next(); }
  u32 next() {
    state_ = state_ * 6364136223846793005ull + 1442695040888963407ull;
    return static_cast<u32>(state_ >> 32);
  }
  double unit() { return next() * 0x1p-32; }

 private:
  u64 state_;
};

void fill_blocks(DType dtype, std::byte* data, i64 bytes, Lcg& random) {
  for (i64 i = 0; i < bytes; ++i) data[i] = static_cast<std::byte>(random.next() >> 24);
  const i64 block = info(dtype).block_bytes;
  for (i64 at = 0; at < bytes; at += block) {
    for (const i64 offset : testing_kernels::half_fields(dtype)) {
      const u16 scale = f32_to_f16(static_cast<float>(0.002 + 0.01 * random.unit()));
      std::memcpy(data + at + offset, &scale, sizeof scale);
    }
  }
}

}  // namespace

In In::range(double low, double high) const {
  In in = *this;
  in.low_ = low, in.high_ = high;
  return in;
}
In In::values(std::vector<double> values) const {
  In in = *this;
  in.values_ = std::move(values);
  return in;
}
In In::constant(DType dtype, double value) {
  In in(dtype, {});
  in.values_ = {value};
  in.is_constant_ = true;
  return in;
}
In In::transposed() const {
  In in = *this;
  const int r = dims_.size();
  std::swap(in.dims_[r - 1], in.dims_[r - 2]);
  std::swap(in.strides_[r - 1], in.strides_[r - 2]);
  return in;
}
In In::permuted(std::initializer_list<int> axes) const {
  In in = *this;
  int i = 0;
  for (const int a : axes) {
    in.dims_[i] = dims_[a];
    in.strides_[i++] = strides_[a];
  }
  return in;
}
In In::every(i64 step) const {
  In in = *this;
  in.dims_.back() = (dims_.back() + step - 1) / step;
  in.strides_.back() *= step;
  return in;
}
In In::every_row(i64 step) const {
  In in = *this;
  in.dims_[0] = (dims_[0] + step - 1) / step;
  in.strides_[0] *= step;
  return in;
}
In In::reversed(int axis) const {
  In in = *this;
  if (dims_[axis] > 0) in.offset_ += (dims_[axis] - 1) * strides_[axis];
  in.strides_[axis] = -strides_[axis];
  return in;
}
In In::columns(i64 first, i64 count) const {
  In in = *this;
  in.offset_ += first * strides_.back();
  in.dims_.back() = count;
  return in;
}
In In::rows(i64 first, i64 count) const {
  In in = *this;
  in.offset_ += first * strides_[0];
  in.dims_[0] = count;
  return in;
}
In In::broadcast_to(Shape shape) const {
  In in = *this;
  in.strides_ = broadcast_strides(dims_, strides_, shape);
  in.dims_ = std::move(shape);
  return in;
}

In In::resized(Shape dims) const {
  In in = *this;
  in.strides_ = contiguous_strides(dims);
  in.memory_ = dims;
  in.dims_ = std::move(dims);
  in.offset_ = 0;
  return in;
}

GuardedBytes::GuardedBytes(i64 bytes, u8 poison, i64 shift)
    : size_(bytes),
      shift_(shift),
      bytes_(new (std::align_val_t(64)) std::byte[static_cast<size_t>(bytes + 2 * kGuard + shift)]) {
  std::memset(bytes_.get(), kGuardByte, static_cast<size_t>(bytes + 2 * kGuard + shift));
  std::memset(data(), poison, static_cast<size_t>(bytes));
}

bool GuardedBytes::intact() const {
  const auto* p = bytes_.get();
  for (i64 i = 0; i < kGuard + shift_; ++i) {
    if (p[i] != std::byte{kGuardByte}) return false;
  }
  for (i64 i = 0; i < kGuard; ++i) {
    if (p[kGuard + shift_ + size_ + i] != std::byte{kGuardByte}) return false;
  }
  return true;
}

i64 bytes_of(const TensorType& type) {
  if (numel(type.shape) == 0) return 0;
  if (type.shape.empty()) return size_of(type.dtype);
  return numel(type.shape) / type.shape.back() * row_bytes(type.dtype, type.shape.back());
}

Operand contiguous_operand(const TensorType& type, std::byte* data) {
  return {.data = data, .dtype = type.dtype, .dims = type.shape, .strides = contiguous_strides(type.shape)};
}

Materialised::Materialised(const TensorType& type, u8 poison, i64 shift)
    : memory_(std::make_unique<GuardedBytes>(bytes_of(type), poison, shift)),
      operand_(contiguous_operand(type, memory_->data())) {}

Materialised::Materialised(const In& in, int number, i64 shift)
    : Materialised(TensorType{in.dtype_, in.memory_}, 0,
                   info(in.dtype_).block_elements == 1 ? shift * size_of(in.dtype_) : 0) {
  fill(in, number);
  operand_.dims = in.dims_;
  operand_.strides = in.strides_;
  if (in.is_constant_) {
    std::memcpy(&operand_.constant, memory_->data(), static_cast<size_t>(size_of(in.dtype_)));
    operand_.data = nullptr;
  } else if (in.offset_ != 0) {
    const DTypeInfo& i = info(in.dtype_);
    operand_.data += in.offset_ / i.block_elements * i.block_bytes;
  }
}

void Materialised::fill(const In& in, int number) {
  Lcg random(static_cast<u64>(number) + 1);
  if (is_quantised(in.dtype_)) return fill_blocks(in.dtype_, memory_->data(), memory_->size(), random);
  const bool given = in.low_ != in.high_;
  const bool is_whole = is_int(in.dtype_);
  const double low = given ? in.low_ : is_whole ? 0 : -1, high = given ? in.high_ : is_whole ? 9 : 1;
  const i64 n = numel(in.memory_);
  for (i64 i = 0; i < n; ++i) {
    double v = low + (high - low) * random.unit();
    if (is_whole)
      v = std::min(high, static_cast<double>(static_cast<i64>(low + (high - low + 1) * random.unit())));
    if (in.dtype_ == DType::Bool) v = random.next() >> 31;
    if (!in.values_.empty()) v = in.values_[static_cast<size_t>(i) % in.values_.size()];
    store_from_double(in.dtype_, memory_->data(), i, v);
  }
}

Materialised Materialised::to_contiguous() const {
  Materialised copy(TensorType{operand_.dtype, operand_.dims}, 0);
  const DTypeInfo& type = info(operand_.dtype);
  if (type.block_elements != 1) {
    TL_CHECK(operand_.cols() <= 1 || operand_.strides.back() == 1, "a test transposes quantised blocks");
    const i64 rows = operand_.rows(), bytes = row_bytes(operand_.dtype, operand_.cols());
    const Dims outer(std::span<const i64>(operand_.dims.data(), static_cast<size_t>(operand_.rank() - 1)));
    const Strides steps(
        std::span<const i64>(operand_.strides.data(), static_cast<size_t>(operand_.rank() - 1)));
    for (i64 row = 0; row < rows; ++row) {
      const i64 from = strided_offset(row, outer, steps) / type.block_elements * type.block_bytes;
      std::memcpy(copy.memory_->data() + row * bytes, operand_.data + from, static_cast<size_t>(bytes));
    }
    return copy;
  }
  const i64 size = size_of(operand_.dtype);
  const auto* from = static_cast<const std::byte*>(operand_.address());
  for (i64 i = 0, n = operand_.numel(); i < n; ++i) {
    std::memcpy(copy.memory_->data() + i * size,
                from + strided_offset(i, operand_.dims, operand_.strides) * size, static_cast<size_t>(size));
  }
  return copy;
}

Materialised Materialised::dequantised() const {
  Materialised copy(TensorType{DType::F32, operand_.dims}, 0);
  if (operand_.numel() > 0) {
    dequantize_row(operand_.dtype, reinterpret_cast<const u8*>(operand_.data),
                   reinterpret_cast<float*>(copy.memory_->data()), operand_.numel());
  }
  return copy;
}

}  // namespace tl::cases
