// Every op's case table, and that every op has one.
#include <gtest/gtest.h>

#include "tests/ops/op_cases.h"

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
    EXPECT_NE(r.op->infer, nullptr) << r.name << " has no shape rule";
    if (!r.op->is_internal) {
      EXPECT_FALSE(r.op->example.empty()) << r.name << " has no example";
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
