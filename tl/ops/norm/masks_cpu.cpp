#include <type_traits>

#include "tl/backend/cpu/simd.h"
#include "tl/ops/norm/masks.h"
#include "tl/ops/reduce/strided_index.h"

#ifndef TL_SIMD
#define TL_SIMD_FILE "tl/ops/norm/masks_cpu.cpp"
#include "tl/backend/cpu/targets.h"

namespace tl::cpu {
// float64 scores take the oracle's loops, which compute in float64.
void apply_attention_mask(KernelCall& call) {
  if (call.out.dtype == DType::F64) return ref::apply_attention_mask(call);
  TL_SIMD_PICK(call.simd, masked_rows)(call);
}
}  // namespace tl::cpu

#else
#include "tl/ops/norm/norm_rows.inc"

namespace tl::cpu::TL_SIMD {

// The operand read as one of the output's shape.
static Operand broadcast_to(const Operand& x, const Dims& dims) {
  Operand wide = x;
  wide.strides = broadcast_strides(x.dims, x.strides, dims);
  wide.dims = dims;
  return wide;
}

static void masked_rows(KernelCall& call) {
  const Operand scores = broadcast_to(call.in[0], call.out.dims),
                mask = broadcast_to(call.in[1], call.out.dims);
  const AxisLines from(scores, -1), which(mask, -1);
  const i64 n = from.length;
  float* buffers = call.try_scratch<float>(2 * n);
  if (buffers == nullptr) return;
  const bool direct = call.out.dtype == DType::F32;
  const F32x16 masked = splat(-std::numeric_limits<float>::infinity());
  for (i64 r = call.begin; r < call.end; ++r) {
    const float* x = read_row(scores, from.lines.offset(r), n, from.stride, buffers);
    const float* keep = read_row(mask, which.lines.offset(r), n, which.stride, buffers + n);
    float* y = direct ? call.out.mutable_ptr<float>() + r * n : buffers;
    for_each(n, [&](auto v, i64 i) {
      v.store(y + i, select(v.load(keep + i) == splat(0.0f), masked, v.load(x + i)));
    });
    if (!direct) write_row(call.out, r * n, n, 1, y);
  }
}

}  // namespace tl::cpu::TL_SIMD
#endif
