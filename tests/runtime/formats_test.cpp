// Values that own several buffers: each is a tensor like any other, in memory, in tickets and when it fails.
#include "tl/tensor/format.h"

#include "tests/runtime/machine.h"
#include "tl/observe/validate.h"
#include "tl/ops/bitset/bitset.h"

namespace tl {
namespace {

Machine validating() {
  auto device = must(cpu::create_device({.threads = 2, .simd = {}, .memory_limit_bytes = 0}));
  return Machine::on(std::make_unique<ValidatingDevice>(std::move(device)), {});
}

Tensor relation(Machine& m, i64 rows, i64 cols, u32 seed) {
  return m.op(op_greater, {m.noise({rows, cols}, seed), scalar_tensor(0.8, DType::F32)});
}

TEST(Formats, WhatIsDoneOnPartsIsWhatIsDoneOnElements) {
  for (auto make : {+[] { return Machine::cpu(); }, +[] { return Machine::reference(); },
                    +[] { return Machine::cpu(2, {.eager = true}); },
                    +[] { return Machine::cpu(2, {.shuffle = 4}); }, validating}) {
    Machine m = make();
    for (const i64 n : {70, 3, 0, 200}) {
      const Tensor a = relation(m, n, 100, 1), b = relation(m, 100, n, 2);
      const Tensor bits_a = must(m.executor->pack(kBitset, a)), bits_b = must(m.executor->pack(kBitset, b));
      EXPECT_EQ(m.read(bits_a), m.read(a));
      const Tensor product = m.op(op_matmul, {bits_a, bits_b});
      ASSERT_NE(product->parts, nullptr) << "stays in its format";
      const Attrs to_float = Attrs().with_dtype(DType::F32);
      const Tensor counts = m.op(op_matmul, {m.op(op_cast, {a}, to_float), m.op(op_cast, {b}, to_float)});
      const Tensor want = m.op(op_greater, {counts, scalar_tensor(0.0, DType::F32)});
      EXPECT_EQ(m.read(product), m.read(want));
      EXPECT_EQ(m.read(m.op(op_count_true, {product})), m.read(m.op(op_count_true, {want})));
      const Tensor mixed = m.op(op_logical_or, {bits_a, relation(m, n, 100, 5)});
      EXPECT_EQ(mixed->parts, nullptr);
      EXPECT_EQ(m.read(mixed), m.read(m.op(op_logical_or, {a, relation(m, n, 100, 5)})));
    }
  }
}

TEST(Formats, EveryBufferCountsAndIsGivenBack) {
  Machine m = Machine::cpu();
  const i64 before = m.device->memory().in_use_bytes;
  Tensor bits = must(m.executor->pack(kBitset, relation(m, 4096, 4096, 1)));
  must(m.executor->wait(bits));
  const i64 held = m.device->memory().in_use_bytes - before;
  EXPECT_GE(held, 4096 * 64 * 8 + 4096 * 8) << "words and counts";
  EXPECT_LT(held, 4096 * 4096) << "the elements are gone";
  bits = {};
  EXPECT_EQ(m.device->memory().in_use_bytes, before);
}

// Other executors read every part by its ticket.
TEST(Formats, PartsCrossExecutors) {
  auto device = must(cpu::create_device({.threads = 2, .simd = {}, .memory_limit_bytes = 0}));
  ValidatingDevice shared(std::move(device));
  for (int i = 0; i < 20; ++i) {
    Machine one, two;
    one.executor = must(Executor::create(shared, {}));
    two.executor = must(Executor::create(shared, {}));
    const Tensor bits = must(one.executor->pack(kBitset, relation(one, 300, 300, 1)));
    must(one.executor->submit({&bits, 1}));
    const Tensor product = two.op(op_matmul, {bits, bits});
    EXPECT_EQ(two.read(two.op(op_count_true, {product})),
              one.read(one.op(op_count_true, {one.op(op_matmul, {bits, bits})})));
  }
}

TEST(Formats, TheFailureOfWhatItIsMadeOfIsItsOwn) {
  Machine m = Machine::cpu();
  const Tensor rows = m.op(op_index_select, {relation(m, 4, 70, 1), m.i32({1}, {9})}, Attrs().with_int(0));
  const Tensor bits = must(m.executor->pack(kBitset, rows));
  const Result<void> waited = m.executor->wait(bits);
  ASSERT_FALSE(waited.ok());
  EXPECT_NE(waited.error().message.find("index 9 is out of range"), std::string::npos);
  EXPECT_FALSE(m.executor->read(m.op(op_count_true, {bits})).ok());
}

}  // namespace
}  // namespace tl
