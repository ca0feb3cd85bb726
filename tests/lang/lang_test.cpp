// Golden programs: the "//~ " comments of a file, in order, are what it prints and then what goes wrong.
// TL_BLESS=1 writes what really happens to standard error instead of failing silently on the first
// difference.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "tests/lang/run_text.h"
#include "tl/base/read_file.h"

namespace tl {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> programs() {
  std::vector<std::string> out;
  for (const auto& entry : fs::recursive_directory_iterator(TL_LANG_TESTS)) {
    const bool is_part = entry.path().filename().string().starts_with("_");  // imported by others
    if (entry.path().extension() == ".tl" && !is_part)
      out.push_back(fs::relative(entry.path(), TL_LANG_TESTS).string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::string expected_of(const std::string& text) {
  std::string out, line;
  for (std::istringstream lines(text); std::getline(lines, line);) {
    const size_t mark = line.find("//~");
    if (mark == std::string::npos) continue;
    const std::string rest = line.substr(mark + 3);
    out += (rest.starts_with(' ') ? rest.substr(1) : rest) + "\n";
  }
  return out;
}

class Golden : public testing::TestWithParam<std::string> {};

TEST_P(Golden, PrintsWhatItSays) {
  const std::string path = std::string(TL_LANG_TESTS) + "/" + GetParam();
  const std::string text = read_whole_file(path).value();
  for (const char* device : {"reference", "cpu"}) {
    const Transcript got = run_text(path, text, device);
    EXPECT_EQ(got.output + got.problems, expected_of(text)) << GetParam() << " on " << device;
    const Transcript validated = run_text(path, text, device, 2, true);
    EXPECT_EQ(validated.output + validated.problems, expected_of(text))
        << GetParam() << " validated on " << device;
  }
}

INSTANTIATE_TEST_SUITE_P(Lang, Golden, testing::ValuesIn(programs()), [](const auto& info) {
  std::string name = info.param;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
});

}  // namespace
}  // namespace tl
