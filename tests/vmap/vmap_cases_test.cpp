// Batching rules against their meaning: for every op and every row of its case table, several examples at
// once give what one call per example gives, stacked. Each input has examples alone, and all have them
// together.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "tests/ops/materialised.h"
#include "tests/ops/op_cases.h"
#include "tl/backend/cpu/cpu_device.h"
#include "tl/exec/executor.h"
#include "tl/tensor/batch.h"

namespace tl::cases {
namespace {

struct Registered {
  std::string name;
  const OpDef* op;
  const OpCases* cases;
};

std::vector<Registered> registered() {
  return {
#define TL_OP(name) {#name, &op_##name, &cases_##name},
#include "tl/ops/ops.def"
#undef TL_OP
  };
}

class Batched : public testing::TestWithParam<Registered> {
 protected:
  void SetUp() override {
    device_ = std::move(cpu::create_device({.threads = 2, .simd = {}, .memory_limit_bytes = 0})).value();
    executor_ = std::move(Executor::create(*device_, {})).value();
    record_ = [this](const OpDef& op, std::span<const Tensor> inputs, Attrs attrs, Span origin) {
      return executor_->apply_all(op, inputs, std::move(attrs), origin);
    };
  }

  // Input `i` of an example, in row order.
  static Materialised values(const OpCase& row, size_t i, i64 example) {
    return Materialised(row.in[i], static_cast<int>(i) + 10 * static_cast<int>(example), 0).to_contiguous();
  }

  Tensor tensor(const OpCase& row, size_t i, i64 first, i64 count, bool is_batched) {
    TensorType type = row.in[i].type();
    std::vector<std::byte> bytes;
    for (i64 e = first; e < first + count; ++e) {
      const Materialised m = values(row, i, e);
      const auto* data = static_cast<const std::byte*>(m.operand().address());
      bytes.insert(bytes.end(), data, data + bytes_of(type));
    }
    if (is_batched) type.shape.insert(0, count);
    return std::move(executor_->from_host(type, bytes)).value();
  }

  std::string check(const OpDef& op, const OpCase& row, u32 mask, i64 examples) {
    Attrs attrs = std::move(parse_attrs(op, row.attrs)).value();
    std::vector<std::vector<Tensor>> single;
    for (i64 e = 0; e < examples; ++e) {
      std::vector<Tensor> in;
      for (size_t i = 0; i < row.in.size(); ++i)
        in.push_back(tensor(row, i, (mask >> i & 1u) != 0 ? e : 0, 1, false));
      auto results = executor_->apply_all(op, in, attrs);
      if (!results.ok()) return "one example: " + results.error().message;
      single.push_back(std::move(results).value());
    }
    std::vector<Tensor> in;
    for (size_t i = 0; i < row.in.size(); ++i) {
      const bool is_batched = (mask >> i & 1u) != 0;
      in.push_back(tensor(row, i, 0, is_batched ? examples : 1, is_batched));
    }
    auto all = record_batched({op, in, mask, attrs, examples, {}, record_});
    if (!all.ok()) return all.error().message;
    if (all->size() != (examples > 0 ? single[0].size() : all->size())) return "other outputs";
    for (size_t k = 0; k < all->size(); ++k) {
      if (std::string m = compare((*all)[k], single, k); !m.empty()) return m;
    }
    return "";
  }

  std::string compare(const Tensor& all, const std::vector<std::vector<Tensor>>& single, size_t k) {
    if (all.rank() == 0 || all.shape()[0] != static_cast<i64>(single.size()))
      return fmt::format("a result of {}", to_string(all.type()));
    auto got = executor_->read(all);
    if (!got.ok()) return got.error().message;
    i64 at = 0;
    for (size_t e = 0; e < single.size(); ++e) {
      TensorType type = all.type();
      type.shape.erase(0);
      if (single[e][k].type() != type)
        return fmt::format("{} of examples that give {}", to_string(all.type()),
                           to_string(single[e][k].type()));
      auto want = executor_->read(single[e][k]);
      if (!want.ok()) return "one example: " + want.error().message;
      const size_t bytes = want->bytes.size();
      if (bytes == 0) continue;
      const bool same = std::memcmp(got->bytes.data() + static_cast<size_t>(at) *
                                                            (bytes / static_cast<size_t>(numel(type.shape))),
                                    want->bytes.data(), bytes) == 0;
      const i64 n = numel(type.shape);
      for (i64 i = 0; !same && i < n; ++i) {
        const double g = got->as_double(at + i), w = want->as_double(i);
        if (g == w || (std::isnan(g) && std::isnan(w))) continue;
        return fmt::format("element {} of example {} is {}, want {}", i, e, g, w);
      }
      at += n;
    }
    return "";
  }

  std::unique_ptr<Device> device_;
  std::unique_ptr<Executor> executor_;
  RecordOp record_;
};

bool is_too_deep(const OpDef& op, const OpCase& row) {
  std::vector<TensorType> types;
  for (const In& in : row.in) types.push_back(in.type());
  auto attrs = parse_attrs(op, row.attrs);
  auto outs = infer_types(op, types, *attrs);
  for (const TensorType& out : *outs) types.push_back(out);
  return std::any_of(types.begin(), types.end(),
                     [](const TensorType& t) { return t.rank() >= kMaxRank - 1; });
}

TEST_P(Batched, IsWhatTheExamplesGiveOneByOne) {
  const auto& [name, op, cases] = GetParam();
  ASSERT_NE(cases, nullptr);
  if (op->batch.rule == nullptr) {
    EXPECT_FALSE(op->batch.why_not.empty()) << name << " has neither a batching rule nor a reason";
    GTEST_SKIP() << name << " " << op->batch.why_not;
  }
  for (const OpCase& row : cases->accepts) {
    if (!row.fails.empty() || row.in.empty() || is_too_deep(*op, row)) continue;
    std::vector<u32> masks = {(1u << row.in.size()) - 1};
    for (size_t i = 0; row.in.size() > 1 && i < row.in.size(); ++i) masks.push_back(1u << i);
    for (const u32 mask : masks) {
      for (const i64 examples : {1, 3, 0})
        EXPECT_EQ(check(*op, row, mask, examples), "")
            << row.name << " {" << row.attrs << "}, " << examples << " examples of inputs " << mask;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, Batched, testing::ValuesIn(registered()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace tl::cases
