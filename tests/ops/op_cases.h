// Case tables of ops, all in namespace tl::cases: what goes in, which attributes, how close the kernels must
// be. How a case is checked is the runner's business (run_cases.cpp): reference against cpu at every SIMD
// level, in one part and in many, and more.
//
//   #include "tests/ops/op_cases.h"
//   namespace tl::cases {
//   const OpCases cases_rms_norm = {
//       .op = op_rms_norm,
//       .accepts = {{.name = "odd width", .in = {f32({3, 4097}), f32({4097})}},
//                   {.name = "half", .in = {f16({8, 128}), f16({128})}, .attrs = "eps: 0.1", .rtol = 2e-3}},
//       .rejects = {{.name = "short weight", .in = {f32({2, 4}), f32({3})}, .message = "weight"}},
//   };
//   }
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "tl/ops/ops.h"

namespace tl::cases {

// One input tensor: its memory, how it is filled and which view of that memory the op sees.
class In {
 public:
  In(DType dtype, Shape dims)
      : dtype_(dtype), memory_(dims), dims_(dims), strides_(contiguous_strides(dims)) {}

  // Filled at random from [low, high] (whole numbers for integer types). Default [-1, 1]; integers [0, 9].
  In range(double low, double high) const;
  // Filled with these, repeated.
  In values(std::vector<double> values) const;
  // A number that travels inside the operand (a literal of the program).
  static In constant(DType dtype, double value);

  In transposed() const;  // the last two axes swapped
  In permuted(std::initializer_list<int> axes) const;
  In every(i64 step) const;      // every step-th element of the last axis
  In every_row(i64 step) const;  // every step-th place of the first axis
  In reversed(int axis) const;
  In columns(i64 first, i64 count) const;  // a part of the last axis
  In rows(i64 first, i64 count) const;     // a part of the first axis
  In broadcast_to(Shape shape) const;
  In resized(Shape dims) const;  // filled the same way, in row order

  TensorType type() const { return {dtype_, dims_}; }
  bool is_constant() const { return is_constant_; }
  bool is_strided() const { return !is_contiguous(dims_, strides_); }

 private:
  friend class Materialised;
  DType dtype_;
  Shape memory_, dims_;
  Strides strides_;
  i64 offset_ = 0;
  double low_ = 0, high_ = 0;
  std::vector<double> values_;
  bool is_constant_ = false;
};

inline In f32(Shape dims = {}) {
  return {DType::F32, std::move(dims)};
}
inline In f16(Shape dims = {}) {
  return {DType::F16, std::move(dims)};
}
inline In bf16(Shape dims = {}) {
  return {DType::BF16, std::move(dims)};
}
inline In f64(Shape dims = {}) {
  return {DType::F64, std::move(dims)};
}
inline In int64(Shape dims = {}) {
  return {DType::I64, std::move(dims)};
}
inline In int32(Shape dims = {}) {
  return {DType::I32, std::move(dims)};
}
inline In int16(Shape dims = {}) {
  return {DType::I16, std::move(dims)};
}
inline In int8(Shape dims = {}) {
  return {DType::I8, std::move(dims)};
}
inline In uint8(Shape dims = {}) {
  return {DType::U8, std::move(dims)};
}
inline In boolean(Shape dims = {}) {
  return {DType::Bool, std::move(dims)};
}
// Random blocks with small scales.
inline In quantised(DType dtype, Shape dims) {
  return {dtype, std::move(dims)};
}

// A row that must work.
struct OpCase {
  std::string name;
  std::vector<In> in;
  std::string attrs = "";       // "axis: 1, eps: 0.1, shape: [2, 3], pairing: halves", defaults by signature
  double rtol = -1, atol = -1;  // below 0: by the output's dtype
  std::vector<double> want = {};  // if given: the whole output, of several one after the other
  std::string fails = "";         // if given: both kernels must fail with a message that contains this
};

// A row whose types inference must refuse.
struct OpReject {
  std::string name;
  std::vector<In> in;
  std::string attrs = "";
  std::string message;  // a part of the error
};

struct OpCases {
  const OpDef& op;
  std::vector<OpCase> accepts = {};
  std::vector<OpReject> rejects = {};
  std::string tested_in = "";  // for internal formats only: the unit test that checks this op instead
};

#define TL_OP(name) extern const OpCases cases_##name __attribute__((weak));
#include "tl/ops/ops.def"
#undef TL_OP

// Attributes in the order of `op`'s signature, from "name: value, …" and the signature's defaults. Random ops
// get seed and position at the end ("seed: 1, position: 2" or 42 and 7).
Result<Attrs> parse_attrs(const OpDef& op, const std::string& text);

// Runs one case; empty if all is well, else what went wrong.
std::string run_case(const OpDef& op, const OpCase& row);
std::string run_reject(const OpDef& op, const OpReject& row);

}  // namespace tl::cases
