#include "tl/ops/einsum/einsum.h"

#include <gtest/gtest.h>

#include <map>

#include "tl/device/kernel.h"
#include "tl/ops/einsum/einsum_spec.h"
#include "tl/ops/ops.h"

namespace tl {
namespace {

using Bytes = std::vector<std::byte>;

// Records sums over tensors of its own and computes them with the oracles.
class Bench {
 public:
  Tensor tensor(DType dtype, Shape shape) {
    const i64 n = numel(shape);
    Bytes data(static_cast<size_t>(n * 8 + 8));
    for (i64 i = 0; i < n; ++i) {
      state_ = state_ * 6364136223846793005ull + 1442695040888963407ull;
      store_from_double(dtype, data.data(), i,
                        static_cast<double>(state_ >> 60) - (dtype == DType::Bool ? 8 : 7));
    }
    const Tensor t = constant({dtype, std::move(shape)}, {});
    known_[t.node()] = std::move(data);
    leaves_.push_back(t);
    return t;
  }

  Result<Tensor> sum(std::string_view spec, std::vector<Tensor> inputs) {
    recorded_.clear();
    const ApplyOp apply = [&](const OpDef& op, std::span<const Tensor> in, Attrs attrs) {
      recorded_ += recorded_.empty() ? "" : " ";
      recorded_ += op.name;
      return recorder_.record(op, in, std::move(attrs), {});
    };
    return einsum(apply, spec, inputs);
  }

  const std::string& recorded() const { return recorded_; }

  const Bytes& values(const Tensor& t) {
    const auto it = known_.find(t.node());
    if (it != known_.end()) return it->second;
    if (t->op->kind == OpKind::View) return known_[t.node()] = viewed(t);
    std::vector<Operand> operands;
    for (const Tensor& in : t->inputs) {
      operands.push_back({.data = const_cast<std::byte*>(values(in).data()),
                          .dtype = in.dtype(),
                          .dims = in.shape(),
                          .strides = contiguous_strides(in.shape())});
    }
    Bytes out(static_cast<size_t>(numel(t.shape()) * 8 + 8));
    KernelCall call{.in = operands,
                    .out = {.data = out.data(),
                            .dtype = t.dtype(),
                            .dims = t.shape(),
                            .strides = contiguous_strides(t.shape())},
                    .attrs = &t->attrs};
    Scratch scratch;
    call.scratch = &scratch;
    const Kernel& kernel = t->op->reference;
    call.end = kernel.units != nullptr ? kernel.units(call) : call.out.numel();
    kernel.run(call);
    EXPECT_EQ(call.failure, "");
    return known_[t.node()] = std::move(out);
  }

  // All labels by plain loops.
  std::vector<double> by_loops(std::string_view text, const std::vector<Tensor>& inputs) {
    std::vector<Shape> shapes;
    for (const Tensor& t : inputs) shapes.push_back(t.shape());
    const EinsumSpec spec = parse_einsum(text, shapes).value();
    std::array<i64, kLabels> at{};
    i64 outputs = 1;
    for (const int l : spec.output) outputs *= spec.size[static_cast<size_t>(l)];
    std::vector<double> result(static_cast<size_t>(outputs));
    LabelSet all = set_of(spec.output);
    for (const Labels& labels : spec.inputs) all |= set_of(labels);
    walk(spec, all, 0, at, inputs, result);
    return result;
  }

 private:
  Bytes viewed(const Tensor& t) {
    const Tensor& in = t->inputs[0];
    View view;
    EXPECT_TRUE(t->op->view({in.shape(), contiguous_strides(in.shape()), 0}, t.type(), t->attrs, view));
    const Bytes& from = values(in);
    Bytes out(from.size());
    for (i64 i = 0; i < numel(t.shape()); ++i) {
      const i64 place = view.offset + strided_offset(i, view.shape, view.strides);
      store_from_double(t.dtype(), out.data(), i, load_as_double(t.dtype(), from.data(), place));
    }
    return out;
  }

  void walk(const EinsumSpec& spec, LabelSet all, int label, std::array<i64, kLabels>& at,
            const std::vector<Tensor>& inputs, std::vector<double>& result) {
    if (label < kLabels) {
      const i64 n = contains(all, label) ? spec.size[static_cast<size_t>(label)] : 1;
      for (i64& i = at[static_cast<size_t>(label)] = 0; i < n; ++i)
        walk(spec, all, label + 1, at, inputs, result);
      return;
    }
    double product = 1;
    for (size_t k = 0; k < inputs.size(); ++k) {
      i64 place = 0;
      for (int axis = 0; axis < inputs[k].rank(); ++axis) {
        const i64 dim = inputs[k].shape()[axis];
        place =
            place * dim + (dim == 1 ? 0 : at[static_cast<size_t>(spec.inputs[k][static_cast<size_t>(axis)])]);
      }
      product *= load_as_double(inputs[k].dtype(), values(inputs[k]).data(), place);
    }
    i64 place = 0;
    for (const int l : spec.output)
      place = place * spec.size[static_cast<size_t>(l)] + at[static_cast<size_t>(l)];
    result[static_cast<size_t>(place)] += product;
  }

  Recorder recorder_;
  std::vector<Tensor> leaves_;
  std::map<const Node*, Bytes> known_;
  std::string recorded_;
  u64 state_ = 1;
};

struct Row {
  std::string spec;
  std::vector<Shape> shapes;
  std::string recorded = "";  // if given: the ops of the sum
  DType dtype = DType::F32;
};

TEST(Einsum, EqualsPlainLoops) {
  const Row rows[] = {
      {"ij,jk->ik", {{3, 4}, {4, 5}}, "matmul"},
      {"ij,kj->ik", {{3, 4}, {5, 4}}, "permute matmul"},
      {"ij,jk", {{3, 4}, {4, 5}}},
      {"ba", {{3, 4}}, "permute"},
      {"ij->ij", {{3, 4}}, ""},
      {"ij->", {{3, 4}}, "sum"},
      {"ij->j", {{3, 4}}, "sum"},
      {"i,i->", {{7}, {7}}},
      {"i,i->i", {{7}, {7}}, "mul"},
      {"i,j->ij", {{3}, {4}}},
      {"i,j->ji", {{3}, {4}}},
      {"ii->i", {{4, 4}}},
      {"ii", {{4, 4}}},
      {"iij,jk->ik", {{4, 4, 3}, {3, 2}}},
      {"iii->i", {{3, 3, 3}}},
      {"ijij->ij", {{2, 3, 2, 3}}},
      // Attention's two products: views of the operands and nothing else.
      {"ihd,jhd->hij", {{5, 3, 4}, {7, 3, 4}}, "permute permute matmul"},
      {"ihd,jhd->ihj", {{5, 3, 4}, {7, 3, 4}}, "permute permute matmul permute"},
      {"ihj,jhd->ihd", {{5, 3, 7}, {7, 3, 4}}, "permute permute matmul permute"},
      {"hij,jhd->ihd", {{3, 5, 7}, {7, 3, 4}}, "permute matmul permute"},
      // Grouped heads share keys: the group is a batch axis over which they repeat, so that keys are not
      // copied.
      {"ikgd,jkd->kgij", {{5, 2, 3, 4}, {7, 2, 4}}, "permute permute reshape matmul"},
      {"bhid,bhjd->bhij", {{2, 3, 5, 4}, {2, 3, 6, 4}}, "permute matmul"},
      {"bid,de->bie", {{2, 3, 4}, {4, 5}}, "reshape matmul reshape"},
      {"bi,bj->bij", {{2, 3}, {2, 4}}},
      {"ijk,jk->i", {{2, 3, 4}, {3, 4}}},
      {"ijk,kj->i", {{2, 3, 4}, {4, 3}}},
      {"ijk,jil->kl", {{2, 3, 4}, {3, 2, 5}}},
      {"ij,kl->ik", {{2, 3}, {4, 5}}},
      {"ab,bc,cd,de->ae", {{2, 30}, {30, 2}, {2, 30}, {30, 2}}},
      {"ij,j,kj->ik", {{3, 4}, {4}, {5, 4}}},
      {"i,i,i->", {{5}, {5}, {5}}},
      {"a,b,c,d->abcd", {{2}, {3}, {2}, {3}}},
      {"a,ab,bc,cd,de,e->", {{2}, {2, 3}, {3, 4}, {4, 3}, {3, 2}, {2}}},
      {"a,ab,bc,cd,de,ef,fg,g->", {{2}, {2, 3}, {3, 4}, {4, 3}, {3, 2}, {2, 2}, {2, 3}, {3}}},
      {"...ij,...jk->...ik", {{2, 3, 4}, {2, 4, 5}}},
      {"...ij,...jk", {{6, 1, 3, 4}, {2, 4, 5}}},
      {"...i,i", {{2, 3, 4}, {4}}},
      {"i...->...", {{2, 3, 4}}},
      {"...i->i", {{2, 3, 4}}},
      {"...,...", {{3, 1}, {1, 4}}},
      {" i j , j k -> i k ", {{3, 4}, {4, 5}}},
      {"ij,jk->ik", {{0, 4}, {4, 5}}},
      {"ij,jk->ik", {{3, 0}, {0, 5}}},
      {",i->i", {{}, {4}}},
      {",->", {{}, {}}},
      {"abcdefgh,h->abcdefg", {{2, 1, 2, 1, 2, 1, 2, 3}, {3}}},
      {"abcdefgh,abcdefgh->abcdefg", {{2, 1, 2, 1, 2, 1, 2, 3}, {2, 1, 2, 1, 2, 1, 2, 3}}},
      {"aXbYcZ,XaYbZd->abcd", {{2, 2, 3, 2, 2, 3}, {2, 2, 2, 3, 3, 2}}},
      {"ij,jk->ik", {{3, 4}, {4, 5}}, "", DType::I64},
      {"ij->j", {{3, 4}}, "", DType::I32},
      {"xy,yz->xz", {{6, 6}, {6, 6}}, "cast cast matmul", DType::Bool},
  };
  for (const Row& row : rows) {
    Bench bench;
    std::vector<Tensor> inputs;
    for (const Shape& shape : row.shapes) inputs.push_back(bench.tensor(row.dtype, shape));
    const Result<Tensor> result = bench.sum(row.spec, inputs);
    ASSERT_TRUE(result.ok()) << row.spec << ": " << result.error().message;
    if (!row.recorded.empty()) {
      EXPECT_EQ(bench.recorded(), row.recorded) << row.spec;
    }
    std::vector<TensorType> types;
    for (const Tensor& t : inputs) types.push_back(t.type());
    const Result<TensorType> type = einsum_type(row.spec, types);
    ASSERT_TRUE(type.ok()) << row.spec;
    EXPECT_EQ(to_string(type.value()), to_string(result.value().type())) << row.spec;
    const std::vector<double> want = bench.by_loops(row.spec, inputs);
    const Bytes& got = bench.values(result.value());
    ASSERT_EQ(numel(result.value().shape()), static_cast<i64>(want.size())) << row.spec;
    for (size_t i = 0; i < want.size(); ++i) {
      EXPECT_EQ(load_as_double(type.value().dtype, got.data(), static_cast<i64>(i)), want[i])
          << row.spec << " " << i;
    }
  }
}

TEST(Einsum, QuantisedWeightsAreNotExpanded) {
  Bench bench;
  const Tensor x = bench.tensor(DType::F32, {2, 3, 64});
  const Tensor w = constant({DType::Q8_0, {5, 64}}, {});
  ASSERT_TRUE(bench.sum("btk,nk->btn", {x, w}).ok());
  EXPECT_EQ(bench.recorded(), "linear");
  ASSERT_TRUE(bench.sum("nk,btk->ntb", {w, x}).ok());
  EXPECT_EQ(bench.recorded(), "linear permute");
  ASSERT_TRUE(bench.sum("btn,nk->btk", {bench.tensor(DType::F32, {2, 3, 5}), w}).ok());
  EXPECT_EQ(bench.recorded(), "cast reshape matmul reshape");
}

TEST(Einsum, ContractsInTheCheapestOrder) {
  const Shape shapes[] = {{2, 1000}, {1000, 2}, {2, 1000}};
  const EinsumSpec spec = parse_einsum("ab,bc,cd->ad", shapes).value();
  EXPECT_EQ(einsum_order(spec).front(), std::pair(0, 1));
  const Shape other[] = {{1000, 2}, {2, 1000}, {1000, 2}};
  EXPECT_EQ(einsum_order(parse_einsum("ab,bc,cd->ad", other).value()).front(), std::pair(1, 2));
}

TEST(Einsum, SaysWhatIsTheSameForEverySize) {
  const auto pairs = [](std::string_view spec, const Shape& a, const Shape& b) {
    return einsum_for_any_size(spec, a, b);
  };
  using Pairs = std::vector<std::pair<int, int>>;
  EXPECT_EQ(pairs("ihd,jhd->hij", {2, 3, 4}, {5, 3, 4}), (Pairs{{1, 1}, {2, 2}}));
  EXPECT_EQ(pairs("ij,jk", {2, 3}, {3, 4}), (Pairs{{1, 0}}));
  EXPECT_EQ(pairs("xij,jk->ik", {2, 3, 4}, {4, 5}), (Pairs{{2, 0}}))
      << "what is summed alone hinders nothing";
  for (const auto& [spec, a, b] :
       std::vector<std::tuple<std::string, Shape, Shape>>{{"ij,j->i", {2, 3}, {3}},
                                                          {"ij,ij->ij", {2, 3}, {2, 3}},
                                                          {"aij,jk->aik", {2, 3, 4}, {4, 5}},
                                                          {"ijl,jlk->ik", {2, 3, 4}, {3, 4, 5}},
                                                          {"...ij,jk->...ik", {2, 3, 4}, {4, 5}},
                                                          {"iij,jk->ik", {2, 2, 4}, {4, 5}},
                                                          {"ij,jk->ik", {2, 3}, {4, 5}}}) {
    EXPECT_EQ(pairs(spec, a, b), std::nullopt) << spec;
  }
  Bench bench;
  for (const i64 n : {1, 2, 7}) {
    ASSERT_TRUE(
        bench.sum("ihd,jhd->hij", {bench.tensor(DType::F32, {n, 3, 4}), bench.tensor(DType::F32, {n, 3, 4})})
            .ok());
    EXPECT_EQ(bench.recorded(), "permute permute matmul");
  }
}

TEST(Einsum, SaysWhatIsWrong) {
  struct Bad {
    std::string spec;
    std::vector<Shape> shapes;
    std::string message;
  };
  const Bad rows[] = {
      {"ij,jk->ik", {{2, 3}, {4, 5}}, "index 'j' is 3 in input 1 and 4 in input 2 ([2, 3] and [4, 5])"},
      {"ii->i", {{2, 3}}, "index 'i' is 2 in input 1 and 3 in input 1"},
      {"ij,jk->ik", {{2, 3, 4}, {4, 5}}, "\"ij\" names 2 axes of input 1, which has 3 ([2, 3, 4])"},
      {"ijk...->i", {{2, 3}}, "\"ijk...\" names 3 axes of input 1, which has 2"},
      {"ij,jk->ik", {{2, 3}}, "names 2 inputs, found 1"},
      {"ij->k", {{2, 3}}, "index 'k' of the output is in no input"},
      {"ij->ii", {{2, 3}}, "index 'i' stands twice in the output"},
      {"i1->i", {{2, 3}}, "found '1' in \"i1->i\""},
      {"i-j", {{2, 3}}, "found '-'"},
      {"i->j->k", {{2}}, "found '-'"},
      {"......", {{2, 3}}, "'...' stands twice"},
      {"..i", {{2}}, "found '.'"},
      {"...i,...i", {{2, 3}, {4, 3}}, "index '...' is 2 in input 1 and 4 in input 2"},
      {"abcde,fghij->abcdefghij",
       {{1, 1, 1, 1, 1}, {1, 1, 1, 1, 1}},
       "the output has 10 axes, want at most 8"},
      {"", {{2}}, "names 0 axes of input 1"},
  };
  for (const Bad& row : rows) {
    Bench bench;
    std::vector<Tensor> inputs;
    for (const Shape& shape : row.shapes) inputs.push_back(bench.tensor(DType::F32, shape));
    const Result<Tensor> result = bench.sum(row.spec, inputs);
    ASSERT_FALSE(result.ok()) << row.spec;
    EXPECT_NE(result.error().message.find(row.message), std::string::npos) << result.error().message;
  }
}

TEST(Einsum, TypesWithUnknownDims) {
  const TensorType types[] = {{DType::F16, {kUnknownDim, 3}}, {DType::F16, {3, kUnknownDim}}};
  EXPECT_EQ(to_string(einsum_type("ij,jk->ki", types).value()), "float16[?, ?]");
  const TensorType stretched[] = {{DType::F32, {1, 3}}, {DType::F32, {kUnknownDim, 3}}, {DType::F32, {5, 3}}};
  EXPECT_EQ(to_string(einsum_type("...i,...i,...i->...", stretched).value()), "float32[5]");
  const TensorType open[] = {{DType::F32, {}, false}};
  EXPECT_FALSE(einsum_type("ij->i", open).value().rank_known);
}

}  // namespace
}  // namespace tl
