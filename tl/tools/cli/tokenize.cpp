// tl tokenize, tl detokenize: text to ids and back over standard input and output.
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tl/api/paths.h"
#include "tl/base/read_file.h"
#include "tl/io/gguf.h"
#include "tl/text/tokenizer/tokenizer.h"
#include "tl/text/tokenizer/tokenizer_json.h"
#include "tl/text/tokenizer/tokenizer_metadata.h"
#include "tl/tools/cli/commands.h"

namespace tl::cli {
namespace {

using nlohmann::ordered_json;
constexpr auto kReplaceInvalid = ordered_json::error_handler_t::replace;

Result<Tokenizer> open_tokenizer(const std::string& model) {
  TL_TRY(const std::string path, find_model(model));
  if (path.ends_with(".json")) {
    TL_TRY(const std::string text, read_whole_file(path));
    TL_TRY(TokenizerSpec spec, read_tokenizer_json(text));
    return Tokenizer::create(std::move(spec));
  }
  TL_TRY(const auto file, GgufFile::open(path));
  TL_TRY(TokenizerSpec spec, read_tokenizer_spec(*file));
  return Tokenizer::create(std::move(spec));
}

// Ids from {"tokens": […]}, or from numbers parted by spaces, commas or lines.
Result<std::vector<TokenId>> parse_ids(const std::string& text, bool json) {
  std::vector<TokenId> ids;
  if (json) {
    const ordered_json in = ordered_json::parse(text, nullptr, false);
    if (!in.is_object() || !in.contains("tokens") || !in["tokens"].is_array()) {
      return fail(Code::BadFile, "found other JSON on standard input, want {{\"tokens\": [ids]}}");
    }
    for (const auto& id : in["tokens"]) {
      if (!id.is_number_unsigned() || id.get<u64>() > 0xffffffffull) {
        return fail(Code::BadFile, "found {} among the tokens, want ids",
                    id.dump(-1, ' ', false, kReplaceInvalid));
      }
      ids.push_back(id.get<TokenId>());
    }
    return ids;
  }
  std::string spaced = text;
  std::replace(spaced.begin(), spaced.end(), ',', ' ');
  std::istringstream words(spaced);
  for (std::string word; words >> word;) {
    const bool digits = word.size() <= 10 &&
                        std::all_of(word.begin(), word.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!digits || std::stoull(word) > 0xffffffffull)
      return fail(Code::BadFile, "found '{}', want a token id", word);
    ids.push_back(static_cast<TokenId>(std::stoull(word)));
  }
  return ids;
}

Result<void> print_tokens(const std::string& model, bool json, bool special) {
  TL_TRY(const Tokenizer tokenizer, open_tokenizer(model));
  TL_TRY(const std::string text, read_whole_file(stdin, "standard input"));
  TL_TRY(const std::vector<TokenId> ids, tokenizer.encode(text, {.parse_special = special}));
  if (json) {
    ordered_json out{{"tokens", ids}, {"pieces", ordered_json::array()}};
    for (const TokenId id : ids) out["pieces"].push_back(std::string(tokenizer.bytes(id)));
    fmt::print("{}\n", out.dump(-1, ' ', false, kReplaceInvalid));
    return {};
  }
  for (size_t i = 0; i < ids.size(); ++i) fmt::print("{}{}", i == 0 ? "" : " ", ids[i]);
  fmt::print("\n");
  return {};
}

Result<void> print_text(const std::string& model, bool json) {
  TL_TRY(const Tokenizer tokenizer, open_tokenizer(model));
  TL_TRY(const std::string input, read_whole_file(stdin, "standard input"));
  TL_TRY(const std::vector<TokenId> ids, parse_ids(input, json));
  TL_TRY(const std::string text, tokenizer.decode(ids));
  if (json) {
    fmt::print("{}\n", ordered_json{{"text", text}}.dump(-1, ' ', false, kReplaceInvalid));
  } else if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) {
    return fail(Code::Io, "cannot write to standard output");
  }
  return {};
}

}  // namespace

int tokenize(const std::string& model, bool json, bool special) {
  const Result<void> done = print_tokens(model, json, special);
  return done.ok() ? kOk : report(done.error());
}

int detokenize(const std::string& model, bool json) {
  const Result<void> done = print_text(model, json);
  return done.ok() ? kOk : report(done.error());
}

}  // namespace tl::cli
