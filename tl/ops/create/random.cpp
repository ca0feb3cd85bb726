// rand, randn and randint: element i depends on seed, position and i only. float32 and halves use one word an
// element (elements 4b … 4b + 3 from block b), float64 two words in rand and a whole block in randn; whole
// numbers take two words.
#include <cmath>
#include <numbers>

#include "tl/ops/batch/rules.h"
#include "tl/ops/create/create.h"

namespace tl {
namespace {

Result<TensorType> infer_random(const InferContext& c) {
  const DType dtype = c.attrs().dtype_at(0);
  if (!is_float(dtype))
    return fail(Code::BadProgram, "random numbers of {}, want a float type", name_of(dtype));
  TL_TRY(const Shape shape, checked_shape(c.attrs().ints(), dtype));
  return TensorType{dtype, shape};
}

// float64 has 53 bits: the upper 27 of one word, then the upper 26 of the next.
double unit_f64(u32 first, u32 second) {
  const u64 bits = u64{first >> 5} << 37 | u64{second >> 6} << 11;
  return philox_unit_f64(static_cast<u32>(bits), static_cast<u32>(bits >> 32));
}

Result<TensorType> infer_randint(const InferContext& c) {
  const i64 low = c.attrs().int_at(0), high = c.attrs().int_at(1);
  if (low >= high)
    return fail(Code::BadProgram, "found no whole numbers from {} up to, but not, {}", low, high);
  TL_TRY(const Shape shape, checked_shape(c.attrs().ints(), DType::I64));
  return TensorType{DType::I64, shape};
}

// Exact in any order: it is the oracle too.
void run_randint(KernelCall& call) {
  const i64 low = call.attrs->int_at(0), high = call.attrs->int_at(1);
  for (i64 i = 2 * call.begin; i < std::min(2 * call.end, call.out.numel()); ++i) {
    const PhiloxWords words = random_block(*call.attrs, i / 2);
    const size_t at = i % 2 == 0 ? 0 : 2;
    call.out.mutable_ptr<i64>()[i] = philox_below(words[at], words[at + 1], low, high);
  }
}
i64 pair_units(const KernelCall& call) {
  return (call.out.numel() + 1) / 2;
}

i64 block_units(const KernelCall& call) {
  return (call.out.numel() + 3) / 4;
}
double rand_cost(const KernelCall&) {
  return 12;
}
double randn_cost(const KernelCall&) {
  return 25;
}

}  // namespace

namespace ref {

void rand(KernelCall& call) {
  for (i64 i = 4 * call.begin; i < std::min(4 * call.end, call.out.numel()); ++i) {
    const PhiloxWords words = random_block(*call.attrs, call.out.dtype == DType::F64 ? i / 2 : i / 4);
    const auto at = static_cast<size_t>(i % 4);
    const double u = call.out.dtype == DType::F64 ? unit_f64(words[at % 2 * 2], words[at % 2 * 2 + 1])
                                                  : static_cast<double>(philox_unit_f32(words[at]));
    store_from_double(call.out.dtype, call.out.data, i, u);
  }
}

// Box and Muller: sqrt(-2 log u) times cos and sin of 2 pi v.
void randn(KernelCall& call) {
  for (i64 i = 4 * call.begin; i < std::min(4 * call.end, call.out.numel()); ++i) {
    double u, v;
    bool is_sine = false;
    if (call.out.dtype == DType::F64) {
      const PhiloxWords words = random_block(*call.attrs, i);
      u = 1 - unit_f64(words[0], words[1]);
      v = unit_f64(words[2], words[3]);
    } else {
      const PhiloxWords words = random_block(*call.attrs, i / 4);
      const auto pair = static_cast<size_t>(i % 4 / 2 * 2);
      u = static_cast<double>(philox_above_zero_f32(words[pair]));
      v = static_cast<double>(philox_unit_f32(words[pair + 1]));
      is_sine = i % 2 != 0;
    }
    const double angle = 2 * std::numbers::pi * v, radius = std::sqrt(-2 * std::log(u));
    store_from_double(call.out.dtype, call.out.data, i,
                      radius * (is_sine ? std::sin(angle) : std::cos(angle)));
  }
}

}  // namespace ref

const OpDef op_rand = {
    .name = "rand",
    .signature = "(shape: ints, dtype: dtype = float32) -> tensor",
    .doc = "Random numbers from 0 up to 1, evenly spread.",
    .example = "shape(rand([2, 3]))  //~ [2, 3]",
    .infer = infer_random,
    .batch = batch::kNoInputs,
    .reference = {.run = ref::rand, .units = block_units, .unit_cost = rand_cost},
    .cpu = {.run = cpu::rand, .units = block_units, .unit_cost = rand_cost},
    .is_random = true,
};

const OpDef op_randn = {
    .name = "randn",
    .signature = "(shape: ints, dtype: dtype = float32) -> tensor",
    .doc = "Random numbers of the standard normal distribution.",
    .example = "shape(randn([2, 3]))  //~ [2, 3]",
    .infer = infer_random,
    .batch = batch::kNoInputs,
    .reference = {.run = ref::randn, .units = block_units, .unit_cost = randn_cost},
    .cpu = {.run = cpu::randn, .units = block_units, .unit_cost = randn_cost},
    .is_random = true,
};

const OpDef op_randint = {
    .name = "randint",
    .signature = "(low: int, high: int, shape: ints) -> tensor",
    .doc = "Random whole numbers from low up to, but not, high, evenly spread.",
    .example = "shape(randint(0, 10, [2, 3]))  //~ [2, 3]",
    .infer = infer_randint,
    .batch = batch::kNoInputs,
    .reference = {.run = run_randint, .units = pair_units, .unit_cost = rand_cost},
    .cpu = {.run = run_randint, .units = pair_units, .unit_cost = rand_cost},
    .is_random = true,
};

}  // namespace tl
