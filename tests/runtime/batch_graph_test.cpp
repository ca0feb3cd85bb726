// A recorded graph that is applied to many examples at once (tl/tensor/batch.h).
#include "tests/runtime/machine.h"
#include "tl/tensor/batch.h"

namespace tl {
namespace {

struct BatchGraph : testing::Test {
  Machine m = Machine::cpu();
  RecordOp record = [this](const OpDef& op, std::span<const Tensor> in, Attrs attrs, Span origin) {
    return m.executor->apply_all(op, in, std::move(attrs), origin);
  };
  std::vector<BatchedOutput> batch(std::vector<Tensor> outputs, std::vector<BatchedInput> inputs,
                                   i64 examples) {
    return must(batch_graph(outputs, inputs, examples, record));
  }
  std::vector<float> read(const Tensor& t) {
    const HostTensor host = must(m.executor->read(t));
    std::vector<float> out;
    for (i64 i = 0; i < numel(t.shape()); ++i) out.push_back(static_cast<float>(host.as_double(i)));
    return out;
  }
};

// One example, a number per input, with nodes that some outputs share.
TEST_F(BatchGraph, OutputsAreThoseOfTheExamplesStacked) {
  const Tensor w = m.noise({4, 4}, 9);
  const auto function = [&](const Tensor& x) {
    const Tensor y = m.op(op_tanh, {m.op(op_linear, {x, w})});
    const std::vector<Tensor> top = must(m.executor->apply_all(op_topk, {&y, 1}, Attrs().with_int(2)));
    return std::vector<Tensor>{m.op(op_mul, {y, x}), top[0], m.op(op_sum, {y}, Attrs().with_bool(false)), w};
  };
  const Tensor all = m.noise({3, 4}, 2);
  const Tensor example = m.noise({4}, 1);
  const std::vector<BatchedOutput> got = batch(function(example), {{example, all}}, 3);
  ASSERT_EQ(got.size(), 4u);
  EXPECT_FALSE(got[3].is_batched);
  EXPECT_EQ(got[3].tensor, w);
  for (i64 e = 0; e < 3; ++e) {
    const Tensor x = m.op(op_index, {all}, Attrs().with_ints({e, 1, 1, 1, 0, 4, 1, 0}));
    const std::vector<Tensor> want = function(x);
    for (size_t k = 0; k < 3; ++k) {
      const std::vector<float> whole = read(got[k].tensor), part = read(want[k]);
      for (size_t i = 0; i < part.size(); ++i)
        EXPECT_EQ(whole[static_cast<size_t>(e) * part.size() + i], part[i]);
    }
  }
}

TEST_F(BatchGraph, AFlushOnTheWayDoesNotCutIt) {
  const KeepInputs scope(m.executor->recorder());
  const Tensor example = m.noise({4}, 1), all = m.noise({2, 4}, 2);
  const Tensor y = m.op(op_exp, {example});
  must(m.executor->flush());
  const Tensor z = m.op(op_neg, {y});
  must(m.executor->wait(z));
  const std::vector<BatchedOutput> got = batch({z}, {{example, all}}, 2);
  ASSERT_TRUE(got[0].is_batched);
  EXPECT_EQ(read(got[0].tensor), read(m.op(op_neg, {m.op(op_exp, {all})})));
}

TEST_F(BatchGraph, AnInputCanBeAnOutput) {
  const Tensor example = m.noise({4}, 1), all = m.noise({2, 4}, 2);
  const std::vector<BatchedOutput> got = batch({example}, {{example, all}}, 2);
  EXPECT_TRUE(got[0].is_batched);
  EXPECT_EQ(got[0].tensor, all);
}

TEST_F(BatchGraph, AnOpWithoutARuleSaysWhyAndWhere) {
  OpDef odd = op_tanh;
  odd.name = "odd";
  odd.batch = Batching("has its own reasons");
  const Tensor example = m.noise({4}, 1), all = m.noise({2, 4}, 2);
  const Span line{FileId{1}, 3, 4};
  const Tensor y = must(m.executor->apply(odd, {example}, {}, line));
  const Tensor outputs[] = {y};
  const BatchedInput inputs[] = {{example, all}};
  const auto got = batch_graph(outputs, inputs, 2, record);
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().message, "odd does not run on examples at once: it has its own reasons");
  EXPECT_EQ(got.error().where, line);
}

}  // namespace
}  // namespace tl
