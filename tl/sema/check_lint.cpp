// What runs, or may run, and is certainly not meant: types that do not exist, results that nobody gets.
#include <algorithm>

#include "tl/diag/suggest.h"
#include "tl/sema/checker.h"

namespace tl::sema {

// ---- Types that do not exist ------------------------------------------------------------------------------

// Beside element types, structs, enums and entity sets.
static constexpr std::string_view kTypeNames[] = {"int",
                                                  "float",
                                                  "bool",
                                                  "string",
                                                  "void",
                                                  "any",
                                                  "unit",
                                                  "tensor",
                                                  "Tensor",
                                                  "Model",
                                                  "Tokenizer",
                                                  "KVCache",
                                                  "Relation",
                                                  "Entity",
                                                  "entity",
                                                  "concept",
                                                  "list",
                                                  "List",
                                                  "map",
                                                  "Map",
                                                  "set",
                                                  "Set",
                                                  "tuple",
                                                  "range",
                                                  "fn",
                                                  "dtype",
                                                  "Generator",
                                                  "Task",
                                                  "TokenIds",
                                                  "TokenIdArray",
                                                  "IntArray",
                                                  "FloatArray",
                                                  "StringArray",
                                                  "BoolArray",
                                                  "IntVec",
                                                  "FloatVec",
                                                  "StringVec",
                                                  "BoolVec",
                                                  "Vec",
                                                  "ShapeDims",
                                                  "ModelF16",
                                                  "ModelF32",
                                                  "ModelLayer",
                                                  "ModelFeature",
                                                  "KVCacheF16",
                                                  "KVCacheF32",
                                                  "TensorBuffer",
                                                  "WeightCache",
                                                  "GGUFWeightCache",
                                                  "Error",
                                                  "self",
                                                  "Self",
                                                  "f16",
                                                  "f32",
                                                  "f64",
                                                  "i32",
                                                  "i64",
                                                  "complex16",
                                                  "complex64",
                                                  "number",
                                                  "bytes",
                                                  "none",
                                                  "Type"};

void Checker::check_type(const ast::Type* type) {
  if (type == nullptr) return;
  if (type->kind != ast::TypeKind::Tensor) {  // tensor<F>: of any element type that F says
    for (const auto& item : type->items) check_type(item.get());
  }
  check_type(type->result.get());
  const std::string& name = type->name.text;
  if ((type->kind != ast::TypeKind::Named && type->kind != ast::TypeKind::Tensor) || name.empty()) return;
  if (std::find(std::begin(kTypeNames), std::end(kTypeNames), name) != std::end(kTypeNames)) return;
  if (find_dtype(name) || is_generic(name) || name.find('.') != std::string::npos) return;
  for (const auto& symbols : symbols_) {
    if (symbols.count(name) > 0) return;
  }
  std::vector<std::string> names(std::begin(kTypeNames), std::begin(kTypeNames) + 11);
  for (const DType dtype : {DType::F16, DType::F32, DType::F64, DType::BF16, DType::I8, DType::I16,
                            DType::I32, DType::I64, DType::U8, DType::Bool})
    names.emplace_back(name_of(dtype));
  for (const ast::Module* module : modules_) {
    for (const auto& s : module->statements) {
      const auto* entity = ast::get_if<ast::Entity>(s);
      if (entity != nullptr && entity->name.text == name) return;
      if (s->kind == ast::StmtKind::Embedding || s->kind == ast::StmtKind::Relation) continue;
    }
  }
  for (const auto& of : structs_) names.push_back(of->name);
  for (const auto& of : enums_) names.push_back(of->name);
  Diagnostic& d = diags_.report(DiagCode::UnknownType, type->name.span, name);
  std::string close(closest_name(name, names));
  if (name == "str" || name == "String") close = "string";
  if (name == "double" || name == "number") close = "float";
  if (name == "boolean") close = "bool";
  if (name == "integer" || name == "Int" || name == "long") close = "int";
  if (!close.empty()) d.note("did you mean '{}'?", close).replace(type->name.span, close);
}

// Of declarations; those of functions and variables are looked at with them.
void Checker::check_types(const ast::Stmt& s) {
  static const std::vector<ast::Ident> none;
  if (const auto* tree = ast::get_if<ast::Struct>(&s)) {
    generics_.push_back(&tree->generics);
    for (const ast::StructField& field : tree->fields) {
      check_type(field.type.get());
      if (field.default_value == nullptr) continue;
      const Operand given{expression(*field.default_value), field.default_value->span};
      if (!given.type.is(Kind::Unit)) expect(field.type.get(), given, fmt::format("'{}'", field.name.text));
    }
    generics_.pop_back();
  } else if (const auto* of = ast::get_if<ast::Enum>(&s)) {
    generics_.push_back(&of->generics);
    for (const ast::EnumVariant& variant : of->variants) {
      for (const ast::StructField& field : variant.fields) check_type(field.type.get());
    }
    generics_.pop_back();
  }
}

// ---- Returns, results and variables -----------------------------------------------------------------------

void Checker::check_returns(const ast::Fn& fn, const Type& value) {
  const ast::Type& result = *fn.result;
  const bool is_void =
      (result.kind == ast::TypeKind::Named &&
       (result.name.text == "void" || result.name.text == "unit" || result.name.text == "any")) ||
      (result.kind == ast::TypeKind::Tuple && result.items.empty());
  if (is_void || is_opaque_) return;
  const ast::Stmt* last = fn.body.statements.empty() ? nullptr : fn.body.statements.back().get();
  const auto* expression = ast::get_if<ast::ExprStmt>(last);
  bool lacks = last == nullptr || last->kind == ast::StmtKind::Let || last->kind == ast::StmtKind::While ||
               last->kind == ast::StmtKind::For || last->kind == ast::StmtKind::TensorDecl;
  if (expression != nullptr) {
    const auto* choice = ast::get_if<ast::If>(expression->value);
    const auto* call = ast::get_if<ast::Call>(expression->value);
    if (choice != nullptr) lacks = !choice->otherwise;
    if (call != nullptr) lacks = value.is(Kind::Unit);
  }
  if (!lacks || (returns_ && !lint_) || !fn.body.span || fn.body.span.end < fn.body.span.begin + 2) return;
  const Span end{fn.body.span.file, fn.body.span.end - 1, fn.body.span.end};
  diags_
      .report(returns_ ? DiagCode::MayLackReturn : DiagCode::MissingReturn, end, fn.name.text,
              text_of(result))
      .also(fn.result->span, "the result is declared here")
      .note("end the function with the value, or with 'return value'");
}

// Whether a statement that is only this expression does nothing.
bool Checker::is_dropped(const ast::Expr& value, const Type& type) const {
  if (type.is(Kind::Unit)) return false;
  switch (value.kind) {
    case ast::ExprKind::Binary: {
      const auto op = ast::as<ast::Binary>(value).op;
      return op != ast::BinaryOp::Similar && op != ast::BinaryOp::Unify && op != ast::BinaryOp::Join &&
             op != ast::BinaryOp::And && op != ast::BinaryOp::Or;
    }
    case ast::ExprKind::Unary:
    case ast::ExprKind::Int:
    case ast::ExprKind::Float:
    case ast::ExprKind::Bool:
    case ast::ExprKind::List:
    case ast::ExprKind::Tuple:
    case ast::ExprKind::Closure:
    case ast::ExprKind::StructLiteral:
    case ast::ExprKind::Cast:
      return true;
    case ast::ExprKind::String:
      return true;
    case ast::ExprKind::Call: {
      const auto* name = ast::get_if<ast::Name>(ast::as<ast::Call>(value).callee);
      if (name == nullptr || scopes_.find(name->text) != Scopes::kNowhere ||
          find_symbol(name->text).is_known())
        return false;
      const lang::Builtin* builtin = lang::find_builtin(name->text);
      return builtin != nullptr && builtin->effect == lang::Effect::Pure && builtin->parsed.result != "unit";
    }
    default:
      return false;
  }
}

void Checker::warn_unused() {
  const std::vector<size_t> unused = scopes_.take_unused();
  const bool is_opaque = std::exchange(is_opaque_, false);
  if (!lint_ || is_opaque) return;
  for (const size_t at : unused) {
    const Scopes::Variable& variable = scopes_.at(at);
    diags_.report(DiagCode::UnusedVariable, variable.span, variable.name)
        .note("a name that begins with '_' says that this is meant");
  }
}

}  // namespace tl::sema
