#include <limits>

#include "tests/ops/op_cases.h"

namespace tl::cases {

static constexpr double kInf = std::numeric_limits<double>::infinity();
static constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Sums of products with weights of up to `largest` in magnitude: what activations of 16 bits cost, and more.
static OpCase quantised_rows(DType dtype, i64 rows, i64 n, i64 blocks, double largest) {
  const i64 k = blocks * info(dtype).block_elements;
  return {.name = fmt::format("{} rows of {}", rows, name_of(dtype)),
          .in = {f32({rows, k}), quantised(dtype, {n, k})},
          .rtol = 1e-4,
          .atol = 1e-3 * largest};
}

static std::vector<OpCase> linear_rows() {
  std::vector<OpCase> rows = {
      {.name = "values", .in = {f32({2}).values({1, 2}), f32({2, 2}).values({3, 4, 5, 6})}, .want = {11, 17}},
      {.name = "no rows", .in = {f32({0, 8}), f32({3, 8})}},
      {.name = "no columns", .in = {f32({2, 8}), f32({0, 8})}},
      {.name = "nothing to sum", .in = {f32({2, 0}), f32({3, 0})}, .want = {0, 0, 0, 0, 0, 0}},
      {.name = "odd sizes", .in = {f32({3, 5, 71}), f32({37, 71})}, .rtol = 1e-5, .atol = 1e-5},
      {.name = "rows apart",
       .in = {f32({9, 80}).columns(16, 40), f32({37, 71}).columns(3, 40)},
       .atol = 1e-5},
      {.name = "axes swapped", .in = {f32({4, 6, 40}).permuted({1, 0, 2}), f32({18, 40})}, .atol = 1e-5},
      {.name = "half", .in = {f16({5, 70}), f16({19, 70})}},
      {.name = "half, float weights", .in = {f16({5, 70}), f32({19, 70})}},
      {.name = "bfloat16 weights", .in = {f32({5, 70}), bf16({19, 70})}, .atol = 1e-5},
      {.name = "bfloat16", .in = {bf16({5, 70}), bf16({19, 70})}},
      {.name = "double", .in = {f64({5, 70}), f64({19, 70})}},
      {.name = "double weights", .in = {f32({5, 70}), f64({19, 70})}, .atol = 1e-6},
      {.name = "half rows, blocks", .in = {f16({5, 64}), quantised(DType::Q4_0, {19, 64})}, .atol = 5e-3},
      {.name = "swapped rows, blocks",
       .in = {f32({4, 6, 64}).permuted({1, 0, 2}), quantised(DType::Q8_0, {18, 64})},
       .atol = 1e-3},
      {.name = "no rows, blocks", .in = {f32({0, 64}), quantised(DType::Q8_0, {18, 64})}},
      {.name = "every second row of blocks",
       .in = {f32({3, 64}), quantised(DType::Q8_0, {40, 64}).every_row(2)},
       .atol = 1e-3},
      {.name = "blocks backwards, many rows",
       .in = {f32({70, 64}).reversed(0), quantised(DType::Q4_0, {37, 64}).reversed(0)},
       .atol = 1e-3},
      {.name = "every third row of large blocks, rows apart",
       .in = {f32({5, 600}).columns(40, 512), quantised(DType::Q4_K, {70, 512}).every_row(3)},
       .rtol = 1e-4,
       .atol = 5e-2},
      {.name = "long rows apart, every second row of weights",
       .in = {f32({9, 1300}).columns(16, 1200), f32({74, 1300}).columns(3, 1200).every_row(2)},
       .atol = 1e-4},
      {.name = "special numbers",
       .in = {f32({2}).values({kInf, 1}), f32({3, 2}).values({1, 1, -1, 1, 0, kNaN})},
       .want = {kInf, -kInf, kNaN}},
      {.name = "some rows of blocks",
       .in = {f32({3, 64}), quantised(DType::Q4_1, {40, 64}).rows(7, 20)},
       .atol = 1e-3},
  };
  // A single row goes straight from the blocks.
  for (const DType dtype : {DType::Q8_0, DType::Q4_0, DType::Q4_K, DType::Q6_K}) {
    const i64 k = 2 * info(dtype).block_elements;
    rows.push_back({.name = fmt::format("one row, every second row of {}", name_of(dtype)),
                    .in = {f32({1, k}), quantised(dtype, {74, k}).every_row(2)},
                    .rtol = 1e-4,
                    .atol = 5e-2});
  }
  for (const DType dtype : {DType::Q4_0, DType::Q4_1, DType::Q5_0, DType::Q5_1, DType::Q8_0})
    for (const i64 count : {1, 2, 7, 33}) rows.push_back(quantised_rows(dtype, count, 37, 5, 2));
  for (const DType dtype : {DType::Q2_K, DType::Q3_K, DType::Q4_K, DType::Q5_K, DType::Q6_K})
    for (const i64 count : {1, 2, 7, 33}) rows.push_back(quantised_rows(dtype, count, 21, 2, 50));
  return rows;
}

const OpCases cases_linear = {
    .op = op_linear,
    .accepts = linear_rows(),
    .rejects =
        {
            {.name = "inner",
             .in = {f32({2, 3}), f32({5, 4})},
             .message = "inner dimensions differ: 3 and 4"},
            {.name = "ints", .in = {int32({2, 3}), f32({5, 3})}, .message = "found int32 values"},
            {.name = "weight of ints",
             .in = {f32({2, 3}), int32({5, 3})},
             .message = "found a weight of int32"},
            {.name = "weight with a batch", .in = {f32({2, 3}), f32({1, 5, 3})}, .message = "want rows"},
        },
};

const OpCases cases_matmul =
    {
        .op = op_matmul,
        .accepts =
            {
                {.name = "values",
                 .in = {f32({2, 2}).values({1, 2, 3, 4}), f32({2, 2}).values({5, 6, 7, 8})},
                 .want = {19, 22, 43, 50}},
                {.name = "vectors",
                 .in = {f32({3}).values({1, 2, 3}), f32({3}).values({4, 5, 6})},
                 .want = {32}},
                {.name = "row times matrix", .in = {f32({40}), f32({40, 21})}, .atol = 1e-5},
                {.name = "matrix times column", .in = {f32({21, 40}), f32({40})}, .atol = 1e-5},
                {.name = "odd sizes", .in = {f32({99, 301}), f32({301, 131})}, .atol = 1e-4},
                {.name = "b turned", .in = {f32({99, 301}), f32({131, 301}).transposed()}, .atol = 1e-4},
                {.name = "a turned", .in = {f32({301, 99}).transposed(), f32({301, 131})}, .atol = 1e-4},
                {.name = "both turned",
                 .in = {f32({301, 9}).transposed(), f32({13, 301}).transposed()},
                 .atol = 1e-4},
                {.name = "every second column",
                 .in = {f32({9, 60}).every(2), f32({30, 26}).every(2)},
                 .atol = 1e-5},
                {.name = "long sums, everything apart",
                 .in = {f32({9, 2400}).every(2), f32({1200, 40}).every(2)},
                 .atol = 2e-4},
                {.name = "long sums, turned and apart, half",
                 .in = {f16({1100, 9}).transposed(), f16({33, 2200}).every(2).transposed()},
                 .atol = 5e-2},
                {.name = "wide and backwards, double",
                 .in = {f64({5, 70}).reversed(1), f64({70, 700}).reversed(1)}},
                {.name = "long sums of ints apart",
                 .in = {int64({3, 1200}).range(-9, 9).every(2), int64({700, 600}).range(-9, 9).transposed()}},
                {.name = "ends of int64",
                 .in = {int64({1, 3}).values({0x1p63, -0x1p63, 1}), int64({3, 1}).values({2, 1, 5})}},
                {.name = "batches broadcast", .in = {f32({2, 1, 4, 33}), f32({3, 33, 20})}, .atol = 1e-5},
                {.name = "one matrix for all",
                 .in = {f32({5, 4, 33}), f32({1, 33, 20}).broadcast_to({5, 33, 20})},
                 .atol = 1e-5},
                {.name = "backwards",
                 .in = {f32({9, 33}).reversed(0), f32({33, 20}).reversed(0)},
                 .atol = 1e-5},
                {.name = "no rows", .in = {f32({0, 4}), f32({4, 3})}},
                {.name = "nothing to sum", .in = {f32({2, 0}), f32({0, 3})}, .want = {0, 0, 0, 0, 0, 0}},
                {.name = "half", .in = {f16({9, 70}), f16({70, 40})}, .atol = 1e-3},
                {.name = "half with bfloat16",
                 .in = {f16({9, 70}), bf16({40, 70}).transposed()},
                 .atol = 1e-5},
                {.name = "double", .in = {f64({9, 70}), f64({70, 40})}},
                {.name = "ints", .in = {int32({9, 70}), int64({70, 40})}},
                {.name = "bytes wrap around", .in = {uint8({3, 70}), uint8({70, 4})}},
                {.name = "ints with floats", .in = {int32({9, 70}), f32({70, 40})}, .atol = 1e-4},
                {.name = "blocks along n",
                 .in = {f32({9, 30}), quantised(DType::Q4_0, {30, 64})},
                 .atol = 1e-4},
                {.name = "blocks along n, many",
                 .in = {f32({3, 5}), quantised(DType::Q6_K, {5, 512})},
                 .atol = 1e-3},
            },
        .rejects =
            {
                {.name = "inner", .in = {f32({2, 3}), f32({4, 5})}, .message = "3 and 4 ([2, 3] and [4, 5])"},
                {.name = "batches", .in = {f32({2, 3, 4}), f32({3, 4, 5})}, .message = "do not broadcast"},
                {.name = "a number", .in = {f32({}), f32({3})}, .message = "single number"},
                {.name = "truth values", .in = {boolean({2, 3}), f32({3, 2})}, .message = "a matrix of bool"},
            },
};

}  // namespace tl::cases
