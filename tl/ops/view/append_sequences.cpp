// append_sequences: rows behind each of several sequences that lie side by side, which may have different
// lengths. In place where nobody else needs the old tensor (OpDef::donates).
#include <algorithm>
#include <cstring>

#include "tl/device/kernel.h"
#include "tl/ops/batch/rules.h"
#include "tl/ops/ops.h"

namespace tl {
namespace {

bool is_in_place(const KernelCall& call) {
  return call.out.data == call.in[0].data;
}

Result<void> check_numbers(const TensorType& numbers, std::string_view what, const TensorType& x) {
  if (!is_int(numbers.dtype))
    return fail(Code::BadProgram, "found {} of {}, want whole numbers", what, name_of(numbers.dtype));
  if (numbers.rank() == 1 && same_dim(numbers.shape[0], x.shape[0])) return {};
  return fail(Code::BadProgram, "found {} of shape {}, want one for each of {} sequences", what,
              to_string(numbers.shape), x.shape[0]);
}

Result<TensorType> infer_append_sequences(const InferContext& c) {
  const TensorType &x = c.input(0), &rows = c.input(1);
  if (info(x.dtype).block_elements != 1 || info(x.dtype).kind == DTypeClass::Packed || x.dtype != rows.dtype)
    return fail(Code::BadProgram, "cannot append {} to {}", to_string(rows), to_string(x));
  bool fits = x.rank() >= 2 && rows.rank() == x.rank();
  for (int i = 0; fits && i < x.rank(); ++i) fits = i == 1 || same_dim(x.shape[i], rows.shape[i]);
  if (!fits) {
    return fail(Code::BadProgram, "cannot append {} to {}: want [sequences, rows, ...] of the same sequences",
                to_string(rows), to_string(x));
  }
  TL_TRY_DO(check_numbers(c.input(2), "lengths", x));
  if (c.input(3).rank() > 0) TL_TRY_DO(check_numbers(c.input(3), "counts", x));
  if (!is_int(c.input(3).dtype))
    return fail(Code::BadProgram, "found counts of {}, want whole numbers", name_of(c.input(3).dtype));
  return x;
}

// A unit is a sequence.
i64 sequences(const KernelCall& call) {
  return call.out.numel() == 0 ? 0 : call.out.dims[0];
}
double sequence_cost(const KernelCall& call) {
  const i64 rows = is_in_place(call) ? call.in[1].dims[1] : call.out.dims[1];
  return 20 + 0.1 * static_cast<double>(
                        rows * (call.out.numel() / std::max<i64>(1, call.out.dims[0] * call.out.dims[1])));
}

void run_append_sequences(KernelCall& call) {
  if (call.out.numel() == 0) return;
  const Operand &x = call.in[0], &rows = call.in[1], &lengths = call.in[2], &counts = call.in[3];
  const i64 room = call.out.dims[1], given = rows.dims[1], all = call.out.dims[0];
  const i64 bytes = call.out.numel() / (all * room) * size_of(call.out.dtype);
  const auto* const from = static_cast<const std::byte*>(rows.address());
  for (i64 s = call.begin; s < call.end; ++s) {
    std::byte* const to = call.out.data + s * room * bytes;
    if (!is_in_place(call))
      std::memcpy(to, static_cast<const std::byte*>(x.address()) + s * room * bytes,
                  static_cast<size_t>(room * bytes));
    const i64 length = load_as_int(lengths.dtype, lengths.address(), s);
    const i64 wanted = load_as_int(counts.dtype, counts.address(), counts.rank() == 0 ? 0 : s);
    const i64 count = std::min(wanted, given);
    if (length < 0 || count < 0 || length > room - count) {
      return call.fail(
          fmt::format("{} rows behind the {} of sequence {}, which has room for {}", count, length, s, room));
    }
    if (count > 0)
      std::memcpy(to + length * bytes, from + s * given * bytes, static_cast<size_t>(count * bytes));
  }
}

// In place only the new rows move.
Cost rows_moved(const KernelCall& call) {
  return {0, 2 * operand_bytes(call.in[1]) + (is_in_place(call) ? 0 : 2 * operand_bytes(call.in[0]))};
}

constexpr Kernel kAppendSequences = {
    .run = run_append_sequences, .units = sequences, .unit_cost = sequence_cost};

}  // namespace

// Only moves bits, so that the plain loops are oracle and kernel.
const OpDef op_append_sequences = {
    .name = "append_sequences",
    .signature = "(x: tensor, rows: tensor, lengths: tensor, counts: tensor) -> tensor",
    .doc =
        "x [sequences, room, ...] with the first counts[i] of rows[i] behind the lengths[i] rows of sequence "
        "i.",
    .example =
        "append_sequences([[1, 0], [0, 0]], [[5], [6]], [1, 0], 1)  //~ [[1 5] [6 0]] shape=[2, 2] int64",
    .infer = infer_append_sequences,
    .batch = batch::one_by_one,
    .layout = Layout::Contiguous,
    .reference = kAppendSequences,
    .cpu = kAppendSequences,
    .donates = true,
    .cost = rows_moved,
};

}  // namespace tl
