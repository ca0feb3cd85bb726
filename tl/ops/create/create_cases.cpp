#include <limits>

#include "tests/ops/op_cases.h"

namespace tl::cases {

const OpCases cases_zeros = {
    .op = op_zeros,
    .accepts = {{.name = "matrix", .attrs = "shape: [2, 3]", .want = {0, 0, 0, 0, 0, 0}},
                {.name = "halves", .attrs = "shape: [100], dtype: float16"},
                {.name = "0-d", .attrs = "shape: [], dtype: bool", .want = {0}},
                {.name = "empty", .attrs = "shape: [0, 7]"}},
    .rejects = {{.name = "negative", .attrs = "shape: [2, -3]", .message = "negative dim -3"},
                {.name = "large", .attrs = "shape: [4294967296, 4294967296]", .message = "too large"},
                {.name = "axes", .attrs = "shape: [1, 1, 1, 1, 1, 1, 1, 1, 1]", .message = "want at most 8"},
                {.name = "blocks", .attrs = "shape: [32], dtype: q4_0", .message = "a tensor of q4_0"}},
};

const OpCases cases_ones = {
    .op = op_ones,
    .accepts = {{.name = "matrix", .attrs = "shape: [1, 2]", .want = {1, 1}},
                {.name = "ints", .attrs = "shape: [3], dtype: int16", .want = {1, 1, 1}},
                {.name = "many", .attrs = "shape: [700], dtype: bfloat16"}},
};

const OpCases cases_full = {
    .op = op_full,
    .accepts = {{.name = "numbers", .attrs = "shape: [3], value: 2.5", .want = {2.5, 2.5, 2.5}},
                {.name = "ints", .attrs = "shape: [2], value: -7.9, dtype: int32", .want = {-7, -7}},
                {.name = "many", .attrs = "shape: [3, 177], value: 0.1, dtype: float16"},
                {.name = "ends of int64",
                 .attrs = "shape: [1], value: 9223372036854775807, dtype: int64",
                 .want = {0x1p63}},
                {.name = "ends of uint8", .attrs = "shape: [1], value: 255.5, dtype: uint8", .want = {255}},
                {.name = "nan",
                 .attrs = "shape: [1], value: nan",
                 .want = {std::numeric_limits<double>::quiet_NaN()}}},
    .rejects = {{.name = "blocks",
                 .attrs = "shape: [32], value: 1, dtype: q4_0",
                 .message = "a tensor of q4_0"},
                {.name = "does not fit",
                 .attrs = "shape: [2], value: 300, dtype: uint8",
                 .message = "300 does not fit in uint8"},
                {.name = "nan in ints",
                 .attrs = "shape: [2], value: nan, dtype: int32",
                 .message = "nan does not fit in int32"}},
};

const OpCases cases_arange = {
    .op = op_arange,
    .accepts = {{.name = "one number", .attrs = "start: 4", .want = {0, 1, 2, 3}},
                {.name = "from, to", .attrs = "start: 2, stop: 5", .want = {2, 3, 4}},
                {.name = "down", .attrs = "start: 5, stop: 0, step: -2", .want = {5, 3, 1}},
                {.name = "fractions", .attrs = "start: 0, stop: 1, step: 0.25", .want = {0, 0.25, 0.5, 0.75}},
                {.name = "named type", .attrs = "start: 3, dtype: float32", .want = {0, 1, 2}},
                {.name = "nothing", .attrs = "start: 5, stop: 2"},
                {.name = "many", .attrs = "start: -1000, stop: 2000, step: 7"},
                {.name = "all of int8", .attrs = "start: -128, stop: 128, dtype: int8"},
                {.name = "nothing, in a narrow type", .attrs = "start: 500, stop: 2, dtype: int8"}},
    .rejects = {{.name = "no step", .attrs = "start: 0, stop: 5, step: 0", .message = "in steps of 0"},
                {.name = "endless", .attrs = "start: 0, stop: inf", .message = "no range"},
                {.name = "does not fit",
                 .attrs = "start: 0, stop: 129, dtype: int8",
                 .message = "128 does not fit in int8"},
                {.name = "large", .attrs = "start: 0, stop: 1e30", .message = "too large"}},
};

const OpCases cases_linspace = {
    .op = op_linspace,
    .accepts = {{.name = "five", .attrs = "start: 0, stop: 1, count: 5", .want = {0, 0.25, 0.5, 0.75, 1}},
                {.name = "one", .attrs = "start: 3, stop: 9, count: 1", .want = {3}},
                {.name = "the end as it is named",
                 .attrs = "start: -10000000000000000, stop: 1, count: 2, dtype: float64",
                 .want = {-1e16, 1}},
                {.name = "none", .attrs = "start: 3, stop: 9, count: 0"},
                {.name = "down, many", .attrs = "start: 1, stop: -0.1, count: 333, dtype: float64"}},
    .rejects = {{.name = "negative", .attrs = "start: 0, stop: 1, count: -1", .message = "found -1 numbers"}},
};

const OpCases cases_eye = {
    .op = op_eye,
    .accepts = {{.name = "three", .attrs = "n: 3", .want = {1, 0, 0, 0, 1, 0, 0, 0, 1}},
                {.name = "none", .attrs = "n: 0"},
                {.name = "bools", .attrs = "n: 2, dtype: bool", .want = {1, 0, 0, 1}}},
    .rejects = {{.name = "negative", .attrs = "n: -1", .message = "negative dim"}},
};

const OpCases cases_causal_mask = {
    .op = op_causal_mask,
    .accepts = {{.name = "square", .attrs = "rows: 3", .want = {1, 0, 0, 1, 1, 0, 1, 1, 1}},
                {.name = "later rows",
                 .attrs = "rows: 2, cols: 4, offset: 2",
                 .want = {1, 1, 1, 0, 1, 1, 1, 1}},
                {.name = "none", .attrs = "rows: 0"}},
    .rejects = {{.name = "negative", .attrs = "rows: 2, cols: -2", .message = "negative dim -2"}},
};

const OpCases cases_rand = {
    .op = op_rand,
    .accepts = {{.name = "float32", .attrs = "shape: [3, 111]"},
                {.name = "float16", .attrs = "shape: [77], dtype: float16"},
                {.name = "float64", .attrs = "shape: [77], dtype: float64"},
                {.name = "bfloat16, other seed",
                 .attrs = "shape: [5], dtype: bfloat16, seed: -3, position: 5000000000"},
                {.name = "0-d", .attrs = "shape: []"},
                {.name = "empty", .attrs = "shape: [0]"}},
    .rejects = {{.name = "ints", .attrs = "shape: [3], dtype: int64", .message = "want a float type"}},
};

const OpCases cases_randn = {
    .op = op_randn,
    .accepts = {{.name = "float32", .attrs = "shape: [3, 111]"},
                {.name = "float16", .attrs = "shape: [77], dtype: float16"},
                {.name = "float64", .attrs = "shape: [77], dtype: float64"},
                {.name = "bfloat16", .attrs = "shape: [5], dtype: bfloat16"},
                {.name = "0-d", .attrs = "shape: []"}},
    .rejects = {{.name = "ints", .attrs = "shape: [3], dtype: int64", .message = "want a float type"}},
};

// What Philox gives, worked out apart from it: the same whole numbers on every device.
const OpCases cases_randint = {
    .op = op_randint,
    .accepts =
        {
            {.name = "a die",
             .attrs = "low: 1, high: 7, shape: [5], seed: 1, position: 2",
             .want = {4, 1, 6, 1, 3}},
            {.name = "rows, negative",
             .attrs = "low: -3, high: 4, shape: [2, 3], seed: 5, position: 0",
             .want = {-3, 3, -2, -3, 1, -2}},
            {.name = "one number only",
             .attrs = "low: 9, high: 10, shape: [3], seed: 1, position: 0",
             .want = {9, 9, 9}},
            {.name = "as far apart as can be",
             .attrs = "low: -9223372036854775807, high: 9223372036854775807, shape: [1000]"},
            {.name = "none", .attrs = "low: 0, high: 3, shape: [0, 2]", .want = {}},
        },
    .rejects =
        {
            {.name = "nothing between",
             .attrs = "low: 3, high: 3, shape: [2]",
             .message = "no whole numbers from 3"},
            {.name = "negative dim", .attrs = "low: 0, high: 3, shape: [-1]", .message = "-1"},
        },
};

}  // namespace tl::cases
