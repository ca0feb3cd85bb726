// Element types: one table (dtypes.def), everything else derived from it.
#pragma once

#include <optional>
#include <string_view>

#include "tl/base/types.h"

namespace tl {

enum class DType : u8 {
#define TL_DTYPE(id, name, kind, elements, bytes) id,
#include "tl/tensor/dtypes.def"
#undef TL_DTYPE
};

enum class DTypeClass : u8 { Float, Int, Bool, Quantised, Packed };

struct DTypeInfo {
  std::string_view name;
  DTypeClass kind;
  i64 block_elements;  // 1 but for quantised types
  i64 block_bytes;
};

const DTypeInfo& info(DType dtype);
int dtype_count();

inline std::string_view name_of(DType dtype) {
  return info(dtype).name;
}
// By the names programs use: "float32", "q4_0", and the short "f32", "i64", ….
std::optional<DType> find_dtype(std::string_view name);

inline bool is_float(DType t) {
  return info(t).kind == DTypeClass::Float;
}
inline bool is_int(DType t) {
  return info(t).kind == DTypeClass::Int;
}
inline bool is_quantised(DType t) {
  return info(t).kind == DTypeClass::Quantised;
}
// What a program sees as an element's type: quantised blocks are read as float32.
inline DType element_type(DType t) {
  return is_quantised(t) ? DType::F32 : t;
}

// The ends of a type of ints (or bool).
struct IntRange {
  i64 low, high;
};
IntRange int_range(DType t);
// Whether a type of ints has the number `value`.
inline bool holds(DType t, i64 value) {
  const IntRange r = int_range(t);
  return value >= r.low && value <= r.high;
}

// Bytes of one element; only for types whose block is one element.
i64 size_of(DType dtype);
// Bytes of a row of `elements`, which must be whole blocks; saturates.
i64 row_bytes(DType dtype, i64 elements);

// The type two operands are brought to before element-wise arithmetic: floats win over ints, wider over
// narrower, float16 with bfloat16 gives float32. Quantised operands count as float32.
DType promote(DType a, DType b);

}  // namespace tl
