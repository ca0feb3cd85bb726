// The oracle of element-wise ops: one element at a time, in double or int64.
#include "tl/ops/elementwise/fused.h"

namespace tl::ref {
namespace {

using scalar::kNoWhole;

double evaluate_real(ScalarCode code, double a, [[maybe_unused]] double b, [[maybe_unused]] double c) {
  switch (code) {
#define TL_ROW(name, rule, vector, real, ...) \
  case ScalarCode::name:                      \
    return real;
#define TL_UNARY TL_ROW
#define TL_BINARY TL_ROW
#define TL_TERNARY TL_ROW
#include "tl/ops/elementwise/scalar_ops.def"
#undef TL_ROW
  }
  return 0;
}

i64 evaluate_whole(ScalarCode code, i64 a, i64 b, i64 c, bool& bad) {
  switch (code) {
#define TL_ROW(name, rule, vector, real, whole, ...) \
  case ScalarCode::name:                             \
    return whole;
#include "tl/ops/elementwise/scalar_ops.def"
#undef TL_ROW
#undef TL_UNARY
#undef TL_BINARY
#undef TL_TERNARY
  }
  return 0;
}

}  // namespace

Number load_number(DType dtype, const void* data, i64 index) {
  if (is_float(dtype)) return {.real = load_as_double(dtype, data, index)};
  return {.whole = load_as_int(dtype, data, index)};
}

Number convert(Number x, DType from, DType to) {
  if (!is_float(to)) {
    if (to == DType::Bool) return {.whole = is_float(from) ? x.real != 0 : x.whole != 0};
    if (is_float(from)) return {.whole = scalar::saturate(to, scalar::to_whole(x.real))};
    return {.whole = scalar::wrap_to(to, x.whole)};
  }
  const double value = is_float(from) ? x.real : static_cast<double>(x.whole);
  u64 rounded = 0;
  store_from_double(to, &rounded, 0, value);
  return {.real = load_as_double(to, &rounded, 0)};
}

Number evaluate(ScalarCode code, DType compute, DType out, std::span<const Number> args, bool& bad) {
  const auto at = [&](size_t i) { return i < args.size() ? args[i] : Number{}; };
  const Number a = at(0), b = at(1), c = at(2);
  if (!is_float(compute))
    return convert({.whole = evaluate_whole(code, a.whole, b.whole, c.whole, bad)}, DType::I64, out);
  const double result = evaluate_real(code, a.real, b.real, c.real);
  return out == DType::Bool ? Number{.whole = result != 0} : convert({.real = result}, DType::F64, out);
}

// The type an argument is brought to before the step: conditions stay truth values.
static Number as_argument(const FusedStep& step, int position, Number x, DType from) {
  if (info(step.code).rule == ScalarRule::Select && position == 0) {
    const Number truth = convert(x, from, DType::Bool);
    return is_float(step.compute) ? Number{.real = static_cast<double>(truth.whole)} : truth;
  }
  // Arithmetic on halves is done on float32 registers.
  const bool is_half = step.compute == DType::F16 || step.compute == DType::BF16;
  return convert(x, from, is_half && info(step.code).rule != ScalarRule::Cast ? DType::F32 : step.compute);
}

static void run(KernelCall& call, const FusedProgram& program) {
  const BroadcastPlan plan(call);
  std::array<Number, kMaxInputs + kMaxFusedSteps> values;
  std::array<DType, kMaxInputs + kMaxFusedSteps> types{};
  for (i64 i = call.begin; i < call.end; ++i) {
    for (int k = 0; k < program.inputs; ++k) {
      const Operand& x = call.in[static_cast<size_t>(k)];
      types[static_cast<size_t>(k)] = x.dtype;
      values[static_cast<size_t>(k)] = load_number(
          x.dtype, x.address(), strided_offset(i, plan.dims, plan.strides[static_cast<size_t>(k)]));
    }
    auto next = static_cast<size_t>(program.inputs);
    for (const FusedStep& step : program.steps) {
      InlineVector<Number, 3> args;
      for (int k = 0; k < info(step.code).arity; ++k) {
        const size_t from = step.args[static_cast<size_t>(k)];
        args.push_back(as_argument(step, k, values[from], types[from]));
      }
      bool bad = false;
      values[next] = evaluate(step.code, step.compute, step.out, args, bad);
      if (bad) call.fail(scalar::why_bad(step.code));
      types[next++] = step.out;
    }
    const Number result = values[next - 1];
    if (is_float(call.out.dtype)) {
      store_from_double(call.out.dtype, call.out.data, i, result.real);
    } else {
      store_from_int(call.out.dtype, call.out.data, i, result.whole);
    }
  }
}

// A single op as a program of one step.
static FusedProgram single(const KernelCall& call, ScalarCode code) {
  FusedProgram program;
  program.inputs = static_cast<int>(call.in.size());
  InlineVector<DType, 3> types;
  for (const Operand& x : call.in) types.push_back(x.dtype);
  program.steps.push_back({code, compute_dtype(code, types, call.out.dtype), call.out.dtype, {0, 1, 2}});
  return program;
}

void elementwise(KernelCall& call, ScalarCode code) {
  run(call, single(call, code));
}

void fused(KernelCall& call) {
  const std::optional<FusedProgram> program = decode_program(call.attrs->ints());
  if (!program) return call.fail("no program");
  run(call, *program);
}

}  // namespace tl::ref
