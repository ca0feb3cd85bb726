#include "tests/ops/op_cases.h"

namespace tl::cases {

const OpCases cases_append_sequences = {
    .op = op_append_sequences,
    .accepts =
        {{.name = "written",
          .in = {f32({2, 3}).values({1, 2, 0, 3, 0, 0}), f32({2, 2}).values({8, 9, 6, 7}),
                 int32({2}).values({2, 1}), int32({2}).values({1, 2})},
          .want = {1, 2, 8, 3, 6, 7}},
         {.name = "one count for all",
          .in = {int64({2, 2, 2}).values({1, 2, 3, 4, 5, 6, 7, 8}),
                 int64({2, 1, 2}).values({-1, -2, -3, -4}), int64({2}).values({1, 0}),
                 int64({}).values({1000})},
          .want = {1, 2, -1, -2, -3, -4, 7, 8}},
         {.name = "heads, everything apart",
          .in = {f16({30, 9, 3, 8}).permuted({1, 0, 2, 3}), f16({4, 9, 3, 8}).permuted({1, 0, 2, 3}),
                 int64({18}).range(0, 26).every(2), int8({9}).range(0, 4)}},
         {.name = "many sequences, reversed",
          .in = {f32({257, 20, 5}), f32({257, 3, 5}).reversed(1), int64({257}).range(0, 17),
                 int64({257}).range(0, 3)}},
         {.name = "no rows", .in = {f32({3, 2}), f32({3, 0}), int64({3}).values({0, 1, 2}), int64({}).values({1})}},
         {.name = "no sequences", .in = {f32({0, 2}), f32({0, 1}), int64({0}), int64({0})}},
         {.name = "full",
          .in = {f32({2, 2}), f32({2, 1}), int64({2}).values({1, 2}), int64({}).values({1})},
          .fails = "1 rows behind the 2 of sequence 1, which has room for 2"},
         {.name = "below",
          .in = {f32({1, 2}), f32({1, 1}), int64({1}).values({-1}), int64({}).values({1})},
          .fails = "1 rows behind the -1 of sequence 0"}},
    .rejects = {{.name = "types",
                 .in = {f32({2, 3}), f16({2, 1}), int64({2}), int64({})},
                 .message = "cannot append float16[2, 1] to float32[2, 3]"},
                {.name = "sequences",
                 .in = {f32({2, 3}), f32({3, 1}), int64({2}), int64({})},
                 .message = "of the same sequences"},
                {.name = "float lengths",
                 .in = {f32({2, 3}), f32({2, 1}), f32({2}), int64({})},
                 .message = "found lengths of float32, want whole numbers"},
                {.name = "a length for each",
                 .in = {f32({2, 3}), f32({2, 1}), int64({3}), int64({})},
                 .message = "want one for each of 2 sequences"},
                {.name = "a count for each",
                 .in = {f32({2, 3}), f32({2, 1}), int64({2}), int64({3})},
                 .message = "found counts of shape [3]"}},
};

}  // namespace tl::cases
