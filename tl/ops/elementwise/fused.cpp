#include "tl/ops/elementwise/fused.h"

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

}  // namespace tl
