// Where a file assigns to variables, in order: what a loop or a closure may have changed is looked up by its
// span.
#pragma once

#include <map>
#include <string_view>
#include <vector>

#include "tl/syntax/ast.h"

namespace tl::sema {

struct Write {
  u32 at;                 // byte offset
  std::string_view name;  // in the tree
};

class Writes {
 public:
  explicit Writes(const ast::Module& module);

  // Those inside of `span`.
  std::pair<const Write*, const Write*> inside(Span span) const;
  bool is_written(std::string_view name) const;
  bool is_written_in(std::string_view name, Span span) const;

 private:
  void statement(const ast::Stmt& s);
  void expression(const ast::Expr& e);
  void optional(const ast::ExprPtr& e);
  void block(const ast::Block& b);
  void target(const ast::Expr& e);
  void calls(const std::vector<ast::Arg>& args);

  std::vector<Write> all_;                               // by place
  std::map<std::string_view, std::vector<u32>> places_;  // of each name, rising
};

}  // namespace tl::sema
