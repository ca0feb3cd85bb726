// Calls: of functions, builtins, methods and values.
#include <algorithm>

#include "tl/diag/suggest.h"
#include "tl/interp/compiler.h"

namespace tl::interp {

void Compiler::note_interrupts(const Builtin& builtin) {
  if (builtin.name == "interrupted" || builtin.name == "clear_interrupt") program_.asks_for_interrupts = true;
}

void Compiler::call(const ast::Call& e, u16 dst) {
  if (const auto* path = ast::get_if<ast::Path>(e.callee)) return call_path(e, *path, dst);
  const auto* name = ast::get_if<ast::Name>(e.callee);
  if (name == nullptr) return call_value(e, dst);
  if (is_self(name->text) || find(name->text).kind != Place::Kind::None) return call_value(e, dst);
  use_ = name->span;
  if (const Symbol* symbol = find_symbol(name->text)) {
    return call_symbol(*symbol, e, name->text, dst);
  }
  if (const Builtin* builtin = lang::find_builtin(name->text))
    return call_builtin(*builtin, e.args, e.span, dst);
  if (const auto dtype = find_dtype(name->text); dtype && e.args.size() == 1) {
    const u16 value = expression(*e.args[0].value);
    const CastSpec spec{.is_scalar = false, .dtype = *dtype, .tensor_dtype = *dtype};
    emit(Op::Cast, e.span, dst, value, cast_index(spec), is_temporary(value) ? kTakesB : 0);
    return;
  }
  if (name->text == "backward" || name->text == "set_lr") {
    if (e.args.size() != 1)
      diags_.report(DiagCode::BadArguments, e.span, name->text,
                    fmt::format("takes one argument, found {}", e.args.size()));
    fails_yet(name->text, e.span);
    emit(Op::LoadUnit, e.span, dst);
  } else {
    unknown_name(name->text, name->span);
  }
  for (const ast::Arg& arg : e.args) {  // for the diagnostics inside of them
    const u16 mark = fn_->next_register;
    temporary(*arg.value);
    fn_->next_register = mark;
  }
}

void Compiler::call_symbol(const Symbol& symbol, const ast::Call& e, std::string_view name, u16 dst) {
  const auto is_no_function = [&](std::string_view kind) -> Diagnostic& {
    return diags_.report(DiagCode::NotCallable, e.callee->span, fmt::format("the {} {}", kind, name));
  };
  switch (symbol.kind) {
    case Symbol::Kind::Function:
      return call_function(symbol.index, e.args, e.span, dst);
    case Symbol::Kind::Variant:
      return make_variant(symbol, &e.args, e.span, dst);
    case Symbol::Kind::Relation:
      return fact(e, symbol, dst);
    case Symbol::Kind::Global: {
      if (symbol.index < 0) return;  // reported
      const u16 callee = new_register(e.span);
      emit(Op::GetGlobal, e.span, callee, static_cast<size_t>(symbol.index));
      return call_held(callee, e.args, e.span, dst);
    }
    case Symbol::Kind::Struct:
      return void(is_no_function("struct").note("a struct is made by '{} {{ field: value }}'", name));
    case Symbol::Kind::Enum:
      return void(is_no_function("enum").note("one of its values is made by '{}.Variant(…)'", name));
    case Symbol::Kind::Module:
      return void(is_no_function("file").note("what it declares is '{}.name'", name));
    case Symbol::Kind::Entity:
      return void(is_no_function("entity set"));
    case Symbol::Kind::Embedding:
      return void(is_no_function("embedding"));
  }
}

void Compiler::call_path(const ast::Call& e, const ast::Path& path, u16 dst) {
  const std::string& scope = path.scope->name.text;
  const std::string& name = path.name.text;
  const Symbol* symbol = find_symbol(scope);
  if (symbol != nullptr && symbol->kind == Symbol::Kind::Struct) {
    const StructInfo& info = *program_.structs[static_cast<size_t>(symbol->index)];
    const auto it = info.methods.find(name);
    if (it != info.methods.end()) return call_function(it->second, e.args, e.span, dst);
    std::vector<std::string> names;
    for (const auto& [method, proto] : info.methods) names.push_back(method);
    const std::string close(closest_name(name, names));
    Diagnostic& d = diags_.report(DiagCode::UnknownName, path.span, fmt::format("{}::{}", scope, name));
    if (!close.empty()) d.note("did you mean '{}::{}'?", scope, close);
    return;
  }
  if (symbol != nullptr && (symbol->kind == Symbol::Kind::Enum || symbol->kind == Symbol::Kind::Module)) {
    ast::Name holder;
    holder.text = scope;
    if (const Symbol* member = find_member(holder, path.name)) return call_symbol(*member, e, name, dst);
  }
  std::string builtin_name = name;
  std::optional<DType> dtype = find_dtype(scope);
  if (scope == "KVCache" && name.starts_with("new")) {
    builtin_name = "kv_cache";
    if (name == "new_f16") dtype = DType::F16;
    if (name == "new_f32") dtype = DType::F32;
  } else if (scope.ends_with("Vec") && name == "new") {
    builtin_name = "new_vec";
  } else if (scope != "Tensor" && !dtype) {
    diags_.report(DiagCode::UnknownType, path.scope->span, scope);
    return;
  }
  const Builtin* builtin = lang::find_builtin(builtin_name);
  if (const auto to = find_dtype(name); builtin == nullptr && to && e.args.size() == 1) {  // f32::f16(x)
    const u16 value = expression(*e.args[0].value);
    const CastSpec spec{.is_scalar = false, .dtype = *to, .tensor_dtype = *to};
    emit(Op::Cast, e.span, dst, value, cast_index(spec), is_temporary(value) ? kTakesB : 0);
    return;
  }
  if (builtin == nullptr) {
    unknown_name(builtin_name, path.name.span);
    return;
  }
  call_builtin(*builtin, e.args, e.span, dst, dtype);
}

std::optional<std::vector<int>> Compiler::arrange(const std::vector<ParamInfo>& params,
                                                  const std::vector<ast::Arg>& args, std::string_view callee,
                                                  Span span, const ast::Fn* fn) {
  lang::Signature signature;
  for (const ParamInfo& p : params)
    signature.params.push_back({.name = p.name, .is_variadic = p.is_variadic, .is_optional = p.has_default});
  std::vector<std::string_view> names;
  for (const ast::Arg& arg : args) names.push_back(arg.name.text);
  auto order = lang::arrange_arguments(signature, names);
  if (order.ok()) return std::move(order).value();
  Diagnostic& d = diags_.report(DiagCode::BadArguments, span, callee, order.error().message);
  const u32 end = fn == nullptr ? 0 : fn->result != nullptr ? fn->result->span.end : fn->body.span.begin;
  if (fn != nullptr && graph_.files != nullptr && end > fn->span.begin) {
    std::string_view written = graph_.files->text(Span{fn->span.file, fn->span.begin, end});
    written = written.substr(0, written.find_last_not_of(" \n") + 1);
    d.note("{}", written).also(fn->name.span, "declared here");
  }
  return {};
}

// Arguments are computed in the order they are written, each into the register where the callee expects it.
void Compiler::call_function(int proto, const std::vector<ast::Arg>& args, Span span, u16 dst) {
  const auto tree = function_trees_.find(proto);
  TL_CHECK(tree != function_trees_.end(), "function {} has no tree", proto);
  const ast::Fn* const fn = tree->second;
  const std::vector<ParamInfo> params = params_of(fn->params);
  const bool is_variadic = !params.empty() && params.back().is_variadic;
  const auto order = arrange(params, args, fn->name.text, span, fn);
  if (!order) return;
  // The arguments of a variadic parameter come last: from `own` on, before they are made a list.
  const size_t own = params.size() - (is_variadic ? 1 : 0);
  const u16 first = fn_->next_register;
  for (size_t i = 0; i < params.size(); ++i) new_register(span);
  const u16 more = fn_->next_register;
  for (size_t i = own; i < order->size(); ++i) new_register(span);
  std::vector<u16> place_of(args.size());
  for (size_t i = 0; i < order->size(); ++i) {
    const int at = (*order)[i];
    if (at >= 0)
      place_of[static_cast<size_t>(at)] = static_cast<u16>(i < own ? first + i : more + (i - own));
    else
      emit(Op::LoadEmpty, span, static_cast<u16>(first + i));
  }
  for (size_t i = 0; i < args.size(); ++i) {
    const u16 mark = fn_->next_register;
    expression_to(*args[i].value, place_of[i]);
    fn_->next_register = mark;
  }
  if (is_variadic) emit(Op::MakeList, span, static_cast<u16>(first + own), more, order->size() - own);
  fn_->proto->calls.push_back(
      {.function = proto, .name = fn->name.text, .count = static_cast<u16>(params.size())});
  emit(Op::CallFn, span, dst, fn_->proto->calls.size() - 1, first);
  run_drops(span);
}

std::vector<ParamInfo> Compiler::params_of(const std::vector<ast::Param>& params) const {
  std::vector<ParamInfo> out;
  for (const ast::Param& p : params)
    out.push_back({p.name.text, p.default_value != nullptr || p.variadic, p.variadic});
  return out;
}

// The builtin that makes a tensor of an element type of its choice.
const Builtin* Compiler::creation(const ast::Call& e, const ast::Type& type) {
  const auto* name = ast::get_if<ast::Name>(e.callee);
  if (name == nullptr || type.kind != ast::TypeKind::Tensor || !find_dtype(type.name.text)) return nullptr;
  if (is_self(name->text) || find(name->text).kind != Place::Kind::None || find_symbol(name->text) != nullptr)
    return nullptr;
  const Builtin* builtin = lang::find_builtin(name->text);
  return builtin != nullptr && builtin->parsed.find("dtype") >= 0 ? builtin : nullptr;
}

void Compiler::declared_value(const ast::Expr& value, const ast::Type* type, u16 dst) {
  const auto* call = type != nullptr ? ast::get_if<ast::Call>(&value) : nullptr;
  const Builtin* builtin = call != nullptr ? creation(*call, *type) : nullptr;
  if (builtin == nullptr) return expression_to(value, dst);
  const u16 mark = fn_->next_register;
  call_builtin(*builtin, call->args, call->span, dst, find_dtype(type->name.text), type);
  fn_->next_register = mark;
}

void Compiler::declared_shape(const ast::Type& type, u16 dst) {
  const u16 first = fn_->next_register;
  for (const ast::Dim& dim : type.dims) {
    const u16 reg = new_register(dim.span);
    const auto* name = ast::get_if<ast::Name>(dim.value);
    const auto named = name != nullptr ? fn_->dims.find(name->text) : fn_->dims.end();
    if (named != fn_->dims.end()) {
      emit(Op::Move, dim.span, reg, named->second);
    } else {
      expression_to(*dim.value, reg);
    }
    fn_->next_register = static_cast<u16>(reg + 1);
  }
  emit(Op::MakeList, type.span, dst, first, type.dims.size());
  fn_->next_register = first;
}

void Compiler::call_builtin(const Builtin& builtin, const std::vector<ast::Arg>& args, Span span, u16 dst,
                            std::optional<DType> dtype, const ast::Type* declared) {
  note_interrupts(builtin);
  std::vector<std::string_view> names;
  for (const ast::Arg& arg : args) names.push_back(arg.name.text);
  const int shape = declared != nullptr ? builtin.parsed.find("shape") : -1;
  const bool gives_shape = shape >= 0 &&
                           builtin.parsed.params[static_cast<size_t>(shape)].kind == lang::ParamKind::Ints &&
                           std::all_of(declared->dims.begin(), declared->dims.end(),
                                       [](const ast::Dim& dim) { return dim.kind == ast::Dim::Kind::Value; });
  auto order = lang::arrange_arguments(builtin.parsed, names);
  if (gives_shape) {
    lang::Signature signature = builtin.parsed;
    signature.params[static_cast<size_t>(shape)].is_optional = true;
    order = lang::arrange_arguments(signature, names);
  }
  if (!order.ok()) {
    diags_.report(DiagCode::BadArguments, span, builtin.name, order.error().message)
        .note("{}{}", builtin.name, builtin.signature);
    return;
  }
  const u16 first = fn_->next_register;
  for (size_t i = 0; i < order->size(); ++i) new_register(span);
  std::vector<int> place_of(args.size(), -1);
  for (size_t i = 0; i < order->size(); ++i) {
    const int at = (*order)[i];
    const auto reg = static_cast<u16>(first + i);
    if (at >= 0) {
      place_of[static_cast<size_t>(at)] = static_cast<int>(i);
    } else if (gives_shape && i == static_cast<size_t>(shape)) {
      declared_shape(*declared, reg);
    } else if (dtype && i < builtin.parsed.params.size() && builtin.parsed.params[i].name == "dtype") {
      emit(Op::LoadConstant, span, reg, constant(Value(*dtype)));
    } else {
      emit(Op::LoadEmpty, span, reg);
    }
  }
  for (size_t i = 0; i < args.size(); ++i) {
    const u16 mark = fn_->next_register;
    expression_to(*args[i].value, static_cast<u16>(first + place_of[i]));
    fn_->next_register = mark;
  }
  fn_->proto->calls.push_back(
      {.builtin = &builtin, .name = std::string(builtin.name), .count = static_cast<u16>(order->size())});
  emit(Op::CallBuiltin, span, dst, fn_->proto->calls.size() - 1, first);
}

static std::vector<std::string> names_of(const std::vector<ast::Arg>& args) {
  std::vector<std::string> names;
  bool any = false;
  for (const ast::Arg& arg : args) {
    names.push_back(arg.name.text);
    any = any || arg.name;
  }
  return any ? names : std::vector<std::string>();
}

void Compiler::call_value(const ast::Call& e, u16 dst) {
  call_held(temporary(*e.callee), e.args, e.span, dst, ast::get_if<ast::Name>(e.callee));
}

// `callee`: the last register taken. `name`: by which the program calls it; a variable that holds no function
// does not hide a function or builtin of its name.
void Compiler::call_held(u16 callee, const std::vector<ast::Arg>& args, Span span, u16 dst,
                         const ast::Name* name) {
  for (const ast::Arg& arg : args) temporary(*arg.value);
  CallSite site{.count = static_cast<u16>(args.size()), .names = names_of(args)};
  if (name != nullptr) {
    const Symbol* symbol = find_symbol(name->text);
    if (symbol != nullptr && symbol->kind == Symbol::Kind::Function) site.function = symbol->index;
    site.builtin = lang::find_builtin(name->text);
  }
  fn_->proto->calls.push_back(std::move(site));
  emit(Op::CallValue, span, dst, fn_->proto->calls.size() - 1, callee);
  run_drops(span);
}

// x.f(a): a method of x's struct, else the function or builtin f of (x, a). The kind of x is known only at
// run time.
void Compiler::method_call(const ast::MethodCall& e, u16 dst) {
  use_ = e.receiver->span;
  if (const Symbol* member = find_member(*e.receiver, e.name)) {
    if (member->kind == Symbol::Kind::Function) return call_function(member->index, e.args, e.span, dst);
    if (member->kind == Symbol::Kind::Variant) return make_variant(*member, &e.args, e.span, dst);
    const u16 callee = new_register(e.span);
    load_symbol(*member, e.name.text, e.name.span, callee);
    return call_held(callee, e.args, e.span, dst);
  }
  CallSite site;
  site.name = e.name.text;
  site.count = static_cast<u16>(e.args.size() + 1);
  site.names = names_of(e.args);
  if (!site.names.empty()) site.names.insert(site.names.begin(), "");
  if (const Symbol* symbol = find_symbol(site.name);
      symbol != nullptr && symbol->kind == Symbol::Kind::Function)
    site.function = symbol->index;
  site.builtin = lang::find_builtin(site.name);
  const bool is_method = std::any_of(program_.structs.begin(), program_.structs.end(), [&](const auto& s) {
    return s->methods.count(site.name) > 0 || s->find(site.name) >= 0;
  });
  const auto* module = ast::get_if<ast::Name>(e.receiver);
  const bool is_python = module != nullptr && module->text == "python" && site.name == "call";
  if (is_python || (!is_method && site.name == "backward")) {
    return fails_yet(is_python ? "python.call" : "backward", e.span);
  }
  if (site.builtin == nullptr && site.function < 0 && !is_method) {
    unknown_name(site.name, e.name.span);
    return;
  }
  if (site.builtin != nullptr) {
    note_interrupts(*site.builtin);
    std::vector<std::string_view> names = {""};
    for (const ast::Arg& arg : e.args) names.push_back(arg.name.text);
    auto order = lang::arrange_arguments(site.builtin->parsed, names);
    if (order.ok()) {
      site.builtin_order = std::move(order).value();
    } else if (site.function < 0 && !is_method) {
      diags_.report(DiagCode::BadArguments, e.span, site.name, order.error().message)
          .note("{}{}", site.name, site.builtin->signature);
      return;
    } else {
      site.builtin = nullptr;
    }
  }
  const u16 first = temporary(*e.receiver);
  for (const ast::Arg& arg : e.args) temporary(*arg.value);
  // Room for the builtin's parameters that are not given.
  for (size_t i = site.count; i < site.builtin_order.size(); ++i) new_register(e.span);
  fn_->proto->calls.push_back(std::move(site));
  emit(Op::CallMethod, e.span, dst, fn_->proto->calls.size() - 1, first);
  run_drops(e.span);
}

}  // namespace tl::interp
