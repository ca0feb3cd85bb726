// match and try: what patterns bind, which cases are missing.
#include <functional>

#include "tl/sema/checker.h"

namespace tl::sema {

void Checker::bind_pattern(const ast::Pattern& p) {
  const bool names_variant =
      p.kind == ast::PatternKind::Binding && find_symbol(p.name.text).variant != nullptr;
  if ((p.kind == ast::PatternKind::Binding && !names_variant) ||
      (p.kind == ast::PatternKind::Rest && p.name && p.name.text != "_"))
    scopes_.declare(p.name.text, {}, function_);
  for (const auto& item : p.items) bind_pattern(*item);
  for (const auto& item : p.fields) {
    if (item.pattern != nullptr) bind_pattern(*item.pattern);
  }
}

Type Checker::match(const ast::Match& e) {
  const Type subject = expression(*e.subject);
  check_cases(e, subject);
  std::vector<Scopes::Changes> ways = {{}};
  std::optional<Type> value;
  for (const ast::MatchArm& arm : e.arms) {
    const size_t mark = scopes_.trail();
    scopes_.open();
    if (arm.pattern != nullptr) bind_pattern(*arm.pattern);
    if (arm.guard != nullptr) condition(*arm.guard);
    const Type here = expression(*arm.value);
    scopes_.close();
    ways.push_back(scopes_.roll_back(mark));
    value = value ? join(*value, here) : here;
  }
  scopes_.merge(ways);
  return value.value_or(Type{});
}

// The handler may run after any part of the block, and nothing is known of what the block has changed.
Type Checker::try_value(const ast::Try& e) {
  std::vector<Scopes::Changes> ways;
  Type value;
  const size_t before = scopes_.trail();
  const End end = block(e.body, &value);
  ways.push_back(scopes_.roll_back(before));
  bool leaves = end == End::Leaves;
  if (e.handler) {
    const size_t mark = scopes_.trail();
    loosen(e.body.span);
    scopes_.open();
    if (e.error) scopes_.declare(e.error.text, {}, function_);
    Type handled;
    const End handler_end = block(*e.handler, &handled);
    scopes_.close();
    Scopes::Changes changes = scopes_.roll_back(mark);
    if (leaves) ways.clear();
    if (handler_end == End::Runs) ways.push_back(std::move(changes));
    value = leaves ? handled : handler_end == End::Leaves ? value : join(value, handled);
    leaves = leaves && handler_end == End::Leaves;
  }
  scopes_.merge(ways);
  if (e.finally) {
    loosen(e.body.span);
    if (e.handler) loosen(e.handler->span);
    leaves = block(*e.finally) == End::Leaves || leaves;
  }
  branch_ends_ = leaves ? End::Leaves : End::Runs;
  return leaves ? Type{} : value;
}

// ---- Enums ------------------------------------------------------------------------------------------------

std::optional<Checker::Symbol> Checker::find_member(const ast::Expr& object, std::string_view name) const {
  const auto* holder = ast::get_if<ast::Name>(&object);
  if (holder == nullptr || scopes_.find(holder->text) != Scopes::kNowhere) return {};
  const Symbol symbol = find_symbol(holder->text);
  if (symbol.file != nullptr) {
    Symbol found;
    for (size_t i = 0; i < module_; ++i) {
      const auto it = symbols_[i].find(name);
      if (it == symbols_[i].end()) continue;
      if (found.is_known()) return Symbol{};
      found = it->second;
    }
    return found;
  }
  if (symbol.of_enum == nullptr || symbol.variant != nullptr) return {};
  for (const ast::EnumVariant& variant : symbol.of_enum->tree->variants) {
    if (variant.name.text == name) return Symbol{.of_enum = symbol.of_enum, .variant = &variant};
  }
  return Symbol{};
}

Type Checker::variant_value(const Symbol& symbol, const std::vector<ast::Arg>& args,
                            std::vector<Operand> given) {
  Bindings types;
  types.generics = &symbol.of_enum->tree->generics;
  const auto& fields = symbol.variant->fields;
  for (size_t i = 0; i < given.size(); ++i) {
    size_t at = i;
    for (size_t k = 0; args[i].name && k < fields.size(); ++k) {
      if (fields[k].name.text == args[i].name.text) at = k;
    }
    if (at >= fields.size()) break;  // the compiler reports it
    const std::string name = fields[at].name ? fields[at].name.text : std::to_string(at);
    expect(fields[at].type.get(), given[i], fmt::format("'{}' of {}", name, symbol.variant->name.text),
           &types);
  }
  Type out = make_type(Kind::Enum);
  out.of_enum = symbol.of_enum;
  return out;
}

// ---- Missing cases ----------------------------------------------------------------------------------------

namespace {

using Row = std::vector<const ast::Pattern*>;  // null: anything

// Looks for a value that no row takes, column by column, the way Maranget describes (2007).
class Cases {
 public:
  // The variant that a pattern names, or nothing.
  using FindVariant = std::function<const ast::EnumVariant*(const ast::Pattern&, const ast::Enum*&)>;
  using FindStruct = std::function<const ast::Struct*(const ast::Type&)>;
  Cases(FindVariant variant, FindStruct type) : variant_(std::move(variant)), struct_(std::move(type)) {}

  // One text per column; nothing where every value is taken (or nobody can tell in reasonable time).
  std::optional<std::vector<std::string>> missing(const std::vector<Row>& given, size_t columns) {
    if (++steps_ > 20000) return {};
    std::vector<Row> rows;
    for (const Row& row : given) expand(row, rows);
    if (columns == 0) return rows.empty() ? std::optional(std::vector<std::string>{}) : std::nullopt;
    const ast::Pattern* head = nullptr;
    for (const Row& row : rows) {
      if (row[0] != nullptr) head = row[0];
      if (head != nullptr) break;
    }
    if (head == nullptr) return with("_", rest(rows), columns - 1);
    const ast::Enum* of = nullptr;
    if (variant_(*head, of) != nullptr) return missing_variant(rows, columns, *of);
    switch (head->kind) {
      case ast::PatternKind::Literal:
        if (head->literal->kind == ast::ExprKind::Bool) return missing_bool(rows, columns);
        break;
      case ast::PatternKind::Tuple:
        return missing_tuple(rows, columns, head->items.size());
      case ast::PatternKind::List:
        return missing_list(rows, columns);
      case ast::PatternKind::Struct:
        if (const ast::Struct* type = struct_(*head->type)) return missing_struct(rows, columns, *type);
        break;
      default:
        break;
    }
    is_open_ = true;  // of numbers and strings there is always one more
    auto found = with("_", rest(rows), columns - 1);
    return found;
  }
  bool is_open() const { return is_open_; }
  // Whether the pattern takes whatever comes.
  bool is_anything(const ast::Pattern& p) const {
    const ast::Enum* of = nullptr;
    return p.kind == ast::PatternKind::Wildcard || p.kind == ast::PatternKind::Error ||
           p.kind == ast::PatternKind::Rest ||
           (p.kind == ast::PatternKind::Binding && variant_(p, of) == nullptr);
  }

 private:
  void expand(const Row& row, std::vector<Row>& out) const {
    if (row.empty() || row[0] == nullptr) return out.push_back(row);
    if (row[0]->kind == ast::PatternKind::Or) {
      for (const auto& item : row[0]->items) {
        Row one = row;
        one[0] = item.get();
        expand(one, out);
      }
      return;
    }
    out.push_back(row);
    if (is_anything(*row[0])) out.back()[0] = nullptr;
  }
  static std::vector<Row> rest(const std::vector<Row>& rows) {
    std::vector<Row> out;
    for (const Row& row : rows) {
      if (row[0] == nullptr) out.emplace_back(row.begin() + 1, row.end());
    }
    return out;
  }
  std::optional<std::vector<std::string>> with(std::string first, const std::vector<Row>& rows,
                                               size_t columns) {
    auto found = missing(rows, columns);
    if (found) found->insert(found->begin(), std::move(first));
    return found;
  }
  // The rows that may take a value with these parts: `parts_of` gives the patterns of its parts, or nothing.
  template <typename Parts, typename Text>
  std::optional<std::vector<std::string>> inside(const std::vector<Row>& rows, size_t columns, size_t parts,
                                                 Parts parts_of, Text text) {
    std::vector<Row> inner;
    for (const Row& row : rows) {
      std::optional<Row> here = row[0] == nullptr ? Row(parts, nullptr) : parts_of(*row[0]);
      if (!here) continue;
      here->insert(here->end(), row.begin() + 1, row.end());
      inner.push_back(std::move(*here));
    }
    auto found = missing(inner, parts + columns - 1);
    if (!found) return {};
    std::vector<std::string> out = {
        text(std::vector<std::string>(found->begin(), found->begin() + static_cast<std::ptrdiff_t>(parts)))};
    out.insert(out.end(), found->begin() + static_cast<std::ptrdiff_t>(parts), found->end());
    return out;
  }
  static std::string joined(const std::vector<std::string>& items) {
    std::string out;
    for (const std::string& item : items) out += (out.empty() ? "" : ", ") + item;
    return out;
  }
  static Row patterns(const std::vector<ast::PatternPtr>& items) {
    Row out;
    for (const auto& item : items) out.push_back(item.get());
    return out;
  }

  std::optional<std::vector<std::string>> missing_bool(const std::vector<Row>& rows, size_t columns) {
    for (const bool value : {true, false}) {
      auto found = inside(
          rows, columns, 0,
          [&](const ast::Pattern& p) -> std::optional<Row> {
            const auto* literal = ast::get_if<ast::Bool>(p.literal);
            return literal != nullptr && literal->value == value ? std::optional(Row{}) : std::nullopt;
          },
          [&](const auto&) { return std::string(value ? "true" : "false"); });
      if (found) return found;
    }
    return {};
  }
  std::optional<std::vector<std::string>> missing_variant(const std::vector<Row>& rows, size_t columns,
                                                          const ast::Enum& of) {
    for (const ast::EnumVariant& variant : of.variants) {
      const size_t parts = variant.fields.size();
      auto found = inside(
          rows, columns, parts,
          [&](const ast::Pattern& p) -> std::optional<Row> {
            const ast::Enum* its = nullptr;
            if (variant_(p, its) != &variant) return {};
            return p.items.size() == parts ? patterns(p.items) : Row(parts, nullptr);
          },
          [&](const std::vector<std::string>& items) {
            return variant.name.text + (items.empty() ? "" : "(" + joined(items) + ")");
          });
      if (found) return found;
    }
    return {};
  }
  std::optional<std::vector<std::string>> missing_tuple(const std::vector<Row>& rows, size_t columns,
                                                        size_t size) {
    return inside(
        rows, columns, size,
        [&](const ast::Pattern& p) -> std::optional<Row> {
          if (p.kind != ast::PatternKind::Tuple || p.items.size() != size) return {};
          return patterns(p.items);
        },
        [&](const std::vector<std::string>& items) {
          return "(" + joined(items) + (size == 1 ? ",)" : ")");
        });
  }
  std::optional<std::vector<std::string>> missing_struct(const std::vector<Row>& rows, size_t columns,
                                                         const ast::Struct& type) {
    return inside(
        rows, columns, type.fields.size(),
        [&](const ast::Pattern& p) -> std::optional<Row> {
          if (p.kind != ast::PatternKind::Struct || struct_(*p.type) != &type) return {};
          Row parts(type.fields.size(), nullptr);
          for (const ast::FieldPattern& field : p.fields) {
            for (size_t i = 0; i < parts.size(); ++i) {
              if (type.fields[i].name.text == field.name.text) parts[i] = field.pattern.get();
            }
          }
          return parts;
        },
        [&](const std::vector<std::string>& items) {
          std::string out;
          for (size_t i = 0; i < items.size(); ++i)
            out += (i > 0 ? ", " : "") + type.fields[i].name.text + ": " + items[i];
          return type.name.text + " { " + out + " }";
        });
  }
  // Lists by their length; one longer than all that are written stands for all longer ones.
  std::optional<std::vector<std::string>> missing_list(const std::vector<Row>& rows, size_t columns) {
    size_t longest = 0;
    for (const Row& row : rows) {
      if (row[0] != nullptr) longest = std::max(longest, row[0]->items.size());
    }
    for (size_t size = 0; size <= longest + 1; ++size) {
      auto found = inside(
          rows, columns, size,
          [&](const ast::Pattern& p) -> std::optional<Row> {
            if (p.kind != ast::PatternKind::List) return {};
            Row parts = patterns(p.items);
            for (size_t i = 0; i < parts.size(); ++i) {
              if (parts[i]->kind != ast::PatternKind::Rest) continue;
              if (size + 1 < parts.size()) return {};
              parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(i));
              parts.insert(parts.begin() + static_cast<std::ptrdiff_t>(i), size - parts.size(), nullptr);
              return parts;
            }
            return parts.size() == size ? std::optional(std::move(parts)) : std::nullopt;
          },
          [&](const std::vector<std::string>& items) {
            return "[" + joined(items) + (size > longest ? ", ..]" : "]");
          });
      if (found) return found;
    }
    return {};
  }

  FindVariant variant_;
  FindStruct struct_;
  int steps_ = 0;
  bool is_open_ = false;
};

}  // namespace

void Checker::check_cases(const ast::Match& e, const Type& subject) {
  const auto variant = [this](const ast::Pattern& p, const ast::Enum*& of) -> const ast::EnumVariant* {
    if (p.kind != ast::PatternKind::Variant && p.kind != ast::PatternKind::Binding) return nullptr;
    Symbol symbol;
    if (p.type != nullptr) {
      ast::Name holder;
      holder.text = p.type->name.text;
      symbol = find_member(holder, p.name.text).value_or(Symbol{});
    } else {
      symbol = find_symbol(p.name.text);
    }
    if (symbol.variant != nullptr) of = symbol.of_enum->tree;
    return symbol.variant;
  };
  const auto type = [this](const ast::Type& t) -> const ast::Struct* {
    const StructInfo* of = find_struct(t.name.text);
    return of != nullptr ? of->tree : nullptr;
  };
  Cases cases(variant, type);
  std::vector<Row> rows;
  const ast::MatchArm* takes_all = nullptr;
  for (const ast::MatchArm& arm : e.arms) {
    if (arm.pattern == nullptr || arm.pattern->kind == ast::PatternKind::Error) return;
    if (takes_all != nullptr) {
      diags_.report(DiagCode::Unreachable, arm.pattern->span)
          .also(takes_all->pattern->span, "this takes every value");
      return;
    }
    if (arm.guard != nullptr) continue;
    rows.push_back({arm.pattern.get()});
    if (cases.is_anything(*arm.pattern)) takes_all = &arm;
  }
  Cases all(variant, type);
  if (const auto found = all.missing(rows, 1)) {
    const ast::Enum* of = nullptr;
    const bool is_enum = subject.is(Kind::Enum) ||
                         (!rows.empty() && rows[0][0] != nullptr && variant(*rows[0][0], of) != nullptr);
    const bool is_certain = is_enum && !all.is_open();
    if (!is_certain && !lint_) return;
    diags_
        .report(is_certain ? DiagCode::MissingCase : DiagCode::OpenMatch,
                {e.span.file, e.span.begin, e.subject->span.end}, found->front())
        .note("add an arm: {} => …", found->front());
  }
}

}  // namespace tl::sema
