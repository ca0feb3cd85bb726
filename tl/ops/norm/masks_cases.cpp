#include <limits>

#include "tests/ops/op_cases.h"

namespace tl::cases {

static constexpr double kInf = std::numeric_limits<double>::infinity();
static constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

const OpCases cases_apply_attention_mask =
    {
        .op = op_apply_attention_mask,
        .accepts =
            {
                {.name = "by hand",
                 .in = {f32({2, 2}).values({1, 2, 3, 4}), f32({2, 2}).values({1, 0, 1, 1})},
                 .want = {1, -kInf, 3, 4}},
                {.name = "one mask for all heads", .in = {f32({3, 20, 20}), f32({20, 20}).values({1, 1, 0})}},
                {.name = "one row", .in = {f32({3, 20, 37}), boolean({37})}},
                {.name = "one column", .in = {f32({20, 37}), int64({20, 1}).range(0, 1)}},
                {.name = "a number", .in = {f32({}), f32({}).values({0})}, .want = {-kInf}},
                {.name = "half", .in = {f16({3, 40}), f16({3, 40}).values({1, 0})}},
                {.name = "half precision mask", .in = {f32({3, 40}), f16({3, 40}).values({1, 0})}},
                {.name = "double", .in = {f64({3, 40}), f32({3, 40}).values({1, 0})}},
                {.name = "transposed",
                 .in = {f32({40, 3}).transposed(), f32({40, 3}).values({1, 0, 0}).transposed()}},
                {.name = "empty", .in = {f32({3, 0}), f32({3, 1})}},
                {.name = "long rows, everything apart",
                 .in = {f16({700, 5}).transposed(), boolean({5, 1400}).every(2)}},
                {.name = "special numbers",
                 .in = {f32({4}).values({kNaN, kInf, -kInf, kNaN}), f32({4}).values({0, 1, 1, 1})},
                 .want = {-kInf, kInf, -kInf, kNaN}},
            },
        .rejects = {{.name = "wider mask",
                     .in = {f32({2, 3}), f32({4, 2, 3})},
                     .message = "a mask of [4, 2, 3] does not fit scores of [2, 3]"},
                    {.name = "longer mask", .in = {f32({1, 3}), f32({2, 3})}, .message = "does not fit"},
                    {.name = "whole scores", .in = {int64({2}), f32({2})}, .message = "scores are int64"}},
};

const OpCases cases_padding_mask = {
    .op = op_padding_mask,
    .accepts =
        {{.name = "by hand",
          .in = {int64({3}).values({0, 2, 5})},
          .attrs = "length: 3",
          .want = {0, 0, 0, 1, 1, 0, 1, 1, 1}},
         {.name = "float lengths",
          .in = {f16({2}).values({1, 2})},
          .attrs = "length: 3",
          .want = {1, 0, 0, 1, 1, 0}},
         {.name = "one length", .in = {In::constant(DType::I64, 1)}, .attrs = "length: 2", .want = {1, 0}},
         {.name = "many lengths apart", .in = {int16({1200}).range(-2, 9).every(2)}, .attrs = "length: 7"},
         {.name = "empty", .in = {int64({3})}, .attrs = "length: 0"}},
    .rejects = {{.name = "negative", .in = {int64({2})}, .attrs = "length: -1", .message = "length is -1"},
                {.name = "huge",
                 .in = {int64({2})},
                 .attrs = "length: 9000000000000000000",
                 .message = "too large"}},
};

const OpCases cases_combine_masks = {
    .op = op_combine_masks,
    .accepts = {{.name = "by hand",
                 .in = {f32({4}).values({1, 1, 0, 2}), f32({4}).values({1, 0, 0, 1})},
                 .want = {1, 0, 0, 1}},
                {.name = "broadcast", .in = {f32({5, 1}).values({1, 0}), f32({7}).values({1, 1, 0})}},
                {.name = "long rows, everything apart",
                 .in = {f16({700, 5}).transposed().range(-1, 1), uint8({5, 1400}).range(0, 1).every(2)}},
                {.name = "truth values", .in = {boolean({9}), boolean({9})}},
                {.name = "half and float", .in = {f16({9}), f32({9})}}},
    .rejects = {{.name = "shapes", .in = {f32({2}), f32({3})}, .message = "masks of [2] and [3] do not fit"}},
};

}  // namespace tl::cases
