// The oracles: whole rows in double, sorted completely.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <vector>

#include "tl/ops/reduce/strided_index.h"
#include "tl/ops/sample/sample.h"

namespace tl::ref {
namespace {

constexpr double kMasked = -std::numeric_limits<double>::infinity();
using Row = std::vector<double>;
using Places = std::vector<i64>;

size_t at(i64 i) {
  return static_cast<size_t>(i);
}

Row load_row(const Operand& x, i64 row) {
  const AxisLines lines(x, -1);
  Row values(at(lines.length));
  for (i64 i = 0; i < lines.length; ++i) {
    values[at(i)] = load_as_double(x.dtype, x.address(), lines.lines.offset(row) + i * lines.stride);
  }
  return values;
}

void store_row(const Operand& y, i64 row, const Row& values) {
  const i64 n = static_cast<i64>(values.size());
  for (i64 i = 0; i < n; ++i) store_from_double(y.dtype, y.data, row * n + i, values[at(i)]);
}

template <typename F>
void each_row(KernelCall& call, F&& change) {
  for (i64 r = call.begin; r < call.end; ++r) {
    Row row = load_row(call.in[0], r);
    change(row, r);
    store_row(call.out, r, row);
  }
}

bool has_nan(const Row& row) {
  return std::any_of(row.begin(), row.end(), [](double v) { return std::isnan(v); });
}

// A row with a NaN passes the filters unchanged, so that whoever draws from it finds the NaN.
template <typename F>
void filter_rows(KernelCall& call, F&& change) {
  each_row(call, [&](Row& row, i64) {
    if (!has_nan(row)) change(row);
  });
}

bool check_id(KernelCall& call, i64 id, const Row& row) {
  if (id < static_cast<i64>(row.size())) return id >= 0;  // negative ids fill up short lists
  call.fail(fmt::format("token {} of a vocabulary of {}", id, row.size()));
  return false;
}

// Unmasked tokens by falling logit; of equals, the first first.
Places by_logit(const Row& row) {
  Places places;
  for (size_t i = 0; i < row.size(); ++i) {
    if (row[i] != kMasked) places.push_back(static_cast<i64>(i));
  }
  std::stable_sort(places.begin(), places.end(), [&](i64 a, i64 b) { return row[at(a)] > row[at(b)]; });
  return places;
}

// Probabilities of the given tokens among themselves.
std::vector<double> shares(const Row& row, const Places& places) {
  double largest = kMasked, total = 0;
  for (const i64 p : places) largest = std::max(largest, row[at(p)]);
  std::vector<double> share;
  for (const i64 p : places) share.push_back(std::exp(row[at(p)] - largest));
  for (const double s : share) total += s;
  for (double& s : share) s /= total;
  return share;
}

void keep(Row& row, const Places& places, size_t count) {
  Row kept(row.size(), kMasked);
  for (size_t i = 0; i < count; ++i) kept[at(places[i])] = row[at(places[i])];
  row = kept;
}

void keep_top_k(Row& row, i64 k) {
  const Places places = by_logit(row);
  if (k > 0 && at(k) < places.size()) keep(row, places, at(k));
}

void keep_top_p(Row& row, double p) {
  const Places places = by_logit(row);
  const std::vector<double> share = shares(row, places);
  double sum = 0;
  size_t count = 0;
  while (count < places.size()) {
    sum += share[count++];
    if (sum >= p) break;
  }
  if (p < 1) keep(row, places, count);
}

void keep_min_p(Row& row, double p) {
  if (p <= 0) return;
  double largest = kMasked;
  for (const double v : row) largest = std::max(largest, v);
  for (double& v : row) v = v >= largest + std::log(p) ? v : kMasked;
}

void keep_typical(Row& row, double p) {
  if (p >= 1) return;
  Places places;
  for (size_t i = 0; i < row.size(); ++i) {
    if (row[i] != kMasked) places.push_back(static_cast<i64>(i));
  }
  const std::vector<double> share = shares(row, places);
  double entropy = 0;
  for (const double s : share) entropy -= s > 0 ? s * std::log(s) : 0;
  std::vector<double> distance(row.size()), by_place(row.size());
  for (size_t i = 0; i < places.size(); ++i) {
    distance[at(places[i])] = std::abs(-std::log(share[i]) - entropy);
    by_place[at(places[i])] = share[i];
  }
  std::stable_sort(places.begin(), places.end(),
                   [&](i64 a, i64 b) { return distance[at(a)] < distance[at(b)]; });
  double sum = 0;
  size_t count = 0;
  while (count < places.size()) {
    sum += by_place[at(places[count++])];
    if (sum > p) break;
  }
  keep(row, places, count);
}

i64 largest_place(const Row& row) {
  return std::max_element(row.begin(), row.end()) - row.begin();
}

// The first index where the running sum exceeds fraction * total; the last with any weight if rounding hides
// it.
i64 draw(const Row& weights, double fraction) {
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  double sum = 0;
  i64 last = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] <= 0) continue;
    last = static_cast<i64>(i);
    sum += weights[i];
    if (sum > fraction * total) break;
  }
  return last;
}

}  // namespace

void repetition_penalty(KernelCall& call) {
  const double penalty = call.attrs->float_at(0);
  const RowIds ids(call.in[0], call.in[1]);
  each_row(call, [&](Row& row, i64 r) {
    const Row before = row;
    for (i64 i = 0; i < ids.count(); ++i) {
      const i64 id = ids.at(r, i);
      if (!check_id(call, id, row)) continue;
      const double v = before[at(id)];
      row[at(id)] = v > 0 ? v / penalty : v * penalty;
    }
  });
}

void frequency_penalty(KernelCall& call) {
  const RowIds ids(call.in[0], call.in[1]);
  each_row(call, [&](Row& row, i64 r) {
    std::map<i64, i64> counts;
    for (i64 i = 0; i < ids.count(); ++i) {
      if (check_id(call, ids.at(r, i), row)) ++counts[ids.at(r, i)];
    }
    for (const auto& [id, count] : counts) {
      row[at(id)] -= static_cast<double>(count) * call.attrs->float_at(0) + call.attrs->float_at(1);
    }
  });
}

void top_k(KernelCall& call) {
  filter_rows(call, [&](Row& row) { keep_top_k(row, call.attrs->int_at(0)); });
}
void top_p(KernelCall& call) {
  filter_rows(call, [&](Row& row) { keep_top_p(row, call.attrs->float_at(0)); });
}
void min_p(KernelCall& call) {
  filter_rows(call, [&](Row& row) { keep_min_p(row, call.attrs->float_at(0)); });
}
void typical_p(KernelCall& call) {
  filter_rows(call, [&](Row& row) { keep_typical(row, call.attrs->float_at(0)); });
}

void temperature(KernelCall& call) {
  const double t = call.attrs->float_at(0);
  filter_rows(call, [&](Row& row) {
    if (t == 0 && !row.empty()) return keep(row, {largest_place(row)}, 1);
    for (double& v : row) v /= t;
  });
}

void sample(KernelCall& call) {
  const SampleAttrs a(*call.attrs);
  for (i64 r = call.begin; r < call.end; ++r) {
    Row row = load_row(call.in[0], r);
    if (has_nan(row)) return call.fail(fmt::format("row {} of the logits holds a nan", r));
    const double largest = *std::max_element(row.begin(), row.end());
    if (std::isinf(largest)) return call.fail(fmt::format("the largest logit of row {} is {}", r, largest));
    i64& out = call.out.mutable_ptr<i64>()[r];
    if (a.temperature == 0) {
      out = largest_place(row);
      continue;
    }
    keep_top_k(row, a.top_k);
    keep_typical(row, a.typical_p);
    keep_top_p(row, a.top_p);
    keep_min_p(row, a.min_p);
    for (double& v : row) v = std::exp((v - largest) / a.temperature);
    out = draw(row, sample_fraction(a.seed, a.position, r));
  }
}

void sample_probs(KernelCall& call) {
  for (i64 r = call.begin; r < call.end; ++r) {
    const Row row = load_row(call.in[0], r);
    double total = 0;
    for (const double v : row) {
      if (!(v >= 0)) return call.fail(fmt::format("found a probability of {} in row {}", v, r));
      total += v;
    }
    if (!(total > 0) || std::isinf(total))
      return call.fail(fmt::format("the probabilities of row {} sum to {}", r, total));
    const double fraction =
        sample_fraction(static_cast<u64>(call.attrs->int_at(0)), static_cast<u64>(call.attrs->int_at(1)), r);
    call.out.mutable_ptr<i64>()[r] = draw(row, fraction);
  }
}

}  // namespace tl::ref
