// Every op's case table, and that every op has one.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/ops/op_cases.h"
#include "tl/tensor/signature.h"

namespace tl::cases {
namespace {

struct Registered {
  std::string name;
  const OpDef* op;
  const OpCases* cases;  // null: there is no table
};

std::vector<Registered> registered() {
  return {
#define TL_OP(name) {#name, &op_##name, &cases_##name},
#include "tl/ops/ops.def"
#undef TL_OP
  };
}

TEST(OpCoverage, EveryOpHasCases) {
  for (const Registered& r : registered()) {
    if (r.cases == nullptr) {
      ADD_FAILURE() << "no `const OpCases cases_" << r.name << "` in tl/ops/*/*_cases.cpp";
      continue;
    }
    EXPECT_EQ(&r.cases->op, r.op) << "cases_" << r.name << " is about another op";
    EXPECT_TRUE(!r.cases->accepts.empty() || !r.cases->tested_in.empty())
        << "cases_" << r.name << " is empty";
    if (!r.cases->tested_in.empty()) {
      EXPECT_TRUE(r.op->is_internal) << r.name << ": a callable op needs cases";
    }
  }
}

TEST(OpCoverage, EveryOpIsDescribed) {
  for (const Registered& r : registered()) {
    EXPECT_EQ(r.op->name, r.name);
    EXPECT_FALSE(r.op->signature.empty()) << r.name << " has no signature";
    EXPECT_FALSE(r.op->doc.empty()) << r.name << " has no doc";
    EXPECT_NE(r.op->infer == nullptr, r.op->infer_outputs == nullptr) << r.name << " wants one shape rule";
    if (!r.op->is_internal) {
      EXPECT_FALSE(r.op->example.empty()) << r.name << " has no example";
    }
  }
}

// What no case tries, a wrong line in a kernel survives: inputs that lie apart together with more elements
// than any kernel holds at once.
TEST(OpCoverage, EveryOpReadsStridedInputsLongerThanATile) {
  for (const Registered& r : registered()) {
    if (r.cases == nullptr || !r.cases->tested_in.empty() || r.op->kind == OpKind::View) continue;
    if (r.op->layout == Layout::Contiguous) continue;
    const auto is_such = [](const In& in) {
      const Shape dims = in.type().shape;
      return in.is_strided() && !dims.empty() && *std::max_element(dims.begin(), dims.end()) > 512;
    };
    const auto has_such = [&](const OpCase& row) {
      return std::any_of(row.in.begin(), row.in.end(), is_such);
    };
    const auto& rows = r.cases->accepts;
    EXPECT_TRUE(std::any_of(rows.begin(), rows.end(), has_such))
        << r.name << " has no case with a strided input and more than 512 places along an axis";
  }
}

// A kernel that keeps something between calls must not keep it for another attribute.
TEST(OpCoverage, EveryAttributeHasTwoValues) {
  for (const Registered& r : registered()) {
    if (r.cases == nullptr || !r.cases->tested_in.empty()) continue;
    const Result<SignatureText> signature = read_signature(r.op->signature);
    ASSERT_TRUE(signature.ok()) << r.name;
    for (const ParameterText& p : signature.value().params) {
      if (p.kind == ParamKind::Tensor) continue;
      std::set<std::string> values;
      for (const OpCase& row : r.cases->accepts) {
        const std::string given = ", " + row.attrs;
        const size_t at = given.find(", " + p.name + ":");
        values.insert(at == std::string::npos ? "" : given.substr(at, given.find(", ", at + 2) - at));
      }
      EXPECT_GT(values.size(), 1u) << r.name << " is tried with one value of '" << p.name << "'";
    }
  }
}

class OpCaseTest : public testing::TestWithParam<Registered> {};

TEST_P(OpCaseTest, AllRows) {
  if (GetParam().cases == nullptr) GTEST_SKIP() << "no cases";
  const OpCases& table = *GetParam().cases;
  for (const OpCase& row : table.accepts)
    EXPECT_EQ(run_case(table.op, row), "") << row.name << " {" << row.attrs << "}";
  for (const OpReject& row : table.rejects)
    EXPECT_EQ(run_reject(table.op, row), "") << row.name << " {" << row.attrs << "}";
}

INSTANTIATE_TEST_SUITE_P(Ops, OpCaseTest, testing::ValuesIn(registered()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace tl::cases
