// Syntax trees to bytecode: names become registers, captured cells or globals, arguments their places. One
// Compiler for a program; inside of it a FunctionState for each function being compiled.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tl/interp/interp.h"

namespace tl::interp {

inline constexpr u16 kNoRegister = 0xffff;
inline constexpr u16 kMaxRegisters = 0xfff0;

struct Symbol {
  enum class Kind : u8 { Global, Function, Struct, Variant, Enum, Module, Relation, Entity, Embedding };
  Kind kind;
  int index;  // Program::globals, protos or structs; enums_; modules of the graph; Compiler::relations_ or
              // entities_
  Span span;
  size_t module = 0;      // that declares it
  bool is_const = false;  // Global
};

struct Local {
  std::string name;
  u16 reg = 0;
  bool is_cell = false;  // a closure captures it
  bool is_const = false;
};

struct LoopState {
  std::vector<size_t> breaks, continues;  // jumps to patch
  u16 first_register;                     // what the body's names and temporaries begin at
  size_t tries = 0;                       // FunctionState::tries around it
};

// What must be done where a block is left from inside: a handler, and code that runs in any case.
struct TryState {
  u16 reg = 0;                        // of the failure; the block's own registers come after it
  bool has_handler = true;            // a BeginTry is open
  const ast::Block* after = nullptr;  // `finally`, or what is deferred; may be null
};

struct FunctionState {
  Proto* proto;
  FunctionState* parent = nullptr;  // the function around a closure
  std::vector<Local> locals;
  std::vector<std::pair<std::string, ClosureSpec::Source>> captures;
  std::set<std::string, std::less<>> captured_names;  // names that closures inside mention
  std::vector<LoopState> loops;
  std::vector<TryState> tries;
  u16 next_register = 0;
  bool is_module = false;     // top-level statements: new names are globals ...
  int depth = 0;              // ... at depth 0
  bool keeps_locals = false;  // ... and locals where no function mentions them: nothing imports this module
  bool may_return = false;
  bool is_too_large = false;  // which is reported once
  // By name and by register, for functions of many thousand variables and fields.
  std::map<std::string, std::vector<size_t>, std::less<>> locals_by_name;
  std::vector<u8> is_local;
  std::map<std::string, size_t, std::less<>> field_names;  // Proto::names
  const ast::Type* result = nullptr;
  std::string self_name;                         // of a local function
  std::map<std::string, u16, std::less<>> dims;  // registers of the dims that the signature names
};

// Where a name leads.
struct Place {
  enum class Kind : u8 { None, Register, Cell, Capture, Global };
  Kind kind = Kind::None;
  u32 index = 0;
  u16 reg() const { return static_cast<u16>(index); }  // Register and Cell
};

class Compiler {
 public:
  Compiler(const ModuleGraph& graph, Diagnostics& diags) : graph_(graph), diags_(diags) {}
  Program compile();

 private:
  friend class GrowingProgram;
  // compiler.cpp: modules and declarations
  void declare_module(size_t index);
  void declare(size_t module, const ast::Ident& name, Symbol::Kind kind, int index);
  void compile_module(size_t index);
  void compile_impl(const ast::Impl& impl);
  int new_proto(std::string name, Span span);
  void compile_function(int proto, const std::vector<ast::Param>& params, const ast::Type* result,
                        const ast::Block* body, const ast::Expr* value, FunctionState* parent,
                        ClosureSpec* closure, const std::string& self_name = {});
  void compile_params(const std::vector<ast::Param>& params, const ast::Type* result, const ast::Block* body);
  void bind_dims(const std::vector<ast::Param>& params, const ast::Block* body);  // as variables of the body
  void name_dims(const ast::Type* type);  // a register for each dim name not met yet
  int main_function(const ast::Module& tree) const;
  int block_proto(std::string name, Span span, const ast::Block& body);
  const Symbol* find_symbol(std::string_view name);
  // Reports a name that two files give.
  const Symbol* find_symbol_in(size_t module, std::string_view name, Span use = {});
  void declare_imports(size_t index);
  void declare_enum(size_t module, const ast::Enum& tree);
  std::vector<std::string> known_names() const;

  // compile_stmt.cpp
  void statement(const ast::Stmt& s);
  void let(const ast::Let& s);
  void take_apart(const std::vector<ast::Unpacking>& parts, u16 first, u16 names, u16 value, Span span);
  void assign(const ast::Assign& s);
  void assign_to(const ast::Expr& target, u16 value);
  // What an assignment writes to: the expression, and the registers of what it consists of.
  struct Target {
    const ast::Expr* expr = nullptr;
    u16 object = 0;         // of a field or item
    bool is_plain = false;  // one index, in `at`; else indices[spec]
    u16 at = 0;
    size_t spec = 0;
    std::unique_ptr<Target> holder;  // of an item: what gets the object back; null where nothing can
  };
  Target prepare(const ast::Expr& e);
  // `for_update`: of what a mask picks, all.
  u16 load(const Target& t, bool for_update);
  void store(const Target& t, u16 value);
  void store_item(const Target& t, u16 value, u8 takes);
  bool may_compute_in_place(const ast::Expr& value) const;
  bool may_assign(const ast::Expr& e) const;
  void store_new(const std::string& name, u16 reg, Span span, bool is_const = false);
  // The bounds of a..b or range(a, b) into two registers; false where `iterable` is something else.
  bool range_bounds(const ast::Expr& iterable, u16 first);
  void store_name(const std::string& name, u16 value, Span span);
  void tensor_decl(const ast::TensorDecl& s);
  void while_loop(const ast::While& s);
  void for_loop(const ast::For& s);
  void endless_loop(const ast::Loop& s);
  void leave_loop(bool is_break, Span span);
  void return_value(const ast::Return& s);
  void block(const ast::Block& b);
  // The value of the last statement goes to `dst` (void where there is none).
  void block_value(const ast::Block& b, u16 dst);
  void local_function(const ast::Fn& fn);

  // compile_try.cpp
  void try_value(const ast::Try& e, u16 dst);
  // The statements from `first` on, the value of the last going to `dst` unless that is kNoRegister.
  bool statements(const ast::Block& b, size_t first, u16 dst);
  // `body` and then `after`, whatever becomes of it.
  template <typename Body>
  void and_then(const ast::Block& after, Span span, bool waits, Body body);
  void leave_tries(size_t outermost, u16 end, Span span);
  // True, and reported, where `name` is a constant.
  bool check_const(std::string_view name, Span span);

  // compile_match.cpp
  void match(const ast::Match& e, u16 dst);
  void pattern(const ast::Pattern& p, u16 subject, std::vector<size_t>& failures);
  void struct_pattern(const ast::Pattern& p, u16 subject, std::vector<size_t>& failures);
  void variant_pattern(const ast::Pattern& p, const Symbol& variant, u16 subject,
                       std::vector<size_t>& failures);
  void list_pattern(const ast::Pattern& p, u16 subject, std::vector<size_t>& failures);
  void range_pattern(const ast::Pattern& p, u16 subject, std::vector<size_t>& failures);
  void or_pattern(const ast::Pattern& p, u16 subject, std::vector<size_t>& failures);
  // The variant that a pattern names; null: it names none.
  const Symbol* variant_of(const ast::Pattern& p);
  const Symbol* find_variant(const Symbol& of_enum, std::string_view name) const;
  void make_variant(const Symbol& variant, const std::vector<ast::Arg>* args, Span span, u16 dst);
  // What `object.name` is where `object` names an enum or a file; null: it is a field.
  const Symbol* find_member(const ast::Expr& object, const ast::Ident& name);
  void load_symbol(const Symbol& symbol, std::string_view name, Span span, u16 dst);

  // compile_expr.cpp
  u16 expression(const ast::Expr& e);               // any register: a local's own where it is one
  void expression_to(const ast::Expr& e, u16 dst);  // that register
  u16 temporary(const ast::Expr& e);                // a fresh temporary
  void literal_list(const ast::List& e, u16 dst, bool is_row = false);
  // `may_name`: items may be the names of entities, as in `for x in {ann, bob}`.
  void literal_set(const ast::List& e, u16 dst, bool may_name = false);
  void binary(const ast::Binary& e, u16 dst);
  void emit_binary(ast::BinaryOp op, Span span, u16 dst, u16 lhs, u16 rhs);
  void unary(const ast::Unary& e, u16 dst);
  void short_circuit(const ast::Binary& e, u16 dst);
  void name(const ast::Name& e, u16 dst);
  void path_value(const ast::Path& e, u16 dst);
  void range(const ast::Range& e, u16 dst);
  void index(const ast::Index& e, u16 dst);
  size_t index_spec(const std::vector<ast::IndexItem>& items);
  void if_value(const ast::If& e, u16 dst);
  void closure(const ast::Closure& e, u16 dst);
  void make_closure(ClosureSpec spec, u16 dst, Span span);
  void struct_literal(const ast::StructLiteral& e, u16 dst);
  void cast(const ast::Cast& e, u16 dst);

  // compile_string.cpp
  void string(const ast::String& e, u16 dst);
  bool is_text(const ast::StringPart& part);
  bool is_known(std::string_view name);

  // compile_call.cpp
  void call(const ast::Call& e, u16 dst);
  void call_path(const ast::Call& e, const ast::Path& path, u16 dst);
  // The value of a variable of a declared type, which says what a call such as zeros() leaves open.
  void declared_value(const ast::Expr& value, const ast::Type* type, u16 dst);
  const Builtin* creation(const ast::Call& e, const ast::Type& type);
  void declared_shape(const ast::Type& type, u16 dst);
  void call_builtin(const Builtin& builtin, const std::vector<ast::Arg>& args, Span span, u16 dst,
                    std::optional<DType> dtype = {}, const ast::Type* declared = nullptr);
  void call_value(const ast::Call& e, u16 dst);
  void call_held(u16 callee, const std::vector<ast::Arg>& args, Span span, u16 dst,
                 const ast::Name* name = nullptr);
  void call_symbol(const Symbol& symbol, const ast::Call& e, std::string_view name, u16 dst);
  void call_function(int proto, const std::vector<ast::Arg>& args, Span span, u16 dst);
  void method_call(const ast::MethodCall& e, u16 dst);
  // Where the arguments go among the parameters; reports what does not fit.
  std::optional<std::vector<int>> arrange(const std::vector<ParamInfo>& params,
                                          const std::vector<ast::Arg>& args, std::string_view callee,
                                          Span span, const ast::Fn* fn = nullptr);
  void note_interrupts(const Builtin& builtin);

  // compile_logic.cpp: relations, entities and learning, whose names and forms are checked here; what
  // needs an engine that is not there yet fails when it runs.
  void declare_logic(size_t module, const ast::Stmt& s);
  void declare_heads(size_t module);
  void check_rule(const ast::Rule& s);
  void check_formula(const ast::Formula& formula);
  void check_literal(const ast::Expr& literal);
  void check_atom(const ast::Expr& atom);
  void check_arity(const ast::Call& atom, const Symbol& relation);
  void check_embedding(const ast::Embedding& s);
  void fact(const ast::Call& e, const Symbol& relation, u16 dst);
  void query(const ast::Query& e);
  void infer(const ast::Infer& s);
  void with(const ast::With& s);
  void learn(const ast::Learn& s);
  void check_named_call(const ast::Setting& setting, std::span<const std::string_view> known);
  void set_item(const ast::Expr& item);
  bool logic_name(std::string_view name, Span span, u16 dst);
  const Symbol* find_relation(std::string_view name);
  void fails_yet(std::string_view what, Span span);  // at run time

  // Names, registers and code
  Place find(std::string_view name);
  bool is_self(std::string_view name) const;
  Place find_in(FunctionState& f, std::string_view name);
  void load(Place place, u16 dst, Span span);
  void bind_local(u16 reg, std::string_view name, Span span,
                  bool is_const = false);  // `reg` holds the value already
  int define_global(std::string_view name, Span span, bool is_const = false);
  u16 new_register(Span span);
  struct Scope {
    size_t locals;
    u16 registers;
  };
  Scope open_scope();
  void close_scope(const Scope& scope, Span span, bool clears = true);
  void run_drops(Span span);  // what was let go until here
  bool is_temporary(u16 reg) const;

  // The one place where instructions are written: what does not fit its field makes the function too large.
  size_t emit(Op op, Span span, u16 a = 0, size_t b = 0, size_t c = 0, u8 takes = 0);
  size_t cast_index(const CastSpec& spec);
  void too_large(Span span, size_t limit, std::string_view of_what);
  size_t emit_jump(Op op, Span span, u16 a = 0);
  void patch(size_t jump);
  void patch_all(const std::vector<size_t>& jumps);
  void jump_to(size_t target, Op op, Span span);
  size_t here() const { return fn_->proto->code.size(); }
  size_t constant(Value v);
  size_t name_index(std::string_view name);
  TypeSpec type_spec(const ast::Type* type) const;
  std::vector<ParamInfo> params_of(const std::vector<ast::Param>& params) const;
  void coerce(u16 reg, const ast::Type* type, std::string_view what, Span span, bool converts = false);
  void not_yet(Span span, std::string_view what);
  Diagnostic& unknown_name(std::string_view name, Span span);

  const ModuleGraph& graph_;
  Diagnostics& diags_;
  Program program_;
  std::vector<std::map<std::string, Symbol, std::less<>>> symbols_;  // by module
  std::map<const ast::Fn*, int> function_protos_;
  std::map<int, const ast::Fn*> function_trees_;
  std::map<int, const ast::Struct*> struct_trees_;         // by Program::structs
  std::map<const ast::StructField*, int> default_protos_;  // of fields whose default is computed
  struct EnumInfo {
    std::string name;
    std::vector<std::pair<std::string, Symbol>> variants;
  };
  std::vector<EnumInfo> enums_;
  std::map<int, int> makers_;      // Program::protos by Program::structs: functions that make variants
  Span use_;                       // where the name stands that is looked up
  std::set<std::string> clashes_;  // names that were reported
  std::vector<const ast::Relation*> relations_;  // null: known by a rule's head
  std::vector<int> arities_;                     // of relations_
  std::vector<const ast::Entity*> entities_;
  std::set<std::string, std::less<>> shared_names_;  // mentioned in functions: must be globals
  size_t module_ = 0;
  bool grows_ = false;
  std::vector<std::unordered_map<std::string, int>> methods_before_;  // of the structs, before compile_more()
  FunctionState* fn_ = nullptr;
};

// The names mentioned inside closures and local functions of `body`, for telling which variables they may
// capture.
void collect_captured(const ast::Block& body, std::set<std::string, std::less<>>& out);
void collect_captured(const ast::Expr& value, std::set<std::string, std::less<>>& out);
void collect_captured_in(const ast::Stmt& s, std::set<std::string, std::less<>>& out);
// All names mentioned in `value`, and those among them that are parameters of closures inside.
void collect_names(const ast::Expr& value, std::set<std::string, std::less<>>& out,
                   std::set<std::string, std::less<>>& parameters);
// Those mentioned inside of a function, main, test or bench block.
void collect_declaration(const ast::Stmt& s, std::set<std::string, std::less<>>& out);
// All names mentioned in a file.
void collect_module_names(const ast::Module& module, std::set<std::string, std::less<>>& out);
// All names mentioned in `body`.
void collect_captured_all(const ast::Block& body, std::set<std::string, std::less<>>& out);
void collect_captured_all(const ast::Expr& value, std::set<std::string, std::less<>>& out);

}  // namespace tl::interp
