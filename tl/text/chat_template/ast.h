// The syntax tree of a chat template. Its depth is bounded by the parser, so walking it may recurse.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tl/text/chat_template/value.h"

namespace tl::jinja {

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

struct Expr {
  enum class Kind : u8 {
    Literal,    // value
    Name,       // text
    List,       // items; a tuple if `text` is "("
    Dict,       // items: key, value, key, value…
    Attribute,  // items[0].text
    Index,      // items[0][items[1]]
    Slice,      // items[0][items[1]:items[2]:items[3]], any of the three null
    Call,       // items[0](items[1]…, named…)
    Filter,     // items[0] | text(items[1]…, named…)
    Test,       // items[0] is text(items[1]…)
    Unary,      // text items[0]
    Binary,     // items[0] text items[1]
    Compare,    // items[0] words[0] items[1] words[1] items[2]…
    And,
    Or,
    Not,
    Choice,  // items[0] if items[1] else items[2], which may be null
  };
  Kind kind = Kind::Literal;
  u32 line = 1;
  u32 depth = 1;
  std::string text = {};
  Value value = {};
  std::vector<ExprPtr> items = {};
  std::vector<std::pair<std::string, ExprPtr>> named = {};
  std::vector<std::string> words = {};
};

struct Stmt;
using Block = std::vector<Stmt>;

struct Stmt {
  enum class Kind : u8 {
    Text,      // text
    Print,     // expr
    If,        // branches, last with a null condition for else
    For,       // names in expr, `filter` may be null; body, otherwise
    Set,       // names = expr; or text.names[0] = expr if `text` is not empty
    SetBlock,  // names[0] = what body renders, through filters of `expr` if not null
    Macro,     // text(names…, defaults for the last of them); body
    Call,      // expr, a call, with caller() giving body
    Filter,    // body through `expr`, a chain of filters
    With,      // names[i] = values[i]; body
    Group,     // body
    Break,
    Continue,
  };
  struct Branch {
    ExprPtr condition;
    Block body;
  };

  Kind kind = Kind::Text;
  u32 line = 1;
  std::string text = {};
  std::vector<std::string> names = {};
  ExprPtr expr = {}, filter = {};
  std::vector<ExprPtr> values = {};
  Block body = {}, otherwise = {};
  std::vector<Branch> branches = {};
};

Result<Block> parse(std::string_view source);

}  // namespace tl::jinja
