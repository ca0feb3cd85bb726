// The tree the parser builds: what was written, with spans, and nothing that needs names, types or shapes.
// Nodes are owned by unique_ptr, told apart by `kind`; the parser bounds the tree's height (kMaxHeight), so
// recursive walks and destruction need no stack checks of their own.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tl/base/check.h"
#include "tl/base/span.h"

namespace tl::ast {

// No path from a module to a leaf is longer than this.
inline constexpr int kMaxHeight = 1000;

// Dense per module, from 0: later stages keep what they learn in vectors indexed by it.
enum class ExprId : u32 {};

struct Expr;
struct Stmt;
struct Type;
struct Pattern;
using ExprPtr = std::unique_ptr<Expr>;
using StmtPtr = std::unique_ptr<Stmt>;
using TypePtr = std::unique_ptr<Type>;
using PatternPtr = std::unique_ptr<Pattern>;

struct Ident {
  std::string text;  // empty: not written
  Span span;

  explicit operator bool() const { return !text.empty(); }
};

struct Block {
  Span span;  // from '{' to '}'
  std::vector<StmtPtr> statements;
};

// ---- Types ------------------------------------------------------------------------------------------------

enum class TypeKind : u8 {
  Error,   // could not be parsed; already reported
  Named,   // int, string, Model, Pair<int, float>
  Tensor,  // float16[n, 4], tensor<F>[..b, n]
  Tuple,   // (int, float); () is unit
  List,    // [int]
  Fn,      // fn(int, int) -> int
};

struct Dim {
  enum class Kind : u8 { Value, Any, Rest };  // an expression of ints and dim names; '?'; '...' or '..name'
  Kind kind = Kind::Any;
  Span span;
  ExprPtr value;  // Value: an Int, a Name or arithmetic on them
  Ident name;     // Rest: '..batch' names the leading dims
};

struct Type {
  TypeKind kind = TypeKind::Error;
  Span span;
  Ident name;                  // Named, Tensor (the element type)
  std::vector<TypePtr> items;  // Named, Tensor: type arguments; Tuple: items; List: one; Fn: parameters
  std::vector<Dim> dims;       // Tensor
  TypePtr result;              // Fn, may be null
};

// ---- Expressions ------------------------------------------------------------------------------------------

enum class ExprKind : u8 {
  Error,  // could not be parsed; already reported
  Int,
  Float,
  Imaginary,
  Bool,
  String,
  Name,
  Path,
  List,
  RepeatList,
  Tuple,
  Range,
  Call,
  MethodCall,
  Field,
  Index,
  Unary,
  Binary,
  Cast,
  If,
  Match,
  Closure,
  StructLiteral,
  BlockExpr,
  Try,
  Query,
  Formula,
};

enum class UnaryOp : u8 { Minus, Not, Inverse };  // -x  !x, not x  inv x

enum class BinaryOp : u8 {
  Or,              // || or
  And,             // && and
  Equal,           // ==
  NotEqual,        // !=
  Approx,          // ≈
  Less,            // <
  LessEqual,       // <=
  Greater,         // >
  GreaterEqual,    // >=
  In,              // x in xs
  NotIn,           // x not in xs
  Add,             // +
  Sub,             // -
  Mul,             // *
  Div,             // /
  Mod,             // %
  MatMul,          // @
  ElementwiseMul,  // ⊙
  Outer,           // ⊗
  Pow,             // ** ^
  Join,            // factors side by side in a tensor equation: W[i, j] X[j]
  Similar,         // ~
  Unify,           // '=' inside a rule body, a `where` or an explained goal
};

struct Expr {
  ExprKind kind;
  ExprId id{};
  Span span;

  explicit Expr(ExprKind k) : kind(k) {}
  Expr(const Expr&) = delete;
  Expr& operator=(const Expr&) = delete;
  virtual ~Expr() = default;
};

// Gives every concrete node its kind, so that `as<Call>(e)` can check itself.
template <ExprKind K>
struct ExprOf : Expr {
  static constexpr ExprKind kKind = K;
  ExprOf() : Expr(K) {}
};

struct ErrorExpr : ExprOf<ExprKind::Error> {};

struct Int : ExprOf<ExprKind::Int> {
  i64 value = 0;
};
struct Float : ExprOf<ExprKind::Float> {
  f64 value = 0;
};
struct Imaginary : ExprOf<ExprKind::Imaginary> {  // 2.5i
  f64 value = 0;
};
struct Bool : ExprOf<ExprKind::Bool> {
  bool value = false;
};

// "loss {x:.3} of {n}" is Text "loss ", Value x with spec ".3", Text " of ", Value n. A placeholder without
// an expression ("{}", "{:>8}") stays one part, for print to fill. A Value that names something the program
// does not have is text after all.
struct StringPart {
  enum class Kind : u8 { Text, Placeholder, Value };
  Kind kind = Kind::Text;
  Span span;
  std::string text;  // Text: escapes decoded, UTF-8; else as written, braces included
  ExprPtr value;     // Value
  std::string spec;  // Value, Placeholder: after the ':', may be empty
};
struct String : ExprOf<ExprKind::String> {
  std::vector<StringPart> parts;  // empty for ""; neighbouring Text parts are merged

  bool is_plain() const {
    return parts.empty() || (parts.size() == 1 && parts[0].kind == StringPart::Kind::Text);
  }
  // The value of a string without interpolated values: placeholders as written.
  std::string plain_text() const;
};

struct Name : ExprOf<ExprKind::Name> {
  std::string text;
};
struct Path : ExprOf<ExprKind::Path> {  // f32::zeros, Pair<int>::new
  TypePtr scope;
  Ident name;
};
struct List : ExprOf<ExprKind::List> {  // [1, 2], [[1, 2], [3, 4]], {a, b}, {"a": 1}
  std::vector<ExprPtr> items;
  bool is_set = false;  // written with braces
  bool is_map = false;  // the same, with a colon between items: key, value, key, value, ...
};
struct RepeatList : ExprOf<ExprKind::RepeatList> {  // [value; count]
  ExprPtr value, count;
};
struct Tuple : ExprOf<ExprKind::Tuple> {  // (), (a,), (a, b)
  std::vector<ExprPtr> items;
};
struct Range : ExprOf<ExprKind::Range> {  // a..b, a..=b
  ExprPtr begin, end;
  bool inclusive = false;
};

struct Arg {
  Span span;
  Ident name;  // `name = value` or `name: value`; empty when positional
  ExprPtr value;
};
struct Call : ExprOf<ExprKind::Call> {  // a statement that is a call may be a fact: sema knows the relations
  ExprPtr callee;
  std::vector<Arg> args;
  bool is_piped = false;  // x |> f(y): the first argument is written before the callee
};
struct MethodCall : ExprOf<ExprKind::MethodCall> {
  ExprPtr receiver;
  Ident name;
  std::vector<Arg> args;
};
struct Field : ExprOf<ExprKind::Field> {  // model.blk, pair.0
  ExprPtr object;
  Ident name;  // digits for `.0`
};

struct IndexItem {
  enum class Kind : u8 {
    At,          // value
    Slice,       // begin:end:step, each may be null; ':' alone has none
    Ellipsis,    // ...
    Normalised,  // value '.': only in tensor equations, value is a Name
    Virtual,     // '*' value: only in tensor equations, value is a Name plus or minus an Int
  };
  Kind kind = Kind::At;
  Span span;
  ExprPtr value, begin, end, step;
};
struct Index : ExprOf<ExprKind::Index> {
  ExprPtr object;
  std::vector<IndexItem> items;
};

struct Unary : ExprOf<ExprKind::Unary> {
  UnaryOp op{};
  Span op_span;
  ExprPtr operand;
};
struct Binary : ExprOf<ExprKind::Binary> {
  BinaryOp op{};
  Span op_span;  // empty for Join
  ExprPtr lhs, rhs;
};
struct Cast : ExprOf<ExprKind::Cast> {  // value as type
  ExprPtr value;
  TypePtr type;
};

struct IfBranch {
  ExprPtr condition;
  Block body;
};
// Also the statement. `if c then a else b` has blocks of one expression each.
struct If : ExprOf<ExprKind::If> {
  std::vector<IfBranch> branches;  // at least one; the rest are `else if`
  std::optional<Block> otherwise;
};
struct MatchArm {
  Span span;
  PatternPtr pattern;
  ExprPtr guard;  // may be null
  ExprPtr value;
};
struct Match : ExprOf<ExprKind::Match> {
  ExprPtr subject;
  std::vector<MatchArm> arms;
};

struct Param {
  Span span;
  Ident name;             // `self` for the receiver
  TypePtr type;           // may be null
  ExprPtr default_value;  // may be null
  bool variadic = false;  // `values: any...`, in builtins' signatures
};
struct Closure : ExprOf<ExprKind::Closure> {  // |x, y| x + y
  std::vector<Param> params;
  TypePtr result;  // may be null
  ExprPtr body;
};
struct FieldInit {
  Ident name;
  ExprPtr value;  // for `Point { x }`, the Name x
};
struct StructLiteral : ExprOf<ExprKind::StructLiteral> {
  TypePtr type;  // Named
  std::vector<FieldInit> fields;
};
struct BlockExpr : ExprOf<ExprKind::BlockExpr> {
  Block block;
};
// try { ... } catch e { ... } finally { ... }: at least one of the two
struct Try : ExprOf<ExprKind::Try> {
  Block body;
  Ident error;  // may be empty
  std::optional<Block> handler, finally;
};

// A condition on rows: alternatives ('|') of conjunctions (','). Each literal is a Call (an atom), `not` of
// one, a comparison, a Unify, a Similar or another Formula (written in brackets).
struct Formula : ExprOf<ExprKind::Formula> {
  std::vector<std::vector<ExprPtr>> alternatives;
};
struct OrderKey {
  ExprPtr value;
  bool descending = false;
};
struct Query : ExprOf<ExprKind::Query> {  // Ancestor(ann, X)? where X != bob order by X limit 3
  ExprPtr goal;                           // a Call (an atom), a Name or an Index (a tensor)
  std::unique_ptr<Formula> where;         // may be null
  std::vector<OrderKey> order_by;
  ExprPtr limit;  // may be null
};

// ---- Patterns ---------------------------------------------------------------------------------------------

enum class PatternKind : u8 {
  Error,
  Wildcard,
  Literal,
  Range,
  Binding,
  Tuple,
  List,
  Rest,
  Struct,
  Variant,
  Or
};

struct FieldPattern {
  Ident name;
  PatternPtr pattern;  // for `Point { x }`, a Binding of x
};
struct Pattern {
  PatternKind kind = PatternKind::Error;
  Span span;
  ExprPtr literal;                   // Literal: Int, Float, Bool, String, or Minus of a number
  ExprPtr begin, end;                // Range: literals of numbers or strings, either may be null
  bool inclusive = false;            // Range
  Ident name;                        // Binding, Variant; Rest: what `..name` binds, or empty
  TypePtr type;                      // Struct; Variant: the enum, where it is written
  std::vector<PatternPtr> items;     // Tuple, List (one may be Rest), Variant, Or
  std::vector<FieldPattern> fields;  // Struct
};

// ---- Statements and declarations --------------------------------------------------------------------------
// One list: which of them may stand where (at the top, in a block, in an impl) is sema's to say.

enum class StmtKind : u8 {
  Error,  // could not be parsed; already reported
  Let,
  Assign,
  ExprStmt,
  While,
  For,
  Loop,
  Break,
  Continue,
  Return,
  Defer,
  With,
  Import,
  PythonImport,
  Fn,
  Struct,
  Enum,
  Impl,
  TensorDecl,
  Main,
  Test,
  Bench,
  Entity,
  Relation,
  Rule,
  Embedding,
  Infer,
  Learn,
  Explain,
};

struct Stmt {
  StmtKind kind;
  Span span;

  explicit Stmt(StmtKind k) : kind(k) {}
  Stmt(const Stmt&) = delete;
  Stmt& operator=(const Stmt&) = delete;
  virtual ~Stmt() = default;
};
template <StmtKind K>
struct StmtOf : Stmt {
  static constexpr StmtKind kKind = K;
  StmtOf() : Stmt(K) {}
};

struct ErrorStmt : StmtOf<StmtKind::Error> {};

// How names lie in what is taken apart: `(i, (k, v))` is name 0 and the parts 1 and 2.
struct Unpacking {
  size_t name = 0;               // in `names`; of a leaf
  std::vector<Unpacking> parts;  // empty: a leaf
};
struct Let : StmtOf<StmtKind::Let> {  // let x: T = e, let (a, b) = e, let (a, [b, c]) = e
  std::vector<Ident> names;           // all of them, also from inner brackets
  bool is_tuple = false;              // destructures, even when it has one name
  bool is_const = false;              // written `const`: nothing assigns to it
  std::vector<Unpacking> unpacking;   // only where brackets lie in brackets
  TypePtr type;                       // may be null
  ExprPtr value;
};

enum class AssignOp : u8 {
  Set,      // =
  Define,   // :=   (means the same; kept for the formatter)
  Add,      // +=
  Sub,      // -=
  Mul,      // *=
  Div,      // /=
  Mod,      // %=
  Pow,      // **=
  MatMul,   // @=
  Max,      // max=   projections of tensor equations
  Min,      // min=
  Average,  // avg=
};
// Assignments and tensor equations: `H[i] = W[i, j] * x[j]` is an equation when i names no variable, which
// sema knows. The target is a Name, Index, Field, Tuple of those, Call (a weighted fact or an equation over a
// relation) or String (a file).
struct Assign : StmtOf<StmtKind::Assign> {
  AssignOp op{};
  Span op_span;
  ExprPtr target, value;
  bool is_equation = false;  // has a Join, a normalised or virtual index or a projection: can be nothing else
};
struct ExprStmt : StmtOf<StmtKind::ExprStmt> {  // also facts (Call), queries (Query), if, match and blocks
  ExprPtr value;
  bool has_semicolon = false;
};
struct While : StmtOf<StmtKind::While> {
  ExprPtr condition;
  Block body;
};
struct For : StmtOf<StmtKind::For> {  // for x in xs, for (i, x) in enumerate(xs)
  std::vector<Ident> names;           // as of Let
  bool is_tuple = false;
  std::vector<Unpacking> unpacking;
  ExprPtr iterable;
  Block body;
};
struct Loop : StmtOf<StmtKind::Loop> {
  Block body;
};
struct Break : StmtOf<StmtKind::Break> {};
struct Continue : StmtOf<StmtKind::Continue> {};
struct Return : StmtOf<StmtKind::Return> {
  ExprPtr value;  // may be null
};
struct Defer : StmtOf<StmtKind::Defer> {  // runs when the block around it is left
  Block body;
};
struct With : StmtOf<StmtKind::With> {  // with Person { ... }
  Ident entity;
  Block body;
};
struct Import : StmtOf<StmtKind::Import> {
  std::string path;
  Span path_span;
  Ident alias;  // import "x.tl" as u: its names are u.name
  // from "x.tl" import a, b as c: these and no others.
  struct Selected {
    Ident name, alias;  // the alias may be empty
  };
  std::vector<Selected> selected;
};
struct PythonImport : StmtOf<StmtKind::PythonImport> {  // python import numpy as np
  Ident module;                                         // dotted
  Ident alias;
};

struct Fn : StmtOf<StmtKind::Fn> {
  Ident name;
  std::vector<Ident> generics;
  std::vector<Param> params;
  TypePtr result;  // may be null; `void` is a Named type
  Block body;
};
enum class Training : u8 { Unsaid, Learnable, Frozen };
struct StructField {
  Ident name;
  TypePtr type;
  Training training = Training::Unsaid;
  ExprPtr default_value = nullptr;  // may be null
};
struct Struct : StmtOf<StmtKind::Struct> {
  Ident name;
  std::vector<Ident> generics;
  std::vector<StructField> fields;
};
struct EnumVariant {
  Ident name;
  std::vector<StructField> fields;  // names are empty where only types are written
};
struct Enum : StmtOf<StmtKind::Enum> {  // enum Shape { Circle(float), Rect(float, float), Empty }
  Ident name;
  std::vector<Ident> generics;
  std::vector<EnumVariant> variants;
};
struct Impl : StmtOf<StmtKind::Impl> {  // impl<T> Drop for Pair<T> { fn ... }
  std::vector<Ident> generics;
  Ident trait;  // empty, or Drop
  TypePtr type;
  std::vector<std::unique_ptr<Fn>> methods;
};
struct TensorDecl : StmtOf<StmtKind::TensorDecl> {  // tensor w: float16[1] learnable = [0.5]
  Ident name;
  TypePtr type;  // may be null
  Training training = Training::Unsaid;
  ExprPtr value;  // may be null: zeros
};
struct Main : StmtOf<StmtKind::Main> {
  Block body;
};
struct Test : StmtOf<StmtKind::Test> {
  Ident name;
  Block body;
};
struct Bench : StmtOf<StmtKind::Bench> {
  Ident name;
  Block body;
};

struct Module {
  FileId file = FileId::None;
  std::vector<StmtPtr> statements;
  u32 expr_count = 0;       // ExprIds are below this
  bool ends_early = false;  // an error at the end of the file: a prompt may ask for more lines
};

// ---- Access -----------------------------------------------------------------------------------------------

// as<Call>(e): `e` as the node its kind says it is; asking for another is our bug.
template <typename T, typename Base>
const T& as(const Base& node) {
  TL_CHECK(node.kind == T::kKind, "node of kind {} read as kind {}", int(node.kind), int(T::kKind));
  return static_cast<const T&>(node);
}
template <typename T, typename Base>
T& as(Base& node) {
  return const_cast<T&>(as<T>(static_cast<const Base&>(node)));
}
// if (const Call* call = get_if<Call>(e)) ...; null for null and for any other kind.
template <typename T, typename Base>
const T* get_if(const Base* node) {
  return node != nullptr && node->kind == T::kKind ? static_cast<const T*>(node) : nullptr;
}
template <typename T, typename Base>
const T* get_if(const std::unique_ptr<Base>& node) {
  return get_if<T>(static_cast<const Base*>(node.get()));
}

// Whether nested lists are written as a tensor: all their leaves could be numbers, and one is written so.
bool is_tensor_literal(const List& e);

// "==", "⊙", ...: as the reader writes it.
std::string_view spelling(BinaryOp op);
std::string_view spelling(UnaryOp op);
std::string_view spelling(AssignOp op);

}  // namespace tl::ast

#include "tl/syntax/ast_logic.h"
