// Strings as Python sees them: sequences of characters, not of bytes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tl/base/types.h"

namespace tl::jinja {

// One string per character. Bytes that are not UTF-8 stand alone.
std::vector<std::string> characters(std::string_view text);
size_t length(std::string_view text);

std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string title(std::string_view text);
std::string capitalize(std::string_view text);

// Takes the characters of `set` from the ends; an empty set means spaces.
enum class Ends : u8 { Left, Right, Both };
std::string strip(std::string_view text, std::string_view set, Ends ends);
// At most `most` replacements if that is not negative.
std::string replace(std::string_view text, std::string_view from, std::string_view to, i64 most);
// At `separator`, or at runs of spaces if it is empty; at most `most` cuts if that is not negative.
std::vector<std::string> split(std::string_view text, std::string_view separator, i64 most, bool from_right);
std::vector<std::string> split_lines(std::string_view text, bool keep_ends);

enum class CharClass : u8 { Alpha, Digit, Alnum, Space, Upper, Lower };
// Whether every character is of the class and there is one.
bool all_are(std::string_view text, CharClass wanted);

}  // namespace tl::jinja
