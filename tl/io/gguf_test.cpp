#include "tl/io/gguf.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <random>

#include "tl/base/read_file.h"

namespace tl {
namespace {

// Writes GGUF by hand, so that a test can write it wrongly.
class Bytes {
 public:
  template <typename T>
  Bytes& put(T value) {
    const auto* p = reinterpret_cast<const u8*>(&value);
    out_.insert(out_.end(), p, p + sizeof value);
    return *this;
  }
  Bytes& text(std::string_view s) {
    put<u64>(s.size());
    out_.insert(out_.end(), s.begin(), s.end());
    return *this;
  }
  Bytes& type(GgufType t) { return put(static_cast<u32>(t)); }
  Bytes& header(u64 tensors, u64 metadata, u32 version = 3) {
    return put<u32>(0x46554747).put(version).put(tensors).put(metadata);
  }
  Bytes& key(std::string_view name, GgufType t) { return text(name).type(t); }
  Bytes& array(GgufType t, u64 size) { return type(t).put(size); }
  Bytes& tensor(std::string_view name, std::vector<u64> dims, u32 type_id, u64 offset) {
    text(name).put(static_cast<u32>(dims.size()));
    for (const u64 d : dims) put(d);
    return put(type_id).put(offset);
  }
  Bytes& align(u64 to = 32) {
    while (out_.size() % to != 0) out_.push_back(0);
    return *this;
  }
  Bytes& zeros(u64 count) {
    out_.insert(out_.end(), count, 0);
    return *this;
  }
  const std::vector<u8>& get() const { return out_; }

 private:
  std::vector<u8> out_;
};

Result<std::shared_ptr<const GgufFile>> read(std::span<const u8> bytes) {
  return GgufFile::read(MappedFile::borrowed(bytes, "test"));
}

std::string error_of(std::span<const u8> bytes) {
  auto file = read(bytes);
  return file.ok() ? "" : file.error().message;
}

// Everything a user of the file could touch.
u64 touch_all(const GgufFile& file) {
  u64 sum = 0;
  for (const auto& [key, value] : file.metadata()) sum += key.size() + to_string(value, 100).size();
  for (const GgufTensor& t : file.tensors()) {
    sum += static_cast<u64>(numel(t.shape));
    for (const u8 byte : file.bytes(t)) sum += byte;
    (void)file.get_tensor(t.name).ok();
  }
  return sum;
}

// One value of each kind, and two tensors.
Bytes sample() {
  Bytes b;
  b.header(2, 14);
  b.key("u8", GgufType::U8).put<u8>(200).key("i8", GgufType::I8).put<i8>(-100);
  b.key("u16", GgufType::U16).put<u16>(60000).key("i16", GgufType::I16).put<i16>(-30000);
  b.key("u32", GgufType::U32).put<u32>(4000000000u).key("i32", GgufType::I32).put<i32>(-2000000000);
  b.key("f32", GgufType::F32).put(1e-5f).key("bool", GgufType::Bool).put<u8>(1);
  b.key("text", GgufType::String).text("h\xc3\xa9").key("u64", GgufType::U64).put<u64>(~0ull);
  b.key("i64", GgufType::I64).put<i64>(-5).key("f64", GgufType::F64).put(0.1);
  b.key("words", GgufType::Array).array(GgufType::String, 3).text("a").text("").text("bcd");
  b.key("nested", GgufType::Array).array(GgufType::Array, 2);
  b.array(GgufType::I16, 2).put<i16>(1).put<i16>(-2).array(GgufType::F32, 1).put(0.5f);
  b.tensor("w", {32, 3}, 8, 0).tensor("b", {3}, 0, 128).align().zeros(102).align();
  return b.put(1.f).put(2.f).put(3.f);
}

TEST(Gguf, ReadsEveryKindOfValue) {
  const Bytes b = sample();
  const auto file = read(b.get()).value();
  EXPECT_EQ(file->version(), 3u);
  EXPECT_EQ(file->alignment(), 32u);
  EXPECT_EQ(file->metadata().size(), 14u);
  EXPECT_EQ(file->get_u64("u8").value(), 200u);
  EXPECT_EQ(file->get_i64("i8").value(), -100);
  EXPECT_EQ(file->get_u64("u16").value(), 60000u);
  EXPECT_EQ(file->get_i64("i16").value(), -30000);
  EXPECT_EQ(file->get_u64("u32").value(), 4000000000u);
  EXPECT_EQ(file->get_i64("i32").value(), -2000000000);
  EXPECT_EQ(file->get_f64("f32").value(), f64{1e-5f});
  EXPECT_EQ(file->get_f64("f64").value(), 0.1);
  EXPECT_EQ(file->get_f64("i64").value(), -5.0);
  EXPECT_TRUE(file->get_bool("bool").value());
  EXPECT_EQ(file->get_string("text").value(), "h\xc3\xa9");
  EXPECT_EQ(file->get_u64("u64").value(), ~0ull);
  EXPECT_EQ(file->get_i64("i64").value(), -5);
  const auto words = file->get_strings("words").value();
  ASSERT_EQ(words.size(), 3u);
  EXPECT_EQ(words[2], "bcd");
  const GgufArray* nested = file->find("nested")->as_array();
  ASSERT_EQ(nested->size, 2u);
  EXPECT_EQ(to_string(*file->find("nested")), "[[1, -2], [0.5]]");
  EXPECT_EQ(nested->at(0).as_array()->at(1).as_i64(), -2);
}

TEST(Gguf, ReadsTensors) {
  const Bytes b = sample();
  const auto file = read(b.get()).value();
  ASSERT_EQ(file->tensors().size(), 2u);
  const GgufTensor* w = file->get_tensor("w").value();
  EXPECT_EQ(w->dtype, DType::Q8_0);
  EXPECT_EQ(w->type_name, "Q8_0");
  EXPECT_EQ(w->shape, (Shape{3, 32}));
  EXPECT_EQ(w->size_bytes, 3u * 34);
  const GgufTensor* bias = file->get_tensor("b").value();
  const auto bytes = file->bytes(*bias);
  ASSERT_EQ(bytes.size(), 12u);
  float last;
  std::memcpy(&last, &bytes[8], sizeof last);
  EXPECT_EQ(last, 3.f);
  EXPECT_EQ(file->find_tensor("c"), nullptr);
  EXPECT_EQ(file->get_tensor("c").error().message, "test: no tensor 'c'");
}

TEST(Gguf, GettersSayWhatTheyFound) {
  const Bytes b = sample();
  const auto file = read(b.get()).value();
  EXPECT_EQ(file->get_u64("none").error().message,
            "test: no metadata key 'none' (want an integer of at least 0)");
  EXPECT_EQ(file->get_u64("i8").error().message,
            "test: metadata key 'i8' is int8 -100 (want an integer of at least 0)");
  EXPECT_EQ(file->get_i64("f64").error().message,
            "test: metadata key 'f64' is float64 0.1 (want an integer of at most 63 bits)");
  EXPECT_EQ(file->get_string("words").error().message,
            "test: metadata key 'words' is array of 3 strings (want a string)");
  EXPECT_EQ(file->get_f32s("words").error().message,
            "test: metadata key 'words' is array of 3 strings (want an array of numbers)");
  EXPECT_FALSE(file->get_strings("text").ok());
  EXPECT_FALSE(file->get_bool("u8").ok());
  EXPECT_FALSE(file->get_f64("text").ok());
  EXPECT_FALSE(file->get_i64s("nested").ok());
}

TEST(Gguf, NumberArraysNeedNoAlignment) {
  Bytes b;
  b.header(0, 3).key("odd", GgufType::U8).put<u8>(1);
  b.key("f", GgufType::Array).array(GgufType::F32, 3).put(1.f).put(-2.f).put(0.5f);
  b.key("i", GgufType::Array).array(GgufType::I32, 2).put<i32>(-7).put<i32>(8);
  const auto file = read(b.get()).value();
  EXPECT_EQ(file->get_f32s("f").value(), (std::vector<f32>{1, -2, 0.5}));
  EXPECT_EQ(file->get_i64s("i").value(), (std::vector<i64>{-7, 8}));
  EXPECT_EQ(file->get_f32s("i").value(), (std::vector<f32>{-7, 8}));
  EXPECT_FALSE(file->get_i64s("f").ok());
}

TEST(Gguf, RespectsAlignment) {
  Bytes b;
  b.header(1, 1).key("general.alignment", GgufType::U32).put<u32>(256);
  b.tensor("a", {1}, 0, 256).align(256).zeros(256).put(42.f);
  const auto file = read(b.get()).value();
  EXPECT_EQ(file->alignment(), 256u);
  float value;
  std::memcpy(&value, file->bytes(file->tensors()[0]).data(), sizeof value);
  EXPECT_EQ(value, 42.f);
}

TEST(Gguf, ListsButDoesNotLoadOtherTypes) {
  Bytes b;
  b.header(2, 0).tensor("iq", {256}, 16, 0).tensor("new", {7}, 1234, 96).align().zeros(128);
  const auto file = read(b.get()).value();
  EXPECT_EQ(file->tensors()[0].type_name, "IQ2_XXS");
  EXPECT_EQ(file->tensors()[0].size_bytes, 66u);
  EXPECT_EQ(file->get_tensor("iq").error().message,
            "test: tensor 'iq' has type 16 (IQ2_XXS), which is not supported");
  EXPECT_EQ(file->get_tensor("iq").error().code, Code::Unsupported);
  EXPECT_EQ(file->get_tensor("new").error().message,
            "test: tensor 'new' has type 1234 (unknown), which is not supported");
  EXPECT_TRUE(file->bytes(file->tensors()[1]).empty());
}

TEST(Gguf, LargeStringArraysAreFast) {
  Bytes b;
  constexpr u64 kCount = 300000;
  b.header(0, 1).key("tokens", GgufType::Array).array(GgufType::String, kCount);
  for (u64 i = 0; i < kCount; ++i) b.text("token");
  const auto file = read(b.get()).value();
  EXPECT_EQ(file->get_strings("tokens").value().size(), kCount);
}

// Written by the gguf package (tests/data/README.md).
TEST(Gguf, ReadsAWholeModel) {
  const auto file = GgufFile::open("tests/data/tiny-llama-k.gguf").value();
  EXPECT_EQ(file->get_string("general.architecture").value(), "llama");
  EXPECT_EQ(file->get_u64("llama.block_count").value(), 2u);
  EXPECT_EQ(file->get_f64("llama.attention.layer_norm_rms_epsilon").value(), f64{1e-5f});
  EXPECT_TRUE(file->get_bool("tokenizer.ggml.add_bos_token").value());
  const auto tokens = file->get_strings("tokenizer.ggml.tokens").value();
  ASSERT_EQ(tokens.size(), 260u);
  EXPECT_EQ(tokens[258], "<0xFF>");
  EXPECT_EQ(tokens[259], "\xe2\x96\x81");
  EXPECT_EQ(file->get_f32s("tokenizer.ggml.scores").value().size(), 260u);
  EXPECT_EQ(file->get_i64s("tokenizer.ggml.token_type").value()[3], 6);
  const GgufTensor* embedding = file->get_tensor("token_embd.weight").value();
  EXPECT_EQ(embedding->dtype, DType::Q2_K);
  EXPECT_EQ(embedding->shape, (Shape{260, 256}));
  const GgufTensor* gate = file->get_tensor("blk.0.ffn_gate.weight").value();
  EXPECT_EQ(gate->shape, (Shape{32, 256}));
  u64 bytes = 0;
  for (const GgufTensor& t : file->tensors()) bytes += file->bytes(t).size();
  EXPECT_GT(bytes, 0u);
  EXPECT_LT(bytes, file->file_size());
}

// Written by the gguf package, too: the ends of every type's range.
TEST(Gguf, ReadsEveryKindAsOthersWriteIt) {
  const auto file = GgufFile::open("tests/data/gguf/values.gguf").value();
  EXPECT_EQ(file->alignment(), 64u);
  const std::pair<const char*, const char*> rows[] = {
      {"uint8", "255"},
      {"int8", "-128"},
      {"uint16", "65535"},
      {"int16", "-32768"},
      {"uint32", "4294967295"},
      {"int32", "-2147483648"},
      {"uint64", "18446744073709551615"},
      {"int64", "-9223372036854775808"},
      {"float32", "0.1"},
      {"float64", "0.1"},
      {"bool", "true"},
      {"string", "\"\xc3\xa9\\n\""},
  };
  for (const auto& [kind, text] : rows) {
    const GgufValue* one = file->find(fmt::format("test.{}", kind));
    const GgufValue* three = file->find(fmt::format("test.{}s", kind));
    ASSERT_TRUE(one != nullptr && three != nullptr) << kind;
    EXPECT_EQ(one->type_name(), kind);
    EXPECT_EQ(to_string(*one), text);
    EXPECT_EQ(three->type_name(), fmt::format("array of 3 {}s", kind));
    EXPECT_EQ(to_string(*three), fmt::format("[{0}, {0}, {0}]", text));
    EXPECT_EQ(to_string(*three, 1), fmt::format("[{}, … 3 elements]", text));
  }
  EXPECT_EQ(file->find_tensor("cube")->shape, (Shape{2, 3, 4}));
  EXPECT_EQ(file->find_tensor("q8")->shape, (Shape{2, 32}));
  const auto cube = file->bytes(*file->get_tensor("cube").value());
  i32 element;
  std::memcpy(&element, &cube[4 * (1 * 12 + 2 * 4 + 3)], sizeof element);
  EXPECT_EQ(element, 23);
  EXPECT_EQ(file->get_tensor("iq").error().message,
            "tests/data/gguf/values.gguf: tensor 'iq' has type 16 (IQ2_XXS), which is not supported");
}

struct Hostile {
  const char* name;
  std::function<Bytes()> make;
  const char* wanted;  // part of the message
};

Bytes nested_arrays(int depth) {
  Bytes b;
  b.header(0, 1).key("deep", GgufType::Array);
  for (int i = 0; i < depth; ++i) b.array(GgufType::Array, 1);
  return b.array(GgufType::U8, 0);
}

Bytes one_tensor(std::vector<u64> dims, u32 type, u64 offset, u64 data) {
  Bytes b;
  b.header(1, 0).tensor("t", std::move(dims), type, offset).align().zeros(data);
  return b;
}

Bytes alignment_of(u32 alignment) {
  Bytes b;
  b.header(0, 1).key("general.alignment", GgufType::U32).put(alignment);
  return b;
}

constexpr u64 kHuge = ~u64{0};

const Hostile kHostile[] = {
    {"empty", [] { return Bytes(); }, "test: file is empty (want a GGUF file)"},
    {"text", [] { return Bytes().put('t').put('e').put('x').put('t'); },
     "not a GGUF file: magic is 0x74786574"},
    {"magic only", [] { return Bytes().put<u32>(0x46554747); },
     "file ends too early: 0 bytes left at byte 4 (want 4)"},
    {"version 1", [] { return Bytes().header(0, 0, 1); }, "GGUF version 1 (want 2 or 3)"},
    {"version 4", [] { return Bytes().header(0, 0, 4); }, "GGUF version 4 (want 2 or 3)"},
    {"big-endian", [] { return Bytes().header(0, 0, 0x03000000); }, "big-endian GGUF (want little-endian)"},
    {"huge tensor count", [] { return Bytes().header(kHuge, 0); }, "18446744073709551615 tensors do not fit"},
    {"huge metadata count", [] { return Bytes().header(0, kHuge / 2); }, "metadata keys do not fit"},
    {"more tensors than listed", [] { return Bytes().header(2, 0).tensor("t", {1}, 0, 0).zeros(8); },
     "2 tensors do not fit"},
    {"huge key", [] { return Bytes().header(0, 1).put(kHuge).zeros(32); },
     "metadata key 0 of 1 at byte 24: string at byte 24 is 18446744073709551615 bytes long"},
    {"long key",
     [] { return Bytes().header(0, 1).text(std::string(70000, 'k')).type(GgufType::U8).put<u8>(1); },
     "name of 70000 bytes (want at most 65535)"},
    {"huge string", [] { return Bytes().header(0, 1).key("s", GgufType::String).put(kHuge - 7).zeros(64); },
     "metadata key 's': string at byte"},
    {"unknown value type", [] { return Bytes().header(0, 1).text("k").put<u32>(13).zeros(64); },
     "metadata key 'k': value type 13 at byte 33 (want 0 to 12)"},
    {"bad bool", [] { return Bytes().header(0, 1).key("k", GgufType::Bool).put<u8>(2); },
     "bool at byte 37 is 2 (want 0 or 1)"},
    {"huge number array",
     [] {
       return Bytes().header(0, 1).key("k", GgufType::Array).array(GgufType::U64, u64{1} << 61).zeros(64);
     },
     "array of 2305843009213693952 uint64s at byte 37 does not fit in the 64 bytes left"},
    {"huge string array",
     [] { return Bytes().header(0, 1).key("k", GgufType::Array).array(GgufType::String, kHuge).zeros(64); },
     "does not fit in the 64 bytes left"},
    {"huge nested array",
     [] { return Bytes().header(0, 1).key("k", GgufType::Array).array(GgufType::Array, kHuge).zeros(64); },
     "does not fit in the 64 bytes left"},
    {"string array cut",
     [] {
       return Bytes().header(0, 1).key("k", GgufType::Array).array(GgufType::String, 2).text("a").put<u64>(9);
     },
     "metadata key 'k': element 1: string at byte"},
    {"deep nesting", [] { return nested_arrays(9); }, "arrays nested more than 8 deep at byte"},
    {"very deep nesting", [] { return nested_arrays(1000000); }, "arrays nested more than 8 deep at byte"},
    {"many nested arrays",
     [] {
       return Bytes().header(0, 1).key("k", GgufType::Array).array(GgufType::Array, 70000).zeros(12 * 70000);
     },
     "70000 arrays within arrays (want at most 65536)"},
    {"key twice",
     [] { return Bytes().header(0, 2).key("k", GgufType::U8).put<u8>(1).key("k", GgufType::U8).put<u8>(2); },
     "metadata key 'k' appears twice"},
    {"key with odd bytes", [] { return Bytes().header(0, 1).text("a\n\xff").put<u32>(99).zeros(8); },
     "metadata key 'a\\x0a\\xff': value type 99"},
    {"alignment 0", [] { return alignment_of(0); }, "'general.alignment' is 0 (want a power of two)"},
    {"alignment 24", [] { return alignment_of(24); }, "'general.alignment' is 24 (want a power of two)"},
    {"alignment text",
     [] { return Bytes().header(0, 1).key("general.alignment", GgufType::String).text("32"); },
     "'general.alignment' is string (want uint32)"},
    {"tensor twice",
     [] { return Bytes().header(2, 0).tensor("t", {1}, 0, 0).tensor("t", {1}, 0, 32).align().zeros(64); },
     "tensor 't' appears twice"},
    {"overlap",
     [] { return Bytes().header(2, 0).tensor("a", {9}, 0, 0).tensor("b", {1}, 0, 32).align().zeros(64); },
     "tensor 'b' at byte 128 overlaps tensor 'a' (36 bytes at byte 96)"},
    {"same place",
     [] { return Bytes().header(2, 0).tensor("a", {9}, 0, 0).tensor("b", {9}, 0, 0).align().zeros(64); },
     "overlaps tensor"},
    {"misaligned", [] { return one_tensor({1}, 0, 4, 64); },
     "tensor 't': offset 4 is not a multiple of the alignment 32"},
    {"past the end", [] { return one_tensor({17}, 0, 0, 64); },
     "tensor 't': 68 bytes at offset 0 go past the file's end (64 bytes of tensor data)"},
    {"offset past the end", [] { return one_tensor({0}, 0, 96, 64); }, "go past the file's end"},
    {"huge offset", [] { return one_tensor({16}, 0, kHuge - 31, 64); }, "go past the file's end"},
    {"huge offset of unknown type", [] { return one_tensor({16}, 999, kHuge - 31, 64); },
     "go past the file's end"},
    {"no data at all", [] { return Bytes().header(1, 0).tensor("t", {1}, 0, 0); },
     "(0 bytes of tensor data)"},
    {"dims overflow",
     [] {
       return one_tensor({u64{1} << 32, u64{1} << 32}, 0, 0, 64);
     },
     "tensor 't': dims [4294967296, 4294967296] overflow"},
    {"bytes overflow",
     [] {
       return one_tensor({u64{1} << 61, 2}, 28, 0, 64);
     },
     "overflow"},
    {"overflow hidden by 0",
     [] {
       return one_tensor({0, kHuge}, 0, 0, 64);
     },
     "overflow"},
    {"overflow between zeros",
     [] {
       return one_tensor({0, u64{1} << 40, u64{1} << 40}, 0, 0, 64);
     },
     "overflow"},
    {"negative dim", [] { return one_tensor({static_cast<u64>(-4)}, 0, 0, 64); }, "overflow"},
    {"too many dims",
     [] {
       return one_tensor({1, 1, 1, 1, 1, 1, 1, 1, 1}, 0, 0, 64);
     },
     "9 dims (want at most 8)"},
    {"dims past the end", [] { return Bytes().header(1, 0).text("t").put<u32>(8).put<u64>(1).put<u64>(1); },
     "tensor 't': file ends too early"},
    {"part of a block",
     [] {
       return one_tensor({40, 2}, 2, 0, 128);
     },
     "tensor 't': rows of 40 elements are not whole blocks of Q4_0 (want a multiple of 32)"},
};

class GgufHostile : public testing::TestWithParam<Hostile> {};

TEST_P(GgufHostile, IsRefusedByName) {
  const Bytes bytes = GetParam().make();
  const std::string message = error_of(bytes.get());
  EXPECT_NE(message.find(GetParam().wanted), std::string::npos) << GetParam().name << ": " << message;
  EXPECT_EQ(message.rfind("test: ", 0), 0u) << message;
}

INSTANTIATE_TEST_SUITE_P(All, GgufHostile, testing::ValuesIn(kHostile), [](const auto& row) {
  std::string name = row.param.name;
  for (char& c : name) {
    if (std::isalnum(static_cast<u8>(c)) == 0) c = '_';
  }
  return name;
});

TEST(Gguf, NoDataIsFineWithoutTensors) {
  const auto file = read(Bytes().header(0, 0, 2).get());
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file.value()->version(), 2u);
}

// Empty tensors and ones of unknown size may lie where the data would start, even if the file ends before
// that.
TEST(Gguf, EmptyTensorsNeedNoBytes) {
  Bytes b;
  b.header(2, 0).tensor("a", {0, 4}, 0, 0).tensor("b", {4}, 999, 0);
  ASSERT_NE(b.get().size() % 32, 0u);
  const auto file = read(b.get()).value();
  EXPECT_EQ(touch_all(*file), 4u);
}

TEST(GgufPaths, SayWhatIsWrong) {
  EXPECT_EQ(GgufFile::open("/no/such.gguf").error().message,
            "/no/such.gguf: cannot open file: No such file or directory");
  EXPECT_EQ(GgufFile::open("/no/such.gguf").error().code, Code::Io);
  EXPECT_EQ(GgufFile::open("/tmp").error().message, "/tmp: is a directory (want a file)");
  EXPECT_EQ(GgufFile::open("/dev/null").error().message, "/dev/null: is not a regular file");
  const std::string empty = testing::TempDir() + "tl_empty.gguf";
  std::ofstream(empty).close();
  EXPECT_EQ(GgufFile::open(empty).error().message, empty + ": file is empty (want a GGUF file)");
  std::filesystem::remove(empty);
}

TEST(GgufPaths, NoticesAFileCutShort) {
  const std::string path = testing::TempDir() + "tl_cut.gguf";
  const Bytes b = sample();
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(b.get().data()), std::ssize(b.get()));
  const auto file = GgufFile::open(path).value();
  EXPECT_TRUE(file->check_whole().ok());
  file->prefetch();
  EXPECT_GT(touch_all(*file), 0u);
  file->release_pages(file->bytes(file->tensors()[0]));
  EXPECT_GT(touch_all(*file), 0u);
  std::filesystem::resize_file(path, 100);
  EXPECT_EQ(file->check_whole().error().message,
            fmt::format("{}: file has 100 bytes, but had {} when it was opened", path, b.get().size()));
  std::filesystem::remove(path);
}

std::vector<u8> contents(const std::string& path) {
  const std::string text = read_whole_file(path).value();
  return {text.begin(), text.end()};
}

// Where the tensor data starts: cuts and flips are interesting before it.
u64 data_start(const GgufFile& file) {
  u64 start = file.file_size();
  for (const GgufTensor& t : file.tensors()) start = std::min(start, t.offset);
  return start;
}

// The bytes are copied to an exact allocation, so that the address sanitizer sees a read past the end.
void read_copy(std::span<const u8> bytes) {
  const std::unique_ptr<u8[]> copy(new u8[bytes.size()]);
  std::copy(bytes.begin(), bytes.end(), copy.get());
  const auto file = read({copy.get(), bytes.size()});
  if (file.ok()) touch_all(*file.value());
}

TEST(GgufDamage, EveryCutIsAnError) {
  const Bytes b = sample();
  for (size_t n = 0; n < b.get().size(); ++n) {
    const std::vector<u8> cut(b.get().begin(), b.get().begin() + static_cast<i64>(n));
    EXPECT_NE(error_of(cut), "") << n << " bytes of " << b.get().size();
    read_copy(cut);
  }
}

TEST(GgufDamage, CutsOfAWholeModelAreErrors) {
  const auto all = contents("tests/data/tiny-llama-f32.gguf");
  ASSERT_FALSE(all.empty()) << "run from the source folder";
  const auto file = read(all).value();
  const u64 start = data_start(*file);
  const auto error_at = [&](u64 n) { return error_of(std::span(all).first(n)); };
  for (u64 n = 0; n < start; n += 1) ASSERT_NE(error_at(n), "") << n;
  const GgufTensor& last = file->tensors().back();  // what follows it is padding
  for (u64 n = start; n < last.offset + *last.size_bytes; n += 997) ASSERT_NE(error_at(n), "") << n;
}

TEST(GgufDamage, FlippedBytesNeverCrash) {
  const Bytes b = sample();
  std::vector<u8> bytes = b.get();
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (const u8 flip : {0x01, 0x80, 0xff, 0x20}) {
      bytes[i] ^= flip;
      read_copy(bytes);
      bytes[i] ^= flip;
    }
  }
}

TEST(GgufDamage, RandomDamageNeverCrashes) {
  auto bytes = contents("tests/data/tiny-llama-f32.gguf");
  ASSERT_FALSE(bytes.empty()) << "run from the source folder";
  const u64 start = data_start(*read(bytes).value());
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::vector<u8> damaged(bytes.begin(),
                            bytes.begin() + static_cast<i64>(std::min<u64>(bytes.size(), start + 4096)));
    for (u32 n = 1 + random() % 4; n > 0; --n) damaged[random() % start] = static_cast<u8>(random());
    if (const auto file = read(damaged); file.ok()) touch_all(*file.value());
  }
}

}  // namespace
}  // namespace tl
