// Products with matrices: `linear` (weights as models store them, also quantised) and `matmul`.
#pragma once

#include "tl/device/kernel.h"
#include "tl/tensor/op.h"

namespace tl {

// Brings rows of activations into the form that the cpu kernel of `linear` wants for quantised weights
// (tl/backend/cpu/planes.h). Inserted by the planner, never called by a program.
extern const OpDef op_pack_planes;

// Numbers of x's rows (all axes but the last), each k long.
i64 row_count(const Operand& x);
// Offset in elements of row `row` of a tensor whose last axis has stride 1.
i64 row_offset(const Operand& x, i64 row);

// The operands of one matmul with 1-D operands made matrices and batch axes broadcast. Strides in elements.
struct MatmulShape {
  i64 m, n, k, batches;
  Dims batch;
  Strides a_batch, b_batch;
  i64 a_row, a_k, b_k, b_column;
};
MatmulShape matmul_shape(const KernelCall& call);

namespace ref {
void matmul(KernelCall& call);
}
namespace cpu {
void linear(KernelCall& call);
void pack_planes(KernelCall& call);
void matmul(KernelCall& call);
i64 linear_units(const KernelCall& call);
double linear_unit_cost(const KernelCall& call);
i64 matmul_units(const KernelCall& call);
double matmul_unit_cost(const KernelCall& call);
}  // namespace cpu

}  // namespace tl
