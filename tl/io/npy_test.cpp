#include "tl/io/npy.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

#include "tl/base/read_file.h"

namespace tl {
namespace {

namespace fs = std::filesystem;

std::string fixture(std::string_view name) {
  return fmt::format("tests/data/npy/{}.npy", name);
}

std::vector<u8> contents(const std::string& path) {
  const std::string text = read_whole_file(path).value();
  return {text.begin(), text.end()};
}

template <typename T>
std::vector<T> values(const NpyArray& array) {
  std::vector<T> out(array.bytes.size() / sizeof(T));
  std::memcpy(out.data(), array.bytes.data(), array.bytes.size());
  return out;
}

template <typename T>
std::vector<T> counts(i64 n = 24) {
  std::vector<T> out;
  for (i64 i = 0; i < n; ++i) out.push_back(static_cast<T>(i));
  return out;
}

template <typename T>
std::span<const u8> as_bytes(const std::vector<T>& v) {
  return {reinterpret_cast<const u8*>(v.data()), v.size() * sizeof(T)};
}

// A folder of its own, to see what is left in it.
class NpyFiles : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  i64 files() const { return std::distance(fs::directory_iterator(folder_), fs::directory_iterator()); }
  std::string folder_ =
      testing::TempDir() + "tl_npy_" + testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST(Npy, ReadsWhatNumPyWrites) {
  const Shape shape{2, 3, 4};
  for (const DType dtype : {DType::F16, DType::F32, DType::F64, DType::I8, DType::I16, DType::I32, DType::I64,
                            DType::U8, DType::Bool}) {
    const NpyArray array = read_npy(fixture(name_of(dtype))).value();
    EXPECT_EQ(array.dtype, dtype) << name_of(dtype);
    EXPECT_EQ(array.shape, shape);
    EXPECT_EQ(array.bytes.size(), static_cast<size_t>(24 * size_of(dtype)));
  }
  EXPECT_EQ(values<float>(read_npy(fixture("float32")).value()), counts<float>());
  EXPECT_EQ(values<i16>(read_npy(fixture("int16")).value()), counts<i16>());
  EXPECT_EQ(values<u8>(read_npy(fixture("bool")).value())[3], 1);
}

TEST(Npy, ReadsOtherOrders) {
  EXPECT_EQ(values<float>(read_npy(fixture("fortran")).value()), counts<float>());
  EXPECT_EQ(values<i32>(read_npy(fixture("big_endian")).value()), counts<i32>());
  EXPECT_EQ(values<double>(read_npy(fixture("big_endian_fortran")).value()), counts<double>());
}

TEST(Npy, ReadsOtherVersionsAndShapes) {
  EXPECT_EQ(values<float>(read_npy(fixture("version2")).value()), counts<float>());
  EXPECT_EQ(values<float>(read_npy(fixture("version3")).value()), counts<float>());
  const NpyArray scalar = read_npy(fixture("scalar")).value();
  EXPECT_EQ(scalar.shape, Shape{});
  EXPECT_EQ(values<float>(scalar), std::vector<float>{2.5f});
  EXPECT_EQ(read_npy(fixture("one")).value().shape, Shape{1});
  const NpyArray empty = read_npy(fixture("empty")).value();
  EXPECT_EQ(empty.shape, (Shape{0, 5}));
  EXPECT_TRUE(empty.bytes.empty());
}

TEST(Npy, RefusesOtherTypes) {
  EXPECT_EQ(read_npy(fixture("uint16")).error().message,
            "tests/data/npy/uint16.npy: element type '<u2' (want floats of 2, 4 or 8 bytes, signed integers, "
            "u1 or b1)");
  EXPECT_EQ(read_npy(fixture("text")).error().code, Code::Unsupported);
  EXPECT_EQ(read_npy(fixture("records")).error().message,
            "tests/data/npy/records.npy: array of records (want numbers or bools)");
}

// A version 1 file with this header text and this much data.
std::string error_of(const std::string& header, size_t data, char major = '\x01') {
  std::string file = "\x93NUMPY";
  file += {major, '\x00', static_cast<char>(header.size() & 255), static_cast<char>(header.size() >> 8)};
  file += header + std::string(data, '\0');
  auto array = parse_npy({reinterpret_cast<const u8*>(file.data()), file.size()}, "test");
  return array.ok() ? "" : array.error().message;
}

TEST(Npy, HostileFilesAreRefused) {
  const struct {
    std::string header;
    size_t data;
    std::string wanted;
  } rows[] = {
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 8, ""},
      {"{\"shape\":(2,),\"fortran_order\":False,\"descr\":\"<f4\"}", 8, ""},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2L,)}", 8, ""},
      {"", 8, "test: header has '' at its byte 0 (want '{')"},
      {"{", 8, "test: header has '' at its byte 1 (want a string)"},
      {"{}", 8, "test: header has no key 'descr'"},
      {"{'descr': '<f4', 'shape': (2,)}", 8, "test: header has no key 'fortran_order'"},
      {"{'descr': '<f4' 'shape': (2,)}", 8,
       "test: header has ''shape': (2,)}' at its byte 16 (want ',' or '}')"},
      {"{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}", 8, "True or False"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}", 8, "(want a dim)"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (,)}", 4, "(want a dim)"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2", 8, "(want ',' or ')')"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", 8,
       "dim of more than 63 bits"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", 8,
       "8 bytes of data (want those of"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (0, 9223372036854775807, 9223372036854775807)}", 0,
       "0 bytes of data"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 1, 1)}", 4,
       "more than 8 dims"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", 7,
       "7 bytes of data (want those of float32[2])"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", 9,
       "9 bytes of data (want those of float32[2])"},
      {"{'descr': '', 'fortran_order': False, 'shape': (2,)}", 8, "element type ''"},
      {"{'descr': 'f4', 'fortran_order': False, 'shape': (2,)}", 8, "element type 'f4'"},
      {"{'descr': '<f4", 8, "(want a closed string)"},
      {"{'more': 1}", 8, "header has key 'more'"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x", 8, "(want the end)"},
  };
  for (const auto& row : rows) {
    const std::string message = error_of(row.header, row.data);
    if (row.wanted.empty()) {
      EXPECT_EQ(message, "") << row.header;
    } else {
      EXPECT_NE(message.find(row.wanted), std::string::npos) << row.header << ": " << message;
    }
  }
  EXPECT_EQ(error_of("{}", 0, '\x04'), "test: .npy version 4.0 (want 1 to 3)");
  EXPECT_EQ(parse_npy({}, "test").error().message, "test: file is empty (want an .npy file)");
  const std::string text = "import numpy as np";
  EXPECT_EQ(parse_npy({reinterpret_cast<const u8*>(text.data()), text.size()}, "test").error().message,
            "test: not an .npy file (want one that starts with \\x93NUMPY)");
  EXPECT_EQ(read_npy("/no/such.npy").error().message,
            "/no/such.npy: cannot open file: No such file or directory");
}

TEST(Npy, CutsAndFlipsNeverCrash) {
  for (const char* name : {"float32", "big_endian_fortran", "version2"}) {
    const auto all = contents(fixture(name));
    ASSERT_FALSE(all.empty());
    for (size_t n = 0; n < all.size(); ++n) {
      const std::unique_ptr<u8[]> copy(new u8[n]);
      std::copy_n(all.begin(), n, copy.get());
      EXPECT_FALSE(parse_npy({copy.get(), n}, "test").ok()) << n;
    }
    for (size_t i = 0; i < 128; ++i) {
      for (const u8 flip : {0x01, 0x04, 0x10, 0x80}) {
        auto damaged = all;
        damaged[i] ^= flip;
        (void)parse_npy(damaged, "test").ok();
      }
    }
  }
}

TEST_F(NpyFiles, AreTheBytesNumPyWrites) {
  const std::string file = path("a.npy");
  for (const char* name :
       {"float16", "float32", "float64", "int8", "int64", "uint8", "bool", "scalar", "one", "empty"}) {
    const NpyArray array = read_npy(fixture(name)).value();
    ASSERT_TRUE(write_npy(file, array.dtype, array.shape, array.bytes).ok());
    EXPECT_EQ(contents(file), contents(fixture(name))) << name;
  }
  EXPECT_EQ(files(), 1);
}

TEST_F(NpyFiles, RowByRowIsTheSameAsWhole) {
  const std::string file = path("rows.npy");
  {
    NpyWriter writer = NpyWriter::create(file, DType::F32, {3, 4}).value();
    const auto all = counts<float>();
    ASSERT_TRUE(writer.append(as_bytes(all).first(48)).ok());
    EXPECT_FALSE(fs::exists(file)) << "nothing has its name before finish";
    ASSERT_TRUE(writer.append(as_bytes(all).subspan(48)).ok());
    EXPECT_EQ(writer.rows(), 2);
    ASSERT_TRUE(writer.finish().ok());
  }
  EXPECT_EQ(contents(file), contents(fixture("float32")));
  EXPECT_EQ(files(), 1);
}

TEST_F(NpyFiles, ManyRowsPassTheBuffer) {
  const std::string file = path("many.npy");
  NpyWriter writer = NpyWriter::create(file, DType::I64, {1000}).value();
  std::vector<i64> row(1000), all;
  for (i64 r = 0; r < 500; ++r) {
    for (i64 i = 0; i < 1000; ++i) row[static_cast<size_t>(i)] = r * 1000 + i;
    all.insert(all.end(), row.begin(), row.end());
    ASSERT_TRUE(writer.append(as_bytes(row)).ok());
  }
  ASSERT_TRUE(writer.append(as_bytes(all)).ok());  // larger than the buffer
  ASSERT_TRUE(writer.finish().ok());
  const NpyArray array = read_npy(file).value();
  EXPECT_EQ(array.shape, (Shape{1000, 1000}));
  EXPECT_EQ(std::memcmp(array.bytes.data(), all.data(), all.size() * 8), 0);
  EXPECT_EQ(std::memcmp(array.bytes.data() + all.size() * 8, all.data(), all.size() * 8), 0);
}

TEST_F(NpyFiles, AnUnfinishedFileLeavesTheOldOne) {
  const std::string file = path("kept.npy");
  std::ofstream(file) << "old";
  {
    NpyWriter writer = NpyWriter::create(file, DType::F32, {2}).value();
    ASSERT_TRUE(writer.append(as_bytes(counts<float>(2))).ok());
  }
  EXPECT_EQ(fs::file_size(file), 3u);
  EXPECT_EQ(files(), 1);
  NpyWriter writer = NpyWriter::create(file, DType::F32, {2}).value();
  ASSERT_TRUE(writer.append(as_bytes(counts<float>(2))).ok());
  ASSERT_TRUE(writer.finish().ok());
  EXPECT_EQ(read_npy(file).value().shape, (Shape{1, 2}));
  EXPECT_EQ(files(), 1);
}

TEST_F(NpyFiles, ALinkIsFollowed) {
  fs::create_symlink(path("real.npy"), path("link.npy"));
  std::ofstream(path("real.npy")) << "old";
  ASSERT_TRUE(write_npy(path("link.npy"), DType::U8, {3}, as_bytes(counts<u8>(3))).ok());
  EXPECT_TRUE(fs::is_symlink(path("link.npy")));
  EXPECT_EQ(read_npy(path("real.npy")).value().shape, Shape{3});
}

TEST_F(NpyFiles, ErrorsNameThePath) {
  EXPECT_EQ(NpyWriter::create("/no/such/folder/a.npy", DType::F32, {2}).error().message,
            "/no/such/folder/a.npy: cannot create file: No such file or directory");
  EXPECT_EQ(NpyWriter::create(folder_, DType::F32, {2}).error().message,
            folder_ + ": is a directory (want a file)");
  EXPECT_EQ(write_npy(path("a.npy"), DType::Q4_0, {32}, {}).error().message,
            path("a.npy") + ": q4_0 cannot be written as .npy (want a float, an integer or bool)");
  EXPECT_EQ(files(), 0);
}

TEST_F(NpyFiles, AFullDiskIsAnError) {
  NpyWriter writer = NpyWriter::create("/dev/full", DType::F32, {2}).value();
  ASSERT_TRUE(writer.append(as_bytes(counts<float>(2))).ok());
  EXPECT_EQ(writer.finish().error().message, "/dev/full: cannot write file: No space left on device");
  EXPECT_TRUE(fs::is_character_file("/dev/full"));
}

TEST_F(NpyFiles, AFailureHalfwayLeavesNothing) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{4 << 20, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  std::string message;
  {
    NpyWriter writer = NpyWriter::create(path("big.npy"), DType::U8, {1 << 20}).value();
    const std::vector<u8> row(1 << 20);
    for (int i = 0; i < 8 && message.empty(); ++i) {
      if (auto appended = writer.append(row); !appended.ok()) message = appended.error().message;
    }
  }
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(message, path("big.npy") + ": cannot write file: File too large");
  EXPECT_EQ(files(), 0);
}

}  // namespace
}  // namespace tl
