// Failure on purpose: programs run again and again with another point of the runtime failing each time. Each
// run gives the right output or an error that says where; none hangs, and what was there before is there
// afterwards.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/lang/run_text.h"
#include "tl/base/fail_point.h"

namespace tl {
namespace {

namespace fs = std::filesystem;

struct Case {
  const char* name;
  const char* text;  // FOLDER stands for a folder of the test's own
};

const Case kCases[] = {
    {"products", R"(
main {
    let x = randn([40, 32])
    for i in range(6) {
        x = tanh(x @ ones([32, 32]) * 0.01 + x)
        x = softmax(x[::2] , 1)
        x = concat([x, x], 0)
    }
    print(checksum(x), checksum(x.T), item(sum(x)))
})"},
    {"caches", R"(
main {
    let c = kv_cache(2, 64)
    for i in range(5) {
        c.append(0, randn([3, 2, 4]), randn([3, 2, 4]))
        if i == 2 { c.truncate(4) }
    }
    let fork = copy(c)
    fork.append(0, ones([1, 2, 4]), ones([1, 2, 4]))
    print(checksum(c.k(0)), checksum(fork.k(0)), len(c.k(0)))
})"},
    {"tasks", R"(
fn f(n) { item(sum(softmax((ones([n, n]) * n), 1) @ ones([n, 2]))) }
main {
    let t = spawn(f, 20)
    print(par_map([4, 8, 16], f), join(t))
})"},
    {"conversions", R"(
main {
    let w = randn([300, 300])
    let x = cast(w.T, float16)
    for i in range(3) { print(checksum(linear(ones([2, 300]), w.T)), checksum(x + 1.0)) }
    print(sort(w[0])[0:2], argmax(w[1]))
})"},
    {"rounds", R"(
main {
    let w = randn([20, 20])
    let (s, n) = repeat_until(|s| ([tanh(s[0] @ w), s[1] - 1], sum(s[1] - 1)), [randn([3, 20]), tensor([4])])
    let (rows, count) = counted_rows(s[0], s[0][:, 0] > 0.0)
    print(checksum(s[0]), n, checksum(rows), count, shape(s[0][s[0] > 0.0]), unique(s[1]))
})"},
    {"files", R"(
main {
    let x = randn([50, 3])
    save_npy(x, "FOLDER/x.npy")
    write_file("FOLDER/text.txt", "new and longer")
    let file = npy_writer("FOLDER/rows.npy")
    for i in range(4) { file.write_rows(x[i:i+2]) }
    file.close()
    print(checksum(load_npy("FOLDER/x.npy")), read_file("FOLDER/text.txt"), load_npy("FOLDER/rows.npy")[7])
})"},
};

std::string text_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

class FailingOnPurpose : public testing::TestWithParam<Case> {
 protected:
  FailingOnPurpose() {
    fs::create_directories(folder_);
    text_ = GetParam().text;
    for (size_t at; (at = text_.find("FOLDER")) != std::string::npos;) text_.replace(at, 6, folder_.string());
  }
  ~FailingOnPurpose() override {
    (void)set_fail_points("");
    fs::remove_all(folder_);
  }

  Transcript run(const std::string& points, const std::string& device = "cpu") {
    EXPECT_TRUE(set_fail_points(points).ok()) << points;
    Transcript out = run_text((folder_ / "program.tl").string(), text_, device);
    hits_ = fail_points_hit();
    (void)set_fail_points("");
    return out;
  }

  // True if something failed.
  bool check(const std::string& points, const Transcript& want, const std::string& device = "cpu") {
    const Transcript got = run(points, device);
    if (got.problems.empty()) {
      EXPECT_EQ(got.output, want.output) << points;
      return hits_ > 0;
    }
    EXPECT_GT(hits_, 0u) << points << " failed by itself: " << got.problems;
    const bool is_ours = got.problems.find("on purpose") != std::string::npos ||
                         got.problems.find("Input/output error") != std::string::npos;
    EXPECT_TRUE(is_ours) << points << ": " << got.problems;
    EXPECT_EQ(got.problems.find("error ?"), std::string::npos)
        << points << " names no line: " << got.problems;
    EXPECT_TRUE(want.output.starts_with(got.output)) << points << " printed\n" << got.output;
    return true;
  }

  // Every number of a kind of failure, the later ones in growing steps, until nothing fails any more.
  void check_all(const std::string& kind, const Transcript& want, const std::string& device = "cpu") {
    for (int n = 1; n < 5000; n += 1 + n / 12) {
      if (!check(kind + ":" + std::to_string(n), want, device)) return;
    }
  }

  const fs::path folder_ = fs::temp_directory_path() / ("tl_failure_" + std::to_string(getpid()));
  std::string text_;
  u64 hits_ = 0;
};

TEST_P(FailingOnPurpose, GivesTheRightAnswerOrAnErrorWithItsLine) {
  for (const char* device : {"cpu", "reference"}) {
    const Transcript want = run("", device);
    ASSERT_EQ(want.problems, "");
    for (const char* kind : {"command", "alloc", "map", "read", "write"}) check_all(kind, want, device);
    for (int seed = 0; seed < 10; ++seed) {
      const std::string at = "@" + std::to_string(seed);
      check("command:0.05" + at + ",alloc:0.02" + at, want, device);
    }
    const Transcript after = run("", device);
    EXPECT_EQ(after.problems + after.output, want.output) << "the process goes on as if nothing had been";
  }
}

INSTANTIATE_TEST_SUITE_P(Programs, FailingOnPurpose, testing::ValuesIn(kCases),
                         [](const auto& info) { return info.param.name; });

TEST(FailingOnPurpose, AFailedCommandNamesOpShapesAndLine) {
  ASSERT_TRUE(set_fail_points("op:softmax:2").ok());
  const Transcript out =
      run_text("p.tl", "main {\n  let x = softmax(ones([2, 3]))\n  print(softmax(x))\n}\n", "cpu");
  (void)set_fail_points("");
  EXPECT_EQ(out.output, "");
  EXPECT_EQ(out.problems, "error 3:9: softmax: failed on purpose (operands: float32[2, 3])\n");
}

TEST(FailingOnPurpose, AFailedAllocationNamesOpShapesAndLine) {
  ASSERT_TRUE(set_fail_points("alloc:1").ok());
  const Transcript out = run_text("p.tl", "main {\n  print(ones([2, 3]))\n}\n", "cpu");
  (void)set_fail_points("");
  EXPECT_EQ(out.problems, "error 2:9: ones giving float32[2, 3]: 4096 bytes failed on purpose\n");
}

TEST(FailingOnPurpose, AFileIsReplacedWholeOrNotAtAll) {
  const fs::path file = fs::temp_directory_path() / ("tl_failure_file_" + std::to_string(getpid()));
  const std::string program = "main { write_file(\"" + file.string() + "\", \"new and longer\") }";
  for (int n = 1; n < 10; ++n) {
    std::ofstream(file) << "old";
    ASSERT_TRUE(set_fail_points("write:" + std::to_string(n)).ok());
    const Transcript out = run_text("p.tl", program, "cpu");
    const bool failed = fail_points_hit() > 0;
    (void)set_fail_points("");
    EXPECT_EQ(text_of(file), failed ? "old" : "new and longer") << n << out.problems;
    EXPECT_EQ(out.problems.empty(), !failed);
  }
  for (const auto& entry : fs::directory_iterator(fs::temp_directory_path())) {
    EXPECT_FALSE(entry.path().string().starts_with(file.string() + ".")) << "a left-over: " << entry.path();
  }
  fs::remove(file);
}

// When bounds submit what nobody looks at is no business of a program's: it says the same interpreted,
// replayed, and whatever the bounds are.
TEST(Failures, ThatNobodyLooksAtDependedOnReplaysAndBounds) {
  const std::string text = R"(
fn pick(x, k) { embedding(x, tensor([k])) * 2.0 + 1.0 }
let x = ones([3, 2])
let kept = []
for k in [0, 1, 2, 7, 1, 8, 1] {
    let y = pick(x, k)
    if k == 8 { kept.push(y) }
    if k < 3 { print(y) }
}
let z = x
for i in range(3000) { z = z + 1.0 }
print(sum(z))
)";
  for (const bool replays : {false, true}) {
    for (const int limit : {2, 100000}) {
      RunSettings settings;
      settings.exec.replay = replays;
      settings.exec.fewest_traced_nodes = 1;
      settings.exec.pending_soft_limit = settings.exec.pending_hard_limit = static_cast<size_t>(limit);
      const Transcript got = run_text("test.tl", text, settings);
      EXPECT_EQ(got.problems, "") << replays << " " << limit;
      EXPECT_TRUE(got.output.ends_with("18006\n")) << got.output;
      const Transcript asked = run_text("test.tl", text + "start(kept[0])\nprint(1)\n", settings);
      EXPECT_NE(asked.problems.find("id 8"), std::string::npos) << replays << " " << limit << asked.problems;
      EXPECT_TRUE(asked.output.ends_with("18006\n1\n")) << asked.output;
      const Transcript looked = run_text("test.tl", text + "print(kept[0])\n", settings);
      EXPECT_NE(looked.problems.find("id 8"), std::string::npos) << replays << " " << limit;
      const Transcript joined =
          run_text("test.tl", text + "let t = spawn(|| kept[0])\nlet r = join(t)\nprint(2)\n", settings);
      EXPECT_NE(joined.problems.find("id 8"), std::string::npos) << replays << " " << limit;
      EXPECT_TRUE(joined.output.ends_with("18006\n")) << joined.output;
    }
  }
}

TEST(Failures, NoScratchOrThreadAbortedTheProcess) {
  const std::string text = R"(
let x = randn([8, 32])
print(sum(softmax(x @ x.T)) + sum(rms_norm(x, ones([32])) * 2.0 - 1.0))
print(join(spawn(|| 7)))
)";
  for (const std::string point : {"scratch", "thread"}) {
    for (int at = 1; at < 40; ++at) {
      ASSERT_TRUE(set_fail_points(fmt::format("{}:{}", point, at)).ok());
      const Transcript got = run_text("test.tl", text, {.threads = 2});
      const bool failed = fail_points_hit() > 0;
      ASSERT_TRUE(set_fail_points("").ok());
      if (!failed) {
        EXPECT_GT(at, 3) << point;
        break;
      }
      const bool survived = point == "thread" && got.problems.empty();  // others do its work
      const bool told =
          got.problems.find(point == "scratch" ? "bytes of scratch" : "thread") != std::string::npos ||
          got.problems.find("no memory for the") != std::string::npos;
      EXPECT_TRUE(told || survived) << point << ":" << at << ": " << got.problems;
      if (point == "scratch") {
        EXPECT_NE(got.problems.find("error 3:"), std::string::npos) << got.problems;
      }
    }
  }
}

TEST(Failures, OfAnOpInsideOfAFusedGroupDidNotHappen) {
  const std::string text = "let x = ones([4])\nlet y = exp(x) * 2.0\nprint(tanh(y) + 1.0)\n";
  for (const char* op : {"op:exp:1", "op:mul:1", "op:tanh:1", "op:add:1", "op:fused:1"}) {
    ASSERT_TRUE(set_fail_points(op).ok());
    const Transcript got = run_text("test.tl", text, "cpu");
    ASSERT_TRUE(set_fail_points("").ok());
    EXPECT_NE(got.problems.find("failed on purpose"), std::string::npos) << op;
  }
}

// A program that was over waited for all that it had begun, minutes if need be, before its failure was shown.
TEST(EndOfAProgram, WaitsForNothingThatNobodyCanLookAt) {
  const std::string rounds = R"(
let (x, left) = repeat_until(|x| (softmax(x @ x), sum(cast(ones([3]), int64))), randn([64, 64]), 1000000000)
)";
  for (const char* device : {"cpu", "null"}) {
    const auto run = [&](const std::string& end) {
      return run_text("program.tl", rounds + end, RunSettings{.device = device, .threads = 2}).problems;
    };
    EXPECT_EQ(run(""), "");
    EXPECT_EQ(run("exit(0)"), "");
    EXPECT_EQ(run("panic(\"over\")"), "error 3:1: panic: over\n");
    EXPECT_EQ(run("let t = spawn(|| { panic(\"over\") })"), "error 3:20: panic: over\n");
  }
  const std::string begun = "start(embedding(ones([2, 2]), tensor([5])))";
  for (const char* end : {"", "exit(0)"}) {
    const std::string problems =
        run_text("program.tl", begun + rounds + end, RunSettings{.device = "cpu", .threads = 2}).problems;
    EXPECT_TRUE(problems.starts_with("error 1:7: embedding: id 5 is outside")) << problems;
  }
}

}  // namespace
}  // namespace tl
