// `matmul`: a unit is a tile of the output in one batch. How a sum runs over k is chosen by b's strides
// alone: where b is contiguous along k, 16 lanes over k; else one chain of multiply-adds in order. Tiles and
// pieces of k change no bit.
#include <algorithm>

#include "tl/backend/cpu/dot_float.h"
#include "tl/ops/linear/linear.h"
#include "tl/tensor/quant.h"

#ifndef TL_SIMD

namespace tl::cpu {

// A tile of the output, and how much of k is copied together for it: the copy of b stays in the second cache.
static constexpr i64 kTileRows = 96, kTileColumns = 128, kTileDepth = 256;

struct MatmulTiles {
  i64 rows, columns;
  explicit MatmulTiles(const MatmulShape& s)
      : rows((s.m + kTileRows - 1) / kTileRows), columns((s.n + kTileColumns - 1) / kTileColumns) {}
};

i64 matmul_units(const KernelCall& call) {
  const MatmulShape s = matmul_shape(call);
  const MatmulTiles tiles(s);
  return s.batches * tiles.rows * tiles.columns;
}

double matmul_unit_cost(const KernelCall& call) {
  const MatmulShape s = matmul_shape(call);
  return 0.03 * static_cast<double>(std::min(s.m, kTileRows) * std::min(s.n, kTileColumns) * (s.k + 8));
}

}  // namespace tl::cpu

#define TL_SIMD_FILE "tl/ops/linear/matmul_cpu.cpp"
#include "tl/backend/cpu/targets.h"

namespace tl::cpu {
TL_SIMD_DISPATCH(matmul)
}  // namespace tl::cpu

#else

namespace tl::cpu::TL_SIMD {
namespace {

// One tile: rows x columns of the output from (row, column) of a batch on.
struct Tile {
  i64 batch, row, column, rows, columns;
  i64 a_at, b_at;  // offsets in elements of its first row and column
};

template <typename Body>
TL_INLINE void each_tile(const KernelCall& call, const MatmulShape& s, Body body) {
  const MatmulTiles tiles(s);
  for (i64 unit = call.begin; unit < call.end; ++unit) {
    Tile t;
    t.column = unit % tiles.columns * kTileColumns;
    t.row = unit / tiles.columns % tiles.rows * kTileRows;
    t.batch = unit / tiles.columns / tiles.rows;
    t.rows = std::min(kTileRows, s.m - t.row);
    t.columns = std::min(kTileColumns, s.n - t.column);
    t.a_at = strided_offset(t.batch, s.batch, s.a_batch) + t.row * s.a_row;
    t.b_at = strided_offset(t.batch, s.batch, s.b_batch) + t.column * s.b_column;
    body(t);
  }
}

// to[r][i] = element r * row_stride + i * stride from `at` on, as float32.
void copy_as_floats(const Operand& x, i64 at, i64 rows, i64 row_stride, i64 count, i64 stride, float* to,
                    i64 to_stride) {
  for (i64 r = 0; r < rows; ++r, to += to_stride) {
    const i64 start = at + r * row_stride;
    i64 i = 0;
    if (stride == 1 && x.dtype == DType::F32)
      for (; i + 16 <= count; i += 16) store(to + i, load(x.ptr<float>() + start + i));
    if (stride == 1 && x.dtype == DType::F16)
      for (; i + 16 <= count; i += 16) store(to + i, load(x.ptr<f16>() + start + i));
    if (stride == 1 && x.dtype == DType::BF16)
      for (; i + 16 <= count; i += 16) store(to + i, load(x.ptr<bf16>() + start + i));
    if (x.dtype == DType::F32)
      for (; i < count; ++i) to[i] = x.ptr<float>()[start + i * stride];
    for (; i < count; ++i)
      to[i] = static_cast<float>(load_as_double(x.dtype, x.address(), start + i * stride));
  }
}

void store_tile(const KernelCall& call, const MatmulShape& s, const Tile& t, const float* sums, i64 stride) {
  const Operand& out = call.out;
  for (i64 r = 0; r < t.rows; ++r) {
    const i64 index = (t.batch * s.m + t.row + r) * s.n + t.column;
    for (i64 c = 0; c < t.columns; c += 16) {
      const int n = static_cast<int>(std::min<i64>(16, t.columns - c));
      const F32x16 values = load_n(sums + r * stride + c, n);
      if (out.dtype == DType::F16) {
        store_n(out.mutable_ptr<f16>() + index + c, values, n);
      } else if (out.dtype == DType::BF16) {
        store_n(out.mutable_ptr<bf16>() + index + c, values, n);
      } else if (out.dtype == DType::F64) {
        for (i64 i = c; i < c + n; ++i) out.mutable_ptr<double>()[index + i] = sums[r * stride + i];
      } else {
        store_n(out.mutable_ptr<float>() + index + c, values, n);
      }
    }
  }
}

// The tile's rows of a, whole, as float32 with stride 1 along k.
RowsOf<float> rows_of_a(const Operand& a, const MatmulShape& s, const Tile& t, float* scratch) {
  if (a.dtype == DType::F32 && s.a_k == 1) return {a.ptr<float>() + t.a_at, s.a_row};
  copy_as_floats(a, t.a_at, t.rows, s.a_row, s.k, s.a_k, scratch, s.k);
  return {scratch, s.k};
}

// The tile's columns of b, which are contiguous along k, as float32.
void columns_of_b(const Operand& b, const MatmulShape& s, const Tile& t, float* scratch) {
  if (!is_quantised(b.dtype)) return copy_as_floats(b, t.b_at, t.columns, s.b_column, s.k, 1, scratch, s.k);
  for (i64 c = 0; c < t.columns; ++c)
    dequantize_row(b.dtype, b.ptr<u8>() + row_bytes(b.dtype, t.b_at + c * s.b_column), scratch + c * s.k,
                   s.k);
}

void by_lanes(KernelCall& call, const MatmulShape& s) {
  const Operand &a = call.in[0], &b = call.in[1];
  const bool direct = b.dtype == DType::F32 || b.dtype == DType::F16 || b.dtype == DType::BF16;
  const i64 sums_size = kTileRows * kTileColumns, copy_a = kTileRows * s.k,
            copy_b = direct ? 0 : kTileColumns * s.k;
  auto* sums = call.try_scratch<float>(sums_size + copy_a + copy_b);
  if (sums == nullptr) return;
  float *scratch_a = sums + sums_size, *scratch_b = scratch_a + copy_a;
  each_tile(call, s, [&](const Tile& t) {
    const RowsOf<float> rows = rows_of_a(a, s, t, scratch_a);
    const auto multiply = [&]<typename T>(const T* data, i64 stride) {
      dot_block(rows, t.rows, RowsOf<T>{data, stride}, t.columns, s.k, sums, kTileColumns);
    };
    if (b.dtype == DType::F32) {
      multiply(b.ptr<float>() + t.b_at, s.b_column);
    } else if (b.dtype == DType::F16) {
      multiply(b.ptr<f16>() + t.b_at, s.b_column);
    } else if (b.dtype == DType::BF16) {
      multiply(b.ptr<bf16>() + t.b_at, s.b_column);
    } else {
      columns_of_b(b, s, t, scratch_b);
      multiply(const_cast<const float*>(scratch_b), s.k);
    }
    store_tile(call, s, t, sums, kTileColumns);
  });
}

// Rows [k0, k0 + depth) of b, the tile's columns of them. Quantised rows are read whole: blocks lie along n.
void rows_of_b(const Operand& b, const MatmulShape& s, const Tile& t, i64 k0, i64 depth, float* to,
               float* row) {
  if (!is_quantised(b.dtype)) {
    if (s.b_column == 1 || s.n == 1)
      return copy_as_floats(b, t.b_at + k0 * s.b_k, depth, s.b_k, t.columns, 1, to, kTileColumns);
    return copy_as_floats(b, t.b_at + k0 * s.b_k, depth, s.b_k, t.columns, s.b_column, to, kTileColumns);
  }
  for (i64 i = 0; i < depth; ++i) {
    dequantize_row(b.dtype, b.ptr<u8>() + row_bytes(b.dtype, t.b_at - t.column + (k0 + i) * s.b_k), row, s.n);
    std::copy_n(row + t.column, t.columns, to + i * kTileColumns);
  }
}

void by_chains(KernelCall& call, const MatmulShape& s) {
  const Operand &a = call.in[0], &b = call.in[1];
  const i64 sums_size = kTileRows * kTileColumns, copy_a = kTileRows * kTileDepth,
            copy_b = kTileColumns * kTileDepth;
  const i64 row = is_quantised(b.dtype) ? s.n : 0;
  auto* sums = call.try_scratch<float>(sums_size + copy_a + copy_b + row);
  if (sums == nullptr) return;
  float *scratch_a = sums + sums_size, *scratch_b = scratch_a + copy_a;
  each_tile(call, s, [&](const Tile& t) {
    // Where b's rows are used a few times only, copying them would cost more than reading them where they
    // are.
    const bool b_direct = b.dtype == DType::F32 && s.b_column == 1 && t.rows <= 8;
    std::fill_n(sums, t.rows * kTileColumns, 0.0f);
    for (i64 k0 = 0; k0 < s.k; k0 += kTileDepth) {
      const i64 depth = std::min(kTileDepth, s.k - k0);
      RowsOf<float> left{a.ptr<float>() + t.a_at + k0 * s.a_k, s.a_row}, right{scratch_b, kTileColumns};
      i64 a_step = s.a_k;
      if (a.dtype != DType::F32 || (t.rows > 8 && s.a_k != 1)) {
        copy_as_floats(a, t.a_at + k0 * s.a_k, t.rows, s.a_row, depth, s.a_k, scratch_a, kTileDepth);
        left = {scratch_a, kTileDepth}, a_step = 1;
      }
      if (b_direct) {
        right = {b.ptr<float>() + t.b_at + k0 * s.b_k, s.b_k};
      } else {
        rows_of_b(b, s, t, k0, depth, scratch_b, scratch_b + copy_b);
      }
      chain_block(left, a_step, t.rows, right, t.columns, depth, sums, kTileColumns);
    }
    store_tile(call, s, t, sums, kTileColumns);
  });
}

// float64 and integers: plain sums in order.
template <typename T, typename Load, typename Store>
TL_INLINE void plain(KernelCall& call, const MatmulShape& s, Load load_one, Store store_one) {
  const Operand &a = call.in[0], &b = call.in[1];
  each_tile(call, s, [&](const Tile& t) {
    for (i64 r = 0; r < t.rows; ++r)
      for (i64 c = 0; c < t.columns; ++c) {
        T sum = 0;
        for (i64 k = 0; k < s.k; ++k)
          sum += load_one(a, t.a_at + r * s.a_row + k * s.a_k) *
                 load_one(b, t.b_at + c * s.b_column + k * s.b_k);
        store_one((t.batch * s.m + t.row + r) * s.n + t.column + c, sum);
      }
  });
}

}  // namespace

void matmul(KernelCall& call) {
  const MatmulShape s = matmul_shape(call);
  const Operand& out = call.out;
  if (is_int(out.dtype)) {
    return plain<u64>(
        call, s,
        [](const Operand& x, i64 i) { return static_cast<u64>(load_as_int(x.dtype, x.address(), i)); },
        [&](i64 i, u64 sum) { store_from_int(out.dtype, out.data, i, static_cast<i64>(sum)); });
  }
  if (out.dtype == DType::F64 && !is_quantised(call.in[1].dtype)) {
    return plain<double>(
        call, s, [](const Operand& x, i64 i) { return load_as_double(x.dtype, x.address(), i); },
        [&](i64 i, double sum) { store_from_double(out.dtype, out.data, i, sum); });
  }
  if (s.b_k == 1) return by_lanes(call, s);
  by_chains(call, s);
}

}  // namespace tl::cpu::TL_SIMD

#endif
