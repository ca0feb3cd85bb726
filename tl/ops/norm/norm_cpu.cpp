#include <type_traits>

#include "tl/backend/cpu/simd.h"
#include "tl/ops/norm/norm.h"
#include "tl/ops/reduce/strided_index.h"

// float64 tensors take the oracle's loops, which compute in float64.
#ifndef TL_SIMD
#define TL_SIMD_FILE "tl/ops/norm/norm_cpu.cpp"
#include "tl/backend/cpu/targets.h"

namespace tl::cpu {
#define TL_NORM(name)                                         \
  void name(KernelCall& call) {                               \
    if (call.out.dtype == DType::F64) return ref::name(call); \
    TL_SIMD_PICK(call.simd, name)(call);                      \
  }
TL_NORM(softmax)
TL_NORM(log_softmax)
TL_NORM(rms_norm)
TL_NORM(layer_norm)
TL_NORM(layer_norm_affine)
TL_NORM(l2_normalize)
#undef TL_NORM
}  // namespace tl::cpu

#else
#include "tl/ops/norm/norm_rows.inc"

namespace tl::cpu::TL_SIMD {

// row(y, x) for each of this part's lines along `axis`; `buffer` holds one line (null: the call has failed).
template <typename Row>
TL_INLINE void each_row(KernelCall& call, i64 axis, float* buffer, Row row) {
  if (buffer == nullptr) return;
  const AxisLines in(call.in[0], axis), out(call.out, axis);
  const i64 n = in.length;
  const bool direct = call.out.dtype == DType::F32 && out.stride == 1;
  for (i64 r = call.begin; r < call.end; ++r) {
    const float* x = read_row(call.in[0], in.lines.offset(r), n, in.stride, buffer);
    const i64 to = out.lines.offset(r);
    float* y = direct ? call.out.mutable_ptr<float>() + to : buffer;
    row(y, x);
    if (!direct) write_row(call.out, to, n, out.stride, y);
  }
}

TL_INLINE float* row_buffers(KernelCall& call, i64 axis, int count) {
  return call.try_scratch<float>(AxisLines(call.in[0], axis).length * count);
}

static void softmax(KernelCall& call) {
  const i64 axis = call.attrs->int_at(0), n = AxisLines(call.in[0], axis).length;
  each_row(call, axis, row_buffers(call, axis, 1), [n](float* y, const float* x) { softmax_row(y, x, n); });
}

static void log_softmax(KernelCall& call) {
  const i64 axis = call.attrs->int_at(0), n = AxisLines(call.in[0], axis).length;
  each_row(call, axis, row_buffers(call, axis, 1),
           [n](float* y, const float* x) { log_softmax_row(y, x, n); });
}

static void rms_norm(KernelCall& call) {
  const i64 n = call.in[0].cols();
  const float eps = static_cast<float>(call.attrs->float_at(0));
  float* buffers = row_buffers(call, -1, 2);
  if (buffers == nullptr) return;
  const float* w = read_row(call.in[1], 0, n, call.in[1].strides[0], buffers + n);
  each_row(call, -1, buffers, [=](float* y, const float* x) { rms_norm_row(y, x, w, n, eps); });
}

static void layer_norm(KernelCall& call) {
  const i64 n = call.in[0].cols();
  const float eps = static_cast<float>(call.attrs->float_at(0));
  each_row(call, -1, row_buffers(call, -1, 1),
           [=](float* y, const float* x) { layer_norm_row(y, x, nullptr, nullptr, n, eps); });
}

static void layer_norm_affine(KernelCall& call) {
  const i64 n = call.in[0].cols();
  const float eps = static_cast<float>(call.attrs->float_at(0));
  float* buffers = row_buffers(call, -1, 3);
  if (buffers == nullptr) return;
  const float* w = read_row(call.in[1], 0, n, call.in[1].strides[0], buffers + n);
  const float* b = read_row(call.in[2], 0, n, call.in[2].strides[0], buffers + 2 * n);
  each_row(call, -1, buffers, [=](float* y, const float* x) { layer_norm_row(y, x, w, b, n, eps); });
}

static void l2_normalize(KernelCall& call) {
  const i64 axis = call.attrs->int_at(0), n = AxisLines(call.in[0], axis).length;
  const float eps = static_cast<float>(call.attrs->float_at(1));
  each_row(call, axis, row_buffers(call, axis, 1), [n, eps](float* y, const float* x) {
    const float squares = squares_row(x, n);
    if (leaves_range(squares)) [[unlikely]]
      return wide_l2_row(y, x, n, eps);
    const float length = std::sqrt(squares);
    const F32x16 divisor = splat(length > eps || std::isnan(length) ? length : eps);
    for_each(n, [&](auto v, i64 i) { v.store(y + i, v.load(x + i) / divisor); });
  });
}

}  // namespace tl::cpu::TL_SIMD
#endif
