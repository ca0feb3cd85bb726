// The statements of logic and learning, and what belongs to them. Part of the tree (tl/syntax/ast.h), which
// includes it.
#pragma once

#include "tl/syntax/ast.h"

namespace tl::ast {

struct Entity : StmtOf<StmtKind::Entity> {  // entity Person = {ann, bob}
  Ident name;
  bool is_open = true;  // no member list was written
  std::vector<Ident> members;
};
struct Relation
    : StmtOf<StmtKind::Relation> {  // relation Edge(x: Person, y: Person) weight prob embed float16[64]
  Ident name;
  std::vector<Param> columns;
  Ident weight;   // empty, or prob, count, min, max, real ...
  TypePtr embed;  // may be null
};
struct Rule : StmtOf<StmtKind::Rule> {  // Aunt(x, z) <- Sister(x, y), Parent(y, z)
  ExprPtr head;    // a Call (arguments may be aggregates), a Name (no columns), an Index or a Similar
  ExprPtr weight;  // may be null: `rule 0.9: Head <- Body`
  std::unique_ptr<Formula> body;
};
// embedding E { entities: {a, b}  dimension: 64  init: xavier }
// relation_embedding R { relations: all  dimension: 64 }
struct Embedding : StmtOf<StmtKind::Embedding> {
  enum class Source : u8 { Listed, Auto, Type };  // {a, b}; `auto` or `all`; the name of an entity set
  Ident name;
  bool of_relations = false;
  Source source = Source::Auto;
  std::vector<Ident> members;  // Listed
  Ident entity;                // Type
  ExprPtr dimension;           // may be null after an error
  Ident init;                  // empty, or random, xavier, he, zeros, ones
};
enum class InferMethod : u8 { Forward, Backward, Gradient, Symbolic };
struct InferGoal {
  InferMethod method{};
  Span span;
  ExprPtr query;  // a Query; null: `infer forward` alone materialises everything
};
struct Infer : StmtOf<StmtKind::Infer> {
  std::vector<InferGoal> goals;
};
struct Setting {
  Ident name;  // objective, optimizer, epochs, scheduler, ...
  ExprPtr value;
};
// learn { ... objective: loss, optimizer: adam(lr: 1e-3), epochs: 10 }, or the loop form, whose body has a
// `for` and calls backward(loss).
struct Learn : StmtOf<StmtKind::Learn> {
  Block body;  // the statements between the settings
  std::vector<Setting> settings;

  const Setting* find(std::string_view name) const;
};
struct Explain : StmtOf<StmtKind::Explain> {
  ExprPtr goal;  // a Call, or a Query
};

}  // namespace tl::ast
