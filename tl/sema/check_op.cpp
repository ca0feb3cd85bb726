// Operators and ops: what the values' kinds allow, and what OpDef::infer says about shapes.
#include <algorithm>
#include <cmath>

#include "tl/ops/find_op.h"
#include "tl/ops/ops.h"
#include "tl/sema/checker.h"

namespace tl::sema {
namespace {

std::string_view op_name(ast::BinaryOp op) {
  switch (op) {
    case ast::BinaryOp::Add:
      return "add";
    case ast::BinaryOp::Sub:
      return "sub";
    case ast::BinaryOp::Mul:
    case ast::BinaryOp::ElementwiseMul:
      return "mul";
    case ast::BinaryOp::Div:
      return "div";
    case ast::BinaryOp::Mod:
      return "rem";
    case ast::BinaryOp::Pow:
      return "pow";
    case ast::BinaryOp::MatMul:
      return "matmul";
    case ast::BinaryOp::Equal:
      return "equal";
    case ast::BinaryOp::NotEqual:
      return "not_equal";
    case ast::BinaryOp::Less:
      return "less";
    case ast::BinaryOp::LessEqual:
      return "less_equal";
    case ast::BinaryOp::Greater:
      return "greater";
    case ast::BinaryOp::GreaterEqual:
      return "greater_equal";
    default:
      return "";
  }
}

bool is_comparison(ast::BinaryOp op) {
  return op >= ast::BinaryOp::Equal && op <= ast::BinaryOp::GreaterEqual;
}

std::optional<i64> fold(ast::BinaryOp op, std::optional<i64> a, std::optional<i64> b) {
  if (!a || !b) return {};
  i64 out = 0;
  switch (op) {
    case ast::BinaryOp::Add:
      return __builtin_add_overflow(*a, *b, &out) ? std::nullopt : std::optional(out);
    case ast::BinaryOp::Sub:
      return __builtin_sub_overflow(*a, *b, &out) ? std::nullopt : std::optional(out);
    case ast::BinaryOp::Mul:
      return __builtin_mul_overflow(*a, *b, &out) ? std::nullopt : std::optional(out);
    case ast::BinaryOp::Div:
      return *b > 0 ? std::optional(*a / *b) : std::nullopt;
    case ast::BinaryOp::Mod:
      return *b > 0 ? std::optional(*a % *b) : std::nullopt;
    default:
      return {};
  }
}

Type number_operator(ast::BinaryOp op, const Type& a, const Type& b) {
  if (is_comparison(op)) return make_type(Kind::Bool);
  if (a.is(Kind::Float) || b.is(Kind::Float)) return float_type();
  if (op == ast::BinaryOp::Pow) return b.whole && *b.whole >= 0 ? int_type() : Type{};
  return int_type(fold(op, a.whole, b.whole));
}

bool is_sequence(const Type& t) {
  return t.is(Kind::List) || t.is(Kind::Range);
}

}  // namespace

Type Checker::operator_type(ast::BinaryOp op, const Operand& a, const Operand& b, Span span) {
  const Type &x = a.type, &y = b.type;
  const auto unfit = [&] {
    diags_.report(DiagCode::BadOperands, span, ast::spelling(op), describe(x), describe(y))
        .also(a.span, "this is {}", describe(x))
        .also(b.span, "this is {}", describe(y));
    return Type{};
  };
  if (op == ast::BinaryOp::In || op == ast::BinaryOp::NotIn || op == ast::BinaryOp::Approx)
    return make_type(Kind::Bool);
  const std::string_view name = op_name(op);
  const bool is_equality = op == ast::BinaryOp::Equal || op == ast::BinaryOp::NotEqual;
  if (name.empty() || x.is_any() || y.is_any()) return {};
  if (x.is_number() && y.is_number() && op != ast::BinaryOp::MatMul) return number_operator(op, x, y);
  if (x.is(Kind::Tensor) || y.is(Kind::Tensor)) {
    if (!to_tensor(x) || !to_tensor(y)) return is_equality ? Type{} : unfit();
    if (is_comparison(op) && x.may_be_scalar() && y.may_be_scalar()) return {};
    const Operand operands[] = {a, b};
    return apply_op(*find_op(name), operands, {}, span);
  }
  if (x.is(Kind::String) && y.is(Kind::String)) {
    if (op == ast::BinaryOp::Add) return make_type(Kind::String);
    return is_comparison(op) ? make_type(Kind::Bool) : unfit();
  }
  if (op == ast::BinaryOp::Mul || op == ast::BinaryOp::ElementwiseMul) {
    if ((x.is(Kind::String) && y.is(Kind::Int)) || (y.is(Kind::String) && x.is(Kind::Int)))
      return make_type(Kind::String);
  }
  if (is_equality) return make_type(Kind::Bool);
  if (op == ast::BinaryOp::Add && is_sequence(x) && is_sequence(y)) {  // joins them
    if (!x.items_known || !y.items_known) return make_type(Kind::List);
    std::vector<Type> items = x.items;
    items.insert(items.end(), y.items.begin(), y.items.end());
    return list_type(std::move(items));
  }
  if ((is_sequence(x) || x.is_number()) && (is_sequence(y) || y.is_number()) &&
      (is_sequence(x) || is_sequence(y))) {
    // Lists of anything else are joined or refused; only those of numbers are looked at here.
    const auto left = to_tensor(x), right = to_tensor(y);
    if (!left || !right || !left->has_rank() || !right->has_rank()) return {};
    const Operand operands[] = {{*left, a.span}, {*right, b.span}};
    return apply_op(*find_op(name), operands, {}, span);
  }
  if (x.is(Kind::Bool) && y.is(Kind::Bool) && is_comparison(op)) return x;
  if (x.is(Kind::Tuple) && y.is(Kind::Tuple) && is_comparison(op)) return make_type(Kind::Bool);
  return unfit();
}

// ---- Ops --------------------------------------------------------------------------------------------------

static void label(Diagnostic& d, std::span<const Operand> inputs) {
  for (const Operand& in : inputs) d.also(in.span, "this is {}", shape_text(in.type));
}

void Checker::reject(std::string_view op, std::span<const Operand> inputs, const Error& error, Span span) {
  label(diags_.report(DiagCode::OpRejects, span, op, error.message), inputs);
}

void Checker::reject_op(const OpDef& op, std::span<const Operand> inputs, const Error& error, Span span) {
  const auto shape = [&](size_t i) -> const Shape& { return inputs[i].type.tensor.shape; };
  const bool is_product = &op == &op_matmul || &op == &op_linear;
  if (is_product && shape(0).size() > 0 && shape(1).size() > 0) {
    const int n = shape(1).size();
    const i64 left = shape(0).back();
    const i64 right = &op == &op_linear || n == 1 ? shape(1).back() : shape(1)[n - 2];
    if (!same_dim(left, right)) {
      return label(diags_.report(DiagCode::InnerDims, span, left, right), inputs);
    }
  }
  if (op.kind == OpKind::Elementwise && inputs.size() == 2 && !broadcast(shape(0), shape(1))) {
    return label(diags_.report(DiagCode::NoBroadcast, span, to_string(shape(0)), to_string(shape(1))),
                 inputs);
  }
  reject(op.name, inputs, error, span);
}

// The type of op(inputs). Element types that are not known are guessed: an op is refused only if no guess
// fits.
Type Checker::apply_op(const OpDef& op, std::span<const Operand> inputs, const Attrs& attrs, Span span) {
  static constexpr DType kGuesses[] = {DType::F32, DType::I64, DType::Q8_0};
  std::vector<Operand> made;
  std::vector<TensorType> types;
  std::vector<size_t> open;  // inputs of unknown element type
  for (const Operand& in : inputs) {
    const std::optional<Type> t = to_tensor(in.type);
    if (!t || !t->has_rank()) return {};
    if (!t->dtype_known) open.push_back(made.size());
    made.push_back({*t, in.span});
    types.push_back(t->tensor);
  }
  if (open.size() > 4) return {};
  size_t ways = 1;
  for (size_t i = 0; i < open.size(); ++i) ways *= std::size(kGuesses);
  std::optional<Type> out;
  std::optional<Error> first;
  for (size_t way = 0; way < ways; ++way) {
    size_t digits = way;
    for (const size_t i : open) {
      types[i].dtype = kGuesses[digits % std::size(kGuesses)];
      digits /= std::size(kGuesses);
    }
    Result<OutputTypes> all = infer_types(op, types, attrs);
    if (!all.ok()) {
      if (!first) first = std::move(all).error();
      continue;
    }
    const TensorType& result = all.value()[0];
    Type here = tensor_type(result.shape, result.dtype);
    here.tensor.rank_known = result.rank_known;
    out = out ? join(*out, here) : here;
  }
  if (!out) reject_op(op, made, *first, span);
  return out.value_or(Type{});
}

namespace {

// The attribute's ints, kUnknownDim's stand-in empty where one is not known.
std::optional<std::vector<std::optional<i64>>> ints_of(const Type& t) {
  if (t.is(Kind::Int)) return std::vector<std::optional<i64>>{t.whole};
  if ((!t.is(Kind::List) && !t.is(Kind::Tuple)) || !t.items_known) return {};
  std::vector<std::optional<i64>> out;
  for (const Type& item : t.items) out.push_back(item.is(Kind::Int) ? item.whole : std::nullopt);
  return out;
}

// Attributes that say nothing about shapes: any value in their range will do where theirs is not known.
bool is_free(const lang::Parameter& p) {
  static constexpr std::string_view kFree[] = {"window", "seed", "position", "top_k", "descending"};
  return p.kind == lang::ParamKind::Float ||
         std::find(std::begin(kFree), std::end(kFree), p.name) != std::end(kFree);
}

// Appends what is known of an argument; false where it is not enough.
bool add_attribute(const lang::Parameter& p, const Type* given, Attrs& attrs) {
  const lang::Value& otherwise = p.default_value;
  const bool is_default = given == nullptr;
  switch (p.kind) {
    case lang::ParamKind::Int:
      if (is_default) {
        attrs.with_int(otherwise.is_int() ? otherwise.as_int() : 0);
      } else if (given->whole) {
        attrs.with_int(*given->whole);
      } else {
        attrs.with_int(0);
        return is_free(p);
      }
      return true;
    case lang::ParamKind::Float:
      if (is_default) {
        attrs.with_float(otherwise.is_number() ? otherwise.number() : 0);
      } else if (given->real || given->whole) {
        attrs.with_float(given->real ? *given->real : static_cast<f64>(*given->whole));
      } else {
        attrs.with_float(0.5);
      }
      return true;
    case lang::ParamKind::Bool: {
      const bool known = is_default && otherwise.is_bool();
      attrs.with_bool(known && otherwise.as_bool());
      return known || is_free(p);
    }
    case lang::ParamKind::DType: {
      const bool known = is_default ? otherwise.is_dtype() : given->is(Kind::DType) && given->dtype_known;
      attrs.with_dtype(!known ? DType::F32 : is_default ? otherwise.as_dtype() : given->tensor.dtype);
      return known;
    }
    case lang::ParamKind::Ints: {
      std::vector<i64> ints;
      if (is_default) {
        if (const auto* list = otherwise.get_if<lang::List>()) {
          for (const lang::Value& v : list->items) ints.push_back(v.is_int() ? v.as_int() : 0);
        }
        attrs.with_ints(std::move(ints));
        return true;
      }
      const auto known = ints_of(*given);
      bool all = known.has_value();
      for (size_t i = 0; all && i < known->size(); ++i) {
        all = (*known)[i].has_value();
        if (all) ints.push_back(*(*known)[i]);
      }
      attrs.with_ints(std::move(ints));
      return all;
    }
    case lang::ParamKind::String:
      if (!is_default) {
        attrs.with_text(given->text != nullptr ? given->text->plain_text() : "");
        return given->text != nullptr;
      }
      attrs.with_text(otherwise.is(lang::ObjectKind::String) ? otherwise.as<lang::String>().text : "");
      return true;
    default:
      return false;
  }
}

// zeros([n, 4], ...), reshape(x, [n, -1]): as many axes as the list has items, some of known size.
std::optional<Type> shape_from_list(const Type& shape) {
  const auto dims = ints_of(shape);
  if (!dims || dims->size() > static_cast<size_t>(kMaxRank)) return {};
  Type out = tensor_type({});
  for (const auto& d : *dims) out.tensor.shape.push_back(d && *d >= 0 ? *d : kUnknownDim);
  return out;
}

}  // namespace

// `args` has one entry per parameter; Any without a span where nothing is given.
Type Checker::call_op(const lang::Builtin& row, const std::vector<Operand>& args, Span span) {
  const OpDef& op = *row.op;
  std::vector<Operand> inputs;
  Attrs attrs;
  bool known = true, dtype_known = true;
  const Type* shape = nullptr;
  for (size_t i = 0; i < args.size(); ++i) {
    const lang::Parameter& p = row.parsed.params[std::min(i, row.parsed.params.size() - 1)];
    const bool given = static_cast<bool>(args[i].span);
    if (p.kind == lang::ParamKind::Tensor) {
      if (given) {
        inputs.push_back(args[i]);
      } else if (row.is_other_form != nullptr) {
        if (!p.default_value.is_int()) return {};
        inputs.push_back({int_type(p.default_value.as_int()), span});
      }
      continue;
    }
    if (given && args[i].type.is(Kind::Unit)) return {};
    if (p.kind == lang::ParamKind::Any) continue;  // a generator says nothing of shapes
    const bool here = add_attribute(p, given ? &args[i].type : nullptr, attrs);
    if (p.name == "shape" && given) shape = &args[i].type;
    if (p.kind == lang::ParamKind::DType) {
      dtype_known = dtype_known && here;
    } else if (p.kind == lang::ParamKind::Float && given && !args[i].type.real && !args[i].type.whole) {
      known = known && !inputs.empty();  // where there are no inputs, numbers make the shape
    } else {
      known = known && here;
    }
  }
  if (inputs.size() > static_cast<size_t>(kMaxInputs)) return {};
  if (op.infer == nullptr) return {};
  if (inputs.size() == 1 && inputs[0].type.is_number()) return {};  // a plain number, perhaps
  Type out;
  if (known) {
    out = apply_op(op, inputs, attrs, span);
  } else if (shape != nullptr) {
    out = shape_from_list(*shape).value_or(Type{});
  }
  if (out.is(Kind::Tensor) && !dtype_known) out.dtype_known = false;
  return out;
}

}  // namespace tl::sema
