// Tokenizers against the ids of HuggingFace tokenizers, sentencepiece and llama.cpp.
#include <time.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "tl/io/gguf.h"
#include "tl/text/tokenizer/stream_decoder.h"
#include "tl/text/tokenizer/tokenizer_fixture.h"
#include "tl/text/tokenizer/tokenizer_json.h"

namespace tl::test {
namespace {

Tokenizer make(Result<TokenizerSpec> spec) {
  TL_CHECK(spec.ok(), "{}", spec.ok() ? "" : spec.error().message);
  auto made = Tokenizer::create(std::move(*spec));
  TL_CHECK(made.ok(), "{}", made.ok() ? "" : made.error().message);
  return std::move(*made);
}

std::vector<TokenId> ids_of(const Json& ids) {
  return ids.get<std::vector<TokenId>>();
}

std::string stream(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  StreamDecoder decoder(tokenizer);
  std::string out;
  for (const TokenId id : ids) {
    auto part = decoder.feed(id);
    EXPECT_TRUE(part.ok());
    out += *part;
  }
  return out + decoder.finish();
}

// `lossless`: the vocabulary can spell every byte and the normalizer keeps the text.
void expect_cases(const Tokenizer& tokenizer, const Json& cases, const EncodeOptions& options,
                  bool lossless) {
  const auto& hard = hard_strings();
  ASSERT_EQ(cases["ids"].size(), hard.size());
  for (size_t i = 0; i < hard.size(); ++i) {
    SCOPED_TRACE(fmt::format("string {}: '{}'", i, hard[i]));
    auto ids = tokenizer.encode(hard[i], options);
    ASSERT_TRUE(ids.ok()) << ids.error().message;
    if (!cases["ids"][i].is_null()) {
      EXPECT_EQ(*ids, ids_of(cases["ids"][i]));
    }
    auto text = tokenizer.decode(*ids);
    ASSERT_TRUE(text.ok()) << text.error().message;
    EXPECT_TRUE(!lossless || *text == hard[i]) << *text;
    if (!cases["text"][i].is_null()) {
      EXPECT_EQ(*text, cases["text"][i].get<std::string>());
    }
    EXPECT_EQ(stream(tokenizer, *ids), *text);
  }
  const Json texts = read_json("hard.json")["long"];
  for (size_t i = 0; i < texts.size(); ++i) {
    SCOPED_TRACE(fmt::format("long text {}", i));
    const std::string text = repeat(from_hex(texts[i]["hex"]), texts[i]["times"]);
    auto ids = tokenizer.encode(text, options);
    ASSERT_TRUE(ids.ok()) << ids.error().message;
    EXPECT_TRUE(!lossless || *tokenizer.decode(*ids) == text);
    if (cases["long"][i].is_null()) continue;
    EXPECT_EQ(ids->size(), cases["long"][i]["count"].get<size_t>());
    EXPECT_EQ(fmt::format("{:016x}", hash_ids(*ids)), cases["long"][i]["hash"].get<std::string>());
  }
}

class ByteLevel : public testing::TestWithParam<const char*> {};

TEST_P(ByteLevel, EqualsHuggingFaceFromBothFormats) {
  const Json fixture = read_json(fmt::format("{}.json", GetParam()));
  const Json& tokenizer = fixture["tokenizer"];
  expect_cases(make(read_tokenizer_json(tokenizer.dump())), fixture["cases"], {.parse_special = true}, true);
  for (const Json& pre : fixture["pre"]) {
    SCOPED_TRACE(pre);
    const Tokenizer from_metadata = make(read_tokenizer_spec(metadata_of(tokenizer, pre)));
    expect_cases(from_metadata, fixture["cases"], {.parse_special = true}, true);
  }
}
INSTANTIATE_TEST_SUITE_P(Tokenizer, ByteLevel,
                         testing::Values("gpt-2", "smollm", "llama-bpe", "qwen2", "deepseek-llm",
                                         "deepseek-coder", "falcon"));

class TokenizerJson : public testing::TestWithParam<const char*> {};

TEST_P(TokenizerJson, EqualsHuggingFace) {
  const Json fixture = read_json(fmt::format("{}.json", GetParam()));
  expect_cases(make(read_tokenizer_json(fixture["tokenizer"].dump())), fixture["cases"],
               {.parse_special = true}, false);
}
INSTANTIATE_TEST_SUITE_P(Tokenizer, TokenizerJson,
                         testing::Values("json-nfc", "json-prefix-space", "json-splits", "llama-json",
                                         "metaspace-first", "metaspace-always", "metaspace-never"));

TEST(Tokenizer, SpmEqualsSentencepiece) {
  const Json fixture = read_json("spm.json");
  expect_cases(make(read_tokenizer_spec(spm_metadata(fixture))), fixture["cases"], {}, false);
}

f64 thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<f64>(now.tv_sec) + 1e-9 * static_cast<f64>(now.tv_nsec);
}

// Twice the text may not take much more than twice the time of this thread, which a busy machine does not
// change much; a quadratic step would take four times as long.
TEST(Tokenizer, TimeIsLinearInTheText) {
  const auto seconds = [](const Tokenizer& tokenizer, const std::string& text) {
    const f64 start = thread_seconds();
    EXPECT_TRUE(tokenizer.encode(text, {.parse_special = true}).ok());
    return thread_seconds() - start;
  };
  std::vector<std::pair<std::string, Tokenizer>> all;
  for (const char* name : {"gpt-2", "llama-bpe", "deepseek-llm", "deepseek-coder", "falcon"}) {
    const Json tokenizer = read_json(fmt::format("{}.json", name))["tokenizer"];
    all.emplace_back(name, make(read_tokenizer_spec(metadata_of(tokenizer, name))));
  }
  all.emplace_back("spm", make(read_tokenizer_spec(spm_metadata(read_json("spm.json")))));
  for (const auto& [name, tokenizer] : all) {
    for (const std::string unit :
         {"The quick brown fox. ", "abcdefghij", " ", " \n", "!", "<|im_start", "\xff"}) {
      const std::string once = repeat(unit, 100'000 / unit.size()), twice = once + once;
      bool linear = false;
      for (int attempt = 0; attempt < 5 && !linear; ++attempt) {
        linear = seconds(tokenizer, twice) < 3 * seconds(tokenizer, once) + 0.002;
      }
      EXPECT_TRUE(linear) << name << ", repeated '" << unit << "'";
    }
  }
}

// The vocabularies of real models: too large to store, so fetched.
struct RealCase {
  const char* name;
  const char* file = nullptr;  // where it is not one of the fetched vocabularies
};

std::string path_of(const RealCase& real) {
  const char* home = std::getenv("HOME");
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* models = std::getenv("TL_MODELS");
  const std::string base = cache != nullptr ? cache : fmt::format("{}/.cache", home == nullptr ? "" : home);
  const std::string kept = models != nullptr ? models : base + "/tl/models";
  if (real.file != nullptr) return fmt::format("{}/{}", kept, real.file);
  const char* folder = std::getenv("TL_TEST_VOCABS");
  return fmt::format("{}/ggml-vocab-{}.gguf", folder == nullptr ? "build/test-vocabs" : folder, real.name);
}

// The vectors that come with the vocabularies.
void expect_vectors(const Tokenizer& tokenizer, const std::string& path) {
  const std::string inputs = read_text(path + ".inp"), separator = "\n__ggml_vocab_test__\n";
  std::istringstream outputs(read_text(path + ".out"));
  std::string line;
  for (size_t at = 0; at < inputs.size() && std::getline(outputs, line);) {
    const size_t end = std::min(inputs.find(separator, at), inputs.size());
    const std::string text = inputs.substr(at, end - at);
    std::istringstream words(line);
    const std::vector<TokenId> want{std::istream_iterator<TokenId>(words), {}};
    auto got = tokenizer.encode(text);
    ASSERT_TRUE(got.ok()) << got.error().message;
    EXPECT_EQ(*got, want) << text;
    at = end + separator.size();
  }
}

class RealVocabulary : public testing::TestWithParam<RealCase> {};

TEST_P(RealVocabulary, EqualsLlamaCpp) {
  const std::string path = path_of(GetParam());
  if (!std::filesystem::exists(path)) {
    const std::string why = path + " is missing: run " +
                            (GetParam().file != nullptr ? "tl models fetch smollm2-135m-instruct"
                                                        : "scripts/fetch_test_vocabs.sh");
    if (std::getenv("TL_REQUIRE_MODEL") != nullptr) FAIL() << why;
    GTEST_SKIP() << why;
  }
  auto file = GgufFile::open(path);
  ASSERT_TRUE(file.ok()) << file.error().message;
  const Tokenizer tokenizer = make(read_tokenizer_spec(**file));
  const Json fixture = read_json(fmt::format("vocabs/{}.json", GetParam().name));
  const auto& hard = hard_strings();
  for (size_t i = 0; i < hard.size(); ++i) {
    SCOPED_TRACE(fmt::format("string {}: '{}'", i, hard[i]));
    auto ids = tokenizer.encode(hard[i]);
    ASSERT_TRUE(ids.ok()) << ids.error().message;
    if (!fixture["ids"][i].is_null()) {
      EXPECT_EQ(*ids, ids_of(fixture["ids"][i]));
    }
  }
  for (const auto& [hex, ids] : fixture["special"].items()) {
    auto got = tokenizer.encode(from_hex(hex), {.parse_special = true});
    ASSERT_TRUE(got.ok()) << got.error().message;
    EXPECT_EQ(*got, ids_of(ids)) << from_hex(hex);
  }
  if (std::filesystem::exists(path + ".inp")) expect_vectors(tokenizer, path);
}
INSTANTIATE_TEST_SUITE_P(Tokenizer, RealVocabulary,
                         testing::Values(RealCase{"smollm2-135m-instruct", "smollm2-135m-instruct.gguf"},
                                         RealCase{"gpt-2"}, RealCase{"llama-bpe"}, RealCase{"qwen2"},
                                         RealCase{"deepseek-llm"}, RealCase{"deepseek-coder"},
                                         RealCase{"falcon"}, RealCase{"starcoder"}, RealCase{"command-r"},
                                         RealCase{"refact"}, RealCase{"llama-spm"}, RealCase{"phi-3"}),
                         [](const auto& info) {
                           std::string name = info.param.name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace tl::test
