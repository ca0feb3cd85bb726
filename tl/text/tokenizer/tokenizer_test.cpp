#include "tl/text/tokenizer/tokenizer.h"

#include <gtest/gtest.h>

#include "tl/text/tokenizer/pre_tokenizers.h"
#include "tl/text/tokenizer/regex.h"
#include "tl/text/tokenizer/stream_decoder.h"
#include "tl/text/tokenizer/tokenizer_fixture.h"
#include "tl/text/tokenizer/tokenizer_json.h"

namespace tl::test {
namespace {

Json gpt2() {
  return read_json("gpt-2.json")["tokenizer"];
}

Tokenizer make_gpt2() {
  auto spec = read_tokenizer_spec(metadata_of(gpt2(), "gpt-2"));
  TL_CHECK(spec.ok());
  auto made = Tokenizer::create(std::move(*spec));
  TL_CHECK(made.ok());
  return std::move(*made);
}

TEST(Tokenizer, SpecialTokensOnlyWhereAsked) {
  const Tokenizer t = make_gpt2();
  const std::string text = "<|im_start|>user";
  const TokenId start = t.find("<|im_start|>");
  const auto plain = *t.encode(text), special = *t.encode(text, {.parse_special = true});
  EXPECT_EQ(std::count(plain.begin(), plain.end(), start), 0);
  EXPECT_EQ(special.front(), start);
  EXPECT_EQ(*t.decode(plain), text);
  EXPECT_EQ(*t.decode(special), text);
  EXPECT_EQ(*t.decode(special, {.skip_special = true}), "user");
  // A user-defined token is not special: it is always taken whole, and always shown.
  const auto tool = *t.encode("a<tool>b");
  EXPECT_EQ(std::count(tool.begin(), tool.end(), t.find("<tool>")), 1);
  EXPECT_EQ(*t.decode(tool, {.skip_special = true}), "a<tool>b");
}

TEST(Tokenizer, AddsBosAndEos) {
  const Tokenizer t = make_gpt2();
  EXPECT_EQ(*t.encode("", {.add_bos = true, .add_eos = true}), (std::vector<TokenId>{0, 2}));
  EXPECT_FALSE(t.spec().add_bos);
  EXPECT_TRUE(t.is_end(t.find("<|endoftext|>")));
  EXPECT_TRUE(t.is_end(t.find("<|im_end|>")));
  EXPECT_FALSE(t.is_end(t.find("<|im_start|>")));
  EXPECT_TRUE(t.is_special(t.find("<|im_start|>")));
}

TEST(Tokenizer, IdsOutsideTheVocabularyAreErrors) {
  const Tokenizer t = make_gpt2();
  const TokenId ids[] = {t.size()};
  auto text = t.decode(ids);
  ASSERT_FALSE(text.ok());
  EXPECT_EQ(text.error().message, fmt::format("token {0} is not in the vocabulary of {0}", t.size()));
  StreamDecoder stream(t);
  EXPECT_FALSE(stream.feed(t.size()).ok());
}

TEST(StreamDecoder, HoldsACharacterBackUntilItIsWhole) {
  const Tokenizer t = make_gpt2();
  const auto id = [&](u8 byte) {
    const char c = static_cast<char>(byte);
    auto ids = t.encode({&c, 1});
    return (*ids)[0];
  };
  StreamDecoder stream(t);
  EXPECT_EQ(*stream.feed(id('a')), "a");
  EXPECT_EQ(*stream.feed(id(0xF0)), "");
  EXPECT_EQ(*stream.feed(id(0x9F)), "");
  EXPECT_EQ(*stream.feed(id(0x98)), "");
  EXPECT_EQ(*stream.feed(id(0x80)), "\U0001f600");
  // What turns out to be no character comes out as it is.
  EXPECT_EQ(*stream.feed(id(0xE2)), "");
  EXPECT_EQ(*stream.feed(id('b')),
            "\xe2"
            "b");
  EXPECT_EQ(*stream.feed(id(0xC3)), "");
  EXPECT_EQ(stream.finish(), "\xc3");
  EXPECT_EQ(stream.finish(), "");
}

TEST(TokenizerMetadata, BadFilesAreErrorsThatSayWhat) {
  struct Case {
    const char* key;
    Json value;
    const char* message;
  };
  const Case kCases[] = {
      {"tokenizer.ggml.model", "bert", "tokenizer model 'bert' is not supported (want llama or gpt2)"},
      {"tokenizer.ggml.tokens", Json::array(),
       "tokenizer.ggml.token_type has 593 elements, tokenizer.ggml.tokens has 0"},
      {"tokenizer.ggml.token_type",
       {1, 2},
       "tokenizer.ggml.token_type has 2 elements, tokenizer.ggml.tokens has 593"},
      {"tokenizer.ggml.merges",
       {"a"},
       "tokenizer.ggml.merges[0] is 'a' (want two parts and a space between)"},
      {"tokenizer.ggml.merges",
       {"a "},
       "tokenizer.ggml.merges[0] is 'a ' (want two parts and a space between)"},
  };
  for (const Case& c : kCases) {
    FakeMetadata metadata = metadata_of(gpt2(), "gpt-2");
    metadata.values[c.key] = c.value;
    auto spec = read_tokenizer_spec(metadata);
    ASSERT_FALSE(spec.ok()) << c.key;
    std::string message = c.message;
    const std::string count = std::to_string(make_gpt2().size());
    for (size_t at; (at = message.find("593")) != std::string::npos;) message.replace(at, 3, count);
    EXPECT_EQ(spec.error().message, message);
  }
}

TEST(TokenizerMetadata, UnknownPreTokenizerIsNamed) {
  auto spec = read_tokenizer_spec(metadata_of(gpt2(), "frob"));
  ASSERT_FALSE(spec.ok());
  EXPECT_EQ(spec.error().code, Code::Unsupported);
  EXPECT_NE(spec.error().message.find("pre-tokenizer 'frob' is not supported (want one of gpt-2, "),
            std::string::npos);
  for (const std::string_view name : pre_tokenizer_names()) {
    EXPECT_TRUE(read_tokenizer_spec(metadata_of(gpt2(), std::string(name))).ok()) << name;
  }
}

TEST(TokenizerJson, WhatIsNotSupportedIsNamed) {
  struct Case {
    const char* pointer;
    Json value;
    const char* message;
  };
  const Case kCases[] = {
      {"/model/type", "Unigram", "model 'Unigram' in tokenizer.json is not supported"},
      {"/model/dropout", 0.1, "model option 'dropout' in tokenizer.json is not supported"},
      {"/model/end_of_word_suffix", "</w>",
       "model option 'end_of_word_suffix' in tokenizer.json is not supported"},
      {"/normalizer",
       {{"type", "Precompiled"}},
       "normalizer 'Precompiled' in tokenizer.json is not supported"},
      {"/pre_tokenizer",
       {{"type", "BertPreTokenizer"}},
       "pre_tokenizer 'BertPreTokenizer' in tokenizer.json is not supported"},
      {"/post_processor",
       {{"type", "BertProcessing"}},
       "post_processor 'BertProcessing' in tokenizer.json is not supported"},
      {"/decoder", {{"type", "WordPiece"}}, "decoder 'WordPiece' in tokenizer.json is not supported"},
      {"/model/vocab", Json::array(), "the model of tokenizer.json has no object 'vocab'"},
      {"/model/vocab/!", 4000000000u, "token '!' has the id 4000000000 among"},
      {"/model/vocab/!", -1, "a token has the id -1 (want a whole number)"},
      {"/model/merges", {"a"}, "merge 0 is \"a\" (want two pieces)"},
      {"/model/unk_token", "<no>", "the unk_token '<no>' is not in the vocabulary"},
  };
  for (const Case& c : kCases) {
    Json tokenizer = gpt2();
    tokenizer[Json::json_pointer(c.pointer)] = c.value;
    auto spec = read_tokenizer_json(tokenizer.dump());
    ASSERT_FALSE(spec.ok()) << c.pointer;
    EXPECT_TRUE(spec.error().message.starts_with(c.message)) << spec.error().message;
  }
  for (const char* text : {"", "[", "[]", "1", "{}", "{\"model\": 1}", "{\"model\": {\"type\": 1}}"}) {
    EXPECT_FALSE(read_tokenizer_json(text).ok()) << text;
  }
}

TEST(TokenizerJson, ConfigNamesTokensAndTemplate) {
  auto spec = read_tokenizer_json(gpt2().dump(),
                                  R"({"bos_token": "<|im_start|>", "eos_token": {"content": "<|im_end|>"},
                                      "chat_template": [{"name": "default", "template": "T"}]})");
  ASSERT_TRUE(spec.ok()) << spec.error().message;
  EXPECT_EQ(spec->pieces[spec->bos], "<|im_start|>");
  EXPECT_EQ(spec->pieces[spec->eos], "<|im_end|>");
  EXPECT_EQ(spec->chat_template, "T");
}

TEST(TokenizerSpec, InconsistentSpecsAreErrors) {
  const auto error = [](TokenizerSpec spec) {
    auto made = Tokenizer::create(std::move(spec));
    return made.ok() ? std::string() : made.error().message;
  };
  EXPECT_EQ(error({}), "the vocabulary is empty");
  EXPECT_EQ(error({.pieces = {"a"}}), "the vocabulary has 1 pieces but 0 token types");
  EXPECT_EQ(error({.pieces = {"a"}, .types = {TokenType::Normal}, .eos = 7}),
            "the eos token 7 is not among the 1 pieces");
  EXPECT_EQ(error({.model = TokenizerSpec::Model::Spm, .pieces = {"a"}, .types = {TokenType::Normal}}),
            "the vocabulary has 1 pieces but 0 scores");
  EXPECT_EQ(error({.pieces = {"a"}, .types = {TokenType::Normal}, .merges = {{"ab", 2}}}),
            "merge 0 'ab' has not two parts");
}

TEST(Tokenizer, NoTokenForACharacterIsAnError) {
  auto made = Tokenizer::create({.pieces = {"a"}, .types = {TokenType::Normal}});
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(*made->encode("aa"), (std::vector<TokenId>{0, 0}));
  auto ids = made->encode("a\u00e9");
  ASSERT_FALSE(ids.ok());
  EXPECT_EQ(ids.error().message, "the vocabulary has no token for the bytes c3 a9 and no unknown token");
}

TEST(Regex, ReadsOnigurumasDialect) {
  const auto matches = [](std::string_view pattern, std::string_view text) {
    auto regex = Regex::compile(pattern);
    TL_CHECK(regex.ok(), "{}", regex.ok() ? "" : regex.error().message);
    auto found = regex->find(text, 0);
    TL_CHECK(found.ok());
    return found->has_value() ? std::string(text.substr((*found)->begin, (*found)->end - (*found)->begin))
                              : "-";
  };
  EXPECT_EQ(matches(R"(\s+)", "a\u3000\u180eb"), "\u3000");
  EXPECT_EQ(matches(R"([^\s]+)", "\u0085ab c"), "ab");
  EXPECT_EQ(matches(R"(\w+)", "-e\u0301_1-"), "e\u0301_1");
  EXPECT_EQ(matches(R"(\bb\b)", "ab b"), "b");
  EXPECT_EQ(matches(R"([[:alpha:]]+)", "1ab"), "ab");
  EXPECT_EQ(matches(R"([]a]+)", "x]a"), "]a");
  EXPECT_EQ(matches(R"(\s+$)", "a  b  "), "  ");
  EXPECT_EQ(matches(R"(\s+$)", "a  b"), "-");
  for (const char* pattern : {"(", "[a", R"(\h)", "[a&&b]", "[a[b]]", R"([\S])", R"(\G)", "[[:x"}) {
    EXPECT_FALSE(Regex::compile(pattern).ok()) << pattern;
  }
}

TEST(Regex, RunawayPatternsEndInErrors) {
  auto regex = Regex::compile("(a|aa)+$");
  ASSERT_TRUE(regex.ok());
  EXPECT_FALSE(regex->find(std::string(5000, 'a') + "c", 0).ok());
}

}  // namespace
}  // namespace tl::test
