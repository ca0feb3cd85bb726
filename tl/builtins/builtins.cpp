#include "tl/builtins/builtins.h"

#include <algorithm>
#include <deque>
#include <new>
#include <stdexcept>
#include <unordered_map>

#include "tl/builtins/convert.h"
#include "tl/builtins/families.h"
#include "tl/builtins/generator.h"
#include "tl/builtins/index.h"
#include "tl/builtins/operators.h"
#include "tl/ops/elementwise/scalar_ops.h"
#include "tl/ops/find_op.h"
#include "tl/ops/ops.h"
#include "tl/tensor/op.h"

namespace tl::lang {
namespace {

struct Table {
  std::vector<Builtin> rows;
  std::unordered_map<std::string_view, const Builtin*> by_name;
  std::unordered_map<const OpDef*, Builtin> hidden_ops;  // natives made of ops call these
};

// Every random op takes a generator, whose next draw it is (the program's own without one), or the two
// numbers that decide a draw.
std::string_view signature_of(const OpDef& op) {
  if (!op.is_random) return op.signature;
  const size_t close = op.signature.rfind(") ->");
  TL_CHECK(close != std::string_view::npos, "{} has no result", op.name);
  static std::deque<std::string> kept;
  return kept.emplace_back(fmt::format("{}, seed: int = none, position: int = none, generator: any = none{}",
                                       op.signature.substr(0, close), op.signature.substr(close)));
}

Builtin row_of_op(const OpDef& op) {
  return {.name = op.name, .signature = signature_of(op), .doc = op.doc, .example = op.example, .op = &op};
}

void parse_row(Builtin& row) {
  auto parsed = parse_signature(row.signature);
  TL_CHECK(parsed.ok(), "{}: {}", row.name, parsed.error().message);
  row.parsed = std::move(parsed).value();
}

Table make_table() {
  Table table;
  for (const NativeRows& natives : all_native_rows()) {
    const std::span<const Builtin> rows = natives.rows();
    table.rows.insert(table.rows.end(), rows.begin(), rows.end());
  }
  const size_t natives = table.rows.size();
  const auto is_native = [&](std::string_view name) {
    return std::any_of(table.rows.begin(), table.rows.begin() + static_cast<std::ptrdiff_t>(natives),
                       [&](const Builtin& b) { return b.name == name; });
  };
  for (const OpDef* op : all_ops()) {
    if (op->is_internal) {  // some serve indexing; the others only the executor records
      parse_row(table.hidden_ops[op] = row_of_op(*op));
      continue;
    }
    if (!is_native(op->name)) {
      table.rows.push_back(row_of_op(*op));
    } else {
      parse_row(table.hidden_ops[op] = row_of_op(*op));
    }
    for (Builtin& row : std::span(table.rows).first(natives)) {
      if (row.name == op->name && row.is_other_form != nullptr) row.op = op;
    }
  }
  std::sort(table.rows.begin(), table.rows.end(),
            [](const Builtin& a, const Builtin& b) { return a.name < b.name; });
  for (Builtin& row : table.rows) parse_row(row);
  for (const Builtin& row : table.rows) {
    TL_CHECK(table.by_name.emplace(row.name, &row).second, "builtin {} is there twice", row.name);
  }
  return table;
}

const Table& table() {
  static const Table* const table = new Table(make_table());
  return *table;
}

Error argument_error(const Builtin& builtin, size_t index, Error error) {
  const auto& params = builtin.parsed.params;
  const std::string_view name = params[std::min(index, params.size() - 1)].name;
  error.message = fmt::format("{}: argument '{}' {}", builtin.name, name, error.message);
  return error;
}

const Parameter& parameter_at(const Signature& signature, size_t index) {
  return signature.params[std::min(index, signature.params.size() - 1)];
}

// The element type that plain numbers among the operands take: that of the first tensor; truth values only
// where there is nothing else, since they are conditions mostly.
std::optional<DType> peer_dtype(std::span<const Value> args) {
  for (const bool takes_bool : {false, true}) {
    for (const Value& arg : args) {
      const auto* t = arg.get_if<TensorValue>();
      if (t == nullptr || t->tensor.rank() == 0 || t->is_literal) continue;
      if (takes_bool || t->tensor.dtype() != DType::Bool) return t->tensor.dtype();
    }
  }
  for (const Value& arg : args) {
    if (const Tensor* t = tensor_of(arg)) return t->dtype();
  }
  return {};
}

// Parameters that count or point stay ints whatever the other operands are.
bool is_place(std::string_view name) {
  static constexpr std::string_view kPlaces[] = {"positions", "position", "ids",   "index", "indices",
                                                 "tokens",    "lengths",  "start", "count"};
  return std::find(std::begin(kPlaces), std::end(kPlaces), name) != std::end(kPlaces);
}

// A default that this thread may count references of: the table's own are shared by all.
Value own_default(const Parameter& p) {
  if (const auto* text = p.default_value.get_if<String>()) return make_string(text->text);
  TL_DCHECK(!p.default_value.is_object(), "a default that is an object");
  return p.default_value;
}

// As a float. The largest int64 is what a kernel makes of the float above it.
bool is_exact(i64 value) {
  const f64 near = static_cast<f64>(value);
  return value == INT64_MAX || (near < 0x1p63 && static_cast<i64>(near) == value);
}

Result<void> add_attribute(CallContext& ctx, const Value& value, ParamKind kind, Attrs& attrs) {
  switch (kind) {
    case ParamKind::Int: {
      TL_TRY(const i64 i, to_int(ctx, value));
      attrs.with_int(i);
      break;
    }
    case ParamKind::Float: {
      if (value.is_int() && !is_exact(value.as_int()))
        return fail(Code::BadProgram, "is {}, which no float is exactly", value.as_int());
      TL_TRY(const f64 f, to_float(ctx, value));
      attrs.with_float(f);
      break;
    }
    case ParamKind::Bool: {
      TL_TRY(const bool b, to_bool(ctx, value));
      attrs.with_bool(b);
      break;
    }
    case ParamKind::DType: {
      TL_TRY(const DType d, to_dtype(value));
      attrs.with_dtype(d);
      break;
    }
    case ParamKind::Ints: {
      TL_TRY(std::vector<i64> ints, to_ints(ctx, value));
      attrs.with_ints(std::move(ints));
      break;
    }
    case ParamKind::String: {
      TL_TRY(const std::string_view text, to_text(value));
      attrs.with_text(std::string(text));
      break;
    }
    default:
      TL_CHECK(false, "an op with a parameter of kind {}", name_of(kind));
  }
  return {};
}

// Whose next draw a random op makes. Its row's last parameters are a seed, a position and a generator.
Result<Recorder::Generator*> generator_of(CallContext& ctx, std::span<const Value> args) {
  const Value& given = args.back();
  if (given.is_empty()) return &ctx.executor().recorder().generator();
  auto* const g = given.get_if<Generator>();
  if (g == nullptr) return fail(Code::BadProgram, "is {}, want a Generator", type_name(given));
  if (!args[args.size() - 2].is_empty() || !args[args.size() - 3].is_empty())
    return fail(Code::BadProgram, "is given together with a seed or position, want one or the other");
  return &g->in(ctx.executor());
}

bool compares(const OpDef& op) {
  return op.fused_code >= 0 && info(static_cast<ScalarCode>(op.fused_code)).rule == ScalarRule::Compare;
}

// A view that would cut through a quantised tensor's blocks is one of what they hold.
Result<void> open_blocks(CallContext& ctx, const OpDef& op, Tensor& x, const Attrs& attrs) {
  if (op.kind != OpKind::View || !is_quantised(x.dtype()) || infer_types(op, {&x.type(), 1}, attrs).ok())
    return {};
  TL_TRY(x, ctx.executor().apply(op_dequantize, {&x, 1}, {}, ctx.span));
  return {};
}

Result<Value> call_op_row(const Builtin& row, CallContext& ctx, std::span<Value> args) {
  if (args.size() == 1 && args[0].is_number()) {
    if (const ScalarFn f = scalar_function(row.name)) return Value(f(args[0].number()));
  }
  const std::optional<DType> peer = peer_dtype(args);
  InlineVector<Tensor, kMaxInputs> inputs;
  Attrs attrs;
  Recorder::Generator* generator = nullptr;
  if (row.op->is_random) {
    auto found = generator_of(ctx, args);
    if (!found.ok()) return argument_error(row, args.size() - 1, std::move(found).error());
    generator = *found;
    args = args.first(args.size() - 1);
  }
  for (size_t i = 0; i < args.size(); ++i) {
    const Parameter& p = parameter_at(row.parsed, i);
    const Value& value = args[i].is_empty() ? p.default_value : args[i];
    if (p.kind != ParamKind::Tensor) {
      if (generator != nullptr && value.is_empty()) {
        attrs.with_int(static_cast<i64>(p.name == "seed" ? generator->seed : generator->draw()));
        continue;
      }
      if (auto done = add_attribute(ctx, value, p.kind, attrs); !done.ok())
        return argument_error(row, i, std::move(done).error());
      continue;
    }
    if (value.is_empty()) continue;
    if (inputs.size() == kMaxInputs)
      return fail(Code::BadProgram, "{} takes at most {} tensors", row.name, kMaxInputs);
    std::optional<DType> wanted = is_place(p.name) ? std::nullopt : peer;
    if (compares(*row.op)) {  // by value, where the other type does not have it
      TL_TRY(const std::optional<i64> outside, misfit(ctx, value, wanted));
      if (outside) wanted = std::nullopt;
    }
    auto tensor = to_tensor(ctx, value, wanted);
    if (!tensor.ok()) return argument_error(row, i, std::move(tensor).error());
    inputs.push_back(std::move(tensor).value());
  }
  if (row.op->infer_outputs != nullptr) {
    TL_TRY(const std::vector<Tensor> results,
           ctx.executor().apply_all(*row.op, inputs, std::move(attrs), ctx.span));
    std::vector<Value> items;
    for (const Tensor& t : results) items.push_back(make_tensor(t));
    return make_tuple(std::move(items));
  }
  if (inputs.size() == 1) TL_TRY_DO(open_blocks(ctx, *row.op, inputs[0], attrs));
  TL_TRY(Tensor result, ctx.executor().apply(*row.op, inputs, std::move(attrs), ctx.span));
  return make_tensor(std::move(result));
}

}  // namespace

std::span<const Builtin> all_builtins() {
  return table().rows;
}

const Builtin* find_builtin(std::string_view name) {
  const auto it = table().by_name.find(name);
  return it == table().by_name.end() ? nullptr : it->second;
}

const Builtin* op_row(std::string_view name) {
  const OpDef* op = find_op(name);
  if (op == nullptr) return nullptr;
  const auto it = table().hidden_ops.find(op);
  const Builtin* row = it != table().hidden_ops.end() ? &it->second : find_builtin(name);
  TL_CHECK(row != nullptr, "op {} has a signature no native can use", name);
  return row;
}

// What natives keep on the host may be more than there is.
static Result<Value> call_native(const Builtin& builtin, CallContext& ctx, std::span<Value> args) {
  try {
    return builtin.native(ctx, args);
  } catch (const std::bad_alloc&) {
  } catch (const std::length_error&) {
  }
  return fail(Code::OutOfMemory, "{}: the system has not as much memory left", builtin.name);
}

Result<Value> call_builtin(const Builtin& builtin, CallContext& ctx, std::span<Value> args) {
  for (size_t i = 0; i < args.size() && !builtin.keeps_none; ++i) {
    if (!args[i].is_unit()) continue;
    const Parameter& p = parameter_at(builtin.parsed, i);
    if (p.is_optional && p.default_value.is_empty()) args[i].clear();
  }
  if (!calls_native(builtin, args)) return call_op_row(builtin, ctx, args);
  for (size_t i = 0; i < args.size(); ++i) {
    const Parameter& p = parameter_at(builtin.parsed, i);
    if (args[i].is_empty()) {
      args[i] = own_default(p);
    } else if (p.kind != ParamKind::Any && builtin.op == nullptr) {  // other forms take other kinds
      auto converted = convert(ctx, args[i], p.kind);
      if (!converted.ok()) return argument_error(builtin, i, std::move(converted).error());
      args[i] = std::move(converted).value();
    }
  }
  auto result = call_native(builtin, ctx, args);
  if (result.ok()) return result;
  Error error = std::move(result).error();
  // What has a place is about that: a function that was called back, or words of the program itself.
  const bool is_named = error.message.starts_with(builtin.name) || error.where;
  if (is_named || error.code != Code::BadProgram) return error;
  return std::move(error).within(builtin.name);
}

static Result<Value> call_row(const Builtin& row, CallContext& ctx, std::span<const Value> args) {
  const std::vector<std::string_view> names(args.size());
  auto order = arrange_arguments(row.parsed, names);
  if (!order.ok()) return std::move(order).error().within(row.name);
  std::vector<Value> arranged;
  for (const int at : *order) arranged.push_back(at < 0 ? Value() : args[static_cast<size_t>(at)]);
  return call_builtin(row, ctx, arranged);
}

Result<Value> call_positional(const Builtin& builtin, CallContext& ctx, std::span<const Value> args) {
  return call_row(builtin, ctx, args);
}

Result<Value> call_op(CallContext& ctx, std::string_view name, std::initializer_list<Value> args) {
  const Builtin* row = op_row(name);
  if (row == nullptr) return fail(Code::Unsupported, "not implemented yet: the op '{}'", name);
  const std::span<const Value> values(args.begin(), args.size());
  return call_row(*row, ctx, values);
}

}  // namespace tl::lang
