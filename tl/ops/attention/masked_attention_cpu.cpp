// `masked_attention`: a unit is a block of queries of the heads that share keys. Products, element-wise work
// and softmax are the same functions, in the same order of summation, as those of matmul, the fused pass and
// softmax.
#include <algorithm>
#include <bit>
#include <cmath>
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

#include "tl/ops/attention/attention_rows.inc"

namespace tl::cpu::TL_SIMD {
namespace {

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

// The element-wise work on the scores of `keys` keys from `key` on: where they lie, or on one number in place
// of each.
void run_pass(KernelCall& call, const FusedProgram& program, const Block& block, i64 key, i64 keys,
              float* scores, std::optional<float> number = {}) {
  InlineVector<Operand, kMaxInputs> in;
  Operand all;
  all.data = reinterpret_cast<std::byte*>(scores);
  all.dtype = DType::F32;
  all.dims = {block.heads, block.queries, keys};
  all.strides = contiguous_strides(all.dims);
  in.push_back(all);
  if (number) in[0].data = nullptr, in[0].strides = {0, 0, 0}, in[0].constant = std::bit_cast<u32>(*number);
  for (size_t i = 3; i < call.in.size(); ++i) {
    in.push_back(part_of_scores(call.in[i], block.head, block.heads, block.query, block.queries));
    Operand& x = in.back();
    if (x.rank() == 0 || x.cols() == 1) continue;
    if (x.data != nullptr) x.data += key * x.strides.back() * size_of(x.dtype);
    x.dims.back() = keys;
  }
  KernelCall pass{.in = in, .out = all, .end = block.rows() * keys, .simd = call.simd};
  pass.scratch = &pass_scratch();
  run_program(pass, program);
  if (!pass.failure.empty()) call.fail(pass.failure);
}

// How many keys there are up to the last that has a weight in any row, in whole groups of 16.
i64 keys_with_weight(const float* weights, i64 rows, i64 keys) {
  for (i64 first = (keys - 1) / kLanes * kLanes; first >= 0; first -= kLanes) {
    const int n = static_cast<int>(std::min<i64>(kLanes, keys - first));
    F32x16 total = splat(0.0f);
    for (i64 r = 0; r < rows; ++r) total = total + load_n(weights + r * keys + first, n);
    if (reduce_sum(total) != 0) return std::min(keys, first + kLanes);
  }
  return 0;
}

// Sums of squares of the rows of a matrix from each row to the last, for one head at a time and as far as
// they are asked for: not below infinity if anything there is not finite.
class SquaresBehind {
 public:
  explicit SquaresBehind(float* sums) : sums_(sums) {}
  float from(i64 first, const Operand& x, i64 at, i64 stride, i64 rows, i64 columns) {
    if (at != at_) at_ = at, low_ = rows, sums_[rows] = 0;
    if (first >= low_) return sums_[first];
    typed_rows(x, at, stride, [&](auto matrix) {
      while (low_ > first) {
        const auto* row = matrix.data + --low_ * matrix.stride;
        F32x16 total = splat(0.0f);
        for (i64 c = 0; c < columns; c += kLanes) {
          const F32x16 e = load_n(row + c, static_cast<int>(std::min<i64>(kLanes, columns - c)));
          total = mul_add(e, e, total);
        }
        sums_[low_] = sums_[low_ + 1] + reduce_sum(total);
      }
    });
    return sums_[first];
  }

 private:
  float* sums_;
  i64 at_ = std::numeric_limits<i64>::min(), low_ = 0;
};

struct BlockMemory {
  float *queries, *scores, *sums, *copy;
  SquaresBehind keys, values;
};

// Infinity if there is a NaN.
float largest(const float* x, i64 n) {
  return maximum(n, [&](auto v, i64 i) {
    const F32x16 e = v.load(x + i);
    return select(is_nan(e), splat(std::numeric_limits<float>::infinity()), e);
  });
}

bool has_negative_zero(const float* x, i64 n) {
  int found = 0;
  for (i64 i = 0; i < n; ++i) found |= std::bit_cast<u32>(x[i]) == 0x80000000u ? 1 : 0;
  return found != 0;
}

// The weighted sums of values; behind `keys` all weights are 0. A chain that goes on with weights of 0 and
// finite values stays what it is, unless that is -0: what a mask hides at the end need not be added. False:
// it must be, and the weights are not all there.
bool mix(const MaskedAttentionShape& s, const Operand& v, i64 rows, i64 keys, i64 at, BlockMemory& m) {
  const RowsOf<float> left{m.scores, keys};
  if (!s.v.by_lanes && s.v.column_stride == 1) {
    HeadMatrices part = s.v;
    part.rows = keys_with_weight(m.scores, rows, keys);
    if (part.rows < s.keys && m.values.from(part.rows, v, at, s.v.row_stride, s.keys, s.width) <
                                  std::numeric_limits<float>::infinity()) {
      multiply(left, rows, v, part, at, m.sums, s.width, m.copy);
      if (!has_negative_zero(m.sums, rows * s.width)) return true;
    }
  }
  if (keys < s.keys) return false;
  multiply(left, rows, v, s.v, at, m.sums, s.width, m.copy);
  return true;
}

// What a mask hides from all queries of a block, without its scores: these are in [-kBound, kBound] if rows
// of queries and keys are short enough, so what a program that keeps order makes of them lies between what it
// makes of the ends.
constexpr float kBound = 0x1p24f;
constexpr float kFarBelow = 200;  // exp gives 0
constexpr i64 kFewQueries = 4;    // below that looking costs more than it saves

struct Sight {
  i64 keys;       // up to the last that a query sees, in whole groups of 16
  float highest;  // of what the program makes of any score behind them
};

Sight sight_of(KernelCall& call, const MaskedAttentionShape& s, const FusedProgram& program,
               const Block& block, BlockMemory& m) {
  const Sight all{s.keys, 0};
  if (block.queries < kFewQueries || s.k.row_stride != 1 || s.v.by_lanes || s.v.column_stride != 1)
    return all;
  const int order = order_of(program, std::span(call.in).subspan(3));
  if (order == 0) return all;
  const float largest_score = static_cast<float>(order) * kBound;
  // The last query sees most, as a rule.
  const Block last{block.head, 1, block.query + block.queries - 1, 1};
  float *low = m.scores, *high = m.scores + s.keys;
  run_pass(call, program, last, 0, s.keys, low, -largest_score);
  run_pass(call, program, last, 0, s.keys, high, largest_score);
  const float least = largest(low, s.keys) - kFarBelow;
  i64 keys = s.keys;
  while (keys > 0 && high[keys - 1] < least) --keys;
  keys = (keys + kLanes - 1) / kLanes * kLanes;
  if (keys >= s.keys) return all;

  const i64 hidden = s.keys - keys, at = s.k.offset(block.head);
  const double bound =
      static_cast<double>(squares_row(m.queries, block.rows() * s.depth)) *
      static_cast<double>(m.keys.from(keys, call.in[1], at, s.k.column_stride, s.keys, s.depth));
  if (!(bound < 0.9 * kBound * kBound)) return all;
  Block looked_at = block;
  const bool are_alike = std::all_of(call.in.begin() + 3, call.in.end(), [](const Operand& x) {
    return x.rank() < 3 || x.dims[x.rank() - 3] == 1 || x.strides[x.rank() - 3] == 0;
  });
  if (are_alike) looked_at.heads = 1;
  run_pass(call, program, looked_at, keys, hidden, m.scores, largest_score);
  return {keys, largest(m.scores, looked_at.rows() * hidden)};
}

// False: what lies behind the keys in sight does matter.
bool attend_keys(KernelCall& call, const MaskedAttentionShape& s, const FusedProgram* program,
                 const Block& block, BlockMemory& m, const Sight& sight) {
  const i64 rows = block.rows(), keys = sight.keys;
  HeadMatrices k = s.k;
  k.columns = keys;
  multiply({m.queries, s.depth}, rows, call.in[1], k, k.offset(block.head), m.scores, keys, m.copy);
  if (program != nullptr) run_pass(call, *program, block, 0, keys, m.scores);
  for (i64 r = 0; r < rows; ++r) {
    float* row = m.scores + r * keys;
    if (keys < s.keys && !(sight.highest < largest(row, keys) - kFarBelow)) return false;
    softmax_row(row, row, keys);
    if (keys < s.keys && std::isnan(row[0])) return false;  // all are, and so are those behind
  }
  return mix(s, call.in[2], rows, keys, s.v.offset(block.head), m);
}

void attend_block(KernelCall& call, const MaskedAttentionShape& s, const FusedProgram* program,
                  const Block& block, BlockMemory& m) {
  const Operand& q = call.in[0];
  for (i64 h = 0; h < block.heads; ++h) {
    copy_rows(q, (block.head + h) * s.q_head_stride + block.query * q.strides[1], block.queries, q.strides[1],
              s.depth, q.strides[2], m.queries + h * block.queries * s.depth, s.depth);
  }
  const Sight all{s.keys, 0}, sight = program == nullptr ? all : sight_of(call, s, *program, block, m);
  if (!attend_keys(call, s, program, block, m, sight)) attend_keys(call, s, program, block, m, all);
  for (i64 h = 0; h < block.heads; ++h) {
    const i64 to = ((block.head + h) * s.queries + block.query) * s.width;
    std::copy_n(m.sums + h * block.queries * s.width, block.queries * s.width,
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
  const i64 size =
      s.rows() * (s.depth + s.keys + s.width) + 2 * (s.keys + 1) + std::max(copy_size(s.k), copy_size(s.v));
  auto* scratch = call.try_scratch<float>(size);
  if (scratch == nullptr) return;
  float *scores = scratch + s.rows() * s.depth, *sums = scores + s.rows() * s.keys,
        *squares = sums + s.rows() * s.width;
  BlockMemory m{scratch,
                scores,
                sums,
                squares + 2 * (s.keys + 1),
                SquaresBehind(squares),
                SquaresBehind(squares + s.keys + 1)};
  for (i64 unit = call.begin; unit < call.end; ++unit) {
    const i64 query = unit % s.query_blocks * s.block_queries;
    attend_block(call, s, program ? &*program : nullptr,
                 {unit / s.query_blocks * s.block_heads, s.block_heads, query,
                  std::min(s.block_queries, s.queries - query)},
                 m);
  }
}

}  // namespace tl::cpu::TL_SIMD

#endif
