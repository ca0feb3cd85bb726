#include "tests/ops/op_cases.h"

namespace tl::cases {
namespace {

// 0, 1, 2, … in row order.
In counting(Shape shape, DType dtype = DType::F32) {
  std::vector<double> values;
  for (i64 i = 0; i < numel(shape); ++i) values.push_back(static_cast<double>(i));
  return In(dtype, std::move(shape)).values(std::move(values));
}
std::vector<double> count_to(int n) {
  std::vector<double> values;
  for (int i = 0; i < n; ++i) values.push_back(i);
  return values;
}

}  // namespace

const OpCases cases_reshape = {
    .op = op_reshape,
    .accepts =
        {{.name = "dims given", .in = {counting({2, 6})}, .attrs = "shape: [3, 4]", .want = count_to(12)},
         {.name = "one dim open",
          .in = {counting({2, 6})},
          .attrs = "shape: [2, -1, 3]",
          .want = count_to(12)},
         {.name = "to 0-d", .in = {counting({1, 1})}, .attrs = "shape: []", .want = {0}},
         {.name = "from 0-d", .in = {counting({})}, .attrs = "shape: [1, -1]", .want = {0}},
         {.name = "transposed needs a copy",
          .in = {counting({2, 3}).transposed()},
          .attrs = "shape: [6]",
          .want = {0, 3, 1, 4, 2, 5}},
         {.name = "heads out of rows",
          .in = {counting({2, 8}).columns(0, 4)},
          .attrs = "shape: [2, 2, 2]",
          .want = {0, 1, 2, 3, 8, 9, 10, 11}},
         {.name = "broadcast rows",
          .in = {counting({1, 2}).broadcast_to({3, 2})},
          .attrs = "shape: [3, 1, 2]",
          .want = {0, 1, 0, 1, 0, 1}},
         {.name = "reversed",
          .in = {counting({4}).reversed(0)},
          .attrs = "shape: [2, 2]",
          .want = {3, 2, 1, 0}},
         {.name = "empty", .in = {f32({0, 3})}, .attrs = "shape: [3, 0, 5]"}},
    .rejects =
        {{.name = "sizes",
          .in = {f32({2, 3})},
          .attrs = "shape: [4]",
          .message =
              "[2, 3] has 6 elements, [4] has 4"},
         {.name = "no multiple", .in = {f32({2, 3})}, .attrs = "shape: [4, -1]", .message = "cannot hold"},
         {.name = "two open", .in = {f32({2, 3})}, .attrs = "shape: [-1, -1]", .message = "two dims"},
         {.name = "negative", .in = {f32({2, 3})}, .attrs = "shape: [-2, 3]", .message = "negative dim -2"},
         {.name = "overflow",
          .in = {f32({2, 3})},
          .attrs = "shape: [4611686018427387904, 4, -1]",
          .message = "too large"},
         {.name = "blocks",
          .in = {quantised(DType::Q8_0, {2, 64})},
          .attrs = "shape: [4, 32]",
          .message = "rows of q8_0"}},
};

const OpCases cases_flatten = {
    .op = op_flatten,
    .accepts = {{.name = "matrix", .in = {counting({2, 3})}, .want = count_to(6)},
                {.name = "0-d", .in = {counting({})}, .want = {0}},
                {.name = "transposed", .in = {counting({2, 2}).transposed()}, .want = {0, 2, 1, 3}}},
};

const OpCases cases_transpose = {
    .op = op_transpose,
    .accepts =
        {{.name = "last two", .in = {counting({2, 3})}, .want = {0, 3, 1, 4, 2, 5}},
         {.name = "named", .in = {counting({2, 1, 3})}, .attrs = "a: 0, b: 2", .want = {0, 3, 1, 4, 2, 5}},
         {.name = "an axis with itself", .in = {counting({3})}, .attrs = "a: 0, b: -1", .want = {0, 1, 2}}},
    .rejects =
        {{.name = "range", .in = {f32({2, 3})}, .attrs = "a: 2, b: 0", .message = "axis 2 is out of range"},
         {.name = "vector", .in = {f32({2})}, .message = "axis -2"},
         {.name = "blocks", .in = {quantised(DType::Q4_0, {2, 32})}, .message = "cannot move"}},
};

const OpCases cases_permute = {
    .op = op_permute,
    .accepts =
        {{.name = "rotate",
          .in = {counting({2, 1, 3})},
          .attrs = "axes: [2, 0, 1]",
          .want = {0, 3, 1, 4, 2, 5}},
         {.name = "negative axes", .in = {counting({2, 2})}, .attrs = "axes: [-1, -2]", .want = {0, 2, 1, 3}},
         {.name = "0-d", .in = {counting({})}, .attrs = "axes: []", .want = {0}}},
    .rejects = {{.name = "twice", .in = {f32({2, 3})}, .attrs = "axes: [0, 0]", .message = "named twice"},
                {.name = "too few", .in = {f32({2, 3})}, .attrs = "axes: [0]", .message = "found 1 axes"}},
};

const OpCases cases_squeeze = {
    .op = op_squeeze,
    .accepts = {{.name = "named", .in = {counting({1, 2, 1})}, .attrs = "axis: [0]", .want = {0, 1}},
                {.name = "all of 1", .in = {counting({1, 2, 1})}, .want = {0, 1}},
                {.name = "two", .in = {counting({1, 2, 1})}, .attrs = "axis: [0, -1]", .want = {0, 1}}},
    .rejects = {{.name = "not 1", .in = {f32({2, 3})}, .attrs = "axis: [0]", .message = "is not 1"}},
};

const OpCases cases_unsqueeze = {
    .op = op_unsqueeze,
    .accepts = {{.name = "front", .in = {counting({3})}, .attrs = "axis: 0", .want = {0, 1, 2}},
                {.name = "end", .in = {counting({3})}, .attrs = "axis: -1", .want = {0, 1, 2}},
                {.name = "in a transposed",
                 .in = {counting({2, 2}).transposed()},
                 .attrs = "axis: 1",
                 .want = {0, 2, 1, 3}}},
    .rejects = {{.name = "range", .in = {f32({2})}, .attrs = "axis: 2", .message = "axis 2 is out of range"},
                {.name = "too many",
                 .in = {f32({1, 1, 1, 1, 1, 1, 1, 1})},
                 .attrs = "axis: 0",
                 .message = "8 axes already"}},
};

const OpCases cases_broadcast_to = {
    .op = op_broadcast_to,
    .accepts = {{.name = "columns", .in = {counting({2, 1})}, .attrs = "shape: [2, 2]", .want = {0, 0, 1, 1}},
                {.name = "new axis", .in = {counting({2})}, .attrs = "shape: [2, 2]", .want = {0, 1, 0, 1}},
                {.name = "to nothing", .in = {counting({1})}, .attrs = "shape: [0]"}},
    .rejects =
        {{.name = "shapes",
          .in = {f32({3})},
          .attrs = "shape: [2]",
          .message = "[3] cannot be broadcast to [2]"},
         {.name = "shrinks", .in = {f32({3})}, .attrs = "shape: [1]", .message = "cannot be broadcast"}},
};

const OpCases cases_index = {
    .op = op_index,
    .accepts = {{.name = "a part", .in = {counting({5})}, .attrs = "ranges: [1, 3, 1, 0]", .want = {1, 2, 3}},
                {.name = "every second, backwards",
                 .in = {counting({5})},
                 .attrs = "ranges: [4, 3, -2, 0]",
                 .want = {4, 2, 0}},
                {.name = "one row",
                 .in = {counting({2, 3})},
                 .attrs = "ranges: [1, 1, 1, 1, 0, 3, 1, 0]",
                 .want = {3, 4, 5}},
                {.name = "one element",
                 .in = {counting({2, 3})},
                 .attrs = "ranges: [1, 1, 1, 1, 2, 1, 1, 1]",
                 .want = {5}},
                {.name = "of a transposed",
                 .in = {counting({2, 3}).transposed()},
                 .attrs = "ranges: [2, 1, 1, 1, 0, 2, 1, 0]",
                 .want = {2, 5}},
                {.name = "nothing", .in = {counting({5})}, .attrs = "ranges: [0, 0, 1, 0]"}},
    .rejects =
        {{.name = "range",
          .in = {f32({3})},
          .attrs = "ranges: [1, 3, 1, 0]",
          .message = "index 3 is out of range"},
         {.name = "below",
          .in = {f32({3})},
          .attrs = "ranges: [1, 3, -1, 0]",
          .message = "index -1 is out of range"},
         {.name = "axes", .in = {f32({3, 3})}, .attrs = "ranges: [0, 1, 1, 0]", .message = "four an axis"},
         {.name = "part of a block",
          .in = {quantised(DType::Q8_0, {2, 64})},
          .attrs = "ranges: [0, 2, 1, 0, 0, 32, 1, 0]",
          .message = "only be taken whole"}},
};

const OpCases cases_contiguous = {
    .op = op_contiguous,
    .accepts = {{.name = "written", .in = {counting({2, 3}).transposed()}, .want = {0, 3, 1, 4, 2, 5}},
                {.name = "written, of a byte",
                 .in = {uint8({2, 3}).values({0, 1, 2, 3, 4, 5}).transposed()},
                 .want = {0, 3, 1, 4, 2, 5}},
                {.name = "written, of two bytes",
                 .in = {f16({2, 3}).values({0, 1, 2, 3, 4, 5}).transposed()},
                 .want = {0, 3, 1, 4, 2, 5}},
                {.name = "written, of eight bytes",
                 .in = {int64({2, 3}).values({0, 1, 2, 3, 4, 5}).transposed()},
                 .want = {0, 3, 1, 4, 2, 5}},
                {.name = "transposed", .in = {f32({37, 70}).transposed()}},
                {.name = "heads", .in = {f16({5, 3, 8}).permuted({1, 0, 2})}},
                {.name = "a part of rows", .in = {bf16({5, 90}).columns(7, 80)}},
                {.name = "reversed", .in = {f64({3, 4}).reversed(0).reversed(1)}},
                {.name = "broadcast", .in = {int8({1, 5}).broadcast_to({4, 5})}},
                {.name = "every third", .in = {boolean({3, 20}).every(3)}},
                {.name = "long rows apart", .in = {int16({4, 2700}).every(3)}},
                {.name = "long columns", .in = {f64({1300, 5}).transposed()}},
                {.name = "some rows of blocks", .in = {quantised(DType::Q4_K, {9, 512}).every_row(2)}},
                {.name = "0-d", .in = {int64({})}},
                {.name = "empty", .in = {f32({3, 0})}}},
};

const OpCases cases_append_rows = {
    .op = op_append_rows,
    .accepts = {{.name = "written",
                 .in = {counting({2, 2}), f32({1, 2}).values({8, 9})},
                 .want = {0, 1, 2, 3, 8, 9}},
                {.name = "vectors", .in = {f32({3}), f32({4})}},
                {.name = "heads", .in = {f16({7, 3, 8}), f16({2, 3, 8})}},
                {.name = "transposed", .in = {f32({3, 5}).transposed(), f32({3, 2}).transposed()}},
                {.name = "to nothing", .in = {f32({0, 4}), f32({2, 4})}},
                {.name = "nothing", .in = {f32({2, 4}), f32({0, 4})}}},
    .rejects = {{.name = "rows differ", .in = {f32({2, 3}), f32({2, 4})}, .message = "rows differ"},
                {.name = "types",
                 .in = {f32({2, 3}), f16({2, 3})},
                 .message = "cannot append float16[2, 3] to float32[2, 3]"}},
};

}  // namespace tl::cases
