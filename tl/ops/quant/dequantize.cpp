// dequantize: GGUF blocks to float32, row by row. The planner puts it before ops that cannot read blocks.
#include "tl/ops/batch/rules.h"
#include "tl/ops/ops.h"
#include "tl/tensor/quant.h"

#include "tl/device/kernel.h"

namespace tl {
namespace {

Result<TensorType> infer(const InferContext& c) {
  if (!is_quantised(c.input(0).dtype)) {
    return fail(Code::BadProgram, "found {}, want a quantised tensor", to_string(c.input(0)));
  }
  return TensorType{DType::F32, c.shape(0)};
}

i64 units(const KernelCall& call) {
  return call.out.rows();
}
double unit_cost(const KernelCall& call) {
  return static_cast<double>(call.out.cols());
}

void run(KernelCall& call) {
  const Operand& x = call.in[0];
  const i64 cols = call.out.cols();
  for (i64 row = call.begin; row < call.end; ++row) {
    const i64 at = cols == 0 ? 0 : strided_offset(row * cols, x.dims, x.strides);  // rows lie anywhere, whole
    dequantize_row(x.dtype, x.ptr<u8>() + row_bytes(x.dtype, at), call.out.mutable_ptr<float>() + row * cols,
                   cols);
  }
}

constexpr Kernel kKernel = {.run = run, .units = units, .unit_cost = unit_cost};

}  // namespace

const OpDef op_dequantize = {
    .name = "dequantize",
    .signature = "(x: tensor) -> tensor",
    .doc = "Expands a quantised tensor to float32.",
    .example = "dequantize(model.token_embd.weight)",
    .infer = infer,
    .batch = batch::leading<0>,
    .layout = Layout::Rows,
    .reference = kKernel,
    .cpu = kKernel,
    .quantised_inputs = 1,
};

}  // namespace tl
