// Any bytes give a tree and diagnostics: lexer, parser, dump and printers never crash or hang. What parses
// can be laid out.
#include "tl/base/check.h"
#include "tl/diag/print.h"
#include "tl/syntax/ast_dump.h"
#include "tl/syntax/format.h"
#include "tl/syntax/parser.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  tl::SourceFiles files;
  tl::Diagnostics diags;
  const tl::FileId file = files.add("fuzz.tl", std::string(reinterpret_cast<const char*>(data), size));
  const auto module = tl::parse(files, file, diags);
  tl::ast::dump(*module);
  for (size_t i = 0; i < diags.all().size() && i < 4; ++i) {  // printing costs more than parsing
    tl::render(diags.all()[i], files);
    tl::render_json(diags.all()[i], files);
  }
  tl::Diagnostics problems;
  const auto laid_out = tl::format_program(files, file, problems);
  TL_CHECK(laid_out.ok() || problems.has_errors(), "{}", laid_out.error().message);
  tl::parse_signature(files, file, diags);
  return 0;
}
