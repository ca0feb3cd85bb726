// Programs whose tasks share what may be shared, run on 1 to 16 threads: the same output from all, and under
// the thread sanitizer no race.
#include <gtest/gtest.h>

#include "tests/lang/run_text.h"

namespace tl {
namespace {

void expect_same_on_all_threads(const std::string& program) {
  const Transcript want = run_text("tasks.tl", program, "cpu", 1);
  EXPECT_EQ(want.problems, "");
  EXPECT_NE(want.output, "");
  for (const int threads : {2, 3, 5, 16}) {
    const Transcript got = run_text("tasks.tl", program, "cpu", threads);
    EXPECT_EQ(got.output + got.problems, want.output) << threads << " threads";
  }
}

TEST(Tasks, ShareAWeight) {
  expect_same_on_all_threads(R"(
let w = randn([64, 64])
let pending = w @ w
fn step(i) {
    let x = randn([4, 64])
    for k in range(20) { x = softmax((x @ w) + pending[i * 4:i * 4 + 4]) }
    print("task", i, checksum(x))
    return x
}
let all = par_map(range(12), step)
print(checksum(concat(all)), checksum(all[3] @ w))
)");
}

TEST(Tasks, ShareAModelAndItsTokenizer) {
  expect_same_on_all_threads(R"(
import "std/llama.tl"
let model = load_model("tests/data/tiny-llama-q8_0.gguf")
let lm = llama(model)
fn answer(seed) {
    rand_seed(seed)
    let cache = new_cache(lm, 32)
    let logits = prefill(lm, [1, 2, seed + 3], cache)
    let ids = []
    for i in range(6) {
        let id = item(sample(logits[-1], 0.8))
        ids.push(id)
        logits = to_logits(lm, forward(lm, [id], cache))
    }
    return (ids, model.tokenizer.decode(ids))
}
for a in par_map(range(6), answer) { print(a) }
)");
}

// Forks of forks on several threads, of rows that share pages, behind truncated ones and in several
// sequences.
TEST(Tasks, ForkACacheWhosePagesTheyShare) {
  expect_same_on_all_threads(R"(
let cache = kv_cache(1, 30)
cache.append(0, randn([25, 700]), randn([25, 700]))
let several = kv_cache(1, sequences: 3)
several.append(0, randn([3, 4, 50]), randn([3, 4, 50]), [4, 1, 2])
fn grow(cache, several, depth) {
    for k in range(4) {
        cache.append(0, randn([1, 700]), randn([1, 700]))
        several.append(0, randn([3, 1, 50]), randn([3, 1, 50]))
    }
    let sums = [checksum(cache.k(0)), checksum(cache.v(0)), checksum(several.k(0))]
    if depth == 0 { return sums }
    cache.truncate(cache.len() - 6)
    several.truncate(1, sequence: 0)
    let more = range(2).map(|i| spawn(grow, cache, several, depth - 1))
    for k in range(9) { cache.append(0, randn([1, 700]), randn([1, 700])) }
    for t in more { sums.extend(t.join()) }
    sums.push(checksum(cache.k(0)))
    return sums
}
let tasks = range(3).map(|i| spawn(grow, cache, several, 2))
for k in range(10) { cache.append(0, randn([1, 700]), randn([1, 700])) }
for t in tasks { print(t.join()) }
print(checksum(cache.k(0)), checksum(several.k(0)))
)");
}

TEST(Tasks, ForkACache) {
  expect_same_on_all_threads(R"(
let cache = kv_cache(1, 64)
cache.append(0, randn([8, 16]), randn([8, 16]))
fn grow(i) {
    for k in range(8) { cache.append(0, randn([1, 16]), randn([1, 16])) }
    return (cache.len(), checksum(cache.k(0)), checksum(cache.v(0)))
}
let tasks = range(6).map(|i| spawn(grow, i))
for k in range(4) { cache.append(0, randn([1, 16]), randn([1, 16])) }
for t in tasks { print(t.join()) }
print(cache.len(), checksum(cache.k(0)))
)");
}

TEST(Tasks, ScalarsListsAndTextRunOnTheirOwn) {
  expect_same_on_all_threads(R"(
let words = ["alpha", "beta", "gamma"]
fn work(n) {
    let text = "start"
    let total = 0
    for i in range(2000) {
        total = total + i % (n + 1)
        if i % 500 == 0 { text = "{text} {words[i % 3]} {total}" }
    }
    return "{n}: {text.upper()}"
}
for line in par_map(range(20), work) { print(line) }
)");
}

TEST(Tasks, AFailureStopsTheOthers) {
  const Transcript got = run_text("tasks.tl", R"(
fn endless() { loop { let x = 1 } }
let others = range(5).map(|i| spawn(endless))
spawn(|| { let inner = spawn(endless); inner.join() })
print(par_map([1, 0], |x| 1 / x))
)",
                                  "cpu", 16);
  EXPECT_EQ(got.problems, "error 5:27: division by zero\n");
}

}  // namespace
}  // namespace tl
