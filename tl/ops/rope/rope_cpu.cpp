#include <type_traits>
#include <vector>

#include "tl/backend/cpu/simd.h"
#include "tl/ops/reduce/strided_index.h"
#include "tl/ops/rope/rope.h"

#ifndef TL_SIMD
#define TL_SIMD_FILE "tl/ops/rope/rope_cpu.cpp"
#include "tl/backend/cpu/targets.h"

namespace tl::cpu {

// Of the last call on this thread without factors: a model asks for the same ones in every layer.
struct RopeFrequencies {
  double base = 0;
  std::vector<double> values;
};

static const double* rope_frequencies(const KernelCall& call, const RopeAttrs& attrs, i64 pairs) {
  thread_local RopeFrequencies last;
  const bool has_factors = call.in.size() > 2;
  if (!has_factors && last.base == attrs.base && static_cast<i64>(last.values.size()) == pairs)
    return last.values.data();
  last.base = has_factors ? 0 : attrs.base;
  last.values.resize(static_cast<size_t>(pairs));
  for (i64 i = 0; i < pairs; ++i) last.values[static_cast<size_t>(i)] = rope_frequency(call, attrs, i, pairs);
  return last.values.data();
}

// float64 tensors take the oracle's loops, which compute in float64.
void rope(KernelCall& call) {
  if (call.out.dtype == DType::F64) return ref::rope(call);
  const RopeAttrs attrs(*call.attrs);
  TL_SIMD_PICK(call.simd, rope_rows)
  (call, rope_frequencies(call, attrs, attrs.pairs(call.in[0].dims.back())));
}

void rope_tables(KernelCall& call) {
  if (call.out.dtype == DType::F64) return ref::rope_tables(call);
  TL_SIMD_PICK(call.simd, rope_table_rows)(call);
}

}  // namespace tl::cpu

#else
#include "tl/ops/norm/norm_rows.inc"

namespace tl::cpu::TL_SIMD {

// Beyond it the reduction by three parts of pi/2 is no longer exact.
static constexpr double kMaxAngle = 1e6;

// Cosine and sine to 1e-15, by plain multiplications and additions: every level gives the same bits.
TL_INLINE void turn(double angle, double& c, double& s) {
  const double shifted = angle * 0x1.45f306dc9c883p-1 + 0x1.8p52, n = shifted - 0x1.8p52;
  const u64 quadrant = std::bit_cast<u64>(shifted);
  // pi/2 as 33 + 33 + 53 bits: n has at most 20, so that the first two products are exact.
  const double r = ((angle - n * 0x1.921fb544p+0) - n * 0x1.0b4611a6p-34) - n * 0x1.3198a2e037073p-69;
  const double t = r * r;
  double p = -1.0 / 1307674368000;
  p = p * t + 1.0 / 6227020800;
  p = p * t - 1.0 / 39916800;
  p = p * t + 1.0 / 362880;
  p = p * t - 1.0 / 5040;
  p = p * t + 1.0 / 120;
  p = p * t - 1.0 / 6;
  const double sine = p * t * r + r;
  double q = 1.0 / 20922789888000;
  q = q * t - 1.0 / 87178291200;
  q = q * t + 1.0 / 479001600;
  q = q * t - 1.0 / 3628800;
  q = q * t + 1.0 / 40320;
  q = q * t - 1.0 / 720;
  q = q * t + 1.0 / 24;
  const double cosine = q * t * t - 0.5 * t + 1.0;
  const bool is_odd = (quadrant & 1) != 0;
  // Bit 1 of the quadrant (for the cosine, of the next one) is the sign.
  c = std::bit_cast<double>(std::bit_cast<u64>(is_odd ? sine : cosine) ^ ((quadrant + 1) >> 1 & 1) << 63);
  s = std::bit_cast<double>(std::bit_cast<u64>(is_odd ? cosine : sine) ^ (quadrant >> 1 & 1) << 63);
}

static void turns(float* __restrict c, float* __restrict s, const double* __restrict frequency,
                  double position, i64 pairs) {
  double fastest = 0;
  for (i64 i = 0; i < pairs; ++i) fastest = std::max(fastest, std::abs(frequency[i]));
  if (!(std::abs(position) * fastest <= kMaxAngle)) {
    for (i64 i = 0; i < pairs; ++i) {
      c[i] = static_cast<float>(std::cos(position * frequency[i]));
      s[i] = static_cast<float>(std::sin(position * frequency[i]));
    }
    return;
  }
  for (i64 i = 0; i < pairs; ++i) {
    double cosine, sine;
    turn(position * frequency[i], cosine, sine);
    c[i] = static_cast<float>(cosine);
    s[i] = static_cast<float>(sine);
  }
}

static void rotate_adjacent(float* __restrict y, const float* __restrict x, const float* __restrict c,
                            const float* __restrict s, i64 pairs) {
  for (i64 i = 0; i < pairs; ++i) {
    const float a = x[2 * i], b = x[2 * i + 1];
    y[2 * i] = a * c[i] - b * s[i];
    y[2 * i + 1] = a * s[i] + b * c[i];
  }
}

static void rotate_half(float* __restrict y, const float* __restrict x, const float* __restrict c,
                        const float* __restrict s, i64 pairs) {
  for (i64 i = 0; i < pairs; ++i) {
    const float a = x[i], b = x[i + pairs];
    y[i] = a * c[i] - b * s[i];
    y[i + pairs] = a * s[i] + b * c[i];
  }
}

// Rotates every head of one unit. `buffer` has room for 2 d floats.
static void rotate_unit(KernelCall& call, const RopeRows& rows, i64 unit, const float* c, const float* s,
                        i64 pairs, RopePairing pairing, float* buffer) {
  const Operand& x = call.in[0];
  const i64 d = x.dims.back(), heads = x.dims[x.rank() - 2];
  const bool direct = call.out.dtype == DType::F32;
  for (i64 h = 0; h < heads; ++h) {
    const i64 to = (unit * heads + h) * d;
    const float* from = read_row(x, rows.offset(x, unit, h), d, x.strides.back(), buffer);
    float* y = direct ? call.out.mutable_ptr<float>() + to : buffer + d;
    (pairing == RopePairing::Half ? rotate_half : rotate_adjacent)(y, from, c, s, pairs);
    for (i64 i = 2 * pairs; i < d; ++i) y[i] = from[i];
    if (!direct) write_row(call.out, to, d, 1, y);
  }
}

static void rope_rows(KernelCall& call, const double* frequencies) {
  const RopeAttrs attrs(*call.attrs);
  const RopeRows rows(call.in[0], &call.in[1]);
  const i64 d = call.in[0].dims.back(), pairs = attrs.pairs(d);
  float* c = call.try_scratch<float>(3 * d);
  if (c == nullptr) return;
  for (i64 u = call.begin; u < call.end; ++u) {
    turns(c, c + pairs, frequencies, static_cast<double>(rows.position(u)) * attrs.scale, pairs);
    rotate_unit(call, rows, u, c, c + pairs, pairs, attrs.pairing, c + d);
  }
}

static void rope_table_rows(KernelCall& call) {
  const RopePairing pairing = is_half(call.attrs->text()) ? RopePairing::Half : RopePairing::Adjacent;
  const RopeRows rows(call.in[0], nullptr);
  const Operand &x = call.in[0], &cosines = call.in[1], &sines = call.in[2];
  const i64 d = x.dims.back(), pairs = d / 2;
  float* c = call.try_scratch<float>(3 * d);
  if (c == nullptr) return;
  for (i64 u = call.begin; u < call.end; ++u) {
    const i64 position = rows.position(u), step = pairing == RopePairing::Half ? 1 : 2;
    const auto pick = [&](const Operand& table, float* to) {
      const float* from = read_row(table, position * table.strides[0], pairs, step * table.strides[1], to);
      if (from != to) std::copy(from, from + pairs, to);
    };
    pick(cosines, c);
    pick(sines, c + pairs);
    rotate_unit(call, rows, u, c, c + pairs, pairs, pairing, c + d);
  }
}

}  // namespace tl::cpu::TL_SIMD
#endif
