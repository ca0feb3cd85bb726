#include "tl/ops/elementwise/fused.h"

#include <algorithm>
#include <cmath>

namespace tl {

// numbers[0] is the number of inputs; each step is one number of six bytes: code, compute, out, three
// arguments.
static i64 encode(const FusedStep& s) {
  const u64 bytes[] = {static_cast<u64>(s.code),
                       static_cast<u64>(s.compute),
                       static_cast<u64>(s.out),
                       s.args[0],
                       s.args[1],
                       s.args[2]};
  u64 number = 0;
  for (size_t i = 0; i < std::size(bytes); ++i) number |= bytes[i] << (8 * i);
  return static_cast<i64>(number);
}

static FusedStep decode(i64 number) {
  const auto byte = [&](int i) { return static_cast<u8>(static_cast<u64>(number) >> (8 * i)); };
  return {static_cast<ScalarCode>(byte(0)),
          static_cast<DType>(byte(1)),
          static_cast<DType>(byte(2)),
          {byte(3), byte(4), byte(5)}};
}

int FusedBuilder::add_input(DType dtype) {
  TL_CHECK(can_add_input(), "inputs come before steps, at most {}", kMaxInputs);
  dtypes_[static_cast<size_t>(program_.inputs)] = dtype;
  return program_.inputs++;
}

int FusedBuilder::add_op(ScalarCode code, std::span<const int> args, DType dtype) {
  const int value = program_.inputs + program_.steps.size();
  TL_CHECK(static_cast<int>(args.size()) == info(code).arity, "{} arguments of {}", args.size(),
           info(code).name);
  FusedStep step{.code = code};
  InlineVector<DType, 3> types;
  for (size_t i = 0; i < args.size(); ++i) {
    TL_CHECK(args[i] >= 0 && args[i] < value, "value {} of {}", args[i], value);
    step.args[i] = static_cast<u8>(args[i]);
    types.push_back(dtypes_[static_cast<size_t>(args[i])]);
  }
  step.compute = compute_dtype(code, types, dtype);
  step.out = result_dtype(code, types, dtype);
  TL_CHECK(step.out == dtype, "{} gives {}, not {}", info(code).name, name_of(step.out), name_of(dtype));
  dtypes_[static_cast<size_t>(value)] = dtype;
  program_.steps.push_back(step);
  return value;
}

Attrs FusedBuilder::finish() const {
  TL_CHECK(!program_.steps.empty(), "a chain without steps");
  std::vector<i64> numbers = {program_.inputs};
  for (const FusedStep& step : program_.steps) numbers.push_back(encode(step));
  return Attrs().with_ints(std::move(numbers));
}

static bool is_register_type(DType t) {
  return static_cast<int>(t) < dtype_count() && (is_float(t) || is_int(t) || t == DType::Bool);
}

std::optional<FusedProgram> decode_program(std::span<const i64> numbers) {
  if (numbers.size() < 2 || numbers.size() > 1 + kMaxFusedSteps) return std::nullopt;
  if (numbers[0] < 0 || numbers[0] > kMaxInputs) return std::nullopt;
  FusedProgram program;
  program.inputs = static_cast<int>(numbers[0]);
  for (const i64 number : numbers.subspan(1)) {
    const FusedStep step = decode(number);
    if (static_cast<int>(step.code) >= scalar_code_count() || !is_register_type(step.compute) ||
        !is_register_type(step.out)) {
      return std::nullopt;
    }
    for (int i = 0; i < info(step.code).arity; ++i) {
      if (step.args[static_cast<size_t>(i)] >= program.inputs + program.steps.size()) return std::nullopt;
    }
    program.steps.push_back(step);
  }
  return program;
}

int order_of(const FusedProgram& program, std::span<const Operand> others) {
  int follows = 0, order = 1;  // the value that follows input 0, and how
  double scale = 1;
  const auto factor_of = [&](int value) {
    if (value < 1 || value >= program.inputs) return 0.0;
    const Operand& x = others[static_cast<size_t>(value - 1)];
    return x.data == nullptr ? load_as_double(x.dtype, &x.constant, 0) : 0.0;
  };
  const auto reads = [&](const FusedStep& step) {
    const auto args = std::span(step.args).first(static_cast<size_t>(info(step.code).arity));
    return std::count(args.begin(), args.end(), follows);
  };
  for (int i = 0; i < program.steps.size(); ++i) {
    const FusedStep& step = program.steps[i];
    if (reads(step) == 0) continue;
    if (reads(step) > 1 || step.compute != DType::F32 || step.out != DType::F32) return 0;
    for (int later = i + 1; later < program.steps.size(); ++later) {
      if (reads(program.steps[later]) > 0) return 0;
    }
    const bool is_first = step.args[0] == follows;
    switch (step.code) {
      case ScalarCode::add:
      case ScalarCode::minimum:
      case ScalarCode::maximum:
        break;
      case ScalarCode::neg:
        order = -order;
        break;
      case ScalarCode::sub:
        order = is_first ? order : -order;
        break;
      case ScalarCode::mul:
      case ScalarCode::div: {
        double factor = factor_of(step.args[is_first ? 1 : 0]);
        if (step.code == ScalarCode::div) factor = is_first ? 1 / factor : 0;
        scale *= std::max(std::abs(factor), 1.0);
        if (factor == 0 || !(scale <= 0x1p40)) return 0;  // nothing becomes infinite
        order = factor > 0 ? order : -order;
        break;
      }
      case ScalarCode::where:
        if (is_first) return 0;
        break;
      default:
        return 0;
    }
    follows = program.inputs + i;
  }
  return follows == program.inputs + program.steps.size() - 1 ? order : 0;
}

void add_step_names(std::span<const i64> numbers, std::vector<std::string_view>& names) {
  const std::optional<FusedProgram> program = decode_program(numbers);
  if (!program) return;
  for (const FusedStep& step : program->steps) names.push_back(info(step.code).name);
}

}  // namespace tl
