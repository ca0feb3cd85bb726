// The values themselves are held to the gguf package's by tl/tensor/quant_test.cpp; these rows look at shapes
// and splits.
#include "tests/ops/op_cases.h"

namespace tl::cases {

static std::vector<OpCase> one_row_per_type() {
  std::vector<OpCase> rows;
  for (int i = 0; i < dtype_count(); ++i) {
    const auto dtype = static_cast<DType>(i);
    if (!is_quantised(dtype)) continue;
    rows.push_back({.name = std::string(name_of(dtype)), .in = {quantised(dtype, {3, 512})}});
    rows.push_back({.name = fmt::format("{}, one block", name_of(dtype)),
                    .in = {quantised(dtype, {info(dtype).block_elements})}});
  }
  rows.push_back({.name = "some rows", .in = {quantised(DType::Q8_0, {1200, 64}).every_row(2)}});
  rows.push_back({.name = "the same row", .in = {quantised(DType::Q4_0, {1, 64}).broadcast_to({3, 2, 64})}});
  rows.push_back({.name = "no rows", .in = {quantised(DType::Q4_K, {0, 256})}});
  return rows;
}

const OpCases cases_dequantize = {
    .op = op_dequantize,
    .accepts = one_row_per_type(),
    .rejects = {{.name = "floats", .in = {f32({2, 32})}, .message = "want a quantised tensor"}},
};

}  // namespace tl::cases
