// Devices by name, where shared files are looked for, and a program's whole run.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tl/api/devices.h"
#include "tl/api/paths.h"
#include "tl/api/session.h"

namespace tl {
namespace {

namespace fs = std::filesystem;

TEST(Devices, EveryListedOneIsCreatedOrSaysWhyNot) {
  const std::vector<DeviceListing> listed = list_devices();
  ASSERT_GE(listed.size(), 3u);
  for (const DeviceListing& d : listed) {
    const auto device = create_device({.device = d.name});
    EXPECT_EQ(device.ok(), d.available) << d.name;
    EXPECT_FALSE(d.description.empty()) << d.name;
    EXPECT_EQ(device.ok() ? device.value()->info().name : d.name, d.name);
  }
  EXPECT_EQ((*create_device({}))->info().name, "cpu") << "the best there is";
}

TEST(Devices, OptionsReachTheDeviceOrAreRefused) {
  const auto cpu =
      *create_device({.device = "cpu", .threads = 3, .simd = "portable", .memory_limit_bytes = 1 << 20});
  EXPECT_EQ(cpu->info().threads, 3);
  EXPECT_EQ(cpu->info().simd, "portable");
  EXPECT_EQ(cpu->memory().limit_bytes, 1 << 20);
  EXPECT_EQ(simd_levels().front(), "portable");
  for (const std::string& level : simd_levels()) EXPECT_TRUE(create_device({.simd = level}).ok()) << level;
  EXPECT_EQ(create_device({.device = "tpu"}).error().message,
            "unknown device 'tpu' (want cpu, reference or null)");
  const auto simd = create_device({.simd = "mmx"});
  ASSERT_FALSE(simd.ok());
  EXPECT_EQ(simd.error().message, "unknown SIMD level 'mmx' (want portable, avx2 or avx512)");
}

// Sets a variable of the environment, or takes it away, until the end of the scope.
class Env {
 public:
  Env(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    set(value);
  }
  ~Env() { set(old_ ? old_->c_str() : nullptr); }

 private:
  void set(const char* value) { value != nullptr ? setenv(name_, value, 1) : unsetenv(name_); }
  const char* name_;
  std::optional<std::string> old_;
};

class Files : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder); }
  void TearDown() override { fs::remove_all(folder); }
  std::string write(const std::string& name, const std::string& text) {
    fs::create_directories((folder / name).parent_path());
    std::ofstream(folder / name) << text;
    return (folder / name).string();
  }
  ProgramOutcome run(const std::string& file, std::vector<std::string> args = {}) {
    testing::internal::CaptureStdout();
    ProgramOutcome outcome = run_file({.device = {.device = "reference"}}, {}, file, std::move(args), false);
    printed = testing::internal::GetCapturedStdout();
    return outcome;
  }
  const fs::path folder =
      fs::path(testing::TempDir()) / fmt::format("tl_api_{}", static_cast<const void*>(this));
  std::string printed;
};

TEST_F(Files, TheLibraryIsWhereTlShareSaysOrBesideTheSources) {
  const Env none("TL_SHARE", nullptr);
  EXPECT_TRUE(fs::exists(fs::path(share_dir()) / "std/llama.tl")) << share_dir();
  const std::string program = write("program.tl", "import \"std/own.tl\"\nmain { print(answer()) }");
  EXPECT_TRUE(run(program).program_is_wrong);
  write("share/std/own.tl", "fn answer() { 42 }");
  const Env share("TL_SHARE", (folder / "share").c_str());
  EXPECT_EQ(share_dir(), (folder / "share").string());
  const ProgramOutcome found = run(program);
  EXPECT_EQ(found.messages, "");
  EXPECT_EQ(printed, "42\n");
}

TEST_F(Files, ModelsAreFilesOrNamesInTheCache) {
  const Env models("TL_MODELS", folder.c_str());
  const std::string cached = write("some.gguf", "x");
  EXPECT_EQ(*find_model(cached), cached) << "a path";
  EXPECT_EQ(*find_model("some"), cached);
  EXPECT_EQ(*find_model("some.gguf"), cached);
  const auto known = *known_models();
  ASSERT_FALSE(known.empty());
  EXPECT_FALSE(known[0].cached);
  EXPECT_EQ(find_model(known[0].name).error().message,
            fmt::format("model {0} is not in the cache (tl models fetch {0})", known[0].name));
  EXPECT_NE(find_model("nobody").error().message.find(known[0].name), std::string::npos)
      << "says what there is";
  const Env other("TL_MODELS", nullptr), cache("XDG_CACHE_HOME", "/cache");
  EXPECT_EQ(model_cache_dir(), "/cache/tl/models");
  const Env no_cache("XDG_CACHE_HOME", nullptr), home("HOME", "/home/me");
  EXPECT_EQ(model_cache_dir(), "/home/me/.cache/tl/models");
}

TEST_F(Files, ARunGivesOutputAndExitCode) {
  const ProgramOutcome done =
      run(write("a.tl", "main { print(args(), sum([1.0, 2.0]))\n exit(4) }"), {"x", "y"});
  EXPECT_EQ(done.exit_code, 4);
  EXPECT_FALSE(done.failure);
  EXPECT_FALSE(done.program_is_wrong);
  EXPECT_EQ(printed, "[\"x\", \"y\"] 3\n");
}

TEST_F(Files, AFailedRunSaysWhereAndThroughWhichCalls) {
  const std::string file = write("b.tl", "fn f(x) { [1, 2][x] }\nmain {\n  print(1)\n  f(9)\n}\n");
  const ProgramOutcome failed = run(file);
  ASSERT_TRUE(failed.failure.has_value());
  EXPECT_EQ(failed.failure->code, Code::BadProgram);
  EXPECT_TRUE(failed.messages.starts_with(file + ":1:11: error: ")) << failed.messages;
  EXPECT_NE(failed.messages.find("  in main (" + file + ":4:3)"), std::string::npos) << failed.messages;
  EXPECT_EQ(printed, "1\n") << "only the program's output goes to standard output";
}

TEST_F(Files, AWrongProgramDoesNotStart) {
  const std::string file = write("c.tl", "main { print(1)\n print(nothing) }\n");
  const ProgramOutcome wrong = run(file);
  EXPECT_TRUE(wrong.program_is_wrong);
  EXPECT_TRUE(wrong.messages.starts_with(file + ":2:8: error[E0101]: ")) << wrong.messages;
  EXPECT_EQ(printed, "");
  CheckResult checked;
  check_file(file, checked);
  EXPECT_EQ(checked.diagnostics.error_count(), 1u);
  EXPECT_FALSE(checked.failure);
}

TEST_F(Files, AFileThatCannotBeReadIsAFailureNotADiagnostic) {
  const ProgramOutcome outcome = run((folder / "gone.tl").string());
  ASSERT_TRUE(outcome.failure.has_value());
  EXPECT_EQ(outcome.failure->code, Code::Io);
  CheckResult checked;
  check_file((folder / "gone.tl").string(), checked);
  EXPECT_TRUE(checked.failure && checked.failure->code == Code::Io);
}

}  // namespace
}  // namespace tl
