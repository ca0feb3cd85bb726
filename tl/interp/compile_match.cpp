// match, patterns, and the values of enums.
#include <algorithm>

#include "tl/diag/suggest.h"
#include "tl/interp/compiler.h"

namespace tl::interp {

void Compiler::match(const ast::Match& e, u16 dst) {
  const u16 subject = temporary(*e.subject);
  u16 used = static_cast<u16>(subject + 1);
  std::vector<size_t> ends;
  for (const ast::MatchArm& arm : e.arms) {
    const Scope scope = open_scope();
    std::vector<size_t> failures;
    pattern(*arm.pattern, subject, failures);
    used = std::max(used, fn_->next_register);
    if (arm.guard != nullptr) {
      const u16 mark = fn_->next_register;
      const u16 guard = expression(*arm.guard);
      failures.push_back(emit_jump(Op::JumpIfNot, arm.guard->span, guard));
      fn_->next_register = mark;
    }
    expression_to(*arm.value, dst);
    close_scope(scope, arm.span);
    ends.push_back(emit_jump(Op::Jump, arm.span));
    patch_all(failures);
  }
  emit(Op::NoMatch, e.span, subject);
  patch_all(ends);
  emit(Op::Clear, e.span, subject, static_cast<u16>(used - subject));  // also what arms tried in vain
}

void Compiler::pattern(const ast::Pattern& p, u16 subject, std::vector<size_t>& failures) {
  if (const Symbol* variant = variant_of(p)) return variant_pattern(p, *variant, subject, failures);
  switch (p.kind) {
    case ast::PatternKind::Error:
    case ast::PatternKind::Wildcard:
    case ast::PatternKind::Rest:
    case ast::PatternKind::Variant:  // of nothing known, which was reported
      return;
    case ast::PatternKind::Literal: {
      const u16 mark = fn_->next_register;
      const u16 literal = temporary(*p.literal), same = new_register(p.span);
      emit(Op::Equal, p.span, same, subject, literal);
      failures.push_back(emit_jump(Op::JumpIfNot, p.span, same));
      fn_->next_register = mark;
      return;
    }
    case ast::PatternKind::Range:
      return range_pattern(p, subject, failures);
    case ast::PatternKind::Binding: {
      const u16 reg = new_register(p.span);
      emit(Op::Move, p.span, reg, subject);
      bind_local(reg, p.name.text, p.name.span);
      return;
    }
    case ast::PatternKind::Tuple: {
      const u16 test = new_register(p.span);
      const auto count = static_cast<u16>(p.items.size());
      emit(Op::IsTuple, p.span, test, subject, count);
      failures.push_back(emit_jump(Op::JumpIfNot, p.span, test));
      const u16 first = fn_->next_register;
      for (const auto& item : p.items) new_register(item->span);
      emit(Op::Unpack, p.span, first, subject, count);
      for (u16 i = 0; i < count; ++i) pattern(*p.items[i], static_cast<u16>(first + i), failures);
      return;
    }
    case ast::PatternKind::List:
      return list_pattern(p, subject, failures);
    case ast::PatternKind::Struct:
      return struct_pattern(p, subject, failures);
    case ast::PatternKind::Or:
      return or_pattern(p, subject, failures);
  }
}

void Compiler::range_pattern(const ast::Pattern& p, u16 subject, std::vector<size_t>& failures) {
  const u16 mark = fn_->next_register;
  const auto bound = [&](const ast::ExprPtr& literal, Op op) {
    if (literal == nullptr) return;
    const u16 value = temporary(*literal), holds = new_register(p.span);
    emit(Op::IsOrdered, p.span, holds, subject, value);
    failures.push_back(emit_jump(Op::JumpIfNot, p.span, holds));
    emit(op, p.span, holds, subject, value);
    failures.push_back(emit_jump(Op::JumpIfNot, p.span, holds));
    fn_->next_register = mark;
  };
  bound(p.begin, Op::GreaterEqual);
  bound(p.end, p.inclusive ? Op::LessEqual : Op::Less);
}

void Compiler::list_pattern(const ast::Pattern& p, u16 subject, std::vector<size_t>& failures) {
  const auto rest = std::find_if(p.items.begin(), p.items.end(),
                                 [](const auto& item) { return item->kind == ast::PatternKind::Rest; });
  const bool has_rest = rest != p.items.end();
  const size_t before = static_cast<size_t>(rest - p.items.begin());
  const size_t after = has_rest ? p.items.size() - before - 1 : 0;
  if (before > 255 || after > 255) return not_yet(p.span, "patterns of more than 255 items");
  const u16 test = new_register(p.span);
  emit(Op::IsList, p.span, test, subject, before + after, has_rest ? kOrMore : 0);
  failures.push_back(emit_jump(Op::JumpIfNot, p.span, test));
  for (size_t i = 0; i < p.items.size(); ++i) {
    const ast::Pattern& item = *p.items[i];
    if (item.kind == ast::PatternKind::Rest) {
      if (!item.name || item.name.text == "_") continue;
      const u16 reg = new_register(item.span);
      emit(Op::TakeRest, item.span, reg, subject, before | after << 8);
      bind_local(reg, item.name.text, item.name.span);
      continue;
    }
    const bool from_end = has_rest && i > before;
    const u16 reg = new_register(item.span);
    emit(Op::TakeItem, item.span, reg, subject, from_end ? p.items.size() - i : i, from_end ? kFromEnd : 0);
    pattern(item, reg, failures);
  }
}

// Names must be the same in all alternatives: the first one's registers get what the others bind.
void Compiler::or_pattern(const ast::Pattern& p, u16 subject, std::vector<size_t>& failures) {
  const size_t around = fn_->locals.size();
  std::vector<Local> first;
  std::vector<size_t> hits;
  for (size_t i = 0; i < p.items.size(); ++i) {
    const bool is_last = i + 1 == p.items.size();
    const size_t mark = i == 0 ? around : fn_->locals.size();
    std::vector<size_t> misses;
    pattern(*p.items[i], subject, is_last ? failures : misses);
    const std::vector<Local> here(fn_->locals.begin() + static_cast<std::ptrdiff_t>(mark), fn_->locals.end());
    const auto find_name = [](const std::vector<Local>& in, const std::string& name) {
      return std::find_if(in.begin(), in.end(), [&](const Local& l) { return l.name == name; });
    };
    if (i == 0) {
      first = here;
    } else {
      for (const Local& local : here) {
        const auto same = find_name(first, local.name);
        if (same == first.end()) {
          diags_.report(DiagCode::UnevenPattern, p.items[i]->span, local.name);
          continue;
        }
        emit(Op::Move, p.span, same->reg, local.reg);
        emit(Op::Clear, p.span, local.reg, 1);
      }
      for (const Local& local : first) {
        if (find_name(here, local.name) == here.end())
          diags_.report(DiagCode::UnevenPattern, p.items[i]->span, local.name);
      }
      for (; fn_->locals.size() > mark; fn_->locals.pop_back()) {
        const Local& local = fn_->locals.back();
        fn_->locals_by_name.find(local.name)->second.pop_back();
        --fn_->is_local[local.reg];
      }
    }
    if (is_last) break;
    hits.push_back(emit_jump(Op::Jump, p.span));
    patch_all(misses);
  }
  patch_all(hits);
}

void Compiler::struct_pattern(const ast::Pattern& p, u16 subject, std::vector<size_t>& failures) {
  const Symbol* symbol = find_symbol(p.type->name.text);
  if (symbol == nullptr || symbol->kind != Symbol::Kind::Struct) {
    diags_.report(DiagCode::UnknownType, p.type->span, p.type->name.text);
    return;
  }
  const u16 test = new_register(p.span);
  emit(Op::IsStruct, p.span, test, subject, static_cast<size_t>(symbol->index));
  failures.push_back(emit_jump(Op::JumpIfNot, p.span, test));
  const StructInfo& info = *program_.structs[static_cast<size_t>(symbol->index)];
  for (const ast::FieldPattern& field : p.fields) {
    if (info.find(field.name.text) < 0) {
      diags_.report(DiagCode::UnknownField, field.name.span, info.name, field.name.text);
      continue;
    }
    const u16 reg = new_register(field.name.span);
    emit(Op::GetField, field.name.span, reg, subject, name_index(field.name.text));
    pattern(*field.pattern, reg, failures);
  }
}

// ---- Enums ------------------------------------------------------------------------------------------------

void Compiler::declare_enum(size_t module, const ast::Enum& tree) {
  EnumInfo info{tree.name.text, {}};
  for (const ast::EnumVariant& variant : tree.variants) {
    auto type = std::make_unique<StructInfo>();
    type->name = variant.name.text;
    type->variant_of = tree.name.text;
    for (size_t i = 0; i < variant.fields.size(); ++i) {
      const ast::StructField& field = variant.fields[i];
      type->fields.push_back(field.name ? field.name.text : std::to_string(i));
      type->field_types.push_back(type_spec(field.type.get()));
    }
    const int index = static_cast<int>(program_.structs.size());
    const auto count = static_cast<u16>(type->fields.size());
    const int maker = new_proto(variant.name.text, variant.name.span);  // for its name as a value
    Proto& proto = *program_.protos[static_cast<size_t>(maker)];
    for (const std::string& field : type->fields) proto.params.push_back({field});
    proto.code = {{Op::MakeStruct, 0, count, static_cast<u16>(index), 0}, {Op::Return, 0, count, 0, 0}};
    proto.spans = {variant.name.span, variant.name.span};
    proto.registers = static_cast<u16>(count + 1);
    makers_[index] = maker;
    program_.structs.push_back(std::move(type));
    const Symbol symbol{Symbol::Kind::Variant, index, variant.name.span, module};
    info.variants.emplace_back(variant.name.text, symbol);
    declare(module, variant.name, Symbol::Kind::Variant, index);
  }
  enums_.push_back(std::move(info));
  declare(module, tree.name, Symbol::Kind::Enum, static_cast<int>(enums_.size() - 1));
}

const Symbol* Compiler::find_variant(const Symbol& of_enum, std::string_view name) const {
  for (const auto& [variant, symbol] : enums_[static_cast<size_t>(of_enum.index)].variants) {
    if (variant == name) return &symbol;
  }
  return nullptr;
}

const Symbol* Compiler::variant_of(const ast::Pattern& p) {
  if (p.kind != ast::PatternKind::Variant && p.kind != ast::PatternKind::Binding) return nullptr;
  if (p.type != nullptr) {
    const Symbol* symbol = find_symbol(p.type->name.text);
    if (symbol != nullptr && symbol->kind == Symbol::Kind::Module)
      symbol = find_symbol_in(static_cast<size_t>(symbol->index), p.name.text);
    else if (symbol != nullptr && symbol->kind == Symbol::Kind::Enum)
      symbol = find_variant(*symbol, p.name.text);
    else
      symbol = nullptr;
    if (symbol == nullptr || symbol->kind != Symbol::Kind::Variant) {
      diags_.report(DiagCode::NotInFile, p.span, p.type->name.text, p.name.text);
      return nullptr;
    }
    return symbol;
  }
  const Symbol* symbol = find_symbol(p.name.text);
  if (symbol != nullptr && symbol->kind == Symbol::Kind::Variant) return symbol;
  if (p.kind == ast::PatternKind::Variant) unknown_name(p.name.text, p.name.span);
  return nullptr;
}

void Compiler::variant_pattern(const ast::Pattern& p, const Symbol& variant, u16 subject,
                               std::vector<size_t>& failures) {
  const StructInfo& info = *program_.structs[static_cast<size_t>(variant.index)];
  const u16 test = new_register(p.span);
  emit(Op::IsStruct, p.span, test, subject, static_cast<size_t>(variant.index));
  failures.push_back(emit_jump(Op::JumpIfNot, p.span, test));
  if (p.items.empty()) return;
  if (p.items.size() != info.fields.size()) {
    diags_
        .report(DiagCode::BadArguments, p.span, info.name,
                fmt::format("has {} values, the pattern {}", info.fields.size(), p.items.size()))
        .also(variant.span, "declared here");
    return;
  }
  for (size_t i = 0; i < p.items.size(); ++i) {
    if (p.items[i]->kind == ast::PatternKind::Wildcard) continue;
    const u16 reg = new_register(p.items[i]->span);
    emit(Op::GetField, p.items[i]->span, reg, subject, name_index(info.fields[i]));
    pattern(*p.items[i], reg, failures);
  }
}

// Without arguments: the variant as a value, which for one that takes some is the function that makes it.
void Compiler::make_variant(const Symbol& variant, const std::vector<ast::Arg>* args, Span span, u16 dst) {
  const StructInfo& info = *program_.structs[static_cast<size_t>(variant.index)];
  if (args == nullptr && !info.fields.empty())
    return make_closure({.proto = makers_[variant.index], .sources = {}}, dst, span);
  static const std::vector<ast::Arg> none;
  if (args == nullptr) args = &none;
  std::vector<ParamInfo> params;
  for (const std::string& field : info.fields) params.push_back({field});
  const auto order = arrange(params, *args, info.name, span);
  if (!order) return;
  const u16 first = fn_->next_register;
  for (size_t i = 0; i < order->size(); ++i) new_register(span);
  for (size_t i = 0; i < args->size(); ++i) {
    const auto place = std::find(order->begin(), order->end(), static_cast<int>(i));
    const u16 mark = fn_->next_register;
    expression_to(*(*args)[i].value, static_cast<u16>(first + (place - order->begin())));
    fn_->next_register = mark;
  }
  emit(Op::MakeStruct, span, dst, static_cast<size_t>(variant.index), first);
}

// ---- Names behind names -----------------------------------------------------------------------------------

const Symbol* Compiler::find_member(const ast::Expr& object, const ast::Ident& name) {
  static const Symbol nothing{Symbol::Kind::Global, -1, {}};
  const auto* holder = ast::get_if<ast::Name>(&object);
  if (holder == nullptr || is_self(holder->text)) {
    const auto* field = ast::get_if<ast::Field>(&object);  // u.Shape.Circle
    const Symbol* inner = field != nullptr ? find_member(*field->object, field->name) : nullptr;
    if (inner == nullptr || inner->kind != Symbol::Kind::Enum) return nullptr;
    const Symbol* found = find_variant(*inner, name.text);
    if (found == nullptr) diags_.report(DiagCode::NotInFile, name.span, field->name.text, name.text);
    return found == nullptr ? &nothing : found;
  }
  if (find_in(*fn_, holder->text).kind != Place::Kind::None) return nullptr;
  const Symbol* symbol = find_symbol(holder->text);
  if (symbol == nullptr) return nullptr;
  const Symbol* found = nullptr;
  std::vector<std::string> names;
  if (symbol->kind == Symbol::Kind::Enum) {
    for (const auto& [variant, at] : enums_[static_cast<size_t>(symbol->index)].variants)
      names.push_back(variant);
    found = find_variant(*symbol, name.text);
  } else if (symbol->kind == Symbol::Kind::Module) {
    const auto& symbols = symbols_[static_cast<size_t>(symbol->index)];
    for (const auto& [other, at] : symbols) names.push_back(other);
    const auto it = symbols.find(name.text);
    found = it == symbols.end() ? nullptr : &it->second;
  } else {
    return nullptr;
  }
  if (found != nullptr) return found;
  Diagnostic& d = diags_.report(DiagCode::NotInFile, name.span, holder->text, name.text);
  const std::string close(closest_name(name.text, names));
  if (!close.empty()) d.note("did you mean '{}'?", close).replace(name.span, close);
  return &nothing;
}

void Compiler::load_symbol(const Symbol& symbol, std::string_view name, Span span, u16 dst) {
  switch (symbol.kind) {
    case Symbol::Kind::Global:
      if (symbol.index >= 0) emit(Op::GetGlobal, span, dst, static_cast<size_t>(symbol.index));
      return;
    case Symbol::Kind::Function:
      return make_closure({.proto = symbol.index, .sources = {}}, dst, span);
    case Symbol::Kind::Variant:
      return make_variant(symbol, nullptr, span, dst);
    case Symbol::Kind::Struct:
      return not_yet(span, fmt::format("the struct {} as a value", name));
    case Symbol::Kind::Enum:
      return not_yet(span, fmt::format("the enum {} as a value", name));
    case Symbol::Kind::Module:
      return not_yet(span, fmt::format("the file {} as a value", name));
    case Symbol::Kind::Relation:
    case Symbol::Kind::Entity:
    case Symbol::Kind::Embedding:
      return void(logic_name(name, span, dst));
  }
}

}  // namespace tl::interp
