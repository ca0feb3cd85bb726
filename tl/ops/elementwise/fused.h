// Chains of element-wise ops run as one command: a small program over at most kMaxInputs tensors, executed
// tile by tile with every step's rounding kept, so that fused and unfused give the same bits. The planner
// builds it.
#pragma once

#include <array>
#include <optional>

#include "tl/ops/elementwise/scalar_ops.h"

namespace tl {

inline constexpr int kMaxFusedSteps = 32;

// Values are numbered: inputs first, then the result of each step.
struct FusedStep {
  ScalarCode code{};
  DType compute{}, out{};
  std::array<u8, 3> args{};
};

// A decoded program; the last step's result is the output.
struct FusedProgram {
  int inputs = 0;
  InlineVector<FusedStep, kMaxFusedSteps> steps;
};

class FusedBuilder {
 public:
  // Number of the next input; types in the order of the command's inputs.
  int add_input(DType dtype);
  // The step's value number. `args` are value numbers; `dtype` is the node's type.
  int add_op(ScalarCode code, std::span<const int> args, DType dtype);
  bool can_add_input() const { return program_.inputs < kMaxInputs && program_.steps.empty(); }
  bool can_add_op() const { return program_.steps.size() < kMaxFusedSteps; }
  // The attributes of op_fused.
  Attrs finish() const;

 private:
  FusedProgram program_;
  std::array<DType, kMaxInputs + kMaxFusedSteps> dtypes_{};
};

// Empty if the numbers are no program.
std::optional<FusedProgram> decode_program(std::span<const i64> numbers);
// Whether the result rises (1) or falls (-1) with input 0, in float32 and for whatever the others hold; 0:
// who knows. Then for inputs between -x and x, far from the ends of float32, it lies between the results for
// these, and is NaN only where both are. `others`: the other inputs; factors must be constants.
int order_of(const FusedProgram& program, std::span<const Operand> others);
// Adds the names of its steps' ops.
void add_step_names(std::span<const i64> numbers, std::vector<std::string_view>& names);

namespace ref {
void fused(KernelCall& call);
}
namespace cpu {
void fused(KernelCall& call);
// Runs a program over the call's inputs: what `fused` and every single element-wise op do.
void run_program(KernelCall& call, const FusedProgram& program);
}  // namespace cpu

}  // namespace tl
