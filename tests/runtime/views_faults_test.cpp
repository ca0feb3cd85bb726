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

}  // namespace
}  // namespace tl
