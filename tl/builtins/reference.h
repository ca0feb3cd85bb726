// The table of builtins as people read it: by family, one row with its example, the whole as a page. `tl
// doc`, the prompt's :doc and docs/reference.md show nothing else.
#pragma once

#include <string>
#include <vector>

#include "tl/builtins/builtins.h"

namespace tl::lang {

struct BuiltinFamily {
  std::string_view name;                  // "reductions"
  std::string_view about;                 // one line
  std::vector<const Builtin*> rows = {};  // sorted by name
};

// Every builtin is in exactly one. In the order of the page.
std::span<const BuiltinFamily> builtin_families();
const BuiltinFamily& family_of(const Builtin& builtin);
// Null if there is none.
const BuiltinFamily* find_family(std::string_view name);

// The code of a row's example, and what it gives: empty where the row does not say.
struct ExampleText {
  std::string_view code, output;
};
ExampleText example_of(const Builtin& builtin);

// Signature, meaning, example: lines for a terminal.
std::string description(const Builtin& builtin);
// Signatures and meanings of a family, and the list of all families.
std::string description(const BuiltinFamily& family);
std::string list_of_families();
// What `name` may have meant, best first: names that begin with it, a slip of the pen, names
// that hold it. At most eight.
std::vector<std::string_view> similar_names(std::string_view name);
// docs/reference.md.
std::string reference_page();

}  // namespace tl::lang
