#include "tl/text/chat_template/chat_template.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>

#include "tl/base/read_file.h"

namespace tl {
namespace {

using Json = nlohmann::ordered_json;

Json read_json(const std::string& path) {
  const Result<std::string> text = read_whole_file(path);
  EXPECT_TRUE(text.ok()) << "run from the root of the repository";
  return Json::parse(text.value());
}

std::tm july_26_2024() {
  std::tm day{};
  day.tm_year = 124;
  day.tm_mon = 6;
  day.tm_mday = 26;
  day.tm_wday = 5;
  day.tm_yday = 207;
  return day;
}

Result<std::string> render(const std::string& text, const Json& messages = Json::array(),
                           ChatOptions options = {}) {
  TL_TRY(const ChatTemplate chat, ChatTemplate::parse(text));
  TL_TRY(const TemplateValue value, jinja::from_json(messages.dump()));
  options.bos = "<s>";
  options.eos = "</s>";
  options.now = july_26_2024();
  return chat.render(value, options);
}

TEST(ChatTemplate, EqualsJinja) {
  const Json all = read_json("tests/data/chat/cases.json");
  for (const Json& c : all["cases"]) {
    const std::string text = all["templates"][c["template"].get<size_t>()];
    SCOPED_TRACE(fmt::format("{}: {}", c["name"].get<std::string>(), text.substr(0, 200)));
    ChatOptions options{.add_generation_prompt = c["add_generation_prompt"].get<bool>()};
    for (const auto& [name, value] : c["extra"].items()) {
      auto converted = jinja::from_json(value.dump());
      ASSERT_TRUE(converted.ok());
      options.extra.emplace_back(name, *converted);
    }
    const auto got = render(text, all["conversations"][c["messages"].get<size_t>()], options);
    if (c.contains("error")) {
      EXPECT_FALSE(got.ok()) << "Jinja says " << c["error"] << ", we say '" << got.value() << "'";
    } else {
      ASSERT_TRUE(got.ok()) << got.error().message;
      EXPECT_EQ(got.value(), c["text"].get<std::string>());
    }
  }
}

TEST(ChatTemplate, TakesMessagesAsStructs) {
  auto chat = ChatTemplate::parse(
      "{% for m in messages %}<{{ m.role }}>{{ m['content'] }}{% endfor %}{{ eos_token }}");
  ASSERT_TRUE(chat.ok());
  const ChatMessage messages[] = {{"user", "Hi"}, {"assistant", "Ho"}};
  auto text = chat->render(messages, {.eos = "!"});
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(*text, "<user>Hi<assistant>Ho!");
}

TEST(ChatTemplate, ErrorsNameTheLine) {
  const std::pair<const char*, const char*> kCases[] = {
      {"a\nb\n{{ 1 + }}", "chat template, line 3: found the end of the tag, wanted a value"},
      {"\n{% include 'x' %}", "chat template, line 2: 'include' is not supported"},
      {"\n{{ raise_exception('roles must alternate') }}", "chat template, line 2: roles must alternate"},
      {"{{ tool.name }}", "chat template, line 1: 'tool' is undefined, so it has no 'name'"},
      {"{{ 1 | frob }}", "chat template, line 1: filter 'frob' is not supported"},
      {"{% if x %}\n", "chat template, line 1: found the end, wanted 'endif'"},
      {"{{ {[]: 1} }}", "chat template, line 1: a key of a dictionary is a list (want a string or integer)"},
  };
  for (const auto& [text, message] : kCases) {
    const auto got = render(text);
    ASSERT_FALSE(got.ok()) << text;
    EXPECT_EQ(got.error().message, message);
  }
}

// Each would take all time, memory or stack if nothing were bounded.
TEST(ChatTemplate, HostileTemplatesEndInErrors) {
  const auto nested = [](const char* open, const char* inner, const char* close, int times) {
    std::string out;
    for (int i = 0; i < times; ++i) out += open;
    out += inner;
    for (int i = 0; i < times; ++i) out += close;
    return out;
  };
  const std::string kCases[] = {
      "{% for i in range(1000000000) %}{% endfor %}",
      "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
      "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
      "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
      "{{ 'x' * 1000000000000 }}",
      "{{ [0] * 1000000000000 }}",
      "{% set ns = namespace(x='ab') %}{% for i in range(100) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
      "{% set ns = namespace(x=[1]) %}{% for i in range(100) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ "
      "ns.x }}",
      "{% set ns = namespace(x=[1]) %}{% for i in range(100) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ "
      "ns.x == ns.x }}",
      "{% set ns = namespace(x={}) %}{% for i in range(100) %}{% set ns.x = {'a': ns.x, 'b': ns.x} %}{% "
      "endfor %}{{ ns.x | tojson }}",
      "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns.x.x.x | tojson }}",
      "{{ 99999999999999999999 }}",
      "{{ 9223372036854775807 + 1 }}",
      "{{ 10 ** 100 }}",
      "{{ ('x' * 1000000) | replace('x', 'y' * 1000000) }}",
      "{{ ('x\\n' * 1000000) | indent(1000) }}",
      "{{ " + nested("(", "1", ")", 100000) + " }}",
      "{{ " + nested("[", "1", "]", 100000) + " }}",
      "{{ " + nested("not ", "1", "", 100000) + " }}",
      "{{ " + nested("-", "1", "", 100000) + " }}",
      "{{ 1" + nested(" + 1", "", "", 100000) + " }}",
      "{{ x" + nested(".a", "", "", 100000) + " }}",
      "{{ 1" + nested(" | abs", "", "", 100000) + " }}",
      "{{ 1 if " + nested("1 if ", "1", "", 100000) + " }}",
      nested("{% if 1 %}", "", "{% endif %}", 100000),
  };
  for (const std::string& text : kCases) EXPECT_FALSE(render(text).ok()) << text.substr(0, 200);
}

TEST(ChatTemplate, OddTextIsNotLost) {
  const Json messages = {{{"role", "user"}, {"content", "{{ 1 }} {% if %} \u0000 \xF0\x9F\x98\x80"}}};
  const auto got = render("{{ messages[0].content }}", messages);
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got.value(), messages[0]["content"].get<std::string>());
  auto chat = ChatTemplate::parse("{{ messages[0].content | trim | length }}{{ messages[0].content }}");
  const ChatMessage stray[] = {{"user", " \xff\xc3 "}};
  auto text = chat->render(stray, {});
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(*text, "2 \xff\xc3 ");
}

// Templates of real models, too many to store: what they give is made by scripts/make_chat_fixtures.py.
TEST(ChatTemplate, RealTemplatesParse) {
  const char* set = std::getenv("TL_TEST_VOCABS");
  const std::string folder = fmt::format("{}/templates", set == nullptr ? "build/test-vocabs" : set);
  if (!std::filesystem::exists(folder)) {
    const std::string why = folder + " is missing: run scripts/fetch_test_vocabs.sh";
    if (std::getenv("TL_REQUIRE_MODEL") != nullptr) FAIL() << why;
    GTEST_SKIP() << why;
  }
  size_t rendered = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".jinja") continue;
    auto chat = ChatTemplate::parse(read_whole_file(entry.path()).value());
    ASSERT_TRUE(chat.ok()) << entry.path() << ": " << chat.error().message;
    const ChatMessage messages[] = {{"user", "What is the capital of France?"}};
    auto text = chat->render(messages, {.bos = "<s>", .eos = "</s>", .now = july_26_2024()});
    const bool wants_more =
        entry.path().stem() == "fireworks-ai-llama-3-firefunction-v2";  // a variable of its own
    ASSERT_TRUE(text.ok() || wants_more) << entry.path() << ": " << text.error().message;
    rendered += text.ok() && text->find("capital of France") != std::string::npos ? 1 : 0;
  }
  EXPECT_GT(rendered, 50u);
}

}  // namespace
}  // namespace tl
