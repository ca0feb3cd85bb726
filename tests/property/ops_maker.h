// Records ops for a program that runs: short ways to bring values to the shapes an op takes, the numbers that
// all threads share, and rows of case tables with other dims.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "tests/ops/op_cases.h"
#include "tests/property/random.h"
#include "tl/exec/executor.h"

namespace tl::property {

// Tensors that all threads of a run read: weights, and the inputs of case tables. Any thread.
class Shared {
 public:
  using Make = std::function<Tensor()>;
  Tensor get(const std::string& name, const Make& make);

 private:
  std::mutex mutex_;
  std::map<std::string, Tensor> made_;
};

// A value of `type` that could not be made: programs go on with it, as they do when a command fails.
Tensor failed_tensor(TensorType type, Error error);

class OpsMaker {
 public:
  // `alone`: every value is computed and waited for as it is recorded. `log`: a line for every op, may be
  // null.
  OpsMaker(Executor& executor, Shared& shared, bool alone, std::string* log)
      : executor_(executor), shared_(shared), alone_(alone), log_(log) {}

  // No tensor: the op refused (the same in every run), or an input was none.
  Tensor apply(const OpDef& op, std::vector<Tensor> inputs, Attrs attrs = {});
  // Attributes as case tables write them; without those that are not named.
  Tensor apply_text(const OpDef& op, std::vector<Tensor> inputs, const std::string& attrs);

  // All outputs of an op that has several; none if it refused.
  std::vector<Tensor> apply_all(const OpDef& op, std::vector<Tensor> inputs, Attrs attrs);

  // `rounds` rounds over a matrix and a vector that goes with its rows; of values alone the loop written out.
  Tensor repeat(const Tensor& x, const Tensor& v, u64 kind, i64 rounds);

  Tensor numbers(const Shape& shape, u64 seed);                   // float32 in [-1, 1)
  Tensor whole_numbers(const Shape& shape, i64 below, u64 seed);  // int32
  Tensor from_host(TensorType type, std::span<const std::byte> bytes);

  // x[..., start : start + count * step : step, ...] along `axis`.
  Tensor slice(const Tensor& x, int axis, i64 start, i64 count, i64 step = 1);
  Tensor rows(const Tensor& x, i64 start, i64 count) { return slice(x, 0, start, count); }
  // Some of its rows, as `sizes` decides: all, none, a few, every second one, backwards.
  Tensor some_rows(const Tensor& x, Random& sizes);
  Tensor reshape(const Tensor& x, std::vector<i64> shape);
  Tensor transpose(const Tensor& x);
  Tensor floats(const Tensor& x);
  // Its elements as float32[n, cols]; what does not fill a row is left out.
  Tensor matrix(const Tensor& x, i64 cols);
  // `n` of its elements, or of other numbers if it has fewer.
  Tensor vector(const Tensor& x, i64 n);
  // Cut so that they can be broadcast together.
  void agree(std::vector<Tensor>& values);
  // At most so many elements.
  Tensor bounded(const Tensor& x);
  // A weight of [n, k] of the type that `kind` decides.
  Tensor weight(u64 kind, i64 cols);

  // A row of the op's table; at some calls with other dims.
  Tensor table_row(const OpDef& op, const Tensor& value, Random structure, Random sizes);

  Executor& executor() { return executor_; }
  Shared& shared() { return shared_; }
  void say(const std::string& line) {
    if (log_ != nullptr) *log_ += line + "\n";
  }

 private:
  Result<std::vector<Tensor>> round(const std::vector<Tensor>& state, u64 kind);
  Result<std::vector<Tensor>> all_rounds(const std::vector<Tensor>& state, u64 kind, i64 rounds);
  Tensor input(const cases::In& in, int number, const std::string& row, const Tensor& value,
               Random& structure);
  Executor& executor_;
  Shared& shared_;
  const bool alone_;
  std::string* const log_;
};

// The table of an op, or null.
const cases::OpCases* cases_of(const OpDef& op);

}  // namespace tl::property
