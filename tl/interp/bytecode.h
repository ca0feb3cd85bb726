// The compact form the interpreter runs: register code, one Proto per function. Registers below are of the
// current frame; a callee's frame begins where its arguments lie, so that a call moves nothing.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "tl/builtins/builtins.h"
#include "tl/builtins/index.h"
#include "tl/builtins/operators.h"

namespace tl::interp {

using lang::Builtin;
using lang::Operator;
using lang::Value;

enum class Op : u8 {
  LoadConstant,  // a = constants[b, c]
  LoadInt,       // a = i32 in b, c
  LoadUnit,      // a = void
  LoadEmpty,     // a = nothing: an argument that is not given
  LoadBool,      // a = b
  Move,          // a = b
  Clear,         // registers a .. a+b-1 let go of what they hold
  GetGlobal,     // a = globals[b, c]
  SetGlobal,     // globals[b, c] = a, which it takes or not
  NewCell,       // a = a cell that holds what a held
  GetCell,       // a = what the cell in b holds
  SetCell,       // the cell in a holds b
  LoadSelf,      // a = the function that runs: a local function calling itself, without a cycle of references
  LoadCapture,   // a = the closure's cell b
  // Arithmetic and comparisons: a = b op c, in the order of lang::Operator.
  Add,
  Sub,
  Mul,
  Div,
  Mod,
  Pow,
  MatMul,
  Equal,
  NotEqual,
  Less,
  LessEqual,
  Greater,
  GreaterEqual,
  AddInt,         // a = b + i16 c
  Negate,         // a = -b
  Not,            // a = !b
  Approximately,  // a = b ≈ c
  In,             // a = b in c
  NotIn,          // a = b not in c
  Jump,           // to b, c
  Loop,           // to b, c, backwards: looks after the executor and Ctrl-C
  ToBool,         // a becomes the bool that it stands for
  JumpIf,         // if a, to b, c
  JumpIfNot,      // unless a, to b, c
  JumpIfGiven,    // unless a is empty, to b, c
  Cast,           // a = b as casts[c]
  Coerce,         // a becomes what types[c] wants; names[b] is its name in messages
  MakeList,       // a = [b .. b+c-1]; takes 1: a tensor
  GrowList,       // the list a gets b .. b+c-1 at its end
  FinishList,     // a = what a literal of the items of the list b is; c: a tensor
  MakeTuple,      // a = (b .. b+c-1)
  MakeRange,      // a = b..b+1, c: including the end
  RepeatList,     // a = [b; c]
  MakeStruct,     // a = structs[b] of registers c ...
  MakeClosure,    // a = closures[b, c]
  Interpolate,    // a = texts[b], values in c ...
  Index,          // a = b[c]; takes may have kForUpdate
  IndexMany,      // a = b[indices[c]]
  SetIndex,       // a[b] = c, a becomes what it holds afterwards; takes may have kIfTensor
  SetIndexMany,   // a[indices[b]] = c
  GetField,       // a = b.names[c]
  SetField,       // a.names[b] = c
  CallFn,         // a = calls[b] to a function of the program, arguments from c on
  CallBuiltin,    // a = calls[b] to a builtin
  CallMethod,     // a = calls[b] by the receiver in c
  CallValue,      // a = calls[b] to the function in c, arguments from c + 1 on
  Return,         // a
  ForPrepare,     // registers a .. a+2 iterate over a; b: counts ints from a to a+1, c: pairs of a map
  ForNext,        // b = next item of a, or skips the next instruction... when there is one
  ForRange,       // the same where a, a+1 are ints
  Unpack,         // a .. a+c-1 = items of b, which has c
  IsTuple,        // a = b is a tuple of c
  IsStruct,       // a = b is of structs[c]
  NoMatch,        // fails: no arm matches a
};

// The operand registers that are temporaries of this instruction: emptied by it where they hold objects, so
// that no tensor lives longer than its last use.
inline constexpr u8 kTakesB = 1, kTakesC = 2;
// Of Index: what it gives is going to be changed and set; of a mask it is everything.
inline constexpr u8 kForUpdate = 4;
// Of SetIndex and SetIndexMany: what is no tensor is left where it is, in its list.
inline constexpr u8 kIfTensor = 1;

// Registers fit 16 bits; what indexes a table of the function may not, and then uses the rest of `takes` or
// the place of two operands. Whoever writes an instruction checks that everything fits (Compiler::emit).
struct Instr {
  Op op;
  u8 takes = 0;
  u16 a = 0, b = 0, c = 0;

  i32 wide() const { return static_cast<i32>(static_cast<u32>(b) | static_cast<u32>(c) << 16); }
  void set_wide(i32 v) {
    b = static_cast<u16>(static_cast<u32>(v) & 0xffffu);
    c = static_cast<u16>(static_cast<u32>(v) >> 16);
  }
  // b or c of an op that has_long_b or has_long_c.
  u32 long_b() const { return b | static_cast<u32>(takes >> 2) << 16; }
  u32 long_c() const { return c | static_cast<u32>(takes >> 2) << 16; }
  // c of AddInt.
  i64 amount() const { return static_cast<i16>(c); }
};
static_assert(sizeof(Instr) == 8);

inline constexpr u32 kMaxLong = (1u << 22) - 1;
constexpr bool has_long_b(Op op) {
  return op == Op::CallFn || op == Op::CallBuiltin || op == Op::CallMethod || op == Op::CallValue ||
         op == Op::Interpolate || op == Op::SetIndexMany || op == Op::SetField;
}
constexpr bool has_long_c(Op op) {
  return op == Op::IndexMany || op == Op::GetField || op == Op::Cast || op == Op::Coerce;
}
// b and c are one number.
constexpr bool is_wide(Op op) {
  return op == Op::LoadInt || op == Op::LoadConstant || op == Op::GetGlobal || op == Op::SetGlobal ||
         op == Op::MakeClosure;
}

// A declared type as far as running needs it.
struct TypeSpec {
  // A dim with a name is one number throughout a call: kept in a register, set by the first tensor that has
  // it.
  struct NamedDim {
    int axis;
    u16 reg;
    std::string name;
    bool operator==(const NamedDim&) const = default;
  };
  enum class Kind : u8 { Any, Int, Float, Bool, String, Tensor };
  Kind kind = Kind::Any;
  DType dtype = DType::F32;
  std::vector<i64> dims;  // Tensor; -1: any
  std::vector<NamedDim> named;
  bool has_rank = false;  // false: float32[...]
  bool converts = false;  // a declaration: also changes the element type and the shape
  bool operator==(const TypeSpec&) const = default;
};

// Where arguments of a call go. Named ones are matched with parameters when compiling where the callee is
// known, else (methods) when running.
struct CallSite {
  int function = -1;                 // Program::protos; CallFn, or the function a method may mean
  const Builtin* builtin = nullptr;  // CallBuiltin, or the builtin a method may mean
  std::string name;                  // of the method
  u16 count = 0;  // registers from c on that hold arguments (CallMethod: with the receiver)
  std::vector<std::string>
      names;  // CallMethod, CallValue: one per argument, empty when positional; or none at all
  std::vector<int> builtin_order;  // CallMethod: arrange_arguments for `builtin`
};

struct TextPart {
  std::string text;
  bool is_value = false;
  std::string spec;
};

struct IndexSpec {
  std::vector<lang::IndexItem::Kind> kinds;
  u16 first = 0;  // registers: one for At, three for Slice (begin, end, step), none for Ellipsis
  u16 count = 0;
};

struct ClosureSpec {
  int proto = -1;
  struct Source {
    bool from_capture = false;  // else a register that holds a cell
    u32 index = 0;
  };
  std::vector<Source> sources;
};

struct CastSpec {
  bool is_scalar = true;  // of a number: as `scalar`, else as the scalar that `dtype` is
  lang::ScalarType scalar{};
  DType dtype{};
  std::optional<DType> tensor_dtype = {};  // of a tensor
  bool operator==(const CastSpec&) const = default;
};

struct ParamInfo {
  std::string name;
  bool has_default = false;
};

struct Proto {
  size_t index = 0;  // Program::protos
  std::string name;
  std::vector<ParamInfo> params;
  std::vector<Instr> code;
  std::vector<Span> spans;  // one per instruction
  u16 registers = 0;
  Span span;

  std::vector<Value> constants;  // to be copied: each interpreter counts references of its own
  std::vector<CallSite> calls;
  std::vector<std::string> names;
  std::vector<std::vector<TextPart>> texts;
  std::vector<IndexSpec> indices;
  std::vector<ClosureSpec> closures;
  std::vector<CastSpec> casts;
  std::vector<TypeSpec> types;
};

// A struct of the program with its methods.
struct StructInfo : lang::StructType {
  std::unordered_map<std::string, int> methods;  // Program::protos
  std::vector<TypeSpec> field_types;
};

struct NamedProto {
  std::string name;
  int proto = -1;
};

struct Program {
  std::vector<std::unique_ptr<Proto>> protos;
  std::vector<std::unique_ptr<StructInfo>> structs;
  std::vector<std::string> globals;  // names, for messages
  std::vector<int> initialisers;     // the modules' top-level statements, imports first
  int main = -1;                     // -1: none
  std::vector<NamedProto> tests, benches;
  std::vector<NamedProto> functions;  // of the file itself, for callers from outside
  bool asks_for_interrupts = false;   // calls interrupted(): the first Ctrl-C is its business
};

}  // namespace tl::interp
