#include "tl/base/read_file.h"

#include <gtest/gtest.h>

namespace tl {
namespace {

class ReadFile : public testing::Test {
 protected:
  ReadFile() {
    std::FILE* file = std::fopen(path_.c_str(), "wb");
    std::fwrite(text_.data(), 1, text_.size(), file);
    std::fclose(file);
  }
  ~ReadFile() override { std::remove(path_.c_str()); }

  const std::string path_ = testing::TempDir() + "/read_file_test";
  const std::string text_ = std::string(200'000, 'a') + '\0' + "\xff\r\n";
};

TEST_F(ReadFile, GivesEveryByte) {
  EXPECT_EQ(*read_whole_file(path_), text_);
  EXPECT_EQ(*read_whole_file(path_, text_.size()), text_);
  EXPECT_EQ(*read_whole_file("/dev/null"), "");
}

TEST_F(ReadFile, SaysWhatFailed) {
  const auto small = read_whole_file(path_, text_.size() - 1);
  EXPECT_EQ(small.error().message, fmt::format("cannot read {}: it has more than 200003 bytes", path_));
  EXPECT_EQ(small.error().code, Code::BadFile);
  const auto none = read_whole_file("/no/such");
  EXPECT_EQ(none.error().message, "cannot read /no/such: No such file or directory");
  EXPECT_EQ(none.error().code, Code::Io);
  EXPECT_EQ(read_whole_file("/").error().message, "cannot read /: Is a directory");
  EXPECT_EQ(read_whole_file("/dev/zero", 1000).error().code, Code::BadFile) << "does not end";
}

}  // namespace
}  // namespace tl
