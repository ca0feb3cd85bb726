#include <limits>

#include "tests/ops/op_cases.h"

namespace tl::cases {

static constexpr double kInf = std::numeric_limits<double>::infinity();
static constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Written results are numpy's (x[mask], numpy.argwhere, numpy.unique), with zeros behind the count.
const OpCases cases_counted_rows =
    {
        .op = op_counted_rows,
        .accepts =
            {
                {.name = "some rows",
                 .in = {f32({3, 2}).values({1, 2, 3, 4, 5, 6}), boolean({3}).values({1, 0, 1})},
                 .want = {1, 2, 5, 6, 0, 0, 2}},
                {.name = "of two axes",
                 .in = {int32({2, 3}).values({1, 2, 3, 4, 5, 6}), boolean({2, 3}).values({0, 1, 0, 1, 1, 0})},
                 .want = {2, 4, 5, 0, 0, 0, 3}},
                {.name = "of two of three axes",
                 .in = {int32({2, 2, 2}).values({1, 2, 3, 4, 5, 6, 7, 8}),
                        boolean({2, 2}).values({0, 1, 1, 0})},
                 .want = {3, 4, 5, 6, 0, 0, 0, 0, 2}},
                {.name = "none", .in = {f32({3}), boolean({3}).values({0})}, .want = {0, 0, 0, 0}},
                {.name = "all",
                 .in = {f32({3}).values({1, 2, 3}), boolean({3}).values({1})},
                 .want = {1, 2, 3, 3}},
                {.name = "blocks of rows", .in = {f32({5000, 3}), boolean({5000})}},
                {.name = "many, few picked",
                 .in = {f64({9001}),
                        boolean({9001}).values({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1})}},
                {.name = "rows apart", .in = {f16({4, 700}).transposed(), boolean({1400}).every(2)}},
                {.name = "bool", .in = {boolean({300}), boolean({300})}},
                {.name = "int64", .in = {int64({300, 2}), boolean({300})}},
                {.name = "rows of nothing", .in = {f32({4, 0}), boolean({4})}},
                {.name = "no rows", .in = {f32({0, 4}), boolean({0})}, .want = {0}},
                {.name = "blocks", .in = {quantised(DType::Q8_0, {6, 32}), boolean({6})}},
            },
        .rejects =
            {
                {.name = "numbers",
                 .in = {f32({3}), int32({3})},
                 .message = "found a mask of int32, want bool"},
                {.name = "length",
                 .in = {f32({3}), boolean({4})},
                 .message = "a mask of [4] does not fit float32[3]"},
                {.name = "rank",
                 .in = {f32({3}), boolean({3, 1})},
                 .message = "a mask of [3, 1] does not fit"},
                {.name = "truth", .in = {f32({3}), boolean({})}, .message = "a mask of [] does not fit"},
            },
};

const OpCases cases_counted_nonzero =
    {
        .op = op_counted_nonzero,
        .accepts =
            {
                {.name = "matrix",
                 .in = {f32({2, 3}).values({0, 5, 0, -1, 0, kNaN})},
                 .want = {0, 1, 1, 0, 1, 2, 0, 0, 0, 0, 0, 0, 3}},
                {.name = "zeros of both signs",
                 .in = {f32({4}).values({0.0, -0.0, 1, -0.0})},
                 .want = {2, 0, 0, 0, 1}},
                {.name = "half, zeros of both signs",
                 .in = {f16({4}).values({0.0, -0.0, -1, -0.0})},
                 .want = {2, 0, 0, 0, 1}},
                {.name = "double, zeros of both signs",
                 .in = {f64({4}).values({0.0, -0.0, kInf, -0.0})},
                 .want = {2, 0, 0, 0, 1}},
                {.name = "lowest int", .in = {int64({3}).values({0, -0x1p63, 0})}, .want = {1, 0, 0, 1}},
                {.name = "lowest int8", .in = {int8({3}).values({0, -128, 0})}, .want = {1, 0, 0, 1}},
                {.name = "number", .in = {f32({}).values({2})}, .want = {1}},
                {.name = "many", .in = {boolean({70, 91})}},
                {.name = "many ints", .in = {int32({20, 30, 10}).range(-2, 2)}},
                {.name = "rows apart", .in = {uint8({20, 600}).range(0, 2).transposed()}},
                {.name = "bfloat16", .in = {bf16({30, 30})}},
                {.name = "int16", .in = {int16({900}).range(-1, 1)}},
                {.name = "empty", .in = {f32({3, 0})}, .want = {0}},
            },
};

const OpCases cases_counted_unique =
    {
        .op = op_counted_unique,
        .accepts =
            {
                {.name = "sorted, inverse, counts",
                 .in = {int64({6}).values({7, 5, 7, -2, 5, 7})},
                 .want = {-2, 5, 7, 0, 0, 0, 2, 1, 2, 0, 1, 2, 1, 2, 3, 0, 0, 0, 3}},
                {.name = "first rows",
                 .in = {int64({4}).values({7, 5, 9, 9}), int64({}).values({2})},
                 .want = {5, 7, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 2}},
                {.name = "first rows of a matrix",
                 .in = {int32({3, 2}).values({1, 2, 2, 1, 9, 9}), int64({}).values({2})},
                 .want = {1, 2, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 2, 2, 0, 0, 0, 0, 2}},
                {.name = "none of them",
                 .in = {f32({2}), In::constant(DType::I64, 0)},
                 .want = {0, 0, 0, 0, 0, 0, 0}},
                {.name = "nan is one value",
                 .in = {f32({4}).values({kNaN, 1, kNaN, -kInf})},
                 .want = {-kInf, 1, kNaN, 0, 2, 1, 2, 0, 1, 1, 2, 0, 3}},
                {.name = "zeros of both signs are one",
                 .in = {f32({3}).values({0.0, -0.0, -1})},
                 .want = {-1, 0, 0, 1, 1, 0, 1, 2, 0, 2}},
                {.name = "number", .in = {f32({}).values({3})}, .want = {3, 0, 1, 1}},
                {.name = "matrix", .in = {int32({30, 40}).range(-50, 50)}},
                {.name = "floats", .in = {f32({777})}},
                {.name = "half", .in = {f16({20, 65})}},
                {.name = "bfloat16", .in = {bf16({20, 65})}},
                {.name = "double", .in = {f64({300})}},
                {.name = "bool", .in = {boolean({300})}},
                {.name = "int8, apart", .in = {int8({600, 4}).range(-100, 100).transposed()}},
                {.name = "uint8", .in = {uint8({600}).range(0, 255)}},
                {.name = "int16", .in = {int16({600}).range(-300, 300)}},
                {.name = "ends of int64", .in = {int64({5}).values({0, 0x1p63, -0x1p63, -1, 0x1p63})}},
                {.name = "empty", .in = {f32({0})}, .want = {0}},
                {.name = "more than there are",
                 .in = {f32({2}), int64({}).values({3})},
                 .fails = "the count is 3, of 2 rows"},
                {.name = "less than none",
                 .in = {f32({2}), int64({}).values({-1})},
                 .fails = "the count is -1, of 2 rows"},
            },
        .rejects =
            {
                {.name = "counts",
                 .in = {f32({2}), int64({2})},
                 .message = "found a count of int64[2], want int64[]"},
                {.name = "float",
                 .in = {f32({2}), f32({})},
                 .message = "found a count of float32[], want int64[]"},
            },
};

}  // namespace tl::cases
