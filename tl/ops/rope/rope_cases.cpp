#include "tests/ops/op_cases.h"

namespace tl::cases {

// The rows "as transformers" are what LlamaRotaryEmbedding and apply_rotary_pos_emb of transformers 5.23
// give, the adjacent ones through the permutation its checkpoints carry. It computes angles in float32.
const OpCases cases_rope =
    {
        .op = op_rope,
        .accepts =
            {
                {.name = "as transformers, adjacent",
                 .in = {f32({1, 1, 6}).values({1, 2, 3, 4, 5, 6}), int32({1}).values({5})},
                 .want = {2.2015109062194824, -0.3915998935699463, 1.9995639324188232, 4.582766056060791,
                          4.935078144073486, 6.053511619567871}},
                {.name = "as transformers, half",
                 .in = {f32({1, 1, 6}).values({1, 2, 3, 4, 5, 6}), int64({1}).values({5})},
                 .attrs = "pairing: half",
                 .want = {4.119359493255615, 0.7963720560073853, 2.935194253921509, 0.17572450637817383,
                          5.325954437255859, 6.031967639923096}},
                {.name = "position 0 changes nothing",
                 .in = {f32({1, 1, 4}).values({1, 2, 3, 4}), int64({1}).values({0})},
                 .want = {1, 2, 3, 4}},
                {.name = "a model's heads", .in = {f32({7, 9, 64}), int64({7}).range(0, 2000)}},
                {.name = "half-split heads",
                 .in = {f32({7, 3, 64}), int64({7}).range(0, 2000)},
                 .attrs = "pairing: half"},
                {.name = "odd number of pairs", .in = {f32({5, 2, 38}), int32({5})}},
                {.name = "one position for all", .in = {f32({6, 2, 16}), In::constant(DType::I64, 3)}},
                {.name = "first of two sequences", .in = {f32({2, 4, 2, 16}), In::constant(DType::I64, 3)}},
                {.name = "positions per sequence", .in = {f32({3, 4, 2, 16}), int64({3, 4})}},
                {.name = "broadcast positions", .in = {f32({3, 4, 2, 16}), int64({3, 1})}},
                {.name = "far away",
                 .in = {f32({4, 1, 64}), int64({4}).values({1000000, 123456789, -5, -2000000})}},
                {.name = "base, scale and part of the row",
                 .in = {f32({5, 2, 64}), int64({5})},
                 .attrs = "base: 500000, scale: 0.25, dims: 32"},
                {.name = "part of the row, half-split",
                 .in = {f32({5, 2, 64}), int64({5})},
                 .attrs = "dims: 20, pairing: half"},
                {.name = "float16", .in = {f16({5, 3, 64}), int64({5})}},
                {.name = "float16, half-split",
                 .in = {f16({5, 3, 66}), int64({5})},
                 .attrs = "pairing: half"},
                {.name = "bfloat16", .in = {bf16({5, 3, 64}), int64({5})}},
                {.name = "float64", .in = {f64({5, 3, 64}), int64({5})}},
                {.name = "heads before positions", .in = {f32({3, 5, 64}).permuted({1, 0, 2}), int64({5})}},
                {.name = "strided columns", .in = {f32({3, 5, 64}).every(2), int64({3})}},
                {.name = "no positions", .in = {f32({0, 5, 64}), int64({0})}},
                {.name = "no heads", .in = {f32({4, 0, 64}), int64({4})}},
            },
        .rejects =
            {
                {.name = "odd row", .in = {f32({1, 1, 5}), int64({1})}, .message = "no pairs"},
                {.name = "two axes",
                 .in = {f32({1, 4}), int64({1})},
                 .message = "[1, 4], want [..., positions, heads, dims]"},
                {.name = "float positions",
                 .in = {f32({1, 1, 4}), f32({1})},
                 .message = "want whole numbers"},
                {.name = "positions",
                 .in = {f32({3, 1, 4}), int64({2})},
                 .message = "[2] do not fit x of [3, 1, 4]"},
                {.name = "more positions", .in = {f32({1, 1, 4}), int64({2})}, .message = "[2] do not fit"},
                {.name = "dims",
                 .in = {f32({3, 1, 4}), int64({3})},
                 .attrs = "dims: 6",
                 .message = "dims is 6"},
                {.name = "pairing",
                 .in = {f32({3, 1, 4}), int64({3})},
                 .attrs = "pairing: odd",
                 .message = "\"odd\""},
                {.name = "base",
                 .in = {f32({3, 1, 4}), int64({3})},
                 .attrs = "base: 0",
                 .message = "base is 0"},
            },
};

const OpCases cases_rope_with_factors = {
    .op = op_rope_with_factors,
    .accepts =
        {
            {.name = "doubled",
             .in = {f32({1, 1, 2}).values({1, 0}), int64({1}).values({2}), f32({1}).values({2})},
             .want = {0.5403023058681398, 0.8414709848078965}},
            {.name = "a model's heads",
             .in = {f32({7, 9, 64}), int64({7}).range(0, 2000), f32({32}).range(1, 8)}},
            {.name = "half factors, half-split",
             .in = {f16({7, 9, 64}), int64({7}).range(0, 2000), f16({64}).range(1, 8).every(2)},
             .attrs = "pairing: half"},
        },
    .rejects = {{.name = "too few factors",
                 .in = {f32({7, 9, 64}), int64({7}), f32({31})},
                 .message = "float32[31], want one float for each of 32 pairs"}},
};

const OpCases cases_rope_tables = {
    .op = op_rope_tables,
    .accepts =
        {
            {.name = "quarter turn",
             .in = {f32({1, 1, 2}).values({1, 0}), f32({1, 2}).values({0}), f32({1, 2}).values({1})},
             .want = {0, 1}},
            {.name = "longer tables", .in = {f32({2, 5, 3, 32}), f32({9, 32}), f32({9, 32})}},
            {.name = "half-split",
             .in = {f32({5, 3, 34}), f32({9, 34}), f32({9, 34})},
             .attrs = "pairing: half"},
            {.name = "half precision tables", .in = {f32({5, 3, 32}), f16({5, 32}), f16({5, 32})}},
            {.name = "half-split, half precision",
             .in = {f16({5, 3, 32}), f16({5, 32}), f32({5, 32})},
             .attrs = "pairing: half"},
            {.name = "transposed tables", .in = {f64({5, 3, 4}), f32({4, 5}).transposed(), f64({5, 4})}},
        },
    .rejects = {{.name = "short table",
                 .in = {f32({5, 3, 32}), f32({4, 32}), f32({4, 32})},
                 .message = "a table of [4, 32] does not fit x of [5, 3, 32]"}},
};

const OpCases cases_precompute_rope_cos = {
    .op = op_precompute_rope_cos,
    .accepts = {{.name = "by hand",
                 .attrs = "dims: 4, length: 2",
                 .want = {1, 1, 1, 1, 0.5403023058681398, 0.5403023058681398, 0.9999500004166653,
                          0.9999500004166653}},
                {.name = "half", .attrs = "dims: 64, length: 40, base: 500000, dtype: float16"},
                {.name = "empty", .attrs = "dims: 64, length: 0"}},
    .rejects = {{.name = "odd", .attrs = "dims: 5, length: 2", .message = "5 dims have no pairs"},
                {.name = "negative", .attrs = "dims: 4, length: -2", .message = "-2 positions"},
                {.name = "huge",
                 .attrs = "dims: 1000000, length: 9000000000000000000",
                 .message = "too many"},
                {.name = "whole numbers",
                 .attrs = "dims: 4, length: 2, dtype: int32",
                 .message = "want a float type"}},
};

const OpCases cases_precompute_rope_sin = {
    .op = op_precompute_rope_sin,
    .accepts = {{.name = "by hand",
                 .attrs = "dims: 4, length: 2",
                 .want = {0, 0, 0, 0, 0.8414709848078965, 0.8414709848078965, 0.009999833334166664,
                          0.009999833334166664}},
                {.name = "half", .attrs = "dims: 64, length: 40, base: 500000, dtype: float16"}},
    .rejects = {{.name = "odd", .attrs = "dims: 5, length: 2", .message = "5 dims have no pairs"}},
};

const OpCases cases_positional_encoding = {
    .op = op_positional_encoding,
    .accepts = {{.name = "by hand",
                 .attrs = "length: 2, dims: 2",
                 .want = {0, 1, 0.8414709848078965, 0.9999500004166653}},
                {.name = "odd width", .attrs = "length: 9, dims: 33"},
                {.name = "half", .attrs = "length: 9, dims: 32, dtype: float16"}},
    .rejects = {{.name = "negative", .attrs = "length: -1, dims: 2", .message = "[-1, 2]"},
                {.name = "huge", .attrs = "length: 4000000000000000000, dims: 4", .message = "too many"}},
};

}  // namespace tl::cases
