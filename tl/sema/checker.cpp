// Modules, declarations, functions and declared types.
#include "tl/sema/checker.h"

#include <algorithm>

#include "tl/sema/sema.h"

namespace tl::sema {

void check(std::span<const ast::Module* const> modules, Diagnostics& diags, bool lint) {
  Checker(modules, diags, lint).check();
}

void Checker::check() {
  symbols_.resize(modules_.size());
  globals_.resize(modules_.size());
  for (const ast::Module* module : modules_) writes_.emplace_back(*module);
  for (size_t i = 0; i < modules_.size(); ++i) declare(i);
  for (size_t i = 0; i < modules_.size(); ++i) declare_imports(i);
  for (size_t i = 0; i < modules_.size(); ++i) check_module(i);
}

// ---- Declarations -----------------------------------------------------------------------------------------

void Checker::declare(size_t module) {
  module_ = module;
  const auto& statements = modules_[module]->statements;
  for (const auto& s : statements) {
    if (const auto* fn = ast::get_if<ast::Fn>(s)) symbols_[module].emplace(fn->name.text, Symbol{.fn = fn});
    if (const auto* tree = ast::get_if<ast::Enum>(s)) {
      enums_.push_back(std::make_unique<EnumInfo>(EnumInfo{tree->name.text, tree}));
      const EnumInfo* of = enums_.back().get();
      symbols_[module].emplace(tree->name.text, Symbol{.of_enum = of});
      for (const ast::EnumVariant& variant : tree->variants)
        symbols_[module].emplace(variant.name.text, Symbol{.of_enum = of, .variant = &variant});
    }
    if (const auto* tree = ast::get_if<ast::Struct>(s)) {
      structs_.push_back(std::make_unique<StructInfo>());
      structs_.back()->name = tree->name.text;
      structs_.back()->tree = tree;
      symbols_[module].emplace(tree->name.text, Symbol{.of = structs_.back().get()});
    }
  }
  for (auto& [name, symbol] : symbols_[module]) {
    if (symbol.of == nullptr) continue;
    std::map<std::string, Span, std::less<>> seen;
    for (const ast::StructField& field : symbol.of->tree->fields) {
      const auto [first, is_new] = seen.emplace(field.name.text, field.name.span);
      if (!is_new) {
        diags_.report(DiagCode::DuplicateName, field.name.span, field.name.text)
            .also(first->second, "first declared here");
      }
      symbol.of->fields.push_back({field.name.text, declared(field.type.get()), field.type.get()});
    }
  }
  for (const auto& s : statements) {
    const auto* impl = ast::get_if<ast::Impl>(s);
    StructInfo* of = impl != nullptr && impl->type != nullptr ? find_struct(impl->type->name.text) : nullptr;
    if (of == nullptr) continue;
    for (const auto& method : impl->methods) of->methods.push_back(method.get());
  }
}

// What `from ... import` names is what the only other file that has it says; of what lies behind a name of a
// file as much is known.
void Checker::declare_imports(size_t module) {
  module_ = module;
  for (const auto& s : modules_[module]->statements) {
    const auto* import = ast::get_if<ast::Import>(s);
    if (import == nullptr) continue;
    if (import->alias) symbols_[module].emplace(import->alias.text, Symbol{.file = import});
    for (const ast::Import::Selected& one : import->selected) {
      const Symbol found = symbols_[module].count(one.name.text) > 0 ? Symbol{} : find_symbol(one.name.text);
      const std::string& name = one.alias ? one.alias.text : one.name.text;
      symbols_[module].emplace(name, found.is_known() ? found : Symbol{.file = import});
    }
  }
}

// Own names first. What two other files declare both may be either one: not known.
Checker::Symbol Checker::find_symbol(std::string_view name) const {
  if (const auto own = symbols_[module_].find(name); own != symbols_[module_].end()) return own->second;
  Symbol found;
  for (size_t i = 0; i < module_; ++i) {
    const auto it = symbols_[i].find(name);
    if (it == symbols_[i].end()) continue;
    if (found.is_known()) return {};
    found = it->second;
  }
  return found;
}

void Checker::check_duplicates(const std::vector<ast::Param>& params) {
  std::map<std::string_view, Span> seen;
  for (const ast::Param& p : params) {
    if (!p.name || p.name.text == "_") continue;
    const auto [first, is_new] = seen.emplace(p.name.text, p.name.span);
    if (is_new) continue;
    diags_.report(DiagCode::DuplicateName, p.name.span, p.name.text)
        .also(first->second, "first declared here");
  }
}

void Checker::check_module(size_t module) {
  module_ = module;
  const ast::Module& tree = *modules_[module];
  scopes_.open();
  std::map<std::string_view, int> count;
  for (const auto& s : tree.statements) {
    if (const auto* let = ast::get_if<ast::Let>(s)) {
      for (const ast::Ident& name : let->names) ++count[name.text];
    }
    if (const auto* decl = ast::get_if<ast::TensorDecl>(s)) ++count[decl->name.text];
  }
  for (const auto& s : tree.statements) {
    outermost_ = s->span;
    check_types(*s);
    statement(*s);
  }
  // Functions see the variables of the top level as the last statement leaves them.
  for (const auto& [name, times] : count) {
    const size_t at = scopes_.find(name);
    if (at == Scopes::kNowhere) continue;
    if (times > 1) scopes_.at(at).is_loose = true, scopes_.assign(at, {});
    globals_[module][std::string(name)] = scopes_.at(at).type;
  }
  for (const auto& s : tree.statements) {
    outermost_ = s->span;
    if (const auto* fn = ast::get_if<ast::Fn>(s)) {
      check_function(fn->params, fn->result.get(), &fn->body, nullptr, nullptr, fn);
    } else if (const auto* impl = ast::get_if<ast::Impl>(s)) {
      const StructInfo* of = impl->type != nullptr ? find_struct(impl->type->name.text) : nullptr;
      generics_.push_back(&impl->generics);
      for (const auto& method : impl->methods)
        check_function(method->params, method->result.get(), &method->body, nullptr, of, method.get());
      generics_.pop_back();
    } else if (const auto* main = ast::get_if<ast::Main>(s)) {
      check_function({}, nullptr, &main->body, nullptr, nullptr);
    } else if (const auto* test = ast::get_if<ast::Test>(s)) {
      check_function({}, nullptr, &test->body, nullptr, nullptr);
    } else if (const auto* bench = ast::get_if<ast::Bench>(s)) {
      check_function({}, nullptr, &bench->body, nullptr, nullptr);
    }
  }
  scopes_.close();
}

void Checker::check_function(const std::vector<ast::Param>& params, const ast::Type* result,
                             const ast::Block* body, const ast::Expr* value, const StructInfo* self,
                             const ast::Fn* fn) {
  check_duplicates(params);
  static const std::vector<ast::Ident> none;
  generics_.push_back(fn != nullptr ? &fn->generics : &none);
  for (const ast::Param& p : params) check_type(p.type.get());
  check_type(result);
  const bool returns = std::exchange(returns_, false);
  const size_t mark = scopes_.trail();
  const ast::Type* const outer = std::exchange(result_, result);
  const bool breaks = std::exchange(loop_breaks_, false);
  ++function_;
  scopes_.open();
  for (const ast::Param& p : params) {
    if (p.default_value != nullptr) {
      const Operand given{expression(*p.default_value), p.default_value->span};
      // `= none` says that the argument may be missing.
      if (!given.type.is(Kind::Unit)) expect(p.type.get(), given, fmt::format("'{}'", p.name.text));
    }
    Type type = declared(p.type.get());
    if (p.default_value != nullptr && !type.is_any() && ast::get_if<ast::Name>(p.default_value)) type = {};
    if (p.name.text == "self" && self != nullptr) {
      type = make_type(Kind::Struct);
      type.of = self;
    }
    if (p.variadic) type = make_type(Kind::List);
    scopes_.declare(p.name.text, std::move(type), function_);
  }
  for (const ast::Param& p : params) {  // the dims of the signature
    if (p.type == nullptr || p.type->kind != ast::TypeKind::Tensor || body == nullptr) continue;
    for (const ast::Dim& dim : p.type->dims) {
      const auto* name = ast::get_if<ast::Name>(dim.value);
      const bool is_param =
          name != nullptr && std::any_of(params.begin(), params.end(), [&](const ast::Param& other) {
            return other.name.text == name->text;
          });
      if (name != nullptr && !is_param)
        scopes_.declare(name->text,
                        writes_[module_].is_written_in(name->text, body->span) ? Type{} : int_type(),
                        function_);
    }
  }
  Operand out;
  bool leaves = false;
  if (body != nullptr) {
    leaves = block(*body, &out.type) == End::Leaves;
    out.span = body->statements.empty() ? body->span : body->statements.back()->span;
  } else {
    out = {expression(*value), value->span};
  }
  if (!leaves && !out.type.is(Kind::Unit)) expect(result, out, "'result'");
  if (!leaves && fn != nullptr && result != nullptr) check_returns(*fn, out.type);
  returns_ = returns;
  generics_.pop_back();
  scopes_.close();
  --function_;
  loop_breaks_ = breaks;
  result_ = outer;
  if (function_ == 0) warn_unused();
  // It runs later, perhaps never: what it changes is not known to those who read it (see Checker::loosen).
  scopes_.roll_back(mark);
}

// ---- Declared types ---------------------------------------------------------------------------------------

static bool is_tensor_type(const ast::Type& type) {
  return type.kind == ast::TypeKind::Tensor &&
         (find_dtype(type.name.text) || type.name.text == "tensor" || type.name.text == "Tensor");
}

static i64 evaluate(const ast::Expr* e, const Bindings* dims) {
  if (const auto* number = ast::get_if<ast::Int>(e)) return number->value < 0 ? kUnknownDim : number->value;
  if (const auto* name = ast::get_if<ast::Name>(e)) {
    if (dims == nullptr) return kUnknownDim;
    const auto it = dims->find(name->text);
    return it == dims->end() ? kUnknownDim : it->second.size;
  }
  const auto* binary = ast::get_if<ast::Binary>(e);
  if (binary == nullptr) return kUnknownDim;
  const i64 a = evaluate(binary->lhs.get(), dims), b = evaluate(binary->rhs.get(), dims);
  if (a == kUnknownDim || b == kUnknownDim) return kUnknownDim;
  i64 out = 0;
  bool fits = true;
  switch (binary->op) {
    case ast::BinaryOp::Add:
      fits = !__builtin_add_overflow(a, b, &out);
      break;
    case ast::BinaryOp::Sub:
      out = a - b;
      break;
    case ast::BinaryOp::Mul:
      fits = !__builtin_mul_overflow(a, b, &out);
      break;
    case ast::BinaryOp::Div:
      fits = b != 0;
      out = fits ? a / b : 0;
      break;
    default:
      fits = false;
  }
  return fits && out >= 0 ? out : kUnknownDim;
}

i64 Checker::dim_value(const ast::Dim& dim, const Bindings* dims) const {
  return dim.kind == ast::Dim::Kind::Value ? evaluate(dim.value.get(), dims) : kUnknownDim;
}

Type Checker::declared(const ast::Type* type, const Bindings* dims) const {
  if (type == nullptr) return {};
  if (is_tensor_type(*type)) {
    // Tensors of other element types are taken as they come, so the declared one is not known to hold.
    Type out = make_type(Kind::Tensor);
    if (type->dims.size() > static_cast<size_t>(kMaxRank)) return out;
    out.tensor.rank_known = true;
    for (const ast::Dim& dim : type->dims) {
      if (dim.kind == ast::Dim::Kind::Rest) return make_type(Kind::Tensor);
      out.tensor.shape.push_back(dim_value(dim, dims));
    }
    return out;
  }
  if (type->kind != ast::TypeKind::Named) return {};
  const std::string& name = type->name.text;
  if (name == "int") return int_type();
  if (name == "float") return float_type();
  if (name == "bool") return make_type(Kind::Bool);
  if (name == "string") return make_type(Kind::String);
  if (dims != nullptr) {
    const auto bound = dims->types.find(name);
    if (bound != dims->types.end()) return as_variable(bound->second.type);
  }
  if (is_generic(name)) return {};
  const Symbol symbol = find_symbol(name);
  if (symbol.of != nullptr) {
    Type out = make_type(Kind::Struct);
    out.of = symbol.of;
    return out;
  }
  if (symbol.of_enum != nullptr && symbol.variant == nullptr) {
    Type out = make_type(Kind::Enum);
    out.of_enum = symbol.of_enum;
    return out;
  }
  return {};
}

bool Checker::is_generic(std::string_view name) const {
  for (const auto* names : generics_) {
    for (const ast::Ident& one : *names) {
      if (one.text == name) return true;
    }
  }
  return false;
}

// Whether both can be one type parameter: numbers of either kind can, where a float is taken for the int.
static bool may_be_same(const Type& a, const Type& b) {
  if (a.is_any() || b.is_any() || a.is(Kind::Unit) || b.is(Kind::Unit)) return true;
  if (a.is_number() && b.is_number()) return true;
  if (a.kind != b.kind) return false;
  return a.of == b.of && a.of_enum == b.of_enum;
}

bool Checker::expect(const ast::Type* wanted, const Operand& found, std::string_view what, Bindings* dims) {
  const Type& t = found.type;
  if (wanted == nullptr || t.is_any()) return true;
  if (dims != nullptr && dims->generics != nullptr) {
    if (wanted->kind == ast::TypeKind::List && t.is(Kind::List) && t.items_known) {
      for (const Type& item : t.items) {
        if (!expect(wanted->items[0].get(), {item, found.span}, what, dims)) return false;
      }
      return true;
    }
    for (const ast::Ident& one : *dims->generics) {
      if (wanted->kind != ast::TypeKind::Named || one.text != wanted->name.text) continue;
      const auto [bound, is_new] = dims->types.emplace(one.text, found);
      if (is_new || may_be_same(bound->second.type, t)) return true;
      diags_.report(DiagCode::TypeMismatch, found.span, what, describe(t), describe(bound->second.type))
          .also(bound->second.span, "here {} is {}", one.text, describe(bound->second.type))
          .also(one.span, "{} is one type in a call", one.text);
      return false;
    }
  }
  if (is_tensor_type(*wanted)) return expect_tensor(*wanted, found, what, dims);
  const Type want = declared(wanted);
  const bool is_scalar = t.is(Kind::Tensor) && (!t.tensor.rank_known || t.tensor.rank() == 0);
  bool fits = true;
  switch (want.kind) {
    case Kind::Int:
      fits = t.is(Kind::Int) ||
             (t.is(Kind::Float) &&
              (!t.real || static_cast<f64>(static_cast<i64>(std::clamp(*t.real, -1e15, 1e15))) == *t.real)) ||
             (is_scalar && (!t.dtype_known || is_int(t.tensor.dtype)));
      break;
    case Kind::Float:
      fits = t.is_number() || is_scalar;
      break;
    case Kind::Bool:
      fits = t.is(Kind::Bool) || is_scalar;
      break;
    case Kind::String:
      fits = t.is(Kind::String);
      break;
    case Kind::Enum:
      fits = t.is(Kind::Unit) || (t.is(Kind::Enum) && t.of_enum == want.of_enum);
      break;
    case Kind::Struct:
      fits = t.is(Kind::Unit) || (t.is(Kind::Struct) && t.of == want.of);
      break;
    default:
      return true;
  }
  if (!fits) diags_.report(DiagCode::TypeMismatch, found.span, what, describe(t), text_of(*wanted));
  return fits;
}

bool Checker::expect_tensor(const ast::Type& wanted, const Operand& found, std::string_view what,
                            Bindings* dims) {
  if (found.type.is_number() || found.type.is(Kind::Bool)) return true;  // a number serves as a tensor
  const std::optional<Type> t = to_tensor(found.type);
  const auto mismatch = [&](const Type& type) {
    diags_.report(DiagCode::TypeMismatch, found.span, what, describe(type), text_of(wanted));
    return false;
  };
  if (!t) return mismatch(found.type);
  if (!t->has_rank()) return true;
  const auto rest = std::find_if(wanted.dims.begin(), wanted.dims.end(),
                                 [](const auto& d) { return d.kind == ast::Dim::Kind::Rest; });
  const int rank = t->tensor.rank(), count = static_cast<int>(wanted.dims.size());
  const int before = static_cast<int>(rest - wanted.dims.begin());
  if (rest == wanted.dims.end() ? rank != count : rank < count - 1) return mismatch(*t);
  for (int i = 0; i < count; ++i) {
    const ast::Dim& dim = wanted.dims[static_cast<size_t>(i)];
    if (dim.kind != ast::Dim::Kind::Value) continue;
    const i64 size = t->tensor.shape[i < before ? i : i + rank - count];
    if (size == kUnknownDim) continue;
    if (const auto* name = ast::get_if<ast::Name>(dim.value)) {
      if (dims == nullptr) continue;
      const auto [bound, is_new] = dims->emplace(name->text, BoundDim{size, found.span, *t});
      if (is_new || bound->second.size == size) continue;
      diags_.report(DiagCode::NamedDim, found.span, name->text, bound->second.size, size)
          .also(bound->second.span, "this is {}", shape_text(bound->second.holder))
          .also(found.span, "this is {}", shape_text(*t))
          .also(dim.span, "'{}' is declared here", name->text);
      return false;
    }
    const i64 want = dim_value(dim, dims);
    if (want != kUnknownDim && want != size) return mismatch(*t);
  }
  return true;
}

}  // namespace tl::sema
