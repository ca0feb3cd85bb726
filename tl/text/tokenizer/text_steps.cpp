#include "tl/text/tokenizer/text_steps.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "tl/base/utf8.h"
#include "tl/text/stray_bytes.h"
#include "tl/text/tokenizer/byte_level.h"

namespace tl {

namespace {

// A stretch of a text; between two of them bytes may have been removed.
struct Part {
  size_t begin = 0, end = 0;
};
struct Stretch {
  Part part;
  bool is_match = false;
};

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  out.reserve(text.size());
  size_t at = 0;
  for (size_t hit; !from.empty() && (hit = text.find(from, at)) != std::string_view::npos;) {
    out.append(text, at, hit - at).append(to);
    at = hit + from.size();
  }
  return out.append(text.substr(at));
}

// Every match of `regex` in `text` and what lies between them, without gaps.
Result<std::vector<Stretch>> stretches(const Regex& regex, std::string_view text) {
  std::vector<Stretch> out;
  size_t done = 0;
  for (size_t from = 0; from <= text.size();) {
    TL_TRY(const std::optional<Regex::Match> match, regex.find(text, from));
    if (!match || match->end < match->begin || match->begin < done) break;
    if (match->begin > done) out.push_back({{done, match->begin}, false});
    out.push_back({{match->begin, match->end}, true});
    done = match->end;
    from = done;
    if (match->begin == match->end) from += from < text.size() ? utf8::decode_known(text, from).length : 1;
  }
  if (done < text.size()) out.push_back({{done, text.size()}, false});
  return out;
}

// How each way of treating matches makes parts of stretches; `out` may hold empty parts afterwards.
std::vector<Part> join(const std::vector<Stretch>& in, SplitStep::Matches matches) {
  using Matches = SplitStep::Matches;
  std::vector<Part> out;
  bool after_match = false;
  const bool backwards = matches == Matches::JoinNext;
  for (size_t n = 0; n < in.size(); ++n) {
    const auto& [part, is_match] = in[backwards ? in.size() - 1 - n : n];
    const bool contiguous = matches == Matches::Contiguous && n > 0 && is_match == after_match;
    const bool joins = (backwards || matches == Matches::JoinPrevious) && is_match && !after_match;
    if (matches == Matches::Removed) {
      if (!is_match) out.push_back(part);
    } else if ((contiguous || joins) && !out.empty()) {
      (backwards ? out.back().begin : out.back().end) = backwards ? part.begin : part.end;
    } else {
      out.push_back(part);
    }
    after_match = is_match;
  }
  if (backwards) std::reverse(out.begin(), out.end());
  return out;
}

Result<std::string> normal_form(std::string_view text, int options) {
  struct Free {
    void operator()(utf8proc_uint8_t* p) const { std::free(p); }
  };
  std::string out;
  for (size_t i = 0; i < text.size();) {
    size_t end = i;
    for (size_t n; end < text.size() && (n = utf8::decode(text, end).length) > 0;) end += n;
    if (end == i) {  // a stray byte, which has no normal form
      out.append(text, i, 3);
      i += 3;
      continue;
    }
    utf8proc_uint8_t* raw = nullptr;
    const utf8proc_ssize_t size =
        utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data() + i),
                     static_cast<utf8proc_ssize_t>(end - i), &raw, static_cast<utf8proc_option_t>(options));
    const std::unique_ptr<utf8proc_uint8_t, Free> owner(raw);
    if (size < 0) return fail(Code::OutOfMemory, "cannot normalize the text: {}", utf8proc_errmsg(size));
    out.append(reinterpret_cast<const char*>(raw), static_cast<size_t>(size));
    i = end;
  }
  return out;
}

std::string lowercase(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const auto [code, length] = utf8::decode_known(text, i);
    if (code == 0x130) {  // the one letter whose small form is two characters
      out += "i\u0307";
    } else {
      utf8::append(out, utf8::stray_byte(code) ? code : static_cast<u32>(utf8proc_tolower(code)));
    }
    i += length;
  }
  return out;
}

std::string strip_left(std::string_view text) {
  while (!text.empty()) {
    const auto [code, length] = utf8::decode_known(text, 0);
    if (!utf8::is_space(code)) break;
    text.remove_prefix(length);
  }
  return std::string(text);
}

std::string strip_right(std::string_view text) {
  while (!text.empty()) {
    const size_t start = utf8::start_before(text, text.size());
    if (!utf8::is_space(utf8::decode_known(text, start).code)) break;
    text = text.substr(0, start);
  }
  return std::string(text);
}

Result<std::string> replace_matches(const Regex& regex, std::string_view text, std::string_view content) {
  TL_TRY(const std::vector<Stretch> parts, stretches(regex, text));
  std::string out;
  for (const auto& [part, is_match] : parts) {
    out += is_match ? content : text.substr(part.begin, part.end - part.begin);
  }
  return out;
}

}  // namespace

Result<Normalizer> Normalizer::create(std::span<const NormalizerStep> steps) {
  Normalizer made;
  for (const NormalizerStep& step : steps) {
    made.steps_.push_back({step});
    if (step.kind != NormalizerStep::Kind::Replace || !step.is_regex) continue;
    TL_TRY(made.steps_.back().regex, Regex::compile(step.pattern));
  }
  return made;
}

Result<std::string> Normalizer::apply(std::string text) const {
  using Kind = NormalizerStep::Kind;
  const auto run = [](const Step& step, std::string in) -> Result<std::string> {
    switch (step.step.kind) {
      case Kind::Prepend:
        return in.empty() ? in : step.step.content + in;
      case Kind::Replace:
        if (step.regex) return replace_matches(*step.regex, in, step.step.content);
        return replace_all(in, step.step.pattern, step.step.content);
      case Kind::Nfc:
        return normal_form(in, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
      case Kind::Nfd:
        return normal_form(in, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE);
      case Kind::Nfkc:
        return normal_form(in, UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
      case Kind::Nfkd:
        return normal_form(in, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT);
      case Kind::Lowercase:
        return lowercase(in);
      case Kind::StripLeft:
        return strip_left(in);
      case Kind::StripRight:
        return strip_right(in);
    }
    return in;
  };
  for (const Step& step : steps_) {
    TL_TRY(text, run(step, std::move(text)));
  }
  return text;
}

Result<Splitter> Splitter::create(std::span<const SplitStep> steps) {
  Splitter made;
  for (const SplitStep& step : steps) {
    made.steps_.push_back({step});
    if (step.kind == SplitStep::Kind::PrefixSpace || step.kind == SplitStep::Kind::Spell) continue;
    if (step.kind == SplitStep::Kind::Metaspace && step.content.empty()) {
      return fail(Code::BadFile, "a Metaspace step has no replacement character");
    }
    const bool metaspace = step.kind == SplitStep::Kind::Metaspace;
    TL_TRY(made.steps_.back().regex, metaspace       ? Regex::literal(step.content)
                                     : step.is_regex ? Regex::compile(step.pattern)
                                                     : Regex::literal(step.pattern));
  }
  return made;
}

namespace {

// The text between two steps: what the parts are cut from.
struct Work {
  std::string owned;  // once a step has changed the text
  std::string_view text;
  std::vector<Part> parts;
};

// The bytes that escape_stray_bytes has hidden among the text's own.
std::string unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const auto [code, length] = utf8::decode_known(text, i);
    const std::optional<u8> stray = utf8::stray_byte(code);
    if (stray) out += static_cast<char>(*stray);
    if (!stray) out += text.substr(i, length);
    i += length;
  }
  return out;
}

void spell(Work& work) {
  std::string out;
  for (Part& part : work.parts) {
    const size_t begin = out.size();
    out += byte_level::spell(unescape(work.text.substr(part.begin, part.end - part.begin)));
    part = {begin, out.size()};
  }
  work.owned = std::move(out);
  work.text = work.owned;
}

// Puts `prefix` before the parts that want it, and a mark for every space if `mark` is given.
void rewrite(Work& work, const SplitStep& step, bool first) {
  const bool metaspace = step.kind == SplitStep::Kind::Metaspace;
  const std::string_view prefix = metaspace ? std::string_view(step.content) : " ";
  std::string out;
  std::vector<Part> parts;
  for (const Part& part : work.parts) {
    const std::string_view old = work.text.substr(part.begin, part.end - part.begin);
    const std::string text = metaspace ? replace_all(old, " ", step.content) : std::string(old);
    const bool wanted = !metaspace || step.prefix == SplitStep::Prefix::Always ||
                        (step.prefix == SplitStep::Prefix::First && first && part.begin == 0);
    const size_t begin = out.size();
    if (wanted && !text.starts_with(prefix)) out += prefix;
    out += text;
    parts.push_back({begin, out.size()});
  }
  work.owned = std::move(out);
  work.text = work.owned;
  work.parts = std::move(parts);
}

Result<void> cut(Work& work, const Regex& regex, SplitStep::Matches matches, bool invert) {
  std::vector<Part> parts;
  for (const Part& part : work.parts) {
    TL_TRY(std::vector<Stretch> found, stretches(regex, work.text.substr(part.begin, part.end - part.begin)));
    if (invert) {
      for (Stretch& stretch : found) stretch.is_match = !stretch.is_match;
    }
    for (const Part& piece : join(found, matches)) {
      if (piece.begin < piece.end) parts.push_back({part.begin + piece.begin, part.begin + piece.end});
    }
  }
  work.parts = std::move(parts);
  return {};
}

}  // namespace

Result<void> Splitter::apply(std::string_view text, bool first,
                             const std::function<Result<void>(std::string_view)>& word) const {
  if (text.empty()) return {};
  Work work{.owned = {}, .text = text, .parts = {{0, text.size()}}};
  bool spelled = false;
  for (const auto& [step, regex] : steps_) {
    if (step.kind == SplitStep::Kind::Spell) {
      spell(work);
      spelled = true;
      continue;
    }
    if (step.kind != SplitStep::Kind::Cut) rewrite(work, step, first);
    if (step.kind == SplitStep::Kind::Cut) TL_TRY_DO(cut(work, *regex, step.matches, step.invert));
    if (step.kind == SplitStep::Kind::Metaspace && step.cut) {
      TL_TRY_DO(cut(work, *regex, SplitStep::Matches::JoinNext, false));
    }
  }
  for (const Part& part : work.parts) {
    const std::string_view text = work.text.substr(part.begin, part.end - part.begin);
    // A cut may have parted the bytes of a character; they are then stray bytes like others.
    const auto bytes = spelled ? byte_level::unspell(text) : std::nullopt;
    TL_TRY_DO(bytes ? word(utf8::escape_stray_bytes(*bytes)) : word(text));
  }
  return {};
}

}  // namespace tl
