#include "tl/ops/batch/rules.h"
#include "tl/ops/linear/linear.h"
#include "tl/ops/ops.h"
#include "tl/tensor/quant.h"

namespace tl {

static Shape batch_of(const Shape& shape) {
  Shape batch = shape;
  for (int i = 0; i < 2 && !batch.empty(); ++i) batch.pop_back();
  return batch;
}

static Result<TensorType> infer_matmul(const InferContext& c) {
  const TensorType &a = c.input(0), &b = c.input(1);
  for (const TensorType* x : {&a, &b}) {
    if (x->dtype == DType::Bool || x->dtype == DType::Planes)
      return fail(Code::BadProgram, "found a matrix of {}, want numbers", name_of(x->dtype));
    if (x->rank() == 0) return fail(Code::BadProgram, "found a single number, want a vector or a matrix");
  }
  const i64 inner_a = a.shape.back(), inner_b = b.shape[b.rank() == 1 ? 0 : b.rank() - 2];
  if (!same_dim(inner_a, inner_b)) {
    return fail(Code::BadProgram, "inner dimensions differ: {} and {} ({} and {})", inner_a, inner_b,
                to_string(a.shape), to_string(b.shape));
  }
  std::optional<Shape> shape = broadcast(batch_of(a.shape), batch_of(b.shape));
  if (!shape) {
    return fail(Code::BadProgram, "batch dimensions do not broadcast: {} and {}", to_string(a.shape),
                to_string(b.shape));
  }
  if (shape->size() + 2 > kMaxRank) return fail(Code::BadProgram, "more than {} dimensions", kMaxRank);
  if (a.rank() > 1) shape->push_back(a.shape[a.rank() - 2]);
  if (b.rank() > 1) shape->push_back(b.shape.back());
  return TensorType{promote(a.dtype, b.dtype), *shape};
}

static Strides batch_strides(const Operand& x, const Shape& batch) {
  Strides strides = x.strides;
  for (int i = 0; i < 2 && !strides.empty(); ++i) strides.pop_back();
  return broadcast_strides(batch_of(x.dims), strides, batch);
}

MatmulShape matmul_shape(const KernelCall& call) {
  const Operand &a = call.in[0], &b = call.in[1];
  const int ra = a.rank(), rb = b.rank();
  MatmulShape s;
  s.k = a.dims.back();
  s.a_k = a.strides.back();
  s.m = ra > 1 ? a.dims[ra - 2] : 1;
  s.a_row = ra > 1 ? a.strides[ra - 2] : 0;
  s.n = rb > 1 ? b.dims.back() : 1;
  s.b_column = rb > 1 ? b.strides.back() : 0;
  s.b_k = b.strides[rb > 1 ? rb - 2 : 0];
  s.batch = *broadcast(batch_of(a.dims), batch_of(b.dims));
  s.batches = numel(s.batch);
  s.a_batch = batch_strides(a, s.batch);
  s.b_batch = batch_strides(b, s.batch);
  return s;
}

namespace ref {

// Element (i, j) of a matrix whose elements lie `offset` from the operand's first.
static double element(const Operand& x, i64 offset) {
  if (!is_quantised(x.dtype)) return load_as_double(x.dtype, x.address(), offset);
  const DTypeInfo& type = info(x.dtype);
  float block[256];
  dequantize_row(x.dtype, x.ptr<u8>() + offset / type.block_elements * type.block_bytes, block,
                 type.block_elements);
  return block[offset % type.block_elements];
}

void matmul(KernelCall& call) {
  const MatmulShape s = matmul_shape(call);
  const Operand &a = call.in[0], &b = call.in[1];
  for (i64 i = call.begin; i < call.end; ++i) {
    const i64 column = i % s.n, row = i / s.n % s.m, batch = i / s.n / s.m;
    const i64 a_at = strided_offset(batch, s.batch, s.a_batch) + row * s.a_row;
    const i64 b_at = strided_offset(batch, s.batch, s.b_batch) + column * s.b_column;
    double sum = 0;
    u64 whole = 0;  // wraps around like the integers of the result
    for (i64 k = 0; k < s.k; ++k) {
      if (is_int(call.out.dtype)) {
        whole += static_cast<u64>(load_as_int(a.dtype, a.address(), a_at + k * s.a_k)) *
                 static_cast<u64>(load_as_int(b.dtype, b.address(), b_at + k * s.b_k));
      } else {
        sum += element(a, a_at + k * s.a_k) * element(b, b_at + k * s.b_k);
      }
    }
    if (is_int(call.out.dtype)) {
      store_from_int(call.out.dtype, call.out.data, i, static_cast<i64>(whole));
    } else {
      store_from_double(call.out.dtype, call.out.data, i, sum);
    }
  }
}

}  // namespace ref

static Cost matmul_cost(const KernelCall& call) {
  return {2.0 * static_cast<double>(call.out.numel() * matmul_shape(call).k), traffic(call)};
}

const OpDef op_matmul = {
    .name = "matmul",
    .signature = "(a: tensor, b: tensor) -> tensor",
    .doc = "Matrix product; leading axes are batches and broadcast, a 1-D operand is a row or a column.",
    .example = "matmul([[1.0, 2.0], [3.0, 4.0]], [1.0, 1.0])  //~ [3.0000 7.0000] shape=[2] float32",
    .infer = infer_matmul,
    .batch = batch::matmul,
    .layout = Layout::Any,
    .reference = {.run = ref::matmul,
                  .unit_cost =
                      [](const KernelCall& call) { return 4.0 * static_cast<double>(call.in[0].cols()); }},
    .cpu = {.run = cpu::matmul, .units = cpu::matmul_units, .unit_cost = cpu::matmul_unit_cost},
    .quantised_inputs = 2,
    .cost = matmul_cost,
};

}  // namespace tl
