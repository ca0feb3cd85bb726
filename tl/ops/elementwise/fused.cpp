#include "tl/ops/elementwise/fused.h"

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

bool keeps_order(const FusedProgram& program, std::span<const Operand> others) {
  int follows = 0;  // the value that follows input 0
  const auto is_factor = [&](int value) {
    if (value < 1 || value >= program.inputs) return false;
    const Operand& x = others[static_cast<size_t>(value - 1)];
    const double factor = x.data == nullptr ? load_as_double(x.dtype, &x.constant, 0) : 0;
    return factor != 0 && std::isfinite(factor);
  };
  for (int i = 0; i < program.steps.size(); ++i) {
    const FusedStep& step = program.steps[i];
    const int arity = info(step.code).arity;
    int place = -1, times = 0;
    for (int k = 0; k < arity; ++k) {
      if (step.args[static_cast<size_t>(k)] == follows) place = k, ++times;
    }
    if (times == 0) continue;
    if (times > 1 || step.compute != DType::F32 || step.out != DType::F32) return false;
    switch (step.code) {
      case ScalarCode::neg:
      case ScalarCode::add:
      case ScalarCode::sub:
      case ScalarCode::minimum:
      case ScalarCode::maximum:
        break;
      case ScalarCode::mul:
        if (!is_factor(step.args[static_cast<size_t>(1 - place)])) return false;
        break;
      case ScalarCode::div:
        if (place != 0 || !is_factor(step.args[1])) return false;
        break;
      case ScalarCode::where:
        if (place == 0) return false;
        break;
      default:
        return false;
    }
    const int value = program.inputs + i;
    for (int later = i + 1; later < program.steps.size(); ++later) {  // what it was is not read any more
      for (int k = 0; k < info(program.steps[later].code).arity; ++k) {
        if (program.steps[later].args[static_cast<size_t>(k)] == follows) return false;
      }
    }
    follows = value;
  }
  return follows == program.inputs + program.steps.size() - 1;
}

void add_step_names(std::span<const i64> numbers, std::vector<std::string_view>& names) {
  const std::optional<FusedProgram> program = decode_program(numbers);
  if (!program) return;
  for (const FusedStep& step : program->steps) names.push_back(info(step.code).name);
}

}  // namespace tl
