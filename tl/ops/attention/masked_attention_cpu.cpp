// `masked_attention`: a unit is a block of queries of the heads that share keys. Products, element-wise work
// and softmax are the same functions, in the same order of summation, as those of matmul, the fused pass and
// softmax.
#include <algorithm>
#include <limits>
#include <type_traits>
#include <vector>

#include "tl/backend/cpu/dot_float.h"
#include "tl/backend/cpu/simd.h"
#include "tl/ops/attention/masked_attention.h"
#include "tl/ops/elementwise/fused.h"
#include "tl/ops/reduce/strided_index.h"

#ifndef TL_SIMD

namespace tl::cpu {

// How much of a matrix is copied at a time where its numbers do not lie side by side.
static constexpr i64 kCopyColumns = 64, kCopyRows = 256;

// Floats of scratch for that.
static i64 copy_size(const HeadMatrices& b) {
  if (b.by_lanes) return b.row_stride == 1 ? 0 : kCopyColumns * b.rows;
  return b.column_stride == 1 || b.columns == 1 ? 0 : kCopyColumns * kCopyRows;
}

// The element-wise pass takes scratch of its own while the scores lie in the call's.
static Scratch& pass_scratch() {
  thread_local Scratch scratch;
  return scratch;
}

}  // namespace tl::cpu

#define TL_SIMD_FILE "tl/ops/attention/masked_attention_cpu.cpp"
#include "tl/backend/cpu/targets.h"

namespace tl::cpu {
TL_SIMD_DISPATCH(masked_attention)
}  // namespace tl::cpu

#else

#include "tl/ops/norm/norm_rows.inc"

namespace tl::cpu::TL_SIMD {
namespace {

// Calls f with the rows of x as their own type: RowsOf<float>, RowsOf<f16> or RowsOf<bf16>.
template <typename F>
TL_INLINE void typed_rows(const Operand& x, i64 offset, i64 stride, F f) {
  if (x.dtype == DType::F16) return f(RowsOf<f16>{x.ptr<f16>() + offset, stride});
  if (x.dtype == DType::BF16) return f(RowsOf<bf16>{x.ptr<bf16>() + offset, stride});
  f(RowsOf<float>{x.ptr<float>() + offset, stride});
}

// to[r][i] = element r * row_stride + i * stride from `at` on, as float32.
void copy_rows(const Operand& x, i64 at, i64 rows, i64 row_stride, i64 n, i64 stride, float* to,
               i64 to_stride) {
  for (i64 r = 0; r < rows; ++r, to += to_stride) {
    const float* row = read_row(x, at + r * row_stride, n, stride, to);
    if (row != to) std::copy_n(row, n, to);
  }
}

// out = a b, for one head's b.
void multiply(RowsOf<float> a, i64 rows, const Operand& x, const HeadMatrices& b, i64 at, float* out,
              i64 out_stride, float* copy) {
  if (b.by_lanes) {
    if (b.row_stride == 1) {
      return typed_rows(x, at, b.column_stride, [&](auto columns) {
        dot_block(a, rows, columns, b.columns, b.rows, out, out_stride);
      });
    }
    for (i64 c = 0; c < b.columns; c += kCopyColumns) {
      const i64 n = std::min(kCopyColumns, b.columns - c);
      copy_rows(x, at + c * b.column_stride, n, b.column_stride, b.rows, b.row_stride, copy, b.rows);
      dot_block(a, rows, RowsOf<float>{copy, b.rows}, n, b.rows, out + c, out_stride);
    }
    return;
  }
  for (i64 r = 0; r < rows; ++r) std::fill_n(out + r * out_stride, b.columns, 0.0f);
  if (b.column_stride == 1 || b.columns == 1) {
    return typed_rows(x, at, b.row_stride, [&](auto right) {
      chain_block(a, 1, rows, right, b.columns, b.rows, out, out_stride);
    });
  }
  for (i64 c = 0; c < b.columns; c += kCopyColumns) {
    const i64 n = std::min(kCopyColumns, b.columns - c);
    for (i64 k = 0; k < b.rows; k += kCopyRows) {
      const i64 depth = std::min(kCopyRows, b.rows - k);
      copy_rows(x, at + k * b.row_stride + c * b.column_stride, depth, b.row_stride, n, b.column_stride, copy,
                kCopyColumns);
      chain_block(RowsOf<float>{a.data + k, a.stride}, 1, rows, RowsOf<float>{copy, kCopyColumns}, n, depth,
                  out + c, out_stride);
    }
  }
}

// Rows of a unit are numbered by head, then by query.
struct Block {
  i64 head, heads, query, queries;
  i64 rows() const { return heads * queries; }
};

void run_pass(KernelCall& call, const FusedProgram& program, const Block& block, float* scores, i64 keys) {
  InlineVector<Operand, kMaxInputs> in;
  Operand all;
  all.data = reinterpret_cast<std::byte*>(scores);
  all.dtype = DType::F32;
  all.dims = {block.heads, block.queries, keys};
  all.strides = contiguous_strides(all.dims);
  in.push_back(all);
  for (size_t i = 3; i < call.in.size(); ++i)
    in.push_back(part_of_scores(call.in[i], block.head, block.heads, block.query, block.queries));
  KernelCall pass{.in = in, .out = all, .end = block.rows() * keys, .simd = call.simd};
  pass.scratch = &pass_scratch();
  run_program(pass, program);
  if (!pass.failure.empty()) call.fail(pass.failure);
}

void attend_block(KernelCall& call, const MaskedAttentionShape& s, const FusedProgram* program,
                  const Block& block, float* scratch) {
  const Operand &q = call.in[0], &k = call.in[1], &v = call.in[2];
  const i64 rows = block.rows();
  float *queries = scratch, *scores = queries + s.rows() * s.depth, *sums = scores + s.rows() * s.keys,
        *copy = sums + s.rows() * s.width;
  for (i64 h = 0; h < block.heads; ++h) {
    copy_rows(q, (block.head + h) * s.q_head_stride + block.query * q.strides[1], block.queries, q.strides[1],
              s.depth, q.strides[2], queries + h * block.queries * s.depth, s.depth);
  }
  multiply({queries, s.depth}, rows, k, s.k, s.k.offset(block.head), scores, s.keys, copy);
  if (program != nullptr) run_pass(call, *program, block, scores, s.keys);
  for (i64 r = 0; r < rows; ++r) softmax_row(scores + r * s.keys, scores + r * s.keys, s.keys);
  multiply({scores, s.keys}, rows, v, s.v, s.v.offset(block.head), sums, s.width, copy);
  for (i64 h = 0; h < block.heads; ++h) {
    const i64 to = ((block.head + h) * s.queries + block.query) * s.width;
    std::copy_n(sums + h * block.queries * s.width, block.queries * s.width,
                call.out.mutable_ptr<float>() + to);
  }
}

}  // namespace

void masked_attention(KernelCall& call) {
  const MaskedAttentionShape s(call);
  std::optional<FusedProgram> program;
  if (!call.attrs->ints().empty()) {
    program = decode_program(call.attrs->ints());
    if (!program) return call.fail("no program");
  }
  const i64 size = s.rows() * (s.depth + s.keys + s.width) + std::max(copy_size(s.k), copy_size(s.v));
  auto* scratch = static_cast<float*>(call.scratch->get(static_cast<size_t>(size) * sizeof(float)));
  for (i64 unit = call.begin; unit < call.end; ++unit) {
    const i64 query = unit % s.query_blocks * s.block_queries;
    attend_block(call, s, program ? &*program : nullptr,
                 {unit / s.query_blocks * s.block_heads, s.block_heads, query,
                  std::min(s.block_queries, s.queries - query)},
                 scratch);
  }
}

}  // namespace tl::cpu::TL_SIMD

#endif
