#include <limits>

#include "tests/ops/op_cases.h"

namespace tl::cases {

static constexpr double kInf = std::numeric_limits<double>::infinity();
static constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

const OpCases cases_softmax =
    {
        .op = op_softmax,
        .accepts =
            {
                {.name = "one row", .in = {f32({4})}},
                {.name = "odd width", .in = {f32({3, 4097}).range(-20, 20)}},
                {.name = "sixteen and one", .in = {f32({5, 17})}},
                {.name = "one column", .in = {f32({5, 1})}, .want = {1, 1, 1, 1, 1}},
                {.name = "no rows", .in = {f32({0, 64})}},
                {.name = "no columns", .in = {f32({4, 0})}},
                {.name = "heads", .in = {f32({2, 3, 7, 46}).range(-3, 3)}},
                {.name = "first axis", .in = {f32({33, 5})}, .attrs = "axis: 0"},
                {.name = "middle axis", .in = {f32({3, 20, 18})}, .attrs = "axis: -2"},
                {.name = "transposed", .in = {f32({8, 64}).transposed()}},
                {.name = "reversed", .in = {f32({8, 64}).reversed(1)}},
                {.name = "permuted, middle axis",
                 .in = {f32({4, 5, 6}).permuted({2, 0, 1})},
                 .attrs = "axis: 1"},
                {.name = "broadcast", .in = {f32({1, 40}).broadcast_to({6, 40})}},
                {.name = "half", .in = {f16({8, 129}).range(-8, 8)}},
                {.name = "bfloat16", .in = {bf16({8, 129})}},
                {.name = "double", .in = {f64({8, 129})}},
                {.name = "whole numbers", .in = {int64({2, 9})}},
                {.name = "long lines, apart", .in = {f32({700, 3}).transposed()}},
                {.name = "many columns, first axis", .in = {f32({20, 1400}).every(2)}, .attrs = "axis: 0"},
                {.name = "half, long lines backwards", .in = {f16({3, 700}).reversed(1)}},
                {.name = "far apart", .in = {f32({3}).values({-1e30, 0, 1e30})}, .want = {0, 0, 1}},
                {.name = "large", .in = {f32({2}).values({3e38, 3e38})}, .want = {0.5, 0.5}},
                {.name = "masked", .in = {f32({4}).values({1, -kInf, 1, -kInf})}, .want = {0.5, 0, 0.5, 0}},
                {.name = "all masked", .in = {f32({2, 2}).values({-kInf})}, .want = {0, 0, 0, 0}},
                {.name = "nan", .in = {f32({3}).values({0, kNaN, 1})}, .want = {kNaN, kNaN, kNaN}},
                {.name = "nan among masked",
                 .in = {f32({3}).values({-kInf, kNaN, -kInf})},
                 .want = {kNaN, kNaN, kNaN}},
                // numpy, float64
                {.name = "along axis 0",
                 .in = {f32({2, 2}).values({0, 1, 2, 5})},
                 .attrs = "axis: 0",
                 .want = {0.11920292202211755, 0.01798620996209156, 0.8807970779778823, 0.9820137900379085}},
            },
        .rejects =
            {{.name = "axis", .in = {f32({2, 3})}, .attrs = "axis: 2", .message = "axis 2 is out of range"},
             {.name = "number", .in = {f32()}, .message = "axis -1 is out of range for []"}},
};

const OpCases cases_log_softmax = {
    .op = op_log_softmax,
    .accepts =
        {
            {.name = "odd width", .in = {f32({3, 4097}).range(-20, 20)}},
            {.name = "first axis", .in = {f32({33, 5})}, .attrs = "axis: 0"},
            {.name = "half", .in = {f16({8, 129}).range(-8, 8)}},
            {.name = "far apart", .in = {f32({2}).values({0, 1000})}, .want = {-1000, 0}},
            {.name = "masked", .in = {f32({3}).values({2, -kInf, -kInf})}, .want = {0, -kInf, -kInf}},
            {.name = "long lines, apart", .in = {f32({700, 3}).transposed()}},
            {.name = "many columns, first axis", .in = {bf16({20, 1400}).every(2)}, .attrs = "axis: 0"},
            {.name = "large",
             .in = {f32({2}).values({3e38, 3e38})},
             .want = {-0.6931471805599453, -0.6931471805599453}},
            {.name = "nan", .in = {f32({2}).values({1, kNaN})}, .want = {kNaN, kNaN}},
            {.name = "no columns", .in = {f32({4, 0})}},
        },
    .rejects = {{.name = "axis", .in = {f32({2, 3})}, .attrs = "axis: -3", .message = "axis -3"}},
};

const OpCases cases_rms_norm =
    {
        .op = op_rms_norm,
        .accepts =
            {
                {.name = "one row", .in = {f32({576}), f32({576})}},
                {.name = "by hand",
                 .in = {f32({1, 2}).values({3, 4}), f32({2}).values({1, 2})},
                 .attrs = "eps: 0",
                 .want = {0.848528137423857, 2.262741699796952}},
                {.name = "no rows", .in = {f32({0, 64}), f32({64})}},
                {.name = "no columns", .in = {f32({3, 0}), f32({0})}},
                {.name = "odd width", .in = {f32({3, 4097}), f32({4097})}},
                {.name = "narrow", .in = {f32({9, 3}), f32({3})}},
                {.name = "three axes", .in = {f32({2, 3, 64}), f32({64})}},
                {.name = "not contiguous", .in = {f32({64, 8}).transposed(), f32({64})}},
                {.name = "part of the columns", .in = {f32({6, 64}).columns(8, 32), f32({32})}},
                {.name = "strided weight", .in = {f32({6, 32}), f32({64}).every(2)}},
                {.name = "zeros", .in = {f32({1, 4}).values({0}), f32({4})}},
                {.name = "half, large eps", .in = {f16({8, 128}), f16({128})}, .attrs = "eps: 0.1"},
                {.name = "half with float weight", .in = {f16({8, 130}), f32({130})}},
                {.name = "float with bfloat16 weight", .in = {f32({8, 130}), bf16({130})}},
                {.name = "double", .in = {f64({3, 33}), f64({33})}},
                {.name = "long rows apart, strided weight",
                 .in = {f32({5, 1400}).columns(100, 700), f32({1400}).every(2)}},
                {.name = "half, long rows swapped", .in = {f16({4, 3, 600}).permuted({1, 0, 2}), f16({600})}},
                // Their squares are no float32.
                {.name = "large",
                 .in = {f32({2, 2}).values({1e20, 1e20, -3e38, 3e38}), f32({2}).values({1, 2})},
                 .want = {1, 2, -1, 2}},
                {.name = "small, no eps",
                 .in = {f32({1, 2}).values({1e-30, -1e-30}), f32({2}).values({1, 1})},
                 .attrs = "eps: 0",
                 .want = {1, -1}},
                {.name = "large among small rows",
                 .in = {f32({3, 700}).values({1e25, 1, 1e-25, -3e25, 7}), f32({700})}},
                {.name = "infinite",
                 .in = {f32({2}).values({kInf, 1}), f32({2}).values({1, 1})},
                 .want = {kNaN, 0}},
                {.name = "nan",
                 .in = {f32({2}).values({kNaN, 1}), f32({2}).values({1, 1})},
                 .want = {kNaN, kNaN}},
            },
        .rejects =
            {{.name = "short weight", .in = {f32({2, 4}), f32({3})}, .message = "weight is [3], want [4]"},
             {.name = "two axes of weight", .in = {f32({2, 4}), f32({1, 4})}, .message = "weight is [1, 4]"},
             {.name = "number", .in = {f32(), f32({1})}, .message = "single number"}},
};

const OpCases cases_layer_norm = {
    .op = op_layer_norm,
    .accepts =
        {
            // torch.nn.functional.layer_norm
            {.name = "torch",
             .in = {f32({1, 4}).values({1, 2, 4, 9})},
             .want = {-0.9733280539512634, -0.6488853693008423, 0.0, 1.622213363647461}},
            {.name = "odd width", .in = {f32({3, 4097})}},
            {.name = "far from 0", .in = {f32({3, 64}).range(1000, 1001)}, .atol = 1e-3},
            {.name = "half", .in = {f16({8, 129})}},
            {.name = "transposed", .in = {f32({64, 8}).transposed()}},
            {.name = "no rows", .in = {f32({0, 64})}},
            {.name = "long rows apart, large eps",
             .in = {f32({5, 1400}).columns(100, 700)},
             .attrs = "eps: 0.5"},
            {.name = "large", .in = {f32({2, 2}).values({1e20, -1e20, -3e38, 3e38})}, .want = {1, -1, -1, 1}},
            {.name = "sums beyond float32",
             .in = {f32({4}).values({3e38, 3e38, 2e38, 2e38})},
             .want = {1, 1, -1, -1}},
            {.name = "small, no eps",
             .in = {f32({2}).values({1e-30, -1e-30})},
             .attrs = "eps: 0",
             .want = {1, -1}},
            {.name = "nan", .in = {f32({2}).values({kNaN, 1})}, .want = {kNaN, kNaN}},
        },
    .rejects = {{.name = "number", .in = {f32()}, .message = "single number"}},
};

const OpCases cases_layer_norm_affine = {
    .op = op_layer_norm_affine,
    .accepts =
        {
            {.name = "odd width", .in = {f32({3, 4097}), f32({4097}), f32({4097})}},
            {.name = "half with float weight", .in = {f16({8, 129}), f32({129}), f32({129})}},
            {.name = "strided weight", .in = {f32({8, 20}), f32({40}).every(2), f32({20}).reversed(0)}},
            {.name = "no columns", .in = {f32({3, 0}), f32({0}), f32({0})}},
            {.name = "long rows apart, large eps",
             .in = {f32({5, 1400}).columns(100, 700), f16({1400}).every(2), f32({700}).reversed(0)},
             .attrs = "eps: 0.5"},
            {.name = "large",
             .in = {f32({2}).values({1e20, -1e20}), f32({2}).values({2, 3}), f32({2}).values({1, 1})},
             .want = {3, -2}},
        },
    .rejects = {{.name = "short bias",
                 .in = {f32({2, 4}), f32({4}), f32({3})},
                 .message = "bias is [3], want [4]"}},
};

const OpCases cases_l2_normalize = {
    .op = op_l2_normalize,
    .accepts =
        {
            {.name = "by hand", .in = {f32({1, 2}).values({3, 4})}, .want = {0.6, 0.8}},
            {.name = "zeros", .in = {f32({2}).values({0})}, .want = {0, 0}},
            {.name = "first axis", .in = {f32({33, 5})}, .attrs = "axis: 0"},
            {.name = "odd width", .in = {f32({3, 4097})}},
            {.name = "half", .in = {f16({8, 129})}},
            {.name = "nan", .in = {f32({2}).values({1, kNaN})}, .want = {kNaN, kNaN}},
            {.name = "large", .in = {f32({2}).values({3e20, -4e20})}, .want = {0.6, -0.8}},
            {.name = "larger still", .in = {f32({2}).values({3e38, 0})}, .want = {1, 0}},
            {.name = "small", .in = {f32({2}).values({3e-30, 4e-30})}, .attrs = "eps: 0", .want = {0.6, 0.8}},
            {.name = "long lines, apart", .in = {f32({700, 3}).transposed()}, .attrs = "eps: 100"},
            {.name = "many columns, first axis", .in = {f16({20, 1400}).every(2)}, .attrs = "axis: 0"},
        },
    .rejects = {{.name = "axis", .in = {f32({2, 3})}, .attrs = "axis: 2", .message = "axis 2"}},
};

}  // namespace tl::cases
