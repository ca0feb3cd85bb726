// `linear`: a unit is 16 columns of the output, all rows. Quantised weights go through panels
// (quant_panel.h), float weights through tiles of dot products (dot_float.h).
#include "tl/ops/linear/linear.h"

#include <algorithm>

#include "tl/backend/cpu/dot_float.h"
#include "tl/backend/cpu/dot_panel.h"
#include "tl/backend/cpu/planes.h"

#ifndef TL_SIMD

namespace tl::cpu {

// Panels unpacked together, so that a tile of activation rows is read from the far caches once for all of
// them.
static constexpr i64 kPanelsAtOnce = 8;
// Activation rows per pass over a panel, and elements per unpacked piece: a lone row wants the piece in L1,
// many rows want long runs.
static constexpr i64 kRowBlock = 256;
static constexpr i64 kShortPiece = kPanelStep, kLongPiece = 4 * kPanelStep;

i64 linear_units(const KernelCall& call) {
  return (call.in[1].dims[0] + kPanelRows - 1) / kPanelRows;
}

double linear_unit_cost(const KernelCall& call) {
  const Operand& w = call.in[1];
  const bool quantised = is_quantised(w.dtype);
  const double elements = static_cast<double>(kPanelRows * w.dims[1]),
               rows = static_cast<double>(row_count(call.in[0]));
  return elements * (quantised ? 0.03 + 0.014 * rows : 0.15 + 0.03 * rows);
}

}  // namespace tl::cpu

#define TL_SIMD_FILE "tl/ops/linear/linear_cpu.cpp"
#include "tl/backend/cpu/targets.h"

namespace tl::cpu {
TL_SIMD_DISPATCH(linear)
TL_SIMD_DISPATCH(pack_planes)
}  // namespace tl::cpu

#else

namespace tl::cpu::TL_SIMD {
namespace {

// Up to 16 results to output elements from `index` on.
TL_INLINE void store_results(const Operand& out, i64 index, F32x16 values, int n) {
  switch (out.dtype) {
    case DType::F16:
      return store_n(out.mutable_ptr<f16>() + index, values, n);
    case DType::BF16:
      return store_n(out.mutable_ptr<bf16>() + index, values, n);
    case DType::F64: {
      float floats[16];
      store(floats, values);
      for (int i = 0; i < n; ++i) out.mutable_ptr<double>()[index + i] = floats[i];
      return;
    }
    default:
      return store_n(out.mutable_ptr<float>() + index, values, n);
  }
}

// ---- Activations

TL_INLINE F32x16 load_as_floats(const Operand& x, i64 index) {
  switch (x.dtype) {
    case DType::F16:
      return load(x.ptr<f16>() + index);
    case DType::BF16:
      return load(x.ptr<bf16>() + index);
    case DType::F64: {
      float floats[16];
      for (int i = 0; i < 16; ++i) floats[i] = static_cast<float>(x.ptr<double>()[index + i]);
      return load(floats);
    }
    default:
      return load(x.ptr<float>() + index);
  }
}

TL_INLINE i32 sum_of(I32x16 v) {
#if TL_SIMD_LEVEL == 2
  return _mm512_reduce_add_epi32(v.v);
#endif
  i32 parts[16], sum = 0;
  store(parts, v);
  for (const i32 p : parts) sum += p;
  return sum;
}

TL_INLINE void store_codes(std::byte* codes, I32x16 first, I32x16 second) {
#if TL_SIMD_LEVEL == 2
  const auto high = [](I32x16 q) { return shift_right<8>(q + splat(128)); };
  const I32x16 h0 = high(first), h1 = high(second);
  auto* out = reinterpret_cast<i8*>(codes);
  store(out, h0), store(out + 16, h1);
  store(out + 32, first - shift_left<8>(h0)), store(out + 48, second - shift_left<8>(h1));
#else
  store_u16(codes, first), store_u16(codes + 32, second);
#endif
}

// One block of 32. A block with an infinity or a NaN makes the whole result NaN.
TL_INLINE void pack_block(const Operand& x, i64 index, const PlaneArrays<std::byte>& row, i64 block) {
  const F32x16 a = load_as_floats(x, index), b = load_as_floats(x, index + 16);
  const I32x16 magnitudes = max(as_i32(a) & splat(0x7fffffff), as_i32(b) & splat(0x7fffffff));
  const float largest = reduce_max(as_f32(min(magnitudes, splat(0x7f800000))));
  float scale = largest / kPlaneMax, inverse = kPlaneMax / largest;
  if (!(largest >= kPlaneTiny)) scale = inverse = 0;
  const bool finite = largest < std::numeric_limits<float>::infinity();
  if (!finite) scale = std::numeric_limits<float>::quiet_NaN();
  const I32x16 none = splat(0);
  const I32x16 q0 = finite ? round_to_i32(a * splat(inverse)) : none;
  const I32x16 q1 = finite ? round_to_i32(b * splat(inverse)) : none;
  store_codes(row.codes(block), q0, q1);
  const i32 sum0 = sum_of(q0), sum1 = sum_of(q1);
  row.scales()[block] = scale;
  row.sums()[block] = scale * static_cast<float>(sum0 + sum1);
  row.half_sums()[2 * block] = scale * static_cast<float>(sum0);
  row.half_sums()[2 * block + 1] = scale * static_cast<float>(sum1);
}

// ---- Quantised weights

struct QuantJob {
  const Operand& w;
  const std::byte* x;
  const Operand& out;
  i64 n, k, rows, piece;
  int group;
  UnpackFn unpack;
  // Scratch: panels of one piece, and sums [panel][row][16].
  Panel panels[kPanelsAtOnce];
  float* sums;
};

// Where elements from k0 on of rows 16 * panel ... of the weights start; rows beyond the last repeat it.
void find_rows(const Operand& w, i64 panel, i64 k0, const u8** rows) {
  for (int c = 0; c < kPanelRows; ++c) {
    const i64 row = std::min(panel * kPanelRows + c, w.dims[0] - 1);
    rows[c] = w.ptr<u8>() + row_bytes(w.dtype, row * w.strides[0] + k0);
  }
}

void unpack_panel(const QuantJob& job, i64 panel, i64 k0, i64 count, const Panel& out) {
  const u8* rows[kPanelRows];
  find_rows(job.w, panel, k0, rows);
  job.unpack(rows, count, out);
}

// Adds elements [k0, k0 + count) of activation rows [first, first + rows) to the sums of `panels` panels.
void multiply_piece(const QuantJob& job, i64 panels, i64 first, i64 rows, i64 k0, i64 count) {
  const i64 block = k0 / kPlaneBlock;
  for (i64 r = 0; r < rows;) {
    const int tile = static_cast<int>(std::min<i64>(panel::kMaxDotRows, rows - r));
    const DotFn dot = panel::dot_of(tile, job.group);
    const PlaneArrays<const std::byte> x(job.x + (first + r) * plane_row_bytes(job.k), job.k);
    const float* sums = job.group == 16 ? x.half_sums() + 2 * block : x.sums() + block;
    const PlaneRows piece{x.codes(block), x.scales() + block, sums, plane_row_bytes(job.k)};
    for (i64 p = 0; p < panels; ++p)
      dot(piece, job.panels[p], count / kPlaneBlock, job.sums + (p * kRowBlock + r) * kPanelRows);
    r += tile;
  }
}

void store_block(const QuantJob& job, i64 panel, i64 panels, i64 first, i64 rows) {
  for (i64 r = 0; r < rows; ++r)
    for (i64 p = 0; p < panels; ++p) {
      const i64 column = (panel + p) * kPanelRows;
      const int n = static_cast<int>(std::min<i64>(kPanelRows, job.n - column));
      store_results(job.out, (first + r) * job.n + column, load(job.sums + (p * kRowBlock + r) * kPanelRows),
                    n);
    }
}

// One row of activations and panels [begin, end) of 16 whole rows: no panel is written, weights go from their
// blocks into the products.
void quantised_row(const QuantJob& job, DotOneFn dot, i64 begin, i64 end) {
  const PlaneArrays<const std::byte> x(job.x, job.k);
  const PlaneRows row{x.codes(0), x.scales(), job.group == 16 ? x.half_sums() : x.sums(),
                      plane_row_bytes(job.k)};
  const i64 stride = row_bytes(job.w.dtype, job.w.strides[0]);
  for (i64 panel = begin; panel < end; ++panel) {
    alignas(64) float sums[kPanelRows] = {};
    dot(row, job.w.ptr<u8>() + panel * kPanelRows * stride, stride, job.k / kPlaneBlock, sums);
    store_results(job.out, panel * kPanelRows, load(sums), kPanelRows);
  }
}

void quantised(KernelCall& call) {
  const Operand &x = call.in[0], &w = call.in[1];
  QuantJob job{w,
               x.ptr<std::byte>(),
               call.out,
               w.dims[0],
               w.dims[1],
               row_count(x),
               0,
               panel_group(w.dtype),
               panel::unpack_of(w.dtype),
               {},
               nullptr};
  i64 begin = call.begin;
  if (const DotOneFn dot = panel::dot_one_of(w.dtype); dot != nullptr && job.rows == 1) {
    begin = std::max(begin, std::min(call.end, job.n / kPanelRows));  // the last rows may be fewer than 16
    quantised_row(job, dot, call.begin, begin);
    if (begin == call.end) return;
  }
  job.piece = std::min(job.k, job.rows < 4 ? kShortPiece : kLongPiece);
  const i64 at_once = std::min(call.end - begin, job.rows < 4 ? i64{1} : kPanelsAtOnce);
  const i64 codes = job.piece * kPanelRows, floats = codes / job.group;
  const size_t panel_bytes = static_cast<size_t>(codes) + 2 * sizeof(float) * static_cast<size_t>(floats);
  const size_t sum_bytes = sizeof(float) * static_cast<size_t>(at_once * kRowBlock * kPanelRows);
  auto* memory =
      call.try_scratch<u8>(static_cast<i64>(panel_bytes * static_cast<size_t>(at_once) + sum_bytes));
  if (memory == nullptr) return;
  for (i64 p = 0; p < at_once; ++p, memory += panel_bytes) {
    auto* scale = reinterpret_cast<float*>(memory + codes);
    job.panels[p] = {memory, scale, scale + floats};
  }
  job.sums = reinterpret_cast<float*>(memory);
  for (i64 panel = begin; panel < call.end; panel += at_once) {
    const i64 panels = std::min(at_once, call.end - panel);
    for (i64 first = 0; first < job.rows; first += kRowBlock) {
      const i64 rows = std::min(kRowBlock, job.rows - first);
      for (i64 p = 0; p < panels; ++p)
        std::fill_n(job.sums + p * kRowBlock * kPanelRows, rows * kPanelRows, 0.0f);
      for (i64 k0 = 0; k0 < job.k; k0 += job.piece) {
        const i64 count = std::min(job.piece, job.k - k0);
        for (i64 p = 0; p < panels; ++p) unpack_panel(job, panel + p, k0, count, job.panels[p]);
        multiply_piece(job, panels, first, rows, k0, count);
      }
      store_block(job, panel, panels, first, rows);
    }
  }
}

// ---- Float weights

// Rows [first, first + rows) of x as float32 without gaps between them... or where they lie, if they lie like
// that.
RowsOf<float> float_rows(const Operand& x, i64 first, i64 rows, float* scratch) {
  const i64 k = x.cols();
  if (x.dtype == DType::F32 && x.contiguous()) return {x.ptr<float>() + first * k, k};
  for (i64 r = 0; r < rows; ++r) {
    const i64 start = row_offset(x, first + r);
    float* to = scratch + r * k;
    i64 i = 0;
    for (; i + 16 <= k; i += 16) store(to + i, load_as_floats(x, start + i));
    for (; i < k; ++i) to[i] = static_cast<float>(load_as_double(x.dtype, x.address(), start + i));
  }
  return {scratch, k};
}

template <typename T>
void float_weights(KernelCall& call) {
  const Operand &x = call.in[0], &w = call.in[1];
  const i64 n = w.dims[0], k = w.dims[1], rows = row_count(x);
  constexpr i64 kBlock = 64;
  auto* sums = call.try_scratch<float>(kBlock * (kPanelRows + k));
  if (sums == nullptr) return;
  for (i64 first = 0; first < rows; first += kBlock) {
    const i64 count = std::min(kBlock, rows - first);
    const RowsOf<float> a = float_rows(x, first, count, sums + kBlock * kPanelRows);
    for (i64 unit = call.begin; unit < call.end; ++unit) {
      const i64 column = unit * kPanelRows, columns = std::min<i64>(kPanelRows, n - column);
      const RowsOf<T> b{w.ptr<T>() + column * w.strides[0], w.strides[0]};
      dot_block(a, count, b, columns, k, sums, kPanelRows);
      for (i64 r = 0; r < count; ++r)
        store_results(call.out, (first + r) * n + column, load(sums + r * kPanelRows),
                      static_cast<int>(columns));
    }
  }
}

void in_doubles(KernelCall& call) {
  const Operand &x = call.in[0], &w = call.in[1];
  const i64 n = w.dims[0], k = w.dims[1], rows = row_count(x);
  for (i64 r = 0; r < rows; ++r) {
    const i64 start = row_offset(x, r);
    for (i64 c = call.begin * kPanelRows; c < std::min(n, call.end * kPanelRows); ++c) {
      double sum = 0;
      for (i64 i = 0; i < k; ++i)
        sum += load_as_double(x.dtype, x.address(), start + i) *
               load_as_double(w.dtype, w.address(), c * w.strides[0] + i * w.strides[1]);
      store_from_double(call.out.dtype, call.out.data, r * n + c, sum);
    }
  }
}

}  // namespace

void pack_planes(KernelCall& call) {
  const Operand& x = call.in[0];
  const i64 k = x.cols();
  for (i64 r = call.begin; r < call.end; ++r) {
    const PlaneArrays<std::byte> row(call.out.data + r * plane_row_bytes(k), k);
    const i64 start = row_offset(x, r);
    for (i64 b = 0; b < k / kPlaneBlock; ++b) pack_block(x, start + b * kPlaneBlock, row, b);
  }
}

void linear(KernelCall& call) {
  const DType x = call.in[0].dtype, w = call.in[1].dtype;
  if (is_quantised(w)) return quantised(call);
  if (x == DType::F64 || w == DType::F64) return in_doubles(call);
  if (w == DType::F16) return float_weights<f16>(call);
  if (w == DType::BF16) return float_weights<bf16>(call);
  float_weights<float>(call);
}

}  // namespace tl::cpu::TL_SIMD

#endif
