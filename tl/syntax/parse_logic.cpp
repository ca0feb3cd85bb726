// Entities, relations, rules, queries, inference, embeddings and learning.
#include "tl/syntax/parser_impl.h"

namespace tl {

// {a, b, "New York"}
std::vector<ast::Ident> Parser::parse_members() {
  std::vector<ast::Ident> members;
  const size_t open = at_;
  if (expect(Kind::LeftBrace)) {
    list(Kind::RightBrace, open, [&] { members.push_back(name_or_string("a member")); });
  }
  return members;
}

ast::StmtPtr Parser::parse_entity() {
  take();
  auto entity = std::make_unique<ast::Entity>();
  entity->name = expect_name("an entity set");
  if (eat(Kind::Equal)) {
    entity->is_open = false;
    entity->members = parse_members();
  }
  return entity;
}

// relation Edge(x: Person, y) weight prob embed float16[64]
ast::StmtPtr Parser::parse_relation() {
  take();
  auto relation = std::make_unique<ast::Relation>();
  relation->name = expect_name("a relation");
  relation->columns = parse_params();
  while (!panic_) {
    if (at_word("weight") && name_follows(1)) {
      take();
      relation->weight = expect_name("what the relation's facts weigh");
    } else if (at_word("embed") && name_follows(1)) {
      take();
      relation->embed = parse_type();
    } else {
      break;
    }
  }
  return relation;
}

// '<-', or ':-' (a ':' and a '-' that touch, which slices and named arguments need apart).
bool Parser::rule_arrow_follows() const {
  return at(Kind::LeftArrow) || (at(Kind::Colon) && at(Kind::Minus, 1) && touches(1));
}

// rule Head(x) <- Body(x), rule 0.9: Head(x) <- Body(x)
ast::StmtPtr Parser::parse_rule_statement() {
  const size_t first = at_;
  take();
  ast::ExprPtr weight;
  if (at(Kind::Int) || at(Kind::Float)) {
    weight = parse_number();
    expect(Kind::Colon);
  }
  ast::ExprPtr head;
  {
    const With heads(at_statement_head_, true);
    head = parse_expression();
  }
  if (!panic_ && !rule_arrow_follows()) error(DiagCode::ExpectedToken, here(), "'<-'", found());
  return parse_rule(std::move(head), std::move(weight), first);
}

ast::StmtPtr Parser::parse_rule(ast::ExprPtr head, ast::ExprPtr weight, size_t first) {
  auto rule = std::make_unique<ast::Rule>();
  const auto* similar = ast::get_if<ast::Binary>(head);
  const bool fits = head->kind == ast::ExprKind::Call || head->kind == ast::ExprKind::Name ||
                    head->kind == ast::ExprKind::Index || head->kind == ast::ExprKind::Error ||
                    (similar != nullptr && similar->op == ast::BinaryOp::Similar);
  if (!fits) complain(DiagCode::BadRuleHead, head->span, quoted(head->span));
  rule->head = std::move(head);
  rule->weight = std::move(weight);
  if (panic_) {
    rule->body = make<ast::Formula>(first);
    return rule;
  }
  if (take().kind == Kind::Colon) take();
  rule->body = parse_formula();
  rule->span = since(first);
  return rule;
}

std::unique_ptr<ast::Formula> Parser::parse_formula() {
  const size_t first = at_;
  const With formulas(in_formula_, true);
  const With heads(at_statement_head_, false);
  ast::ExprPtr literal = parse_literal();
  return parse_formula_from(std::move(literal), first);
}

// The rest of a formula whose first literal was parsed.
std::unique_ptr<ast::Formula> Parser::parse_formula_from(ast::ExprPtr literal, size_t first) {
  std::vector<std::vector<ast::ExprPtr>> alternatives(1);
  alternatives.back().push_back(std::move(literal));
  while (!panic_ && (at(Kind::Comma) || at(Kind::Pipe))) {
    if (take().kind == Kind::Pipe) alternatives.emplace_back();
    alternatives.back().push_back(parse_literal());
  }
  auto formula = make<ast::Formula>(first);
  formula->alternatives = std::move(alternatives);
  return formula;
}

ast::ExprPtr Parser::parse_literal() {
  const size_t first = at_;
  return parse_literal_rest(parse_expression(), first);
}

// In a formula '=' asks for equality and may bind: n = count(y).
ast::ExprPtr Parser::parse_literal_rest(ast::ExprPtr lhs, size_t first) {
  if (panic_ || !at(Kind::Equal)) return lhs;
  const Span op_span = here();
  take();
  ast::ExprPtr rhs = parse_expression();
  mark(&SyntaxMarks::operators, op_span.begin);
  auto unify = make<ast::Binary>(first);
  unify->op = ast::BinaryOp::Unify;
  unify->op_span = op_span;
  unify->lhs = std::move(lhs);
  unify->rhs = std::move(rhs);
  return unify;
}

// At the '?' after a goal.
ast::ExprPtr Parser::parse_query(ast::ExprPtr goal, size_t first) {
  const bool fits = goal->kind == ast::ExprKind::Call || goal->kind == ast::ExprKind::Name ||
                    goal->kind == ast::ExprKind::Index;
  if (!fits) error(DiagCode::BadQuery, goal->span, quoted(goal->span));
  take();
  auto query = make<ast::Query>(first);
  query->goal = std::move(goal);
  parse_query_clauses(*query);
  query->span = since(first);
  return query;
}

// where X != bob, age > 3 order by age desc, X limit 5
void Parser::parse_query_clauses(ast::Query& query) {
  const With heads(at_statement_head_, false);
  const With joins(juxtapose_, Juxtapose::Never);
  const auto is_clause = [this] { return !at(Kind::Equal, 1) && !at(Kind::ColonEqual, 1); };
  if (at_word("where") && is_clause()) {
    take();
    query.where = parse_formula();
  }
  if (!panic_ && at_word("order") && at_word("by", 1)) {
    take();
    take();
    do {
      ast::OrderKey key;
      key.value = parse_expression();
      if (eat_word("desc")) {
        key.descending = true;
      } else {
        eat_word("asc");
      }
      query.order_by.push_back(std::move(key));
    } while (!panic_ && eat(Kind::Comma));
  }
  if (!panic_ && at_word("limit") && is_clause() && !at(Kind::LeftParen, 1)) {
    take();
    query.limit = parse_expression();
  }
}

// query Ancestor(ann, X): the '?' may be left out.
ast::StmtPtr Parser::parse_query_statement() {
  take();
  const size_t first = at_;
  auto statement = std::make_unique<ast::ExprStmt>();
  ast::ExprPtr goal = parse_postfix();
  if (panic_ || goal->kind == ast::ExprKind::Query) {
    statement->value = std::move(goal);
    return statement;
  }
  auto query = make<ast::Query>(first);
  query->goal = std::move(goal);
  parse_query_clauses(*query);
  query->span = since(first);
  statement->value = std::move(query);
  return statement;
}

ast::StmtPtr Parser::parse_embedding() {
  auto e = std::make_unique<ast::Embedding>();
  e->of_relations = text(take()) == "relation_embedding";
  e->name = expect_name("an embedding");
  const size_t open = at_;
  if (panic_ || !expect(Kind::LeftBrace)) return e;
  std::vector<std::string> seen;
  while (!at(Kind::RightBrace) && !at(Kind::End)) {
    const size_t first = at_;
    const std::string name(text(peek()));
    if (std::find(seen.begin(), seen.end(), name) != seen.end())
      complain(DiagCode::DuplicateSetting, here(), name);
    parse_embedding_setting(*e);
    if (seen.size() < 10) seen.push_back(name);
    if (panic_) skip_to_statement(first);
    if (!eat(Kind::Comma)) eat(Kind::Semicolon);
  }
  expect_close(Kind::RightBrace, open);
  return e;
}

void Parser::parse_embedding_setting(ast::Embedding& e) {
  const ast::Ident name = expect_name("a setting");
  if (panic_ || !(eat(Kind::Equal) || expect(Kind::Colon))) return;
  if (name.text == "entities" || name.text == "relations") {
    if (at(Kind::LeftBrace)) {
      e.source = ast::Embedding::Source::Listed;
      e.members = parse_members();
    } else if (eat_word("auto") || eat_word("all")) {
      e.source = ast::Embedding::Source::Auto;
    } else {
      e.source = ast::Embedding::Source::Type;
      e.entity = expect_name("an entity set");
    }
  } else if (name.text == "dimension" || name.text == "dim") {
    e.dimension = parse_expression();
  } else if (name.text == "init") {
    e.init = expect_name("a way to initialise");
  } else {
    error(DiagCode::UnknownSetting, name.span, name.text, "an embedding")
        .note("its settings are {}, dimension and init", e.of_relations ? "relations" : "entities");
  }
}

ast::StmtPtr Parser::parse_infer() {
  take();
  auto infer = std::make_unique<ast::Infer>();
  if (!at(Kind::LeftBrace)) {
    infer->goals.push_back(parse_infer_goal());
    return infer;
  }
  const size_t open = at_;
  take();
  const With brackets(bracket_depth_, 0);
  while (!at(Kind::RightBrace) && !at(Kind::End)) {
    const size_t first = at_;
    infer->goals.push_back(parse_infer_goal());
    if (panic_) skip_to_statement(first);
    if (!eat(Kind::Comma)) eat(Kind::Semicolon);
  }
  expect_close(Kind::RightBrace, open);
  return infer;
}

ast::InferGoal Parser::parse_infer_goal() {
  const size_t first = at_;
  ast::InferGoal goal;
  const ast::Ident method = expect_name("a way to infer");
  constexpr std::string_view kMethods[] = {"forward", "backward", "gradient", "symbolic"};
  const auto* found_method = std::find(std::begin(kMethods), std::end(kMethods), method.text);
  if (found_method != std::end(kMethods)) {
    goal.method = static_cast<ast::InferMethod>(found_method - std::begin(kMethods));
  } else if (!panic_) {
    complain(DiagCode::UnknownInferMethod, method.span, method.text);
  }
  if (!panic_ && name_follows(0)) {
    const size_t query_first = at_;
    ast::ExprPtr query = parse_postfix();
    if (!panic_ && query->kind != ast::ExprKind::Query) {
      auto wrapped = make<ast::Query>(query_first);
      wrapped->goal = std::move(query);
      query = std::move(wrapped);
    }
    goal.query = std::move(query);
  }
  goal.span = since(first);
  return goal;
}

ast::StmtPtr Parser::parse_explain() {
  take();
  auto explain = std::make_unique<ast::Explain>();
  explain->goal = parse_postfix();
  return explain;
}

// Settings are `name: value` anywhere between the statements, with or without commas.
ast::StmtPtr Parser::parse_learn() {
  take();
  auto learn = std::make_unique<ast::Learn>();
  const size_t open = at_;
  expect(Kind::LeftBrace);
  const Nest nest(*this);
  const With brackets(bracket_depth_, 0);
  while (!at(Kind::RightBrace) && !at(Kind::End)) {
    const size_t first = at_;
    if (eat(Kind::Semicolon) || (first > open + 1 && eat(Kind::Comma))) continue;
    if (at(Kind::Ident) && at(Kind::Colon, 1) && !(at(Kind::Minus, 2) && touches(2))) {
      ast::Setting setting;
      setting.name = expect_name("a setting");
      take();
      setting.value = parse_expression();
      if (const ast::Setting* other = learn->find(setting.name.text)) {
        complain(DiagCode::DuplicateSetting, setting.name.span, setting.name.text)
            .also(other->name.span, "first set here");
      }
      learn->settings.push_back(std::move(setting));
    } else {
      learn->body.statements.push_back(parse_statement());
    }
    if (panic_) skip_to_statement(first);
  }
  expect_close(Kind::RightBrace, open);
  learn->body.span = since(open);
  return learn;
}

}  // namespace tl
