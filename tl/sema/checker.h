// One Checker for a program. It walks every function once, in the order of the text, and knows at each place
// what the variables may hold.
#pragma once

#include <map>
#include <memory>
#include <set>

#include "tl/builtins/builtins.h"
#include "tl/diag/diagnostic.h"
#include "tl/sema/scope.h"
#include "tl/sema/writes.h"

namespace tl::sema {

// What `n` in float16[n, d] stands for in one call.
struct BoundDim {
  i64 size;
  Span span;    // of the argument that said so
  Type holder;  // that argument
};
// An argument or operand and where it is written.
struct Operand {
  Type type;
  Span span;
};
// The dims and the type parameters of one call.
struct Bindings : std::map<std::string, BoundDim, std::less<>> {
  const std::vector<ast::Ident>* generics = nullptr;
  std::map<std::string, Operand, std::less<>> types;
};

class Checker {
 public:
  Checker(std::span<const ast::Module* const> modules, Diagnostics& diags, bool lint)
      : modules_(modules), diags_(diags), lint_(lint) {}
  void check();

 private:
  struct Symbol {
    const ast::Fn* fn = nullptr;
    StructInfo* of = nullptr;
    const EnumInfo* of_enum = nullptr;  // the enum, or that of the variant
    const ast::EnumVariant* variant = nullptr;
    const ast::Import* file = nullptr;  // import ... as
    bool is_known() const { return fn != nullptr || of != nullptr || of_enum != nullptr || file != nullptr; }
  };
  // How a statement or block ends.
  enum class End : u8 { Runs, Leaves };

  // checker.cpp: modules, declarations, functions
  void declare(size_t module);
  void check_module(size_t module);
  void check_function(const std::vector<ast::Param>& params, const ast::Type* result, const ast::Block* body,
                      const ast::Expr* value, const StructInfo* self, const ast::Fn* fn = nullptr);
  void check_returns(const ast::Fn& fn, const Type& value);
  void declare_imports(size_t module);
  // Reports types that do not exist.
  void check_type(const ast::Type* type);
  void check_types(const ast::Stmt& s);
  void check_duplicates(const std::vector<ast::Param>& params);
  Symbol find_symbol(std::string_view name) const;
  StructInfo* find_struct(std::string_view name) const { return find_symbol(name).of; }
  Type declared(const ast::Type* type, const Bindings* dims = nullptr) const;
  i64 dim_value(const ast::Dim& dim, const Bindings* dims) const;
  // Reports where a value of type `found` cannot be what `wanted` says; `what` names it in the message.
  bool expect(const ast::Type* wanted, const Operand& found, std::string_view what, Bindings* dims = nullptr);
  bool expect_tensor(const ast::Type& wanted, const Operand& found, std::string_view what, Bindings* dims);

  // check_stmt.cpp
  End statement(const ast::Stmt& s);
  void let(const ast::Let& s);
  void assign(const ast::Assign& s);
  void assign_to(const ast::Expr& target, const Type& type);
  void tensor_decl(const ast::TensorDecl& s);
  void for_loop(const ast::For& s);
  void local_function(const ast::Fn& fn);
  void return_value(const ast::Return& s);
  End loop_body(const ast::Block& body, Span loop);
  // `value`: the type of the last statement where it is an expression.
  End block(const ast::Block& b, Type* value = nullptr);
  void loosen(Span span);
  void tie(Span closure);
  bool is_equation_target(const ast::Expr& target) const;
  void condition(const ast::Expr& e);

  // check_expr.cpp
  Type expression(const ast::Expr& e);
  Type name(const ast::Name& e);
  Type list(const ast::List& e);
  Type literal_tensor(const ast::List& e, const std::vector<Type>& items);
  Type unary(const ast::Unary& e);
  Type binary(const ast::Binary& e);
  Type cast(const ast::Cast& e);
  Type field(const ast::Field& e);
  Type if_value(const ast::If& e);
  Type match(const ast::Match& e);
  // check_match.cpp
  void bind_pattern(const ast::Pattern& p);
  void check_cases(const ast::Match& e, const Type& subject);
  Type variant_value(const Symbol& symbol, const std::vector<ast::Arg>& args, std::vector<Operand> given);
  // What `object.name` is where `object` names an enum or a file.
  std::optional<Symbol> find_member(const ast::Expr& object, std::string_view name) const;
  Type try_value(const ast::Try& e);
  Type closure(const ast::Closure& e);
  Type struct_literal(const ast::StructLiteral& e);

  // check_index.cpp
  // `object`: also the type of what is indexed.
  Type index(const ast::Index& e, Type* object = nullptr);
  void set_part(const ast::Index& target, const Type& value);
  Type index_tensor(const ast::Index& e, const Type& object, const std::vector<Type>& at);
  Type index_sequence(const ast::Index& e, const Type& object, const Type& at);
  i64 slice_size(const ast::IndexItem& item, i64 size);

  // check_call.cpp
  Type call(const ast::Call& e);
  Type method_call(const ast::MethodCall& e);
  Type call_function(const std::vector<ast::Param>& params, const ast::Type* result,
                     const std::vector<ast::Arg>& args, std::vector<Operand> given, const Operand* self,
                     const std::vector<ast::Ident>* generics = nullptr);
  bool is_generic(std::string_view name) const;
  void warn_unused();
  bool is_dropped(const ast::Expr& value, const Type& type) const;
  Type call_value(const ast::Call& e, const Type& callee, std::vector<Operand> given);
  Type declared_value(const ast::Expr& value, const ast::Type* type);
  Type call_builtin(const lang::Builtin& builtin, const std::vector<ast::Arg>& args,
                    std::vector<Operand> given, Span span, std::optional<DType> dtype = {});
  // `order`: as lang::arrange_arguments gives it; empty where the call does not fit.
  Type call_arranged(const lang::Builtin& builtin, const std::optional<std::vector<int>>& order,
                     std::vector<Operand> given, Span span, std::optional<DType> dtype = {});
  Type call_native(const lang::Builtin& builtin, const std::vector<Operand>& args, Span span);
  void spawned(const Operand& function, std::span<const Operand> args, Span span);
  Type einsum_call(const std::vector<Operand>& args, Span span);
  std::vector<Operand> arguments(const std::vector<ast::Arg>& args);

  // check_op.cpp
  Type operator_type(ast::BinaryOp op, const Operand& a, const Operand& b, Span span);
  Type apply_op(const OpDef& op, std::span<const Operand> inputs, const Attrs& attrs, Span span);
  Type call_op(const lang::Builtin& row, const std::vector<Operand>& args, Span span);
  void reject(std::string_view op, std::span<const Operand> inputs, const Error& error, Span span);
  void reject_op(const OpDef& op, std::span<const Operand> inputs, const Error& error, Span span);

  std::span<const ast::Module* const> modules_;
  Diagnostics& diags_;
  const bool lint_;
  bool returns_ = false;    // the function under way has a `return` with a value
  bool is_opaque_ = false;  // ... and parts that are not looked at
  std::vector<std::map<std::string, Symbol, std::less<>>> symbols_;  // by module
  std::vector<std::unique_ptr<StructInfo>> structs_;
  std::vector<std::unique_ptr<EnumInfo>> enums_;
  std::vector<Writes> writes_;  // by module
  std::vector<std::map<std::string, Type, std::less<>>> globals_;
  size_t module_ = 0;
  Scopes scopes_;
  int function_ = 0;  // how many functions are around this place
  Span outermost_;    // the function that has all these inside
  const ast::Type* result_ = nullptr;
  std::vector<const std::vector<ast::Ident>*> generics_;  // of the functions around this place
  bool loop_breaks_ = false;                              // the loop under way has a `break`
  End branch_ends_ = End::Runs;                           // how the `if` ended that was looked at last
};

}  // namespace tl::sema
