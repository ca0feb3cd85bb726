// Modules, declarations, functions, names and registers.
#include "tl/interp/compiler.h"

#include <algorithm>

namespace tl::interp {

// ---- Code -------------------------------------------------------------------------------------------------

void Compiler::too_large(Span span, size_t limit, std::string_view of_what) {
  if (std::exchange(fn_->is_too_large, true)) return;
  diags_.report(DiagCode::TooLarge, span, "function", limit, of_what);
}

size_t Compiler::emit(Op op, Span span, u16 a, size_t b, size_t c, u8 takes) {
  constexpr size_t kNarrow = 0xffff, kWide = 0x7fffffff;
  Instr i{op, takes, a, 0, 0};
  const size_t max_b = is_wide(op) ? kWide : has_long_b(op) ? kMaxLong : kNarrow;
  const size_t max_c = has_long_c(op) ? kMaxLong : kNarrow;
  if (here() >= kWide) {
    too_large(span, kWide, "instructions");
    return 0;
  }
  if (b > max_b || c > max_c) {
    too_large(span, b > max_b ? max_b : max_c, "parts of one kind");
  } else if (is_wide(op)) {
    i.set_wide(static_cast<i32>(b));
  } else {
    i.b = static_cast<u16>(b & 0xffffu);
    i.c = static_cast<u16>(c & 0xffffu);
    i.takes = static_cast<u8>(takes | (b >> 16 | c >> 16) << 2);
  }
  fn_->proto->code.push_back(i);
  fn_->proto->spans.push_back(span);
  return here() - 1;
}

size_t Compiler::emit_jump(Op op, Span span, u16 a) {
  return emit(op, span, a);
}

void Compiler::patch(size_t jump) {
  fn_->proto->code[jump].set_wide(static_cast<i32>(here()));
}

void Compiler::patch_all(const std::vector<size_t>& jumps) {
  for (const size_t jump : jumps) patch(jump);
}

void Compiler::jump_to(size_t target, Op op, Span span) {
  fn_->proto->code[emit(op, span)].set_wide(static_cast<i32>(target));
}

size_t Compiler::constant(Value v) {
  fn_->proto->constants.push_back(std::move(v));
  return fn_->proto->constants.size() - 1;
}

size_t Compiler::name_index(std::string_view name) {
  auto& names = fn_->proto->names;
  const auto [it, is_new] = fn_->field_names.try_emplace(std::string(name), names.size());
  if (is_new) names.emplace_back(name);
  return it->second;
}

size_t Compiler::cast_index(const CastSpec& spec) {
  auto& casts = fn_->proto->casts;
  const auto it = std::find(casts.begin(), casts.end(), spec);
  if (it != casts.end()) return static_cast<size_t>(it - casts.begin());
  casts.push_back(spec);
  return casts.size() - 1;
}

u16 Compiler::new_register(Span span) {
  if (fn_->next_register >= kMaxRegisters) {
    too_large(span, kMaxRegisters, "variables and temporaries");
    return 0;
  }
  const u16 reg = fn_->next_register++;
  fn_->proto->registers = std::max(fn_->proto->registers, fn_->next_register);
  return reg;
}

bool Compiler::is_temporary(u16 reg) const {
  return reg >= fn_->is_local.size() || fn_->is_local[reg] == 0;
}

Compiler::Scope Compiler::open_scope() {
  ++fn_->depth;
  return {fn_->locals.size(), fn_->next_register};
}

void Compiler::close_scope(const Scope& scope, Span span, bool clears) {
  --fn_->depth;
  if (clears && fn_->locals.size() > scope.locals && fn_->next_register > scope.registers) {
    emit(Op::Clear, span, scope.registers, static_cast<u16>(fn_->next_register - scope.registers));
    run_drops(span);
  }
  for (; fn_->locals.size() > scope.locals; fn_->locals.pop_back()) {
    const Local& local = fn_->locals.back();
    fn_->locals_by_name.find(local.name)->second.pop_back();
    --fn_->is_local[local.reg];
  }
  fn_->next_register = scope.registers;
}

void Compiler::run_drops(Span span) {
  if (program_.has_drops) emit(Op::RunDrops, span);
}

// ---- Names ------------------------------------------------------------------------------------------------

Place Compiler::find_in(FunctionState& f, std::string_view name) {
  if (const auto it = f.locals_by_name.find(name); it != f.locals_by_name.end() && !it->second.empty()) {
    const Local& local = f.locals[it->second.back()];
    return {local.is_cell ? Place::Kind::Cell : Place::Kind::Register, local.reg};
  }
  for (size_t i = 0; i < f.captures.size(); ++i) {
    if (f.captures[i].first == name) return {Place::Kind::Capture, static_cast<u32>(i)};
  }
  if (f.parent == nullptr) return {};
  const Place outer = find_in(*f.parent, name);
  if (outer.kind == Place::Kind::None) return {};
  TL_CHECK(outer.kind != Place::Kind::Register, "captured variable {} has no cell", name);
  f.captures.push_back({std::string(name), {outer.kind == Place::Kind::Capture, outer.index}});
  return {Place::Kind::Capture, static_cast<u32>(f.captures.size() - 1)};
}

bool Compiler::is_self(std::string_view name) const {
  if (name.empty() || fn_->self_name != name) return false;
  const auto it = fn_->locals_by_name.find(name);
  return it == fn_->locals_by_name.end() || it->second.empty();
}

Place Compiler::find(std::string_view name) {
  const Place local = find_in(*fn_, name);
  if (local.kind != Place::Kind::None) return local;
  const Symbol* symbol = find_symbol(name);
  if (symbol != nullptr && symbol->kind == Symbol::Kind::Global)
    return {Place::Kind::Global, static_cast<u32>(symbol->index)};
  return {};
}

void Compiler::load(Place place, u16 dst, Span span) {
  switch (place.kind) {
    case Place::Kind::Register:
      if (place.index != dst) emit(Op::Move, span, dst, place.index);
      return;
    case Place::Kind::Cell:
      emit(Op::GetCell, span, dst, place.index);
      return;
    case Place::Kind::Capture:
      emit(Op::LoadCapture, span, dst, place.index);
      emit(Op::GetCell, span, dst, dst);
      return;
    case Place::Kind::Global:
      emit(Op::GetGlobal, span, dst, place.index);
      return;
    case Place::Kind::None:
      return;
  }
}

void Compiler::bind_local(u16 reg, std::string_view name, Span span, bool is_const) {
  const bool is_cell = fn_->captured_names.find(name) != fn_->captured_names.end();
  if (is_cell) emit(Op::NewCell, span, reg);
  fn_->locals_by_name[std::string(name)].push_back(fn_->locals.size());
  fn_->locals.push_back({std::string(name), reg, is_cell, is_const});
  if (fn_->is_local.size() <= reg) fn_->is_local.resize(size_t{reg} + 1);
  ++fn_->is_local[reg];
}

int Compiler::define_global(std::string_view name, Span span, bool is_const) {
  auto& symbols = symbols_[module_];
  const auto it = symbols.find(name);
  if (it != symbols.end() && it->second.kind == Symbol::Kind::Global && !it->second.is_const && !is_const)
    return it->second.index;
  if (it != symbols.end()) {
    diags_.report(DiagCode::DuplicateName, span, name).also(it->second.span, "first declared here");
    return 0;
  }
  program_.globals.emplace_back(name);
  const int index = static_cast<int>(program_.globals.size() - 1);
  symbols.emplace(std::string(name), Symbol{Symbol::Kind::Global, index, span, module_, is_const});
  return index;
}

void Compiler::not_yet(Span span, std::string_view what) {
  diags_.report(DiagCode::NotYet, span, what);
}

// ---- Types ------------------------------------------------------------------------------------------------

TypeSpec Compiler::type_spec(const ast::Type* type) const {
  TypeSpec spec;
  if (type == nullptr) return spec;
  const std::string& name = type->name.text;
  if (type->kind == ast::TypeKind::Tensor) {
    const auto dtype = find_dtype(name);
    if (!dtype) return spec;
    spec.kind = TypeSpec::Kind::Tensor;
    spec.dtype = *dtype;
    spec.has_rank = true;
    for (const ast::Dim& dim : type->dims) {
      if (dim.kind == ast::Dim::Kind::Rest) spec.has_rank = false;
      const ast::Int* fixed = ast::get_if<ast::Int>(dim.value);
      if (const auto* name = ast::get_if<ast::Name>(dim.value); name != nullptr && fn_ != nullptr) {
        const auto at = fn_->dims.find(name->text);
        if (at != fn_->dims.end())
          spec.named.push_back({static_cast<int>(spec.dims.size()), at->second, name->text});
      }
      spec.dims.push_back(fixed != nullptr ? fixed->value : -1);
    }
    if (!spec.has_rank) {
      spec.dims.clear();
      spec.named.clear();
    }
    return spec;
  }
  if (type->kind != ast::TypeKind::Named) return spec;
  if (name == "int") spec.kind = TypeSpec::Kind::Int;
  if (name == "float") spec.kind = TypeSpec::Kind::Float;
  if (name == "bool") spec.kind = TypeSpec::Kind::Bool;
  if (name == "string") spec.kind = TypeSpec::Kind::String;
  return spec;
}

void Compiler::coerce(u16 reg, const ast::Type* type, std::string_view what, Span span, bool converts) {
  TypeSpec spec = type_spec(type);
  if (spec.kind == TypeSpec::Kind::Any) return;
  spec.converts = converts;
  auto& types = fn_->proto->types;
  if (types.empty() || !(types.back() == spec)) types.push_back(std::move(spec));
  emit(Op::Coerce, span, reg, name_index(what), types.size() - 1);
}

// ---- Functions --------------------------------------------------------------------------------------------

int Compiler::new_proto(std::string name, Span span) {
  auto proto = std::make_unique<Proto>();
  proto->index = program_.protos.size();
  proto->name = std::move(name);
  proto->span = span;
  program_.protos.push_back(std::move(proto));
  return static_cast<int>(program_.protos.size() - 1);
}

void Compiler::name_dims(const ast::Type* type) {
  if (type == nullptr || type->kind != ast::TypeKind::Tensor) return;
  for (const ast::Dim& dim : type->dims) {
    const auto* name = ast::get_if<ast::Name>(dim.value);
    if (name == nullptr || fn_->dims.find(name->text) != fn_->dims.end()) continue;
    const u16 reg = new_register(dim.span);
    emit(Op::LoadEmpty, dim.span, reg);
    fn_->dims.emplace(name->text, reg);
  }
}

void Compiler::compile_params(const std::vector<ast::Param>& params, const ast::Type* result,
                              const ast::Block* body) {
  fn_->proto->params = params_of(params);
  for (const ast::Param& p : params) new_register(p.span);
  for (const ast::Param& p : params) name_dims(p.type.get());
  name_dims(result);
  for (size_t i = 0; i < params.size(); ++i) {
    const auto reg = static_cast<u16>(i);
    if (params[i].default_value != nullptr) {
      const size_t given = emit_jump(Op::JumpIfGiven, params[i].span, reg);
      expression_to(*params[i].default_value, reg);
      patch(given);
    } else if (params[i].variadic) {
      const size_t given = emit_jump(Op::JumpIfGiven, params[i].span, reg);
      emit(Op::MakeList, params[i].span, reg, reg);
      patch(given);
    }
    if (!params[i].variadic) coerce(reg, params[i].type.get(), params[i].name.text, params[i].span);
    bind_local(reg, params[i].name.text, params[i].span);
  }
  bind_dims(params, body);
}

// Copies, so that whoever assigns to them does not change what the signature says. Only those that the body
// mentions.
void Compiler::bind_dims(const std::vector<ast::Param>& params, const ast::Block* body) {
  if (body == nullptr || fn_->dims.empty()) return;
  std::set<std::string, std::less<>> mentioned;
  collect_captured_all(*body, mentioned);
  for (const ast::Param& p : params) {
    if (p.type == nullptr || p.type->kind != ast::TypeKind::Tensor) continue;
    for (const ast::Dim& dim : p.type->dims) {
      const auto* name = ast::get_if<ast::Name>(dim.value);
      if (name == nullptr || mentioned.erase(name->text) == 0) continue;
      if (find_in(*fn_, name->text).kind != Place::Kind::None) continue;
      const u16 copy = new_register(dim.span);
      emit(Op::Move, dim.span, copy, fn_->dims.find(name->text)->second);
      bind_local(copy, name->text, dim.span);
    }
  }
}

void Compiler::compile_function(int proto, const std::vector<ast::Param>& params, const ast::Type* result,
                                const ast::Block* body, const ast::Expr* value, FunctionState* parent,
                                ClosureSpec* closure, const std::string& self_name) {
  FunctionState state;
  state.proto = program_.protos[static_cast<size_t>(proto)].get();
  state.parent = parent;
  state.may_return = true;
  state.result = result;
  state.self_name = self_name;
  if (body != nullptr) collect_captured(*body, state.captured_names);
  if (value != nullptr) collect_captured(*value, state.captured_names);
  for (const ast::Param& p : params) {
    if (p.default_value != nullptr) collect_captured(*p.default_value, state.captured_names);
  }
  FunctionState* const outer = std::exchange(fn_, &state);
  compile_params(params, result, body);
  const Span span = body != nullptr ? body->span : value->span;
  const u16 out = new_register(span);
  if (body != nullptr) {
    block_value(*body, out);
  } else {
    expression_to(*value, out);
  }
  const bool is_void =
      result != nullptr && ((result->kind == ast::TypeKind::Named && result->name.text == "void") ||
                            (result->kind == ast::TypeKind::Tuple && result->items.empty()));
  if (is_void) emit(Op::LoadUnit, span, out);
  coerce(out, result, "result", span);
  emit(Op::Return, span, out);
  fn_ = outer;
  if (closure != nullptr) {
    closure->proto = proto;
    for (const auto& [name, source] : state.captures) closure->sources.push_back(source);
  }
}

int Compiler::block_proto(std::string name, Span span, const ast::Block& body) {
  const int proto = new_proto(std::move(name), span);
  compile_function(proto, {}, nullptr, &body, nullptr, nullptr, nullptr);
  return proto;
}

// ---- Modules ----------------------------------------------------------------------------------------------

void Compiler::declare(size_t module, const ast::Ident& name, Symbol::Kind kind, int index) {
  const auto [it, is_new] = symbols_[module].emplace(name.text, Symbol{kind, index, name.span, module});
  if (!is_new)
    diags_.report(DiagCode::DuplicateName, name.span, name.text).also(it->second.span, "first declared here");
}

// A default that is the same wherever it is computed.
static bool is_plain_value(const ast::Expr& e) {
  if (const auto* text = ast::get_if<ast::String>(&e)) return text->is_plain();
  if (const auto* minus = ast::get_if<ast::Unary>(&e)) return is_plain_value(*minus->operand);
  return e.kind == ast::ExprKind::Int || e.kind == ast::ExprKind::Float || e.kind == ast::ExprKind::Bool;
}

void Compiler::declare_module(size_t index) {
  for (const auto& s : graph_.modules[index].tree->statements) {
    if (const auto* fn = ast::get_if<ast::Fn>(s)) {
      const int proto = new_proto(fn->name.text, fn->span);
      function_protos_[fn] = proto;
      function_trees_[proto] = fn;
      declare(index, fn->name, Symbol::Kind::Function, proto);
      if (index + 1 == graph_.modules.size()) program_.functions.push_back({fn->name.text, proto});
    } else if (const auto* type = ast::get_if<ast::Struct>(s)) {
      auto info = std::make_unique<StructInfo>();
      info->name = type->name.text;
      for (const ast::StructField& field : type->fields) {
        info->fields.push_back(field.name.text);
        info->field_types.push_back(type_spec(field.type.get()));
        if (field.default_value == nullptr || is_plain_value(*field.default_value)) continue;
        default_protos_[&field] = new_proto(field.name.text, field.default_value->span);
      }
      struct_trees_[static_cast<int>(program_.structs.size())] = type;
      program_.structs.push_back(std::move(info));
      declare(index, type->name, Symbol::Kind::Struct, static_cast<int>(program_.structs.size() - 1));
    } else if (const auto* tree = ast::get_if<ast::Enum>(s)) {
      declare_enum(index, *tree);
    } else if (const auto* impl = ast::get_if<ast::Impl>(s)) {
      program_.has_drops = program_.has_drops || impl->trait.text == "Drop";
    } else {
      declare_logic(index, *s);
    }
  }
}

void Compiler::compile_impl(const ast::Impl& impl) {
  const Symbol* symbol = impl.type != nullptr ? find_symbol(impl.type->name.text) : nullptr;
  if (symbol == nullptr || symbol->kind != Symbol::Kind::Struct) {
    diags_.report(DiagCode::UnknownType, impl.type != nullptr ? impl.type->span : impl.span,
                  impl.type != nullptr ? impl.type->name.text : "");
    return;
  }
  StructInfo& info = *program_.structs[static_cast<size_t>(symbol->index)];
  for (const auto& method : impl.methods) {
    const int proto = new_proto(info.name + "." + method->name.text, method->span);
    function_protos_[method.get()] = proto;
    function_trees_[proto] = method.get();
    if (!info.methods.emplace(method->name.text, proto).second) {
      diags_.report(DiagCode::DuplicateName, method->name.span, method->name.text);
    }
  }
  if (impl.trait.text != "Drop") return;
  info.has_drop = true;
  const auto& methods = impl.methods;
  const bool fits = methods.size() == 1 && methods[0]->name.text == "drop" &&
                    methods[0]->params.size() == 1 && methods[0]->params[0].name.text == "self";
  if (!fits) diags_.report(DiagCode::BadDrop, impl.trait.span, info.name);
}

// Whether the statements of the top level are there for others to use.
static bool only_declares(const ast::Module& tree) {
  return std::none_of(tree.statements.begin(), tree.statements.end(), [](const auto& s) {
    switch (s->kind) {
      case ast::StmtKind::ExprStmt:
      case ast::StmtKind::While:
      case ast::StmtKind::For:
      case ast::StmtKind::Loop:
      case ast::StmtKind::With:
      case ast::StmtKind::Infer:
      case ast::StmtKind::Learn:
      case ast::StmtKind::Explain:
        return true;
      default:
        return false;
    }
  });
}

void Compiler::compile_module(size_t index) {
  module_ = index;
  declare_imports(index);
  const ast::Module& tree = *graph_.modules[index].tree;
  const bool is_root = index + 1 == graph_.modules.size();
  shared_names_.clear();
  for (const auto& s : tree.statements) collect_declaration(*s, shared_names_);

  FunctionState state;
  const int initialiser =
      new_proto("top level", tree.statements.empty() ? Span{tree.file, 0, 0} : tree.statements[0]->span);
  state.proto = program_.protos[static_cast<size_t>(initialiser)].get();
  state.is_module = true;
  state.keeps_locals = is_root && !grows_ && !program_.has_drops;  // else what is let go at the end is
  for (const auto& s : tree.statements) {
    if (const auto* value = ast::get_if<ast::ExprStmt>(s))
      collect_captured(*value->value, state.captured_names);
    else
      collect_captured_in(*s, state.captured_names);
  }
  fn_ = &state;
  for (const auto& s : tree.statements) {
    if (const auto* impl = ast::get_if<ast::Impl>(s)) compile_impl(*impl);
  }
  for (const auto& s : tree.statements) {
    switch (s->kind) {
      case ast::StmtKind::Fn:
      case ast::StmtKind::Impl:
      case ast::StmtKind::Struct:
      case ast::StmtKind::Enum:
      case ast::StmtKind::Main:
      case ast::StmtKind::Test:
      case ast::StmtKind::Bench:
      case ast::StmtKind::Import:
        break;
      default:
        statement(*s);
    }
  }
  const u16 out = new_register({});
  emit(Op::LoadUnit, state.proto->span, out);
  emit(Op::Return, state.proto->span, out);
  fn_ = nullptr;
  program_.initialisers.push_back(initialiser);
  if (is_root) program_.only_declares = only_declares(tree);

  // After the top level: functions see every variable declared there.
  for (const auto& s : tree.statements) {
    if (const auto* fn = ast::get_if<ast::Fn>(s)) {
      compile_function(function_protos_[fn], fn->params, fn->result.get(), &fn->body, nullptr, nullptr,
                       nullptr);
    } else if (const auto* impl = ast::get_if<ast::Impl>(s)) {
      for (const auto& method : impl->methods) {
        const auto it = function_protos_.find(method.get());
        if (it != function_protos_.end()) {
          compile_function(it->second, method->params, method->result.get(), &method->body, nullptr, nullptr,
                           nullptr);
        }
      }
    } else if (const auto* type = ast::get_if<ast::Struct>(s)) {
      for (const ast::StructField& field : type->fields) {
        const auto proto = default_protos_.find(&field);
        if (proto == default_protos_.end()) continue;
        compile_function(proto->second, {}, nullptr, nullptr, field.default_value.get(), nullptr, nullptr);
      }
    } else if (!is_root) {
      continue;  // main, tests and benches of an imported file are its own
    } else if (const auto* main = ast::get_if<ast::Main>(s)) {
      if (program_.main >= 0) diags_.report(DiagCode::DuplicateName, main->span, "main");
      program_.only_declares = false;
      program_.main = block_proto("main", main->span, main->body);
    } else if (const auto* test = ast::get_if<ast::Test>(s)) {
      program_.tests.push_back(
          {test->name.text, block_proto("test " + test->name.text, test->span, test->body)});
    } else if (const auto* bench = ast::get_if<ast::Bench>(s)) {
      program_.benches.push_back(
          {bench->name.text, block_proto("bench " + bench->name.text, bench->span, bench->body)});
    }
  }
  if (is_root && program_.main < 0) program_.main = main_function(tree);
}

// `fn main() { ... }` is the program's main, unless the top level calls it itself.
int Compiler::main_function(const ast::Module& tree) const {
  const auto it = symbols_[module_].find("main");
  if (it == symbols_[module_].end() || it->second.kind != Symbol::Kind::Function) return -1;
  const ast::Fn& fn = *function_trees_.at(it->second.index);
  const bool takes_nothing = std::all_of(fn.params.begin(), fn.params.end(), [](const ast::Param& p) {
    return p.default_value != nullptr || p.variadic;
  });
  if (!takes_nothing) return -1;
  std::set<std::string, std::less<>> mentioned;
  for (const auto& s : tree.statements) {
    if (const auto* value = ast::get_if<ast::ExprStmt>(s)) collect_captured_all(*value->value, mentioned);
    if (const auto* let = ast::get_if<ast::Let>(s)) collect_captured_all(*let->value, mentioned);
    if (const auto* set = ast::get_if<ast::Assign>(s)) collect_captured_all(*set->value, mentioned);
  }
  return mentioned.count("main") > 0 ? -1 : it->second.index;
}

Program Compiler::compile() {
  symbols_.resize(graph_.modules.size());
  for (size_t i = 0; i < graph_.modules.size(); ++i) declare_module(i);
  for (size_t i = 0; i < graph_.modules.size(); ++i) declare_heads(i);
  for (size_t i = 0; i < graph_.modules.size(); ++i) compile_module(i);
  program_.files = graph_.files;
  return std::move(program_);
}

Program compile(const ModuleGraph& graph, Diagnostics& diags) {
  return Compiler(graph, diags).compile();
}

}  // namespace tl::interp
