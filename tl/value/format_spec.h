// Python's format marks, [[fill]align][sign][#][0][width][grouping][.precision][type], on scalars and text.
#pragma once

#include <string>
#include <string_view>

#include "tl/base/result.h"
#include "tl/base/types.h"

namespace tl::lang {

struct FormatSpec {
  std::string fill = " ";  // one character, perhaps of several bytes
  char align = 0;          // '<', '>', '^', '=', or 0: not written
  char sign = '-';
  bool alternate = false;
  int width = 0;
  char grouping = 0;   // ',', '_' or 0
  int precision = -1;  // -1: not written
  char type = 0;

  bool is_precision_only() const {
    return precision >= 0 && align == 0 && width == 0 && grouping == 0 && sign == '-' &&
           (type == 0 || type == 'f');
  }
};

// Fails on what Python refuses, and on a width or precision above 4,096.
Result<FormatSpec> parse_format_spec(std::string_view spec);
Result<std::string> format_int(const FormatSpec& spec, i64 value);
Result<std::string> format_float(const FormatSpec& spec, f64 value);
Result<std::string> format_string(const FormatSpec& spec, std::string_view text);

}  // namespace tl::lang
