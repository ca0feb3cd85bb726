#include "tests/property/ops_maker.h"

#include <algorithm>

#include "tests/ops/materialised.h"
#include "tests/runtime/test_ops.h"
#include "tl/exec/repeat.h"

namespace tl::property {
namespace {

constexpr i64 kMostElements = 60'000;

std::string text_of(const Attrs& attrs) {
  std::string text;
  for (int i = 0; i < attrs.count(); ++i) text += fmt::format(" {}", attrs.int_at(i));
  if (!attrs.ints().empty()) text += fmt::format(" [{}]", fmt::join(attrs.ints(), ", "));
  return text + (attrs.text().empty() ? "" : " " + attrs.text());
}

}  // namespace

Tensor Shared::get(const std::string& name, const Make& make) {
  const std::lock_guard lock(mutex_);
  Tensor& t = made_[name];
  if (!t || t->state == NodeState::Failed) t = make();
  return t;
}

Tensor failed_tensor(TensorType type, Error error) {
  Tensor t(new Node);
  t->type = std::move(type);
  t->state = NodeState::Failed;
  t->failure = make_failure(std::move(error));
  return t;
}

Tensor OpsMaker::apply(const OpDef& op, std::vector<Tensor> inputs, Attrs attrs) {
  std::string line = fmt::format("    {}{} of", op.name, text_of(attrs));
  for (const Tensor& t : inputs) {
    if (!t) return {};
    line += " " + to_string(t.type());
  }
  std::vector<TensorType> types;
  for (const Tensor& t : inputs) types.push_back(t.type());
  const Result<TensorType> type = op.infer(InferContext(types, attrs));
  Result<Tensor> result = executor_.apply(op, inputs, std::move(attrs));
  if (!result.ok()) {
    say(line + ": " + result.error().message);
    if (!type.ok()) return {};
    return failed_tensor(type.value(), result.error());
  }
  say(line + " -> " + to_string(result.value().type()));
  if (alone_) (void)executor_.wait(result.value()).ok();  // whoever reads it hears of a failure
  return std::move(result).value();
}

Tensor OpsMaker::apply_text(const OpDef& op, std::vector<Tensor> inputs, const std::string& text) {
  Result<Attrs> attrs = cases::parse_attrs(op, text);
  if (!attrs.ok()) return {};
  return apply(op, std::move(inputs), std::move(attrs).value());
}

std::vector<Tensor> OpsMaker::apply_all(const OpDef& op, std::vector<Tensor> inputs, Attrs attrs) {
  std::string line = fmt::format("    {}{} of", op.name, text_of(attrs));
  std::vector<TensorType> given;
  for (const Tensor& t : inputs) {
    if (!t) return {};
    line += " " + to_string(t.type());
    given.push_back(t.type());
  }
  say(line);
  const OutputTypes none;
  const Result<OutputTypes> types = op.infer_outputs(InferContext(given, attrs));
  Result<std::vector<Tensor>> all = executor_.apply_all(op, inputs, std::move(attrs));
  std::vector<Tensor> outputs;
  for (const TensorType& type : types.ok() ? types.value() : none) {
    outputs.push_back(all.ok() ? all.value()[outputs.size()] : failed_tensor(type, all.error()));
    if (alone_) (void)executor_.wait(outputs.back()).ok();
  }
  return outputs;
}

// A matrix, a vector and how many rounds are left; then the count.
Result<std::vector<Tensor>> OpsMaker::round(const std::vector<Tensor>& state, u64 kind) {
  const auto op = [&](const OpDef& def, std::vector<Tensor> in, Attrs attrs = {}) {
    return executor_.apply(def, in, std::move(attrs));
  };
  Tensor x = state[0], v = state[1];
  if ((kind & 1) != 0) {
    TL_TRY(x, op(op_softmax, {x}, Attrs().with_int(-1)));
  }
  if ((kind & 2) != 0) {
    TL_TRY(x, op(op_set_item, {x, v},
                 Attrs().with_ints({0, std::min<i64>(x.shape()[0], 1), 1, 0, 0, x.shape()[1], 1, 0})));
  }
  if ((kind & 4) != 0) {
    TL_TRY(const Tensor sum, op(op_add, {x, v}));
    TL_TRY(x, op(op_tanh, {sum}));
  }
  if ((kind & 8) != 0) {
    TL_TRY(const Tensor turned, op(op_transpose, {x}, Attrs().with_int(0).with_int(1)));
    TL_TRY(const Tensor gram, op(op_matmul, {turned, x}));
    TL_TRY(v, op(op_sum, {gram}, Attrs().with_ints({0}).with_bool(false)));
    TL_TRY(v, op(op_sigmoid, {v}));
  }
  if ((kind & 16) != 0) {
    TL_TRY(v, op(op_put_test, {v, state[1]}, Attrs().with_int(0)));
  }
  TL_TRY(const Tensor left, op(op_sub, {state[2], scalar_tensor(i64{1}, DType::I64)}));
  if ((kind & 32) != 0) {  // each is made of the other
    TL_TRY(const Tensor row, op(op_sum, {x}, Attrs().with_ints({0}).with_bool(false)));
    TL_TRY(x, op(op_mul, {x, v}));
    v = row;
  }
  return std::vector<Tensor>{x, v, left, left};
}

Result<std::vector<Tensor>> OpsMaker::all_rounds(const std::vector<Tensor>& start, u64 kind, i64 rounds) {
  if (alone_) {
    std::vector<Tensor> state = start;
    for (i64 i = 0; i < rounds; ++i) {
      TL_TRY(state, round(state, kind));
      TL_TRY_DO(executor_.submit(state));
    }
    return state;
  }
  std::unique_ptr<Trace> body;
  {
    RoundRecorder recorder(executor_, {});
    TL_TRY_DO(recorder.begin(start));
    TL_TRY(std::vector<Tensor> next, round(recorder.state(), kind));
    Tensor count = next.back();
    next.pop_back();
    TL_TRY(body, recorder.finish(std::move(next), std::move(count)));
  }
  return executor_.repeat(std::move(body), start, 1000);
}

Tensor OpsMaker::repeat(const Tensor& x, const Tensor& v, u64 kind, i64 rounds) {
  if (!x || !v) return {};
  say(fmt::format("    {} rounds {} of {} and {}", rounds, kind & 63, to_string(x.type()),
                  to_string(v.type())));
  const Tensor left = from_host({DType::I64, {}}, std::as_bytes(std::span(&rounds, 1)));
  Result<std::vector<Tensor>> state = all_rounds({x, v, left}, kind, rounds);
  if (!state.ok()) return failed_tensor(x.type(), state.error());
  if (alone_) (void)executor_.wait(state.value()[0]).ok();
  return state.value()[0];
}

Tensor OpsMaker::from_host(TensorType type, std::span<const std::byte> bytes) {
  Result<Tensor> made = executor_.from_host(type, bytes);
  return made.ok() ? std::move(made).value() : failed_tensor(std::move(type), made.error());
}

Tensor OpsMaker::numbers(const Shape& shape, u64 seed) {
  Random random(seed);
  std::vector<float> values(static_cast<size_t>(numel(shape)));
  for (float& v : values) v = static_cast<float>(random.below(1 << 24)) / 8388608.0f - 1.0f;
  return from_host({DType::F32, shape}, std::as_bytes(std::span(values)));
}

Tensor OpsMaker::whole_numbers(const Shape& shape, i64 below, u64 seed) {
  Random random(seed);
  std::vector<i32> values(static_cast<size_t>(numel(shape)));
  for (i32& v : values) v = static_cast<i32>(random.below(below));
  return from_host({DType::I32, shape}, std::as_bytes(std::span(values)));
}

Tensor OpsMaker::slice(const Tensor& x, int axis, i64 start, i64 count, i64 step) {
  if (!x || axis >= x.rank()) return {};
  std::vector<i64> ranges;
  for (int i = 0; i < x.rank(); ++i) {
    const bool here = i == axis;
    for (const i64 n : {here ? start : 0, here ? count : x.shape()[i], here ? step : 1, i64{0}})
      ranges.push_back(n);
  }
  return apply(op_index, {x}, Attrs().with_ints(std::move(ranges)));
}

Tensor OpsMaker::some_rows(const Tensor& x, Random& sizes) {
  if (!x || x.rank() == 0) return x;
  const i64 n = x.shape()[0];
  switch (sizes.below(8)) {
    case 0:
      return rows(x, 0, n);
    case 1:
      return rows(x, n / 2, 0);
    case 2:
      return slice(x, 0, 0, (n + 1) / 2, 2);
    case 3:
      return slice(x, 0, std::max<i64>(n - 1, 0), n, -1);
    default:
      const i64 start = sizes.below(n);
      return rows(x, start, sizes.between(0, n - start));
  }
}

Tensor OpsMaker::reshape(const Tensor& x, std::vector<i64> shape) {
  return apply(op_reshape, {x}, Attrs().with_ints(std::move(shape)));
}

Tensor OpsMaker::transpose(const Tensor& x) {
  return apply(op_transpose, {x}, Attrs().with_int(-2).with_int(-1));
}

Tensor OpsMaker::floats(const Tensor& x) {
  if (!x || x.dtype() == DType::F32) return x;
  if (is_quantised(x.dtype())) return apply(op_dequantize, {x});
  return apply(op_cast, {x}, Attrs().with_dtype(DType::F32));
}

Tensor OpsMaker::matrix(const Tensor& x, i64 cols) {
  const Tensor f = floats(x);
  if (!f || (f.rank() == 2 && f.shape()[1] == cols)) return f;
  const i64 n = numel(f.shape()) / cols;
  return reshape(rows(apply(op_flatten, {f}), 0, n * cols), {n, cols});
}

Tensor OpsMaker::vector(const Tensor& x, i64 n) {
  if (x && numel(x.shape()) >= n) return rows(apply(op_flatten, {floats(x)}), 0, n);
  const Tensor more =
      shared_.get(fmt::format("vector {}", n), [&] { return numbers({std::max<i64>(n, 1)}, 77); });
  return more ? rows(more, 0, n) : more;
}

void OpsMaker::agree(std::vector<Tensor>& values) {
  int rank = 0;
  for (const Tensor& t : values) rank = std::max(rank, t ? t.rank() : 0);
  for (int back = 1; back <= rank; ++back) {
    i64 least = -1;
    for (const Tensor& t : values) {
      if (!t || t.rank() < back) continue;
      const i64 dim = t.shape()[t.rank() - back];
      if (dim != 1 && (least < 0 || dim < least)) least = dim;
    }
    for (Tensor& t : values) {
      if (!t || t.rank() < back) continue;
      const i64 dim = t.shape()[t.rank() - back];
      if (dim != 1 && dim != least) t = slice(t, t.rank() - back, dim - least, least);
    }
  }
}

Tensor OpsMaker::bounded(const Tensor& x) {
  if (!x || numel(x.shape()) <= kMostElements) return x;
  if (is_quantised(x.dtype())) return {};
  return rows(apply(op_flatten, {x}), 0, kMostElements);
}

Tensor OpsMaker::weight(u64 kind, i64 cols) {
  constexpr DType kTypes[] = {DType::F32, DType::F32, DType::F16, DType::Q8_0, DType::Q4_0};
  const DType dtype = kTypes[kind % std::size(kTypes)];
  const i64 count = kind / 8 % 2 == 0 ? 48 : 600;  // the large ones are worth keeping converted
  return shared_.get(fmt::format("weight {} {} {}", name_of(dtype), count, cols), [&] {
    const cases::In in = cases::In(dtype, {count, cols});
    cases::Materialised values(in, static_cast<int>(count), 0);
    return from_host(in.type(),
                     std::span(values.memory().data(), static_cast<size_t>(values.memory().size())));
  });
}

}  // namespace tl::property
