#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "tl/diag/print.h"
#include "tl/diag/suggest.h"

namespace tl {
namespace {

TEST(DiagTable, CodesAreUniqueAndSayTheirSeverity) {
  std::set<std::string_view> codes, names;
  for (const DiagCode code : all_diag_codes()) {
    const DiagInfo& i = info(code);
    EXPECT_TRUE(codes.insert(i.code).second) << i.code;
    EXPECT_TRUE(names.insert(i.name).second) << i.name;
    EXPECT_EQ(i.code.size(), 5u) << i.code;
    EXPECT_EQ(i.code[0], i.severity == Severity::Error ? 'E' : 'W') << i.code;
    EXPECT_FALSE(i.message.ends_with(".")) << i.message;
    EXPECT_FALSE(i.message[0] >= 'A' && i.message[0] <= 'Z') << i.message;
  }
}

TEST(SourceFiles, LocatesByCodePoint) {
  SourceFiles files;
  const FileId file = files.add("a.tl", "ab\n\xc3\xa9x\r\n\nlast");
  EXPECT_FALSE(files.has(FileId::None));
  const auto at = [&](u32 offset) {
    const Location l = files.locate(file, offset);
    return fmt::format("{}:{}", l.line, l.column);
  };
  EXPECT_EQ(at(0), "1:1");
  EXPECT_EQ(at(2), "1:3");
  EXPECT_EQ(at(3), "2:1");
  EXPECT_EQ(at(5), "2:2");
  EXPECT_EQ(at(9), "4:1");
  EXPECT_EQ(at(1000), "4:5");
  EXPECT_EQ(files.text(files.line_span(file, 4)), "\xc3\xa9x");
  EXPECT_EQ(files.text(files.line_span(file, 8)), "");
  EXPECT_EQ(files.text(files.line_span(file, 100)), "last");
}

class Printing : public ::testing::Test {
 protected:
  Span span(u32 begin, u32 end) const { return {file, begin, end}; }
  SourceFiles files;
  FileId file = files.add("prog.tl", "let a = 1\nlet b = f(a, \tbb)\n");
  Diagnostics diags;
};

TEST_F(Printing, CaretsStandUnderTheirTextBehindBytesThatAreNotUtf8) {
  file = files.add("bad.tl", "// \x80\xbf \xed\xa0\x80 \xc0\x80 \u20ac here");
  diags.report(DiagCode::DuplicateArgument, span(17, 21), "here");
  EXPECT_EQ(render(diags, files),
            "bad.tl:1:16: error[E0034]: argument 'here' is given twice\n"
            "  1 | // ?? ??? ?? \u20ac here\n"
            "    |                ^~~~\n");
}

TEST_F(Printing, ShowsTheLineCaretsLabelsAndNotes) {
  diags.report(DiagCode::DuplicateArgument, span(24, 26), "bb")
      .also(span(20, 21), "first given here")
      .also(span(4, 5), "declared here")
      .note("remove one of them");
  EXPECT_EQ(render(diags, files),
            "prog.tl:2:15: error[E0034]: argument 'bb' is given twice\n"
            "  2 | let b = f(a,  bb)\n"
            "    |               ^~\n"
            "    |           - first given here\n"
            "  1 | let a = 1\n"
            "    |     - declared here\n"
            "    = note: remove one of them\n");
}

TEST_F(Printing, ColoursWhenAsked) {
  diags.report(DiagCode::UnexpectedElse, span(0, 3));
  const std::string text = render(diags, files, {.colour = true});
  EXPECT_NE(text.find("\x1b[1;31merror[E0032]:\x1b[0m"), std::string::npos) << text;
  EXPECT_NE(text.find("\x1b[1;31m^~~\x1b[0m"), std::string::npos) << text;
  EXPECT_EQ(render(diags, files).find('\x1b'), std::string::npos);
}

TEST_F(Printing, SpansBeyondTheLineStayOnIt) {
  diags.report(DiagCode::UnexpectedElse, span(8, 19));
  EXPECT_EQ(
      render(diags, files),
      "prog.tl:1:9: error[E0032]: 'else' without an 'if' before it\n  1 | let a = 1\n    |         ^\n");
  Diagnostics end;
  end.report(DiagCode::UnexpectedElse, span(28, 28));
  EXPECT_EQ(render(end, files),
            "prog.tl:3:1: error[E0032]: 'else' without an 'if' before it\n  3 | \n    | ^\n");
}

// A terminal must not obey what a program's text says, and a line of a megabyte must not fill it.
TEST_F(Printing, TamesTheSource) {
  const FileId bad = files.add("bad.tl", "a \x1b[31m \xff b \xc2\x9b");
  const FileId wide = files.add("wide.tl", std::string(100'000, 'x') + "!" + std::string(100'000, 'y'));
  Diagnostics d;
  d.report(DiagCode::UnexpectedElse, {bad, 0, 1});
  d.report(DiagCode::UnexpectedElse, {wide, 100'000, 100'001});
  const std::string text = render(d, files);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_NE(text.find("  1 | a ?[31m ? b ?\n"), std::string::npos) << text;
  EXPECT_NE(text.find("x!y"), std::string::npos);
  EXPECT_LT(text.size(), 1000u);
}

TEST_F(Printing, RunTimeErrors) {
  const Error error = fail(Code::BadProgram, "index {} is out of range", 7).at(span(18, 23));
  EXPECT_EQ(render(error, files),
            "prog.tl:2:9: error: index 7 is out of range\n"
            "  2 | let b = f(a,  bb)\n"
            "    |         ^~~~~\n");
  EXPECT_EQ(render(fail(Code::Io, "no such file"), files), "error: no such file\n");
}

TEST_F(Printing, JsonIsOneObjectALine) {
  diags.report(DiagCode::DuplicateArgument, span(24, 26), "\xff").also(span(20, 21), "first").note("a note");
  const std::string text = render_json(diags, files) + render_json(fail(Code::Io, "no"), files);
  ASSERT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
  const auto j = nlohmann::json::parse(text.substr(0, text.find('\n')));
  EXPECT_EQ(j["severity"], "error");
  EXPECT_EQ(j["code"], "E0034");
  EXPECT_EQ(j["file"], "prog.tl");
  EXPECT_EQ(j["line"], 2);
  EXPECT_EQ(j["column"], 15);
  EXPECT_EQ(j["end_column"], 17);
  EXPECT_EQ(j["labels"][0]["message"], "first");
  EXPECT_EQ(j["labels"][0]["column"], 11);
  EXPECT_EQ(j["notes"][0], "a note");
}

TEST(Diagnostics, KeepsTheFirstAndCountsAll) {
  Diagnostics diags;
  for (int i = 0; i < 1000; ++i) diags.report(DiagCode::UnexpectedElse, {}).note("n");
  EXPECT_EQ(diags.all().size(), Diagnostics::kMaxKept);
  EXPECT_EQ(diags.error_count(), 1000u);
  EXPECT_NE(render(diags, SourceFiles{}).find("... and 800 more\n"), std::string::npos);
}

TEST(Suggestions, FindTheNearestName) {
  const std::vector<std::string> names = {"softmax", "sigmoid", "sqrt", "sum", "matmul", "a"};
  struct Case {
    std::string_view name, nearest;
  };
  const Case cases[] = {
      {"softmx", "softmax"},
      {"sofmtax", "softmax"},
      {"SUM", "sum"},
      {"sqr", "sqrt"},
      {"matmull", "matmul"},
      {"zzz", ""},
      {"b", ""},
      {"", ""},
  };
  for (const Case& c : cases) EXPECT_EQ(closest_name(c.name, names), c.nearest) << c.name;
  EXPECT_EQ(edit_distance("kitten", "sitting", 10), 3);
  EXPECT_EQ(edit_distance("ab", "ba", 10), 1);
  EXPECT_EQ(edit_distance("abcdef", "ghijkl", 2), 3);
}

}  // namespace
}  // namespace tl
