#include "tl/device/kernel.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "tl/base/fail_point.h"
#include "tl/base/half.h"

namespace tl {

Scratch::~Scratch() {
  std::free(data_);
}

void* Scratch::get(size_t bytes) {
  if (must_fail(FailPoint::Scratch)) return nullptr;
  if (data_ == nullptr || bytes > size_) {
    std::free(data_);
    size_ = std::max<size_t>((bytes + 4095) / 4096, 1) * 4096;
    data_ = std::aligned_alloc(64, size_);
    if (data_ == nullptr) size_ = 0;
  }
  return data_;
}

i64 operand_bytes(const Operand& o) {
  if (o.data == nullptr) return 0;
  i64 elements = 1;
  for (int i = 0; i < o.rank(); ++i) elements *= o.strides[i] == 0 ? std::min<i64>(o.dims[i], 1) : o.dims[i];
  return row_bytes(o.dtype, elements);
}

i64 traffic(const KernelCall& call) {
  i64 bytes = 0;
  for (const Operand& o : call.in) bytes += operand_bytes(o);
  for (const Operand& o : call.outs) bytes += operand_bytes(o);
  return bytes;
}

template <typename T>
static T load(const void* data, i64 index) {
  return static_cast<const T*>(data)[index];
}

// Saturates at the ends of the type, because converting an out-of-range double is undefined; NaN becomes 0.
static i64 to_int(double value, IntRange range) {
  if (std::isnan(value)) return 0;
  if (value >= static_cast<double>(range.high)) return range.high;
  if (value <= static_cast<double>(range.low)) return range.low;
  return static_cast<i64>(value);
}

double load_as_double(DType dtype, const void* data, i64 index) {
  switch (dtype) {
    case DType::F32:
      return load<float>(data, index);
    case DType::F16:
      return f16_to_f32(load<u16>(data, index));
    case DType::BF16:
      return bf16_to_f32(load<u16>(data, index));
    case DType::F64:
      return load<double>(data, index);
    default:
      return static_cast<double>(load_as_int(dtype, data, index));
  }
}

i64 load_as_int(DType dtype, const void* data, i64 index) {
  switch (dtype) {
    case DType::I8:
      return load<i8>(data, index);
    case DType::I16:
      return load<i16>(data, index);
    case DType::I32:
      return load<i32>(data, index);
    case DType::I64:
      return load<i64>(data, index);
    case DType::U8:
      return load<u8>(data, index);
    case DType::Bool:
      return load<u8>(data, index) != 0;
    default:
      break;
  }
  TL_CHECK(is_float(dtype), "{} has no single elements", name_of(dtype));
  return to_int(load_as_double(dtype, data, index), int_range(DType::I64));
}

void store_from_int(DType dtype, void* data, i64 index, i64 value) {
  switch (dtype) {
    case DType::I8:
      static_cast<i8*>(data)[index] = static_cast<i8>(value);
      return;
    case DType::I16:
      static_cast<i16*>(data)[index] = static_cast<i16>(value);
      return;
    case DType::I32:
      static_cast<i32*>(data)[index] = static_cast<i32>(value);
      return;
    case DType::I64:
      static_cast<i64*>(data)[index] = value;
      return;
    case DType::U8:
      static_cast<u8*>(data)[index] = static_cast<u8>(value);
      return;
    case DType::Bool:
      static_cast<u8*>(data)[index] = value != 0;
      return;
    default:
      store_from_double(dtype, data, index, static_cast<double>(value));
  }
}

void store_from_double(DType dtype, void* data, i64 index, double value) {
  switch (dtype) {
    case DType::F32:
      static_cast<float*>(data)[index] = static_cast<float>(value);
      return;
    case DType::F16:
      static_cast<u16*>(data)[index] = f32_to_f16(static_cast<float>(value));
      return;
    case DType::BF16:
      static_cast<u16*>(data)[index] = f32_to_bf16(static_cast<float>(value));
      return;
    case DType::F64:
      static_cast<double*>(data)[index] = value;
      return;
    case DType::Bool:
      static_cast<u8*>(data)[index] = value != 0;
      return;
    default:
      store_from_int(dtype, data, index, to_int(value, int_range(dtype)));
  }
}

}  // namespace tl
