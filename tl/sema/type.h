// What the checker knows of a value: its kind, and as much of shape, element type and constant value as the
// text shows. `Any` is no knowledge; it never causes a diagnostic.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tl/syntax/ast.h"
#include "tl/tensor/shape.h"

namespace tl::sema {

enum class Kind : u8 {
  Any,
  Unit,
  Int,
  Float,
  Bool,
  String,
  DType,
  List,
  Tuple,
  Range,
  Tensor,
  Struct,
  Enum,
  Function,
};

struct StructInfo;
struct EnumInfo;

struct Type {
  Kind kind = Kind::Any;
  bool dtype_known = false;  // Tensor, DType: tensor.dtype means something
  bool items_known = false;  // List (a literal nobody else can change), Tuple: `items` are all of them
  TensorType tensor;         // Tensor
  std::optional<i64> whole;  // Int: its value
  std::optional<f64> real;   // Float: its value
  const ast::String* text = nullptr;  // String: its literal, without interpolated values
  std::vector<Type> items;
  const StructInfo* of = nullptr;                     // Struct
  const EnumInfo* of_enum = nullptr;                  // Enum
  const std::vector<ast::Param>* params = {};         // Function, null: not known
  const ast::Type* result = nullptr;                  // Function
  const std::vector<ast::Ident>* generics = nullptr;  // Function

  bool is(Kind k) const { return kind == k; }
  bool is_any() const { return kind == Kind::Any; }
  bool is_number() const { return kind == Kind::Int || kind == Kind::Float; }
  bool has_rank() const { return kind == Kind::Tensor && tensor.rank_known; }
  // Can it be one number? Also unknown tensors.
  bool may_be_scalar() const;
};

Type make_type(Kind kind);
Type int_type(std::optional<i64> value = {});
Type float_type(std::optional<f64> value = {});
Type tensor_type(const Shape& shape, std::optional<DType> dtype = {});
Type list_type(std::vector<Type> items);

struct FieldInfo {
  std::string name;
  Type type;
  const ast::Type* declared;
};
struct StructInfo {
  std::string name;
  const ast::Struct* tree = nullptr;
  std::vector<FieldInfo> fields;
  std::vector<const ast::Fn*> methods;
  const FieldInfo* find(std::string_view field) const;
  const ast::Fn* find_method(std::string_view method) const;
};

struct EnumInfo {
  std::string name;
  const ast::Enum* tree = nullptr;
};

// As messages name it: "int", "float32[2, 3]", "tensor [2, ?]", "a list".
std::string describe(const Type& type);
// "[2, 3]", "[]" for a number, "a tensor" where the rank is not known.
std::string shape_text(const Type& type);
// A declared type as it is written.
std::string text_of(const ast::Type& type);

// What holds of both.
Type join(const Type& a, const Type& b);
// What a variable may be taken to hold: the items of a list can change behind its back.
Type as_variable(Type type);

// A declared tensor type with what the value adds to it.
Type refine(const Type& declared, const Type& value);

// As an operand of a tensor op: numbers are [], lists of numbers their shape. Any stays Any; empty: no tensor
// can be made of it.
std::optional<Type> to_tensor(const Type& type);

}  // namespace tl::sema
