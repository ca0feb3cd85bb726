#include <limits>

#include "tests/ops/op_cases.h"

namespace tl::cases {

static constexpr double kInf = std::numeric_limits<double>::infinity();
static constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

static std::vector<OpCase> sort_rows(std::vector<OpCase> more) {
  std::vector<OpCase> rows = {
      {.name = "odd width", .in = {f32({5, 333})}},
      {.name = "falling", .in = {f32({5, 333})}, .attrs = "descending: true"},
      {.name = "first axis", .in = {f32({33, 5})}, .attrs = "axis: 0"},
      {.name = "middle axis, permuted", .in = {f32({5, 6, 7}).permuted({2, 0, 1})}, .attrs = "axis: 1"},
      {.name = "reversed", .in = {f32({5, 9}).reversed(1)}},
      {.name = "half", .in = {f16({5, 65})}},
      {.name = "bfloat16, falling", .in = {bf16({5, 65})}, .attrs = "descending: true"},
      {.name = "double", .in = {f64({5, 65})}},
      {.name = "many equals", .in = {int64({3, 500})}},
      {.name = "many equals, falling", .in = {int32({3, 500}).range(-3, 3)}, .attrs = "descending: true"},
      {.name = "int16", .in = {int16({3, 50}).range(-30, 30)}},
      {.name = "int8", .in = {int8({3, 50}).range(-30, 30)}},
      {.name = "uint8", .in = {uint8({3, 50}).range(0, 255)}},
      {.name = "bool", .in = {boolean({3, 20})}},
      {.name = "long lines, apart", .in = {f32({900, 4}).transposed()}},
      {.name = "half, long lines backwards, falling",
       .in = {f16({3, 1500}).reversed(1)},
       .attrs = "descending: true"},
      {.name = "int64, many columns, first axis", .in = {int64({9, 1200}).every(2)}, .attrs = "axis: 0"},
      {.name = "ends of int64", .in = {int64({5}).values({0, 0x1p63, -0x1p63, -1, 0x1p63})}},
      {.name = "ends of int64, falling",
       .in = {int64({5}).values({0, 0x1p63, -0x1p63, -1, 0x1p63})},
       .attrs = "descending: true"},
      {.name = "one element", .in = {f32({3, 1})}},
      {.name = "empty", .in = {f32({3, 0})}},
      {.name = "no rows", .in = {f32({0, 3})}},
  };
  rows.insert(rows.end(), more.begin(), more.end());
  return rows;
}

static std::vector<OpReject> bad_axis() {
  return {{.name = "axis",
           .in = {f32({2, 3})},
           .attrs = "axis: 2",
           .message = "axis 2 is out of range for [2, 3]"},
          {.name = "number", .in = {f32({})}, .message = "axis -1 is out of range for []"}};
}

const OpCases cases_sort = {
    .op = op_sort,
    .accepts = sort_rows({
        {.name = "nan last",
         .in = {f32({5}).values({2, kNaN, -kInf, kInf, 1})},
         .want = {-kInf, 1, 2, kInf, kNaN}},
        {.name = "nan last, falling",
         .in = {f32({5}).values({2, kNaN, -kInf, kInf, 1})},
         .attrs = "descending: true",
         .want = {kInf, 2, 1, -kInf, kNaN}},
    }),
    .rejects = bad_axis(),
};

const OpCases cases_argsort = {
    .op = op_argsort,
    .accepts = sort_rows({
        // numpy.argsort(kind="stable"); torch.argsort(stable=True, descending=True)
        {.name = "stable", .in = {f32({6}).values({2, 1, 2, 1, 3, 2})}, .want = {1, 3, 0, 2, 5, 4}},
        {.name = "stable, falling",
         .in = {f32({6}).values({2, 1, 2, 1, 3, 2})},
         .attrs = "descending: true",
         .want = {4, 0, 2, 5, 1, 3}},
        {.name = "zeros of both signs are equal",
         .in = {f32({4}).values({0.0, -0.0, 0.0, -1})},
         .want = {3, 0, 1, 2}},
        {.name = "several nan", .in = {f32({4}).values({kNaN, 1, kNaN, 0})}, .want = {3, 1, 0, 2}},
    }),
    .rejects = bad_axis(),
};

static std::vector<OpCase> top_rows(std::vector<OpCase> more) {
  std::vector<OpCase> rows = {
      {.name = "vocabulary", .in = {f32({2, 5000})}, .attrs = "k: 40"},
      {.name = "all", .in = {f32({3, 7})}, .attrs = "k: 7"},
      {.name = "none", .in = {f32({3, 7})}, .attrs = "k: 0"},
      {.name = "many equals", .in = {int64({4, 300})}, .attrs = "k: 50"},
      {.name = "half", .in = {f16({4, 300})}, .attrs = "k: 9"},
      {.name = "transposed", .in = {f32({30, 4}).transposed()}, .attrs = "k: 9"},
      {.name = "long rows, apart", .in = {f32({900, 4}).transposed()}, .attrs = "k: 600"},
      {.name = "bfloat16, long rows backwards", .in = {bf16({3, 1500}).reversed(1)}, .attrs = "k: 33"},
      {.name = "blocks", .in = {quantised(DType::Q8_0, {3, 64})}, .attrs = "k: 5"},
      {.name = "three axes", .in = {f32({2, 3, 40})}, .attrs = "k: 3"},
  };
  rows.insert(rows.end(), more.begin(), more.end());
  return rows;
}

static std::vector<OpReject> bad_k() {
  return {{.name = "too many", .in = {f32({2, 3})}, .attrs = "k: 4", .message = "k is 4, want at most"},
          {.name = "negative", .in = {f32({2, 3})}, .attrs = "k: -1", .message = "k is -1"}};
}

const OpCases cases_topk = {
    .op = op_topk,
    .accepts = top_rows({
        {.name = "nan loses",
         .in = {f32({4}).values({1, kNaN, 3, 2})},
         .attrs = "k: 2",
         .want = {3, 2, 2, 3}},
        {.name = "first of equals",
         .in = {f32({5}).values({1, 3, 3, 0, 3})},
         .attrs = "k: 2",
         .want = {3, 3, 1, 2}},
        {.name = "ends of int64",
         .in = {int64({4}).values({-0x1p63, 0x1p63, 0, -1})},
         .attrs = "k: 3",
         .want = {0x1p63, 0, -1, 1, 2, 3}},
    }),
    .rejects = bad_k(),
};

}  // namespace tl::cases
