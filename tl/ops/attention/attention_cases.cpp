#include "tests/ops/op_cases.h"

namespace tl::cases {

// Positions first, first + 1, ….
static In positions(i64 count, i64 first) {
  std::vector<double> values;
  for (i64 i = 0; i < count; ++i) values.push_back(static_cast<double>(first + i));
  return int64({count}).values(values);
}

static OpCase heads(std::string name, i64 s, i64 h, i64 hk, i64 d, i64 t, i64 first, std::string attrs) {
  return {.name = std::move(name),
          .in = {f32({s, h, d}), f32({t, hk, d}), f32({t, hk, d}), positions(s, first)},
          .attrs = std::move(attrs)};
}

const OpCases cases_attention =
    {
        .op = op_attention,
        .accepts =
            {
                heads("one key", 1, 4, 4, 8, 1, 0, "scale: 0.5"),
                heads("one query, long", 1, 9, 3, 64, 300, 299, "scale: 0.125"),
                heads("causal", 46, 9, 3, 64, 46, 0, "scale: 0.125"),
                heads("later piece, odd width", 7, 8, 2, 21, 100, 93, "scale: 3"),
                heads("window", 40, 4, 2, 16, 80, 30, "scale: 0.25, window: 17"),
                heads("window of one", 5, 4, 2, 16, 9, 2, "scale: 0.25, window: 1"),
                heads("beyond the keys", 3, 4, 2, 16, 9, 30, "scale: 0.25, window: 5"),
                heads("nothing to see at first", 20, 2, 1, 8, 20, -3, "scale: 0.25"),
                heads("no queries", 0, 4, 2, 16, 9, 0, "scale: 0.25"),
                heads("no keys", 3, 4, 2, 16, 0, 0, "scale: 0.25"),
                {.name = "batches, each at its own place",
                 .in = {f32({2, 3, 4, 16}), f32({2, 20, 2, 16}), f32({2, 20, 2, 16}),
                        int32({2, 3}).values({5, 6, 7, 17, 18, 19})},
                 .attrs = "scale: 0.25"},
                {.name = "heads before queries",
                 .in = {f32({4, 6, 16}).permuted({1, 0, 2}), f32({2, 20, 16}).permuted({1, 0, 2}),
                        f32({20, 2, 32}).columns(8, 16), positions(6, 14)},
                 .attrs = "scale: 0.25"},
                {.name = "more keys than a block, everything apart",
                 .in = {f32({4, 30, 32}).permuted({1, 0, 2}).columns(8, 16),
                        f32({2, 600, 16}).permuted({1, 0, 2}), f16({600, 2, 32}).columns(3, 16),
                        int64({60}).values({570, 0, 599, 0, 40, 0}).every(2)},
                 .attrs = "scale: 0.25"},
                {.name = "the same in a window",
                 .in = {f32({4, 30, 32}).permuted({1, 0, 2}).columns(8, 16),
                        f32({2, 600, 16}).permuted({1, 0, 2}), f16({600, 2, 32}).columns(3, 16),
                        int64({60}).values({570, 0, 599, 0, 40, 0}).every(2)},
                 .attrs = "scale: 2, window: 130"},
                {.name = "half",
                 .in = {f16({6, 4, 16}), f16({20, 2, 16}), f16({20, 2, 16}), positions(6, 14)},
                 .attrs = "scale: 0.25"},
                {.name = "float with half keys",
                 .in = {f32({6, 4, 16}), f16({20, 2, 16}), bf16({20, 2, 16}), positions(6, 14)},
                 .attrs = "scale: 0.25"},
                {.name = "double",
                 .in = {f64({6, 4, 16}), f64({20, 2, 16}), f64({20, 2, 16}), positions(6, 14)},
                 .attrs = "scale: 0.25"},
            },
        .rejects =
            {
                {.name = "heads",
                 .in = {f32({3, 4, 8}), f32({5, 3, 8}), f32({5, 3, 8}), int64({3})},
                 .attrs = "scale: 1",
                 .message = "4 query heads on 3"},
                {.name = "width",
                 .in = {f32({3, 4, 8}), f32({5, 2, 9}), f32({5, 2, 9}), int64({3})},
                 .attrs = "scale: 1",
                 .message = "do not fit"},
                {.name = "positions",
                 .in = {f32({3, 4, 8}), f32({5, 2, 8}), f32({5, 2, 8}), int64({4})},
                 .attrs = "scale: 1",
                 .message = "positions are [4]"},
                {.name = "window",
                 .in = {f32({3, 4, 8}), f32({5, 2, 8}), f32({5, 2, 8}), int64({3})},
                 .attrs = "scale: 1, window: -1",
                 .message = "window of -1"},
            },
};

}  // namespace tl::cases
