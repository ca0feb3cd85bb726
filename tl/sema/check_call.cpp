// Calls of functions, builtins, methods and values.
#include <algorithm>

#include "tl/ops/einsum/einsum.h"
#include "tl/ops/ops.h"
#include "tl/sema/checker.h"

namespace tl::sema {

std::vector<Operand> Checker::arguments(const std::vector<ast::Arg>& args) {
  std::vector<Operand> out;
  for (const ast::Arg& arg : args) out.push_back({expression(*arg.value), arg.value->span});
  return out;
}

Type Checker::call(const ast::Call& e) {
  if (const auto* path = ast::get_if<ast::Path>(e.callee)) {
    std::vector<Operand> given = arguments(e.args);
    const std::string scope = path->scope != nullptr ? path->scope->name.text : "";
    if (const StructInfo* of = find_struct(scope)) {
      const ast::Fn* method = of->find_method(path->name.text);
      return method == nullptr
                 ? Type{}
                 : call_function(method->params, method->result.get(), e.args, std::move(given), nullptr);
    }
    if (path->scope != nullptr) {
      ast::Name holder;
      holder.text = scope;
      if (const auto member = find_member(holder, path->name.text))
        return member->variant != nullptr ? variant_value(*member, e.args, std::move(given)) : Type{};
    }
    const auto dtype = find_dtype(scope);
    const lang::Builtin* builtin = dtype || scope == "Tensor" ? lang::find_builtin(path->name.text) : nullptr;
    return builtin == nullptr ? Type{} : call_builtin(*builtin, e.args, std::move(given), e.span, dtype);
  }
  const auto* name = ast::get_if<ast::Name>(e.callee);
  if (name == nullptr || scopes_.find(name->text) != Scopes::kNowhere) {
    const Type callee = expression(*e.callee);
    // A variable that cannot be called does not hide the function of its name.
    const bool hides = name == nullptr || callee.is_any() || callee.is(Kind::Function) ||
                       (!find_symbol(name->text).is_known() && lang::find_builtin(name->text) == nullptr);
    if (hides) return call_value(e, callee, arguments(e.args));
  }
  std::vector<Operand> given = arguments(e.args);
  const Symbol symbol = find_symbol(name->text);
  if (symbol.fn != nullptr)
    return call_function(symbol.fn->params, symbol.fn->result.get(), e.args, std::move(given), nullptr,
                         &symbol.fn->generics);
  if (symbol.variant != nullptr) return variant_value(symbol, e.args, std::move(given));
  if (symbol.is_known()) return {};
  for (size_t i = 0; i < module_; ++i) {
    // Another file's: a variable, or a name that two files have.
    if (globals_[i].count(name->text) > 0 || symbols_[i].count(name->text) > 0) return {};
  }
  const lang::Builtin* builtin = lang::find_builtin(name->text);
  return builtin == nullptr ? Type{} : call_builtin(*builtin, e.args, std::move(given), e.span);
}

Type Checker::call_value(const ast::Call& e, const Type& callee, std::vector<Operand> given) {
  if (callee.is_any()) return {};
  if (!callee.is(Kind::Function)) {
    Diagnostic& d = diags_.report(DiagCode::NotCallable, e.callee->span, describe(callee));
    const auto* name = ast::get_if<ast::Name>(e.callee);
    if (name != nullptr && lang::find_builtin(name->text) != nullptr)
      d.note("'{}' is a variable here, which hides the builtin: give the variable another name", name->text);
    return {};
  }
  if (callee.params == nullptr) return {};
  return call_function(*callee.params, callee.result, e.args, std::move(given), nullptr, callee.generics);
}

// Where each argument goes, or nothing where the call does not fit (which the compiler reports for calls by
// name).
static std::optional<std::vector<int>> arrange(const lang::Signature& signature,
                                               const std::vector<ast::Arg>& args, bool has_self) {
  std::vector<std::string_view> names;
  if (has_self) names.emplace_back();
  for (const ast::Arg& arg : args) names.push_back(arg.name.text);
  Result<std::vector<int>> order = lang::arrange_arguments(signature, names);
  return order.ok() ? std::optional(std::move(order).value()) : std::nullopt;
}

// A declared element type is that of what a builtin makes, where the call names none.
Type Checker::declared_value(const ast::Expr& value, const ast::Type* type) {
  Type found = expression(value);
  const auto* call = type != nullptr ? ast::get_if<ast::Call>(&value) : nullptr;
  const auto* name = call != nullptr ? ast::get_if<ast::Name>(call->callee) : nullptr;
  const auto dtype = name != nullptr ? find_dtype(type->name.text) : std::nullopt;
  const lang::Builtin* builtin = dtype ? lang::find_builtin(name->text) : nullptr;
  if (builtin == nullptr || type->kind != ast::TypeKind::Tensor || !found.is(Kind::Tensor)) return found;
  if (find_symbol(name->text).is_known() || scopes_.find(name->text) != Scopes::kNowhere) return found;
  const int at = builtin->parsed.find("dtype");
  const auto order = arrange(builtin->parsed, call->args, false);
  if (at < 0 || !order || (*order)[static_cast<size_t>(at)] >= 0) return found;
  found.tensor.dtype = *dtype;
  found.dtype_known = true;
  return found;
}

Type Checker::call_function(const std::vector<ast::Param>& params, const ast::Type* result,
                            const std::vector<ast::Arg>& args, std::vector<Operand> given,
                            const Operand* self, const std::vector<ast::Ident>* generics) {
  lang::Signature signature;
  for (const ast::Param& p : params)
    signature.params.push_back(
        {.name = p.name.text, .is_variadic = p.variadic, .is_optional = p.default_value != nullptr});
  const auto order = arrange(signature, args, self != nullptr);
  if (!order) return {};
  if (self != nullptr) given.insert(given.begin(), *self);
  Bindings dims;
  dims.generics = generics;
  for (size_t k = 0; k < order->size(); ++k) {
    const size_t i = std::min(k, params.size() - 1);  // a variadic one takes all that are left
    const int at = (*order)[k];
    if (at < 0) continue;
    const size_t errors = diags_.error_count();
    const Operand& value = given[static_cast<size_t>(at)];
    if (value.type.is(Kind::Unit) && params[i].default_value != nullptr) continue;
    expect(params[i].type.get(), value, fmt::format("'{}'", params[i].name.text), &dims);
    if (diags_.error_count() > errors) return {};
  }
  return declared(result, &dims);
}

Type Checker::method_call(const ast::MethodCall& e) {
  if (const auto member = find_member(*e.receiver, e.name.text)) {
    std::vector<Operand> given = arguments(e.args);
    if (member->variant != nullptr) return variant_value(*member, e.args, std::move(given));
    if (member->fn == nullptr) return {};
    return call_function(member->fn->params, member->fn->result.get(), e.args, std::move(given), nullptr,
                         &member->fn->generics);
  }
  const Operand self{expression(*e.receiver), e.receiver->span};
  std::vector<Operand> given = arguments(e.args);
  const std::string& name = e.name.text;
  if (self.type.is(Kind::Struct)) {
    if (const ast::Fn* method = self.type.of->find_method(name))
      return call_function(method->params, method->result.get(), e.args, std::move(given), &self);
    if (self.type.of->find(name) != nullptr) return {};  // a function in a field
  }
  if (self.type.is_any()) {
    const bool is_method = std::any_of(structs_.begin(), structs_.end(), [&](const auto& s) {
      return s->find_method(name) != nullptr || s->find(name) != nullptr;
    });
    if (is_method) return {};
  }
  const Symbol symbol = find_symbol(name);
  if (symbol.fn != nullptr)
    return call_function(symbol.fn->params, symbol.fn->result.get(), e.args, std::move(given), &self);
  for (size_t i = 0; i < module_; ++i) {
    if (symbols_[i].count(name) > 0) return {};
  }
  const lang::Builtin* builtin = lang::find_builtin(name);
  if (builtin == nullptr) return {};
  // A method of a struct not known here, of a model or a buffer: only what is certainly something else is
  // checked.
  const bool is_of_tensors = builtin->op != nullptr && !builtin->parsed.params.empty() &&
                             builtin->parsed.params[0].kind == lang::ParamKind::Tensor;
  if (self.type.is_any() && !is_of_tensors) return {};
  given.insert(given.begin(), self);
  return call_arranged(*builtin, arrange(builtin->parsed, e.args, true), std::move(given), e.span);
}

Type Checker::call_builtin(const lang::Builtin& builtin, const std::vector<ast::Arg>& args,
                           std::vector<Operand> given, Span span, std::optional<DType> dtype) {
  return call_arranged(builtin, arrange(builtin.parsed, args, false), std::move(given), span, dtype);
}

// Can a value of this type become an argument of that kind?
static bool fits(const Type& t, lang::ParamKind kind) {
  const bool is_list = t.is(Kind::List) || t.is(Kind::Tuple) || t.is(Kind::Range) || t.is(Kind::Tensor);
  switch (kind) {
    case lang::ParamKind::Any:
      return true;
    case lang::ParamKind::Int:
    case lang::ParamKind::Float:
    case lang::ParamKind::Number:
      return t.is_number() || (t.is(Kind::Tensor) && t.may_be_scalar());
    case lang::ParamKind::Bool:
      return t.may_be_scalar();
    case lang::ParamKind::DType:
      return t.is(Kind::DType) || t.is(Kind::String);
    case lang::ParamKind::Ints:
      return is_list || t.is_number();
    case lang::ParamKind::String:
      return t.is(Kind::String);
    case lang::ParamKind::List:
      return is_list;
    case lang::ParamKind::Tensor:
      return to_tensor(t).has_value();
  }
  return true;
}

// Whether a call may be of a form that the builtin's op knows nothing of.
static bool may_be_other_form(const lang::Builtin& builtin, const std::vector<Operand>& args) {
  if (builtin.is_other_form == nullptr) return false;
  const auto rank = [&](size_t i) {
    const std::optional<Type> t = to_tensor(args[i].type);
    return t && t->has_rank() ? t->tensor.rank() : -1;
  };
  if (builtin.name == "embedding") return args[1].type.is_number();
  if (builtin.name == "gather") return rank(2) < 0 || (rank(2) == 1 && rank(0) != 1);
  if (builtin.name == "rms_norm") return !args[1].span || args[1].type.is_number();
  return false;
}

Type Checker::call_arranged(const lang::Builtin& builtin, const std::optional<std::vector<int>>& order,
                            std::vector<Operand> given, Span span, std::optional<DType> dtype) {
  if (!order) return {};
  std::vector<Operand> args;
  bool all_fit = true;
  for (size_t i = 0; i < order->size(); ++i) {
    const auto& params = builtin.parsed.params;
    const lang::Parameter& p = params[std::min(i, params.size() - 1)];
    const int at = (*order)[i];
    args.push_back(at < 0 ? Operand{} : given[static_cast<size_t>(at)]);
    if (at < 0 && dtype && p.name == "dtype") {
      args.back().type = make_type(Kind::DType);
      args.back().type.tensor.dtype = *dtype;
      args.back().type.dtype_known = true;
      args.back().span = span;
    }
    const Type& t = args.back().type;
    if (t.is_any() || (t.is(Kind::Unit) && p.is_optional) || fits(t, p.kind)) continue;
    if (builtin.is_other_form != nullptr) return {};
    diags_
        .report(DiagCode::TypeMismatch, args.back().span, fmt::format("'{}'", p.name), describe(t),
                name_of(p.kind))
        .note("{}{}", builtin.name, builtin.signature);
    all_fit = false;
  }
  if (!all_fit) return {};
  if (may_be_other_form(builtin, args)) return {};
  return builtin.op != nullptr ? call_op(builtin, args, span) : call_native(builtin, args, span);
}

namespace {

Type result_of(const lang::Builtin& builtin) {
  const std::string& name = builtin.parsed.result;
  if (name == "int") return int_type();
  if (name == "float") return float_type();
  if (name == "bool") return make_type(Kind::Bool);
  if (name == "string") return make_type(Kind::String);
  if (name == "list") return make_type(Kind::List);
  if (name == "range") return make_type(Kind::Range);
  if (name == "dtype") return make_type(Kind::DType);
  if (name == "unit") return make_type(Kind::Unit);
  return {};
}

Type dims_of(const Type& t) {
  std::vector<Type> dims;
  for (const i64 d : t.tensor.shape)
    dims.push_back(int_type(d == kUnknownDim ? std::nullopt : std::optional(d)));
  return list_type(std::move(dims));
}

}  // namespace

// Natives that are made of ops or tell about shapes; of others the signature says enough.
Type Checker::call_native(const lang::Builtin& builtin, const std::vector<Operand>& args, Span span) {
  const std::string_view name = builtin.name;
  const auto given = [&](size_t i) { return i < args.size() && args[i].span; };
  const auto as_tensor = [&](size_t i) {
    return given(i) ? to_tensor(args[i].type).value_or(Type{}) : Type{};
  };
  const Type first = as_tensor(0);
  if (name == "linear") {
    const Operand product{apply_op(op_linear, std::span(args).first(2), {}, span), span};
    if (!given(2) || args[2].type.is(Kind::Unit) || !product.type.has_rank()) return product.type;
    return operator_type(ast::BinaryOp::Add, product, args[2], span);
  }
  static constexpr std::string_view kOpsToo[] = {"sum", "any", "all", "sort"};
  if (std::find(std::begin(kOpsToo), std::end(kOpsToo), name) != std::end(kOpsToo)) {
    const lang::Builtin& row = *lang::op_row(name);
    const size_t count = row.parsed.params.size();
    const bool is_op = args[0].type.is(Kind::Tensor) && !(given(1) && args[1].type.is(Kind::Function));
    return is_op && args.size() >= count
               ? call_op(row, {args.begin(), args.begin() + static_cast<std::ptrdiff_t>(count)}, span)
               : Type{};
  }
  if (name == "pow") return operator_type(ast::BinaryOp::Pow, args[0], args[1], span);
  if (name == "concat" && given(0) && given(1) && args[0].type.is(Kind::Tensor)) {
    if (given(2) && !args[2].type.whole) return {};
    return apply_op(op_concat, std::span(args).first(2), Attrs().with_int(given(2) ? *args[2].type.whole : 0),
                    span);
  }
  if (name == "einsum") return einsum_call(args, span);
  if (name == "spawn") spawned(args[0], std::span(args).subspan(1), span);
  if (name == "par_map") spawned(args[1], std::vector<Operand>(1, Operand{{}, args[0].span}), span);
  if (name == "abs" || name == "floor" || name == "ceil" || name == "round") {
    if (args[0].type.is(Kind::Int)) return int_type();
    return args[0].type.is(Kind::Tensor) && !given(1) ? first : Type{};
  }
  if (name == "shape" && args[0].type.is(Kind::Tensor) && first.has_rank()) return dims_of(first);
  if ((name == "rank" || name == "ndim") && args[0].type.is(Kind::Tensor) && first.has_rank())
    return int_type(first.tensor.rank());
  if (name == "tensor" || name == "from_array" || name == "from_vec") {
    Type out = first;
    for (const size_t i : {size_t{1}, size_t{2}}) {  // the element type or the shape, in either order
      if (!given(i)) continue;
      const Type& t = args[i].type;
      if (!t.is(Kind::DType) && !t.is(Kind::String)) return {};
      out.dtype_known = t.is(Kind::DType) && t.dtype_known;
      if (out.dtype_known) out.tensor.dtype = t.tensor.dtype;
    }
    return out;
  }
  const Type out = result_of(builtin);
  // `env` and its like give none, or their default, where there is nothing.
  return builtin.parsed.find("default") >= 0 ? Type{} : out;
}

// A function that runs as a task, with arguments that it gets by their places.
void Checker::spawned(const Operand& function, std::span<const Operand> args, Span span) {
  const Type& f = function.type;
  if (!f.is_any() && !f.is(Kind::Function)) {
    diags_.report(DiagCode::NotCallable, function.span, describe(f));
    return;
  }
  if (!f.is(Kind::Function) || f.params == nullptr) return;
  lang::Signature signature;
  for (const ast::Param& p : *f.params)
    signature.params.push_back(
        {.name = p.name.text, .is_variadic = p.variadic, .is_optional = p.default_value != nullptr});
  const std::vector<std::string_view> names(args.size());
  if (const auto order = lang::arrange_arguments(signature, names); !order.ok()) {
    diags_.report(DiagCode::BadArguments, span, "the task's function:", order.error().message);
    return;
  }
  Bindings dims;
  for (size_t i = 0; i < args.size(); ++i) {
    const ast::Param& p = (*f.params)[std::min(i, f.params->size() - 1)];
    expect(p.type.get(), args[i], fmt::format("'{}'", p.name.text), &dims);
  }
}

Type Checker::einsum_call(const std::vector<Operand>& args, Span span) {
  if (args[0].type.text == nullptr) return {};
  std::vector<TensorType> types;
  std::vector<Operand> made;
  bool dtype_known = true;
  for (const Operand& arg : std::span(args).subspan(1)) {
    const std::optional<Type> t = to_tensor(arg.type);
    if (!t || !t->has_rank()) return {};
    dtype_known = dtype_known && t->dtype_known;
    types.push_back(t->tensor);
    made.push_back({*t, arg.span});
  }
  Result<TensorType> result = einsum_type(args[0].type.text->plain_text(), types);
  if (result.ok())
    return tensor_type(result->shape, dtype_known ? std::optional(result->dtype) : std::nullopt);
  if (!dtype_known) return {};
  return reject("einsum", made, result.error(), span), Type{};
}

}  // namespace tl::sema
