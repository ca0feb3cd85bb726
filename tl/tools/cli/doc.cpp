// tl doc: the table of builtins, for people and programs.
#include <nlohmann/json.hpp>

#include "tl/builtins/reference.h"
#include "tl/tools/cli/commands.h"

namespace tl::cli {
namespace {
using lang::Builtin;
using nlohmann::ordered_json;

ordered_json to_json(const Builtin& b) {
  const lang::ExampleText example = lang::example_of(b);
  ordered_json row{{"name", b.name},
                   {"family", lang::family_of(b).name},
                   {"kind", b.op != nullptr ? "op" : "native"},
                   {"signature", b.signature},
                   {"doc", b.doc}};
  row["parameters"] = ordered_json::array();
  for (const lang::Parameter& p : b.parsed.params) {
    row["parameters"].push_back({{"name", p.name},
                                 {"kind", name_of(p.kind)},
                                 {"optional", p.is_optional},
                                 {"variadic", p.is_variadic}});
  }
  row["result"] = b.parsed.result;
  row["example"] = example.code.empty() ? ordered_json() : ordered_json(example.code);
  row["output"] = example.output.empty() ? ordered_json() : ordered_json(example.output);
  return row;
}

ordered_json to_json(const lang::BuiltinFamily& family) {
  ordered_json names = ordered_json::array();
  for (const Builtin* b : family.rows) names.push_back(b->name);
  return {{"name", family.name}, {"about", family.about}, {"builtins", std::move(names)}};
}

int list(bool json) {
  if (!json) {
    fmt::print("{}\n`tl doc NAME` shows one of them, or a family\n", lang::list_of_families());
    return kOk;
  }
  ordered_json all = ordered_json::array();
  for (const lang::BuiltinFamily& family : lang::builtin_families()) all.push_back(to_json(family));
  fmt::print("{}\n", all.dump());
  return kOk;
}

}  // namespace

int doc(const std::string& name, bool json, bool markdown) {
  if (markdown) {
    fmt::print("{}", lang::reference_page());
    return kOk;
  }
  if (name.empty()) return list(json);
  if (const Builtin* b = lang::find_builtin(name)) {
    fmt::print("{}", json ? to_json(*b).dump() + "\n" : lang::description(*b));
    return kOk;
  }
  if (const lang::BuiltinFamily* family = lang::find_family(name)) {
    fmt::print("{}", json ? to_json(*family).dump() + "\n" : lang::description(*family));
    return kOk;
  }
  fmt::print(stderr, "error: there is no builtin '{}'\n", name);
  const std::vector<std::string_view> similar = lang::similar_names(name);
  if (!similar.empty()) fmt::print(stderr, "  = note: did you mean {}?\n", fmt::join(similar, ", "));
  return kProgramFailed;
}

}  // namespace tl::cli
