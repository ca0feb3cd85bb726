// Entities, relations, rules, queries and learning: their names and forms are checked like everything else.
// What an engine must run fails when it is reached, so that the rest of the program runs.
#include <algorithm>

#include "tl/diag/suggest.h"
#include "tl/interp/compiler.h"

namespace tl::interp {

void Compiler::fails_yet(std::string_view what, Span span) {
  emit(Op::NotYet, span, 0, name_index(what));
}

// ---- Declarations -----------------------------------------------------------------------------------------

void Compiler::declare_logic(size_t module, const ast::Stmt& s) {
  if (const auto* relation = ast::get_if<ast::Relation>(&s)) {
    relations_.push_back(relation);
    arities_.push_back(static_cast<int>(relation->columns.size()));
    declare(module, relation->name, Symbol::Kind::Relation, static_cast<int>(relations_.size() - 1));
  } else if (const auto* entity = ast::get_if<ast::Entity>(&s)) {
    entities_.push_back(entity);
    declare(module, entity->name, Symbol::Kind::Entity, static_cast<int>(entities_.size() - 1));
  } else if (const auto* embedding = ast::get_if<ast::Embedding>(&s)) {
    declare(module, embedding->name, Symbol::Kind::Embedding, 0);
  }
}

// A rule makes its head a relation where nothing else declares it.
void Compiler::declare_heads(size_t module) {
  for (const auto& s : graph_.modules[module].tree->statements) {
    const auto* rule = ast::get_if<ast::Rule>(s);
    const auto* head = rule != nullptr ? ast::get_if<ast::Call>(rule->head) : nullptr;
    const auto* name = head != nullptr ? ast::get_if<ast::Name>(head->callee) : nullptr;
    if (name == nullptr || find_symbol_in(module, name->text) != nullptr) continue;
    relations_.push_back(nullptr);
    arities_.push_back(static_cast<int>(head->args.size()));
    declare(module, {name->text, name->span}, Symbol::Kind::Relation,
            static_cast<int>(relations_.size() - 1));
  }
}

const Symbol* Compiler::find_relation(std::string_view name) {
  const Symbol* symbol = find_symbol(name);
  return symbol != nullptr && symbol->kind == Symbol::Kind::Relation ? symbol : nullptr;
}

void Compiler::check_arity(const ast::Call& atom, const Symbol& relation) {
  const int columns = arities_[static_cast<size_t>(relation.index)];
  if (static_cast<int>(atom.args.size()) == columns) return;
  diags_
      .report(DiagCode::WrongArity, atom.span, ast::as<ast::Name>(*atom.callee).text, columns,
              atom.args.size())
      .also(relation.span, "declared here");
}

void Compiler::check_atom(const ast::Expr& e) {
  const auto* atom = ast::get_if<ast::Call>(&e);
  const auto* name = atom != nullptr ? ast::get_if<ast::Name>(atom->callee) : nullptr;
  if (name == nullptr) return;
  if (const Symbol* relation = find_relation(name->text)) return check_arity(*atom, *relation);
  std::vector<std::string> names;
  for (const auto& symbols : symbols_) {
    for (const auto& [known, symbol] : symbols) {
      if (symbol.kind == Symbol::Kind::Relation) names.push_back(known);
    }
  }
  const std::string close(closest_name(name->text, names));
  Diagnostic& d = diags_.report(DiagCode::UnknownRelation, name->span, name->text);
  if (!close.empty()) {
    d.note("did you mean '{}'?", close).replace(name->span, close);
  } else {
    d.note("declare it: relation {}(…)", name->text);
  }
}

// In a condition a function may stand where a relation could.
void Compiler::check_literal(const ast::Expr& e) {
  if (const auto* inner = ast::get_if<ast::Formula>(&e)) return check_formula(*inner);
  if (const auto* negated = ast::get_if<ast::Unary>(&e)) return check_literal(*negated->operand);
  const auto* atom = ast::get_if<ast::Call>(&e);
  const auto* name = atom != nullptr ? ast::get_if<ast::Name>(atom->callee) : nullptr;
  if (name == nullptr) return;
  const Symbol* symbol = find_symbol(name->text);
  const bool is_function =
      symbol != nullptr ? symbol->kind == Symbol::Kind::Function : lang::find_builtin(name->text) != nullptr;
  if (!is_function) check_atom(e);
}

void Compiler::check_formula(const ast::Formula& formula) {
  for (const auto& conjunction : formula.alternatives) {
    for (const auto& literal : conjunction) check_literal(*literal);
  }
}

void Compiler::check_rule(const ast::Rule& s) {
  if (s.head->kind == ast::ExprKind::Call) check_atom(*s.head);
  if (s.body != nullptr) check_formula(*s.body);
}

void Compiler::check_embedding(const ast::Embedding& s) {
  constexpr std::string_view kWays[] = {"random", "xavier", "he", "zeros", "ones"};
  if (s.init && std::find(std::begin(kWays), std::end(kWays), s.init.text) == std::end(kWays)) {
    diags_.report(DiagCode::UnknownName, s.init.span, s.init.text)
        .note("an embedding begins as random, xavier, he, zeros or ones");
  }
  if (s.source != ast::Embedding::Source::Type) return;
  const Symbol* symbol = find_symbol(s.entity.text);
  if (symbol == nullptr || symbol->kind != Symbol::Kind::Entity) unknown_name(s.entity.text, s.entity.span);
}

// ---- Statements and values --------------------------------------------------------------------------------

void Compiler::fact(const ast::Call& e, const Symbol& relation, u16 dst) {
  check_arity(e, relation);
  fails_yet("facts", e.span);
  emit(Op::LoadUnit, e.span, dst);
}

void Compiler::query(const ast::Query& e) {
  check_atom(*e.goal);
  if (e.where != nullptr) check_formula(*e.where);
  fails_yet("queries", e.span);
}

void Compiler::infer(const ast::Infer& s) {
  for (const ast::InferGoal& goal : s.goals) {
    if (goal.query != nullptr) check_atom(*ast::as<ast::Query>(*goal.query).goal);
  }
  fails_yet("infer", s.span);
}

void Compiler::with(const ast::With& s) {
  const Symbol* symbol = find_symbol(s.entity.text);
  if (symbol == nullptr || symbol->kind != Symbol::Kind::Entity) {
    unknown_name(s.entity.text, s.entity.span).note("'with' wants an entity set");
  }
  block(s.body);
}

// An item of {ann, bob}: what is no name of the program's is the name of an entity.
void Compiler::set_item(const ast::Expr& item) {
  static constexpr std::string_view kOthers[] = {"none", "pi", "inf", "nan"};
  const auto* name = ast::get_if<ast::Name>(&item);
  const bool is_entity = name != nullptr && !is_self(name->text) &&
                         std::find(std::begin(kOthers), std::end(kOthers), name->text) == std::end(kOthers) &&
                         find(name->text).kind == Place::Kind::None && find_symbol(name->text) == nullptr &&
                         lang::find_builtin(name->text) == nullptr && !find_dtype(name->text);
  if (!is_entity) return void(temporary(item));
  emit(Op::LoadConstant, item.span, new_register(item.span), constant(lang::make_string(name->text)));
}

// A name that only logic knows: an entity set is the list of its members' names, a member its name.
bool Compiler::logic_name(std::string_view name, Span span, u16 dst) {
  if (const Symbol* symbol = find_symbol(name)) {
    if (symbol->kind == Symbol::Kind::Entity && !entities_[static_cast<size_t>(symbol->index)]->is_open) {
      std::vector<Value> names;
      for (const ast::Ident& member : entities_[static_cast<size_t>(symbol->index)]->members)
        names.push_back(lang::make_string(member.text));
      const u16 first = fn_->next_register;
      for (Value& member : names)
        emit(Op::LoadConstant, span, new_register(span), constant(std::move(member)));
      emit(Op::MakeList, span, dst, first, names.size());
    } else if (symbol->kind == Symbol::Kind::Entity) {
      fails_yet("entity sets that grow with the facts", span);
    } else {
      fails_yet(symbol->kind == Symbol::Kind::Relation ? "relations as values" : "looking up embeddings",
                span);
    }
    return true;
  }
  for (const ast::Entity* entity : entities_) {
    const auto& members = entity->members;
    const bool is_member =
        std::any_of(members.begin(), members.end(), [&](const auto& m) { return m.text == name; });
    if (!is_member) continue;
    emit(Op::LoadConstant, span, dst, constant(lang::make_string(std::string(name))));
    return true;
  }
  return false;
}

// ---- Learning ---------------------------------------------------------------------------------------------

namespace {

constexpr std::string_view kSettings[] = {"objective",  "optimizer", "epochs",         "scheduler", "batch",
                                          "batch_size", "clip",      "accumulate",     "precision", "seed",
                                          "checkpoint", "resume",    "early_stopping", "log",       "plot",
                                          "learnable",  "log_every", "loss_scale",     "validation"};
constexpr std::string_view kOptimizers[] = {"sgd", "adam", "adamw", "rmsprop", "adagrad", "lion"};
constexpr std::string_view kSchedules[] = {"step", "exponential", "cosine", "warmup", "plateau"};

std::string list_of(std::span<const std::string_view> names) {
  std::string text;
  for (size_t i = 0; i < names.size(); ++i)
    text += std::string(i == 0 ? "" : i + 1 < names.size() ? ", " : " or ") + std::string(names[i]);
  return text;
}

}  // namespace

// adam(lr: 0.01), or adam alone; a variable that holds one is taken as it is.
void Compiler::check_named_call(const ast::Setting& setting, std::span<const std::string_view> known) {
  const auto* call = ast::get_if<ast::Call>(setting.value);
  const auto* name = ast::get_if<ast::Name>(call != nullptr ? call->callee : setting.value);
  if (name == nullptr || std::find(known.begin(), known.end(), name->text) != known.end()) return;
  if (find(name->text).kind != Place::Kind::None || find_symbol(name->text) != nullptr) return;
  diags_.report(DiagCode::UnknownName, name->span, name->text)
      .note("{} is {}", setting.name.text, list_of(known));
}

void Compiler::learn(const ast::Learn& s) {
  fails_yet("learn", s.span);
  // The rest is for its names.
  const Scope scope = open_scope();
  const u16 epochs = new_register(s.span);
  emit(Op::LoadInt, s.span, epochs);
  bind_local(epochs, "epochs", s.span);
  for (const auto& inner : s.body.statements) statement(*inner);
  bool has_unknown = false;
  for (const ast::Setting& setting : s.settings) {
    const std::string& name = setting.name.text;
    if (std::find(std::begin(kSettings), std::end(kSettings), name) == std::end(kSettings)) {
      const std::string close(closest_name(name, std::span<const std::string_view>(kSettings)));
      has_unknown = true;
      Diagnostic& d = diags_.report(DiagCode::UnknownSetting, setting.name.span, name, "learn");
      if (!close.empty()) d.note("did you mean '{}'?", close).replace(setting.name.span, close);
    } else if (name == "optimizer") {
      check_named_call(setting, kOptimizers);
    } else if (name == "scheduler") {
      check_named_call(setting, kSchedules);
    } else if (name == "objective" || name == "epochs") {
      const u16 mark = fn_->next_register;
      temporary(*setting.value);
      fn_->next_register = mark;
    }
  }
  if (!has_unknown && s.find("objective") == nullptr && s.body.statements.empty())
    diags_.report(DiagCode::NothingToLearn, s.span);
  close_scope(scope, s.span);
}

}  // namespace tl::interp
