#include "tl/io/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tl/base/read_file.h"
#include "tl/tensor/quant.h"

namespace tl {
namespace {

namespace fs = std::filesystem;

const std::string kFolder = "tests/data/safetensors/";

std::string contents(const std::string& path) {
  return read_whole_file(path).value();
}

std::span<const u8> as_bytes(std::string_view text) {
  return {reinterpret_cast<const u8*>(text.data()), text.size()};
}

Result<std::shared_ptr<const SafetensorsModel>> read(std::string_view file) {
  return SafetensorsModel::read(MappedFile::borrowed(as_bytes(file), "test"));
}

std::string file_of(std::string_view header, size_t data) {
  const u64 length = header.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  return file + std::string(header) + std::string(data, '\0');
}

std::string error_of(std::string_view file) {
  auto model = read(file);
  return model.ok() ? "" : model.error().message;
}

u64 touch_all(const SafetensorsModel& model) {
  u64 sum = 0;
  for (const SafetensorsTensor& t : model.tensors()) {
    sum += static_cast<u64>(numel(t.shape));
    for (const u8 byte : model.bytes(t)) sum += byte;
    (void)model.get_tensor(t.name).ok();
  }
  return sum;
}

std::vector<float> floats(const SafetensorsModel& model, std::string_view name) {
  const SafetensorsTensor* t = model.get_tensor(name).value();
  std::vector<float> out(static_cast<size_t>(numel(t->shape)));
  dequantize_row(*t->dtype, model.bytes(*t).data(), out.data(), std::ssize(out));
  return out;
}

const std::vector<float> kCounts = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};

TEST(Safetensors, ReadsEveryType) {
  const auto model = SafetensorsModel::open(kFolder + "types.safetensors").value();
  EXPECT_EQ(model->tensors().size(), 13u);
  EXPECT_EQ(model->metadata().at("note"), "\xc3\xa9 \"quoted\"");
  for (const DType dtype : {DType::F64, DType::F32, DType::F16, DType::BF16, DType::I64, DType::I32,
                            DType::I16, DType::I8, DType::U8, DType::Bool}) {
    const SafetensorsTensor* t = model->get_tensor(name_of(dtype)).value();
    EXPECT_EQ(t->dtype, dtype);
    EXPECT_EQ(t->shape, (Shape{3, 4}));
    if (is_float(dtype)) {
      EXPECT_EQ(floats(*model, name_of(dtype)), kCounts) << name_of(dtype);
    }
  }
  EXPECT_EQ(model->get_tensor("scalar").value()->shape, Shape{});
  EXPECT_EQ(floats(*model, "scalar"), std::vector<float>{2.5f});
  EXPECT_EQ(model->get_tensor("empty").value()->shape, (Shape{0, 5}));
}

TEST(Safetensors, ListsButDoesNotLoadOtherTypes) {
  const auto model = SafetensorsModel::open(kFolder + "types.safetensors").value();
  EXPECT_EQ(model->find_tensor("float8")->type_name, "F8_E4M3");
  EXPECT_EQ(model->get_tensor("float8").error().message,
            kFolder + "types.safetensors: tensor 'float8' has type 'F8_E4M3', which is not supported");
  EXPECT_EQ(model->get_tensor("none").error().message, kFolder + "types.safetensors: no tensor 'none'");
}

TEST(Safetensors, ReadsAnIndexAndAFolder) {
  for (const std::string& path : {kFolder + "model.safetensors.index.json", kFolder}) {
    const auto model = SafetensorsModel::open(path).value();
    EXPECT_EQ(model->files().size(), 2u);
    EXPECT_EQ(model->tensors().size(), 3u);
    EXPECT_EQ(floats(*model, "float32"), kCounts);
    EXPECT_EQ(floats(*model, "bfloat16"), kCounts);
    EXPECT_TRUE(model->check_whole().ok());
  }
}

class SafetensorsFiles : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    fs::copy(kFolder, folder_, fs::copy_options::recursive);
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string index_error(std::string_view json) {
    std::ofstream(folder_ + "/model.safetensors.index.json") << json;
    auto model = SafetensorsModel::open(folder_);
    return model.ok() ? "" : model.error().message;
  }
  std::string folder_ = testing::TempDir() + "tl_safetensors";
};

TEST_F(SafetensorsFiles, BadIndexesAreRefused) {
  const std::string prefix = folder_ + "/model.safetensors.index.json: ";
  EXPECT_EQ(index_error(""), prefix + "not JSON at byte 1");
  EXPECT_EQ(index_error("{}"), prefix + "no 'weight_map' that names files");
  EXPECT_EQ(index_error("[]"), prefix + "top level: value an array is not expected here");
  EXPECT_EQ(index_error(R"({"weight_map": {"a": 1}})"),
            prefix + "'weight_map' / 'a': value a number is not expected here");
  EXPECT_EQ(index_error(R"({"weight_map": {"a": "../types.safetensors"}})"),
            prefix + "tensor 'a' is in '../types.safetensors' (want a file name without a folder)");
  EXPECT_EQ(index_error(R"({"weight_map": {"a": "types.safetensors"}})"),
            prefix + "no tensor 'a' in types.safetensors, where the index has it");
  EXPECT_EQ(index_error(R"({"weight_map": {"a": "none.safetensors"}})"),
            folder_ + "/none.safetensors: cannot open file: No such file or directory");
  std::string twice =
      R"({"weight_map": {"int8": "types.safetensors", "b": "model-00001-of-00002.safetensors"}})";
  EXPECT_EQ(index_error(twice), prefix + "tensor 'float32' appears twice");
  std::string deep = R"({"metadata": )";
  for (int i = 0; i < 100000; ++i) deep += R"({"a":)";
  EXPECT_EQ(index_error(deep), prefix + "objects nested more than 8 deep");
}

TEST_F(SafetensorsFiles, WhatWasWrittenIsRead) {
  const std::string path = folder_ + "/out.safetensors";
  const std::vector<float> a = {1, 2, 3, 4, 5, 6};
  const std::vector<i64> b = {-1};
  const SafetensorsEntry entries[] = {
      {"layer.a", DType::F32, {2, 3}, {reinterpret_cast<const u8*>(a.data()), 24}},
      {"b \"x\"", DType::I64, {}, {reinterpret_cast<const u8*>(b.data()), 8}},
      {"none", DType::BF16, {0}, {}},
  };
  ASSERT_TRUE(write_safetensors(path, entries, {{"step", "12"}}).ok());
  const auto model = SafetensorsModel::open(path).value();
  EXPECT_EQ(model->metadata().at("step"), "12");
  EXPECT_EQ(floats(*model, "layer.a"), a);
  EXPECT_EQ(model->get_tensor("b \"x\"").value()->dtype, DType::I64);
  EXPECT_EQ(model->tensors()[0].offset % 8, 0u);
  EXPECT_EQ(model->get_tensor("none").value()->size_bytes, 0u);
  const SafetensorsEntry quantised[] = {{"q", DType::Q4_0, {32}, {}}};
  EXPECT_EQ(write_safetensors(path, quantised, {}).error().message,
            path + ": tensor 'q': q4_0 cannot be written as safetensors");
}

TEST(Safetensors, HostileFilesAreRefused) {
  const struct {
    std::string header;
    size_t data;
    std::string wanted;
  } rows[] = {
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8, ""},
      {R"({})", 0, ""},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 7,
       "bytes 0 to 8 of the 7 bytes of tensor data"},
      {R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8,
       "tensor 'a': 8 bytes (want 12 for F32 [3])"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8, "bytes 8 to 0 of the 8"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[18446744073709551608,0]}})", 8,
       "bytes 18446744073709551608"},
      {R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8,
       "header: 'a' / 'shape': value -2 is not expected"},
      {R"({"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})", 8, "value 2.0 is not expected here"},
      {R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 8, "overflows"},
      {R"({"a":{"dtype":"F32","shape":[0,4294967296,4294967296],"data_offsets":[0,0]}})", 8, "overflows"},
      {R"({"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}})", 4,
       "9 dims (want at most 8)"},
      {R"({"a":{"dtype":"F32","shape":[[2]],"data_offsets":[0,8]}})", 8,
       "value an array is not expected here"},
      {R"({"a":{"dtype":"F32","shape":[2]}})", 8, "tensor 'a' has 0 'data_offsets' (want 2)"},
      {R"({"a":{"dtype":"F32","data_offsets":[0,8]}})", 8, "tensor 'a' has no 'shape'"},
      {R"({"a":{"shape":[2],"data_offsets":[0,8]}})", 8, "tensor 'a' has no 'dtype'"},
      {R"({"a":{"dtype":1,"shape":[2],"data_offsets":[0,8]}})", 8, "value 1 is not expected here"},
      {R"({"a":{"dtype":"F32","shape":"2","data_offsets":[0,8]}})", 8,
       "'a' / 'shape': value '2' is not expected here"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":{}}})", 8,
       "value an object is not expected here"},
      {R"({"a":1})", 8, "value 1 is not expected here"},
      {R"({"__metadata__":{"a":1}})", 8, "'__metadata__' / 'a': value 1 is not expected here"},
      {R"({"__metadata__":"x"})", 8, "value 'x' is not expected here"},
      {R"([1])", 8, "header: top level: value an array is not expected here"},
      {R"({"a")", 8, "header: not JSON at byte"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
       R"("a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
       8, "test: tensor 'a' appears twice"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
       R"("b":{"dtype":"I8","shape":[1],"data_offsets":[7,8]}})",
       8, "tensor 'b' at byte"},
      {std::string(100000, '['), 8, "value an array is not expected here"},
      {"{\"\xff\":1}", 8, "not JSON at byte"},
  };
  for (const auto& row : rows) {
    const std::string message = error_of(file_of(row.header, row.data));
    if (row.wanted.empty()) {
      EXPECT_EQ(message, "") << row.header;
    } else {
      EXPECT_NE(message.find(row.wanted), std::string::npos) << row.header.substr(0, 100) << ": " << message;
    }
  }
  EXPECT_EQ(error_of(""), "test: file is empty (want a safetensors file)");
  EXPECT_EQ(error_of("abc"), "test: file ends too early: 3 bytes left at byte 0 (want 8)");
  EXPECT_EQ(error_of("import torch"),
            "test: not a safetensors file: header of 8367816142499114345 bytes (want at most 4)");
}

TEST(Safetensors, CutsAndFlipsNeverCrash) {
  const std::string all = contents(kFolder + "types.safetensors");
  ASSERT_FALSE(all.empty());
  for (size_t n = 0; n < all.size(); ++n) EXPECT_NE(error_of(std::string(all, 0, n)), "") << n;
  std::string damaged = all;
  for (size_t i = 0; i < all.size(); ++i) {
    for (const char flip : {'\x01', '\x02', '\x10', '\x7f', '\x80'}) {
      damaged[i] = static_cast<char>(damaged[i] ^ flip);
      if (const auto model = read(damaged); model.ok()) touch_all(*model.value());
      damaged[i] = all[i];
    }
  }
}

}  // namespace
}  // namespace tl
