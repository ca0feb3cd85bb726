#include "tl/interp/prompt.h"

#include <algorithm>

namespace tl::interp {
namespace {

constexpr const char* kLastValue = "_";
constexpr size_t kNoInput = static_cast<size_t>(-1);

// `value` becomes `_ = value`.
void keep_last_value(ast::Module& input) {
  ast::StmtPtr& last = input.statements.back();
  auto target = std::make_unique<ast::Name>();
  target->id = static_cast<ast::ExprId>(input.expr_count++);
  target->span = last->span;
  target->text = kLastValue;
  auto assign = std::make_unique<ast::Assign>();
  assign->span = assign->op_span = last->span;
  assign->target = std::move(target);
  assign->value = std::move(ast::as<ast::ExprStmt>(*last).value);
  last = std::move(assign);
}

}  // namespace

Prompt::Prompt(SourceFiles& files, std::string share_dir, lang::Host& host)
    : files_(files),
      share_dir_(std::move(share_dir)),
      growing_(graph_, diags_),
      instance_(growing_.program(), host),
      last_input_(kNoInput) {}

Prompt::~Prompt() = default;

// Facts and queries say what they have to say by themselves.
bool Prompt::gives_value(const ast::Module& input) const {
  if (input.statements.empty()) return false;
  const auto* last = ast::get_if<ast::ExprStmt>(input.statements.back());
  if (last == nullptr || last->has_semicolon) return false;
  const auto* call = ast::get_if<ast::Call>(last->value);
  const auto* callee = call != nullptr ? ast::get_if<ast::Name>(call->callee) : nullptr;
  return last->value->kind != ast::ExprKind::Query && last->value->kind != ast::ExprKind::Formula &&
         (callee == nullptr || relations_.find(callee->text) == relations_.end());
}

// Files that an input imported before are there already. What was imported stays visible.
void Prompt::take_modules(ModuleGraph added) {
  std::vector<size_t> places;
  for (size_t i = 0; i < added.modules.size(); ++i) {
    Module& module = added.modules[i];
    const bool is_input = i + 1 == added.modules.size();
    const auto there = std::find_if(graph_.modules.begin(), graph_.modules.end(),
                                    [&](const Module& m) { return m.path == module.path; });
    if (!is_input && there != graph_.modules.end()) {
      places.push_back(static_cast<size_t>(there - graph_.modules.begin()));
      refused_.push_back(std::move(module.tree));
      continue;
    }
    std::vector<size_t> imports;
    if (is_input && last_input_ != kNoInput) imports = graph_.modules[last_input_].imports;
    for (const size_t import : module.imports) imports.push_back(places[import]);
    module.imports = std::move(imports);
    places.push_back(graph_.modules.size());
    graph_.modules.push_back(std::move(module));
  }
}

std::optional<Result<Value>> Prompt::run(FileId input, Diagnostics& diags) {
  diags_.clear();
  ModuleGraph added = load_modules(files_, input, share_dir_, diags_);
  const size_t before = graph_.modules.size();
  bool has_value = false;
  if (!diags_.has_errors()) {
    ast::Module& tree = *added.modules.back().tree;
    has_value = gives_value(tree);
    if (has_value) keep_last_value(tree);
    take_modules(std::move(added));
    growing_.compile_from(before, last_input_ == kNoInput ? before : last_input_);
  }
  for (const Diagnostic& d : diags_.all()) diags.add(d);
  if (diags_.has_errors()) {
    for (; graph_.modules.size() > before; graph_.modules.pop_back())
      refused_.push_back(std::move(graph_.modules.back().tree));
    growing_.forget_from(before);
    return {};
  }
  last_input_ = graph_.modules.size() - 1;
  for (const auto& s : graph_.modules.back().tree->statements) {
    if (const auto* relation = ast::get_if<ast::Relation>(s)) relations_.insert(relation->name.text);
  }
  std::vector<int> parts = growing_.take_parts();
  if (Result<void> done = instance_.run_more(parts); !done.ok())
    return Result<Value>(std::move(done).error());
  const auto at = has_value ? growing_.global(last_input_, kLastValue) : std::nullopt;
  return Result<Value>(at ? instance_.global(*at) : Value::unit());
}

std::vector<std::string> Prompt::names() const {
  return last_input_ == kNoInput ? std::vector<std::string>() : growing_.names(last_input_);
}

}  // namespace tl::interp
