// Faults of views and of what is read through them, each test named after its fault.
#include "tests/runtime/machine.h"

namespace tl {
namespace {

TEST(FaultsViews, ABackwardViewWasFlattenedAsIfItWentForward) {
  Machine m = Machine::cpu();
  const Tensor x = m.f32({2, 4}, {0, 1, 2, 3, 4, 5, 6, 7});
  const Tensor back = m.op(op_index, {x}, Attrs().with_ints({0, 2, 1, 0, 3, 2, -2, 0}));
  EXPECT_EQ(m.read(m.op(op_flatten, {back})), (std::vector<double>{3, 1, 7, 5}));
  const Tensor all = m.op(op_index, {x}, Attrs().with_ints({1, 2, -1, 0, 3, 4, -1, 0}));
  EXPECT_EQ(m.read(m.op(op_flatten, {all})), (std::vector<double>{7, 6, 5, 4, 3, 2, 1, 0}));
}

TEST(FaultsViews, AnEmptyViewBehindTheEndOfItsTensorWasReadFromThere) {
  Machine m = Machine::cpu();
  const Tensor computed = m.op(op_exp, {m.f32({2, 0}, {})});
  const Tensor part = m.op(op_index, {computed}, Attrs().with_ints({1, 1, 1, 0, 0, 0, 1, 0}));
  EXPECT_TRUE(m.read(part).empty());
  const Tensor row = m.op(op_exp, {m.f32({4}, {1, 2, 3, 4})});
  const Tensor none = m.op(op_broadcast_to, {m.reshape(row, {1, 4})}, Attrs().with_ints({0, 4}));
  EXPECT_TRUE(m.read(none).empty());
}

TEST(FaultsViews, AViewAloneHadNothingToRun) {
  Machine m = Machine::cpu();
  const Tensor x = m.f32({2, 2}, {1, 2, 3, 4});
  const std::vector<Tensor> views{m.op(op_transpose, {x}, Attrs().with_int(0).with_int(1)),
                                  m.reshape(x, {4})};
  must(m.executor->submit(views));
  must(m.executor->wait(views[1]));
  EXPECT_EQ(m.read(views[0]), (std::vector<double>{1, 3, 2, 4}));
}

TEST(FaultsViews, RowsOfBlocksThatLieApartWereExpandedAsIfTheyWereTogether) {
  Machine m = Machine::cpu();
  std::vector<std::byte> blocks(6 * 2 * 34);  // q8_0: a scale in half precision, 32 codes
  for (size_t i = 0; i < blocks.size(); ++i)
    blocks[i] = static_cast<std::byte>(i % 34 == 1 ? 0x2c : i * 37 % 101);
  const Tensor q = must(m.executor->from_host({DType::Q8_0, {6, 64}}, blocks));
  const Tensor whole = m.op(op_dequantize, {q}), one = m.f32({}, {1.0f});
  const Attrs some = Attrs().with_ints({1, 3, 2, 0, 0, 64, 1, 0}), same = Attrs().with_ints({3, 6, 64});
  for (const bool is_index : {true, false}) {
    const OpDef& view = is_index ? op_index : op_broadcast_to;
    const Attrs& attrs = is_index ? some : same;
    const Tensor want = m.op(op_add, {m.op(view, {whole}, attrs), one});
    EXPECT_EQ(m.read(m.op(op_add, {m.op(view, {q}, attrs), one})), m.read(want)) << view.name;
    EXPECT_EQ(m.read(m.op(view, {q}, attrs)), m.read(m.op(view, {whole}, attrs))) << view.name;
  }
}

}  // namespace
}  // namespace tl
