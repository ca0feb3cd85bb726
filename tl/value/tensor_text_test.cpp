// The layout of tensors against what NumPy prints (precision=4, floatmode="fixed", suppress=True).
#include <gtest/gtest.h>

#include "tl/device/kernel.h"
#include "tl/value/text.h"

namespace tl::lang {
namespace {

HostTensor make(DType dtype, const Shape& shape, double (*at)(double i)) {
  HostTensor t{{dtype, shape}, std::vector<std::byte>(static_cast<size_t>(numel(shape) * size_of(dtype)))};
  for (i64 i = 0; i < numel(shape); ++i)
    store_from_double(dtype, t.bytes.data(), i, at(static_cast<double>(i)));
  return t;
}

struct Case {
  DType dtype;
  Shape shape;
  double (*at)(double i);
  const char* values;
};

TEST(TensorText, IsNumPysLayout) {
  const Case cases[] = {
      {DType::F64,
       {2, 3},
       [](double i) { return i * 1.5 - 2; },
       R"([[-2.0000 -0.5000  1.0000]
 [ 2.5000  4.0000  5.5000]])"},
      {DType::F64,
       {30},
       [](double i) { return i * 100.25; },
       R"([   0.0000  100.2500  200.5000  300.7500  401.0000  501.2500  601.5000
  701.7500  802.0000  902.2500 1002.5000 1102.7500 1203.0000 1303.2500
 1403.5000 1503.7500 1604.0000 1704.2500 1804.5000 1904.7500 2005.0000
 2105.2500 2205.5000 2305.7500 2406.0000 2506.2500 2606.5000 2706.7500
 2807.0000 2907.2500])"},
      {DType::F64,
       {2, 3, 4},
       [](double i) { return i / 7; },
       R"([[[0.0000 0.1429 0.2857 0.4286]
  [0.5714 0.7143 0.8571 1.0000]
  [1.1429 1.2857 1.4286 1.5714]]

 [[1.7143 1.8571 2.0000 2.1429]
  [2.2857 2.4286 2.5714 2.7143]
  [2.8571 3.0000 3.1429 3.2857]]])"},
      {DType::I64,
       {3, 4},
       [](double i) { return i * -37; },
       R"([[   0  -37  -74 -111]
 [-148 -185 -222 -259]
 [-296 -333 -370 -407]])"},
      {DType::F64,
       {30, 40},
       [](double i) { return i * 0.5; },
       R"([[  0.0000   0.5000   1.0000 ...  18.5000  19.0000  19.5000]
 [ 20.0000  20.5000  21.0000 ...  38.5000  39.0000  39.5000]
 [ 40.0000  40.5000  41.0000 ...  58.5000  59.0000  59.5000]
 ...
 [540.0000 540.5000 541.0000 ... 558.5000 559.0000 559.5000]
 [560.0000 560.5000 561.0000 ... 578.5000 579.0000 579.5000]
 [580.0000 580.5000 581.0000 ... 598.5000 599.0000 599.5000]])"},
      {DType::I64, {2000}, [](double i) { return i; }, R"([   0    1    2 ... 1997 1998 1999])"},
  };
  for (const Case& c : cases) {
    const std::string suffix = fmt::format(" shape={} {}", to_string(c.shape), tl::name_of(c.dtype));
    EXPECT_EQ(tensor_text(make(c.dtype, c.shape, c.at)), c.values + suffix);
  }
}

TEST(TensorText, OfNothingIsEmptyBrackets) {
  EXPECT_EQ(tensor_text(make(DType::F32, {0, 3}, [](double i) { return i; })), "[] shape=[0, 3] float32");
}

TEST(TensorText, UsesExponentsWhereDigitsWouldNotBeRead) {
  EXPECT_EQ(tensor_text(make(DType::F32, {2}, [](double i) { return i * 1e30; })),
            "[0.0000e+00 1.0000e+30] shape=[2] float32");
}

}  // namespace
}  // namespace tl::lang
