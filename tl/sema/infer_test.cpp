// Every op's infer with dims the checker does not know: it must neither crash nor refuse what may be right.
#include <gtest/gtest.h>

#include <random>

#include "tl/builtins/builtins.h"
#include "tl/ops/find_op.h"
#include "tl/ops/ops.h"

namespace tl {
namespace {

Attrs default_attrs(const OpDef& op, const lang::Signature& signature, std::mt19937& random) {
  Attrs attrs;
  const auto pick = [&](std::initializer_list<i64> from) { return from.begin()[random() % from.size()]; };
  for (const lang::Parameter& p : signature.params) {
    switch (p.kind) {
      case lang::ParamKind::Int:
        attrs.with_int(pick({-1, 0, 1, 2, -9, 9}));
        break;
      case lang::ParamKind::Float:
        attrs.with_float(static_cast<f64>(pick({0, 1, 2})) / 2);
        break;
      case lang::ParamKind::Bool:
        attrs.with_bool(random() % 2 == 0);
        break;
      case lang::ParamKind::DType:
        attrs.with_dtype(random() % 2 == 0 ? DType::F32 : DType::I64);
        break;
      case lang::ParamKind::Ints: {
        std::vector<i64> ints;
        for (size_t n = random() % 10; n > 0; --n) ints.push_back(pick({-1, 0, 1, 2, 3, -9}));
        attrs.with_ints(std::move(ints));
        break;
      }
      case lang::ParamKind::String:
        attrs.with_text(random() % 2 == 0 ? "adjacent" : "half");
        break;
      default:
        break;
    }
  }
  if (op.is_random) attrs.with_int(7).with_int(0);  // seed and position
  return attrs;
}

int tensor_count(const lang::Signature& signature, std::mt19937& random) {
  int count = 0;
  for (const lang::Parameter& p : signature.params) {
    if (p.kind != lang::ParamKind::Tensor) continue;
    count += p.is_variadic ? static_cast<int>(random() % kMaxInputs) + 1 : 1;
  }
  return std::min(count, kMaxInputs);
}

// Where the op takes inputs with all dims known, it takes them with any of the dims unknown, and what it says
// of the result then agrees.
TEST(Infer, UnknownDimsAgreeWithKnownOnes) {
  static constexpr DType kTypes[] = {DType::F32, DType::F32,  DType::F32,
                                     DType::I64, DType::Bool, DType::Q8_0};
  static constexpr i64 kDims[] = {0, 1, 2, 3, 4, 32};
  std::mt19937 random(7);
  for (const OpDef* op : all_ops()) {
    if (op == &op_fused || op == &op_masked_attention) continue;  // these are the executor's alone
    auto signature = lang::parse_signature(op->signature);
    ASSERT_TRUE(signature.ok()) << op->name;
    int accepted = 0;
    for (int round = 0; round < 20000; ++round) {
      std::vector<TensorType> known(static_cast<size_t>(tensor_count(signature.value(), random)));
      const auto rank = random() % 5;
      const i64 common = kDims[random() % std::size(kDims)];
      for (TensorType& t : known) {
        t.dtype = kTypes[random() % std::size(kTypes)];
        const auto own = random() % 3 == 0 ? random() % 5 : rank;
        for (size_t i = 0; i < own; ++i)
          t.shape.push_back(random() % 3 == 0 ? kDims[random() % std::size(kDims)] : common);
      }
      const Attrs attrs = default_attrs(*op, signature.value(), random);
      Result<OutputTypes> exact_types = infer_types(*op, known, attrs);
      std::vector<TensorType> vague = known;
      for (TensorType& t : vague) {
        for (i64& d : t.shape) d = random() % 2 == 0 ? kUnknownDim : d;
      }
      Result<OutputTypes> guess_types = infer_types(*op, vague, attrs);
      if (!exact_types.ok()) continue;
      ++accepted;
      std::string inputs;
      for (const TensorType& t : vague) inputs += to_string(t) + " ";
      ASSERT_TRUE(guess_types.ok()) << op->name << " of " << inputs
                                    << "is refused: " << guess_types.error().message;
      ASSERT_EQ(guess_types->size(), exact_types->size()) << op->name << " of " << inputs;
      for (int k = 0; k < exact_types->size(); ++k) {
        const TensorType &guess = (*guess_types)[k], &exact = (*exact_types)[k];
        if (!guess.rank_known) continue;
        ASSERT_EQ(guess.rank(), exact.rank()) << op->name << " of " << inputs;
        for (int i = 0; i < exact.rank(); ++i) {
          ASSERT_TRUE(same_dim(guess.shape[i], exact.shape[i]))
              << op->name << " of " << inputs << "gives " << to_string(guess) << ", with all dims known "
              << to_string(exact);
        }
      }
    }
    // These want more at once than chance gives them.
    const bool is_picky =
        op->is_internal || op == &op_attention || op == &op_rope_with_factors || op == &op_append_sequences;
    EXPECT_TRUE(accepted > 0 || is_picky) << op->name << " was never accepted";
  }
}

}  // namespace
}  // namespace tl
