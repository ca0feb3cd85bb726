// matmul against the oracle over layouts and types, and the promise that rows, tiles and zeros at the end of
// k change no bit.
#include <cmath>
#include <cstring>
#include <random>

#include "tl/ops/linear/kernel_testing.h"
#include "tl/ops/linear/linear.h"
#include "tl/ops/ops.h"

namespace tl {
using namespace testing_kernels;

namespace {

void fill(Operand& x, std::mt19937& random) {
  std::normal_distribution<double> normal;
  for (i64 i = 0; i < x.numel(); ++i) {
    if (is_int(x.dtype)) {
      store_from_int(x.dtype, x.data, i, static_cast<i64>(random() % 19) - 9);
    } else {
      store_from_double(x.dtype, x.data, i, normal(random));
    }
  }
}

Operand transposed(Operand x) {
  const int rank = x.rank();
  std::swap(x.dims[rank - 1], x.dims[rank - 2]);
  std::swap(x.strides[rank - 1], x.strides[rank - 2]);
  return x;
}

struct Case {
  Dims a, b;                            // as multiplied
  bool turn_a = false, turn_b = false;  // stored transposed
  DType da = DType::F32, db = DType::F32;
};

const Case kCases[] = {
    {{1, 1}, {1, 1}},
    {{3, 5}, {5, 7}},
    {{3, 5}, {5, 7}, true, true},
    {{130, 300}, {300, 150}},
    {{130, 300}, {300, 150}, false, true},
    {{130, 300}, {300, 150}, true, false},
    {{5}, {5, 7}},
    {{3, 5}, {5}},
    {{40}, {40}},
    {{2, 3, 4, 33}, {3, 33, 20}},
    {{2, 1, 4, 33}, {3, 33, 20}, false, true},
    {{0, 5}, {5, 7}},
    {{3, 0}, {0, 7}},
    {{9, 64}, {64, 40}, false, false, DType::F16, DType::F32},
    {{9, 64}, {64, 40}, false, true, DType::F32, DType::BF16},
    {{9, 64}, {64, 40}, true, false, DType::BF16, DType::BF16},
    {{9, 64}, {64, 40}, false, false, DType::F64, DType::F32},
    {{9, 64}, {64, 40}, false, true, DType::I32, DType::I64},
    {{9, 64}, {64, 40}, false, false, DType::I32, DType::F32},
};

double tolerance(DType dtype) {
  return dtype == DType::F16 ? 1e-3 : dtype == DType::BF16 ? 8e-3 : 2e-6;
}

struct Operands {
  Buffered a, b;
  Operand in[2];
  TensorType type;
  Operands(const Case& c, std::mt19937& random)
      : a(c.da, stored(c.a, c.turn_a), 8 * numel(c.a)), b(c.db, stored(c.b, c.turn_b), 8 * numel(c.b)) {
    fill(a.operand, random), fill(b.operand, random);
    in[0] = c.turn_a ? transposed(a.operand) : a.operand;
    in[1] = c.turn_b ? transposed(b.operand) : b.operand;
    const std::vector<TensorType> types = {{c.da, c.a}, {c.db, c.b}};
    const Attrs attrs;
    type = *op_matmul.infer(InferContext(types, attrs));
  }
  static Dims stored(Dims dims, bool turned) {
    if (turned) std::swap(dims[dims.size() - 1], dims[dims.size() - 2]);
    return dims;
  }
};

TEST(Matmul, AgreesWithTheOracleAtEveryLevel) {
  std::mt19937 random(1);
  for (const Case& c : kCases) {
    Operands x(c, random);
    const i64 count = numel(x.type.shape);
    Buffered want(x.type.dtype == DType::I64 ? DType::I64 : DType::F64, x.type.shape, 8 * count);
    Buffered got(x.type.dtype, x.type.shape, 8 * count), parts(x.type.dtype, x.type.shape, 8 * count);
    Scratch scratch;
    KernelCall reference = call_of(x.in, want.operand, SimdLevel::Portable, scratch);
    run(op_matmul.reference, reference, 1);
    for (const SimdLevel level : kLevels) {
      if (level > best_simd_level()) continue;
      KernelCall one = call_of(x.in, got.operand, level, scratch),
                 many = call_of(x.in, parts.operand, level, scratch);
      run(op_matmul.cpu, one, 1), run(op_matmul.cpu, many, 3);
      double errors = 0, squares = 1e-30;
      for (i64 i = 0; i < count; ++i) {
        const double y = load_as_double(want.operand.dtype, want.operand.data, i);
        errors += std::pow(y - load_as_double(x.type.dtype, got.operand.data, i), 2), squares += y * y;
      }
      EXPECT_LT(std::sqrt(errors / squares), tolerance(x.type.dtype))
          << to_string(c.a) << " " << to_string(c.b) << " at " << name_of(level);
      EXPECT_EQ(std::memcmp(got.operand.data, parts.operand.data,
                            static_cast<size_t>(count * size_of(x.type.dtype))),
                0);
    }
  }
}

// The first rows alone, and with zeros appended to k, give the bits they have among all rows.
TEST(Matmul, RowsAndZerosAtTheEndOfKChangeNoBit) {
  std::mt19937 random(2);
  for (const bool turn_b : {false, true}) {
    const i64 m = 101, k = 333, longer = 700, n = 70;
    const Case c{{m, k}, {k, n}, false, turn_b};
    Operands x(c, random);
    Buffered a(DType::F32, {m, longer}, 4 * m * longer),
        b(DType::F32, turn_b ? Dims{n, longer} : Dims{longer, n}, 4 * longer * n);
    fill(b.operand, random);
    Operand padded[] = {a.operand, turn_b ? transposed(b.operand) : b.operand};
    const auto at = [](const Operand& o, i64 i, i64 j) -> float& {
      return o.mutable_ptr<float>()[i * o.strides[0] + j * o.strides[1]];
    };
    for (i64 i = 0; i < m; ++i)
      for (i64 j = 0; j < longer; ++j) at(padded[0], i, j) = j < k ? at(x.in[0], i, j) : 0;
    for (i64 i = 0; i < k; ++i)
      for (i64 j = 0; j < n; ++j) at(padded[1], i, j) = at(x.in[1], i, j);
    Buffered whole(DType::F32, {m, n}, 4 * m * n), other(DType::F32, {m, n}, 4 * m * n);
    Scratch scratch;
    for (const SimdLevel level : kLevels) {
      if (level > best_simd_level()) continue;
      KernelCall call = call_of(x.in, whole.operand, level, scratch);
      run(op_matmul.cpu, call, 1);
      KernelCall wide = call_of(padded, other.operand, level, scratch);
      run(op_matmul.cpu, wide, 2);
      EXPECT_EQ(std::memcmp(whole.operand.data, other.operand.data, static_cast<size_t>(4 * m * n)), 0);
      for (const i64 rows : {1, 2, 5, 8, 9, 97}) {
        Operand few[] = {x.in[0], x.in[1]}, out = other.operand;
        few[0].dims[0] = out.dims[0] = rows;
        KernelCall part = call_of(few, out, level, scratch);
        run(op_matmul.cpu, part, 1);
        EXPECT_EQ(std::memcmp(whole.operand.data, out.data, static_cast<size_t>(4 * rows * n)), 0) << rows;
      }
    }
  }
}

TEST(Matmul, RefusesWhatDoesNotFit) {
  const Attrs attrs;
  const std::vector<TensorType> inner = {{DType::F32, {2, 3}}, {DType::F32, {4, 5}}};
  EXPECT_EQ(op_matmul.infer(InferContext(inner, attrs)).error().message,
            "inner dimensions differ: 3 and 4 ([2, 3] and [4, 5])");
  const std::vector<TensorType> batches = {{DType::F32, {2, 3, 4}}, {DType::F32, {3, 4, 5}}};
  EXPECT_FALSE(op_matmul.infer(InferContext(batches, attrs)).ok());
}

}  // namespace
}  // namespace tl
