// What observers say of commands on a small device: logits, profiles, timelines, memory.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "tl/base/read_file.h"
#include "tl/device/loop_device_testing.h"
#include "tl/exec/executor.h"
#include "tl/observe/memory_report.h"
#include "tl/observe/observer_list.h"
#include "tl/observe/place.h"
#include "tl/observe/profile.h"
#include "tl/observe/sampling_log.h"
#include "tl/observe/timeline.h"
#include "tl/ops/ops.h"

namespace tl {
namespace {

class Observe : public testing::Test {
 protected:
  Tensor op(const OpDef& def, std::initializer_list<Tensor> inputs, Attrs attrs = {}, Span at = {}) {
    Result<Tensor> t = executor().apply(def, inputs, std::move(attrs), at);
    EXPECT_TRUE(t.ok()) << t.error().message;
    return t.value();
  }
  Tensor ones(const Shape& shape, Span at = {}) {
    return op(op_ones, {}, Attrs().with_dtype(DType::F32).with_ints({shape.begin(), shape.end()}), at);
  }
  Tensor floats(const Shape& shape, const std::vector<float>& values) {
    return executor().from_host({DType::F32, shape}, std::as_bytes(std::span(values))).value();
  }
  void wait(const Tensor& t) { ASSERT_TRUE(executor().wait(t).ok()); }
  // `text` of the program, as a span.
  Span span(std::string_view text) const {
    const size_t at = files.text(file).find(text);
    return {file, static_cast<u32>(at), static_cast<u32>(at + text.size())};
  }
  Executor& executor() {
    if (executor_ == nullptr) {
      ExecOptions options;
      options.observer = &execs;
      device.set_observer(&commands);
      executor_ = std::move(Executor::create(device, std::move(options))).value();
    }
    return *executor_;
  }

  SourceFiles files;
  FileId file = files.add("p.tl", "let a = x @ y\nlet b = \n   a +  1\n");
  LoopDevice device;
  CommandObservers commands;
  ExecObservers execs;
  std::unique_ptr<Timeline> trace;  // observers outlive the executor
  Profile profile{device, files};

 private:
  std::unique_ptr<Executor> executor_;
};

TEST_F(Observe, PlacesAreReadable) {
  EXPECT_EQ(place_of(files, span("x @ y")), "p.tl:1:9");
  EXPECT_EQ(line_of(files, span("a +")), "p.tl:3");
  EXPECT_EQ(place_of(files, {}), "-");
  EXPECT_EQ(excerpt_of(files, span("b = \n   a +  1")), "b = a + 1");
  EXPECT_EQ(excerpt_of(files, span("x @ y"), 4), "x...");
  EXPECT_EQ(size_text(999), "999 B");
  EXPECT_EQ(size_text(1536), "1.54 KB");
  EXPECT_EQ(size_text(2.5e9), "2.5 GB");
}

TEST_F(Observe, SampledTokensShowTheirTenLargestLogits) {
  std::string log;
  SamplingLog sampling(
      files,
      [](i64 token, i64 n) {
        return n == 12 ? std::optional("<" + std::to_string(token) + "\n>") : std::nullopt;
      },
      [&](const std::string& text) { log += text; });
  commands.add(&sampling);
  const Tensor logits = floats({12}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  wait(op(op_argmax, {logits}, Attrs().with_ints({-1}).with_bool(false), span("a +  1")));
  EXPECT_TRUE(log.starts_with("sampled 11 \"<11\\n>\" at p.tl:3:4, of\n     11.0000  11 \"<11\\n>\"\n"))
      << log;
  EXPECT_TRUE(log.ends_with("      2.0000  2 \"<2\\n>\"\n")) << log;
  log.clear();
  wait(op(op_argmax, {floats({3}, {1, 2, 3})}, Attrs().with_ints({-1}).with_bool(false)));
  EXPECT_EQ(log, "") << "an argmax of something else";
}

TEST_F(Observe, AProfileCountsCallsArithmeticAndBytesAndAddsUp) {
  commands.add(&profile);
  execs.add(&profile);
  const Tensor x = floats({8, 16}, std::vector<float>(128, 1)),
               y = floats({16, 4}, std::vector<float>(64, 1));
  for (int i = 0; i < 3; ++i) {
    const Tensor product = op(op_matmul, {x, y}, {}, span("x @ y"));
    wait(op(op_softmax, {product}, Attrs().with_int(-1), span("a +  1")));
  }
  const Profile::Totals t = profile.totals();
  const Profile::Line& matmul = t.ops.at("matmul");
  EXPECT_EQ(matmul.calls, 3);
  EXPECT_EQ(matmul.flops, 3 * 2.0 * 8 * 16 * 4);
  EXPECT_EQ(matmul.bytes, 3 * 4.0 * (128 + 64 + 32));
  EXPECT_EQ(t.lines.at("p.tl:3  softmax").calls, 3);
  double ops = 0, lines = 0, host = 0;
  for (const auto& [name, line] : t.ops) ops += line.ns;
  for (const auto& [name, line] : t.lines) lines += line.ns;
  for (const double ns : t.host_ns) host += ns;
  EXPECT_NEAR(ops, t.busy_ns, 1 + 1e-6 * t.busy_ns);
  EXPECT_NEAR(lines, t.busy_ns, 1 + 1e-6 * t.busy_ns);
  EXPECT_LE(t.busy_ns, t.wall_ns);
  EXPECT_LE(host, t.wall_ns);
  EXPECT_NE(profile.text().find("p.tl:1  matmul"), std::string::npos) << profile.text();
}

// Commands that overlap share the time between the first begin and the last end, as their threads worked.
TEST_F(Observe, CommandsSideBySideShareTheTime) {
  Batch batch;
  const Operand none{.data = nullptr, .dtype = DType::F32, .dims = {}, .strides = {}};
  for (const OpDef* def : {&op_exp, &op_log, &op_tanh}) batch.add(*def, def->reference, {}, {&none, 1});
  profile.ran(batch, 0, StreamId{1}, 1000, 1400, 300);
  profile.ran(batch, 1, StreamId{1}, 1000, 1400, 100);
  profile.ran(batch, 2, StreamId{1}, 2000, 2100, 50);
  const Profile::Totals t = profile.totals();
  EXPECT_DOUBLE_EQ(t.ops.at("exp").ns, 300);
  EXPECT_DOUBLE_EQ(t.ops.at("log").ns, 100);
  EXPECT_DOUBLE_EQ(t.ops.at("tanh").ns, 100);
  EXPECT_DOUBLE_EQ(t.busy_ns, 500);
}

TEST_F(Observe, ATraceIsJsonThatPerfettoReads) {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("tl_trace_" + std::to_string(getpid()))).string();
  trace = std::move(Timeline::create(path, files)).value();
  commands.add(trace.get());
  execs.add(trace.get());
  wait(op(op_softmax, {ones({2, 3}, span("x @ y"))}, Attrs().with_int(-1), span("a +  1")));
  trace->traced_again(span("x @ y"), span("x @ y"), "a \"dim\" was 3");
  EXPECT_FALSE(std::filesystem::exists(path)) << "it appears whole or not at all";
  ASSERT_TRUE(trace->finish().ok());
  const auto json = nlohmann::json::parse(read_whole_file(path).value());
  std::filesystem::remove(path);
  std::set<std::string> host, device;
  std::map<std::pair<int, int>, double> track_ends;
  for (const auto& e : json["traceEvents"]) {
    const std::string phase = e["ph"];
    ASSERT_TRUE(e.contains("pid") && e.contains("name")) << e;
    if (phase == "M") continue;
    ASSERT_GE(e["ts"].get<double>(), 0) << e;
    if (phase == "i") continue;
    ASSERT_EQ(phase, "X");
    double& end = track_ends[{e["pid"], e["tid"]}];
    EXPECT_GE(e["ts"].get<double>(), end - 0.0011) << "slices of a track cross: " << e;
    end = e["ts"].get<double>() + e["dur"].get<double>();
    (e["pid"] == 1 ? host : device).insert(e["name"]);
    if (e["name"] == "softmax") {
      EXPECT_EQ(e["args"]["in"], "float32[2, 3]");
      EXPECT_EQ(e["args"]["line"], "p.tl:3:4");
      EXPECT_EQ(e["args"]["source"], "a + 1");
    }
  }
  EXPECT_EQ(device, (std::set<std::string>{"ones", "softmax"}));
  EXPECT_TRUE(host.count("record") == 1 && host.count("plan") == 1 && host.count("submit") == 1);
}

TEST_F(Observe, CommandsOfAStreamThatOverlapLieOnTracksOfTheirOwn) {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("tl_lanes_" + std::to_string(getpid()))).string();
  trace = std::move(Timeline::create(path, files)).value();
  Batch batch;
  const Operand none{.data = nullptr, .dtype = DType::F32, .dims = {}, .strides = {}};
  batch.add(op_exp, op_exp.reference, {}, {&none, 1});
  const i64 now = now_ns();
  trace->ran(batch, 0, StreamId{1}, now, now + 1000, 1);
  trace->ran(batch, 0, StreamId{1}, now + 500, now + 1500, 1);
  trace->ran(batch, 0, StreamId{1}, now + 1500, now + 2000, 1);
  ASSERT_TRUE(trace->finish().ok());
  const auto json = nlohmann::json::parse(read_whole_file(path).value());
  std::filesystem::remove(path);
  std::vector<int> tracks;
  for (const auto& e : json["traceEvents"]) {
    if (e["ph"] == "X") tracks.push_back(e["tid"]);
  }
  ASSERT_EQ(tracks.size(), 3u);
  EXPECT_NE(tracks[0], tracks[1]);
  EXPECT_EQ(tracks[0], tracks[2]);
}

TEST_F(Observe, MemoryIsNamedAsItWasWhenMostWasInUse) {
  device.watch_memory();
  {
    const Tensor a = ones({100, 100}, span("x @ y")), b = ones({100, 100}, span("x @ y")),
                 c = ones({10, 10}, span("a +  1"));
    wait(a), wait(b), wait(c);
  }
  wait(ones({50, 50}, span("b =")));
  const std::vector<MemoryUse> uses = device.memory_at_high_water();
  ASSERT_EQ(uses.size(), 2u);
  EXPECT_EQ(uses[0].tensors, 2);
  EXPECT_GE(uses[0].bytes, 80000);
  EXPECT_EQ(uses[0].bytes + uses[1].bytes, device.memory().high_water_bytes);
  const std::string text = memory_report(device, files);
  EXPECT_NE(text.find("ones float32[100, 100] at p.tl:1:9  x @ y"), std::string::npos) << text;
  EXPECT_EQ(text.find("p.tl:2"), std::string::npos) << "it came after the high water";
}

}  // namespace
}  // namespace tl
