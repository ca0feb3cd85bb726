// What a builtin takes (tl/tensor/signature.h reads the text), with defaults as values, and where the
// arguments of a call go.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tl/tensor/signature.h"
#include "tl/value/value.h"

namespace tl::lang {

using tl::ParamKind;

struct Parameter {
  std::string name;
  ParamKind kind = ParamKind::Any;
  bool is_variadic = false;  // takes the remaining arguments; the last one
  bool is_optional = false;
  Value default_value;  // Empty for `= none`: the builtin sees to it
};

struct Signature {
  std::vector<Parameter> params;
  std::string result;  // as written, "unit" if nothing was

  bool is_variadic() const { return !params.empty() && params.back().is_variadic; }
  int find(std::string_view name) const;  // -1: none
};

Result<Signature> parse_signature(std::string_view text);

// Where the arguments of a call go: entry i is the argument that fills parameter i, or -1 for its default. A
// variadic parameter's arguments follow at the end, one entry each. `names` has one entry per argument, empty
// when positional. Fails with what the call lacks or has too much.
Result<std::vector<int>> arrange_arguments(const Signature& signature,
                                           std::span<const std::string_view> names);

}  // namespace tl::lang
