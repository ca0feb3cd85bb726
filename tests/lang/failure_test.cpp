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

}  // namespace
}  // namespace tl
