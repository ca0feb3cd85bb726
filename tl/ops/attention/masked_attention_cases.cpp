#include "tests/ops/op_cases.h"
#include "tl/ops/elementwise/fused.h"

namespace tl::cases {

// scores * 0.5 + bias.
static std::string scaled_and_biased(int grouped) {
  FusedBuilder pass;
  const int scores = pass.add_input(DType::F32), scale = pass.add_input(DType::F32),
            bias = pass.add_input(DType::F32);
  const int scaled = pass.add_op(ScalarCode::mul, std::array{scores, scale}, DType::F32);
  pass.add_op(ScalarCode::add, std::array{scaled, bias}, DType::F32);
  return fmt::format("program: [{}], grouped: {}", fmt::join(pass.finish().ints(), ", "), grouped);
}

const OpCases cases_masked_attention =
    {
        .op = op_masked_attention,
        .accepts =
            {
                {.name = "scores as they are",
                 .in = {f32({3, 5, 8}), f32({3, 8, 7}), f32({3, 7, 6})},
                 .attrs = "program: [], grouped: 0"},
                {.name = "grouped heads, a bias per query and key",
                 .in = {f32({6, 5, 20}), f32({300, 2, 3, 20}), f32({300, 2, 3, 20}),
                        In::constant(DType::F32, 0.5), f32({5, 300})},
                 .attrs = scaled_and_biased(3)},
                {.name = "one query, halves, values that are not grouped",
                 .in = {f32({9, 1, 64}), f16({45, 3, 3, 64}), bf16({9, 45, 64}),
                        In::constant(DType::F32, 0.5), f32({45})},
                 .attrs = scaled_and_biased(1)},
                {.name = "no keys",
                 .in = {f32({2, 3, 4}), f32({2, 4, 0}), f32({2, 0, 4})},
                 .attrs = "program: [], grouped: 0"},
                {.name = "columns that lie apart, one chain each",
                 .in = {f32({2, 3, 40}).every(2), f32({2, 20, 600}).reversed(2),
                        f32({2, 600, 9}).reversed(2)},
                 .attrs = "program: [], grouped: 0"},
                {.name = "many keys whose numbers lie apart",
                 .in = {f32({6, 5, 20}), f32({200, 2, 3, 40}).every(2), f32({200, 2, 3, 20}),
                        In::constant(DType::F32, 0.5), f32({5, 200})},
                 .attrs = scaled_and_biased(3)},
                {.name = "inputs that lie apart",
                 .in = {f32({4, 3, 700}).reversed(2), f32({4, 30, 700}).transposed(),
                        f32({4, 600, 30}).transposed()},
                 .attrs = "program: [], grouped: 0",
                 .atol = 1e-5},
            },
        .rejects = {{.name = "keys of another rank",
                     .in = {f32({2, 3, 4}), f32({2, 4, 5}), f32({2, 5, 4})},
                     .attrs = "program: [], grouped: 1",
                     .message = "k and v of 4 and 3 axes"}},
};

}  // namespace tl::cases
