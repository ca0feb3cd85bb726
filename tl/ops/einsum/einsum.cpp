#include "tl/ops/einsum/einsum.h"

#include <algorithm>
#include <bit>

#include "tl/ops/einsum/einsum_spec.h"
#include "tl/ops/ops.h"

namespace tl {
namespace {

// A tensor whose axes have labels, in the order of its axes.
struct Labelled {
  Tensor tensor;
  Labels labels;

  LabelSet set() const { return set_of(labels); }
  int axis_of(int label) const {
    return static_cast<int>(std::find(labels.begin(), labels.end(), label) - labels.begin());
  }
  i64 size(int label) const { return tensor.shape()[axis_of(label)]; }
};

Labels only(const Labels& labels, LabelSet set) {
  Labels kept;
  std::copy_if(labels.begin(), labels.end(), std::back_inserter(kept),
               [&](int l) { return contains(set, l); });
  return kept;
}

void append(Labels& to, const Labels& more) {
  to.insert(to.end(), more.begin(), more.end());
}

// Records the steps; every method returns a new labelled tensor and records nothing where nothing changes.
class Steps {
 public:
  Steps(const ApplyOp& apply, const EinsumSpec& spec) : apply_(apply), spec_(spec) {}

  Result<Labelled> permuted(const Labelled& x, const Labels& order) const {
    if (order == x.labels) return x;
    std::vector<i64> axes;
    for (const int l : order) axes.push_back(x.axis_of(l));
    TL_TRY(Tensor t, apply_(op_permute, std::span(&x.tensor, 1), Attrs().with_ints(std::move(axes))));
    return Labelled{std::move(t), order};
  }

  Result<Tensor> reshaped(const Tensor& x, std::vector<i64> dims) const {
    if (dims.size() > static_cast<size_t>(kMaxRank)) {
      return fail(Code::BadProgram, "a step of this sum needs {} axes, more than {}", dims.size(), kMaxRank);
    }
    if (std::equal(dims.begin(), dims.end(), x.shape().begin(), x.shape().end())) return x;
    return apply_(op_reshape, std::span(&x, 1), Attrs().with_ints(std::move(dims)));
  }

  // One input as the steps want it: no truth values, no quantised blocks unless a linear step can take them,
  // no axis that `...` stretches, no label twice.
  Result<Labelled> prepared(const Tensor& input, const Labels& labels) const {
    Labelled x{input, labels};
    if (x.tensor.dtype() == DType::Bool) {
      TL_TRY(x.tensor, apply_(op_cast, std::span(&x.tensor, 1), Attrs().with_dtype(DType::I64)));
    }
    TL_TRY(x, without_stretched(x));
    for (;;) {
      const auto twice = std::find_if(x.labels.begin(), x.labels.end(), [&](int l) {
        return std::count(x.labels.begin(), x.labels.end(), l) > 1;
      });
      if (twice == x.labels.end()) return x;
      TL_TRY(x, diagonal(x, *twice));
    }
  }

  // Sums over the axes whose labels are not in `kept`.
  Result<Labelled> summed(const Labelled& x, LabelSet kept) const {
    std::vector<i64> axes;
    for (size_t i = 0; i < x.labels.size(); ++i) {
      if (!contains(kept, x.labels[i])) axes.push_back(static_cast<i64>(i));
    }
    if (axes.empty()) return x;
    TL_TRY(Tensor t,
           apply_(op_sum, std::span(&x.tensor, 1), Attrs().with_ints(std::move(axes)).with_bool(false)));
    return Labelled{std::move(t), only(x.labels, kept)};
  }

  Result<Labelled> contracted(const Labelled& left, const Labelled& right, LabelSet kept) const;

  // Quantised blocks as float32.
  Result<Labelled> plain(const Labelled& x) const;

 private:
  Result<Labelled> without_stretched(const Labelled& x) const;
  Result<Labelled> diagonal(const Labelled& x, int label) const;
  Result<Labelled> multiplied(const Labelled& a, const Labelled& b) const;
  Result<Labelled> by_linear(const Labelled& x, const Labelled& weight) const;
  Result<Labelled> by_matmul(const Labelled& a, const Labelled& b, LabelSet kept) const;

  const ApplyOp& apply_;
  const EinsumSpec& spec_;
};

// An axis of 1 under `...` that is longer in another input is left out: the steps broadcast by labels.
Result<Labelled> Steps::without_stretched(const Labelled& x) const {
  Labels labels;
  std::vector<i64> dims;
  for (size_t i = 0; i < x.labels.size(); ++i) {
    const int l = x.labels[i];
    const i64 dim = x.tensor.shape()[static_cast<int>(i)];
    if (l >= kEllipsis && dim == 1 && spec_.size[static_cast<size_t>(l)] != 1) continue;
    labels.push_back(l);
    dims.push_back(dim);
  }
  TL_TRY(Tensor t, reshaped(x.tensor, std::move(dims)));
  return Labelled{std::move(t), std::move(labels)};
}

// Two axes of one label become one: as neighbours of n they are n * n numbers, of which every n + 1-th is
// wanted.
Result<Labelled> Steps::diagonal(const Labelled& x, int label) const {
  TL_TRY(const Labelled y, plain(x));
  std::vector<i64> axes, dims, ranges;
  Labels labels;
  std::vector<i64> pair;
  for (size_t i = 0; i < y.labels.size(); ++i) {
    if (y.labels[i] == label && pair.size() < 2) {
      pair.push_back(static_cast<i64>(i));
      continue;
    }
    axes.push_back(static_cast<i64>(i));
    dims.push_back(y.tensor.shape()[static_cast<int>(i)]);
    labels.push_back(y.labels[i]);
    ranges.insert(ranges.end(), {0, dims.back(), 1, 0});
  }
  const i64 n = y.tensor.shape()[static_cast<int>(pair[0])];
  axes.insert(axes.end(), pair.begin(), pair.end());
  dims.push_back(n * n);
  labels.push_back(label);
  ranges.insert(ranges.end(), {0, n, n + 1, 0});
  TL_TRY(const Tensor moved, apply_(op_permute, std::span(&y.tensor, 1), Attrs().with_ints(std::move(axes))));
  TL_TRY(const Tensor flat, reshaped(moved, std::move(dims)));
  TL_TRY(Tensor t, apply_(op_index, std::span(&flat, 1), Attrs().with_ints(std::move(ranges))));
  return Labelled{std::move(t), std::move(labels)};
}

Result<Labelled> Steps::plain(const Labelled& x) const {
  if (!is_quantised(x.tensor.dtype())) return x;
  TL_TRY(Tensor t, apply_(op_cast, std::span(&x.tensor, 1), Attrs().with_dtype(DType::F32)));
  return Labelled{std::move(t), x.labels};
}

// Products where nothing is summed: both with all axes, 1 where a label is missing.
Result<Labelled> Steps::multiplied(const Labelled& a, const Labelled& b) const {
  Labels labels = a.labels;
  append(labels, only(b.labels, ~a.set()));
  std::vector<i64> a_dims, b_dims;
  for (const int l : labels) {
    a_dims.push_back(contains(a.set(), l) ? a.size(l) : 1);
    b_dims.push_back(contains(b.set(), l) ? b.size(l) : 1);
  }
  TL_TRY(const Labelled b_moved, permuted(b, only(labels, b.set())));
  TL_TRY(Tensor x, reshaped(a.tensor, std::move(a_dims)));
  TL_TRY(Tensor y, reshaped(b_moved.tensor, std::move(b_dims)));
  const Tensor both[] = {std::move(x), std::move(y)};
  TL_TRY(Tensor t, apply_(op_mul, both, Attrs()));
  return Labelled{std::move(t), std::move(labels)};
}

// True if linear(x, weight) is the contraction: weight [n, k], k in both and summed, n in weight only.
bool fits_linear(const Labelled& x, const Labelled& weight, LabelSet kept) {
  if (!is_quantised(weight.tensor.dtype()) || !is_float(x.tensor.dtype()) || weight.labels.size() != 2)
    return false;
  const LabelSet shared = x.set() & weight.set();
  return shared == u64{1} << weight.labels[1] && !contains(kept, weight.labels[1]);
}

Result<Labelled> Steps::by_linear(const Labelled& x, const Labelled& weight) const {
  const int n = weight.labels[0], k = weight.labels[1];
  Labels order = only(x.labels, ~(u64{1} << k));
  Labels labels = order;
  order.push_back(k);
  labels.push_back(n);
  TL_TRY(Labelled rows, permuted(x, order));
  const Tensor both[] = {std::move(rows.tensor), weight.tensor};
  TL_TRY(Tensor t, apply_(op_linear, both, Attrs()));
  return Labelled{std::move(t), std::move(labels)};
}

// The axes of one side that the other has not: `rows` become one axis of the matrix, `apart` are batches for
// which the other side is repeated. Only neighbours are made one axis, so that no operand is copied for it.
struct OwnAxes {
  Labels rows, apart;

  OwnAxes(const Labelled& x, LabelSet own) {
    double largest = -1;
    Labels run;
    double elements = 1;
    for (size_t i = 0; i <= x.labels.size(); ++i) {
      if (i < x.labels.size() && contains(own, x.labels[i])) {
        run.push_back(x.labels[i]);
        elements *= static_cast<double>(x.tensor.shape()[static_cast<int>(i)]);
        continue;
      }
      if (!run.empty() && elements > largest) {
        largest = elements;
        rows = run;
      }
      run.clear();
      elements = 1;
    }
    apart = only(x.labels, own & ~set_of(rows));
  }
  void merge(const Labelled& x, LabelSet own) {
    rows = only(x.labels, own);
    apart.clear();
  }
};

i64 elements_of(const Labelled& x, const Labels& labels) {
  i64 n = 1;
  for (const int l : labels) n *= x.size(l);
  return n;
}

void append_dims(std::vector<i64>& dims, const Labelled& x, const Labels& labels) {
  for (const int l : labels) dims.push_back(x.size(l));
}

// a as [batch, apart, 1 per axis apart in b, rows, inner], b as [batch, 1 …, apart, inner, columns].
Result<Labelled> Steps::by_matmul(const Labelled& a, const Labelled& b, LabelSet kept) const {
  const LabelSet shared = a.set() & b.set();
  const Labels batch = only(a.labels, shared & kept), inner = only(a.labels, shared & ~kept);
  OwnAxes own_a(a, a.set() & ~shared), own_b(b, b.set() & ~shared);
  if (batch.size() + own_a.apart.size() + own_b.apart.size() + 2 > static_cast<size_t>(kMaxRank)) {
    own_a.merge(a, a.set() & ~shared);
    own_b.merge(b, b.set() & ~shared);
  }
  const bool one_batch = batch.size() + 2 > static_cast<size_t>(kMaxRank);

  Labels a_order = batch, b_order = batch;
  for (const Labels& part : {own_a.apart, own_a.rows, inner}) append(a_order, part);
  for (const Labels& part : {own_b.apart, inner, own_b.rows}) append(b_order, part);
  TL_TRY(const Labelled a_moved, permuted(a, a_order));
  TL_TRY(const Labelled b_moved, permuted(b, b_order));

  std::vector<i64> a_dims, b_dims, out_dims;
  if (one_batch) {
    a_dims.push_back(elements_of(a, batch));
  } else {
    append_dims(a_dims, a, batch);
  }
  b_dims = a_dims;
  append_dims(a_dims, a, own_a.apart);
  a_dims.insert(a_dims.end(), own_b.apart.size(), 1);
  b_dims.insert(b_dims.end(), own_a.apart.size(), 1);
  append_dims(b_dims, b, own_b.apart);
  const i64 depth = elements_of(a, inner);
  a_dims.insert(a_dims.end(), {elements_of(a, own_a.rows), depth});
  b_dims.insert(b_dims.end(), {depth, elements_of(b, own_b.rows)});

  TL_TRY(Tensor x, reshaped(a_moved.tensor, std::move(a_dims)));
  TL_TRY(Tensor y, reshaped(b_moved.tensor, std::move(b_dims)));
  const Tensor both[] = {std::move(x), std::move(y)};
  TL_TRY(const Tensor product, apply_(op_matmul, both, Attrs()));
  Labels labels = batch;
  for (const Labels& part : {own_a.apart, own_b.apart, own_a.rows, own_b.rows}) append(labels, part);
  for (const int l : labels) out_dims.push_back(contains(a.set(), l) ? a.size(l) : b.size(l));
  TL_TRY(Tensor t, reshaped(product, std::move(out_dims)));
  return Labelled{std::move(t), std::move(labels)};
}

// `kept` are the labels that the output or another input still needs.
Result<Labelled> Steps::contracted(const Labelled& left, const Labelled& right, LabelSet kept) const {
  if (fits_linear(left, right, kept) || fits_linear(right, left, kept)) {
    const bool swapped = !fits_linear(left, right, kept);
    TL_TRY(const Labelled x, summed(swapped ? right : left, kept | (left.set() & right.set())));
    const Labelled& weight = swapped ? left : right;
    TL_TRY(const Labelled y, by_linear(x, weight));
    return summed(y, kept);
  }
  TL_TRY(const Labelled a_plain, plain(left));
  TL_TRY(const Labelled b_plain, plain(right));
  TL_TRY(const Labelled a, summed(a_plain, kept | right.set()));
  TL_TRY(const Labelled b, summed(b_plain, kept | left.set()));
  if ((a.set() & b.set() & ~kept) == 0) return multiplied(a, b);
  return by_matmul(a, b, kept);
}

// The result's type after input `i`: counts of truth values, floats of quantised blocks, else as
// element-wise.
DType joined_type(size_t i, DType so_far, DType found) {
  const DType t = found == DType::Bool ? DType::I64 : element_type(found);
  return i == 0 ? t : promote(so_far, t);
}

DType result_type(std::span<const Tensor> inputs) {
  DType type = DType::F32;
  for (size_t i = 0; i < inputs.size(); ++i) type = joined_type(i, type, inputs[i].dtype());
  return type;
}

}  // namespace

Result<Tensor> einsum(const ApplyOp& apply, std::string_view text, std::span<const Tensor> inputs) {
  std::vector<Shape> shapes;
  for (const Tensor& t : inputs) shapes.push_back(t.shape());
  TL_TRY(const EinsumSpec spec, parse_einsum(text, shapes));
  const Steps steps(apply, spec);
  std::vector<Labelled> left;
  for (size_t i = 0; i < inputs.size(); ++i) {
    TL_TRY(Labelled x, steps.prepared(inputs[i], spec.inputs[i]));
    left.push_back(std::move(x));
  }
  const LabelSet output = set_of(spec.output);
  for (const auto& [i, j] : einsum_order(spec)) {
    const Labelled a = left[static_cast<size_t>(i)], b = left[static_cast<size_t>(j)];
    left.erase(left.begin() + j);
    left.erase(left.begin() + i);
    LabelSet kept = output;
    for (const Labelled& x : left) kept |= x.set();
    TL_TRY(Labelled x, steps.contracted(a, b, kept));
    left.push_back(std::move(x));
  }
  TL_TRY(const Labelled last, steps.plain(left[0]));
  TL_TRY(const Labelled rest, steps.summed(last, output));
  TL_TRY(const Labelled result, steps.permuted(rest, spec.output));
  const DType wanted = result_type(inputs);
  if (result.tensor.dtype() == wanted) return result.tensor;
  return apply(op_cast, std::span(&result.tensor, 1),
               Attrs().with_dtype(wanted));  // sums of small integers are int64
}

std::optional<std::vector<std::pair<int, int>>> einsum_for_any_size(std::string_view text, const Shape& a,
                                                                    const Shape& b) {
  const Shape shapes[] = {a, b};
  const Result<EinsumSpec> spec = parse_einsum(text, shapes);
  if (!spec.ok()) return std::nullopt;
  const Labels &left = spec.value().inputs[0], &right = spec.value().inputs[1];
  for (const Labels* labels : {&left, &right}) {
    LabelSet seen = 0;
    for (const int l : *labels) {
      if (l >= kEllipsis || contains(seen, l)) return std::nullopt;
      seen |= u64{1} << l;
    }
  }
  const LabelSet in_left = set_of(left), in_right = set_of(right), kept = set_of(spec.value().output);
  // With several indices in one place, or none, the operands are reshaped to matrices.
  for (const LabelSet one :
       {in_left & in_right & ~kept, in_left & ~in_right & kept, in_right & ~in_left & kept}) {
    if (std::popcount(one) != 1) return std::nullopt;
  }
  if (std::popcount(in_left & in_right & kept) + 2 > kMaxRank) return std::nullopt;
  std::vector<std::pair<int, int>> equal;
  for (size_t i = 0; i < left.size(); ++i) {
    const auto it = std::find(right.begin(), right.end(), left[i]);
    if (it != right.end()) equal.emplace_back(static_cast<int>(i), static_cast<int>(it - right.begin()));
  }
  return equal;
}

Result<TensorType> einsum_type(std::string_view text, std::span<const TensorType> inputs) {
  std::vector<Shape> shapes;
  TensorType out;
  for (size_t i = 0; i < inputs.size(); ++i) {
    out.dtype = joined_type(i, out.dtype, inputs[i].dtype);
    out.rank_known = out.rank_known && inputs[i].rank_known;
    shapes.push_back(inputs[i].shape);
  }
  if (!out.rank_known) return out;
  TL_TRY(const EinsumSpec spec, parse_einsum(text, shapes));
  for (const int l : spec.output) out.shape.push_back(spec.size[static_cast<size_t>(l)]);
  return out;
}

}  // namespace tl
