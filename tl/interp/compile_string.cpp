// Strings with values inside: which braces hold an expression of the program, and which are text.
#include <algorithm>

#include "tl/diag/suggest.h"
#include "tl/interp/compiler.h"
#include "tl/value/format_spec.h"

namespace tl::interp {

bool Compiler::is_known(std::string_view name) {
  static constexpr std::string_view kConstants[] = {"none", "pi", "inf", "nan"};
  if (is_self(name) || find(name).kind != Place::Kind::None || find_symbol(name) != nullptr) return true;
  if (lang::find_builtin(name) != nullptr || find_dtype(name)) return true;
  if (std::find(std::begin(kConstants), std::end(kConstants), name) != std::end(kConstants)) return true;
  return std::any_of(entities_.begin(), entities_.end(), [&](const ast::Entity* entity) {
    const auto& members = entity->members;
    return std::any_of(members.begin(), members.end(), [&](const auto& m) { return m.text == name; });
  });
}

// "{x: 1, y: 2}" is no value under marks, although x may be a variable.
static bool is_no_format(std::string_view spec) {
  return spec.find_first_of(" \"'") != std::string_view::npos && !lang::parse_format_spec(spec).ok();
}

// True where the braces of a part hold nothing that the program has.
bool Compiler::is_text(const ast::StringPart& part) {
  if (is_no_format(part.spec)) return true;
  const auto* name = ast::get_if<ast::Name>(part.value);
  // A function by its name alone: nobody wants to see one printed.
  if (name != nullptr && find(name->text).kind == Place::Kind::None && !is_self(name->text)) {
    const Symbol* symbol = find_symbol(name->text);
    if (symbol != nullptr && symbol->kind != Symbol::Kind::Entity) return true;
    if (symbol == nullptr && (lang::find_builtin(name->text) != nullptr || find_dtype(name->text)))
      return true;
  }
  std::set<std::string, std::less<>> names, parameters;
  collect_names(*part.value, names, parameters);
  const auto unknown = std::find_if(names.begin(), names.end(), [&](const std::string& n) {
    return parameters.find(n) == parameters.end() && !is_known(n);
  });
  if (unknown == names.end()) return false;
  std::vector<std::string> variables;
  for (const FunctionState* f = fn_; f != nullptr; f = f->parent) {
    for (const Local& local : f->locals) variables.push_back(local.name);
  }
  for (const auto& [known, symbol] : symbols_[module_]) {
    if (symbol.kind == Symbol::Kind::Global) variables.push_back(known);
  }
  const std::string close(closest_name(*unknown, variables));
  if (!close.empty()) {
    diags_.report(DiagCode::BracesAreText, part.span, part.text, *unknown).note("did you mean '{}'?", close);
  }
  return true;
}

void Compiler::string(const ast::String& e, u16 dst) {
  std::vector<TextPart> parts;
  const u16 first = fn_->next_register;
  bool has_values = false;
  for (const ast::StringPart& part : e.parts) {
    if (part.kind == ast::StringPart::Kind::Value && !is_text(part)) {
      temporary(*part.value);
      parts.push_back({"", true, part.spec});
      has_values = true;
    } else {
      parts.push_back({part.text, false, ""});
    }
  }
  if (!has_values) {
    std::string text;
    for (const TextPart& part : parts) text += part.text;
    emit(Op::LoadConstant, e.span, dst, constant(lang::make_string(std::move(text))));
    return;
  }
  fn_->proto->texts.push_back(std::move(parts));
  emit(Op::Interpolate, e.span, dst, fn_->proto->texts.size() - 1, first);
}

}  // namespace tl::interp
