#include "tl/builtins/linalg.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <numeric>

namespace tl::linalg {
namespace {

constexpr f64 kPi = 3.14159265358979323846;
constexpr int kMostSweeps = 60;

Matrix transposed(const Matrix& a) {
  Matrix t(a.cols, a.rows);
  for (i64 r = 0; r < a.rows; ++r) {
    for (i64 c = 0; c < a.cols; ++c) t.at(c, r) = a.at(r, c);
  }
  return t;
}

void swap_rows(Matrix& a, i64 p, i64 q) {
  if (p == q) return;
  for (i64 c = 0; c < a.cols; ++c) std::swap(a.at(p, c), a.at(q, c));
}

// Gaussian elimination with row pivots, done to b too. Gives the sign of the row order, 0 if singular.
int eliminate(Matrix& a, Matrix* b) {
  int sign = 1;
  for (i64 k = 0; k < a.rows; ++k) {
    i64 pivot = k;
    for (i64 r = k + 1; r < a.rows; ++r) {
      if (std::abs(a.at(r, k)) > std::abs(a.at(pivot, k))) pivot = r;
    }
    if (a.at(pivot, k) == 0) return 0;
    if (pivot != k) sign = -sign;
    swap_rows(a, k, pivot);
    if (b != nullptr) swap_rows(*b, k, pivot);
    for (i64 r = k + 1; r < a.rows; ++r) {
      const f64 factor = a.at(r, k) / a.at(k, k);
      if (factor == 0) continue;
      for (i64 c = k; c < a.cols; ++c) a.at(r, c) -= factor * a.at(k, c);
      for (i64 c = 0; b != nullptr && c < b->cols; ++c) b->at(r, c) -= factor * b->at(k, c);
    }
  }
  return sign;
}

// Rotates columns p and q of `a`.
void rotate(Matrix& a, i64 p, i64 q, f64 cosine, f64 sine) {
  for (i64 r = 0; r < a.rows; ++r) {
    const f64 x = a.at(r, p), y = a.at(r, q);
    a.at(r, p) = cosine * x - sine * y;
    a.at(r, q) = sine * x + cosine * y;
  }
}

std::pair<f64, f64> rotation(f64 zeta) {
  const f64 t = (zeta >= 0 ? 1 : -1) / (std::abs(zeta) + std::sqrt(1 + zeta * zeta));
  const f64 cosine = 1 / std::sqrt(1 + t * t);
  return {cosine, cosine * t};
}

// The columns in the order of `places`.
Matrix pick_columns(const Matrix& a, const std::vector<i64>& places) {
  Matrix out(a.rows, static_cast<i64>(places.size()));
  for (i64 r = 0; r < out.rows; ++r) {
    for (i64 c = 0; c < out.cols; ++c) out.at(r, c) = a.at(r, places[static_cast<size_t>(c)]);
  }
  return out;
}

std::vector<i64> in_order(const std::vector<f64>& keys, bool falls) {
  std::vector<i64> places(keys.size());
  std::iota(places.begin(), places.end(), i64{0});
  std::stable_sort(places.begin(), places.end(), [&](i64 a, i64 b) {
    const f64 x = keys[static_cast<size_t>(a)], y = keys[static_cast<size_t>(b)];
    return falls ? x > y : x < y;
  });
  return places;
}

bool is_finite(const Matrix& a) {
  return std::all_of(a.values.begin(), a.values.end(), [](f64 v) { return std::isfinite(v); });
}

}  // namespace

Result<Matrix> solve(Matrix a, Matrix b) {
  if (eliminate(a, &b) == 0) return fail(Code::BadProgram, "the matrix is singular");
  for (i64 c = 0; c < b.cols; ++c) {
    for (i64 r = a.rows - 1; r >= 0; --r) {
      f64 sum = b.at(r, c);
      for (i64 k = r + 1; k < a.rows; ++k) sum -= a.at(r, k) * b.at(k, c);
      b.at(r, c) = sum / a.at(r, r);
    }
  }
  return b;
}

f64 determinant(Matrix a) {
  f64 product = eliminate(a, nullptr);
  for (i64 i = 0; i < a.rows && product != 0; ++i) product *= a.at(i, i);
  return product;
}

Result<Matrix> cholesky(const Matrix& a) {
  Matrix l(a.rows, a.rows);
  for (i64 r = 0; r < a.rows; ++r) {
    for (i64 c = 0; c <= r; ++c) {
      f64 sum = a.at(r, c);
      for (i64 k = 0; k < c; ++k) sum -= l.at(r, k) * l.at(c, k);
      if (c < r) {
        l.at(r, c) = sum / l.at(c, c);
        continue;
      }
      if (!(sum > 0)) return fail(Code::BadProgram, "the matrix is not positive definite");
      l.at(r, r) = std::sqrt(sum);
    }
  }
  return l;
}

// By Householder reflections, whose signs are LAPACK's.
Qr qr(const Matrix& a) {
  const i64 m = a.rows, n = a.cols, k = std::min(m, n);
  Matrix r = a;
  std::vector<std::vector<f64>> reflections;
  for (i64 j = 0; j < k; ++j) {
    std::vector<f64> v(static_cast<size_t>(m - j));
    f64 below = 0;
    for (i64 i = j; i < m; ++i) {
      v[static_cast<size_t>(i - j)] = r.at(i, j);
      if (i > j) below += r.at(i, j) * r.at(i, j);
    }
    if (below > 0) v[0] += std::copysign(std::sqrt(below + v[0] * v[0]), v[0]);
    const f64 size = below + v[0] * v[0];
    if (below == 0) v.clear();  // nothing to do
    for (i64 c = j; c < n && !v.empty(); ++c) {
      f64 dot = 0;
      for (i64 i = j; i < m; ++i) dot += v[static_cast<size_t>(i - j)] * r.at(i, c);
      for (i64 i = j; i < m; ++i) r.at(i, c) -= 2 * dot / size * v[static_cast<size_t>(i - j)];
    }
    reflections.push_back(std::move(v));
  }
  Matrix q(m, k);
  for (i64 i = 0; i < k; ++i) q.at(i, i) = 1;
  for (i64 j = k - 1; j >= 0; --j) {
    const std::vector<f64>& v = reflections[static_cast<size_t>(j)];
    if (v.empty()) continue;
    const f64 size = std::inner_product(v.begin(), v.end(), v.begin(), 0.0);
    for (i64 c = 0; c < k; ++c) {
      f64 dot = 0;
      for (i64 i = j; i < m; ++i) dot += v[static_cast<size_t>(i - j)] * q.at(i, c);
      for (i64 i = j; i < m; ++i) q.at(i, c) -= 2 * dot / size * v[static_cast<size_t>(i - j)];
    }
  }
  Matrix upper(k, n);
  for (i64 i = 0; i < k; ++i) {
    for (i64 c = i; c < n; ++c) upper.at(i, c) = r.at(i, c);
  }
  return {std::move(q), std::move(upper)};
}

// Jacobi's rotations, until nothing is left beside the diagonal.
Result<Eigen> eigh(const Matrix& a) {
  const i64 n = a.rows;
  Matrix d(n, n), v(n, n);
  for (i64 r = 0; r < n; ++r) {
    v.at(r, r) = 1;
    for (i64 c = 0; c <= r; ++c) d.at(r, c) = d.at(c, r) = a.at(r, c);
  }
  if (!is_finite(d)) return fail(Code::BadProgram, "the matrix has entries that are not finite");
  bool is_done = n < 2;
  for (int sweep = 0; sweep < kMostSweeps && !is_done; ++sweep) {
    is_done = true;
    for (i64 p = 0; p < n; ++p) {
      for (i64 q = p + 1; q < n; ++q) {
        const f64 off = d.at(p, q);
        if (std::abs(off) <= 1e-16 * std::sqrt(std::abs(d.at(p, p) * d.at(q, q))) || std::abs(off) < 1e-300)
          continue;
        is_done = false;
        const auto [cosine, sine] = rotation((d.at(q, q) - d.at(p, p)) / (2 * off));
        rotate(d, p, q, cosine, sine);
        for (i64 c = 0; c < n; ++c) {
          const f64 x = d.at(p, c), y = d.at(q, c);
          d.at(p, c) = cosine * x - sine * y;
          d.at(q, c) = sine * x + cosine * y;
        }
        d.at(p, q) = d.at(q, p) = 0;
        rotate(v, p, q, cosine, sine);
      }
    }
  }
  if (!is_done) return fail(Code::BadProgram, "the eigenvalues do not settle");
  std::vector<f64> values(static_cast<size_t>(n));
  for (i64 i = 0; i < n; ++i) values[static_cast<size_t>(i)] = d.at(i, i);
  const std::vector<i64> places = in_order(values, false);
  Eigen out{{}, pick_columns(v, places)};
  for (const i64 at : places) out.values.push_back(values[static_cast<size_t>(at)]);
  for (i64 c = 0; c < n; ++c) {
    i64 largest = 0;
    for (i64 r = 1; r < n; ++r) {
      if (std::abs(out.vectors.at(r, c)) > std::abs(out.vectors.at(largest, c)) * (1 + 1e-9)) largest = r;
    }
    if (n == 0 || out.vectors.at(largest, c) >= 0) continue;
    for (i64 r = 0; r < n; ++r) out.vectors.at(r, c) = -out.vectors.at(r, c);
  }
  return out;
}

// One-sided Jacobi: columns are rotated in pairs until all are orthogonal; their lengths are the values.
Result<Svd> svd(const Matrix& a) {
  if (a.rows < a.cols) {
    TL_TRY(Svd t, svd(transposed(a)));
    return Svd{transposed(t.vt), std::move(t.values), transposed(t.u)};
  }
  if (!is_finite(a)) return fail(Code::BadProgram, "the matrix has entries that are not finite");
  const i64 m = a.rows, n = a.cols;
  Matrix u = a, v(n, n);
  for (i64 i = 0; i < n; ++i) v.at(i, i) = 1;
  f64 whole = 0;
  for (const f64 x : a.values) whole += x * x;
  bool is_done = n < 2;
  for (int sweep = 0; sweep < kMostSweeps && !is_done; ++sweep) {
    is_done = true;
    for (i64 p = 0; p < n; ++p) {
      for (i64 q = p + 1; q < n; ++q) {
        f64 pp = 0, qq = 0, pq = 0;
        for (i64 r = 0; r < m; ++r) {
          pp += u.at(r, p) * u.at(r, p), qq += u.at(r, q) * u.at(r, q), pq += u.at(r, p) * u.at(r, q);
        }
        if (std::abs(pq) <= 1e-15 * std::sqrt(pp * qq) || std::abs(pq) <= 1e-32 * whole) continue;
        is_done = false;
        const auto [cosine, sine] = rotation((qq - pp) / (2 * pq));
        rotate(u, p, q, cosine, sine);
        rotate(v, p, q, cosine, sine);
      }
    }
  }
  if (!is_done) return fail(Code::BadProgram, "the singular values do not settle");
  std::vector<f64> values(static_cast<size_t>(n));
  for (i64 c = 0; c < n; ++c) {
    f64 sum = 0;
    for (i64 r = 0; r < m; ++r) sum += u.at(r, c) * u.at(r, c);
    values[static_cast<size_t>(c)] = std::sqrt(sum);
  }
  const std::vector<i64> places = in_order(values, true);
  u = pick_columns(u, places);
  std::vector<f64> sorted;
  for (const i64 at : places) sorted.push_back(values[static_cast<size_t>(at)]);
  const f64 least = n == 0 ? 0 : sorted[0] * 1e-15;
  // Columns without a length of their own become unit vectors that stand on the ones before.
  for (i64 c = 0; c < n; ++c) {
    const f64 length = sorted[static_cast<size_t>(c)];
    if (length > least) {
      for (i64 r = 0; r < m; ++r) u.at(r, c) /= length;
      continue;
    }
    for (i64 axis = 0; axis < m; ++axis) {
      for (i64 r = 0; r < m; ++r) u.at(r, c) = r == axis ? 1 : 0;
      for (int again = 0; again < 2; ++again) {
        for (i64 before = 0; before < c; ++before) {
          f64 dot = 0;
          for (i64 r = 0; r < m; ++r) dot += u.at(r, c) * u.at(r, before);
          for (i64 r = 0; r < m; ++r) u.at(r, c) -= dot * u.at(r, before);
        }
      }
      f64 sum = 0;
      for (i64 r = 0; r < m; ++r) sum += u.at(r, c) * u.at(r, c);
      if (sum < 0.5 / static_cast<f64>(m)) continue;
      for (i64 r = 0; r < m; ++r) u.at(r, c) /= std::sqrt(sum);
      break;
    }
  }
  return Svd{std::move(u), std::move(sorted), transposed(pick_columns(v, places))};
}

namespace {

using Complex = std::complex<f64>;

// Of a length that is a power of two.
void fft_of_two(std::vector<Complex>& x, bool is_inverse) {
  const size_t n = x.size();
  for (size_t i = 1, j = 0; i < n; ++i) {
    size_t bit = n >> 1;
    for (; (j & bit) != 0; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) std::swap(x[i], x[j]);
  }
  std::vector<Complex> roots(n / 2);
  for (size_t k = 0; k < roots.size(); ++k)
    roots[k] = std::polar(1.0, (is_inverse ? 2 : -2) * kPi * static_cast<f64>(k) / static_cast<f64>(n));
  for (size_t size = 2; size <= n; size *= 2) {
    for (size_t begin = 0; begin < n; begin += size) {
      for (size_t k = 0; k < size / 2; ++k) {
        const Complex a = x[begin + k], b = x[begin + k + size / 2] * roots[k * (n / size)];
        x[begin + k] = a + b, x[begin + k + size / 2] = a - b;
      }
    }
  }
}

// Bluestein's way: a transform of any length as a convolution.
void fft_of_any(std::vector<Complex>& x, bool is_inverse) {
  const size_t n = x.size();
  size_t size = 1;
  while (size < 2 * n) size *= 2;
  std::vector<Complex> chirp(n), a(size), b(size);
  for (size_t k = 0; k < n; ++k) {
    const auto square = static_cast<f64>(static_cast<unsigned __int128>(k) * k % (2 * n));
    chirp[k] = std::polar(1.0, (is_inverse ? 1 : -1) * kPi * square / static_cast<f64>(n));
    a[k] = x[k] * chirp[k];
    b[k] = std::conj(chirp[k]);
    if (k > 0) b[size - k] = b[k];
  }
  fft_of_two(a, false), fft_of_two(b, false);
  for (size_t k = 0; k < size; ++k) a[k] *= b[k];
  fft_of_two(a, true);
  for (size_t k = 0; k < n; ++k) x[k] = a[k] / static_cast<f64>(size) * chirp[k];
}

}  // namespace

void fft(std::vector<f64>& re, std::vector<f64>& im, bool is_inverse) {
  const size_t n = re.size();
  if (n == 0) return;
  std::vector<Complex> x(n);
  for (size_t i = 0; i < n; ++i) x[i] = {re[i], im[i]};
  if ((n & (n - 1)) == 0)
    fft_of_two(x, is_inverse);
  else
    fft_of_any(x, is_inverse);
  const f64 scale = is_inverse ? 1 / static_cast<f64>(n) : 1;
  for (size_t i = 0; i < n; ++i) re[i] = x[i].real() * scale, im[i] = x[i].imag() * scale;
}

}  // namespace tl::linalg
