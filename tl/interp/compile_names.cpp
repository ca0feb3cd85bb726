// Which declaration a name means, in this file or in those that it imports, and what it could have meant.
#include <algorithm>

#include "tl/diag/suggest.h"
#include "tl/interp/compiler.h"

namespace tl::interp {

// Own names first, then those of the files it imports, and of what these import. What two files give that are
// equally near may be either one: the program has to say which.
const Symbol* Compiler::find_symbol_in(size_t module, std::string_view name, Span use) {
  std::vector<size_t> level = {module}, next;
  std::set<size_t> seen;
  for (; !level.empty(); level = std::move(next)) {
    next.clear();
    const Symbol *found = nullptr, *other = nullptr;
    for (const size_t at : level) {
      if (!seen.insert(at).second) continue;
      if (const auto it = symbols_[at].find(name); it != symbols_[at].end()) {
        const Symbol& here = it->second;
        if (found == nullptr)
          found = &here;
        else if (here.kind != found->kind || here.index != found->index)
          other = &here;
      }
      const auto& imports = graph_.modules[at].imports;
      next.insert(next.end(), imports.rbegin(), imports.rend());
    }
    if (found == nullptr) continue;
    if (other != nullptr && use && clashes_.emplace(name).second) {
      diags_
          .report(DiagCode::NameClash, use, name, graph_.modules[other->module].path,
                  graph_.modules[found->module].path)
          .also(other->span, "declared here")
          .also(found->span, "and here")
          .note("import one of the files by a name of its own: import \"{}\" as m, and then m.{}",
                graph_.modules[found->module].path, name);
    }
    return found;
  }
  return nullptr;
}

const Symbol* Compiler::find_symbol(std::string_view name) {
  const size_t dot = name.find('.');
  if (dot == std::string_view::npos) return find_symbol_in(module_, name, use_);
  const Symbol* file = find_symbol_in(module_, name.substr(0, dot), use_);
  if (file == nullptr || file->kind != Symbol::Kind::Module) return nullptr;
  return find_symbol_in(static_cast<size_t>(file->index), name.substr(dot + 1));
}

// What `import ... as` and `from ... import` name, once the files they name have been compiled.
void Compiler::declare_imports(size_t index) {
  const auto add = [&](const ast::Ident& name, Symbol symbol) {
    const auto [it, is_new] = symbols_[index].emplace(name.text, symbol);
    if (is_new || (it->second.kind == symbol.kind && it->second.index == symbol.index)) return;
    diags_.report(DiagCode::DuplicateName, name.span, name.text).also(it->second.span, "first declared here");
  };
  for (const auto& [import, file] : graph_.modules[index].named) {
    if (import->alias)
      add(import->alias, {Symbol::Kind::Module, static_cast<int>(file), import->alias.span, index});
    for (const ast::Import::Selected& one : import->selected) {
      const auto it = symbols_[file].find(one.name.text);
      if (it != symbols_[file].end()) {
        add(one.alias ? one.alias : one.name, it->second);
        continue;
      }
      Diagnostic& d =
          diags_.report(DiagCode::NotInFile, one.name.span, graph_.modules[file].path, one.name.text);
      std::vector<std::string> names;
      for (const auto& [name, symbol] : symbols_[file]) names.push_back(name);
      const std::string close(closest_name(one.name.text, names));
      if (!close.empty()) d.note("did you mean '{}'?", close).replace(one.name.span, close);
    }
  }
}

std::vector<std::string> Compiler::known_names() const {
  std::vector<std::string> names;
  for (const FunctionState* f = fn_; f != nullptr; f = f->parent) {
    for (const Local& local : f->locals) names.push_back(local.name);
  }
  for (const auto& symbols : symbols_) {
    for (const auto& [name, symbol] : symbols) names.push_back(name);
  }
  for (const Builtin& b : lang::all_builtins()) names.emplace_back(b.name);
  return names;
}

// What other languages call it.
static constexpr std::pair<std::string_view, std::string_view> kOtherNames[] = {{"None", "none"},
                                                                                {"null", "none"},
                                                                                {"nil", "none"},
                                                                                {"undefined", "none"},
                                                                                {"NULL", "none"},
                                                                                {"True", "true"},
                                                                                {"False", "false"},
                                                                                {"length", "len"},
                                                                                {"size", "len"},
                                                                                {"println", "print"},
                                                                                {"printf", "print"},
                                                                                {"console", "print"},
                                                                                {"startswith", "starts_with"},
                                                                                {"endswith", "ends_with"},
                                                                                {"toLowerCase", "lower"},
                                                                                {"toUpperCase", "upper"},
                                                                                {"parseInt", "int"},
                                                                                {"parseFloat", "float"},
                                                                                {"push_back", "push"},
                                                                                {"isinstance", "type_of"},
                                                                                {"this", "self"}};

Diagnostic& Compiler::unknown_name(std::string_view name, Span span) {
  const std::vector<std::string> names = known_names();
  std::string close;
  for (const auto& [other, here] : kOtherNames) {
    if (other == name) close = here;
  }
  if (close.empty()) close = closest_name(name, names);
  Diagnostic& d = diags_.report(DiagCode::UnknownName, span, name);
  if (!close.empty()) d.note("did you mean '{}'?", close).replace(span, close);
  return d;
}

}  // namespace tl::interp
