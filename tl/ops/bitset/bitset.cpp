#include "tl/ops/bitset/bitset.h"
#include "tl/ops/batch/rules.h"

#include <algorithm>

#include "tl/ops/ops.h"

namespace tl {
namespace {

// Units are rows of the output.
i64 row_units(const KernelCall& call) {
  return call.out.dims[0];
}
double row_cost(const KernelCall& call) {
  return 5 + static_cast<double>(std::max(call.in[0].cols(), call.out.cols()));
}
double matmul_cost(const KernelCall& call) {
  return 5 + static_cast<double>(call.in[0].cols() + call.in[2].dims[0] / 4 * call.out.cols());
}

Result<void> check_bits(const InferContext& c, int first) {
  const TensorType &words = c.input(first), &counts = c.input(first + 1);
  const bool fits = words.dtype == DType::I64 && words.rank() == 2 && counts.dtype == DType::I64 &&
                    counts.rank() == 1 && same_dim(words.shape[0], counts.shape[0]);
  if (fits) return {};
  return fail(Code::BadProgram, "found {} with {}, want rows of words with their counts", to_string(words),
              to_string(counts));
}

Result<OutputTypes> infer_pack(const InferContext& c) {
  const TensorType& x = c.input(0);
  if (x.dtype != DType::Bool || x.rank() != 2)
    return fail(Code::BadProgram, "found {}, want a matrix of bool", to_string(x));
  const i64 cols = x.shape[1];
  return OutputTypes{{DType::I64, {x.shape[0], cols == kUnknownDim ? kUnknownDim : bit_words(cols)}},
                     {DType::I64, {x.shape[0]}}};
}

Result<TensorType> infer_unpack(const InferContext& c) {
  TL_TRY_DO(check_bits(c, 0));
  const i64 cols = c.attrs().int_at(0);
  if (cols < 0 || !same_dim(bit_words(cols), c.shape(0)[1]))
    return fail(Code::BadProgram, "{} columns in rows of {} words", cols, c.shape(0)[1]);
  return TensorType{DType::Bool, {c.shape(0)[0], cols}};
}

Result<OutputTypes> infer_product(const InferContext& c) {
  TL_TRY_DO(check_bits(c, 0));
  TL_TRY_DO(check_bits(c, 2));
  const i64 inner = c.shape(2)[0];
  if (inner != kUnknownDim && !same_dim(bit_words(inner), c.shape(0)[1]))
    return fail(Code::BadProgram, "rows of {} words for {} rows", c.shape(0)[1], inner);
  return OutputTypes{{DType::I64, {c.shape(0)[0], c.shape(2)[1]}}, {DType::I64, {c.shape(0)[0]}}};
}

Result<OutputTypes> infer_both(const InferContext& c) {
  TL_TRY_DO(check_bits(c, 0));
  TL_TRY_DO(check_bits(c, 2));
  if (!same_dim(c.shape(0)[0], c.shape(2)[0]) || !same_dim(c.shape(0)[1], c.shape(2)[1]))
    return fail(Code::BadProgram, "shapes differ: {} and {}", to_string(c.shape(0)), to_string(c.shape(2)));
  return OutputTypes{c.input(0), c.input(1)};
}

Result<Format::OnParts> on_parts(const OpDef& op, std::span<const TensorType> types, const Attrs&) {
  if (&op == &op_matmul) {  // true where there is a way through: "or" of "and"
    if (types[0].shape[1] != types[1].shape[0]) {
      return fail(Code::BadProgram, "inner dimensions differ: {} and {}", to_string(types[0].shape),
                  to_string(types[1].shape));
    }
    return Format::OnParts{&op_bits_matmul, {}, {DType::Bool, {types[0].shape[0], types[1].shape[1]}}, true};
  }
  const bool same = types.size() == 2 && types[0] == types[1];
  if (&op == &op_logical_or && same) return Format::OnParts{&op_bits_or, {}, types[0], true};
  if (&op == &op_count_true) return Format::OnParts{&op_bits_counts, {}, {}, false};
  return Format::OnParts{};
}

}  // namespace

const Format kBitset = {
    .name = "bitset",
    .pack = &op_pack_bits,
    .unpack = &op_unpack_bits,
    .unpack_attrs = [](const TensorType& type) { return Attrs().with_int(type.shape[1]); },
    .on_parts = on_parts,
};

namespace ref {
namespace {

bool bit(const Operand& words, i64 row, i64 col) {
  return (words.ptr<u64>()[row * words.cols() + col / 64] >> col % 64 & 1) != 0;
}

// Sets a row of words and its count.
template <typename IsTrue>
void set_row(KernelCall& call, i64 row, i64 cols, IsTrue is_true) {
  const Operand& words = call.outs[0];
  u64* const to = words.mutable_ptr<u64>() + row * words.cols();
  std::fill_n(to, words.cols(), 0);
  i64 count = 0;
  for (i64 col = 0; col < cols; ++col) {
    if (!is_true(col)) continue;
    to[col / 64] |= u64{1} << col % 64;
    ++count;
  }
  call.outs[1].mutable_ptr<i64>()[row] = count;
}

}  // namespace

void pack_bits(KernelCall& call) {
  const Operand& x = call.in[0];
  for (i64 row = call.begin; row < call.end; ++row)
    set_row(call, row, x.dims[1], [&](i64 col) { return x.ptr<u8>()[row * x.dims[1] + col] != 0; });
}

void unpack_bits(KernelCall& call) {
  const i64 cols = call.out.dims[1];
  for (i64 row = call.begin; row < call.end; ++row) {
    for (i64 col = 0; col < cols; ++col)
      call.out.mutable_ptr<u8>()[row * cols + col] = bit(call.in[0], row, col) ? 1 : 0;
  }
}

void bits_matmul(KernelCall& call) {
  const Operand &a = call.in[0], &b = call.in[2];
  for (i64 row = call.begin; row < call.end; ++row) {
    set_row(call, row, b.cols() * 64, [&](i64 col) {
      for (i64 k = 0; k < b.dims[0]; ++k) {
        if (bit(a, row, k) && bit(b, k, col)) return true;
      }
      return false;
    });
  }
}

void bits_or(KernelCall& call) {
  const Operand &a = call.in[0], &b = call.in[2];
  for (i64 row = call.begin; row < call.end; ++row)
    set_row(call, row, a.cols() * 64, [&](i64 col) { return bit(a, row, col) || bit(b, row, col); });
}

}  // namespace ref

namespace {

void copy_counts(KernelCall& call) {
  for (i64 row = call.begin; row < call.end; ++row)
    call.out.mutable_ptr<i64>()[row] = call.in[1].ptr<i64>()[row];
}

void count_true(KernelCall& call) {
  const Operand& x = call.in[0];
  for (i64 row = call.begin; row < call.end; ++row) {
    i64 count = 0;
    for (i64 col = 0; col < x.cols(); ++col) count += x.ptr<u8>()[row * x.cols() + col];
    call.out.mutable_ptr<i64>()[row] = count;
  }
}

Result<TensorType> infer_counts(const InferContext& c) {
  TL_TRY_DO(check_bits(c, 0));
  return c.input(1);
}

Result<TensorType> infer_count_true(const InferContext& c) {
  const TensorType& x = c.input(0);
  if (x.dtype != DType::Bool || x.rank() != 2)
    return fail(Code::BadProgram, "found {}, want a matrix of bool", to_string(x));
  return TensorType{DType::I64, {x.shape[0]}};
}

}  // namespace

const OpDef op_count_true = {
    .name = "count_true",
    .signature = "(x: tensor) -> tensor",
    .doc = "How many are true in each row of a matrix of bool; a bitset knows.",
    .example = "count_true(tensor([[1, 0], [1, 1]]) > 0)  //~ [1 2] shape=[2] int64",
    .infer = infer_count_true,
    .batch = batch::one_by_one,
    .reference = {count_true, row_units, row_cost},
    .cpu = {count_true, row_units, row_cost},
};

const OpDef op_pack_bits = {
    .name = "pack_bits",
    .signature = "(x: tensor) -> tuple",
    .doc =
        "The parts of a bitset: words of 64 truth values of a row, the first the lowest bit; and row counts.",
    .infer_outputs = infer_pack,
    .batch = Batching("works on the parts of a bitset"),
    .reference = {ref::pack_bits, row_units, row_cost},
    .cpu = {cpu::pack_bits, row_units, row_cost},
    .is_internal = true,
};

const OpDef op_unpack_bits = {
    .name = "unpack_bits",
    .signature = "(words: tensor, counts: tensor, cols: int) -> tensor",
    .doc = "The truth values of a bitset.",
    .infer = infer_unpack,
    .batch = Batching("works on the parts of a bitset"),
    .reference = {ref::unpack_bits, row_units, row_cost},
    .cpu = {cpu::unpack_bits, row_units, row_cost},
    .is_internal = true,
};

const OpDef op_bits_matmul = {
    .name = "bits_matmul",
    .signature = "(a: tensor, a_counts: tensor, b: tensor, b_counts: tensor) -> tuple",
    .doc = "The parts of the product of two bitsets: true where a row and a column have a true in common.",
    .infer_outputs = infer_product,
    .batch = Batching("works on the parts of a bitset"),
    .reference = {ref::bits_matmul, row_units, matmul_cost},
    .cpu = {cpu::bits_matmul, row_units, matmul_cost},
    .is_internal = true,
};

const OpDef op_bits_or = {
    .name = "bits_or",
    .signature = "(a: tensor, a_counts: tensor, b: tensor, b_counts: tensor) -> tuple",
    .doc = "The parts of a bitset that is true where one of two is.",
    .infer_outputs = infer_both,
    .batch = Batching("works on the parts of a bitset"),
    .reference = {ref::bits_or, row_units, row_cost},
    .cpu = {cpu::bits_or, row_units, row_cost},
    .is_internal = true,
};

const OpDef op_bits_counts = {
    .name = "bits_counts",
    .signature = "(words: tensor, counts: tensor) -> tensor",
    .doc = "How many are true in each row of a bitset.",
    .infer = infer_counts,
    .batch = Batching("works on the parts of a bitset"),
    .reference = {copy_counts, row_units, nullptr},
    .cpu = {copy_counts, row_units, nullptr},
    .is_internal = true,
};

}  // namespace tl
