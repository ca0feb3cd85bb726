#include "tl/tensor/quant.h"

#include <bit>
#include <cstring>

#include "tl/base/check.h"
#include "tl/base/half.h"

namespace tl {
namespace {

// GGUF is little-endian; so is every machine we run on.
static_assert(std::endian::native == std::endian::little);

template <typename T>
T load(const u8* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

float half_at(const u8* p) {
  return f16_to_f32(load<u16>(p));
}

// Formats of 32 elements keep element j in the low nibble of byte j and element j + 16 in the high one.

// d:f16, nibbles[16];  x = d * (q - 8)
void q4_0(const u8* b, float* x) {
  const float d = half_at(b);
  for (int j = 0; j < 16; ++j) {
    x[j] = d * static_cast<float>((b[2 + j] & 15) - 8);
    x[j + 16] = d * static_cast<float>((b[2 + j] >> 4) - 8);
  }
}

// d:f16, m:f16, nibbles[16];  x = d * q + m
void q4_1(const u8* b, float* x) {
  const float d = half_at(b), m = half_at(b + 2);
  for (int j = 0; j < 16; ++j) {
    x[j] = d * static_cast<float>(b[4 + j] & 15) + m;
    x[j + 16] = d * static_cast<float>(b[4 + j] >> 4) + m;
  }
}

// The five-bit formats: bit j of `high` is the top bit of element j.
int five_bits(const u8* nibbles, u32 high, int j) {
  const int low = j < 16 ? nibbles[j] & 15 : nibbles[j - 16] >> 4;
  return low | static_cast<int>(((high >> j) & 1u) << 4);
}

// d:f16, high:u32, nibbles[16];  x = d * (q - 16)
void q5_0(const u8* b, float* x) {
  const float d = half_at(b);
  const u32 high = load<u32>(b + 2);
  for (int j = 0; j < 32; ++j) x[j] = d * static_cast<float>(five_bits(b + 6, high, j) - 16);
}

// d:f16, m:f16, high:u32, nibbles[16];  x = d * q + m
void q5_1(const u8* b, float* x) {
  const float d = half_at(b), m = half_at(b + 2);
  const u32 high = load<u32>(b + 4);
  for (int j = 0; j < 32; ++j) x[j] = d * static_cast<float>(five_bits(b + 8, high, j)) + m;
}

// d:f16, q:i8[32];  x = d * q
void q8_0(const u8* b, float* x) {
  const float d = half_at(b);
  for (int j = 0; j < 32; ++j) x[j] = d * static_cast<float>(static_cast<i8>(b[2 + j]));
}

// The K formats hold 256 elements in runs that each have a scale of their own. Where quants are two bits
// wide, 128 elements share 32 bytes: element j is in bits 2 * (j / 32) of byte j % 32.
int two_bits(const u8* quants, int i) {
  const int half = i / 128, j = i % 128;
  return quants[32 * half + j % 32] >> (2 * (j / 32)) & 3;
}

// scales:u8[16] (low nibble scale, high nibble min), quants[64], d:f16, dmin:f16;  x = d * s * q - dmin * m
void q2_k(const u8* b, float* x) {
  const float d = half_at(b + 80), dmin = half_at(b + 82);
  for (int i = 0; i < 256; ++i) {
    const u8 packed = b[i / 16];
    const float scale = d * static_cast<float>(packed & 15), min = dmin * static_cast<float>(packed >> 4);
    x[i] = scale * static_cast<float>(two_bits(b + 16, i)) - min;
  }
}

// Six-bit scale s of 16 in twelve bytes: four low bits in nibbles of the first eight, two high bits in the
// rest.
int q3_k_scale(const u8* packed, int s) {
  const int low = s < 8 ? packed[s] & 15 : packed[s - 8] >> 4;
  const int high = packed[8 + s % 4] >> (2 * (s / 4)) & 3;
  return (low | high << 4) - 32;
}

// high[32] (bit i / 32 of byte i % 32), quants[64], scales[12], d:f16;  x = d * s * (q - (high bit clear ? 4
// : 0))
void q3_k(const u8* b, float* x) {
  const float d = half_at(b + 108);
  for (int i = 0; i < 256; ++i) {
    const float scale = d * static_cast<float>(q3_k_scale(b + 96, i / 16));
    const int high = b[i % 32] >> (i / 32) & 1;
    x[i] = scale * static_cast<float>(two_bits(b + 32, i) - (high ? 0 : 4));
  }
}

struct ScaleMin {
  int scale, min;
};

// Eight six-bit scales and mins in twelve bytes: runs 0-3 have whole bytes' low six bits, runs 4-7 a nibble
// of the last four bytes and the two top bits of the others.
ScaleMin k_scale_min(const u8* packed, int run) {
  if (run < 4) return {packed[run] & 63, packed[run + 4] & 63};
  return {(packed[run + 4] & 15) | packed[run - 4] >> 6 << 4, packed[run + 4] >> 4 | packed[run] >> 6 << 4};
}

// Four-bit quants of 256 elements: 64 share 32 bytes, low nibbles first.
int k_nibble(const u8* quants, int i) {
  return quants[32 * (i / 64) + i % 32] >> (i % 64 < 32 ? 0 : 4) & 15;
}

// d:f16, dmin:f16, scales[12], quants[128];  x = d * s * q - dmin * m
void q4_k(const u8* b, float* x) {
  const float d = half_at(b), dmin = half_at(b + 2);
  for (int i = 0; i < 256; ++i) {
    const ScaleMin sm = k_scale_min(b + 4, i / 32);
    const float scale = d * static_cast<float>(sm.scale), min = dmin * static_cast<float>(sm.min);
    x[i] = scale * static_cast<float>(k_nibble(b + 16, i)) - min;
  }
}

// d:f16, dmin:f16, scales[12], high[32] (bit i / 32 of byte i % 32), quants[128];  x = d * s * q - dmin * m
void q5_k(const u8* b, float* x) {
  const float d = half_at(b), dmin = half_at(b + 2);
  for (int i = 0; i < 256; ++i) {
    const ScaleMin sm = k_scale_min(b + 4, i / 32);
    const float scale = d * static_cast<float>(sm.scale), min = dmin * static_cast<float>(sm.min);
    const int high = b[16 + i % 32] >> (i / 32) & 1;
    x[i] = scale * static_cast<float>(k_nibble(b + 48, i) | high << 4) - min;
  }
}

// low[128], high[64], scales:i8[16], d:f16;  x = d * s * (q - 32). Per 128 elements: low nibbles of 64 bytes,
// then their high nibbles; the two top bits as in two_bits.
void q6_k(const u8* b, float* x) {
  const float d = half_at(b + 208);
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, j = i % 128;
    const int low = b[64 * half + j % 64] >> (j < 64 ? 0 : 4) & 15;
    const int q = (low | two_bits(b + 128, i) << 4) - 32;
    const float scale = d * static_cast<float>(static_cast<i8>(b[192 + i / 16]));
    x[i] = scale * static_cast<float>(q);
  }
}

void f16(const u8* b, float* x) {
  *x = half_at(b);
}
void bf16(const u8* b, float* x) {
  *x = bf16_to_f32(load<u16>(b));
}
void f32(const u8* b, float* x) {
  *x = load<float>(b);
}
void f64(const u8* b, float* x) {
  *x = static_cast<float>(load<double>(b));
}

using BlockReader = void (*)(const u8* block, float* out);

BlockReader reader_of(DType dtype) {
  switch (dtype) {
    case DType::F32:
      return f32;
    case DType::F16:
      return f16;
    case DType::BF16:
      return bf16;
    case DType::F64:
      return f64;
    case DType::Q4_0:
      return q4_0;
    case DType::Q4_1:
      return q4_1;
    case DType::Q5_0:
      return q5_0;
    case DType::Q5_1:
      return q5_1;
    case DType::Q8_0:
      return q8_0;
    case DType::Q2_K:
      return q2_k;
    case DType::Q3_K:
      return q3_k;
    case DType::Q4_K:
      return q4_k;
    case DType::Q5_K:
      return q5_k;
    case DType::Q6_K:
      return q6_k;
    case DType::I8:
    case DType::I16:
    case DType::I32:
    case DType::I64:
    case DType::U8:
    case DType::Bool:
    case DType::Planes:
      return nullptr;
  }
  return nullptr;
}

}  // namespace

bool can_dequantize(DType dtype) {
  return reader_of(dtype) != nullptr;
}

void dequantize_row(DType dtype, const u8* blocks, float* out, i64 elements) {
  const BlockReader read = reader_of(dtype);
  TL_CHECK(read != nullptr, "no float32 reading of {}", name_of(dtype));
  const DTypeInfo& type = info(dtype);
  const i64 count = row_bytes(dtype, elements) / type.block_bytes;
  for (i64 i = 0; i < count; ++i) read(blocks + i * type.block_bytes, out + i * type.block_elements);
}

}  // namespace tl
