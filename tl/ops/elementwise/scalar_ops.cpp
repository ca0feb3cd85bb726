#include "tl/ops/elementwise/scalar_ops.h"

#include "tl/ops/batch/rules.h"
#include "tl/ops/elementwise/fused.h"

namespace tl {
namespace {

constexpr ScalarInfo kTable[] = {
#define TL_UNARY(name, rule, ...) {#name, 1, ScalarRule::rule},
#define TL_BINARY(name, rule, ...) {#name, 2, ScalarRule::rule},
#define TL_TERNARY(name, rule, ...) {#name, 3, ScalarRule::rule},
#include "tl/ops/elementwise/scalar_ops.def"
#undef TL_UNARY
#undef TL_BINARY
#undef TL_TERNARY
};

Result<TensorType> infer(const InferContext& c, ScalarCode code) {
  InlineVector<DType, 3> dtypes;
  TensorType out;
  for (int i = 0; i < c.count(); ++i) {
    const TensorType& x = c.input(i);
    if (info(x.dtype).kind == DTypeClass::Packed) {
      return fail(Code::BadProgram, "found {}, want a tensor of plain numbers", name_of(x.dtype));
    }
    dtypes.push_back(x.dtype);
    const std::optional<Shape> both = broadcast(out.shape, x.shape);
    if (!both)
      return fail(Code::BadProgram, "shapes do not fit: {} and {}", to_string(out.shape), to_string(x.shape));
    out.shape = *both;
  }
  const DType named = info(code).rule == ScalarRule::Cast ? c.attrs().dtype_at(0) : DType::F32;
  if (info(code).rule == ScalarRule::Cast && info(named).block_elements != 1) {
    return fail(Code::BadProgram, "cannot cast to {}, want a type of single elements", name_of(named));
  }
  out.dtype = result_dtype(code, dtypes, named);
  return out;
}

// Nanoseconds per element on one core, for how finely work is split; measured for float32 in cache.
constexpr double cost_of(ScalarCode code) {
  if (code == ScalarCode::pow || code == ScalarCode::mod || code == ScalarCode::rem) return 12;
  return kTable[static_cast<size_t>(code)].rule == ScalarRule::Float ? 0.6 : 0.15;
}

template <ScalarCode code>
constexpr OpDef make_op(std::string_view signature, std::string_view doc, std::string_view example) {
  return {
      .name = kTable[static_cast<size_t>(code)].name,
      .signature = signature,
      .doc = doc,
      .example = example,
      .infer = [](const InferContext& c) { return infer(c, code); },
      .batch = batch::elementwise,
      .kind = OpKind::Elementwise,
      .layout = Layout::Any,
      .reference = {.run = [](KernelCall& call) { ref::elementwise(call, code); }},
      .cpu = {.run = [](KernelCall& call) { cpu::elementwise(call, code); },
              .unit_cost = [](const KernelCall&) { return cost_of(code); }},
      .fused_code = static_cast<int>(code),
      .makes_infinity = code == ScalarCode::log ? always : nullptr,
  };
}

constexpr std::string_view signature_of(ScalarCode code, int arity) {
  if (code == ScalarCode::cast) return "(x: tensor, dtype: dtype) -> tensor";
  if (code == ScalarCode::where) return "(condition: tensor, a: tensor, b: tensor) -> tensor";
  if (code == ScalarCode::clamp) return "(x: tensor, low: tensor, high: tensor) -> tensor";
  return arity == 1 ? "(x: tensor) -> tensor" : "(a: tensor, b: tensor) -> tensor";
}

Result<TensorType> infer_fused(const InferContext& c) {
  const std::optional<FusedProgram> program = decode_program(c.attrs().ints());
  if (!program || program->inputs != c.count()) {
    return fail(Code::BadProgram, "no program for {} inputs", c.count());
  }
  TensorType out;
  for (int i = 0; i < c.count(); ++i) {
    const std::optional<Shape> both = broadcast(out.shape, c.shape(i));
    if (!both)
      return fail(Code::BadProgram, "shapes do not fit: {} and {}", to_string(out.shape),
                  to_string(c.shape(i)));
    out.shape = *both;
  }
  out.dtype = program->steps.back().out;
  return out;
}

double fused_cost(const KernelCall& call) {
  double total = 0;
  if (const auto program = decode_program(call.attrs->ints())) {
    for (const FusedStep& step : program->steps) total += cost_of(step.code);
  }
  return total;
}

Cost fused_total(const KernelCall& call) {
  const auto program = decode_program(call.attrs->ints());
  const double steps = program ? static_cast<double>(program->steps.size()) : 0;
  return {steps * static_cast<double>(call.out.numel()), traffic(call)};
}

// log(0) is -inf: how additive masks are written. What becomes NaN of it is told.
bool takes_logarithms(const KernelCall& call) {
  const auto program = decode_program(call.attrs->ints());
  return program && std::any_of(program->steps.begin(), program->steps.end(),
                                [](const FusedStep& step) { return step.code == ScalarCode::log; });
}

}  // namespace

#define TL_UNARY(name_, rule, vector, real, whole, doc, example) \
  const OpDef op_##name_ = make_op<ScalarCode::name_>(signature_of(ScalarCode::name_, 1), doc, example);
#define TL_BINARY(name_, rule, vector, real, whole, doc, example) \
  const OpDef op_##name_ = make_op<ScalarCode::name_>(signature_of(ScalarCode::name_, 2), doc, example);
#define TL_TERNARY(name_, rule, vector, real, whole, doc, example) \
  const OpDef op_##name_ = make_op<ScalarCode::name_>(signature_of(ScalarCode::name_, 3), doc, example);
#include "tl/ops/elementwise/scalar_ops.def"
#undef TL_UNARY
#undef TL_BINARY
#undef TL_TERNARY

const OpDef op_fused = {
    .name = "fused",
    .signature = "(program: ints, x: tensor...) -> tensor",
    .doc = "A chain of element-wise ops as one command.",
    .infer = infer_fused,
    .batch = batch::kPlanned,
    .layout = Layout::Any,
    .reference = {.run = ref::fused},
    .cpu = {.run = cpu::fused, .unit_cost = fused_cost},
    .cost = fused_total,
    .makes_infinity = takes_logarithms,
    .parts = [](const Attrs& attrs,
                std::vector<std::string_view>& names) { add_step_names(attrs.ints(), names); },
    .is_internal = true,
};

const ScalarInfo& info(ScalarCode code) {
  return kTable[static_cast<size_t>(code)];
}
int scalar_code_count() {
  return static_cast<int>(std::size(kTable));
}

DType compute_dtype(ScalarCode code, std::span<const DType> args, DType named) {
  const ScalarRule rule = info(code).rule;
  if (rule == ScalarRule::Cast) return named;
  if (rule == ScalarRule::Logical) return DType::Bool;
  DType t = element_type(args[rule == ScalarRule::Select ? 1 : 0]);
  for (size_t i = rule == ScalarRule::Select ? 2 : 1; i < args.size(); ++i) t = promote(t, args[i]);
  if (rule == ScalarRule::Float && !is_float(t)) return DType::F32;
  if (rule == ScalarRule::Number && t == DType::Bool) return DType::I64;
  return t;
}

DType result_dtype(ScalarCode code, std::span<const DType> args, DType named) {
  const ScalarRule rule = info(code).rule;
  if (rule == ScalarRule::Compare || rule == ScalarRule::Logical) return DType::Bool;
  return compute_dtype(code, args, named);
}

namespace scalar {

i64 wrap_to(DType dtype, i64 a) {
  switch (dtype) {
    case DType::I8:
      return static_cast<i8>(a);
    case DType::I16:
      return static_cast<i16>(a);
    case DType::I32:
      return static_cast<i32>(a);
    case DType::U8:
      return static_cast<u8>(a);
    case DType::Bool:
      return a != 0;
    default:
      return a;
  }
}

const char* why_bad(ScalarCode code) {
  return code == ScalarCode::pow ? "whole number to a negative power" : "division by zero";
}

}  // namespace scalar

BroadcastPlan::BroadcastPlan(const KernelCall& call) {
  const int count = static_cast<int>(call.in.size());
  std::array<Strides, kMaxInputs> wide;
  for (int i = 0; i < count; ++i) {
    const Operand& x = call.in[static_cast<size_t>(i)];
    wide[static_cast<size_t>(i)] = broadcast_strides(x.dims, x.strides, call.out.dims);
  }
  for (int axis = 0; axis < call.out.dims.size(); ++axis) {
    const i64 dim = call.out.dims[axis];
    if (dim == 1) continue;
    bool merges = !dims.empty();
    for (int i = 0; merges && i < count; ++i) {
      const auto n = static_cast<size_t>(i);
      merges = strides[n].back() == wide[n][axis] * dim;
    }
    if (merges) {
      dims.back() *= dim;
      for (int i = 0; i < count; ++i)
        strides[static_cast<size_t>(i)].back() = wide[static_cast<size_t>(i)][axis];
    } else {
      dims.push_back(dim);
      for (int i = 0; i < count; ++i)
        strides[static_cast<size_t>(i)].push_back(wide[static_cast<size_t>(i)][axis]);
    }
  }
  if (dims.empty()) {
    dims.push_back(1);
    for (int i = 0; i < count; ++i) strides[static_cast<size_t>(i)].push_back(0);
  }
}

}  // namespace tl
