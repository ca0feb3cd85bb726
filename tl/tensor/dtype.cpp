#include "tl/tensor/dtype.h"

#include "tl/base/check.h"

namespace tl {
namespace {

constexpr DTypeInfo kTable[] = {
#define TL_DTYPE(id, name, kind, elements, bytes) {name, DTypeClass::kind, elements, bytes},
#include "tl/tensor/dtypes.def"
#undef TL_DTYPE
};

constexpr struct {
  std::string_view name;
  DType dtype;
} kShort[] = {{"f16", DType::F16}, {"bf16", DType::BF16}, {"f32", DType::F32},
              {"f64", DType::F64}, {"i8", DType::I8},     {"i16", DType::I16},
              {"i32", DType::I32}, {"i64", DType::I64},   {"u8", DType::U8}};

}  // namespace

const DTypeInfo& info(DType dtype) {
  return kTable[static_cast<size_t>(dtype)];
}
int dtype_count() {
  return static_cast<int>(std::size(kTable));
}

std::optional<DType> find_dtype(std::string_view name) {
  for (int i = 0; i < dtype_count(); ++i) {
    if (kTable[i].name == name && kTable[i].kind != DTypeClass::Packed) return static_cast<DType>(i);
  }
  for (const auto& row : kShort) {
    if (row.name == name) return row.dtype;
  }
  return std::nullopt;
}

IntRange int_range(DType t) {
  if (t == DType::I64) return {INT64_MIN, INT64_MAX};
  if (t == DType::Bool) return {0, 1};
  if (t == DType::U8) return {0, 255};
  const i64 high = (i64{1} << (8 * size_of(t) - 1)) - 1;
  return {-high - 1, high};
}

i64 size_of(DType dtype) {
  const DTypeInfo& i = info(dtype);
  TL_CHECK(i.block_elements == 1, "{} has no single elements", i.name);
  return i.block_bytes;
}

i64 row_bytes(DType dtype, i64 elements) {
  const DTypeInfo& i = info(dtype);
  TL_CHECK(elements % i.block_elements == 0, "{} elements are not whole blocks of {}", elements, i.name);
  i64 bytes = 0;
  return __builtin_mul_overflow(elements / i.block_elements, i.block_bytes, &bytes) ? INT64_MAX : bytes;
}

DType promote(DType a, DType b) {
  a = element_type(a), b = element_type(b);
  if (a == b) return a;
  if (is_float(a) != is_float(b)) return is_float(a) ? a : b;
  if (a == DType::Bool) return b;
  if (b == DType::Bool) return a;
  if (is_float(a)) return size_of(a) == size_of(b) ? DType::F32 : size_of(a) > size_of(b) ? a : b;
  if (size_of(a) == size_of(b)) return DType::I16;  // int8 with uint8
  return size_of(a) > size_of(b) ? a : b;
}

}  // namespace tl
