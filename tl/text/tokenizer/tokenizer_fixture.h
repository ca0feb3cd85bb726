// What the tokenizer tests share: stored vocabularies and ids, see scripts/make_tokenizer_fixtures.py.
#pragma once

#include <gtest/gtest.h>

#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tl/base/read_file.h"
#include "tl/text/tokenizer/tokenizer.h"
#include "tl/text/tokenizer/tokenizer_metadata.h"

namespace tl::test {

using Json = nlohmann::json;

inline constexpr const char* kFixtures = "tests/data/tokenizer/";

inline std::string read_text(const std::string& path) {
  Result<std::string> text = read_whole_file(path);
  EXPECT_TRUE(text.ok()) << "run from the root of the repository";
  return std::move(text).value();
}
inline Json read_json(const std::string& name) {
  return Json::parse(read_text(kFixtures + name));
}

inline std::string from_hex(const std::string& hex) {
  std::string out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    out += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return out;
}

inline std::string repeat(const std::string& text, size_t times) {
  std::string out;
  for (size_t i = 0; i < times; ++i) out += text;
  return out;
}

inline u64 hash_ids(const std::vector<TokenId>& ids) {  // FNV-1a, one step per id
  u64 hash = 0xcbf29ce484222325;
  for (const TokenId id : ids) hash = (hash ^ id) * 0x100000001b3;
  return hash;
}

// The hard strings, in the order of every fixture's ids.
inline const std::vector<std::string>& hard_strings() {
  static const std::vector<std::string> all = [] {
    std::vector<std::string> out;
    const Json hard = read_json("hard.json");
    for (const Json& hex : hard["hex"]) out.push_back(from_hex(hex));
    return out;
  }();
  return all;
}

// Metadata from memory.
class FakeMetadata final : public MetadataView {
 public:
  std::map<std::string, Json, std::less<>> values;

  bool has(std::string_view key) const override { return values.contains(key); }
  Result<std::string> get_string(std::string_view key) const override { return get<std::string>(key); }
  Result<bool> get_bool(std::string_view key) const override { return get<bool>(key); }
  Result<u64> get_u64(std::string_view key) const override { return get<u64>(key); }
  Result<std::vector<i64>> get_i64s(std::string_view key) const override {
    return get<std::vector<i64>>(key);
  }
  Result<std::vector<f32>> get_f32s(std::string_view key) const override {
    return get<std::vector<f32>>(key);
  }
  Result<std::vector<std::string>> get_strings(std::string_view key) const override {
    return get<std::vector<std::string>>(key);
  }

 private:
  template <typename T>
  Result<T> get(std::string_view key) const {
    const auto at = values.find(key);
    if (at == values.end()) return fail(Code::BadFile, "no metadata key '{}'", key);
    return at->second.get<T>();
  }
};

// The same vocabulary as a GGUF file would hold it.
inline FakeMetadata metadata_of(const Json& tokenizer, const std::string& pre) {
  FakeMetadata out;
  std::vector<std::string> tokens(tokenizer["model"]["vocab"].size());
  for (const auto& [piece, id] : tokenizer["model"]["vocab"].items()) {
    if (id >= tokens.size()) tokens.resize(id.get<size_t>() + 1);
    tokens[id] = piece;
  }
  std::vector<int> types(tokens.size(), 1);
  for (const Json& added : tokenizer["added_tokens"]) {
    const size_t id = added["id"];
    tokens.resize(std::max(tokens.size(), id + 1));
    types.resize(tokens.size(), 1);
    tokens[id] = added["content"];
    types[id] = added["special"].get<bool>() ? 3 : 4;
  }
  std::vector<std::string> merges;
  for (const Json& merge : tokenizer["model"]["merges"]) {
    merges.push_back(merge[0].get<std::string>() + " " + merge[1].get<std::string>());
  }
  out.values = {{"tokenizer.ggml.model", "gpt2"},  {"tokenizer.ggml.pre", pre},
                {"tokenizer.ggml.tokens", tokens}, {"tokenizer.ggml.token_type", types},
                {"tokenizer.ggml.merges", merges}, {"tokenizer.ggml.bos_token_id", 0},
                {"tokenizer.ggml.eos_token_id", 2}};
  return out;
}

inline FakeMetadata spm_metadata(const Json& fixture) {
  FakeMetadata out;
  const Json& m = fixture["metadata"];
  out.values = {{"tokenizer.ggml.model", "llama"},
                {"tokenizer.ggml.tokens", m["tokens"]},
                {"tokenizer.ggml.scores", m["scores"]},
                {"tokenizer.ggml.token_type", m["types"]}};
  return out;
}

}  // namespace tl::test
