// Imports, functions, structs, impls and tensors.
#include "tl/syntax/parser_impl.h"

namespace tl {

ast::StmtPtr Parser::parse_import() {
  take();
  auto import = std::make_unique<ast::Import>();
  const Token& path = take();
  import->path = string_value(path);
  import->path_span = span(path);
  if (eat(Kind::As)) import->alias = expect_name("the file");
  return import;
}

// from "x.tl" import a, b as c
ast::StmtPtr Parser::parse_from() {
  take();
  auto import = std::make_unique<ast::Import>();
  const Token& path = take();
  import->path = string_value(path);
  import->path_span = span(path);
  take();  // import
  do {
    ast::Import::Selected one;
    one.name = expect_name("what to import");
    if (!panic_ && eat(Kind::As)) one.alias = expect_name("what to call it");
    import->selected.push_back(std::move(one));
  } while (!panic_ && eat(Kind::Comma));
  return import;
}

ast::StmtPtr Parser::parse_python_import() {
  take();
  take();
  auto import = std::make_unique<ast::PythonImport>();
  import->module = expect_name("a Python module");
  while (!panic_ && eat(Kind::Dot)) {
    const ast::Ident part = expect_name("a Python module");
    import->module.text += "." + part.text;
    import->module.span = join(import->module.span, part.span);
  }
  if (eat(Kind::As)) import->alias = expect_name("a Python module");
  return import;
}

std::vector<ast::Ident> Parser::parse_generics() {
  std::vector<ast::Ident> names;
  const size_t open = at_;
  if (eat(Kind::Less)) list(Kind::Greater, open, [&] { names.push_back(expect_name("a type parameter")); });
  return names;
}

std::unique_ptr<ast::Fn> Parser::parse_fn() {
  const size_t first = at_;
  if (at(Kind::Ident))
    take();  // another language's word for it, which was reported
  else
    expect(Kind::Fn);
  auto fn = std::make_unique<ast::Fn>();
  if (!panic_) fn->name = expect_name("a function");
  if (!panic_) fn->generics = parse_generics();
  if (!panic_) fn->params = parse_params();
  if (!panic_ && eat(Kind::Arrow)) fn->result = parse_type();
  if (!panic_) fn->body = parse_block();
  fn->span = since(first);
  return fn;
}

ast::Training Parser::parse_training() {
  if (eat_word("learnable")) return ast::Training::Learnable;
  if (eat_word("frozen")) return ast::Training::Frozen;
  return ast::Training::Unsaid;
}

ast::StmtPtr Parser::parse_struct() {
  take();
  auto node = std::make_unique<ast::Struct>();
  node->name = expect_name("a struct");
  node->generics = parse_generics();
  const size_t open = at_;
  if (panic_ || !expect(Kind::LeftBrace)) return node;
  while (!at(Kind::RightBrace) && !at(Kind::End)) {
    const size_t first = at_;
    ast::StructField field = parse_field(true);
    if (panic_) skip_to_statement(first);
    node->fields.push_back(std::move(field));
    if (!eat(Kind::Comma)) eat(Kind::Semicolon);
  }
  expect_close(Kind::RightBrace, open);
  return node;
}

// `name: type = default`; of a variant also the type alone.
ast::StructField Parser::parse_field(bool needs_name) {
  ast::StructField field;
  if (needs_name || at(Kind::Colon, 1)) {
    field.name = expect_name("a field");
    if (!panic_) expect(Kind::Colon);
  }
  if (!panic_) field.type = parse_type();
  if (!panic_ && needs_name) field.training = parse_training();
  if (!panic_ && needs_name && eat(Kind::Equal)) field.default_value = parse_expression();
  return field;
}

ast::StmtPtr Parser::parse_enum() {
  take();
  auto node = std::make_unique<ast::Enum>();
  node->name = expect_name("an enum");
  node->generics = parse_generics();
  const size_t open = at_;
  if (panic_ || !expect(Kind::LeftBrace)) return node;
  while (!at(Kind::RightBrace) && !at(Kind::End)) {
    const size_t first = at_;
    ast::EnumVariant variant;
    variant.name = expect_name("a variant");
    const size_t bracket = at_;
    if (!panic_ && eat(Kind::LeftParen))
      list(Kind::RightParen, bracket, [&] { variant.fields.push_back(parse_field(false)); });
    if (panic_) skip_to_statement(first);
    node->variants.push_back(std::move(variant));
    if (!eat(Kind::Comma)) eat(Kind::Semicolon);
  }
  expect_close(Kind::RightBrace, open);
  return node;
}

ast::StmtPtr Parser::parse_impl() {
  take();
  auto impl = std::make_unique<ast::Impl>();
  impl->generics = parse_generics();
  if (at(Kind::Ident) && at(Kind::For, 1)) {
    impl->trait = expect_name("a trait");
    take();
  }
  impl->type = parse_type();
  const size_t open = at_;
  if (panic_ || !expect(Kind::LeftBrace)) return impl;
  while (!at(Kind::RightBrace) && !at(Kind::End)) {
    const size_t first = at_;
    if (eat(Kind::Semicolon)) continue;
    std::unique_ptr<ast::Fn> method = parse_fn();
    if (panic_) {
      skip_to_statement(first);
      if (!method->name) continue;
    }
    impl->methods.push_back(std::move(method));
  }
  expect_close(Kind::RightBrace, open);
  return impl;
}

// tensor w: float16[2, 3] learnable = [...]
ast::StmtPtr Parser::parse_tensor() {
  take();
  auto tensor = std::make_unique<ast::TensorDecl>();
  tensor->name = expect_name("a tensor");
  if (eat(Kind::Colon)) tensor->type = parse_type();
  if (!panic_) tensor->training = parse_training();
  if (!panic_ && (eat(Kind::Equal) || eat(Kind::ColonEqual))) tensor->value = parse_expression();
  return tensor;
}

}  // namespace tl
