#include <cstring>

#include "tl/device/kernel.h"
#include "tl/ops/batch/rules.h"
#include "tl/ops/ops.h"
#include "tl/ops/whole.h"
#include "tl/tensor/quant.h"

namespace tl {

static Result<TensorType> infer_embedding(const InferContext& c) {
  const TensorType &table = c.input(0), &ids = c.input(1);
  if (table.dtype == DType::Planes || table.dtype == DType::Bool)
    return fail(Code::BadProgram, "found a table of {}, want numbers", name_of(table.dtype));
  if (table.rank() != 2)
    return fail(Code::BadProgram, "found a table {}, want [rows, width]", to_string(table.shape));
  if (!is_int(ids.dtype) && !is_float(ids.dtype))
    return fail(Code::BadProgram, "found ids of {}, want whole numbers", name_of(ids.dtype));
  if (ids.rank() == kMaxRank) return fail(Code::BadProgram, "more than {} dimensions", kMaxRank);
  Shape shape = ids.shape;
  shape.push_back(table.shape[1]);
  return TensorType{element_type(table.dtype), shape};
}

// Copies the rows that this part's ids ask for; a unit is one id. Nothing is computed, so it is the oracle
// too.
static void run_embedding(KernelCall& call) {
  const Operand &table = call.in[0], &ids = call.in[1];
  const i64 rows = table.dims[0], width = table.dims[1];
  for (i64 i = call.begin; i < call.end; ++i) {
    const i64 at_id = strided_offset(i, ids.dims, ids.strides);
    i64 id = 0;
    if (!load_whole(ids.dtype, ids.address(), at_id, id)) {
      return call.fail(
          fmt::format("id {} is no whole number", load_as_double(ids.dtype, ids.address(), at_id)));
    }
    if (id < 0 || id >= rows)
      return call.fail(fmt::format("id {} is outside of a table of {} rows", id, rows));
    const i64 at = id * table.strides[0];
    if (is_quantised(table.dtype)) {
      dequantize_row(table.dtype, table.ptr<u8>() + row_bytes(table.dtype, at),
                     call.out.mutable_ptr<float>() + i * width, width);
    } else {
      const i64 size = size_of(table.dtype);
      std::memcpy(call.out.data + i * width * size, table.ptr<std::byte>() + at * size,
                  static_cast<size_t>(width * size));
    }
  }
}

static i64 embedding_units(const KernelCall& call) {
  return call.in[1].numel();
}
static double embedding_unit_cost(const KernelCall& call) {
  return 30 + (is_quantised(call.in[0].dtype) ? 1.0 : 0.1) * static_cast<double>(call.in[0].dims[1]);
}

static constexpr Kernel kEmbedding = {
    .run = run_embedding, .units = embedding_units, .unit_cost = embedding_unit_cost};

// The rows that are looked up, not the table.
static Cost embedding_cost(const KernelCall& call) {
  const i64 rows = row_bytes(call.in[0].dtype, call.out.numel());
  return {0, rows + operand_bytes(call.in[1]) + operand_bytes(call.out)};
}

const OpDef op_embedding = {
    .name = "embedding",
    .signature = "(table: tensor, ids: tensor) -> tensor",
    .doc = "The rows of a table that the ids name; quantised rows come out as float32.",
    .example =
        "embedding([[1.0, 2.0], [3.0, 4.0]], [1, 0, 1])  //~ [[3.0000 4.0000] [1.0000 2.0000] [3.0000 "
        "4.0000]] "
        "shape=[3, 2] float32",
    .infer = infer_embedding,
    .batch = batch::leading<1>,
    .layout = Layout::Rows,
    .reference = kEmbedding,
    .cpu = kEmbedding,
    .quantised_inputs = 1,
    .cost = embedding_cost,
};

}  // namespace tl
