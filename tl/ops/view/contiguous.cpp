// contiguous and append: the two ways memory is copied as it is.
#include <algorithm>
#include <cstring>

#include "tl/device/kernel.h"
#include "tl/ops/batch/rules.h"
#include "tl/ops/ops.h"
#include "tl/ops/view/copy.h"

namespace tl {
namespace {

// --- contiguous: any view to row order. Units are rows of the last axis. ---

i64 block_bytes(DType dtype) {
  return info(dtype).block_bytes;
}

// Elements, or blocks where the type is quantised (whose last axis always has stride 1).
i64 row_items(const Operand& o) {
  return o.cols() / info(o.dtype).block_elements;
}

i64 row_units(const KernelCall& call) {
  return call.out.rows();
}
double row_cost(const KernelCall& call) {
  const bool dense = call.in[0].strides.empty() || call.in[0].strides.back() == 1;
  return 5 + static_cast<double>(row_items(call.out)) * (dense ? 0.2 : 1.0);
}

void run_contiguous(KernelCall& call) {
  const Operand& in = call.in[0];
  const i64 bytes = block_bytes(in.dtype), count = row_items(in), elements = info(in.dtype).block_elements;
  const i64 stride = in.strides.empty() ? 1 : in.strides.back();
  Dims outer = in.dims;
  Strides outer_strides = in.strides;
  if (!outer.empty()) {
    outer.pop_back();
    outer_strides.pop_back();
  }
  const std::byte* from = static_cast<const std::byte*>(in.address());
  for (i64 row = call.begin; row < call.end; ++row) {
    const i64 offset = strided_offset(row, outer, outer_strides) / elements * bytes;
    copy_run(from + offset, stride, call.out.data + row * count * bytes, count, bytes);
  }
}

Result<TensorType> infer_same(const InferContext& c) {
  return c.input(0);
}

constexpr Kernel kContiguous = {.run = run_contiguous, .units = row_units, .unit_cost = row_cost};

// --- append: rows at the end of axis 0. Units are rows along axis 0 that have to be written, of the first
// one perhaps only its end. ---

i64 bytes_of_row(const Operand& o) {
  return o.dims[0] == 0 ? 0 : o.numel() / o.dims[0] * size_of(o.dtype);
}

i64 append_units(const KernelCall& call) {
  const i64 rows = call.out.dims[0];
  return call.kept_bytes == 0 ? rows : rows - call.kept_bytes / bytes_of_row(call.out);
}
double append_cost(const KernelCall& call) {
  const i64 rows = call.out.dims[0];
  return rows == 0 ? 1 : 5 + 0.2 * static_cast<double>(call.out.numel() / rows);
}

// The first bytes are there already: the output lies in input 0's own memory, or in pages that it shares.
void run_append(KernelCall& call) {
  const Operand &old = call.in[0], &more = call.in[1];
  const i64 old_rows = old.dims[0];
  const i64 bytes = bytes_of_row(call.out), first = bytes == 0 ? 0 : call.kept_bytes / bytes;
  for (i64 unit = call.begin; unit < call.end; ++unit) {
    const i64 row = first + unit, begin = std::max<i64>(0, call.kept_bytes - row * bytes);
    const std::byte* from = row < old_rows
                                ? static_cast<const std::byte*>(old.address()) + row * bytes
                                : static_cast<const std::byte*>(more.address()) + (row - old_rows) * bytes;
    std::memcpy(call.out.data + row * bytes + begin, from + begin, static_cast<size_t>(bytes - begin));
  }
}

Result<TensorType> infer_append(const InferContext& c) {
  const TensorType &old = c.input(0), &more = c.input(1);
  if (is_quantised(old.dtype) || old.dtype != more.dtype) {
    return fail(Code::BadProgram, "cannot append {} to {}", to_string(more), to_string(old));
  }
  bool fits = old.rank() == more.rank() && old.rank() > 0;
  for (int i = 1; fits && i < old.rank(); ++i) fits = same_dim(old.shape[i], more.shape[i]);
  if (!fits)
    return fail(Code::BadProgram, "cannot append {} to {}: rows differ", to_string(more), to_string(old));
  TensorType out = old;
  const i64 a = old.shape[0], b = more.shape[0];
  out.shape[0] = a == kUnknownDim || b == kUnknownDim ? kUnknownDim : a + b;
  return out;
}

constexpr Kernel kAppend = {.run = run_append, .units = append_units, .unit_cost = append_cost};

}  // namespace

const OpDef op_contiguous = {
    .name = "contiguous",
    .signature = "(x: tensor) -> tensor",
    .doc = "A copy in row order.",
    .example = "contiguous(transpose([[1.0, 2.0]]))  //~ [[1.0000] [2.0000]] shape=[2, 1] float32",
    .infer = infer_same,
    .batch = batch::leading<0>,
    .layout = Layout::Any,
    .reference = kContiguous,
    .cpu = kContiguous,
    .quantised_inputs = 1,
    .is_internal = true,
};

// In place only the new rows move.
static Cost rows_moved(const KernelCall& call) {
  return {0, call.kept_bytes > 0 ? 2 * operand_bytes(call.in[1]) : traffic(call)};
}

const OpDef op_append_rows = {
    .name = "append_rows",
    .signature = "(x: tensor, rows: tensor) -> tensor",
    .doc = "x with rows added at the end of axis 0; in place where nobody has appended to x before.",
    .example = "append_rows([[1.0]], [[2.0]])  //~ [[1.0000] [2.0000]] shape=[2, 1] float32",
    .infer = infer_append,
    .batch = batch::append_rows,
    .kind = OpKind::Append,
    .layout = Layout::Contiguous,
    .reference = kAppend,
    .cpu = kAppend,
    .cost = rows_moved,
};

}  // namespace tl
