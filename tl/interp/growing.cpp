#include "tl/interp/growing.h"

#include "tl/interp/compiler.h"

namespace tl::interp {

GrowingProgram::GrowingProgram(const ModuleGraph& graph, Diagnostics& diags)
    : compiler_(std::make_unique<Compiler>(graph, diags)) {
  compiler_->grows_ = true;
}

GrowingProgram::~GrowingProgram() = default;

const Program& GrowingProgram::program() const {
  return compiler_->program_;
}

void GrowingProgram::compile_from(size_t first, size_t before) {
  const std::vector<Module>& modules = compiler_->graph_.modules;
  Program& program = compiler_->program_;
  const size_t input = modules.size() - 1;
  compiler_->symbols_.resize(modules.size());
  auto& names = compiler_->symbols_[input];
  if (before < first) names = compiler_->symbols_[before];
  compiler_->methods_before_.clear();
  for (const auto& info : program.structs) compiler_->methods_before_.push_back(info->methods);
  // What is declared anew replaces what had the name; a variable keeps its place, so that functions see it.
  const auto replace = [&names](const std::string& name, bool is_variable) {
    const auto it = names.find(name);
    if (it != names.end() && (!is_variable || it->second.kind != Symbol::Kind::Global)) names.erase(it);
  };
  for (const auto& s : modules[input].tree->statements) {
    if (const auto* fn = ast::get_if<ast::Fn>(s)) replace(fn->name.text, false);
    if (const auto* type = ast::get_if<ast::Struct>(s)) replace(type->name.text, false);
    if (const auto* tensor = ast::get_if<ast::TensorDecl>(s)) replace(tensor->name.text, true);
    if (const auto* let = ast::get_if<ast::Let>(s)) {
      for (const ast::Ident& name : let->names) replace(name.text, true);
    }
    if (const auto* impl = ast::get_if<ast::Impl>(s); impl != nullptr && impl->type != nullptr) {
      const auto of = names.find(impl->type->name.text);
      if (of == names.end() || of->second.kind != Symbol::Kind::Struct) continue;
      for (const auto& method : impl->methods)
        program.structs[static_cast<size_t>(of->second.index)]->methods.erase(method->name.text);
    }
  }
  for (size_t i = first; i < modules.size(); ++i) compiler_->declare_module(i);
  for (size_t i = first; i < modules.size(); ++i) compiler_->compile_module(i);
}

void GrowingProgram::forget_from(size_t first) {
  if (compiler_->symbols_.size() > first) compiler_->symbols_.resize(first);
  Program& program = compiler_->program_;
  for (size_t i = 0; i < compiler_->methods_before_.size(); ++i)
    program.structs[i]->methods = compiler_->methods_before_[i];
  program.initialisers.clear();
  program.main = -1;
}

std::vector<int> GrowingProgram::take_parts() {
  Program& program = compiler_->program_;
  std::vector<int> parts = std::exchange(program.initialisers, {});
  if (program.main >= 0) parts.push_back(std::exchange(program.main, -1));
  return parts;
}

std::optional<size_t> GrowingProgram::global(size_t module, std::string_view name) const {
  const auto it = compiler_->symbols_[module].find(name);
  if (it == compiler_->symbols_[module].end() || it->second.kind != Symbol::Kind::Global) return {};
  return static_cast<size_t>(it->second.index);
}

std::vector<std::string> GrowingProgram::names(size_t module) const {
  std::vector<std::string> names;
  std::vector<size_t> modules = compiler_->graph_.modules[module].imports;
  modules.push_back(module);
  for (const size_t i : modules) {
    for (const auto& [name, symbol] : compiler_->symbols_[i]) names.push_back(name);
  }
  return names;
}

}  // namespace tl::interp
