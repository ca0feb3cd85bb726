// std/decode.tl: the device is one step ahead of whoever reads the tokens, and nobody can tell by what comes
// out.
#include <gtest/gtest.h>

#include "tests/lang/run_text.h"

namespace tl {
namespace {

constexpr const char* kHead = R"(
import "std/decode.tl"
fn sampling(temperature: float, penalty: float) -> Sampling {
    return Sampling { temperature: temperature, top_k: 40, top_p: 0.95, min_p: 0.05, repeat_penalty: penalty,
                      repeat_last: 8, seed: 3 }
}
// One token after the other, each read before the next step.
fn plainly(lm: Llama, cache: KVCache, s: Sampling, logits, history, draws: int, limit: int) {
    let sums = []
    for step in range(limit) {
        let id = item(choose(s, logits, history, draws + step))
        sums.push(checksum(logits))
        history.push(id)
        logits = to_logits(lm, forward(lm, [id], cache))
    }
    return sums
}
fn differs(lm: Llama, s: Sampling, limit: int, stop: int) -> string {
    let prompt = [1, 7, 30]
    let a = prompt.copy()
    let cache = new_cache(lm, 64)
    let sums = plainly(lm, cache, s, prefill(lm, prompt, cache), a, 5, min(limit, stop + 1))
    let b = prompt.copy()
    let other = new_cache(lm, 64)
    let seen = []
    let ahead = 0
    decode(lm, other, s, prefill(lm, prompt, other), b, 5, limit, |id, logits| {
        if seen != sums[:len(seen)] || id != b[-1] { seen.push("another") }
        seen.push(checksum(logits))
        ahead = max(ahead, other.len() - len(b))
        return len(seen) <= stop
    })
    if a != b { return "ids {b}, not {a}" }
    if sums != seen { return "other logits" }
    if limit > 0 && other.len() != len(b) - 1 { return "{other.len()} positions for {len(b)} ids" }
    if limit > 1 && ahead != 0 { return "ahead by {ahead}" }
    // What comes next is what comes next after the plain loop.
    if limit == 0 { return "" }
    other.truncate(len(b) - 1)
    let next = to_logits(lm, forward(lm, b[-1:], other))
    cache.truncate(len(a) - 1)
    return if checksum(next) == checksum(to_logits(lm, forward(lm, a[-1:], cache))) { "" } else { "other rows" }
}
main {
    let lm = llama(load_model("SHARE/tests/data/tiny-llama-q8_0.gguf"))
    for (limit, stop) in [(0, 9), (1, 9), (2, 9), (12, 99), (12, 0), (12, 5), (12, 11), (61, 99)] {
        for (temperature, penalty) in [(0.0, 1.0), (0.9, 1.0), (0.7, 1.4)] {
            let wrong = differs(lm, sampling(temperature, penalty), limit, stop)
            if wrong != "" { print(limit, stop, temperature, penalty, wrong) }
        }
    }
    print("done")
}
)";

TEST(Decode, OneStepAheadGivesWhatThePlainLoopGives) {
  std::string text = kHead;
  text.replace(text.find("SHARE"), 5, TL_SHARE_DIR);
  for (const ExecOptions& options : {ExecOptions{}, ExecOptions{.replay = false}, ExecOptions{.eager = true},
                                     ExecOptions{.commands_per_batch = 3}}) {
    const Transcript got = run_text(TL_SHARE_DIR "/decode.tl", text, {.threads = 2, .exec = options});
    EXPECT_EQ(got.output + got.problems, "done\n");
  }
}

}  // namespace
}  // namespace tl
