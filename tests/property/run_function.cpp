#include "tests/property/run_function.h"

#include <algorithm>

#include "tests/runtime/test_ops.h"
#include "tl/ops/ops.h"
#include "tl/tensor/signature.h"

namespace tl::property {
namespace {

// The parameters of an op, read once.
const std::vector<ParameterText>& parameters_of(const OpDef& op) {
  static std::mutex mutex;
  static std::map<const OpDef*, std::vector<ParameterText>> known;
  const std::lock_guard lock(mutex);
  const auto it = known.find(&op);
  if (it != known.end()) return it->second;
  Result<SignatureText> text = read_signature(op.signature);
  return known[&op] = text.ok() ? std::move(text.value().params) : std::vector<ParameterText>();
}

int tensors_of(const OpDef& op) {
  const auto& params = parameters_of(op);
  return static_cast<int>(
      std::count_if(params.begin(), params.end(), [](const auto& p) { return p.kind == ParamKind::Tensor; }));
}

// One call of one function.
class FunctionRun {
 public:
  FunctionRun(OpsMaker& ops, const Program& program, std::vector<Tensor> params, Tensor& cache, u64 sizes)
      : ops_(ops), program_(program), values_(std::move(params)), cache_(cache), sizes_(sizes) {}

  std::vector<Tensor> run(const Function& function) {
    for (Tensor& t : values_) {
      Random sizes(hash_combine(sizes_, values_.size()));
      t = ops_.some_rows(ops_.matrix(t, program_.cols), sizes);
    }
    if (cache_) values_.push_back(cache_);
    for (const Step& step : function.steps) {
      Random structure(step.choice), sizes(hash_combine(step.choice, sizes_));
      step_ = {&structure, &sizes};
      Tensor result = ops_.bounded(run_step(step));
      const bool is_value = step.kind != Step::Kind::DropValue && step.kind != Step::Kind::Chain;
      if (is_value) values_.push_back(std::move(result));
    }
    if (chain_) values_.push_back(ops_.bounded(chain_));
    const auto keep = std::min(values_.size(), static_cast<size_t>(function.results));
    return {values_.end() - static_cast<std::ptrdiff_t>(keep), values_.end()};
  }

 private:
  struct Draws {
    Random* structure;
    Random* sizes;
  };
  Random& structure() { return *step_.structure; }
  Random& sizes() { return *step_.sizes; }

  // A value by the step's choice, rather a late one.
  Tensor value() {
    const i64 n = static_cast<i64>(values_.size());
    const i64 back = structure().one_in(2) ? structure().below(std::min<i64>(n, 3)) : structure().below(n);
    return values_[static_cast<size_t>(n - 1 - back)];
  }
  Tensor matrix() { return ops_.matrix(value(), program_.cols); }
  Tensor vector_of(i64 n) { return ops_.vector(value(), n); }

  Tensor run_step(const Step& step) {
    switch (step.kind) {
      case Step::Kind::Append:
        return append();
      case Step::Kind::Truncate:
        if (cache_) longer_ = cache_;
        if (cache_) cache_ = ops_.rows(cache_, 0, sizes().below(cache_.shape()[0] + 1));
        return cache_;
      case Step::Kind::Chain:
        if (!chain_) chain_ = ops_.some_rows(structure().one_in(3) || !cache_ ? matrix() : cache_, sizes());
        chain_ = ops_.apply(*step.op, {chain_});
        return {};
      case Step::Kind::Put:
        return put();
      case Step::Kind::Divide:
        return all_of(op_divide_test, matrix(), Attrs().with_float(0.25));
      case Step::Kind::Repeat:
        return ops_.repeat(matrix(), vector_of(program_.cols), structure().next(), sizes().between(1, 6));
      case Step::Kind::DropValue:
        values_[static_cast<size_t>(structure().below(static_cast<i64>(values_.size())))] = {};
        return {};
      case Step::Kind::TableRow:
        return ops_.table_row(*step.op, value(), structure(), sizes());
      case Step::Kind::Op:
        return run_op(*step.op);
    }
    return {};
  }

  Tensor append() {
    // Now and then what a truncated cache held itself, which may lie where it is to go.
    const bool own = longer_ && structure().one_in(3);
    Tensor rows = ops_.some_rows(own ? longer_ : matrix(), sizes());
    if (sizes().one_in(3) && rows) rows = ops_.rows(rows, 0, std::min<i64>(rows.shape()[0], 1));
    const Tensor grown = ops_.apply(op_append_rows, {cache_, rows});
    if (grown) cache_ = grown;
    return cache_;
  }

  // Some columns behind the first few of each row; at times of the very tensor that they go into.
  Tensor append_sequences() {
    Tensor x = matrix();
    const Tensor all = ops_.shared().get("places", [&] { return ops_.whole_numbers({64}, 4, 6); });
    if (!x || !all) return {};
    const i64 count = std::min<i64>(x.shape()[0], 40), given = sizes().below(9);
    if (x.shape()[0] > count) x = ops_.rows(x, 0, count);
    const Tensor from = structure().one_in(3) ? x : ops_.rows(matrix(), 0, count);
    if (!x || !from || from.shape()[0] != count) return {};
    const Tensor rows = ops_.slice(from, 1, sizes().below(10), given);
    const Tensor lengths = ops_.rows(all, sizes().below(20), count);
    const Tensor counts = ops_.rows(all, sizes().below(20), count);
    return ops_.apply(op_append_sequences, {x, rows, lengths, counts});
  }

  Tensor put() {
    const Tensor x = matrix();
    if (!x) return x;
    const i64 at = sizes().below(numel(x.shape()));
    return ops_.apply(op_put_test, {x, ops_.vector(value(), 1)}, Attrs().with_int(at));
  }

  Tensor run_op(const OpDef& op) {
    if (op.kind == OpKind::View) return view(op);
    if (op.kind == OpKind::Elementwise) return elementwise(op);
    if (&op == &op_matmul) return matmul();
    if (&op == &op_linear) return linear();
    if (&op == &op_attention) return attention();
    if (&op == &op_concat) return concat();
    if (&op == &op_append_rows) return ops_.apply(op, {matrix(), ops_.some_rows(matrix(), sizes())});
    if (&op == &op_append_sequences) return append_sequences();
    if (&op == &op_index_select || &op == &op_gather || &op == &op_embedding) return pick(op);
    if (&op == &op_rms_norm || &op == &op_layer_norm_affine) return norm(op);
    if (tensors_of(op) == 1 && !op.is_internal) return of_one(op);
    return ops_.table_row(op, value(), structure(), sizes());
  }

  // --- views ---

  Tensor view(const OpDef& op) {
    const Tensor x = value();
    if (!x) return x;
    if (&op == &op_index) return index(x);
    if (&op == &op_reshape) {
      const Tensor m = matrix();
      if (!m) return m;
      const i64 n = m.shape()[0], c = m.shape()[1];
      return structure().one_in(2) ? ops_.reshape(m, {n, 4, c / 4}) : ops_.reshape(m, {c, n});
    }
    if (&op == &op_permute) {
      if (x.rank() == 3) return ops_.apply(op, {x}, Attrs().with_ints({1, 0, 2}));
      if (x.rank() == 2) return ops_.apply(op, {x}, Attrs().with_ints({1, 0}));
      return x;
    }
    if (&op == &op_broadcast_to) {
      const Tensor m = matrix();
      if (!m) return m;
      if (structure().one_in(2))
        return ops_.apply(op, {m}, Attrs().with_ints({sizes().below(4), m.shape()[0], m.shape()[1]}));
      return ops_.apply(op, {ops_.vector(m, program_.cols)},
                        Attrs().with_ints({sizes().below(40), program_.cols}));
    }
    if (&op == &op_transpose) return x.rank() < 2 ? x : ops_.transpose(x);
    if (&op == &op_unsqueeze)
      return x.rank() > 3
                 ? x
                 : ops_.apply_text(op, {x}, fmt::format("axis: {}", structure().between(-1, x.rank())));
    return ops_.apply_text(op, {x}, "");
  }

  Tensor index(const Tensor& x) {
    if (x.rank() == 0) return x;
    if (structure().one_in(2)) return ops_.some_rows(x, sizes());
    const int axis = static_cast<int>(structure().below(x.rank()));
    const i64 n = x.shape()[axis];
    if (n == 0) return x;
    if (structure().one_in(4)) return drop_axis(x, axis, sizes().below(n));
    const i64 start = sizes().below(n), step = structure().pick<i64>({1, 1, 2, -1, -3});
    const i64 room = step > 0 ? (n - 1 - start) / step : start / -step;
    return ops_.slice(x, axis, start, sizes().between(structure().one_in(4) ? 0 : 1, room + 1), step);
  }

  Tensor drop_axis(const Tensor& x, int axis, i64 at) {
    std::vector<i64> ranges;
    for (int i = 0; i < x.rank(); ++i) {
      const bool here = i == axis;
      for (const i64 n : {here ? at : 0, here ? 1 : x.shape()[i], i64{1}, i64{here}}) ranges.push_back(n);
    }
    return ops_.apply(op_index, {x}, Attrs().with_ints(std::move(ranges)));
  }

  // --- kernels ---

  Tensor elementwise(const OpDef& op) {
    std::vector<Tensor> in;
    for (int i = 0, n = tensors_of(op); i < n; ++i) {
      const bool is_number = i > 0 && structure().one_in(4);
      in.push_back(is_number ? scalar_tensor(static_cast<double>(structure().between(-4, 8)) / 4, DType::F32)
                             : value());
    }
    ops_.agree(in);
    if (&op == &op_cast) {
      return ops_.apply(op, in,
                        Attrs().with_dtype(
                            structure().pick({DType::F32, DType::F16, DType::BF16, DType::I32, DType::F64})));
    }
    return ops_.apply_text(op, in, "");
  }

  // Of an even number of rows: heads, the rows of one behind those of the other.
  Tensor heads(const Tensor& m) { return m ? ops_.reshape(m, {m.shape()[0], 4, program_.cols / 4}) : m; }

  Tensor matmul() {
    const Tensor a = matrix(), b = matrix();
    if (!a || !b) return {};
    switch (structure().below(4)) {
      case 0:  // of heads
        return ops_.apply(op_matmul, {ops_.apply(op_permute, {heads(a)}, Attrs().with_ints({1, 0, 2})),
                                      ops_.apply(op_permute, {heads(b)}, Attrs().with_ints({1, 2, 0}))});
      case 1: {  // the sum runs over as many rows as both have
        const i64 n = std::min(a.shape()[0], b.shape()[0]);
        return ops_.apply(op_matmul, {ops_.transpose(ops_.rows(a, 0, n)), ops_.rows(b, b.shape()[0] - n, n)});
      }
      case 2:
        return ops_.apply(op_matmul,
                          {a, ops_.weight(0, program_.cols)
                                  ? ops_.transpose(ops_.weight(structure().next() / 8 * 8, program_.cols))
                                  : Tensor()});
      default:
        return ops_.apply(op_matmul, {a, ops_.transpose(b)});
    }
  }

  Tensor linear() {
    Tensor w = ops_.weight(structure().next(), program_.cols);
    if (w && structure().one_in(3)) {
      const i64 start = sizes().below(w.shape()[0]);
      const i64 step = structure().pick<i64>({1, 2, 3}), room = (w.shape()[0] - 1 - start) / step + 1;
      w = ops_.slice(w, 0, start, sizes().between(0, room), step);
    }
    return ops_.apply(op_linear, {matrix(), w});
  }

  Tensor attention() {
    const Tensor q = heads(matrix()), k = heads(structure().one_in(2) && cache_ ? cache_ : matrix());
    const Tensor v = structure().one_in(2) ? k : ops_.apply(op_neg, {k});
    if (!q || !k || !v) return {};
    const i64 n = q.shape()[0];
    const Tensor all = ops_.shared().get("positions", [&] { return ops_.whole_numbers({4096}, 900, 5); });
    if (!all || n > 4000) return {};
    const Tensor at = ops_.rows(all, sizes().below(90), n);
    const Tensor y = ops_.apply_text(op_attention, {q, k, v, at},
                                     fmt::format("scale: 0.4, window: {}", structure().one_in(3) ? 7 : 0));
    return y ? ops_.reshape(y, {n, program_.cols}) : y;
  }

  Tensor concat() {
    std::vector<Tensor> in{matrix(), matrix()};
    if (structure().one_in(2)) return ops_.apply(op_concat, in, Attrs().with_int(0));
    ops_.agree(in);
    if (in[0] && in[1] && in[0].shape() != in[1].shape()) return {};
    return ops_.apply(op_concat, in, Attrs().with_int(-1));
  }

  Tensor pick(const OpDef& op) {
    const Tensor x = matrix();
    const Tensor all = ops_.shared().get("places", [&] { return ops_.whole_numbers({64}, 4, 6); });
    if (!x || !all) return {};
    const i64 start = sizes().below(30), count = sizes().below(30);
    const Tensor at = ops_.rows(all, start, count);
    if (&op == &op_embedding) return ops_.apply(op, {x, at});
    if (&op == &op_index_select) return ops_.apply(op, {x, at}, Attrs().with_int(structure().below(2)));
    const Tensor wide = ops_.apply(op_broadcast_to, {ops_.reshape(at, {count, 1})},
                                   Attrs().with_ints({count, program_.cols}));
    return ops_.apply(op, {x, wide}, Attrs().with_int(0));
  }

  Tensor norm(const OpDef& op) {
    const Tensor x = matrix(), w = ops_.vector(value(), program_.cols);
    if (&op == &op_rms_norm) return ops_.apply_text(op, {x, w}, "");
    return ops_.apply_text(op, {x, w, ops_.vector(value(), program_.cols)}, "");
  }

  // Of one tensor and numbers, which are drawn by their names.
  Tensor of_one(const OpDef& op) {
    const Tensor x = value();
    if (!x) return x;
    std::string text;
    for (const ParameterText& p : parameters_of(op)) {
      std::string given;
      if (p.name == "axis" && x.rank() > 0)
        given = fmt::format("{}", structure().between(-x.rank(), x.rank() - 1));
      if (p.name == "k")
        given = fmt::format("{}", sizes().between(1, std::max<i64>(1, x.rank() > 0 ? x.shape().back() : 1)));
      if (p.name == "p" || p.name == "t") given = "0.75";
      if (p.name == "descending") given = structure().one_in(2) ? "true" : "false";
      if (given.empty() && !p.is_optional && p.kind != ParamKind::Tensor)
        return ops_.table_row(op, x, structure(), sizes());
      if (!given.empty()) text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", p.name, given);
    }
    if (op.infer_outputs == nullptr) return ops_.apply_text(op, {x}, text);
    Result<Attrs> attrs = cases::parse_attrs(op, text);
    return attrs.ok() ? all_of(op, x, std::move(attrs).value()) : Tensor();
  }

  // An op with several outputs: one is the step's value, another may be one too, the rest is dropped.
  Tensor all_of(const OpDef& op, const Tensor& x, Attrs attrs) {
    const std::vector<Tensor> all = ops_.apply_all(op, {x}, std::move(attrs));
    const bool both = structure().one_in(2), last = structure().one_in(2);
    if (both) values_.push_back(all.empty() ? Tensor() : ops_.bounded(last ? all.front() : all.back()));
    return all.empty() ? Tensor() : last ? all.back() : all.front();
  }

  OpsMaker& ops_;
  const Program& program_;
  std::vector<Tensor> values_;
  Tensor& cache_;
  Tensor chain_, longer_;
  const u64 sizes_;
  Draws step_{};
};

}  // namespace

std::vector<Tensor> run_function(OpsMaker& ops, const Program& program, const Function& function,
                                 std::vector<Tensor> params, Tensor& cache, u64 sizes) {
  return FunctionRun(ops, program, std::move(params), cache, sizes).run(function);
}

}  // namespace tl::property
