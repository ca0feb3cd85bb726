// Several sequences in one call of std/llama.tl. Whatever a sequence's mates are, and however long: it gets
// the bits that it gets alone.
#include <gtest/gtest.h>

#include <set>

#include "tests/lang/run_text.h"
#include "tl/exec/observer.h"
#include "tl/exec/planner.h"

namespace tl {
namespace {

// Prompts of eleven kinds, and what follows them.
constexpr const char* kHead = R"(
import "std/llama.tl"
fn prompt_of(j: int) {
    let ids = []
    for i in range(1 + j * 5 % 13) { ids.push((7 * j + 3 * i + 1) % 90) }
    return ids
}
fn next_of(j: int, step: int) -> int { return (j * 3 + step * 5 + 2) % 90 }
// Checksums of the logits after the prompt and after each of `steps` tokens.
fn alone(lm: Llama, j: int, steps: int) {
    let cache = new_cache(lm, 40)
    let logits = prefill(lm, prompt_of(j), cache)
    let sums = [checksum(logits[0])]
    for step in range(steps) {
        logits = to_logits(lm, forward(lm, [next_of(j, step)], cache))
        sums.push(checksum(logits[0]))
    }
    return sums
}
fn check(logits, kinds, expected, step: int) -> int {
    let wrong = 0
    for j in range(len(kinds)) {
        if checksum(logits[j]) != expected[kinds[j]][step] { wrong = wrong + 1 }
    }
    return wrong
}
fn decode(lm: Llama, kinds, step: int, cache: KVCache) {
    let ids = []
    for kind in kinds { ids.push(next_of(kind, step)) }
    return to_logits(lm, forward(lm, reshape(tensor(ids, dtype: int32), [len(ids), 1]), cache))
}
fn batch(lm: Llama, count: int, expected, steps: int, chunk: int) -> int {
    let kinds = []
    let prompts = []
    for j in range(count) {
        kinds.push(j % 11)
        prompts.push(prompt_of(j % 11))
    }
    let cache = new_cache(lm, 40, count)
    let wrong = check(prefill(lm, prompts, cache, chunk), kinds, expected, 0)
    for step in range(steps) {
        wrong = wrong + check(decode(lm, kinds, step, cache), kinds, expected, step + 1)
    }
    return wrong
}
)";

std::string program(const char* model, const std::string& body) {
  return std::string(kHead) + "main {\n  let lm = llama(load_model(\"" + TL_SHARE_DIR + "/tests/data/" +
         model + "\"))\n" + body + "}\n";
}

std::string run(const std::string& text, const RunSettings& settings) {
  const Transcript got = run_text(TL_SHARE_DIR "/batch.tl", text, settings);
  return got.output + got.problems;
}

constexpr const char* kSizes = R"(
    let expected = []
    for j in range(11) { expected.push(alone(lm, j, 4)) }
    for count in [1, 2, 44, 45, 255, 256, 257] { print(count, batch(lm, count, expected, 4, 512)) }
    print(batch(lm, 7, expected, 4, 1), batch(lm, 7, expected, 4, 5))
)";
constexpr const char* kAllRight = "1 0\n2 0\n44 0\n45 0\n255 0\n256 0\n257 0\n0 0\n";

class Batches : public testing::TestWithParam<int> {};
TEST_P(Batches, EachSequenceHasTheBitsThatItHasAlone) {
  for (const char* model : {"tiny-llama-f32.gguf", "tiny-llama-q8_0.gguf"}) {
    EXPECT_EQ(run(program(model, kSizes), {.threads = GetParam()}), kAllRight) << model;
  }
}
TEST_P(Batches, OfOtherFormats) {
  for (const char* model : {"tiny-llama-f16.gguf", "tiny-llama-bf16.gguf", "tiny-llama-k.gguf",
                            "tiny-llama-q4_0.gguf", "tiny-llama-untied-q8_0.gguf"}) {
    EXPECT_EQ(run(program(model, R"(
    let expected = []
    for j in range(11) { expected.push(alone(lm, j, 3)) }
    print(batch(lm, 2, expected, 3, 512), batch(lm, 45, expected, 3, 4))
)"),
                  {.threads = GetParam()}),
              "0 0\n")
        << model;
  }
}
INSTANTIATE_TEST_SUITE_P(Threads, Batches, testing::Values(1, 2, 5));

// Sequences that end and others that take their place, and forks of the whole; interpreted, replayed, in any
// order.
constexpr const char* kComeAndGo = R"(
    let expected = []
    for j in range(11) { expected.push(alone(lm, j, 9)) }
    let kinds = [0, 1, 2, 3, 4]
    let steps = [0, 0, 0, 0, 0]
    let cache = new_cache(lm, 40, 5)
    let wrong = check(prefill(lm, [prompt_of(0), prompt_of(1), prompt_of(2), prompt_of(3), prompt_of(4)], cache), kinds,
                      expected, 0)
    let fork = none
    for round in range(24) {
        if round % 4 == 3 {
            let at = round / 4 % 5
            let other = new_cache(lm, 40)
            kinds[at] = (kinds[at] + 5) % 11
            steps[at] = 0
            wrong = wrong + check(prefill(lm, prompt_of(kinds[at]), other), [kinds[at]], expected, 0)
            cache.set_sequence(at, other)
        }
        let ids = []
        let counts = []
        for j in range(5) {
            let goes_on = (round + j) % 3 != 0 && steps[j] < 9
            counts.push(if goes_on { 1 } else { 0 })
            ids.push(next_of(kinds[j], steps[j]))
        }
        if round == 10 { fork = cache.copy() }
        let all = to_logits(lm, forward(lm, reshape(tensor(ids, dtype: int32), [5, 1]), cache, counts))
        for j in range(5) {
            if counts[j] == 1 {
                steps[j] = steps[j] + 1
                if checksum(all[j]) != expected[kinds[j]][steps[j]] { wrong = wrong + 1 }
            }
        }
        if round == 10 {
            let again = to_logits(lm, forward(lm, reshape(tensor(ids, dtype: int32), [5, 1]), fork, counts))
            for j in range(5) { if counts[j] == 1 && checksum(again[j]) != checksum(all[j]) { wrong = wrong + 1 } }
        }
    }
    // Back by some tokens, and the same again.
    cache.truncate(len(prompt_of(kinds[2])), sequence: 2)
    steps[2] = 0
    let one = cache.sequence(2)
    let ids = [next_of(kinds[2], 0)]
    if checksum(to_logits(lm, forward(lm, ids, one))[0]) != expected[kinds[2]][1] { wrong = wrong + 1 }
    let row = reshape(tensor([1, 2, ids[0], 4, 5], dtype: int32), [5, 1])
    let all = to_logits(lm, forward(lm, row, cache, [0, 0, 1, 0, 0]))
    if checksum(all[2]) != expected[kinds[2]][1] { wrong = wrong + 1 }
    print(wrong)
)";
TEST(BatchesOfSequences, ComeAndGo) {
  const std::string text = program("tiny-llama-q8_0.gguf", kComeAndGo);
  for (const ExecOptions& options :
       {ExecOptions{}, ExecOptions{.replay = false}, ExecOptions{.eager = true}, ExecOptions{.shuffle = 3},
        ExecOptions{.commands_per_batch = 3}, ExecOptions{.fuse = false}}) {
    EXPECT_EQ(run(text, {.threads = 2, .exec = options}), "0\n");
  }
  EXPECT_EQ(run(text, {.threads = 2, .validate = true}), "0\n");
}

TEST(BatchesOfSequences, TheNullDeviceProvesTheirOrder) {
  const std::string text = program("tiny-llama-q8_0.gguf", R"(
    let cache = new_cache(lm, 40, 3)
    let logits = prefill(lm, [prompt_of(1), prompt_of(2), prompt_of(3)], cache, 4)
    for step in range(20) { logits = decode(lm, [1, 2, 3], step, cache) }
    print(shape(logits)[0], cache.length())
)");
  EXPECT_NE(run(text, {.device = "null"}).find("3 31\n"), std::string::npos);
}

// A step of a batch is planned and traced once, however long the sequences get.
struct Plans : ExecObserver {
  std::set<const Plan*> plans;
  std::string why;
  void runs(const Plan& plan, const Snapshot&) override { plans.insert(&plan); }
  void traced_again(Span, Span where, std::string_view reason) override {
    why += fmt::format("again at {}:{}: {}\n", static_cast<int>(where.file), where.begin, reason);
  }
  void not_traced(Span, Span, std::string_view reason) override { why += std::string(reason) + "\n"; }
};
TEST(BatchesOfSequences, DecodeWithOnePlan) {
  const auto with_steps = [&](int steps, Plans& plans) {
    const std::string text = program("tiny-llama-q8_0.gguf", R"(
    let cache = new_cache(lm, 1000, 3)
    let logits = prefill(lm, [prompt_of(1), prompt_of(2), prompt_of(3)], cache)
    for step in range()" + std::to_string(steps) + R"() {
        let ids = tensor([[step % 7], [1], [2]], dtype: int32)
        wait(to_logits(lm, forward(lm, ids, cache)))
        let some = [step % 2, 1, step % 3 / 2]
        wait(to_logits(lm, forward(lm, ids, cache, some)))
    }
    print(cache.length())
)");
    RunSettings settings{.threads = 2};
    settings.exec.observer = &plans;
    return run_text(TL_SHARE_DIR "/batch.tl", text, settings);
  };
  Plans few, many;
  with_steps(30, few);
  const Transcript got = with_steps(55, many);  // both grow once
  EXPECT_EQ(got.output + got.problems, "121\n");
  EXPECT_EQ(few.plans.size(), many.plans.size());
  EXPECT_GE(got.replays, 2 * 55 - 8u) << many.why;
}

}  // namespace
}  // namespace tl
