#include <limits>

#include "tests/ops/op_cases.h"

namespace tl::cases {

static constexpr double kInf = std::numeric_limits<double>::infinity();
static constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Shapes, axes and layouts that every reduction of floats goes through.
static std::vector<OpCase> shapes(std::vector<OpCase> more = {}) {
  std::vector<OpCase> rows = {
      {.name = "everything", .in = {f32({3, 7, 5})}},
      {.name = "a number", .in = {f32({})}},
      {.name = "a constant", .in = {In::constant(DType::F32, 2.5)}},
      {.name = "long row", .in = {f32({40001})}},
      {.name = "last axis", .in = {f32({3, 4097})}, .attrs = "axis: [-1]"},
      {.name = "first axis", .in = {f32({37, 70})}, .attrs = "axis: [0]"},
      {.name = "first of two rows", .in = {f32({2, 200})}, .attrs = "axis: [0]"},
      {.name = "middle axis, kept", .in = {f32({3, 21, 18})}, .attrs = "axis: [1], keepdim: true"},
      {.name = "two axes", .in = {f32({4, 5, 6, 7})}, .attrs = "axis: [1, 3]"},
      {.name = "outer axes", .in = {f32({4, 5, 6, 70})}, .attrs = "axis: [0, 2]"},
      {.name = "inner axes", .in = {f32({4, 5, 6, 7})}, .attrs = "axis: [-1, -2]"},
      {.name = "transposed", .in = {f32({50, 33}).transposed()}, .attrs = "axis: [1]"},
      {.name = "transposed, first axis", .in = {f32({50, 33}).transposed()}, .attrs = "axis: [0]"},
      {.name = "permuted", .in = {f32({5, 6, 7}).permuted({2, 0, 1})}},
      {.name = "reversed", .in = {f32({5, 60}).reversed(1)}, .attrs = "axis: [1]"},
      {.name = "every other", .in = {f32({5, 60}).every(2)}, .attrs = "axis: [0]"},
      {.name = "broadcast", .in = {f32({1, 60}).broadcast_to({7, 60})}, .attrs = "axis: [0]"},
      {.name = "no outputs", .in = {f32({0, 60})}, .attrs = "axis: [1]"},
      {.name = "half", .in = {f16({9, 131})}, .attrs = "axis: [1]"},
      {.name = "half, first axis", .in = {f16({19, 131})}, .attrs = "axis: [0]"},
      {.name = "bfloat16", .in = {bf16({9, 131})}, .attrs = "axis: [0]"},
      {.name = "double", .in = {f64({9, 131})}, .attrs = "axis: [0]"},
      {.name = "double, last axis", .in = {f64({9, 131})}, .attrs = "axis: [1]"},
      {.name = "int64", .in = {int64({9, 131})}, .attrs = "axis: [0]"},
      {.name = "int32", .in = {int32({9, 131}).range(-9, 9)}, .attrs = "axis: [1]"},
      {.name = "uint8, transposed", .in = {uint8({9, 131}).transposed()}, .attrs = "axis: [1]"},
      {.name = "bool", .in = {boolean({9, 31})}, .attrs = "axis: [0]"},
      {.name = "nan", .in = {f32({3}).values({1, kNaN, 2})}},
      {.name = "many columns, apart", .in = {f32({40, 900}).every(3)}, .attrs = "axis: [0]"},
      {.name = "long lines, apart", .in = {f32({1500, 4}).transposed()}, .attrs = "axis: [1]"},
      {.name = "long lines backwards",
       .in = {f16({3, 1500}).reversed(1)},
       .attrs = "axis: [1], keepdim: true"},
      {.name = "long lines across runs",
       .in = {f32({4, 90, 40}).permuted({1, 0, 2})},
       .attrs = "axis: [1, 2]"},
      {.name = "runs longer than a chunk", .in = {f32({3, 4, 700})}, .attrs = "axis: [0, 2]"},
      {.name = "double, many columns, apart", .in = {f64({300, 20}).transposed()}, .attrs = "axis: [0]"},
      {.name = "int16, long lines, apart",
       .in = {int16({3, 1800}).range(-9, 9).every(3)},
       .attrs = "axis: [1]"},
      {.name = "int8, many columns", .in = {int8({20, 400}).range(-9, 9)}, .attrs = "axis: [0]"},
      {.name = "infinities", .in = {f32({2, 3}).values({kInf, 1, 2, -kInf, kInf, 0})}, .attrs = "axis: [1]"},
      {.name = "ends of int64", .in = {int64({4}).values({-0x1p63, 0x1p63, 5, 0x1p63})}, .rtol = 1e-6},
      {.name = "columns of ends of int64",
       .in = {int64({3, 200}).values({-0x1p63, 0x1p63, 5, 0x1p63, 0x1p63, -1, -0x1p63})},
       .attrs = "axis: [0]",
       .rtol = 1e-6},
      {.name = "zeros of both signs",
       .in = {f32({2, 2}).values({0.0, -0.0, -0.0, 0.0})},
       .attrs = "axis: [1]"},
  };
  rows.insert(rows.end(), more.begin(), more.end());
  return rows;
}

static std::vector<OpReject> bad_axes(std::vector<OpReject> more = {}) {
  std::vector<OpReject> rows = {
      {.name = "axis",
       .in = {f32({2, 3})},
       .attrs = "axis: [2]",
       .message = "axis 2 is out of range for [2, 3]"},
      {.name = "twice",
       .in = {f32({2, 3})},
       .attrs = "axis: [1, -1]",
       .message = "an axis of [2, 3] is named twice"},
  };
  rows.insert(rows.end(), more.begin(), more.end());
  return rows;
}

const OpCases cases_sum = {
    .op = op_sum,
    .accepts = shapes({
        {.name = "by hand", .in = {f32({2, 2}).values({1, 2, 3, 4})}, .attrs = "axis: [0]", .want = {4, 6}},
        {.name = "nothing", .in = {f32({0})}, .want = {0}},
        {.name = "no rows, first axis", .in = {f32({0, 3})}, .attrs = "axis: [0]", .want = {0, 0, 0}},
        {.name = "exact beyond 2^53",
         .in = {int64({3}).values({9007199254740992.0, 1, 1})},
         .want = {9007199254740994.0}},
        {.name = "truth values are counted", .in = {boolean({4}).values({1, 0, 1, 1})}, .want = {3}},
        {.name = "small among large", .in = {f32({3}).values({1e8, 1, -1e8})}, .want = {1}},
    }),
    .rejects = bad_axes(),
};

const OpCases cases_mean = {
    .op = op_mean,
    .accepts = shapes({
        {.name = "by hand",
         .in = {f32({2, 2}).values({1, 2, 3, 4})},
         .attrs = "axis: [1]",
         .want = {1.5, 3.5}},
        {.name = "nothing", .in = {f32({0})}, .want = {kNaN}},
        {.name = "whole numbers", .in = {int64({2}).values({1, 2})}, .want = {1.5}},
        {.name = "sums beyond int64",
         .in = {int64({1000}).values({0x1p63, 0x1p63, 0x1p63, -0x1p63})},
         .want = {0x1p62}},
        {.name = "sums beyond int64, columns",
         .in = {int64({4, 2}).values({0x1p63, -0x1p63, 0x1p63, -0x1p63, 0x1p63, -0x1p63, 0x1p63, -0x1p63})},
         .attrs = "axis: [0]",
         .want = {0x1p63, -0x1p63}},
    }),
    .rejects = bad_axes(),
};

const OpCases cases_prod = {
    .op = op_prod,
    .accepts = shapes({
        {.name = "by hand", .in = {f32({2, 2}).values({1, 2, 3, 4})}, .attrs = "axis: [1]", .want = {2, 12}},
        {.name = "nothing", .in = {f32({0})}, .want = {1}},
    }),
    .rejects = bad_axes(),
};

const OpCases cases_max = {
    .op = op_max,
    .accepts = shapes({
        {.name = "nan wins", .in = {f32({4}).values({1, kNaN, 5, 2})}, .want = {kNaN}},
        {.name = "infinities",
         .in = {f32({2, 2}).values({-kInf, -kInf, 1, kInf})},
         .attrs = "axis: [1]",
         .want = {-kInf, kInf}},
        {.name = "int64 limits",
         .in = {int64({2}).values({-9007199254740991.0, -9007199254740990.0})},
         .want = {-9007199254740990.0}},
    }),
    .rejects = bad_axes(
        {{.name = "nothing", .in = {f32({0})}, .message = "no elements to choose from in [0]"},
         {.name = "no columns", .in = {f32({2, 0})}, .attrs = "axis: [1]", .message = "no elements"}}),
};

const OpCases cases_min = {
    .op = op_min,
    .accepts = shapes({
        {.name = "nan wins", .in = {f32({4}).values({1, kNaN, 5, 2})}, .want = {kNaN}},
        {.name = "by hand",
         .in = {f32({2, 2}).values({4, -kInf, 1, kInf})},
         .attrs = "axis: [1]",
         .want = {-kInf, 1}},
    }),
    .rejects = bad_axes({{.name = "nothing", .in = {f32({0})}, .message = "no elements"}}),
};

const OpCases cases_any = {
    .op = op_any,
    .accepts = shapes({
        {.name = "by hand",
         .in = {f32({2, 3}).values({0, 0, -1, 0, 0, 0})},
         .attrs = "axis: [1]",
         .want = {1, 0}},
        {.name = "nothing", .in = {f32({0})}, .want = {0}},
        {.name = "below 1", .in = {f32({1}).values({0.25})}, .want = {1}},
    }),
    .rejects = bad_axes(),
};

const OpCases cases_all = {
    .op = op_all,
    .accepts = shapes({
        {.name = "by hand",
         .in = {f32({2, 3}).values({1, 0.5, -1, 1, 0, 1})},
         .attrs = "axis: [1]",
         .want = {1, 0}},
        {.name = "nothing", .in = {f32({0})}, .want = {1}},
    }),
    .rejects = bad_axes(),
};

const OpCases cases_variance = {
    .op = op_variance,
    .accepts = shapes({
        {.name = "by hand", .in = {f32({4}).values({1, 2, 3, 4})}, .want = {1.25}},
        {.name = "unbiased",
         .in = {f32({4}).values({1, 2, 3, 4})},
         .attrs = "correction: 1",
         .want = {1.6666666666666667}},
        {.name = "far from 0",
         .in = {f64({3}).values({1e9, 1e9 + 1, 1e9 + 2})},
         .want = {0.6666666666666666}},
        {.name = "whole numbers far from 0",  // 2^53 and its neighbours' neighbours: the mean is no double
         .in = {int64({4}).values({0x1p53, 0x1p53, 0x1p53, 0x1p53 + 4})},
         .want = {3}},
        {.name = "sums beyond int64", .in = {int64({2}).values({0x1p63, -0x1p63})}, .want = {0x1p126}},
    }),
    .rejects = bad_axes(),
};

const OpCases cases_std = {
    .op = op_std,
    .accepts =
        shapes({{.name = "by hand", .in = {f32({2}).values({1, 5})}, .want = {2}},
                {.name = "unbiased", .in = {f32({2, 4})}, .attrs = "axis: [1], correction: 1"},
                {.name = "squares beyond float32", .in = {f32({2}).values({3e30, 1e30})}, .want = {1e30}}}),
    .rejects = bad_axes(),
};

const OpCases cases_norm = {
    .op = op_norm,
    .accepts =
        shapes({{.name = "by hand",
                 .in = {f32({2, 2}).values({3, 4, 5, 12})},
                 .attrs = "axis: [1]",
                 .want = {5, 13}},
                {.name = "large", .in = {f32({2}).values({3e30, 4e30})}, .want = {5e30}},
                {.name = "small", .in = {f32({2}).values({3e-30, 4e-30})}, .atol = 0, .want = {5e-30}}}),
    .rejects = bad_axes(),
};

// Places: as shapes(), without several axes.
static std::vector<OpCase> place_rows(std::vector<OpCase> more) {
  std::vector<OpCase> rows = {
      {.name = "everything", .in = {f32({3, 7, 5})}},
      {.name = "a number", .in = {f32({})}, .want = {0}},
      {.name = "vocabulary", .in = {f32({2, 49152})}, .attrs = "axis: [-1]"},
      {.name = "first axis", .in = {f32({37, 70})}, .attrs = "axis: [0]"},
      {.name = "middle axis, kept", .in = {f32({3, 100, 18})}, .attrs = "axis: [1], keepdim: true"},
      {.name = "transposed", .in = {f32({80, 33}).transposed()}, .attrs = "axis: [1]"},
      {.name = "permuted", .in = {f32({5, 6, 7}).permuted({2, 0, 1})}},
      {.name = "half", .in = {f16({9, 131})}, .attrs = "axis: [1]"},
      {.name = "double", .in = {f64({9, 131})}, .attrs = "axis: [0]"},
      {.name = "many equals", .in = {int64({9, 131})}, .attrs = "axis: [1]"},
      {.name = "bool", .in = {boolean({9, 131})}, .attrs = "axis: [1]"},
      {.name = "nan first", .in = {f32({5}).values({1, 9, kNaN, kNaN, 0})}, .want = {2}},
      {.name = "late nan",
       .in = {f32({1, 200}).values({1}).broadcast_to({3, 200})},
       .attrs = "axis: [1]",
       .want = {0, 0, 0}},
      {.name = "no outputs", .in = {f32({0, 60})}, .attrs = "axis: [1]"},
      {.name = "long lines, apart", .in = {f32({1500, 4}).transposed()}, .attrs = "axis: [1]"},
      {.name = "long lines backwards, many equals",
       .in = {int8({3, 1500}).reversed(1)},
       .attrs = "axis: [1], keepdim: true"},
      {.name = "uint8, first axis", .in = {uint8({300, 5}).every(2)}, .attrs = "axis: [0]"},
      {.name = "nan in a later chunk",
       .in = {bf16({2, 900}).values({1, 2, 3, kNaN, 9, 1, 4})},
       .attrs = "axis: [1]"},
      {.name = "infinities of both signs",
       .in = {f32({2, 300}).values({1, kInf, -kInf})},
       .attrs = "axis: [1]"},
      {.name = "ends of int64", .in = {int64({5}).values({3, 0x1p63, -0x1p63, 0x1p63, -0x1p63})}},
  };
  rows.insert(rows.end(), more.begin(), more.end());
  return rows;
}

static std::vector<OpReject> no_place() {
  return bad_axes(
      {{.name = "nothing", .in = {f32({0})}, .message = "no elements"},
       {.name = "two axes", .in = {f32({2, 3, 4})}, .attrs = "axis: [0, 1]", .message = "found 2 axes"}});
}

const OpCases cases_argmax = {
    .op = op_argmax,
    .accepts = place_rows({
        {.name = "first of equals", .in = {f32({5}).values({1, 7, 3, 7, 7})}, .want = {1}},
        {.name = "nothing but -inf", .in = {f32({3}).values({-kInf})}, .want = {0}},
        {.name = "zeros of both signs", .in = {f32({2}).values({-0.0, 0.0})}, .want = {0}},
    }),
    .rejects = no_place(),
};

const OpCases cases_argmin = {
    .op = op_argmin,
    .accepts =
        place_rows({{.name = "first of equals", .in = {f32({5}).values({4, 1, 3, 1, 1})}, .want = {1}}}),
    .rejects = no_place(),
};

const OpCases cases_cumsum = {
    .op = op_cumsum,
    .accepts =
        {
            {.name = "by hand", .in = {f32({3}).values({1, 2, 3})}, .want = {1, 3, 6}},
            {.name = "long row", .in = {f32({2, 5001})}},
            {.name = "first axis", .in = {f32({70, 9})}, .attrs = "axis: 0"},
            {.name = "long first axis of two columns", .in = {f32({200, 2})}, .attrs = "axis: 0"},
            {.name = "long first axis of wide rows", .in = {f32({300, 150})}, .attrs = "axis: 0"},
            {.name = "middle axis, permuted", .in = {f32({5, 6, 7}).permuted({2, 0, 1})}, .attrs = "axis: 1"},
            {.name = "half", .in = {f16({3, 100})}},
            {.name = "whole numbers", .in = {int32({3, 100}).range(-9, 9)}},
            {.name = "bool", .in = {boolean({4}).values({1, 1, 0, 1})}, .want = {1, 2, 2, 3}},
            {.name = "double", .in = {f64({3, 100})}, .attrs = "axis: 0"},
            {.name = "empty", .in = {f32({3, 0})}},
            {.name = "first axis of two columns",
             .in = {f32({200, 2}).values({1})},
             .attrs = "axis: 0",
             .want =
                 [] {
                   std::vector<double> want;
                   for (int i = 0; i < 400; ++i) want.push_back(i / 2 + 1);
                   return want;
                 }()},
            {.name = "long lines, apart", .in = {f32({700, 3}).transposed()}},
            {.name = "long lines backwards, first axis",
             .in = {f16({600, 4}).reversed(0)},
             .attrs = "axis: 0"},
            {.name = "int8, long lines", .in = {int8({2, 900}).range(-128, 127).every(2)}},
            {.name = "ends of int64 wrap",
             .in = {int64({3}).values({0x1p63, 1, -0x1p63})},
             .want = {0x1p63, -0x1p63, 0}},
            {.name = "infinities and nan",
             .in = {f32({4}).values({1, kInf, 2, -kInf})},
             .want = {1, kInf, kInf, kNaN}},
        },
    .rejects = {{.name = "axis", .in = {f32({2, 3})}, .attrs = "axis: 2", .message = "axis 2"},
                {.name = "number", .in = {f32({})}, .message = "axis -1 is out of range for []"}},
};

}  // namespace tl::cases
