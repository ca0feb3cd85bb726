// Random chains of element-wise ops: run as one program and op by op, the same bits.
#include "tl/ops/elementwise/fused.h"
#include "tl/ops/find_op.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "tl/backend/cpu/simd_level.h"

namespace tl {
namespace {

struct TensorData {
  TensorType type;
  std::vector<std::byte> bytes;
  Operand operand() {
    return {.data = bytes.data(),
            .dtype = type.dtype,
            .dims = type.shape,
            .strides = contiguous_strides(type.shape)};
  }
};

TensorData empty_tensor(DType dtype, const Shape& shape) {
  return {{dtype, shape}, std::vector<std::byte>(static_cast<size_t>(numel(shape) * size_of(dtype)))};
}

TensorData random_tensor(DType dtype, const Shape& shape, std::mt19937& random) {
  TensorData t = empty_tensor(dtype, shape);
  for (i64 i = 0; i < numel(shape); ++i) {
    const double v = is_float(dtype) ? (random() % 20001) * 4e-4 - 4 : 1 + random() % 5;
    store_from_double(dtype, t.bytes.data(), i, v);
  }
  return t;
}

std::string run(const Kernel& kernel, std::span<const Operand> in, const Operand& out, const Attrs& attrs,
                SimdLevel level) {
  Scratch scratch;
  KernelCall call{.in = in,
                  .out = out,
                  .attrs = &attrs,
                  .begin = 0,
                  .end = out.numel(),
                  .simd = level,
                  .scratch = &scratch};
  kernel.run(call);
  return call.failure;
}

const OpDef& op_of(ScalarCode code) {
  return *find_op(info(code).name);
}

// One chain, grown at random; `values` holds the result of every step run on its own.
struct Chain {
  FusedBuilder builder;
  std::vector<TensorData> values;
  int inputs = 0;
};

bool grow(Chain& chain, std::mt19937& random, SimdLevel level) {
  const auto code = static_cast<ScalarCode>(random() % static_cast<u32>(scalar_code_count()));
  const bool by_zero = code == ScalarCode::div || code == ScalarCode::mod || code == ScalarCode::rem ||
                       code == ScalarCode::pow;
  std::vector<int> args;
  std::vector<TensorType> types;
  std::vector<Operand> operands;
  for (int i = 0; i < info(code).arity; ++i) {
    const size_t recent = chain.values.size() > 4 && random() % 2 == 0 ? chain.values.size() - 3 : 0;
    const size_t pick = recent + random() % (chain.values.size() - recent);
    args.push_back(static_cast<int>(pick));
    types.push_back(chain.values[pick].type);
    operands.push_back(chain.values[pick].operand());
  }
  constexpr DType kCasts[] = {DType::F16,  DType::F32,  DType::I32, DType::U8,
                              DType::Bool, DType::BF16, DType::F64};
  Attrs attrs;
  if (code == ScalarCode::cast) attrs.with_dtype(kCasts[random() % std::size(kCasts)]);
  Result<TensorType> type = op_of(code).infer(InferContext(types, attrs));
  EXPECT_TRUE(type.ok());
  if (!type.ok() || (by_zero && !is_float(type->dtype))) return false;
  TensorData out = empty_tensor(type->dtype, type->shape);
  EXPECT_EQ(run(op_of(code).cpu, operands, out.operand(), attrs, level), "");
  chain.builder.add_op(code, args, type->dtype);
  chain.values.push_back(std::move(out));
  return true;
}

void expect_same(Chain& chain, u32 seed, SimdLevel level) {
  const Attrs attrs = chain.builder.finish();
  std::vector<Operand> operands;
  std::vector<TensorType> types;
  for (int i = 0; i < chain.inputs; ++i) {
    operands.push_back(chain.values[static_cast<size_t>(i)].operand());
    types.push_back(chain.values[static_cast<size_t>(i)].type);
  }
  Result<TensorType> type = op_fused.infer(InferContext(types, attrs));
  ASSERT_TRUE(type.ok()) << type.error().message;
  TensorData& last = chain.values.back();
  EXPECT_EQ(type->dtype, last.type.dtype);
  if (!(type->shape == last.type.shape)) return;  // the chain ended before its widest input
  TensorData out = empty_tensor(type->dtype, type->shape);
  ASSERT_EQ(run(op_fused.cpu, operands, out.operand(), attrs, level), "");
  EXPECT_TRUE(out.bytes == last.bytes) << "seed " << seed << ", level " << name_of(level);
}

TEST(Fused, ChainsGiveTheBitsOfTheirSteps) {
  constexpr DType kTypes[] = {DType::F32, DType::F32, DType::F16, DType::BF16,
                              DType::F64, DType::I64, DType::I32, DType::Bool};
  for (u32 seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    const auto level = static_cast<SimdLevel>(random() % (1 + static_cast<u32>(best_simd_level())));
    Chain chain;
    chain.inputs = 1 + static_cast<int>(random() % kMaxInputs);
    const i64 rows = 1 + random() % 5, columns = 1 + random() % 700;
    const Shape shapes[] = {{rows, columns}, {rows, columns}, {columns}, {rows, 1}, {}};
    for (int i = 0; i < chain.inputs; ++i) {
      const DType dtype = kTypes[random() % std::size(kTypes)];
      const Shape shape = i == 0 ? shapes[0] : shapes[random() % std::size(shapes)];
      chain.values.push_back(random_tensor(dtype, shape, random));
      chain.builder.add_input(dtype);
    }
    const u32 steps = 1 + random() % kMaxFusedSteps;
    for (u32 tries = 0; tries < steps && chain.builder.can_add_op(); ++tries) grow(chain, random, level);
    if (static_cast<int>(chain.values.size()) > chain.inputs) expect_same(chain, seed, level);
  }
}

TEST(Fused, BrokenProgramsAreNone) {
  EXPECT_FALSE(decode_program({}));
  EXPECT_FALSE(decode_program(std::vector<i64>{1}));
  EXPECT_FALSE(decode_program(std::vector<i64>{7, 0}));
  EXPECT_FALSE(decode_program(std::vector<i64>{1, 0xff}));          // no such code
  EXPECT_FALSE(decode_program(std::vector<i64>{1, i64{9} << 24}));  // value 9 of 1
  EXPECT_FALSE(decode_program(std::vector<i64>{1, i64{static_cast<int>(DType::Planes)} << 8}));
  EXPECT_FALSE(
      decode_program(std::vector<i64>{1, i64{static_cast<int>(DType::Q4_0)} << 16}));  // a quantised register
  EXPECT_FALSE(decode_program(std::vector<i64>(40, 0)));
  EXPECT_TRUE(decode_program(std::vector<i64>{1, 0}));
}

}  // namespace
}  // namespace tl
