// Every row of the table of builtins has an example that runs and gives what it says. Where none is possible
// (a model, standard input), the row is listed here.
#include <gtest/gtest.h>

#include <set>

#include "tests/lang/run_text.h"
#include "tl/builtins/reference.h"

namespace tl {
namespace {

// Rows of a tensor are on lines of their own and padded; an example is one line.
std::string one_line(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const bool is_space = c == ' ' || c == '\n';
    if (is_space && (out.empty() || out.back() == ' ' || out.back() == '[')) continue;
    out += is_space ? ' ' : c;
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

TEST(Builtins, EveryExampleRuns) {
  for (const lang::Builtin& b : lang::all_builtins()) {
    if (b.example.empty() || b.example.find("model.") != std::string_view::npos) continue;
    const lang::ExampleText example = lang::example_of(b);
    const std::string expression(example.code);
    const bool prints = expression.starts_with("print(") || expression.starts_with("write(");
    std::string program = "main {\n" + expression + "\n}\n";
    if (!example.output.empty() && !prints)
      program = "main {\nlet example = " + expression + "\nprint(example)\n}\n";
    const Transcript got = run_text("example.tl", program, "reference");
    EXPECT_EQ(got.problems, "") << b.name << ": " << b.example;
    if (!example.output.empty()) {
      EXPECT_EQ(one_line(got.output), one_line(std::string(example.output))) << b.name << ": " << b.example;
    }
  }
}

TEST(Builtins, OnlyRowsThatNeedTheWorldHaveNoExample) {
  const std::set<std::string_view> world = {"add_bos",
                                            "ask",
                                            "chat",
                                            "close",
                                            "decode",
                                            "detokenize",
                                            "detokenize_incremental",
                                            "detokenize_single",
                                            "encode",
                                            "fail",
                                            "feed",
                                            "find_token",
                                            "finish",
                                            "get_k",
                                            "get_tensor",
                                            "get_v",
                                            "has_metadata",
                                            "has_tensor",
                                            "input",
                                            "is_end",
                                            "is_eog",
                                            "is_terminal",
                                            "k",
                                            "load_model",
                                            "load_model_f16",
                                            "load_model_f32",
                                            "load_npy",
                                            "npy_writer",
                                            "panic",
                                            "piece",
                                            "read_file",
                                            "read_line",
                                            "read_text",
                                            "save_npy",
                                            "stream",
                                            "stream_decoder",
                                            "tensor_names",
                                            "tokenize",
                                            "truncate",
                                            "v",
                                            "write_file",
                                            "write_rows"};
  for (const lang::Builtin& b : lang::all_builtins()) {
    EXPECT_EQ(b.example.empty(), world.count(b.name) > 0) << b.name;
    EXPECT_FALSE(b.doc.empty()) << b.name;
  }
}

}  // namespace
}  // namespace tl
