// Linear algebra on the last two axes, and transforms along the last one; all others are a batch. What they
// give is float64 for float64, else float32.
#include "tl/builtins/linalg.h"

#include "tl/builtins/convert.h"
#include "tl/builtins/families.h"
#include "tl/device/kernel.h"

namespace tl::lang {
namespace {

using linalg::Matrix;

DType type_of(DType from) {
  return from == DType::F64 ? DType::F64 : DType::F32;
}

Result<Value> to_value(CallContext& ctx, const std::vector<f64>& values, Shape shape, DType dtype) {
  std::vector<std::byte> bytes(values.size() * static_cast<size_t>(size_of(dtype)));
  for (size_t i = 0; i < values.size(); ++i)
    store_from_double(dtype, bytes.data(), static_cast<i64>(i), values[i]);
  TL_TRY(Tensor made, ctx.executor().from_host(TensorType{dtype, std::move(shape)}, bytes));
  return make_tensor(std::move(made));
}

// A tensor as the matrices in its last two axes.
struct Matrices {
  Shape batch;
  std::vector<Matrix> all;
  DType dtype = DType::F32;
};

Result<Matrices> matrices_of(CallContext& ctx, const Value& value, bool is_square) {
  const Tensor& t = *tensor_of(value);
  if (t.rank() < 2) return fail(Code::BadProgram, "found {}, want matrices", to_string(t.type()));
  const i64 rows = t.shape()[t.rank() - 2], cols = t.shape()[t.rank() - 1];
  if (is_square && rows != cols)
    return fail(Code::BadProgram, "found {}, want as many rows as columns", to_string(t.type()));
  Matrices out;
  out.dtype = type_of(t.dtype());
  for (int i = 0; i + 2 < t.rank(); ++i) out.batch.push_back(t.shape()[i]);
  TL_TRY(const HostTensor host, ctx.executor().read(t));
  i64 at = 0;
  for (i64 n = numel(out.batch); n > 0; --n) {
    Matrix& m = out.all.emplace_back(rows, cols);
    for (f64& v : m.values) v = host.as_double(at++);
  }
  return out;
}

// What was made of each matrix, one after the other.
struct Part {
  std::vector<f64> values;
  void add(const std::vector<f64>& more) { values.insert(values.end(), more.begin(), more.end()); }
};

Result<Value> whole(CallContext& ctx, const Part& part, const Matrices& of, std::initializer_list<i64> dims) {
  Shape shape = of.batch;
  for (const i64 d : dims) shape.push_back(d);
  return to_value(ctx, part.values, std::move(shape), of.dtype);
}

i64 rows_of(const Value& v) {
  const Tensor& t = *tensor_of(v);
  return t.shape()[t.rank() - 2];
}
i64 cols_of(const Value& v) {
  const Tensor& t = *tensor_of(v);
  return t.shape()[t.rank() - 1];
}

Result<Value> native_solve(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Matrices a, matrices_of(ctx, args[0], true));
  const Tensor& right = *tensor_of(args[1]);
  const bool is_vector = right.rank() == 1;
  Value columns = args[1];
  if (is_vector) {
    TL_TRY(columns, call_op(ctx, "unsqueeze", {args[1], Value(i64{1})}));
  }
  TL_TRY(const Matrices b, matrices_of(ctx, columns, false));
  const i64 n = rows_of(args[0]);
  const bool is_shared = b.batch.size() == 0;
  if (rows_of(columns) != n || !(is_shared || b.batch == a.batch)) {
    return fail(Code::BadProgram, "{} and {} do not go together", to_string(tensor_of(args[0])->type()),
                to_string(right.type()));
  }
  Part out;
  for (size_t i = 0; i < a.all.size(); ++i) {
    TL_TRY(const Matrix x, linalg::solve(a.all[i], b.all[is_shared ? 0 : i]));
    out.add(x.values);
  }
  if (is_vector) return whole(ctx, out, a, {n});
  return whole(ctx, out, a, {n, cols_of(columns)});
}

Result<Value> native_inverse(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Matrices a, matrices_of(ctx, args[0], true));
  const i64 n = rows_of(args[0]);
  Matrix one(n, n);
  for (i64 i = 0; i < n; ++i) one.at(i, i) = 1;
  Part out;
  for (const Matrix& m : a.all) {
    TL_TRY(const Matrix x, linalg::solve(m, one));
    out.add(x.values);
  }
  return whole(ctx, out, a, {n, n});
}

Result<Value> native_det(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Matrices a, matrices_of(ctx, args[0], true));
  Part out;
  for (const Matrix& m : a.all) out.add({linalg::determinant(m)});
  return whole(ctx, out, a, {});
}

Result<Value> native_cholesky(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Matrices a, matrices_of(ctx, args[0], true));
  Part out;
  for (const Matrix& m : a.all) {
    TL_TRY(const Matrix l, linalg::cholesky(m));
    out.add(l.values);
  }
  return whole(ctx, out, a, {rows_of(args[0]), rows_of(args[0])});
}

Result<Value> native_qr(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Matrices a, matrices_of(ctx, args[0], false));
  const i64 m = rows_of(args[0]), n = cols_of(args[0]), k = std::min(m, n);
  Part q, r;
  for (const Matrix& matrix : a.all) {
    const linalg::Qr both = linalg::qr(matrix);
    q.add(both.q.values), r.add(both.r.values);
  }
  TL_TRY(Value left, whole(ctx, q, a, {m, k}));
  TL_TRY(Value right, whole(ctx, r, a, {k, n}));
  return make_tuple({std::move(left), std::move(right)});
}

Result<Value> native_eigh(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Matrices a, matrices_of(ctx, args[0], true));
  const i64 n = rows_of(args[0]);
  Part values, vectors;
  for (const Matrix& m : a.all) {
    TL_TRY(const linalg::Eigen e, linalg::eigh(m));
    values.add(e.values), vectors.add(e.vectors.values);
  }
  TL_TRY(Value first, whole(ctx, values, a, {n}));
  TL_TRY(Value second, whole(ctx, vectors, a, {n, n}));
  return make_tuple({std::move(first), std::move(second)});
}

Result<Value> native_svd(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Matrices a, matrices_of(ctx, args[0], false));
  const i64 m = rows_of(args[0]), n = cols_of(args[0]), k = std::min(m, n);
  Part u, s, vt;
  for (const Matrix& matrix : a.all) {
    TL_TRY(const linalg::Svd parts, linalg::svd(matrix));
    u.add(parts.u.values), s.add(parts.values), vt.add(parts.vt.values);
  }
  TL_TRY(Value left, whole(ctx, u, a, {m, k}));
  TL_TRY(Value middle, whole(ctx, s, a, {k}));
  TL_TRY(Value right, whole(ctx, vt, a, {k, n}));
  return make_tuple({std::move(left), std::move(middle), std::move(right)});
}

// Real numbers, or a pair of tensors: their real and imaginary parts.
Result<Value> transform(CallContext& ctx, const Value& x, bool is_inverse) {
  const auto* pair = x.get_if<Tuple>();
  if (pair != nullptr && pair->items.size() != 2)
    return fail(Code::BadProgram, "found a tuple of {}, want real and imaginary part", pair->items.size());
  TL_TRY(const Tensor real, to_tensor(ctx, pair != nullptr ? pair->items[0] : x));
  TL_TRY(const Tensor imaginary, pair != nullptr ? to_tensor(ctx, pair->items[1]) : Result<Tensor>(real));
  if (real.rank() == 0 || !(real.shape() == imaginary.shape()))
    return fail(Code::BadProgram, "{} and {} are no row of complex numbers", to_string(real.type()),
                to_string(imaginary.type()));
  TL_TRY(const HostTensor re, ctx.executor().read(real));
  TL_TRY(const HostTensor im, ctx.executor().read(imaginary));
  const i64 n = real.shape()[real.rank() - 1];
  Part out_re, out_im;
  for (i64 begin = 0; begin < re.numel(); begin += n) {
    std::vector<f64> a(static_cast<size_t>(n)), b(static_cast<size_t>(n));
    for (i64 i = 0; i < n; ++i) {
      a[static_cast<size_t>(i)] = re.as_double(begin + i);
      if (pair != nullptr) b[static_cast<size_t>(i)] = im.as_double(begin + i);
    }
    linalg::fft(a, b, is_inverse);
    out_re.add(a), out_im.add(b);
  }
  TL_TRY(Value first, to_value(ctx, out_re.values, real.shape(), type_of(real.dtype())));
  TL_TRY(Value second, to_value(ctx, out_im.values, real.shape(), type_of(real.dtype())));
  return make_tuple({std::move(first), std::move(second)});
}
Result<Value> native_fft(CallContext& ctx, std::span<Value> args) {
  return transform(ctx, args[0], false);
}
Result<Value> native_ifft(CallContext& ctx, std::span<Value> args) {
  return transform(ctx, args[0], true);
}

const Builtin kRows[] = {
    {"cholesky", "(x: tensor) -> tensor", "The lower triangle whose product with its transpose is x.",
     "cholesky([[4.0, 2.0], [2.0, 5.0]])  //~ [[2.0000 0.0000] [1.0000 2.0000]] shape=[2, 2] float32",
     Effect::Pure, native_cholesky},
    {"det", "(x: tensor) -> tensor", "The determinant.", "det([[1.0, 2.0], [3.0, 4.0]])  //~ -2",
     Effect::Pure, native_det},
    {"eigh", "(x: tensor) -> tuple",
     "The eigenvalues of a symmetric matrix, rising, and the eigenvectors as columns.",
     "eigh([[2.0, 0.0], [0.0, 1.0]])  //~ ([1.0000 2.0000] shape=[2] float32, [[0.0000 1.0000] [1.0000 "
     "0.0000]] "
     "shape=[2, 2] float32)",
     Effect::Pure, native_eigh},
    {"fft", "(x: any) -> tuple",
     "The Fourier transform along the last axis of real numbers, or of a pair (real, imaginary), as such a "
     "pair.",
     "fft([1.0, 1.0])  //~ ([2.0000 0.0000] shape=[2] float32, [0.0000 0.0000] shape=[2] float32)",
     Effect::Pure, native_fft},
    {"ifft", "(x: any) -> tuple", "What fft makes x of.",
     "ifft((tensor([2.0, 0.0]), tensor([0.0, 0.0])))  //~ ([1.0000 1.0000] shape=[2] float32, [0.0000 "
     "0.0000] "
     "shape=[2] float32)",
     Effect::Pure, native_ifft},
    {"inverse", "(x: tensor) -> tensor", "The inverse of a square matrix.",
     "inverse([[2.0, 0.0], [0.0, 4.0]])  //~ [[0.5000 0.0000] [0.0000 0.2500]] shape=[2, 2] float32",
     Effect::Pure, native_inverse},
    {"qr", "(x: tensor) -> tuple", "Orthonormal columns q and an upper triangle r with q @ r = x.",
     "shape(qr(ones([3, 2])).0)  //~ [3, 2]", Effect::Pure, native_qr},
    {"solve", "(a: tensor, b: tensor) -> tensor", "The x with a @ x = b, for a vector or for columns.",
     "solve([[2.0, 0.0], [0.0, 4.0]], [2.0, 2.0])  //~ [1.0000 0.5000] shape=[2] float32", Effect::Pure,
     native_solve},
    {"svd", "(x: tensor) -> tuple",
     "u, s and vt with u * s @ vt = x: orthonormal columns, values that fall, orthonormal rows.",
     "svd([[3.0, 0.0], [0.0, 4.0]]).1  //~ [4.0000 3.0000] shape=[2] float32", Effect::Pure, native_svd},
};

}  // namespace

std::span<const Builtin> linalg_natives() {
  return kRows;
}

}  // namespace tl::lang
