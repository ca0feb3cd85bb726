#include "tests/ops/op_cases.h"

namespace tl::cases {

const OpCases cases_embedding =
    {
        .op = op_embedding,
        .accepts =
            {
                {.name = "values",
                 .in = {f32({2, 2}).values({1, 2, 3, 4}), int64({3}).values({1, 0, 1})},
                 .want = {3, 4, 1, 2, 3, 4}},
                {.name = "ids and rows that lie apart",
                 .in = {f32({3, 3}).values({1, 2, 3, 4, 5, 6, 7, 8, 9}).columns(1, 2),
                        int64({2, 3}).values({2, 0, 1, 1, 2, 0}).columns(0, 2)},
                 .want = {8, 9, 2, 3, 5, 6, 8, 9}},
                {.name = "one id", .in = {f32({10, 7}), int32({}).range(0, 9)}},
                {.name = "matrix of bytes", .in = {f16({10, 7}), uint8({3, 5}).range(0, 9)}},
                {.name = "no ids", .in = {f32({10, 7}), int64({0})}},
                {.name = "ids apart", .in = {bf16({10, 7}), int64({20}).range(0, 9).every(3)}},
                {.name = "columns of a table", .in = {f64({10, 9}).columns(2, 5), int64({4}).range(0, 9)}},
                {.name = "table of ints", .in = {int32({10, 3}), int64({4}).range(0, 9)}},
                {.name = "many ids apart, wide rows apart",
                 .in = {f32({40, 1400}).columns(9, 700), int32({1200}).range(0, 39).every(2)}},
                {.name = "blocks, many ids backwards",
                 .in = {quantised(DType::Q4_0, {20, 64}).every_row(2), int64({600}).range(0, 9).reversed(0)}},
                {.name = "blocks", .in = {quantised(DType::Q8_0, {10, 64}), int64({4}).range(0, 9)}},
                {.name = "large blocks", .in = {quantised(DType::Q6_K, {10, 512}), int64({4}).range(0, 9)}},
                {.name = "whole floats",
                 .in = {f32({2, 2}).values({1, 2, 3, 4}), f16({2}).values({1, 0})},
                 .want = {3, 4, 1, 2}},
                {.name = "a fraction",
                 .in = {f32({3, 2}), f32({2}).values({1, 0.5})},
                 .fails = "id 0.5 is no whole number"},
                {.name = "beyond the end",
                 .in = {f32({3, 2}), int64({2}).values({0, 3})},
                 .fails = "id 3 is outside of a table of 3 rows"},
                {.name = "below 0", .in = {f32({3, 2}), int64({1}).values({-1})}, .fails = "id -1"},
            },
        .rejects =
            {
                {.name = "truth values", .in = {f32({3, 2}), boolean({2})}, .message = "ids of bool"},
                {.name = "vector", .in = {f32({3}), int64({2})}, .message = "want [rows, width]"},
            },
};

}  // namespace tl::cases
