// Functions that are replayed instead of interpreted (tl/interp/tracer.h): whatever a program does, it shows
// and fails as it does when every call is interpreted. Here even small functions are replayed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "tests/lang/run_text.h"
#include "tl/base/read_file.h"

namespace tl {
namespace {

namespace fs = std::filesystem;

RunSettings interpreted(RunSettings s = {}) {
  s.exec.replay = false;
  return s;
}

RunSettings replayed(const std::string& device = "cpu") {
  RunSettings s{.device = device};
  s.exec.fewest_traced_nodes = 1;
  return s;
}

struct Setting {
  const char* name;
  RunSettings settings;
};

std::vector<Setting> all_settings() {
  std::vector<Setting> all{{"replayed", replayed()}, {"on the reference", replayed("reference")}};
  for (const int threads : {1, 5}) {
    all.push_back({"with other threads", replayed()});
    all.back().settings.threads = threads;
  }
  all.push_back({"shuffled", replayed()});
  all.back().settings.exec.shuffle = 7;
  all.push_back({"one command a batch", replayed()});
  all.back().settings.exec.commands_per_batch = 1;
  all.push_back({"not fused", replayed()});
  all.back().settings.exec.fuse = false;
  all.push_back({"validated", replayed()});
  all.back().settings.validate = true;
  all.push_back({"eager", replayed()});
  all.back().settings.exec.eager = true;
  if (std::getenv("TL_SANITIZED") != nullptr) return {all[0], all[3]};  // each takes ten times as long there
  return all;
}

// How many calls were replayed.
u64 expect_same(const std::string& path, const std::string& text) {
  u64 replays = 0;
  for (const Setting& s : all_settings()) {
    const Transcript want = run_text(path, text, interpreted(s.settings));
    const Transcript got = run_text(path, text, s.settings);
    EXPECT_EQ(got.output, want.output) << path << " " << s.name;
    EXPECT_EQ(got.problems, want.problems) << path << " " << s.name;
    replays = std::max(replays, got.replays);
  }
  return replays;
}

void expect_same(const std::string& text, u64 at_least = 1) {
  EXPECT_EQ(run_text("test.tl", text, interpreted()).problems, "");
  EXPECT_GE(expect_same("test.tl", text), at_least);
}

// A program that ends with an error with this in it.
void expect_same_failure(const std::string& text, const std::string& part, u64 at_least = 1) {
  EXPECT_NE(run_text("test.tl", text, interpreted()).problems.find(part), std::string::npos) << part;
  EXPECT_GE(expect_same("test.tl", text), at_least);
}

std::vector<std::string> programs() {
  std::vector<std::string> out;
  const fs::path share = TL_SHARE_DIR;
  for (const fs::path& folder : {fs::path(TL_LANG_TESTS), share / "examples"}) {
    if (!fs::exists(folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      const bool is_part = entry.path().filename().string().starts_with("_");  // imported by others
      if (entry.path().extension() == ".tl" && !is_part)
        out.push_back(fs::relative(entry.path(), share).string());
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

class Program : public testing::TestWithParam<std::string> {};

TEST_P(Program, IsTheSameReplayed) {
  const std::string path = std::string(TL_SHARE_DIR) + "/" + GetParam();
  expect_same(path, read_whole_file(path).value());
}

INSTANTIATE_TEST_SUITE_P(Replay, Program, testing::ValuesIn(programs()), [](const auto& info) {
  std::string name = info.param;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
});

// ---- ints -------------------------------------------------------------------------------------------------

TEST(Replay, IntThatDoesNotFitTheTensorItMeetsIsAnError) {
  expect_same_failure(R"(
fn f(x, n) { x + n * 2 }
let x = i8::ones([3])
for n in [1, 2, 3, 40, 64, 5] { print(f(x, n)) }
)",
                      "does not fit in int8");
}

TEST(Replay, ListOfIntsThatDoNotFitTheTensorTheyMeetIsAnError) {
  expect_same_failure(R"(
fn f(x, n) { add(x, [n, 2]) }
let x = i8::ones([2])
for n in [1, 2, 3, 40, 200, 5] { print(f(x, n)) }
)",
                      "does not fit in int8");
}

TEST(Replay, IntThatNoFloatIsExactlyIsAnErrorAsAFloatAttribute) {
  expect_same_failure(R"(
fn f(x, n) { temperature(x * 2.0, n) }
for n in [1, 2, 3, 4, 9007199254740993, 5] { print(f([1.0, 5.0], n)) }
)",
                      "no float is exactly");
}

TEST(Replay, IntsAreFollowedWhereverTheyGo) {
  expect_same(R"(
fn index(x, i) { x[i] * 2.0 + x[-1] }
fn bounds(x, a, b) { x[a:b] * 2.0 }
fn text(x, n) { (x * 2.0, "n is {n}", str(n + 1)) }
fn branch(x, n) { if n % 3 == 0 { x + n } else if n > 4 { x * n } else { x - n } }
fn count(x, n) {
    let y = x
    for i in range(n) { y = y * 1.5 + i }
    y
}
fn divided(x, n) { x * (n / 2) + n % 2 }
fn made_float(x, n) { x * float(n) + n ** 2 }
fn shaped(x, n) { sum(x.reshape([n, -1]), 0) + zeros([numel(x) / n]) }
fn listed(x, n) { x + [n, n + 1, 3, 4, 5, n * n] }
fn nothing(x, n) { [x * 1.0, n, -n, [n, [n + 1]], (n, 2)] }
fn one(n) { tensor(n) * 2 + tensor([n, 1]) }
fn scalar(x, n) { x + tensor(n, float32) }
fn compare(x, n) { where(x > n, x, -x) }
fn shape_of(x, n) { let s = shape(x); s[0] = n; zeros(s) + 1.0 }
let x = arange(6) * 1.0
for n in [1, 2, 3, 6, 2, 1, 3, 6] {
    print(index(x, n - 1), bounds(x, n - 1, n + 2), text(x, n), branch(x, n), count(x, n), divided(x, n))
    print(made_float(x, n), shaped(x, n), listed(x, n), nothing(x, n), one(n), scalar(x, n), compare(x, n))
    print(shape_of(x, n))
}
)",
              20);
}

TEST(Replay, IntsThatOverflowAreErrors) {
  expect_same_failure(R"(
fn f(x, n) { x * (n * 4611686018427387904) + n }
for n in [1, 0, 1, 0, 1, 4] { print(f([1, 2], n)) }
)",
                      "integer overflow", 0);
}

TEST(Replay, RankThatASizeDecides) {
  expect_same(R"(
fn f(x) {
    let y = squeeze(x * 2.0)
    (y, rank(y), shape(y), y == 4.0)
}
print(f(ones([2, 3])), f(ones([2, 3])), f(ones([3, 2])), f(ones([1, 3])), f(ones([3, 1])), f(ones([1, 1])))
)",
              0);
}

TEST(Replay, CastOfOneElementIsANumber) {
  expect_same(R"(
fn f(x) { (x * 2.0) as float }
fn g(x) { (x * 2.0) as int }
for n in [3, 3, 4, 1, 2] { print(f(ones([n]))) print(g(ones([n]))) }
)",
              0);
}

TEST(Replay, TensorsOfIntsThatNoOpReads) {
  expect_same(R"(
fn f(x, n) { let unused = [n, 1]; (x * 2.0, [n, n + 1], unused) }
fn g(x, n) { let unused = [n, 1]; x * 2.0 }
fn h(x, n) { let unused = tensor([n, 1, n]); (tensor([n, 2]), x + 1.0) }
for n in range(5) { print(f(ones([2]), n), g(ones([2]), n), h(ones([2]), n)) }
)");
}

TEST(Replay, UnusedTensorOfIntsThatDoNotFitIsAnError) {
  expect_same_failure(R"(
fn g(x, n) { let unused = tensor([n, 1], int8); x * 2.0 }
for n in range(5) { print(g(ones([2]), n * 40)) }
)",
                      "does not fit in int8", 0);
}

// ---- objects ----------------------------------------------------------------------------------------------

TEST(Replay, FunctionInAFieldIsTheOneOfThisCall) {
  expect_same(R"(
struct Layer { act: any, w: any }
fn f(layer, x) { layer.act(x * layer.w) + 1.0 }
fn g(x) { x * 100.0 }
for i in range(3) {
    print(f(Layer { act: relu, w: 2.0 }, [-1.0, 1.0]))
    print(f(Layer { act: g, w: 2.0 }, [-1.0, 1.0]))
    print(f(Layer { act: |x| x - 5.0, w: 2.0 }, [-1.0, 1.0]))
}
)",
              0);
}

TEST(Replay, ListOfTheCallersWithinAListOfTheFunctions) {
  expect_same(R"(
fn f(x, a) { matmul(x, [a, [1.0, 2.0]]) + x }
fn g(x, a) { x @ [a, [1, 2]] }
let list = [1.0, 2.0].to_list()
let ints = [1, 2].to_list()
for i in range(6) {
    print(f(ones([2, 2]), list), g(ones([2, 2]), ints))
    list[1] += 1.0
    ints[0] += i
}
)",
              0);
}

TEST(Replay, ArgumentsThatAreTheSameObject) {
  expect_same(R"(
struct S { a: any, b: any }
fn f(x, y) { x * 2.0 + y }
fn g(a, b) { a[0] * 2.0 + b[0] * b[1] }
fn h(s) { (s.a * 2.0 + s.b, s) }
let x = [1.0, 2.0] * 1.0
let y = [3.0, 4.0] * 1.0
let p = [x, y]
let q = [y, x]
for i in range(3) {
    print(f(x, x), f(x, y), f(y, x), f(y, y), g(p, p), g(p, q), g(q, p), g([x, x], p))
    print(h(S { a: x, b: x }), h(S { a: x, b: y }))
}
for i in range(3) { print(f(x, y), g(p, q), h(S { a: x, b: y })) }
for i in range(3) { print(f(y, y), g(q, q), h(S { a: y, b: y })) }
)",
              8);
}

TEST(Replay, ResultsThatAreArgumentsAreTheSameObjects) {
  expect_same(R"(
fn f(x, list) { (x, list, x * 2.0, [list, 3]) }
let x = [1.0, 2.0]
let list = [1, 2]
for i in range(5) {
    let (a, l, b, both) = f(x, list)
    l.push(i)
    both[0].push(10 * i)
    print(a, l, b, both, x, list)
}
)");
}

TEST(Replay, ResultsThatTheCallerChanges) {
  expect_same(R"(
struct S { x: any, items: any }
fn f(x, n) { let c = [1.0, 2.0, 3.0] * 1.0; let s = S { x: x + c, items: [n, c, c[0:2]] }; s }
fn g(x) { let w = [1.0, 2.0, 3.0]; (w, x + w) }
for i in range(5) {
    let s = f([1.0, 1.0, 1.0], i)
    s.items[1] = 100.0
    s.items.push(i)
    s.x = s.x + 50.0
    let (w, y) = g([1.0, 1.0, 1.0])
    print(s, w, y)
}
)");
}

TEST(Replay, GlobalsCellsFieldsAndListsThatChangeBetweenCalls) {
  expect_same(R"(
let scale = 2.0
let steps = 2
let table = [[1.0, 2.0], [3.0, 4.0], "x"]
struct Config { scale: float, n: int, names: any }
let config = Config { scale: 1.5, n: 1, names: ["a", "b"] }
fn f(x) { let y = x * scale; for i in range(steps) { y = y + i }; y + table[0] * config.scale + config.n }
fn g(x, act) { act(x) * 2.0 + len(config.names) }
fn make() { let k = 1.0; (|x| x * k, || { k += 1.0 }) }
let (act, more) = make()
for i in range(8) {
    print(f([1.0, 2.0]), g([1.0, 2.0], act))
    if i == 2 { scale = 3.0 }
    if i == 3 { steps = 3 }
    if i == 4 { table[0] = [7.0, 8.0] }
    if i == 5 { config.scale = 0.5 }
    if i == 6 { more() ; config.names.push("c") }
}
)",
              0);
}

TEST(Replay, ListsThatGrowBetweenCalls) {
  expect_same(R"(
fn total(list) { let t = zeros([2]); for x in list { t = t + x }; t }
fn both(list) { concat(list, 0) * 2.0 }
fn last(list) { list[-1] * 2.0 + list[len(list) - 1] }
fn piled(list) { stack(list) * 1.0 }
let list = [[1.0, 2.0] * 1.0]
for i in range(6) {
    print(total(list), both(list), last(list), piled(list))
    list.push(list[0] + i)
}
for i in range(3) { print(total(list), both(list), last(list), piled(list)) }
)");
}

TEST(Replay, DefaultsAndNames) {
  expect_same(R"(
fn f(x, scale = 2.0, n = 1) { x * scale + n }
for i in range(4) {
    print(f([1.0]), f([1.0], 3.0), f([1.0], n: i), f(n: 2, x: [1.0] * 1.0), f([1.0], 1.5, i))
}
)");
}

TEST(Replay, TensorsOfOtherTypesAndLayouts) {
  expect_same(R"(
fn f(x) { let y = x * 2 + 1; (y, sum(y), x.reshape([-1]), shape(x)) }
fn g(x, y) { x @ y + 1.0 }
let x = arange(12).reshape([3, 4])
for k in range(3) {
    for dtype in [int64, float32, float16, int32, bfloat16] {
        let t = cast(x, dtype)
        print(f(t), f(t.transpose()), f(t[1:, ::2]), f(t[0]), f(t[1, 2]), f(t[:, 4:]), f(t[::-1]))
    }
    print(f([1, 2]), f([1.5, 2.5]), f(3), f(2.5), f(tensor(3)))
    let w = cast(x, float32)
    print(g(w, w.transpose()), g(w.transpose(), w), g(w[:, 1:3], w[:2, :]), g(w[:0], w.transpose()))
}
)");
}

TEST(Replay, Methods) {
  expect_same(R"(
struct Net { w: any, b: any, n: int }
impl Net {
    fn new(n) { Net { w: ones([n, n]), b: zeros([n]), n: n } }
    fn apply(self, x, scale = 1.0) { relu(x @ self.w + self.b) * scale + self.n }
    fn twice(self, x) { self.apply(self.apply(x)) }
}
let a = Net::new(2)
let b = Net::new(2)
b.b = [5.0, 6.0]
for i in range(5) {
    print(a.apply([1.0, -2.0]), b.apply([1.0, 2.0], scale: 2.0), a.twice([i * 1.0, 1.0]), b.twice([1.0, 1.0]))
    a.b = a.b + 1.0
    if i == 3 { a.n = 7 }
}
)");
}

TEST(Replay, RecursionAndFunctionsAsValues) {
  expect_same(R"(
fn power(x, n) { if n == 0 { ones(shape(x)) } else { power(x, n - 1) * x } }
fn twice(f, x) { f(f(x)) * 1.0 }
fn double(x) { x * 2.0 }
fn many(xs) { map(xs, |x| x * 2.0) }
fn folded(xs, k) { fold(xs, zeros([2]), |a, x| a * k + x) }
fn kept(xs, n) { filter(xs, |i| i > n).map(|i| ones([i]) * i) }
fn made(n) { |x| x + n }
let add1 = made(1)
let add2 = made(2)
for i in range(6) {
    print(power([1.0, 2.0], i % 3 + 1), twice(double, [1.0]), twice(add1, [1.0]), twice(add2, [1.0]))
    print(twice(made(i), [1.0]), twice(exp, [0.5]), many([[1.0, 2.0] * i, [3.0]]))
    print(folded([[1.0, 2.0] * 1.0, [2.0, i] * 1.0], i), kept([1, 2, 3], i % 3), map([1, 2], double))
}
)");
}

TEST(Replay, DeepRecursionThatPrints) {
  expect_same(R"(
fn down(x, n) {
    if n == 0 { print("bottom", x); return x }
    down(x * 1.0, n - 1)
}
down([1.0], 2)
down([1.0], 12000)
fn sum_to(n) { if n == 0 { 0 } else { if n % 1000 == 0 { write("."); 1 }; n + sum_to(n - 1) } }
print(sum_to(10), sum_to(15000))
)",
              0);
}

TEST(Replay, WhatIsPrintedIsPrintedByEveryCall) {
  expect_same(R"(
fn f(x, n) { print("doubled", n); x * n + 1.0 }
for i in range(6) { print(f([1.0, 2.0], 2)) }
)",
              0);
}

TEST(Replay, EndlessRecursionIsTheSameError) {
  expect_same_failure(R"(
fn f(x, n) { print(n % 2 == 3); f(x, n + 1) }
f([1.0], 0)
)",
                      "nested more than", 0);
}

// ---- random numbers ---------------------------------------------------------------------------------------

TEST(Replay, RandomNumbersAreDrawnAlike) {
  expect_same_failure(R"(
fn f(x) { x + randn([3]) * rand([3]) }
fn g(x, s) { x + randn([3], seed: s) }
fn unused(x) { let y = randn([4]); x * 2.0 }
fn twice(x) { (dropout_like(x), randn([2])) }
fn dropout_like(x) { where(rand(shape(x)) < 0.5, x, 0.0) }
fn both(x, n) { if n > 2 { x + rand([3]) } else { x + randn([3]) } }
fn drawn(x, k) { sample(x * 2.0, 0.7, top_k: k) }
fn failing(x, n) { let r = rand([3]); r + zeros([n]) }
for i in range(6) {
    print(f([1.0, 2.0, 3.0]), g([1.0, 2.0, 3.0], i), unused([1.0]), twice([1.0, 2.0]), both([1.0, 1.0, 1.0], i), drawn([1.0, 2.0, 3.0], i))
    if i == 3 { rand_seed(9) }
    if i == 4 { print(rand([2])) }
}
for n in [3, 3, 3, 1, 3, 2] { print(failing([1.0], n)) }
)",
                      "");
}

// ---- caches -----------------------------------------------------------------------------------------------

TEST(Replay, RandomNumbersThatABuiltinDrawsForAnother) {
  expect_same(R"(
fn f(x) { let drawn = range(1, 3).map(rand); x + drawn[0] + drawn[1] }
for i in range(5) { print(f([1.0, 2.0])) }
)",
              0);
}

TEST(Replay, CachesThatGrowAreTruncatedClearedCopiedAndFull) {
  expect_same(R"(
fn step(cache, x) {
    cache.append(0, x, x * 2.0)
    cache.append(1, x + 1.0, x * 3.0)
    let n = cache.length()
    sum(cache.k(0), 0) + sum(cache.v(1), 0) * n + sum(cache.k(1), 0)
}
let c = kv_cache(2, 8)
for i in range(12) { print(step(c, [[1.0 * i, 2.0]])) }
c.truncate(5)
for i in range(4) { print(step(c, [[3.0, 2.0 * i]])) }
let fork = c.copy()
for i in range(4) { print(step(c, [[3.0, 2.0 * i]]), step(fork, [[1.0, 1.0], [2.0, 2.0]])) }
c.truncate(c.length() - 3)
print(step(c, [[1.0, 1.0]]), step(fork, [[9.0, 9.0]]), c.k(0), fork.k(0), c.v(1), fork.v(1))
c.clear()
for i in range(4) { print(step(c, [[1.0 * i, 2.0]])) }
let keys = c.k(0)
c.truncate(2)
for i in range(3) { print(step(c, [[8.0, i * 1.0]]), keys) }
c.set(0, [[1.0, 1.0]], [[2.0, 2.0]])
for i in range(3) { print(step(c, [[1.0 * i, 2.0]]), c.length()) }
)",
              10);
}

TEST(Replay, CachesOfOtherTypesKeepTheirRows) {
  expect_same(R"(
fn step(cache, x) {
    cache.append(0, x, x)
    sum(cast(cache.k(0), float32)) + sum(cast(cache.v(0), float32))
}
fn filled(dtype, x) { let c = kv_cache(1, 8, dtype); c.append(0, x, x); c }
let a = filled(float32, [[1.0, 2.0]])
let b = filled(float16, [[1.0, 2.0]])
let d = kv_cache(1, 8)
d.append(0, [[[1.0], [2.0]]], [[[1.0], [2.0]]])
for i in range(4) {
    print(step(a, [[1.0, 2.0]]))
    if i > 1 { print(step(b, [[1.0, 3.0]]), b.length(), b.k(0)) }
    if i > 1 { print(step(d, [[[1.0], [2.0]]]), d.length(), d.v(0)) }
    print(a.length())
}
)");
}

TEST(Replay, ACacheThatConvertsAndOneThatDoesNot) {
  expect_same_failure(R"(
fn step(c, x) { c.append(0, x, x); sum(c.k(0)) * 1.0 }
fn filled(c) { c.append(0, ones([1, 2]), ones([1, 2])); c }
let converts = filled(kv_cache(1, 8, float32))
let plain = filled(kv_cache(1, 8))
let x = cast(ones([1, 2]) * 0.3, float16)
for i in range(4) { print(step(converts, x), dtype(converts.k(0))) }
print(step(plain, x), dtype(plain.k(0)))
)",
                      "");
}

TEST(Replay, TwoNamesOfOneCache) {
  expect_same(R"(
fn step(a, b, x) {
    a.append(0, x, x)
    b.append(0, x * 2.0, x)
    sum(a.k(0), 0) + sum(b.k(0), 0)
}
fn filled() { let c = kv_cache(1, 8); c.append(0, [[1.0, 2.0]], [[1.0, 2.0]]); c }
let a = filled()
let b = filled()
for i in range(4) { print(step(a, b, [[1.0, i * 1.0]]), step(b, b, [[1.0, 0.5]]), a.length(), b.length()) }
for i in range(4) { print(step(a, a, [[1.0, i * 1.0]]), step(b, a, [[1.0, 0.5]]), a.length(), b.length()) }
)",
              0);
}

TEST(Replay, WhatIsAskedAboutACache) {
  expect_same(R"(
fn length_of_copy(c, x) { let d = copy(c); x * len(d) }
fn empty(c, x) { if is_empty(c) { x * 1.0 } else { x * 2.0 } }
fn text(c, x) { (x * 2.0, "{c}", str(c)) }
fn items(s, x) { (x * 2.0, str(s)) }
let c = kv_cache(1, 8)
for i in range(6) {
    print(length_of_copy(c, [1.0]), empty(c, [1.0]), text(c, [1.0]), items([c, 1], [1.0]))
    if i > 2 { c.append(0, [[1.0]], [[1.0]]) }
}
)",
              0);
}

TEST(Replay, CachesInStructsAndLists) {
  expect_same(R"(
struct State { cache: any, pos: int, w: any }
fn step(s, x) {
    s.cache.append(0, x, x)
    let y = sum(s.cache.k(0) * s.w, 0) + s.cache.length()
    y
}
fn every(caches, x) {
    let y = x
    for c in caches { c.append(0, y, y); y = y + sum(c.v(0), 0) }
    y
}
fn filled() { let c = kv_cache(1, 8); c.append(0, [[1.0, 2.0]], [[1.0, 2.0]]); c }
let s = State { cache: filled(), pos: 0, w: [1.0, 2.0] }
let t = State { cache: filled(), pos: 0, w: [3.0, 2.0] }
let caches = [filled(), filled(), filled()]
for i in range(6) {
    print(step(s, [[1.0, i]]), step(t, [[2.0, i]]), every(caches, [[1.0, i]]))
    if i == 3 { s.cache = t.cache }
    if i == 4 { caches[1] = caches[0] }
}
)");
}

TEST(Replay, ModelsThatWriteTruncateAndFork) {
  expect_same(R"(
import "std/llama.tl"
let paths = ["f32", "q8_0", "bf16", "k"]
let models = paths.map(|p| llama(load_model("tests/data/tiny-llama-{p}.gguf")))
fn write_on(lm, cache, logits, n) {
    let ids = []
    for i in range(n) {
        let id = item(sample(logits[-1], 0.8))
        ids.push(id)
        logits = to_logits(lm, forward(lm, [id], cache))
    }
    (ids, checksum(logits))
}
for round in range(2) {
    for lm in models {
        let cache = new_cache(lm, 12)
        let logits = prefill(lm, [1, 2, 5], cache)
        print(write_on(lm, cache, logits, 6), cache.length())
        cache.truncate(5)
        let again = to_logits(lm, forward(lm, [7, 8], cache))
        let fork = cache.copy()
        print(write_on(lm, cache, again, 3), write_on(lm, fork, again, 3), cache.length())
        cache.truncate(4)
        print(write_on(lm, cache, again, 10), fork.length())
        cache.clear()
        print(write_on(lm, cache, prefill(lm, [3], cache), 4))
    }
}
)",
              50);
}

TEST(Replay, AWeightThatAGlobalHoldsToo) {
  expect_same(R"(
let model = load_model("tests/data/tiny-llama-f32.gguf")
let name = "blk.0.attn_norm.weight"
let bias = model.get_tensor(name)
fn f(x) { x * model.get_tensor(name) + bias }
let x = ones([shape(bias)[0]])
for i in range(8) {
    if i == 4 { bias = bias * 2.0 }
    print(checksum(f(x * i)))
}
)",
              4);
}

// ---- the rest of the language -----------------------------------------------------------------------------

TEST(Replay, DeclaredTypesAndNamedDims) {
  expect_same(R"(
fn f(x: float32[n, m], y: float32[m], k: int = 2) -> float32[n, m] { x * y + k }
fn g(x: float32[...], s: float) { x * s }
fn h(x: float32[n, n]) { x @ x }
for n in [2, 3, 3, 2, 4] {
    print(f(ones([n, 2]), ones([2])), f(ones([2, n]), ones([n]), n), g(ones([n]), n), h(ones([n, n])))
}
)");
  expect_same_failure(R"(
fn h(x: float32[n, n]) { x @ x.transpose() + 1.0 }
for n in [2, 3, 3, 2, 4] { print(h(ones([n, n]))) }
print(h(ones([2, 3])))
)",
                      "");
}

TEST(Replay, ControlFlowOfEveryKind) {
  expect_same(R"(
fn f(x, n) {
    match n { 0 => x * 1.0, 1 => x * 2.0, _ => x * n }
}
fn g(x, n) {
    let i = 0
    while i < n { x = x + i; i += 1; if i > 3 { break } }
    x * 1.0
}
fn h(x, n) { if n > 2 { return x * 3.0 }; for i in 0..n { if i == 1 { continue }; x = x + i }; x }
fn in_list(x, n, list) { if n in list { x * 2.0 } else { x * 3.0 } }
fn not_int(x, n) { if !(n == 2) && n >= 1 || n < 0 { x - 1.0 } else { x - 2.0 } }
fn nothing(x, n) { let y = x * n }
let x = ones([2])
let list = [1, 2]
for n in [0, 1, 2, 5, 3, 1, 0, 2, 5, -1] {
    print(f(x, n), g(x, n), h(x, n), in_list(x, n, list), not_int(x, n), nothing(x, n))
    if n == 3 { list.push(5) }
}
)");
}

TEST(Replay, ListsTextsAndNumbersThatTheFunctionMakes) {
  expect_same(R"(
fn lists(x, n) {
    let a = [n, 1, n * 2].to_list()
    a.push(n + 5)
    a.extend([n, 3].to_list())
    a.insert(1, n - 1)
    let last = a.pop()
    let first = a.remove(0)
    (x * last + first, a, len(a), sorted(a), a[1] + a[-1], max(a), min(n, 3), abs(n - 4), reversed(a), zip(a, a))
}
fn nested(x, n) { let a = [[n, 2].to_list(), [3, n].to_list()]; a[0][1] = n * 3; (x * a[0][1], a) }
fn texts(x, n, name) { (x * 1.0, name + str(n), "{name}: {n + 1:>4}", len(name), name * n, n == 2, float(n) / 2) }
fn ranges(x, n) { let y = x; for i in range(1, n, 2) { y = y + i }; (y, len(range(n)), range(n)) }
fn repeated(x, n) { let a = [n; 3]; let b = [0; n]; (x * a[0], a, len(b)) }
fn shared(x, n) { let a = [n]; (x * 1.0, [a, a]) }
fn same(x, list) { list }
fn through(x, list) { let l = same(x, list); (x * 2.0 + l[0], l) }
fn mutates(x, list) { list.push(len(list)); x * 2.0 + len(list) }
fn types(x, n, v) { (x * 1.0, type_of(v), dtype(x), rank(x), v == n) }
let x = ones([2])
let list = [7, 8].to_list()
for n in [1, 2, 3, 3, 2, 1, 5] {
    print(lists(x, n), nested(x, n), texts(x, n, "ab"), texts(x, 2, "n{n}"), ranges(x, n), repeated(x, n))
    let (y, both) = shared(x, n)
    both[0].push(1)
    print(y, both, through(x, list), mutates(x, list))
    let (z, l) = through(x, list)
    l[0] = l[0] + n
    print(list, types(x, n, n), types(x, n, 2.0), types(x, n, true), types(x, n, "t"), types(x, n, x))
}
)");
}

TEST(Replay, ClosuresCellsAndFunctionsInLists) {
  expect_same(R"(
fn apply_all(fs, x) { for f in fs { x = f(x) * 1.0 }; x }
fn counted() { let n = 0; (|x| { n += 1; x * n }, || n) }
fn scaled(k) { |x| x * k }
fn inner(x, n) { let g = |y| y + n; let h = |y| g(y) * n; h(x) + g(x) }
fn picks(fs, x, i) { fs[i](x) + 1.0 }
let (count, asked) = counted()
let fs = [relu, scaled(2.0), |x| x + 1.0]
let x = ones([2])
for i in range(6) {
    print(apply_all(fs, x), apply_all([count], x), asked(), inner(x, i), picks(fs, x, i % 3))
    if i == 3 { fs[1] = scaled(5.0) }
}
)");
}

TEST(Replay, TensorsWithinListsAndStructs) {
  expect_same(R"(
struct Block { w: any, parts: any }
fn f(blocks, x) { for b in blocks { x = relu(x @ b.w) + b.parts[0] * b.parts[1] }; x }
fn make(n, k) { let l = []; for i in range(k) { l.push(Block { w: ones([n, n]) * (i + 1), parts: [ones([n]), i] }) }; l }
fn rebuild(b, x) { Block { w: b.w + x, parts: [b.parts[1], x] } }
let blocks = make(2, 2)
for i in range(7) {
    print(f(blocks, ones([2])), f(make(3, 2), ones([3])), rebuild(blocks[0], ones([2, 2]) * i))
    if i == 1 { blocks[0].w = blocks[1].w }
    if i == 2 { blocks[1].parts[1] = 9 }
    if i == 3 { blocks.push(blocks[0]) }
    if i == 4 { blocks = make(2, 3) }
    if i == 5 { blocks[2] = rebuild(blocks[1], ones([2, 2])); blocks[2].parts = [ones([2]), 2] }
}
)");
}

// ---- failures ---------------------------------------------------------------------------------------------

TEST(Replay, OneCallThatFailsOnItsData) {
  expect_same_failure(R"(
fn f(x, i) { gather_rows(x * 2.0, i) }
fn gather_rows(x, i) { x[i] + 1.0 }
let x = ones([3, 2])
let bad = f(x, [0, 1])
for k in [0, 1, 2, 7] { bad = f(x, tensor([0, k])); if k < 3 { print(bad) } }
print(f(x, tensor([1, 1])))
print(sum(bad))
)",
                      "out of range", 0);
}

TEST(Replay, FailureNobodyLooksAtInsideOfAFunction) {
  expect_same(R"(
fn f(x, i) { let unused = embedding(x, i) * 2.0; x * 2.0 }
fn g(x, i) { (embedding(x, i) * 2.0, x * 2.0) }
let x = ones([3, 2])
for k in [0, 1, 2, 7, 1] { print(f(x, tensor([k]))) }
for k in [0, 1, 2, 7, 1] { let (a, b) = g(x, tensor([k])); print(b) }
)");
}

TEST(Replay, FirstOfTwoFailures) {
  expect_same_failure(R"(
fn f(x, i) { embedding(x, i) * 2.0 }
fn h(a, b) { a + b * 2.0 }
let x = ones([3, 2])
let y = ones([4, 2])
for k in [0, 1, 2] { print(f(x, tensor([k])), h(f(x, tensor([k])), f(y, tensor([1])))) }
let first = embedding(y, tensor([9])) + 1.0
let second = f(x, tensor([8]))
let third = f(y, tensor([7]))
print(h(first, second) + h(third, second))
)",
                      "id 9");
}

TEST(Replay, FailedTensorThatIsPassedInAndNobodyLooksAtWhatBecomesOfIt) {
  expect_same(R"(
fn f(x) { x * 2.0 + 1.0 }
let x = ones([3, 2])
for k in [0, 1, 2, 9, 1] { let y = f(embedding(x, tensor([k]))); if k < 3 { print(y) } }
)");
}

TEST(Replay, FailedTensorThatIsPassedIn) {
  expect_same_failure(R"(
fn f(x) { x * 2.0 + 1.0 }
let x = ones([3, 2])
for k in [0, 1, 2] { print(f(embedding(x, tensor([k])))) }
let bad = embedding(x, tensor([9]))
let y = f(bad)
print(f(x))
print(f(y))
)",
                      "id 9");
}

TEST(Replay, ShapesThatDoNotFitInALaterCall) {
  expect_same_failure(R"(
fn f(a, b) { relu(a @ b) + 1.0 }
for n in [2, 3, 4, 5] { print(f(ones([2, n]), ones([n, 2]))) }
print(f(ones([2, 3]), ones([4, 2])))
)",
                      "");
}

TEST(Replay, MemoryThatIsNotEnoughInALaterCall) {
  const std::string text = R"(
fn f(x) { let y = exp(x * 0.5); (y + 1.0, y - 1.0) }
let x = ones([1000])
for n in [1000, 2000, 1000, 500000, 1000] {
    let (a, b) = f(ones([n]))
    print(checksum(a), checksum(b))
}
)";
  RunSettings limited = replayed();
  limited.memory_limit_bytes = i64{1} << 20;
  const Transcript want = run_text("test.tl", text, interpreted(limited));
  const Transcript got = run_text("test.tl", text, limited);
  EXPECT_NE(want.problems.find("memory limit"), std::string::npos) << want.problems;
  EXPECT_EQ(got.output, want.output);
  EXPECT_NE(got.problems.find("memory limit"), std::string::npos) << got.problems;
}

TEST(Replay, MemoryStaysWhatItWas) {
  const std::string text = R"(
struct Net { w: any, cache: any }
impl Net {
    fn step(self, x, k) {
        self.cache.append(0, x[0:1], x[0:1])
        let y = relu(x @ self.w + k) * 0.1 + sum(self.cache.k(0), 0) * 0.001
        y
    }
}
let x = ones([4, 32])
fn fresh() {
    let net = Net { w: ones([32, 32]) * 0.01, cache: kv_cache(1, 16) }
    net.cache.append(0, x[0:1], x[0:1])
    net
}
let net = fresh()
let before = 0
for i in range(2000) {
    if i % 100 == 0 { net = fresh() }
    x = net.step(x, i % 3)
    if net.cache.length() > 12 { net.cache.truncate(2) }
    if i == 500 { print(checksum(x)); before = memory_in_use() }
}
print(checksum(x))
)";
  expect_same(text, 1500);
  const std::string asking = text + "print(memory_in_use() < before * 2 + 200000)\n";
  EXPECT_TRUE(run_text("test.tl", asking, replayed()).output.ends_with("true\n"));
}

TEST(Replay, PanicsAndAsserts) {
  expect_same_failure(R"(
fn f(x, n) { if n > 4 { panic("n is", n) }; x * n }
for n in range(9) { print(f(ones([2]), n)) }
)",
                      "n is");
}

TEST(Replay, MoreVariantsThanAreKept) {
  expect_same(R"(
fn f(x, n) { let y = x; for i in range(n) { y = y * 2.0 + i }; y }
for k in range(3) { for n in range(14) { print(f([1.0, 2.0], n)) } }
)");
}

TEST(Replay, InsideOfTasks) {
  expect_same(R"(
let w = ones([3, 3])
fn f(x, n) { relu(x @ w) * n + randn([3]) }
fn work(k) { let t = []; for i in range(5) { t.push(f(ones([3]) * k, i)) }; t }
print(par_map(range(4), work))
let tasks = []
for k in range(3) { tasks.push(spawn(work, k)) }
for t in tasks { print(t.join()) }
print(work(1))
)");
}

TEST(Replay, VeryLargeTraces) {
  expect_same(R"(
fn f(x, n) { let y = x; for i in range(3000) { y = y * 0.5 + n }; y }
fn g(x, n) { let y = 0; for i in range(5000) { y = y + n }; x * y }
for n in range(4) { print(f([1.0], n), g([1.0], n)) }
)");
}

TEST(Replay, EinsumConcatStackAndSlicesOfOtherSizes) {
  expect_same(R"(
fn f(a, b) { einsum("ij,kj->ik", a, b) * 2.0 }
fn g(a, b, axis) { concat(a, b, axis) + 1.0 }
fn h(a, n) { stack([a, a * 2.0], 0)[:, :n] }
fn s(x, a) { x[a:, 1:] + x[:1, -1:] }
for n in [2, 3, 3, 5, 1, 2] {
    let a = (arange(2 * n) * 1.0).reshape([2, n])
    print(f(a, a[:1]), g(a, a, 0), g(a, a, 1), h(a[0], 1), s(a, n % 2))
}
)");
}

TEST(Replay, EinsumOfMatricesIsReplayedAtEverySize) {
  expect_same(R"(
fn f(a, b) { einsum("hij,hkj->hik", a, b) * 2.0 + 1.0 }
for n in [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 12] {
    let a = (arange(6 * n) * 1.0).reshape([3, 2, n])
    print(f(a, a[:, :1]))
}
)",
              10);
}

TEST(Replay, EinsumOfSizesThatOnlyMatmulBroadcastsIsAnError) {
  expect_same_failure(R"(
fn f(a, b) { einsum("hij,hkj->hik", a, b) * 2.0 + 1.0 }
let a = (arange(24) * 1.0).reshape([3, 2, 4])
for n in [3, 3, 3, 1] { print(f(a, a[:n])) }
)",
                      "index 'h'");
}

TEST(Replay, AttentionWrittenOutOverAGrowingCache) {
  expect_same(R"(
fn attend(q, k, v, bias) {
    let t = shape(k)[0]
    let wide = [t, 2, 3, 8]
    let keys = reshape(broadcast_to(reshape(k, [t, 2, 1, 8]), wide), [t, 6, 8])
    let values = reshape(broadcast_to(reshape(v, [t, 2, 1, 8]), wide), [t, 6, 8])
    let weights = softmax(einsum("ihd,jhd->hij", q, keys) * 0.3 + bias)
    return reshape(einsum("hij,jhd->ihd", weights, values), [shape(q)[0], 48])
}
fn step(cache: KVCache, n: int) {
    let start = cache.length()
    let x = sin(arange(start, start + n) * 1.0)
    let kv = broadcast_to(reshape(x, [n, 1, 1]), [n, 2, 8]) + sin(arange(16) * 1.0).reshape([2, 8])
    cache.append(0, kv, kv * 0.5)
    let q = broadcast_to(reshape(x, [n, 1, 1]), [n, 6, 8]) - cos(arange(48) * 1.0).reshape([6, 8])
    let bias = where(causal_mask(n, start + n, start) > 0.5, 0.0, -1e30)
    return attend(q, cache.k(0), cache.v(0), bias)
}
let cache = kv_cache(1, 64)
for n in [4, 1, 1, 1, 1, 5, 1, 1, 9, 1, 1, 1] { print(sum(step(cache, n), -1)) }
)");
}

TEST(Replay, ListOfTheCallersTensorsAsTheFirstArgumentOfAnOp) {
  expect_same(R"(
fn f(xs, n) { softmax(xs) * 2.0 + n }
fn g(xs, n) { add(xs, 1.0) * (sum(xs) + n) }
let a = sin(arange(4) * 1.0); let b = cos(arange(4) * 1.0)
for i in range(6) {
    print(f([a, b], i), g([a, b], i))
    print(f([[a, b], [b, a], [a, a]], i))
    let xs = [a, b, a + i, b]
    print(f(xs, i), g(xs, i))
}
)",
              12);
}

}  // namespace
}  // namespace tl
