#include "tl/text/tokenizer/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>

namespace tl {

namespace {

// White_Space of Unicode. PCRE2's own \\s also takes U+180E, which no tokenizer does.
constexpr std::string_view kSpace =
    R"(\x{9}-\x{D} \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";
// Word characters of Unicode; what PCRE2 takes for one has changed between its versions.
constexpr std::string_view kWord = R"(\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{24B6}-\x{24E9})";

constexpr u32 kBaseSteps = 10'000'000;  // per search, plus what a long text may rightly need
constexpr u32 kStepsPerByte = 16;

// Rewrites what the two dialects spell differently.
Result<std::string> to_pcre(std::string_view pattern) {
  // At each start inside a run of spaces the search would walk the whole run again; skip past it instead.
  if (pattern == R"(\s+$)") pattern = R"(\s+$|\s+(*SKIP)(*FAIL))";
  std::string out;
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\' && i + 1 < pattern.size()) {
      const char next = pattern[++i];
      const std::string_view set = next == 's' || next == 'S' ? kSpace : kWord;
      if (next == 's' || next == 'w') {
        out += in_class ? std::string(set) : fmt::format("[{}]", set);
      } else if ((next == 'S' || next == 'W') && !in_class) {
        out += fmt::format("[^{}]", set);
      } else if ((next == 'b' || next == 'B') && !in_class) {
        const std::string_view edge = next == 'b' ? "(?:(?<=[{0}])(?![{0}])|(?<![{0}])(?=[{0}]))"
                                                  : "(?:(?<=[{0}])(?=[{0}])|(?<![{0}])(?![{0}]))";
        out += fmt::format(fmt::runtime(edge), kWord);
      } else if (std::string_view("hHSWRXKG").find(next) != std::string_view::npos) {
        return fail(Code::Unsupported, "'\\{}' in the regular expression '{}' is not supported", next,
                    pattern);
      } else {
        out += c;
        out += next;
      }
      continue;
    }
    if (in_class && c == '&' && i + 1 < pattern.size() && pattern[i + 1] == '&') {
      return fail(Code::Unsupported, "'&&' in the regular expression '{}' is not supported", pattern);
    }
    if (in_class && c == '[' && (i + 1 == pattern.size() || pattern[i + 1] != ':')) {
      return fail(Code::Unsupported, "nested classes in the regular expression '{}' are not supported",
                  pattern);
    }
    if (in_class && c == '[') {  // a named class, [:alpha:]
      const size_t end = pattern.find(":]", i + 2);
      if (end == std::string_view::npos) {
        return fail(Code::BadFile, "'[:' without ':]' in the regular expression '{}'", pattern);
      }
      out.append(pattern, i, end + 2 - i);
      i = end + 1;
      continue;
    }
    if (c == '[' && !in_class) {
      in_class = true;
      out += c;
      if (i + 1 < pattern.size() && pattern[i + 1] == '^') out += pattern[++i];
      if (i + 1 < pattern.size() && pattern[i + 1] == ']') out += fmt::format("\\{}", pattern[++i]);
      continue;
    }
    if (c == ']') in_class = false;
    out += c;
  }
  return out;
}

std::string message_of(int error) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(error, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

// What one thread needs while it matches, made once.
struct Scratch {
  pcre2_match_data* data = pcre2_match_data_create(1, nullptr);
  pcre2_match_context* context = pcre2_match_context_create(nullptr);

  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
  }
};

}  // namespace

struct Regex::Code {
  explicit Code(pcre2_code* c) : code(c) {}
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
  ~Code() { pcre2_code_free(code); }

  pcre2_code* code;
};

Result<Regex> Regex::compile(std::string_view pattern) {
  TL_TRY(const std::string text, to_pcre(pattern));
  // Multiline because Oniguruma's Ruby syntax, which the format uses, has ^ and $ match at every line.
  return build(pattern, text, PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C);
}

Result<Regex> Regex::literal(std::string_view text) {
  return build(text, text, PCRE2_LITERAL);
}

Result<Regex> Regex::build(std::string_view shown, std::string_view pattern, u32 options) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                   options | PCRE2_UTF, &error, &offset, nullptr);
  if (code == nullptr) {
    return fail(tl::Code::BadFile, "regular expression '{}' is wrong: {}", shown, message_of(error));
  }
  // Where the system forbids writable code pages there is no JIT, and the interpreter gives the same matches.
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
  return Regex(std::string(shown), std::make_shared<const Code>(code));
}

Result<std::optional<Regex::Match>> Regex::find(std::string_view text, size_t from) const {
  thread_local Scratch scratch;
  if (scratch.data == nullptr || scratch.context == nullptr) {
    return fail(tl::Code::OutOfMemory, "no memory to search with the regular expression '{}'", pattern_);
  }
  const u64 steps = kBaseSteps + u64{kStepsPerByte} * text.size();
  pcre2_set_match_limit(scratch.context, static_cast<u32>(std::min<u64>(steps, 0xffffffffu)));
  const auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  // Checking the whole text as UTF-8 at every search would be quadratic; the caller has checked it once.
  u32 options = PCRE2_NO_UTF_CHECK;
  int found = pcre2_match(code_->code, subject, text.size(), from, options, scratch.data, scratch.context);
  if (found == PCRE2_ERROR_JIT_STACKLIMIT) {  // the interpreter keeps its stack on the heap
    options |= PCRE2_NO_JIT;
    found = pcre2_match(code_->code, subject, text.size(), from, options, scratch.data, scratch.context);
  }
  if (found == PCRE2_ERROR_NOMATCH) return std::optional<Match>();
  if (found < 0) {
    return fail(tl::Code::Unsupported, "regular expression '{}' fails on this text: {}", pattern_,
                message_of(found));
  }
  const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(scratch.data);
  return std::optional<Match>({bounds[0], bounds[1]});
}

}  // namespace tl
