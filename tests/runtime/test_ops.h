// Ops that only tests need: one with several outputs, one that writes over its input.
#pragma once

#include <cmath>

#include "tl/device/kernel.h"

namespace tl {

inline Result<OutputTypes> infer_divide(const InferContext& c) {
  OutputTypes types;
  types.push_back(c.input(0));
  types.push_back({DType::I32, c.shape(0)});
  return types;
}
inline void run_divide(KernelCall& call) {
  const float by = static_cast<float>(call.attrs->float_at(0));
  for (i64 i = call.begin; i < call.end; ++i) {
    const float x = call.in[0].ptr<float>()[i], quotient = std::floor(x / by);
    call.outs[0].mutable_ptr<float>()[i] = x - quotient * by;
    call.outs[1].mutable_ptr<int>()[i] = static_cast<int>(quotient);
  }
}
// (x: tensor, by: float) -> remainder: float32, quotient: int32
inline const OpDef op_divide_test{.name = "divide_test",
                                  .infer_outputs = infer_divide,
                                  .batch = Batching("is a test's"),
                                  .reference = {.run = run_divide},
                                  .cpu = {.run = run_divide}};

inline Result<TensorType> infer_as_first(const InferContext& c) {
  return c.input(0);
}
inline void run_put(KernelCall& call) {
  const float *const in = call.in[0].ptr<float>(), value = call.in[1].ptr<float>()[0];
  float* const out = call.out.mutable_ptr<float>();
  const i64 at = call.attrs->int_at(0);
  for (i64 i = call.begin; i < call.end; ++i) {
    if (i == at) {
      out[i] = in[i] + value;
    } else if (in != out) {
      out[i] = in[i];
    }
  }
}
// (x: tensor, value: tensor[1], at: int) -> x with value added to one element
inline const OpDef op_put_test{.name = "put_test",
                               .infer = infer_as_first,
                               .batch = Batching("is a test's"),
                               .reference = {.run = run_put},
                               .cpu = {.run = run_put},
                               .donates = true};

}  // namespace tl
