#include "tl/tensor/quant.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <iterator>
#include <string>
#include <vector>

#include "tl/base/half.h"
#include "tl/base/read_file.h"

namespace tl {
namespace {

// The data of an .npy file of version 1 (reading them properly is io's, above this layer).
template <typename T>
std::vector<T> npy_data(const std::string& path) {
  const std::string all = read_whole_file(path).value();
  if (all.size() < 10) return {};
  const size_t header = 10 + static_cast<u8>(all[8]) + 256u * static_cast<u8>(all[9]);
  std::vector<T> data((all.size() - header) / sizeof(T));
  std::memcpy(data.data(), all.data() + header, data.size() * sizeof(T));
  return data;
}

class Quant : public testing::TestWithParam<DType> {};

// scripts/make_quant_fixtures.py: values come from the gguf package.
TEST_P(Quant, AgreesToTheBitWithTheFixture) {
  const std::string stem = fmt::format("tests/data/quant/{}", name_of(GetParam()));
  const auto blocks = npy_data<u8>(stem + ".blocks.npy");
  const auto wanted = npy_data<float>(stem + ".values.npy");
  ASSERT_FALSE(wanted.empty()) << "cannot read " << stem << ".*.npy (run from the source folder)";
  const i64 n = static_cast<i64>(wanted.size());
  ASSERT_EQ(row_bytes(GetParam(), n), static_cast<i64>(blocks.size()));
  std::vector<float> got(wanted.size());
  dequantize_row(GetParam(), blocks.data(), got.data(), n);
  int shown = 0;
  for (size_t i = 0; i < got.size() && shown < 8; ++i) {
    if (std::bit_cast<u32>(got[i]) == std::bit_cast<u32>(wanted[i])) continue;
    ADD_FAILURE() << "element " << i << " is " << got[i] << ", wanted " << wanted[i];
    ++shown;
  }
}

TEST_P(Quant, NeedsNoAlignment) {
  const std::string stem = fmt::format("tests/data/quant/{}", name_of(GetParam()));
  auto blocks = npy_data<u8>(stem + ".blocks.npy");
  ASSERT_FALSE(blocks.empty());
  std::vector<float> a(256), b(256);
  dequantize_row(GetParam(), blocks.data(), a.data(), 256);
  blocks.insert(blocks.begin(), 0);
  dequantize_row(GetParam(), blocks.data() + 1, b.data(), 256);
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0);
}

std::vector<DType> quantised_types() {
  std::vector<DType> types;
  for (int i = 0; i < dtype_count(); ++i) {
    if (is_quantised(static_cast<DType>(i))) types.push_back(static_cast<DType>(i));
  }
  return types;
}

INSTANTIATE_TEST_SUITE_P(All, Quant, testing::ValuesIn(quantised_types()),
                         [](const auto& row) { return std::string(name_of(row.param)); });

TEST(QuantFloats, AreConverted) {
  const float values[] = {0, -0.f, 1, -2.5, 0x1p-24f, 65504, 0x1p-130f};
  const i64 n = std::ssize(values);
  std::vector<u16> half, brain;
  std::vector<double> wide;
  for (const float v : values) {
    half.push_back(f32_to_f16(v));
    brain.push_back(f32_to_bf16(v));
    wide.push_back(v);
  }
  std::vector<float> out(std::size(values));
  dequantize_row(DType::F32, reinterpret_cast<const u8*>(values), out.data(), n);
  EXPECT_EQ(std::memcmp(out.data(), values, sizeof values), 0);
  dequantize_row(DType::F64, reinterpret_cast<const u8*>(wide.data()), out.data(), n);
  EXPECT_EQ(std::memcmp(out.data(), values, sizeof values), 0);
  dequantize_row(DType::F16, reinterpret_cast<const u8*>(half.data()), out.data(), n);
  EXPECT_EQ(std::memcmp(out.data(), values, 6 * sizeof(float)), 0);  // the last is too small for a half
  dequantize_row(DType::BF16, reinterpret_cast<const u8*>(brain.data()), out.data(), n);
  EXPECT_EQ(std::memcmp(out.data(), values, 5 * sizeof(float)), 0);  // 65504 has too many bits
  EXPECT_EQ(out[6], values[6]);
}

TEST(QuantFloats, IntegersHaveNoReading) {
  EXPECT_FALSE(can_dequantize(DType::I8));
  EXPECT_FALSE(can_dequantize(DType::Bool));
  EXPECT_TRUE(can_dequantize(DType::BF16));
  EXPECT_TRUE(can_dequantize(DType::Q6_K));
}

}  // namespace
}  // namespace tl
