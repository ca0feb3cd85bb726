#include "tl/text/tokenizer/tokenizer_json.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "tl/text/tokenizer/pre_tokenizers.h"

namespace tl {

namespace {

using Json = nlohmann::json;

constexpr std::string_view kMark = "\u2581";

// Readers of one field: `otherwise` where it is missing or null.
const Json& child(const Json& object, const char* key) {
  static const Json null;
  if (!object.is_object()) return null;
  const auto at = object.find(key);
  return at == object.end() ? null : *at;
}

Result<std::string> text_at(const Json& object, const char* key, std::string otherwise = {}) {
  const Json& value = child(object, key);
  if (value.is_null()) return otherwise;
  if (const auto* text = value.get_ptr<const std::string*>()) return *text;
  return fail(Code::BadFile, "'{}' is {} (want a string)", key, value.type_name());
}

Result<bool> flag_at(const Json& object, const char* key, bool otherwise = false) {
  const Json& value = child(object, key);
  if (value.is_null()) return otherwise;
  if (const auto* flag = value.get_ptr<const bool*>()) return *flag;
  return fail(Code::BadFile, "'{}' is {} (want a boolean)", key, value.type_name());
}

Result<TokenId> id_of(const Json& value, const char* what) {
  const auto* id = value.get_ptr<const Json::number_unsigned_t*>();
  if (id == nullptr || *id >= kNoToken) {
    return fail(Code::BadFile, "{} has the id {} (want a whole number)", what, value.dump(-1, ' ', true));
  }
  return static_cast<TokenId>(*id);
}

Error unsupported(const char* what, const std::string& type) {
  return fail(Code::Unsupported, "{} '{}' in tokenizer.json is not supported", what, type);
}

// Calls `read` with each member of a Sequence, or with `step` itself. Sequences do not nest in practice.
template <typename Read>
Result<void> for_each_step(const Json& step, const char* members, const Read& read) {
  if (step.is_null()) return {};
  TL_TRY(const std::string type, text_at(step, "type"));
  if (type != "Sequence") return read(step, type);
  const Json& list = child(step, members);
  if (!list.is_array()) return fail(Code::BadFile, "a Sequence has no list '{}'", members);
  for (const Json& member : list) {
    TL_TRY(const std::string member_type, text_at(member, "type"));
    if (member_type == "Sequence") return unsupported("a Sequence within a", "Sequence");
    TL_TRY_DO(read(member, member_type));
  }
  return {};
}

struct Pattern {
  std::string text;
  bool is_regex = false;
};
Result<Pattern> pattern_at(const Json& step) {
  const Json& pattern = child(step, "pattern");
  const bool is_regex = pattern.is_object() && pattern.contains("Regex");
  TL_TRY(std::string text, text_at(pattern, is_regex ? "Regex" : "String"));
  if (text.empty()) return fail(Code::BadFile, "a 'pattern' has no 'String' and no 'Regex'");
  return Pattern{std::move(text), is_regex};
}

Result<void> read_normalizer(const Json& step, const std::string& type, TokenizerSpec& spec) {
  using Kind = NormalizerStep::Kind;
  static constexpr std::pair<const char*, Kind> kPlain[] = {{"NFC", Kind::Nfc},
                                                            {"NFD", Kind::Nfd},
                                                            {"NFKC", Kind::Nfkc},
                                                            {"NFKD", Kind::Nfkd},
                                                            {"Lowercase", Kind::Lowercase}};
  for (const auto& [name, kind] : kPlain) {
    if (type != name) continue;
    spec.normalizer.push_back({.kind = kind});
    return {};
  }
  if (type == "Prepend") {
    TL_TRY(std::string content, text_at(step, "prepend"));
    spec.normalizer.push_back({.kind = Kind::Prepend, .content = std::move(content)});
  } else if (type == "Replace") {
    TL_TRY(Pattern pattern, pattern_at(step));
    TL_TRY(std::string content, text_at(step, "content"));
    spec.normalizer.push_back({Kind::Replace, std::move(pattern.text), std::move(content), pattern.is_regex});
  } else if (type == "Strip") {
    TL_TRY(const bool left, flag_at(step, "strip_left"));
    TL_TRY(const bool right, flag_at(step, "strip_right"));
    if (left) spec.normalizer.push_back({.kind = Kind::StripLeft});
    if (right) spec.normalizer.push_back({.kind = Kind::StripRight});
  } else {
    return unsupported("normalizer", type);
  }
  return {};
}

Result<SplitStep::Matches> matches_at(const Json& step) {
  using Matches = SplitStep::Matches;
  static constexpr std::pair<const char*, Matches> kNames[] = {{"Isolated", Matches::Isolated},
                                                               {"Removed", Matches::Removed},
                                                               {"MergedWithPrevious", Matches::JoinPrevious},
                                                               {"MergedWithNext", Matches::JoinNext},
                                                               {"Contiguous", Matches::Contiguous}};
  TL_TRY(const std::string behavior, text_at(step, "behavior", "Isolated"));
  for (const auto& [name, matches] : kNames) {
    if (behavior == name) return matches;
  }
  return unsupported("split behavior", behavior);
}

Result<void> read_byte_level(const Json& step, TokenizerSpec& spec) {
  if (spec.byte_level) return unsupported("a second pre_tokenizer", "ByteLevel");
  TL_TRY(const bool prefix, flag_at(step, "add_prefix_space", true));
  TL_TRY(const bool use_regex, flag_at(step, "use_regex", true));
  if (prefix) spec.splits.push_back({.kind = SplitStep::Kind::PrefixSpace});
  if (use_regex) spec.splits.push_back({.pattern = kGpt2Words});
  spec.byte_level = true;
  return {};
}

Result<void> read_metaspace(const Json& step, TokenizerSpec& spec) {
  using Prefix = SplitStep::Prefix;
  TL_TRY(const bool old_prefix, flag_at(step, "add_prefix_space", true));
  TL_TRY(const std::string scheme, text_at(step, "prepend_scheme", old_prefix ? "always" : "never"));
  if (scheme != "always" && scheme != "first" && scheme != "never")
    return unsupported("prepend_scheme", scheme);
  SplitStep out{.kind = SplitStep::Kind::Metaspace};
  out.prefix = scheme == "always" ? Prefix::Always : scheme == "first" ? Prefix::First : Prefix::Never;
  TL_TRY(out.content, text_at(step, "replacement", std::string(kMark)));
  TL_TRY(out.cut, flag_at(step, "split", true));
  spec.splits.push_back(std::move(out));
  return {};
}

Result<void> read_pre_tokenizer(const Json& step, const std::string& type, TokenizerSpec& spec) {
  if (type == "ByteLevel") return read_byte_level(step, spec);
  // The steps after ByteLevel see its alphabet; with none after it, spelling the text can be spared.
  const auto is_spell = [](const SplitStep& s) { return s.kind == SplitStep::Kind::Spell; };
  const bool spelled = std::any_of(spec.splits.begin(), spec.splits.end(), is_spell);
  if (spec.byte_level && !spelled) spec.splits.push_back({.kind = SplitStep::Kind::Spell});
  if (type == "Metaspace") return read_metaspace(step, spec);
  SplitStep out;
  if (type == "Split") {
    TL_TRY(Pattern pattern, pattern_at(step));
    out.pattern = std::move(pattern.text);
    out.is_regex = pattern.is_regex;
    TL_TRY(out.matches, matches_at(step));
    TL_TRY(out.invert, flag_at(step, "invert"));
  } else if (type == "Digits") {
    TL_TRY(const bool individual, flag_at(step, "individual_digits"));
    out.pattern = individual ? R"(\p{N})" : R"(\p{N}+)";
  } else if (type == "Punctuation") {
    out.pattern = R"([\p{P}$+<=>^`|~])";
    TL_TRY(out.matches, matches_at(step));
  } else if (type == "Whitespace" || type == "WhitespaceSplit") {
    out.pattern = type == "Whitespace" ? R"(\w+|[^\w\s]+)" : R"(\s+)";
    out.invert = type == "Whitespace";
    out.matches = SplitStep::Matches::Removed;
  } else {
    return unsupported("pre_tokenizer", type);
  }
  spec.splits.push_back(std::move(out));
  return {};
}

Result<void> read_decoder(const Json& step, const std::string& type, TokenizerSpec& spec, bool& byte_level) {
  if (type == "ByteLevel") {
    byte_level = true;
  } else if (type == "Replace") {
    TL_TRY(const Pattern pattern, pattern_at(step));
    TL_TRY(const std::string content, text_at(step, "content"));
    if (pattern.is_regex || pattern.text != kMark || content != " ") {
      return unsupported("decoder Replace of", pattern.text);
    }
    spec.spaces_as_marks = true;
  } else if (type == "Strip") {
    TL_TRY(const std::string content, text_at(step, "content", " "));
    const Json &start = child(step, "start"), &stop = child(step, "stop");
    if (content != " " || start != 1 || stop != 0)
      return unsupported("decoder", "Strip of other than one space");
    spec.strip_leading_space = true;
  } else if (type == "Metaspace") {
    TL_TRY(const bool old_prefix, flag_at(step, "add_prefix_space", true));
    TL_TRY(const std::string scheme, text_at(step, "prepend_scheme", old_prefix ? "always" : "never"));
    TL_TRY(const std::string mark, text_at(step, "replacement", std::string(kMark)));
    if (mark != kMark) return unsupported("decoder Metaspace with", mark);
    spec.spaces_as_marks = true;
    spec.strip_leading_space = scheme != "never";
  } else if (type != "ByteFallback" && type != "Fuse") {
    return unsupported("decoder", type);
  }
  return {};
}

// The ids that a TemplateProcessing puts before and after a text, at most one each.
Result<void> read_template(const Json& step, TokenizerSpec& spec) {
  const Json& single = child(step, "single");
  if (!single.is_array()) return fail(Code::BadFile, "a TemplateProcessing has no list 'single'");
  bool after = false;
  for (const Json& item : single) {
    const Json& token = child(item, "SpecialToken");
    if (token.is_null()) {
      after = true;
      continue;
    }
    TL_TRY(const std::string name, text_at(token, "id"));
    const Json& ids = child(child(child(step, "special_tokens"), name.c_str()), "ids");
    TokenId& slot = after ? spec.eos : spec.bos;
    if (!ids.is_array() || ids.size() != 1 || slot != kNoToken) {
      return unsupported("post_processor TemplateProcessing with more than one token beside the text at",
                         name);
    }
    TL_TRY(slot, id_of(ids[0], "a template's token"));
    (after ? spec.add_eos : spec.add_bos) = true;
  }
  return {};
}

Result<void> read_post_processor(const Json& step, const std::string& type, TokenizerSpec& spec) {
  if (type == "ByteLevel") return {};
  if (type == "TemplateProcessing") return read_template(step, spec);
  return unsupported("post_processor", type);
}

Result<void> read_vocabulary(const Json& model, const Json& added, TokenizerSpec& spec) {
  const Json& vocabulary = child(model, "vocab");
  if (!vocabulary.is_object())
    return fail(Code::BadFile, "the model of tokenizer.json has no object 'vocab'");
  // Ids may have holes, but not so many that a small file asks for a large table.
  const size_t most = 2 * (vocabulary.size() + added.size()) + 65536;
  const auto put = [&](TokenId id, const std::string& piece, TokenType type) -> Result<void> {
    if (id >= most)
      return fail(Code::BadFile, "token '{}' has the id {} among {}", piece, id, vocabulary.size());
    if (id >= spec.pieces.size()) {
      spec.pieces.resize(id + 1);
      spec.types.resize(id + 1, TokenType::Unused);
    }
    if (!spec.pieces[id].empty() && spec.pieces[id] != piece) {
      return fail(Code::BadFile, "tokens '{}' and '{}' have the same id {}", spec.pieces[id], piece, id);
    }
    spec.pieces[id] = piece;
    spec.types[id] = type;
    return {};
  };
  for (const auto& [piece, value] : vocabulary.items()) {
    TL_TRY(const TokenId id, id_of(value, "a token"));
    const bool byte = spec.byte_fallback && piece.size() == 6 && piece.starts_with("<0x");
    TL_TRY_DO(put(id, piece, byte ? TokenType::Byte : TokenType::Normal));
  }
  for (const Json& token : added) {
    AddedToken out;
    TL_TRY(const std::string content, text_at(token, "content"));
    TL_TRY(out.id, id_of(child(token, "id"), "an added token"));
    TL_TRY(const bool special, flag_at(token, "special"));
    TL_TRY(out.strip_left, flag_at(token, "lstrip"));
    TL_TRY(out.strip_right, flag_at(token, "rstrip"));
    TL_TRY(out.single_word, flag_at(token, "single_word"));
    TL_TRY(out.normalized, flag_at(token, "normalized", !special));
    TL_TRY_DO(put(out.id, content, special ? TokenType::Control : TokenType::UserDefined));
    spec.added.push_back(out);
  }
  return {};
}

Result<void> read_merges(const Json& model, TokenizerSpec& spec) {
  const Json& merges = child(model, "merges");
  if (!merges.is_array()) return fail(Code::BadFile, "the model of tokenizer.json has no list 'merges'");
  spec.merges.reserve(merges.size());
  for (const Json& merge : merges) {
    if (const auto* text = merge.get_ptr<const std::string*>()) {
      const size_t space = text->find(' ');
      if (space != std::string::npos && text->find(' ', space + 1) == std::string::npos) {
        spec.merges.push_back({text->substr(0, space) + text->substr(space + 1), static_cast<u32>(space)});
        continue;
      }
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      const auto &left = merge[0].get_ref<const std::string&>(),
                 &right = merge[1].get_ref<const std::string&>();
      spec.merges.push_back({left + right, static_cast<u32>(left.size())});
      continue;
    }
    return fail(Code::BadFile, "merge {} is {} (want two pieces)", spec.merges.size(),
                merge.dump(-1, ' ', true));
  }
  return {};
}

TokenId id_of_piece(const TokenizerSpec& spec, std::string_view piece) {
  const auto at = std::find(spec.pieces.begin(), spec.pieces.end(), piece);
  return piece.empty() || at == spec.pieces.end() ? kNoToken : static_cast<TokenId>(at - spec.pieces.begin());
}

Result<void> read_model(const Json& root, TokenizerSpec& spec) {
  const Json& model = child(root, "model");
  TL_TRY(const std::string type, text_at(model, "type", "BPE"));
  if (type != "BPE") return unsupported("model", type);
  if (const Json& dropout = child(model, "dropout"); !dropout.is_null() && dropout != 0.0) {
    return unsupported("model option", "dropout");
  }
  for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    TL_TRY(const std::string text, text_at(model, affix));
    if (!text.empty()) return unsupported("model option", affix);
  }
  TL_TRY(spec.byte_fallback, flag_at(model, "byte_fallback"));
  TL_TRY(spec.fuse_unknown, flag_at(model, "fuse_unk"));
  TL_TRY(spec.whole_words_first, flag_at(model, "ignore_merges"));
  const Json& added = child(root, "added_tokens");
  if (!added.is_null() && !added.is_array()) {
    return fail(Code::BadFile, "'added_tokens' is {} (want a list)", added.type_name());
  }
  TL_TRY_DO(read_vocabulary(model, added, spec));
  TL_TRY_DO(read_merges(model, spec));
  TL_TRY(const std::string unknown, text_at(model, "unk_token"));
  spec.unknown = id_of_piece(spec, unknown);
  if (!unknown.empty() && spec.unknown == kNoToken) {
    return fail(Code::BadFile, "the unk_token '{}' is not in the vocabulary", unknown);
  }
  return {};
}

// A token of tokenizer_config.json: its text, or an object that holds it.
Result<std::string> token_text(const Json& config, const char* key) {
  const Json& value = child(config, key);
  return value.is_object() ? text_at(value, "content") : text_at(config, key);
}

Result<void> read_config(std::string_view text, TokenizerSpec& spec) {
  const Json config = Json::parse(text, nullptr, false);
  if (!config.is_object()) return fail(Code::BadFile, "tokenizer_config.json is not a JSON object");
  const std::array<std::pair<const char*, TokenId*>, 3> named = {
      {{"bos_token", &spec.bos}, {"eos_token", &spec.eos}, {"pad_token", &spec.pad}}};
  for (const auto& [key, slot] : named) {
    TL_TRY(const std::string piece, token_text(config, key));
    if (const TokenId id = id_of_piece(spec, piece); id != kNoToken) *slot = id;
  }
  const Json& chat = child(config, "chat_template");
  if (!chat.is_array()) {
    TL_TRY(spec.chat_template, text_at(config, "chat_template"));
    return {};
  }
  for (const Json& named_template : chat) {
    TL_TRY(const std::string name, text_at(named_template, "name"));
    if (name != "default") continue;
    TL_TRY(spec.chat_template, text_at(named_template, "template"));
  }
  return {};
}

}  // namespace

Result<TokenizerSpec> read_tokenizer_json(std::string_view text, std::string_view config) {
  const Json root = Json::parse(text, nullptr, false);
  if (!root.is_object()) return fail(Code::BadFile, "tokenizer.json is not a JSON object");
  TokenizerSpec spec;
  spec.model = TokenizerSpec::Model::Bpe;
  spec.pre_tokenizer = "tokenizer.json";
  TL_TRY_DO(read_model(root, spec));
  TL_TRY_DO(for_each_step(
      child(root, "normalizer"), "normalizers",
      [&](const Json& step, const std::string& type) { return read_normalizer(step, type, spec); }));
  TL_TRY_DO(for_each_step(
      child(root, "pre_tokenizer"), "pretokenizers",
      [&](const Json& step, const std::string& type) { return read_pre_tokenizer(step, type, spec); }));
  bool decodes_bytes = false;
  TL_TRY_DO(for_each_step(child(root, "decoder"), "decoders", [&](const Json& step, const std::string& type) {
    return read_decoder(step, type, spec, decodes_bytes);
  }));
  if (child(root, "decoder").is_null()) return unsupported("a missing", "decoder");
  if (decodes_bytes != spec.byte_level) return unsupported("ByteLevel only on one side of", "decoder");
  TL_TRY_DO(for_each_step(
      child(root, "post_processor"), "processors",
      [&](const Json& step, const std::string& type) { return read_post_processor(step, type, spec); }));
  if (!config.empty()) TL_TRY_DO(read_config(config, spec));
  return spec;
}

}  // namespace tl
