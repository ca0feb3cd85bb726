// Sixteen elements at a time: four blocks of Philox, then vector arithmetic. Units are blocks.
#include "tl/backend/cpu/simd.h"
#include "tl/ops/create/create.h"

#ifndef TL_SIMD
#define TL_SIMD_FILE "tl/ops/create/random_cpu.cpp"

namespace tl::cpu {

// The numbers that the elements of blocks [block, min(block + 4, end)) are made of.
static void unit_numbers(const Attrs& attrs, i64 block, i64 end, float* u) {
  for (i64 b = block; b < std::min(block + 4, end); ++b, u += 4) {
    const PhiloxWords words = random_block(attrs, b);
    for (size_t i = 0; i < 4; ++i) u[i] = philox_unit_f32(words[i]);
  }
}
static void normal_numbers(const Attrs& attrs, i64 block, i64 end, float* u, float* v) {
  for (i64 b = block; b < std::min(block + 4, end); ++b, u += 4, v += 4) {
    const PhiloxWords words = random_block(attrs, b);
    for (size_t i = 0; i < 4; ++i) {
      u[i] = philox_above_zero_f32(words[i / 2 * 2]);
      v[i] = philox_unit_f32(words[i / 2 * 2 + 1]);
    }
  }
}

}  // namespace tl::cpu

#include "tl/backend/cpu/targets.h"

namespace tl::cpu {

// float64 is rare: the plain loops.
void rand(KernelCall& call) {
  call.out.dtype == DType::F64 ? ref::rand(call) : TL_SIMD_PICK(call.simd, rand)(call);
}
void randn(KernelCall& call) {
  call.out.dtype == DType::F64 ? ref::randn(call) : TL_SIMD_PICK(call.simd, randn)(call);
}

}  // namespace tl::cpu

#else

namespace tl::cpu::TL_SIMD {

// produce(block) gives the 16 elements from block 4 * k on; rows of the output are cut at its end.
template <typename T, typename Produce>
static void write_blocks(KernelCall& call, Produce produce) {
  T* out = call.out.mutable_ptr<T>();
  const i64 end = std::min(4 * call.end, call.out.numel());
  for (i64 block = call.begin; block < call.end; block += 4) {
    const i64 n = std::min(i64{16}, end - 4 * block);
    const F32x16 values = produce(block);
    if (n == 16) {
      store(out + 4 * block, values);
    } else {
      store_n(out + 4 * block, values, static_cast<int>(n));
    }
  }
}

template <typename Produce>
static void write_typed(KernelCall& call, Produce produce) {
  if (call.out.dtype == DType::F32) return write_blocks<float>(call, produce);
  if (call.out.dtype == DType::F16) return write_blocks<f16>(call, produce);
  write_blocks<bf16>(call, produce);
}

void rand(KernelCall& call) {
  write_typed(call, [&](i64 block) {
    float u[16] = {};
    unit_numbers(*call.attrs, block, call.end, u);
    return load(u);
  });
}

void randn(KernelCall& call) {
  float is_odd[16];
  for (int i = 0; i < 16; ++i) is_odd[i] = i % 2 == 0 ? 0.0f : 1.0f;
  write_typed(call, [&](i64 block) {
    float u[16], v[16] = {};
    for (float& x : u) x = 1;
    normal_numbers(*call.attrs, block, call.end, u, v);
    const F32x16 angle = load(v) * splat(6.28318531f), radius = sqrt(splat(-2.0f) * log(load(u)));
    return radius * select(load(is_odd) == splat(1.0f), sin(angle), cos(angle));
  });
}

}  // namespace tl::cpu::TL_SIMD

#endif
