#include <limits>

#include "tests/ops/op_cases.h"

namespace tl::cases {

static constexpr double kInf = std::numeric_limits<double>::infinity();
static constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

static const OpReject kNumber = {.name = "number", .in = {f32({})}, .attrs = "", .message = "single number"};

const OpCases cases_repetition_penalty =
    {
        .op = op_repetition_penalty,
        .accepts =
            {
                {.name = "both signs, once each",
                 .in = {f32({4}).values({2, -1, 3, 4}), int64({3}).values({0, 1, 1})},
                 .attrs = "penalty: 2",
                 .want = {1, -2, 3, 4}},
                {.name = "no ids", .in = {f32({4}), int64({0})}},
                {.name = "one id", .in = {f32({4}), int64({}).values({2})}},
                {.name = "padding",
                 .in = {f32({2}).values({1, 1}), int32({2}).values({-1, 1})},
                 .attrs = "penalty: 2",
                 .want = {1, 0.5}},
                {.name = "masked stays masked",
                 .in = {f32({1}).values({-kInf}), int32({1}).values({0})},
                 .want = {-kInf}},
                {.name = "rows share ids", .in = {f32({3, 50}), int64({7})}},
                {.name = "ids per row", .in = {f32({3, 50}), int64({3, 7})}},
                {.name = "half", .in = {f16({3, 50}), int64({1, 7})}},
                {.name = "double", .in = {f64({3, 50}), int64({7})}},
                {.name = "a vocabulary, everything apart",
                 .in = {f32({1300, 3}).transposed(), int64({1800}).range(-1, 1299).every(3)},
                 .attrs = "penalty: 1.7"},
                {.name = "strided ids", .in = {f32({3, 50}), int64({7, 3}).transposed()}},
                {.name = "beyond the vocabulary",
                 .in = {f32({2, 4}), int64({2}).values({1, 4})},
                 .fails = "token 4 of a vocabulary of 4"},
            },
        .rejects = {{.name = "float ids",
                     .in = {f32({4}), f32({1})},
                     .message = "ids are float32, want whole numbers"},
                    {.name = "rows of ids",
                     .in = {f32({3, 4}), int64({2, 5})},
                     .message = "ids of [2, 5] do not fit logits of [3, 4]"},
                    {.name = "penalty",
                     .in = {f32({4}), int64({1})},
                     .attrs = "penalty: 0",
                     .message = "penalty is 0"},
                    {.name = "whole logits",
                     .in = {int64({4}), int64({1})},
                     .message = "found int64, want a float"},
                    {.name = "number", .in = {f32({}), int64({1})}, .message = "single number"}},
};

const OpCases cases_frequency_penalty = {
    .op = op_frequency_penalty,
    .accepts =
        {
            {.name = "counted",
             .in = {f32({3}).values({2, 2, 2}), int64({3}).values({1, 0, 1})},
             .attrs = "frequency: 0.5, presence: 0.25",
             .want = {1.25, 0.75, 2}},
            {.name = "off", .in = {f32({3, 50}), int64({7})}},
            {.name = "a vocabulary, everything apart",
             .in = {f32({1300, 3}).transposed(), int64({1800}).range(-1, 1299).every(3)},
             .attrs = "frequency: 0.25, presence: 0.5"},
            {.name = "ids per row", .in = {f16({3, 50}), int64({3, 70})}, .attrs = "frequency: 0.1"},
            {.name = "padding",
             .in = {f32({2}).values({1, 1}), int32({3}).values({-1, 1, -1})},
             .attrs = "presence: 1",
             .want = {1, 0}},
            {.name = "no ids", .in = {f32({4}), int64({0})}, .attrs = "presence: 1"},
            {.name = "beyond the vocabulary",
             .in = {f32({4}), int64({1}).values({9})},
             .fails = "token 9 of a vocabulary of 4"},
        },
    .rejects = {{.name = "float ids", .in = {f32({4}), f32({1})}, .message = "want whole numbers"}},
};

const OpCases cases_top_k =
    {
        .op = op_top_k,
        .accepts =
            {
                {.name = "two", .in = {f32({3}).values({1, 3, 2})}, .attrs = "k: 2", .want = {-kInf, 3, 2}},
                {.name = "first of equals",
                 .in = {f32({5}).values({1, 3, 3, 3, 0})},
                 .attrs = "k: 2",
                 .want = {-kInf, 3, 3, -kInf, -kInf}},
                {.name = "off", .in = {f32({3, 50})}, .attrs = "k: 0"},
                {.name = "more than there are", .in = {f32({3, 50})}, .attrs = "k: 60"},
                {.name = "vocabulary", .in = {f32({2, 49152}).range(-9, 9)}, .attrs = "k: 40"},
                {.name = "one of many", .in = {f32({5, 1000})}, .attrs = "k: 1"},
                {.name = "a vocabulary, apart", .in = {f32({1300, 3}).transposed()}, .attrs = "k: 700"},
                {.name = "half, backwards", .in = {f16({3, 1300}).reversed(1)}, .attrs = "k: 9"},
                {.name = "rising row",
                 .in = {f32({8}).values({1, 2, 3, 4, 5, 6, 7, 8})},
                 .attrs = "k: 3",
                 .want = {-kInf, -kInf, -kInf, -kInf, -kInf, 6, 7, 8}},
                {.name = "many equals", .in = {f16({6, 500}).values({1, 2, 3, 1, 2})}, .attrs = "k: 77"},
                {.name = "masked entries",
                 .in = {f32({4}).values({-kInf, 1, -kInf, 0})},
                 .attrs = "k: 3",
                 .want = {-kInf, 1, -kInf, 0}},
                {.name = "negative", .in = {f32({4, 100}).range(-9, -1)}, .attrs = "k: 10"},
                {.name = "a nan is left to be found",
                 .in = {f32({3}).values({1, kNaN, 2})},
                 .attrs = "k: 1",
                 .want = {1, kNaN, 2}},
                {.name = "double", .in = {f64({4, 100})}, .attrs = "k: 10"},
                {.name = "bfloat16", .in = {bf16({4, 100})}, .attrs = "k: 10"},
                {.name = "empty rows", .in = {f32({4, 0})}, .attrs = "k: 10"},
            },
        .rejects =
            {{.name = "negative", .in = {f32({4})}, .attrs = "k: -1", .message = "k is -1, want 0 or more"}},
};

const OpCases cases_top_p =
    {
        .op = op_top_p,
        .accepts =
            {
                // Shares 0.090, 0.665, 0.245.
                {.name = "two", .in = {f32({3}).values({1, 3, 2})}, .attrs = "p: 0.8", .want = {-kInf, 3, 2}},
                {.name = "the one that reaches p is kept",
                 .in = {f32({3}).values({1, 3, 2})},
                 .attrs = "p: 0.67",
                 .want = {-kInf, 3, 2}},
                {.name = "one is enough",
                 .in = {f32({3}).values({1, 3, 2})},
                 .attrs = "p: 0.66",
                 .want = {-kInf, 3, -kInf}},
                {.name = "always one",
                 .in = {f32({3}).values({1, 3, 2})},
                 .attrs = "p: 0",
                 .want = {-kInf, 3, -kInf}},
                {.name = "all", .in = {f32({3, 90})}, .attrs = "p: 1"},
                {.name = "exactly half of equals",
                 .in = {f32({4}).values({5})},
                 .attrs = "p: 0.5",
                 .want = {5, 5, -kInf, -kInf}},
                {.name = "vocabulary", .in = {f32({2, 49152}).range(-9, 9)}, .attrs = "p: 0.9"},
                {.name = "peaked", .in = {f32({3, 1000}).range(-60, 60)}, .attrs = "p: 0.95"},
                {.name = "a vocabulary, apart",
                 .in = {f32({1300, 3}).range(-5, 5).transposed()},
                 .attrs = "p: 0.6"},
                {.name = "masked entries",
                 .in = {f32({4}).values({-kInf, 1, -kInf, 1})},
                 .attrs = "p: 0.9",
                 .want = {-kInf, 1, -kInf, 1}},
                {.name = "all masked",
                 .in = {f32({2}).values({-kInf})},
                 .attrs = "p: 0.9",
                 .want = {-kInf, -kInf}},
                {.name = "nan",
                 .in = {f32({3}).values({1, kNaN, 2})},
                 .attrs = "p: 0.1",
                 .want = {1, kNaN, 2}},
                {.name = "half", .in = {f16({4, 300}).range(-4, 4)}, .attrs = "p: 0.7"},
                {.name = "double", .in = {f64({4, 300}).range(-4, 4)}, .attrs = "p: 0.7"},
            },
        .rejects =
            {{.name = "above 1", .in = {f32({4})}, .attrs = "p: 1.5", .message = "p is 1.5, want 0 to 1"}},
};

const OpCases cases_min_p = {
    .op = op_min_p,
    .accepts =
        {
            // Relative to the best: 0.135, 1, 0.368.
            {.name = "two", .in = {f32({3}).values({1, 3, 2})}, .attrs = "p: 0.2", .want = {-kInf, 3, 2}},
            {.name = "one", .in = {f32({3}).values({1, 3, 2})}, .attrs = "p: 0.4", .want = {-kInf, 3, -kInf}},
            {.name = "the best always",
             .in = {f32({3}).values({1, 3, 3})},
             .attrs = "p: 1",
             .want = {-kInf, 3, 3}},
            {.name = "off", .in = {f32({3, 90})}, .attrs = "p: 0"},
            {.name = "vocabulary", .in = {f32({2, 49152}).range(-9, 9)}, .attrs = "p: 0.05"},
            {.name = "half", .in = {f16({4, 300}).range(-4, 4)}, .attrs = "p: 0.3"},
            {.name = "a vocabulary, apart",
             .in = {f32({1300, 3}).range(-5, 5).transposed()},
             .attrs = "p: 0.1"},
            {.name = "nan", .in = {f32({3}).values({1, kNaN, 2})}, .attrs = "p: 0.9", .want = {1, kNaN, 2}},
        },
    .rejects =
        {{.name = "below 0", .in = {f32({4})}, .attrs = "p: -0.5", .message = "p is -0.5, want 0 to 1"}},
};

const OpCases cases_typical_p = {
    .op = op_typical_p,
    .accepts =
        {
            // Entropy 0.694 of shares 0.5, 0.5 and nearly 0: both halves are typical.
            {.name = "two", .in = {f32({3}).values({0, 0, -9})}, .attrs = "p: 0.9", .want = {0, 0, -kInf}},
            // Shares 0.665, 0.245, 0.090; surprises 0.408, 1.408, 2.408; entropy 0.832: distances 0.425,
            // 0.575, 1.575.
            {.name = "closest first",
             .in = {f32({3}).values({3, 2, 1})},
             .attrs = "p: 0.5",
             .want = {3, -kInf, -kInf}},
            {.name = "all", .in = {f32({3, 90})}, .attrs = "p: 1"},
            {.name = "always one", .in = {f32({3, 90})}, .attrs = "p: 0"},
            {.name = "wide", .in = {f32({3, 3001}).range(-5, 5)}, .attrs = "p: 0.4"},
            {.name = "a vocabulary, apart",
             .in = {f32({1300, 3}).range(-5, 5).transposed()},
             .attrs = "p: 0.7"},
            {.name = "masked entries",
             .in = {f32({4}).values({-kInf, 1, -kInf, 1})},
             .attrs = "p: 0.7",
             .want = {-kInf, 1, -kInf, 1}},
            {.name = "nan", .in = {f32({3}).values({1, kNaN, 2})}, .attrs = "p: 0.1", .want = {1, kNaN, 2}},
        },
    .rejects = {{.name = "above 1", .in = {f32({4})}, .attrs = "p: 1.5", .message = "p is 1.5"}},
};

const OpCases cases_temperature = {
    .op = op_temperature,
    .accepts =
        {
            {.name = "half", .in = {f32({2}).values({1, 3})}, .attrs = "t: 0.5", .want = {2, 6}},
            {.name = "zero",
             .in = {f32({4}).values({1, 3, 3, 2})},
             .attrs = "t: 0",
             .want = {-kInf, 3, -kInf, -kInf}},
            {.name = "zero, wide", .in = {f32({3, 500})}, .attrs = "t: 0"},
            {.name = "wide", .in = {f16({3, 500})}, .attrs = "t: 0.7"},
            {.name = "a vocabulary, apart", .in = {f32({1300, 3}).transposed()}, .attrs = "t: 1.5"},
            {.name = "zero, a vocabulary, apart", .in = {bf16({3, 2600}).every(2)}, .attrs = "t: 0"},
            {.name = "empty rows", .in = {f32({3, 0})}, .attrs = "t: 0"},
            {.name = "masked", .in = {f32({2}).values({1, -kInf})}, .attrs = "t: 2", .want = {0.5, -kInf}},
        },
    .rejects = {{.name = "negative",
                 .in = {f32({4})},
                 .attrs = "t: -1",
                 .message = "temperature is -1, want 0 or more"}},
};

const OpCases cases_sample =
    {
        .op = op_sample,
        .accepts =
            {
                {.name = "greedy",
                 .in = {f32({2, 4}).values({1, 3, 3, 2, 0, 0, 0, 1})},
                 .attrs = "temperature: 0",
                 .want = {1, 3}},
                {.name = "greedy vocabulary", .in = {f32({3, 49152})}, .attrs = "temperature: 0, top_k: 40"},
                {.name = "min_p of 1 leaves the best",
                 .in = {f32({2, 4}).values({1, 3, 2, 2, 0, 0, 0, 1})},
                 .attrs = "min_p: 1",
                 .want = {1, 3}},
                {.name = "one token", .in = {f32({5, 1})}, .want = {0, 0, 0, 0, 0}},
                {.name = "one row", .in = {f32({50})}},
                {.name = "plain", .in = {f32({300, 50}).range(-3, 3)}},
                {.name = "another seed", .in = {f32({300, 50}).range(-3, 3)}, .attrs = "seed: 43"},
                {.name = "another position", .in = {f32({300, 50}).range(-3, 3)}, .attrs = "position: 8"},
                {.name = "hot", .in = {f32({100, 50}).range(-3, 3)}, .attrs = "temperature: 5"},
                {.name = "tiny temperature",
                 .in = {f32({100, 50}).range(-3, 3)},
                 .attrs = "temperature: 1e-50"},
                {.name = "top_k of a vocabulary",
                 .in = {f32({5, 49152}).range(-9, 9)},
                 .attrs = "top_k: 40, temperature: 0.8"},
                {.name = "a vocabulary, apart",
                 .in = {f32({1300, 60}).range(-5, 5).transposed()},
                 .attrs = "top_k: 600, top_p: 0.9, temperature: 1.3"},
                {.name = "greedy, apart", .in = {f16({9, 2600}).every(2)}, .attrs = "temperature: 0"},
                {.name = "top_k 1", .in = {f32({1, 3}).values({1, 3, 2})}, .attrs = "top_k: 1", .want = {1}},
                {.name = "top_p", .in = {f32({100, 200}).range(-6, 6)}, .attrs = "top_p: 0.8"},
                {.name = "min_p", .in = {f32({100, 200}).range(-6, 6)}, .attrs = "min_p: 0.1"},
                {.name = "typical_p", .in = {f32({100, 200}).range(-6, 6)}, .attrs = "typical_p: 0.5"},
                {.name = "the whole chain",
                 .in = {f32({100, 2000}).range(-6, 6)},
                 .attrs = "temperature: 0.7, top_k: 40, top_p: 0.95, min_p: 0.05, typical_p: 0.9"},
                {.name = "half", .in = {f16({100, 200}).range(-6, 6)}, .attrs = "top_k: 40"},
                {.name = "double", .in = {f64({100, 200}).range(-6, 6)}, .attrs = "top_k: 40"},
                {.name = "masked entries",
                 .in = {f32({40, 4}).values({-kInf, 1, -kInf, 1})},
                 .attrs = "top_p: 0.9"},
                {.name = "nan",
                 .in = {f32({2, 2}).values({0, 1, 0, kNaN})},
                 .fails = "row 1 of the logits holds a nan"},
                {.name = "all masked",
                 .in = {f32({2}).values({-kInf})},
                 .fails = "the largest logit of row 0 is -inf"},
            },
        .rejects = {{.name = "no tokens",
                     .in = {f32({2, 0})},
                     .message = "no token to choose from in [2, 0]"},
                    {.name = "temperature",
                     .in = {f32({4})},
                     .attrs = "temperature: -1",
                     .message = "temperature is -1"},
                    {.name = "top_k", .in = {f32({4})}, .attrs = "top_k: -1", .message = "top_k is -1"},
                    {.name = "top_p", .in = {f32({4})}, .attrs = "top_p: 2", .message = "top_p is 2"},
                    {.name = "min_p", .in = {f32({4})}, .attrs = "min_p: -2", .message = "min_p is -2"},
                    kNumber},
};

const OpCases cases_sample_probs = {
    .op = op_sample_probs,
    .accepts =
        {
            {.name = "certain", .in = {f32({2, 3}).values({0, 1, 0, 0, 0, 7})}, .want = {1, 2}},
            {.name = "many rows", .in = {f32({300, 50}).range(0, 1)}},
            {.name = "a vocabulary, apart", .in = {f32({1300, 60}).range(0, 5).transposed()}},
            {.name = "another seed", .in = {f32({300, 50}).range(0, 1)}, .attrs = "seed: 43"},
            {.name = "broadcast row", .in = {f32({1, 5}).values({1, 2, 3, 4, 0}).broadcast_to({500, 5})}},
            {.name = "half", .in = {f16({30, 50}).range(0, 1)}},
            {.name = "double", .in = {f64({30, 50}).range(0, 1)}},
            {.name = "negative",
             .in = {f32({2}).values({1, -0.5})},
             .fails = "found a probability of -0.5 in row 0"},
            {.name = "nan", .in = {f32({2}).values({1, kNaN})}, .fails = "probability of nan"},
            {.name = "nothing", .in = {f32({2}).values({0})}, .fails = "the probabilities of row 0 sum to 0"},
        },
    .rejects = {{.name = "no tokens", .in = {f32({2, 0})}, .message = "no token"}, kNumber},
};

}  // namespace tl::cases
