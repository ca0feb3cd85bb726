// Which names closures mention. Told by name alone, so now and then a variable gets a cell it does not need.
#include "tl/interp/compiler.h"

namespace tl::interp {
namespace {

using Names = std::set<std::string, std::less<>>;

class Collector {
 public:
  explicit Collector(Names& out, int inside = 0, Names* parameters = nullptr)
      : out_(out), inside_(inside), parameters_(parameters) {}

  void block(const ast::Block& b) {
    for (const auto& s : b.statements) statement(*s);
  }

  void statement(const ast::Stmt& s) {
    switch (s.kind) {
      case ast::StmtKind::Let:
        return expr(ast::as<ast::Let>(s).value);
      case ast::StmtKind::Assign:
        expr(ast::as<ast::Assign>(s).target);
        return expr(ast::as<ast::Assign>(s).value);
      case ast::StmtKind::ExprStmt:
        return expr(ast::as<ast::ExprStmt>(s).value);
      case ast::StmtKind::While:
        expr(ast::as<ast::While>(s).condition);
        return block(ast::as<ast::While>(s).body);
      case ast::StmtKind::For:
        expr(ast::as<ast::For>(s).iterable);
        return block(ast::as<ast::For>(s).body);
      case ast::StmtKind::Loop:
        return block(ast::as<ast::Loop>(s).body);
      case ast::StmtKind::Defer:
        return block(ast::as<ast::Defer>(s).body);
      case ast::StmtKind::Return:
        return expr(ast::as<ast::Return>(s).value);
      case ast::StmtKind::TensorDecl:
        return expr(ast::as<ast::TensorDecl>(s).value);
      case ast::StmtKind::Fn: {
        ++inside_;
        for (const ast::Param& p : ast::as<ast::Fn>(s).params) expr(p.default_value);
        block(ast::as<ast::Fn>(s).body);
        --inside_;
        return;
      }
      case ast::StmtKind::With:
        return block(ast::as<ast::With>(s).body);
      case ast::StmtKind::Learn:
        for (const ast::Setting& setting : ast::as<ast::Learn>(s).settings) expr(setting.value);
        return block(ast::as<ast::Learn>(s).body);
      default:
        return;
    }
  }

  void expr(const ast::ExprPtr& e) {
    if (e != nullptr) expr(*e);
  }
  void expr(const ast::Expr& e) {
    switch (e.kind) {
      case ast::ExprKind::Name:
        if (inside_ > 0) out_.insert(ast::as<ast::Name>(e).text);
        return;
      case ast::ExprKind::String:
        for (const auto& part : ast::as<ast::String>(e).parts) expr(part.value);
        return;
      case ast::ExprKind::List:
        return exprs(ast::as<ast::List>(e).items);
      case ast::ExprKind::RepeatList:
        return expr(ast::as<ast::RepeatList>(e).value), expr(ast::as<ast::RepeatList>(e).count);
      case ast::ExprKind::Tuple:
        return exprs(ast::as<ast::Tuple>(e).items);
      case ast::ExprKind::Range:
        return expr(ast::as<ast::Range>(e).begin), expr(ast::as<ast::Range>(e).end);
      case ast::ExprKind::Call:
        return expr(ast::as<ast::Call>(e).callee), args(ast::as<ast::Call>(e).args);
      case ast::ExprKind::MethodCall:
        return expr(ast::as<ast::MethodCall>(e).receiver), args(ast::as<ast::MethodCall>(e).args);
      case ast::ExprKind::Field:
        return expr(ast::as<ast::Field>(e).object);
      case ast::ExprKind::Index:
        return index(ast::as<ast::Index>(e));
      case ast::ExprKind::Unary:
        return expr(ast::as<ast::Unary>(e).operand);
      case ast::ExprKind::Binary:
        return expr(ast::as<ast::Binary>(e).lhs), expr(ast::as<ast::Binary>(e).rhs);
      case ast::ExprKind::Cast:
        return expr(ast::as<ast::Cast>(e).value);
      case ast::ExprKind::If:
        return if_expr(ast::as<ast::If>(e));
      case ast::ExprKind::Match:
        return match(ast::as<ast::Match>(e));
      case ast::ExprKind::Closure: {
        ++inside_;
        if (parameters_ != nullptr) add_parameters(ast::as<ast::Closure>(e));
        for (const ast::Param& p : ast::as<ast::Closure>(e).params) expr(p.default_value);
        expr(ast::as<ast::Closure>(e).body);
        --inside_;
        return;
      }
      case ast::ExprKind::StructLiteral:
        for (const auto& field : ast::as<ast::StructLiteral>(e).fields) expr(field.value);
        return;
      case ast::ExprKind::BlockExpr:
        return block(ast::as<ast::BlockExpr>(e).block);
      case ast::ExprKind::Try:
        block(ast::as<ast::Try>(e).body);
        if (ast::as<ast::Try>(e).handler) block(*ast::as<ast::Try>(e).handler);
        if (ast::as<ast::Try>(e).finally) block(*ast::as<ast::Try>(e).finally);
        return;
      default:
        return;
    }
  }

 private:
  void add_parameters(const ast::Closure& closure) {
    for (const ast::Param& p : closure.params) parameters_->insert(p.name.text);
  }
  void exprs(const std::vector<ast::ExprPtr>& items) {
    for (const auto& item : items) expr(item);
  }
  void args(const std::vector<ast::Arg>& items) {
    for (const auto& arg : items) expr(arg.value);
  }
  void index(const ast::Index& e) {
    expr(e.object);
    for (const ast::IndexItem& item : e.items)
      expr(item.value), expr(item.begin), expr(item.end), expr(item.step);
  }
  void if_expr(const ast::If& e) {
    for (const ast::IfBranch& branch : e.branches) expr(branch.condition), block(branch.body);
    if (e.otherwise) block(*e.otherwise);
  }
  void match(const ast::Match& e) {
    expr(e.subject);
    for (const ast::MatchArm& arm : e.arms) expr(arm.guard), expr(arm.value);
  }

  Names& out_;
  int inside_;
  Names* parameters_;
};

}  // namespace

void collect_captured(const ast::Block& body, Names& out) {
  Collector(out).block(body);
}
void collect_captured(const ast::Expr& value, Names& out) {
  Collector(out).expr(value);
}
void collect_captured_in(const ast::Stmt& s, Names& out) {
  if (s.kind != ast::StmtKind::Fn) Collector(out).statement(s);
}
void collect_declaration(const ast::Stmt& s, Names& out) {
  const auto inside = [&](const ast::Block& body) {
    // A closure around the block makes every name in it one that is mentioned inside.
    collect_captured_all(body, out);
  };
  const auto function = [&](const ast::Fn& fn) {
    for (const ast::Param& p : fn.params) {
      if (p.default_value != nullptr) collect_captured_all(*p.default_value, out);
    }
    inside(fn.body);
  };
  if (const auto* fn = ast::get_if<ast::Fn>(&s)) function(*fn);
  if (const auto* main = ast::get_if<ast::Main>(&s)) inside(main->body);
  if (const auto* test = ast::get_if<ast::Test>(&s)) inside(test->body);
  if (const auto* bench = ast::get_if<ast::Bench>(&s)) inside(bench->body);
  if (const auto* impl = ast::get_if<ast::Impl>(&s)) {
    for (const auto& method : impl->methods) function(*method);
  }
}

void collect_module_names(const ast::Module& module, Names& out) {
  for (const auto& s : module.statements) {
    collect_declaration(*s, out);
    Collector(out, 1).statement(*s);
  }
}

void collect_names(const ast::Expr& value, Names& out, Names& parameters) {
  Collector(out, 1, &parameters).expr(value);
}
void collect_captured_all(const ast::Block& body, Names& out) {
  Collector(out, 1).block(body);
}
void collect_captured_all(const ast::Expr& value, Names& out) {
  Collector(out, 1).expr(value);
}

}  // namespace tl::interp
