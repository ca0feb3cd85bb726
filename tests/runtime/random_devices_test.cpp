// Random numbers on every device: whole numbers and the words that decide draws are the same, floats what is
// made of them.
#include "tests/runtime/machine.h"

namespace tl {
namespace {

Attrs seeded(Attrs attrs, i64 seed, i64 position) {
  return attrs.with_int(seed).with_int(position);
}

TEST(RandomDevices, WholeNumbersAreTheSame) {
  Machine cpu = Machine::cpu(3), reference = Machine::reference();
  for (const auto& [low, high] : {std::pair<i64, i64>{0, 2}, {-7, 1000}, {INT64_MIN, INT64_MAX}, {5, 6}}) {
    for (const i64 position : {i64{0}, i64{1}, i64{1} << 40}) {
      const Attrs attrs = seeded(Attrs().with_int(low).with_int(high).with_ints({3, 1001}), 11, position);
      const HostTensor a = must(cpu.executor->read(cpu.op(op_randint, {}, attrs)));
      const HostTensor b = must(reference.executor->read(reference.op(op_randint, {}, attrs)));
      EXPECT_EQ(a.bytes, b.bytes) << low << " " << high;
      for (i64 i = 0; i < 3003; ++i) {
        ASSERT_GE(a.as_int(i), low);
        ASSERT_LT(a.as_int(i), high);
      }
    }
  }
}

TEST(RandomDevices, FloatsAreMadeOfTheSameWords) {
  Machine cpu = Machine::cpu(3), reference = Machine::reference();
  for (const DType dtype : {DType::F32, DType::F64, DType::F16}) {
    const Attrs attrs = seeded(Attrs().with_ints({5003}).with_dtype(dtype), 3, 9);
    const HostTensor even = must(cpu.executor->read(cpu.op(op_rand, {}, attrs)));
    EXPECT_EQ(even.bytes, must(reference.executor->read(reference.op(op_rand, {}, attrs))).bytes)
        << name_of(dtype);
    const HostTensor a = must(cpu.executor->read(cpu.op(op_randn, {}, attrs)));
    const HostTensor b = must(reference.executor->read(reference.op(op_randn, {}, attrs)));
    for (i64 i = 0; i < 5003; ++i)
      ASSERT_NEAR(a.as_double(i), b.as_double(i), dtype == DType::F16 ? 4e-3 : 4e-6);
  }
}

// Where the weights are the same numbers on both, so are the tokens.
TEST(RandomDevices, SampledTokensAreTheSame) {
  Machine cpu = Machine::cpu(3), reference = Machine::reference();
  const auto draw = [](Machine& m, i64 position) {
    std::vector<float> weights(200 * 16);
    for (size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<float>(i * 7 % 8);
    return must(m.executor->read(m.op(op_sample_probs, {m.f32({200, 16}, weights)}, seeded({}, 5, position))))
        .bytes;
  };
  for (i64 position = 0; position < 5; ++position) EXPECT_EQ(draw(cpu, position), draw(reference, position));
}

}  // namespace
}  // namespace tl
