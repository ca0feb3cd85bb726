#include "tl/syntax/ast_dump.h"

#include <fmt/format.h>

namespace tl::ast {
namespace {

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string dump_float(f64 value) {
  std::string text = fmt::format("{}", value);
  return text.find_first_not_of("-0123456789") == std::string::npos ? text + ".0" : text;
}

// "(head a b c)"; empty parts are left out.
std::string form(std::string_view head, const std::vector<std::string>& parts) {
  std::string out = "(" + std::string(head);
  for (const std::string& part : parts) {
    if (part.empty()) continue;
    if (out.size() > 1) out += ' ';
    out += part;
  }
  return out + ")";
}

std::string dump_or_nothing(const ExprPtr& e) {
  return e == nullptr ? "" : dump(*e);
}
std::string dump_or_nothing(const TypePtr& t) {
  return t == nullptr ? "" : dump(*t);
}
std::string dump_or_hole(const ExprPtr& e) {
  return e == nullptr ? "_" : dump(*e);
}

std::string dump_block(const Block& block) {
  std::vector<std::string> parts;
  for (const StmtPtr& s : block.statements) parts.push_back(dump(*s));
  return form("do", parts);
}

std::string dump_all(std::string_view head, const std::vector<ExprPtr>& items) {
  std::vector<std::string> parts;
  for (const ExprPtr& item : items) parts.push_back(dump(*item));
  return form(head, parts);
}

std::string dump_idents(std::string_view head, const std::vector<Ident>& idents) {
  std::vector<std::string> parts;
  for (const Ident& ident : idents) parts.push_back(ident.text);
  return form(head, parts);
}
std::string dump_generics(const std::vector<Ident>& idents) {
  return idents.empty() ? "" : dump_idents("generics", idents);
}

std::string dump_param(const Param& param) {
  const std::string name = param.name.text + (param.variadic ? "..." : "");
  if (param.type == nullptr && param.default_value == nullptr) return name;
  return form(name, {param.type != nullptr ? ": " + dump(*param.type) : "",
                     param.default_value != nullptr ? "= " + dump(*param.default_value) : ""});
}
std::string dump_params(const std::vector<Param>& params) {
  std::vector<std::string> parts;
  for (const Param& param : params) parts.push_back(dump_param(param));
  return form("", parts);
}
std::string dump_result(const TypePtr& type) {
  return type == nullptr ? "" : "-> " + dump(*type);
}

void add_args(std::vector<std::string>& parts, const std::vector<Arg>& args) {
  for (const Arg& arg : args) {
    parts.push_back(arg.name ? fmt::format("{}={}", arg.name.text, dump(*arg.value)) : dump(*arg.value));
  }
}

std::string dump_index_item(const IndexItem& item) {
  switch (item.kind) {
    case IndexItem::Kind::At:
      return dump(*item.value);
    case IndexItem::Kind::Slice:
      return form("slice", {dump_or_hole(item.begin), dump_or_hole(item.end), dump_or_nothing(item.step)});
    case IndexItem::Kind::Ellipsis:
      return "...";
    case IndexItem::Kind::Normalised:
      return form("normalised", {dump(*item.value)});
    case IndexItem::Kind::Virtual:
      return form("virtual", {dump(*item.value)});
  }
  TL_CHECK(false, "index item {}", int(item.kind));
}

std::string dump_string(const String& s) {
  if (s.is_plain()) return quoted(s.plain_text());
  std::vector<std::string> parts;
  for (const StringPart& part : s.parts) {
    if (part.kind == StringPart::Kind::Value) {
      parts.push_back(form("show", {dump(*part.value), part.spec.empty() ? "" : quoted(part.spec)}));
    } else if (part.kind == StringPart::Kind::Placeholder) {
      parts.push_back(form("hole", {quoted(part.text)}));
    } else {
      parts.push_back(quoted(part.text));
    }
  }
  return form("string", parts);
}

std::string dump_if(const If& e) {
  std::vector<std::string> parts;
  for (const IfBranch& branch : e.branches) {
    parts.push_back(dump(*branch.condition));
    parts.push_back(dump_block(branch.body));
  }
  if (e.otherwise) parts.push_back("else " + dump_block(*e.otherwise));
  return form("if", parts);
}

std::string dump_match(const Match& e) {
  std::vector<std::string> parts{dump(*e.subject)};
  for (const MatchArm& arm : e.arms) {
    parts.push_back(form("", {arm.pattern != nullptr ? dump(*arm.pattern) : "error",
                              arm.guard != nullptr ? "if " + dump(*arm.guard) : "", dump(*arm.value)}));
  }
  return form("match", parts);
}

std::string dump_formula(const Formula& e) {
  std::vector<std::string> parts;
  for (const auto& alternative : e.alternatives) parts.push_back(dump_all("all", alternative));
  return parts.size() == 1 ? parts[0] : form("any", parts);
}

std::string dump_query(const Query& e) {
  std::vector<std::string> parts{dump(*e.goal)};
  if (e.where != nullptr) parts.push_back("where " + dump_formula(*e.where));
  for (const OrderKey& key : e.order_by) {
    parts.push_back(form(key.descending ? "desc" : "asc", {dump(*key.value)}));
  }
  if (e.limit != nullptr) parts.push_back("limit " + dump(*e.limit));
  return form("query", parts);
}

std::string dump_call(const Expr& e) {
  std::vector<std::string> parts;
  if (const auto* call = get_if<Call>(&e)) {
    parts.push_back(dump(*call->callee));
    add_args(parts, call->args);
    return form("call", parts);
  }
  const auto& method = as<MethodCall>(e);
  parts = {dump(*method.receiver), method.name.text};
  add_args(parts, method.args);
  return form("method", parts);
}

std::string dump_index(const Index& e) {
  std::vector<std::string> parts{dump(*e.object)};
  for (const IndexItem& item : e.items) parts.push_back(dump_index_item(item));
  return form("index", parts);
}

std::string dump_struct_literal(const StructLiteral& e) {
  std::vector<std::string> parts{dump(*e.type)};
  for (const FieldInit& field : e.fields) parts.push_back(field.name.text + "=" + dump(*field.value));
  return form("new", parts);
}

std::string dump_parts(const std::vector<Ident>& names, const std::vector<Unpacking>& parts) {
  std::vector<std::string> out;
  for (const Unpacking& part : parts)
    out.push_back(part.parts.empty() ? names[part.name].text : dump_parts(names, part.parts));
  return form("", out);
}
std::string dump_names(const std::vector<Ident>& names, bool is_tuple, const std::vector<Unpacking>& parts) {
  if (!parts.empty()) return dump_parts(names, parts);
  return is_tuple ? dump_idents("", names) : names.empty() ? "" : names[0].text;
}

std::string dump_let(const Let& s) {
  const std::string names = dump_names(s.names, s.is_tuple, s.unpacking);
  return form(s.is_const ? "const" : "let",
              {names, s.type != nullptr ? ": " + dump(*s.type) : "", dump(*s.value)});
}

std::string dump_for(const For& s) {
  const std::string names = dump_names(s.names, s.is_tuple, s.unpacking);
  return form("for", {names, dump(*s.iterable), dump_block(s.body)});
}

std::string training_word(Training training) {
  return training == Training::Learnable ? "learnable" : training == Training::Frozen ? "frozen" : "";
}

std::string dump_struct(const Struct& s) {
  std::vector<std::string> parts{s.name.text, dump_generics(s.generics)};
  for (const StructField& field : s.fields) {
    parts.push_back(
        form(field.name.text, {dump_or_nothing(field.type), training_word(field.training),
                               field.default_value != nullptr ? "= " + dump(*field.default_value) : ""}));
  }
  return form("struct", parts);
}

std::string dump_enum(const Enum& s) {
  std::vector<std::string> parts{s.name.text, dump_generics(s.generics)};
  for (const EnumVariant& variant : s.variants) {
    std::vector<std::string> fields;
    for (const StructField& field : variant.fields)
      fields.push_back(field.name ? form(field.name.text, {dump_or_nothing(field.type)})
                                  : dump_or_nothing(field.type));
    parts.push_back(form(variant.name.text, fields));
  }
  return form("enum", parts);
}

std::string dump_import(const Import& s) {
  std::vector<std::string> parts{quoted(s.path)};
  if (s.alias) parts.push_back("as " + s.alias.text);
  for (const Import::Selected& one : s.selected)
    parts.push_back(one.alias ? form("as", {one.name.text, one.alias.text}) : one.name.text);
  return form("import", parts);
}

std::string dump_try(const Try& e) {
  std::vector<std::string> parts{dump_block(e.body)};
  if (e.handler) parts.push_back(form("catch", {e.error.text, dump_block(*e.handler)}));
  if (e.finally) parts.push_back("finally " + dump_block(*e.finally));
  return form("try", parts);
}

std::string dump_tensor(const TensorDecl& s) {
  return form("tensor",
              {s.name.text, dump_or_nothing(s.type), training_word(s.training), dump_or_nothing(s.value)});
}

std::string dump_fn(const Fn& s) {
  return form("fn", {s.name.text, dump_generics(s.generics), dump_params(s.params), dump_result(s.result),
                     dump_block(s.body)});
}

std::string dump_impl(const Impl& s) {
  std::vector<std::string> parts{dump_generics(s.generics), s.trait ? s.trait.text + " for" : "",
                                 dump_or_nothing(s.type)};
  for (const auto& method : s.methods) parts.push_back(dump_fn(*method));
  return form("impl", parts);
}

std::string dump_relation(const Relation& s) {
  return form("relation", {s.name.text, dump_params(s.columns), s.weight ? "weight " + s.weight.text : "",
                           s.embed != nullptr ? "embed " + dump(*s.embed) : ""});
}

std::string dump_embedding(const Embedding& s) {
  const std::string source = s.source == Embedding::Source::Listed ? dump_idents("set", s.members)
                             : s.source == Embedding::Source::Type ? s.entity.text
                                                                   : "auto";
  return form(s.of_relations ? "relation_embedding" : "embedding",
              {s.name.text, source, dump_or_nothing(s.dimension), s.init.text});
}

std::string dump_infer(const Infer& s) {
  constexpr std::string_view kMethods[] = {"forward", "backward", "gradient", "symbolic"};
  std::vector<std::string> parts;
  for (const InferGoal& goal : s.goals) {
    parts.push_back(form(kMethods[static_cast<size_t>(goal.method)], {dump_or_nothing(goal.query)}));
  }
  return form("infer", parts);
}

std::string dump_learn(const Learn& s) {
  std::vector<std::string> parts{dump_block(s.body)};
  for (const Setting& setting : s.settings) parts.push_back(form(setting.name.text, {dump(*setting.value)}));
  return form("learn", parts);
}

}  // namespace

std::string dump(const Expr& e) {
  switch (e.kind) {
    case ExprKind::Error:
      return "error";
    case ExprKind::Int:
      return fmt::format("{}", as<Int>(e).value);
    case ExprKind::Float:
      return dump_float(as<Float>(e).value);
    case ExprKind::Imaginary:
      return dump_float(as<Imaginary>(e).value) + "i";
    case ExprKind::Bool:
      return as<Bool>(e).value ? "true" : "false";
    case ExprKind::String:
      return dump_string(as<String>(e));
    case ExprKind::Name:
      return as<Name>(e).text;
    case ExprKind::Path:
      return fmt::format("{}::{}", dump(*as<Path>(e).scope), as<Path>(e).name.text);
    case ExprKind::List:
      return dump_all(as<List>(e).is_map ? "map" : as<List>(e).is_set ? "set" : "list", as<List>(e).items);
    case ExprKind::RepeatList:
      return form("repeat", {dump(*as<RepeatList>(e).value), dump(*as<RepeatList>(e).count)});
    case ExprKind::Tuple:
      return dump_all("tuple", as<Tuple>(e).items);
    case ExprKind::Range: {
      const auto& range = as<Range>(e);
      return form(range.inclusive ? "..=" : "..", {dump(*range.begin), dump(*range.end)});
    }
    case ExprKind::Call:
    case ExprKind::MethodCall:
      return dump_call(e);
    case ExprKind::Field:
      return form("field", {dump(*as<Field>(e).object), as<Field>(e).name.text});
    case ExprKind::Index:
      return dump_index(as<Index>(e));
    case ExprKind::Unary:
      return form(spelling(as<Unary>(e).op), {dump(*as<Unary>(e).operand)});
    case ExprKind::Binary: {
      const auto& binary = as<Binary>(e);
      return form(spelling(binary.op), {dump(*binary.lhs), dump(*binary.rhs)});
    }
    case ExprKind::Cast:
      return form("as", {dump(*as<Cast>(e).value), dump(*as<Cast>(e).type)});
    case ExprKind::If:
      return dump_if(as<If>(e));
    case ExprKind::Match:
      return dump_match(as<Match>(e));
    case ExprKind::Closure: {
      const auto& closure = as<Closure>(e);
      return form("closure", {dump_params(closure.params), dump_result(closure.result), dump(*closure.body)});
    }
    case ExprKind::StructLiteral:
      return dump_struct_literal(as<StructLiteral>(e));
    case ExprKind::BlockExpr:
      return dump_block(as<BlockExpr>(e).block);
    case ExprKind::Try:
      return dump_try(as<Try>(e));
    case ExprKind::Query:
      return dump_query(as<Query>(e));
    case ExprKind::Formula:
      return dump_formula(as<Formula>(e));
  }
  TL_CHECK(false, "expression of kind {}", int(e.kind));
}

std::string dump(const Stmt& s) {
  switch (s.kind) {
    case StmtKind::Error:
      return "error";
    case StmtKind::Let:
      return dump_let(as<Let>(s));
    case StmtKind::Assign: {
      const auto& assign = as<Assign>(s);
      return form(fmt::format("{}{}", spelling(assign.op), assign.is_equation ? "!" : ""),
                  {dump(*assign.target), dump(*assign.value)});
    }
    case StmtKind::ExprStmt:
      return dump(*as<ExprStmt>(s).value);
    case StmtKind::While:
      return form("while", {dump(*as<While>(s).condition), dump_block(as<While>(s).body)});
    case StmtKind::For:
      return dump_for(as<For>(s));
    case StmtKind::Loop:
      return form("loop", {dump_block(as<Loop>(s).body)});
    case StmtKind::Break:
      return "break";
    case StmtKind::Continue:
      return "continue";
    case StmtKind::Return:
      return form("return", {dump_or_nothing(as<Return>(s).value)});
    case StmtKind::Defer:
      return form("defer", {dump_block(as<Defer>(s).body)});
    case StmtKind::With:
      return form("with", {as<With>(s).entity.text, dump_block(as<With>(s).body)});
    case StmtKind::Import:
      return dump_import(as<Import>(s));
    case StmtKind::PythonImport:
      return form("python", {as<PythonImport>(s).module.text, as<PythonImport>(s).alias.text});
    case StmtKind::Fn:
      return dump_fn(as<Fn>(s));
    case StmtKind::Struct:
      return dump_struct(as<Struct>(s));
    case StmtKind::Enum:
      return dump_enum(as<Enum>(s));
    case StmtKind::Impl:
      return dump_impl(as<Impl>(s));
    case StmtKind::TensorDecl:
      return dump_tensor(as<TensorDecl>(s));
    case StmtKind::Main:
      return form("main", {dump_block(as<Main>(s).body)});
    case StmtKind::Test:
      return form("test", {as<Test>(s).name.text, dump_block(as<Test>(s).body)});
    case StmtKind::Bench:
      return form("bench", {as<Bench>(s).name.text, dump_block(as<Bench>(s).body)});
    case StmtKind::Entity:
      return form("entity", {as<Entity>(s).name.text,
                             as<Entity>(s).is_open ? "" : dump_idents("set", as<Entity>(s).members)});
    case StmtKind::Relation:
      return dump_relation(as<Relation>(s));
    case StmtKind::Rule:
      return form("rule", {dump_or_nothing(as<Rule>(s).weight), dump(*as<Rule>(s).head),
                           dump_formula(*as<Rule>(s).body)});
    case StmtKind::Embedding:
      return dump_embedding(as<Embedding>(s));
    case StmtKind::Infer:
      return dump_infer(as<Infer>(s));
    case StmtKind::Learn:
      return dump_learn(as<Learn>(s));
    case StmtKind::Explain:
      return form("explain", {dump(*as<Explain>(s).goal)});
  }
  TL_CHECK(false, "statement of kind {}", int(s.kind));
}

std::string dump(const Module& module) {
  std::string out;
  for (const StmtPtr& s : module.statements) out += (out.empty() ? "" : "\n") + dump(*s);
  return out;
}

static std::string dump_dim(const Dim& dim) {
  if (dim.kind == Dim::Kind::Value) return dump(*dim.value);
  return dim.kind == Dim::Kind::Any ? "?" : ".." + dim.name.text;
}

std::string dump(const Type& type) {
  std::vector<std::string> items;
  for (const TypePtr& item : type.items) items.push_back(dump(*item));
  switch (type.kind) {
    case TypeKind::Error:
      return "error";
    case TypeKind::Named:
      return items.empty() ? type.name.text : form(type.name.text, items);
    case TypeKind::Tensor: {
      std::string out = (items.empty() ? type.name.text : form(type.name.text, items)) + "[";
      for (size_t i = 0; i < type.dims.size(); ++i) out += (i > 0 ? " " : "") + dump_dim(type.dims[i]);
      return out + "]";
    }
    case TypeKind::Tuple:
      return form("tuple", items);
    case TypeKind::List:
      return form("list", items);
    case TypeKind::Fn:
      items.push_back(dump_result(type.result));
      return form("fn", items);
  }
  TL_CHECK(false, "type of kind {}", int(type.kind));
}

std::string dump(const Pattern& pattern) {
  std::vector<std::string> items;
  for (const PatternPtr& item : pattern.items) items.push_back(dump(*item));
  switch (pattern.kind) {
    case PatternKind::Error:
      return "error";
    case PatternKind::Wildcard:
      return "_";
    case PatternKind::Literal:
      return dump(*pattern.literal);
    case PatternKind::Binding:
      return pattern.name.text;
    case PatternKind::Tuple:
      return form("tuple", items);
    case PatternKind::Struct:
      items.push_back(dump(*pattern.type));
      for (const FieldPattern& field : pattern.fields) {
        items.push_back(fmt::format("{}={}", field.name.text, dump(*field.pattern)));
      }
      return form("new", items);
    case PatternKind::Range:
      return form(pattern.inclusive ? "..=" : "..", {dump_or_hole(pattern.begin), dump_or_hole(pattern.end)});
    case PatternKind::List:
      return form("list", items);
    case PatternKind::Rest:
      return ".." + pattern.name.text;
    case PatternKind::Variant:
      return form((pattern.type != nullptr ? pattern.type->name.text + "." : "") + pattern.name.text, items);
    case PatternKind::Or:
      return form("or", items);
  }
  TL_CHECK(false, "pattern of kind {}", int(pattern.kind));
}

}  // namespace tl::ast
