// What an op or a builtin takes, as text: "(x: tensor, axis: int = -1, name: string = \"a\", rest: any...) ->
// tensor". The one parser of it; tl/builtins makes values of the defaults.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tl/base/result.h"
#include "tl/tensor/dtype.h"

namespace tl {

enum class ParamKind : u8 { Any, Tensor, Int, Float, Number, Bool, DType, Ints, String, List };

std::string_view name_of(ParamKind kind);

// A value as written; monostate for `none`.
using Literal = std::variant<std::monostate, bool, i64, f64, DType, std::string, std::vector<i64>>;

struct ParameterText {
  std::string name;
  ParamKind kind = ParamKind::Any;
  bool is_variadic = false;  // takes the remaining arguments; the last one
  bool is_optional = false;
  Literal default_value;
};

struct SignatureText {
  std::vector<ParameterText> params;
  std::string result;  // as written, "unit" if nothing was
};

Result<SignatureText> read_signature(std::string_view text);
// One value for a parameter of `kind`, written as a default is.
Result<Literal> read_literal(std::string_view text, ParamKind kind);

}  // namespace tl
