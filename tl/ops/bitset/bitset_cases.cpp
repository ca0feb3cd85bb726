#include "tests/ops/op_cases.h"

namespace tl::cases {

const OpCases cases_pack_bits = {
    .op = op_pack_bits,
    .accepts =
        {
            {.name = "lowest bit first",
             .in = {boolean({2, 3}).values({1, 0, 1, 0, 1, 1})},
             .want = {5, 6, 2, 2}},
            {.name = "more than a word", .in = {boolean({5, 130})}},
            {.name = "whole words", .in = {boolean({3, 128})}},
            {.name = "columns apart", .in = {boolean({700, 3}).transposed()}},
            {.name = "no columns", .in = {boolean({3, 0})}, .want = {0, 0, 0}},
            {.name = "no rows", .in = {boolean({0, 70})}},
        },
    .rejects = {{.name = "numbers",
                 .in = {f32({2, 2})},
                 .message = "found float32[2, 2], want a matrix of bool"}},
};

const OpCases cases_unpack_bits = {
    .op = op_unpack_bits,
    .accepts =
        {
            {.name = "three columns",
             .in = {int64({2, 1}).values({5, 6}), int64({2})},
             .attrs = "cols: 3",
             .want = {1, 0, 1, 0, 1, 1}},
            {.name = "two words", .in = {int64({7, 2}).range(-1e15, 1e15), int64({7})}, .attrs = "cols: 101"},
            {.name = "no columns", .in = {int64({2, 0}), int64({2})}, .attrs = "cols: 0"},
        },
    .rejects = {{.name = "too many",
                 .in = {int64({2, 1}), int64({2})},
                 .attrs = "cols: 65",
                 .message = "65 columns in rows of 1 words"}},
};

const OpCases cases_bits_matmul = {
    .op = op_bits_matmul,
    .accepts =
        {
            {.name = "a way through",
             .in = {int64({2, 1}).values({0b101, 0}), int64({2}), int64({3, 1}).values({0b001, 0b100, 0b110}),
                    int64({3})},
             .want = {7, 0, 3, 0}},
            {.name = "more than a word",
             .in = {int64({9, 2}).range(-1e15, 1e15), int64({9}), int64({100, 3}).range(-1e15, 1e15),
                    int64({100})}},
            {.name = "nothing between",
             .in = {int64({2, 0}), int64({2}), int64({0, 1}), int64({0})},
             .want = {0, 0, 0, 0}},
            {.name = "no columns",
             .in = {int64({2, 1}), int64({2}), int64({4, 0}), int64({4})},
             .want = {0, 0}},
        },
    .rejects =
        {
            {.name = "inner",
             .in = {int64({2, 1}), int64({2}), int64({65, 1}), int64({65})},
             .message = "rows of 1 words for 65 rows"},
            {.name = "counts",
             .in = {int64({2, 1}), int64({3}), int64({4, 1}), int64({4})},
             .message = "want rows of words with their counts"},
        },
};

const OpCases cases_bits_or = {
    .op = op_bits_or,
    .accepts =
        {
            {.name = "one of two",
             .in = {int64({2, 1}).values({5, 0}), int64({2}), int64({2, 1}).values({2, 8}), int64({2})},
             .want = {7, 8, 3, 1}},
            {.name = "words",
             .in = {int64({5, 4}).range(-1e15, 1e15), int64({5}), int64({5, 4}).range(-1e15, 1e15),
                    int64({5})}},
        },
    .rejects = {{.name = "shapes",
                 .in = {int64({2, 1}), int64({2}), int64({2, 2}), int64({2})},
                 .message = "shapes differ: [2, 1] and [2, 2]"}},
};

const OpCases cases_bits_counts = {
    .op = op_bits_counts,
    .accepts = {{.name = "counts", .in = {int64({3, 2}), int64({3}).values({4, 0, 7})}, .want = {4, 0, 7}}},
};

const OpCases cases_count_true = {
    .op = op_count_true,
    .accepts =
        {
            {.name = "rows", .in = {boolean({2, 3}).values({1, 0, 1, 0, 0, 1})}, .want = {2, 1}},
            {.name = "many", .in = {boolean({40, 333})}},
            {.name = "columns apart", .in = {boolean({700, 3}).transposed()}},
            {.name = "none", .in = {boolean({3, 0})}, .want = {0, 0, 0}},
        },
    .rejects = {{.name = "numbers", .in = {f32({2, 2})}, .message = "want a matrix of bool"}},
};

}  // namespace tl::cases
