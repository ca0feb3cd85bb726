// attention against the oracle, and against the same thing written out with matmul and softmax: equal to the
// bit.
#include "tl/ops/attention/attention.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "tl/ops/linear/kernel_testing.h"
#include "tl/ops/ops.h"

namespace tl {
using namespace testing_kernels;

namespace {

struct Problem {
  i64 s, h, hk, d, t, first, window;
  DType kv = DType::F32;
};

const Problem kProblems[] = {
    {1, 4, 4, 8, 1, 0, 0},
    {1, 9, 3, 64, 300, 299, 0},
    {46, 9, 3, 64, 46, 0, 0},
    {7, 8, 2, 20, 100, 93, 0},
    {33, 4, 1, 33, 90, 40, 0},
    {40, 4, 2, 16, 80, 30, 17},
    {1, 8, 1, 64, 65, 40, 0},
    {3, 4, 2, 16, 9, 30, 5},
    {5, 6, 2, 48, 70, 65, 64, DType::F16},
    {5, 6, 2, 48, 70, 65, 0, DType::BF16},
    {70, 2, 2, 8, 70, -3, 0},
};

struct Inputs {
  Buffered q, k, v, p;
  Operand in[4];
  Attrs attrs;
  Inputs(const Problem& c, std::mt19937& random)
      : q(DType::F32, {c.s, c.h, c.d}, 4 * c.s * c.h * c.d),
        k(c.kv, {c.t, c.hk, c.d}, 4 * c.t * c.hk * c.d),
        v(c.kv, {c.t, c.hk, c.d}, 4 * c.t * c.hk * c.d),
        p(DType::I32, {c.s}, 4 * c.s) {
    std::normal_distribution<float> normal;
    for (Buffered* x : {&q, &k, &v})
      for (i64 i = 0; i < x->operand.numel(); ++i)
        store_from_double(x->operand.dtype, x->operand.data, i, normal(random));
    for (i64 i = 0; i < c.s; ++i) p.operand.mutable_ptr<i32>()[i] = static_cast<i32>(c.first + i);
    in[0] = q.operand, in[1] = k.operand, in[2] = v.operand, in[3] = p.operand;
    attrs.with_float(1 / std::sqrt(static_cast<double>(c.d))).with_int(c.window);
  }
};

void run_op(const Kernel& kernel, std::span<const Operand> in, const Operand& out, const Attrs& attrs,
            SimdLevel level, i64 parts) {
  Scratch scratch;
  KernelCall call = call_of(in, out, level, scratch);
  call.attrs = &attrs;
  run(kernel, call, parts);
}

TEST(Attention, AgreesWithTheOracleAtEveryLevel) {
  std::mt19937 random(1);
  for (const Problem& c : kProblems) {
    Inputs x(c, random);
    const Dims dims = {c.s, c.h, c.d};
    Buffered want(DType::F64, dims, 8 * numel(dims)), got(DType::F32, dims, 4 * numel(dims));
    Buffered parts(DType::F32, dims, 4 * numel(dims));
    run_op(op_attention.reference, x.in, want.operand, x.attrs, SimdLevel::Portable, 1);
    for (const SimdLevel level : kLevels) {
      if (level > best_simd_level()) continue;
      run_op(op_attention.cpu, x.in, got.operand, x.attrs, level, 1);
      run_op(op_attention.cpu, x.in, parts.operand, x.attrs, level, 4);
      for (i64 i = 0; i < numel(dims); ++i)
        ASSERT_NEAR(got.operand.ptr<float>()[i], want.operand.ptr<double>()[i], 5e-6)
            << c.s << " " << c.t << " " << i;
      EXPECT_EQ(std::memcmp(got.operand.data, parts.operand.data, static_cast<size_t>(4 * numel(dims))), 0);
    }
  }
}

// scores = matmul(q, transpose(k)) * scale, masked with -inf, softmax, matmul(., v): one head at a time.
void composed(const Problem& c, const Inputs& x, const Operand& out, SimdLevel level) {
  const float scale = static_cast<float>(x.attrs.float_at(0));
  Buffered scores(DType::F32, {c.s, c.t}, 4 * c.s * c.t), weights(DType::F32, {c.s, c.t}, 4 * c.s * c.t);
  Buffered result(DType::F32, {c.s, c.d}, 4 * c.s * c.d);
  for (i64 h = 0; h < c.h; ++h) {
    const i64 kv = h / (c.h / c.hk);
    Operand q = x.in[0], k = x.in[1], v = x.in[2];
    q.data += 4 * h * c.d, k.data += 4 * kv * c.d, v.data += 4 * kv * c.d;
    q.dims = {c.s, c.d}, q.strides = {c.h * c.d, 1};
    k.dims = {c.d, c.t}, k.strides = {1, c.hk * c.d};
    v.dims = {c.t, c.d}, v.strides = {c.hk * c.d, 1};
    const Operand qk[] = {q, k};
    run_op(op_matmul.cpu, qk, scores.operand, Attrs(), level, 1);
    for (i64 i = 0; i < c.s; ++i)
      for (i64 j = 0; j < c.t; ++j) {
        float& score = scores.operand.mutable_ptr<float>()[i * c.t + j];
        const i64 position = c.first + i;
        const bool seen = j <= position && (c.window == 0 || position - j < c.window);
        score = seen ? score * scale : -std::numeric_limits<float>::infinity();
      }
    Attrs axis;
    axis.with_int(-1);
    run_op(op_softmax.cpu, {&scores.operand, 1}, weights.operand, axis, level, 1);
    const Operand pv[] = {weights.operand, v};
    run_op(op_matmul.cpu, pv, result.operand, Attrs(), level, 1);
    for (i64 i = 0; i < c.s; ++i)
      std::memcpy(out.mutable_ptr<float>() + (i * c.h + h) * c.d, result.operand.ptr<float>() + i * c.d,
                  static_cast<size_t>(4 * c.d));
  }
}

TEST(Attention, HasTheBitsOfTheComposedForm) {
  std::mt19937 random(2);
  for (const Problem& c : kProblems) {
    if (c.kv != DType::F32) continue;
    Inputs x(c, random);
    const Dims dims = {c.s, c.h, c.d};
    Buffered want(DType::F32, dims, 4 * numel(dims)), got(DType::F32, dims, 4 * numel(dims));
    for (const SimdLevel level : kLevels) {
      if (level > best_simd_level()) continue;
      composed(c, x, want.operand, level);
      run_op(op_attention.cpu, x.in, got.operand, x.attrs, level, 1);
      EXPECT_EQ(std::memcmp(want.operand.data, got.operand.data, static_cast<size_t>(4 * numel(dims))), 0)
          << "s " << c.s << " t " << c.t << " window " << c.window << " at " << name_of(level);
    }
  }
}

// A prompt in pieces, with the keys it has so far, gives the bits of the prompt in one.
TEST(Attention, PiecesOfAPromptChangeNoBit) {
  std::mt19937 random(3);
  const Problem c{100, 6, 2, 32, 100, 0, 0};
  Inputs x(c, random);
  const Dims dims = {c.s, c.h, c.d};
  Buffered whole(DType::F32, dims, 4 * numel(dims)), pieces(DType::F32, dims, 4 * numel(dims));
  for (const SimdLevel level : kLevels) {
    if (level > best_simd_level()) continue;
    run_op(op_attention.cpu, x.in, whole.operand, x.attrs, level, 2);
    for (const i64 chunk : {1, 7, 64}) {
      for (i64 r = 0; r < c.s; r += chunk) {
        const i64 count = std::min(chunk, c.s - r);
        Operand in[] = {x.in[0], x.in[1], x.in[2], x.in[3]}, out = pieces.operand;
        in[0].dims[0] = in[3].dims[0] = out.dims[0] = count;
        in[1].dims[0] = in[2].dims[0] = r + count;
        in[0].data += 4 * r * c.h * c.d, out.data += 4 * r * c.h * c.d, in[3].data += 4 * r;
        run_op(op_attention.cpu, in, out, x.attrs, level, 1);
      }
      EXPECT_EQ(std::memcmp(whole.operand.data, pieces.operand.data, static_cast<size_t>(4 * numel(dims))), 0)
          << chunk;
    }
  }
}

}  // namespace
}  // namespace tl
