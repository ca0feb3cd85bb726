// Dense linear algebra in float64, of matrices in row order. Plain loops of our own: what they give depends
// on nothing but their input.
#pragma once

#include <vector>

#include "tl/base/result.h"
#include "tl/base/types.h"

namespace tl::linalg {

struct Matrix {
  i64 rows = 0, cols = 0;
  std::vector<f64> values;

  Matrix(i64 r, i64 c) : rows(r), cols(c), values(static_cast<size_t>(r * c)) {}
  f64& at(i64 r, i64 c) { return values[static_cast<size_t>(r * cols + c)]; }
  f64 at(i64 r, i64 c) const { return values[static_cast<size_t>(r * cols + c)]; }
};

// The x of a x = b, one for each column of b; fails where `a` is singular.
Result<Matrix> solve(Matrix a, Matrix b);
f64 determinant(Matrix a);
// The lower triangle l with l lᵀ = a; fails where `a` is not positive definite. Looks at a's lower triangle.
Result<Matrix> cholesky(const Matrix& a);

// a = q r, q [m, k] with orthonormal columns, r [k, n] upper triangular, k the smaller of m and n.
struct Qr {
  Matrix q, r;
};
Qr qr(const Matrix& a);

// a = v diag(values) vᵀ of a symmetric a (its lower triangle), values rising; fails where it does not settle.
struct Eigen {
  std::vector<f64> values;
  Matrix vectors;  // columns, each with its largest entry positive
};
Result<Eigen> eigh(const Matrix& a);

// a = u diag(values) vt, values falling, none negative; reduced to the smaller of m and n.
struct Svd {
  Matrix u;
  std::vector<f64> values;
  Matrix vt;
};
Result<Svd> svd(const Matrix& a);

// The discrete Fourier transform of `re` + i `im` in place, of any length; the inverse divides by it.
void fft(std::vector<f64>& re, std::vector<f64>& im, bool is_inverse);

}  // namespace tl::linalg
