#include <fmt/format.h>

#include <algorithm>
#include <type_traits>

#include "tl/backend/cpu/simd.h"
#include "tl/ops/reduce/strided_index.h"
#include "tl/ops/sample/sample.h"

#ifndef TL_SIMD
#define TL_SIMD_FILE "tl/ops/sample/sample_cpu.cpp"
#include "tl/backend/cpu/targets.h"

// float64 logits take the oracle's loops, which compute in float64.
namespace tl::cpu {
#define TL_SAMPLE(name)                                         \
  void name(KernelCall& call) {                                 \
    if (call.in[0].dtype == DType::F64) return ref::name(call); \
    TL_SIMD_PICK(call.simd, name##_kernel)(call);               \
  }
TL_SAMPLE(repetition_penalty)
TL_SAMPLE(frequency_penalty)
TL_SAMPLE(top_k)
TL_SAMPLE(top_p)
TL_SAMPLE(min_p)
TL_SAMPLE(typical_p)
TL_SAMPLE(temperature)
TL_SAMPLE(sample)
TL_SAMPLE(sample_probs)
#undef TL_SAMPLE
}  // namespace tl::cpu

#else
#include "tl/ops/norm/norm_rows.inc"

namespace tl::cpu::TL_SIMD {

static constexpr float kMasked = -std::numeric_limits<float>::infinity();

// --- tokens that are still in the race ---

// One token: its place in the low half, in the high half a key that rises in the wanted order. So equals are
// ordered by place, and sorting never depends on the algorithm.
using Item = u64;
TL_INLINE i64 place_of(Item item) {
  return static_cast<i64>(item & 0xffffffffu);
}

// Rises as the logit falls; -0 equals 0.
TL_INLINE Item falling_item(float logit, i64 place) {
  const u32 bits = std::bit_cast<u32>(logit + 0.0f);
  const u32 falling = (bits >> 31) != 0 ? bits : ~(bits | 0x80000000u);
  return static_cast<u64>(falling) << 32 | static_cast<u64>(place);
}

struct Race {
  const float* x;  // the row
  i64 n;
  float largest;         // of the row
  float* weight;         // room for n numbers
  Item* items;           // room for n items
  i64 count = 0;         // items in use
  bool in_order = true;  // of place

  TL_INLINE void weigh(float divisor) {  // weight[i] = exp((logit - largest) / divisor) of item i
    for (i64 i = 0; i < count; ++i) weight[i] = (x[place_of(items[i])] - largest) / divisor;
    exp_row(weight, weight, count, 0.0f);
  }
};

TL_INLINE void enter_all(Race& race) {
  race.count = 0;
  for (i64 i = 0; i < race.n; ++i) {
    if (race.x[i] != kMasked) race.items[race.count++] = falling_item(race.x[i], i);
  }
}

// The k best tokens. A pass over the row collects what beats the worst of the best so far.
static void enter_best(Race& race, i64 k) {
  const i64 room = std::min(race.n, 2 * k + kLanes);
  float worst = kMasked;
  i64 count = 0;
  const auto shrink = [&] {
    std::nth_element(race.items, race.items + (k - 1), race.items + count);
    count = k;
    worst = race.x[place_of(race.items[k - 1])];
  };
  for (i64 i = 0; i < race.n; i += kLanes) {
    const int lanes = static_cast<int>(std::min<i64>(kLanes, race.n - i));
    const F32x16 v = keep_first(load_n(race.x + i, lanes), lanes, kMasked);
    u32 hits = bits_of(v > splat(worst));
    for (; hits != 0; hits &= hits - 1) {
      if (count == room) shrink();
      const i64 place = i + std::countr_zero(hits);
      if (race.x[place] > worst) race.items[count++] = falling_item(race.x[place], place);
    }
  }
  if (count > k) shrink();
  race.count = count;
  race.in_order = false;
}

TL_INLINE void keep_typical(Race& race, double p) {
  if (p >= 1 || race.count == 0) return;
  race.weigh(1.0f);
  double total = 0, entropy = 0;
  for (i64 i = 0; i < race.count; ++i) total += race.weight[i];
  const double log_total = std::log(total);
  const auto surprise = [&](Item item) {
    return log_total - (static_cast<double>(race.x[place_of(item)]) - static_cast<double>(race.largest));
  };
  for (i64 i = 0; i < race.count; ++i) {
    if (race.weight[i] > 0) entropy += race.weight[i] / total * surprise(race.items[i]);
  }
  for (i64 i = 0; i < race.count; ++i) {
    const float distance = static_cast<float>(std::abs(surprise(race.items[i]) - entropy));
    race.items[i] =
        static_cast<u64>(std::bit_cast<u32>(distance)) << 32 | static_cast<u64>(place_of(race.items[i]));
  }
  std::sort(race.items, race.items + race.count);
  race.weigh(1.0f);
  double sum = 0;
  i64 kept = 0;
  while (kept < race.count) {
    sum += race.weight[kept++];
    if (sum > p * total) break;
  }
  race.count = kept;
  race.in_order = false;
}

TL_INLINE void keep_top_p(Race& race, double p) {
  if (p >= 1 || race.count == 0) return;
  race.weigh(1.0f);
  double total = 0;
  for (i64 i = 0; i < race.count; ++i) total += race.weight[i];
  // Tokens below half of an even share of what may be dropped are dropped, whatever the order: not all need
  // sorting.
  const double least = 0.5 * (1 - p) * total / static_cast<double>(race.count);
  i64 kept = 0;
  for (i64 i = 0; i < race.count; ++i) {
    const i64 place = place_of(race.items[i]);
    if (race.weight[i] >= least) race.items[kept++] = falling_item(race.x[place], place);
  }
  race.count = kept;
  std::sort(race.items, race.items + race.count);
  race.weigh(1.0f);
  double sum = 0;
  for (kept = 0; kept < race.count;) {
    sum += race.weight[kept++];
    if (sum >= p * total) break;
  }
  race.count = kept;
  race.in_order = false;
}

TL_INLINE float least_logit(float largest, double p) {
  return static_cast<float>(static_cast<double>(largest) + std::log(p));
}

TL_INLINE void keep_min_p(Race& race, double p) {
  if (p <= 0) return;
  const float least = least_logit(race.largest, p);
  i64 kept = 0;
  for (i64 i = 0; i < race.count; ++i) {
    if (race.x[place_of(race.items[i])] >= least) race.items[kept++] = race.items[i];
  }
  race.count = kept;
}

// --- rows ---

TL_INLINE bool has_nan(const float* x, i64 n) {
  for (i64 i = 0; i < n; i += kLanes) {
    if (any(is_nan(load_n(x + i, static_cast<int>(std::min<i64>(kLanes, n - i)))))) return true;
  }
  return false;
}

TL_INLINE float largest_of(const float* x, i64 n) {
  return maximum(n, [&](auto v, i64 i) { return v.load(x + i); });
}

struct Buffers {
  float *row = nullptr, *weight = nullptr;
  Item* items = nullptr;  // null: there is no memory, and the call has failed
};

TL_INLINE Buffers get_buffers(KernelCall& call, i64 n) {
  constexpr i64 kEach = sizeof(Item) + 2 * sizeof(float);
  auto* items = reinterpret_cast<Item*>(call.try_scratch<std::byte>(n * kEach));
  if (items == nullptr) return {};
  auto* floats = reinterpret_cast<float*>(items + n);
  return {floats, floats + n, items};
}

// change(y, x) for each of this part's rows; y already holds a copy of x.
template <typename Change>
TL_INLINE void change_rows(KernelCall& call, Buffers buffers, Change change) {
  if (buffers.row == nullptr) return;
  const AxisLines in(call.in[0], -1);
  const i64 n = in.length;
  for (i64 r = call.begin; r < call.end; ++r) {
    const float* x = read_row(call.in[0], in.lines.offset(r), n, in.stride, buffers.row);
    float* y = call.out.dtype == DType::F32 ? call.out.mutable_ptr<float>() + r * n : buffers.weight;
    std::copy(x, x + n, y);
    change(y, x, r);
    if (call.out.dtype != DType::F32) write_row(call.out, r * n, n, 1, y);
  }
}

// Rows of logits without what `filter` takes from the race.
template <typename Filter>
TL_INLINE void filter_rows(KernelCall& call, Filter filter) {
  const i64 n = call.in[0].cols();
  const Buffers b = get_buffers(call, n);
  if (b.items == nullptr) return;
  change_rows(call, b, [&](float* y, const float* x, i64) {
    if (has_nan(x, n)) return;
    Race race{x, n, largest_of(x, n), b.weight, b.items};
    filter(race);
    std::fill(y, y + n, kMasked);
    for (i64 i = 0; i < race.count; ++i) y[place_of(race.items[i])] = x[place_of(race.items[i])];
  });
}

static void top_k_kernel(KernelCall& call) {
  const i64 k = call.attrs->int_at(0);
  filter_rows(call, [k](Race& race) { k > 0 && k < race.n ? enter_best(race, k) : enter_all(race); });
}

static void top_p_kernel(KernelCall& call) {
  const double p = call.attrs->float_at(0);
  filter_rows(call, [p](Race& race) {
    enter_all(race);
    keep_top_p(race, p);
  });
}

static void typical_p_kernel(KernelCall& call) {
  const double p = call.attrs->float_at(0);
  filter_rows(call, [p](Race& race) {
    enter_all(race);
    keep_typical(race, p);
  });
}

static void min_p_kernel(KernelCall& call) {
  const i64 n = call.in[0].cols();
  const double p = call.attrs->float_at(0);
  change_rows(call, get_buffers(call, n), [&](float* y, const float* x, i64) {
    if (p <= 0 || has_nan(x, n)) return;
    const float least = least_logit(largest_of(x, n), p);
    for (i64 i = 0; i < n; ++i) y[i] = x[i] >= least ? x[i] : kMasked;
  });
}

static void temperature_kernel(KernelCall& call) {
  const i64 n = call.in[0].cols();
  const double t = call.attrs->float_at(0);
  change_rows(call, get_buffers(call, n), [&](float* y, const float* x, i64) {
    if (n == 0 || has_nan(x, n)) return;
    if (t == 0) {
      const i64 best = std::find(x, x + n, largest_of(x, n)) - x;
      std::fill(y, y + n, kMasked);
      y[best] = x[best];
      return;
    }
    const F32x16 divisor = splat(static_cast<float>(t));
    for_each(n, [&](auto v, i64 i) { v.store(y + i, v.load(x + i) / divisor); });
  });
}

static bool check_id(KernelCall& call, i64 id, i64 n) {
  if (id < n) return id >= 0;  // negative ids fill up short lists
  call.fail(fmt::format("token {} of a vocabulary of {}", id, n));
  return false;
}

static void repetition_penalty_kernel(KernelCall& call) {
  const i64 n = call.in[0].cols();
  const RowIds ids(call.in[0], call.in[1]);
  const float penalty = static_cast<float>(call.attrs->float_at(0));
  change_rows(call, get_buffers(call, n), [&](float* y, const float* x, i64 r) {
    for (i64 i = 0; i < ids.count(); ++i) {
      const i64 id = ids.at(r, i);
      if (check_id(call, id, n)) y[id] = x[id] > 0 ? x[id] / penalty : x[id] * penalty;
    }
  });
}

static void frequency_penalty_kernel(KernelCall& call) {
  const i64 n = call.in[0].cols();
  const RowIds ids(call.in[0], call.in[1]);
  const double frequency = call.attrs->float_at(0), presence = call.attrs->float_at(1);
  auto* sorted = call.try_scratch<i64>(ids.count() + n);
  if (sorted == nullptr) return;
  auto* floats = reinterpret_cast<float*>(sorted + ids.count());
  change_rows(call, {floats, floats + n, nullptr}, [&](float* y, const float* x, i64 r) {
    for (i64 i = 0; i < ids.count(); ++i) sorted[i] = ids.at(r, i);
    std::sort(sorted, sorted + ids.count());
    for (i64 i = 0, next = 0; i < ids.count(); i = next) {
      while (next < ids.count() && sorted[next] == sorted[i]) ++next;
      if (!check_id(call, sorted[i], n)) continue;
      const double taken = static_cast<double>(next - i) * frequency + presence;
      y[sorted[i]] = static_cast<float>(static_cast<double>(x[sorted[i]]) - taken);
    }
  });
}

// --- draws ---

// The first place where the running sum exceeds fraction * total; the last with any weight if rounding hides
// it.
static i64 draw(const float* weight, i64 n, double fraction) {
  double total = 0, sum = 0;
  for (i64 i = 0; i < n; ++i) total += weight[i];
  i64 last = 0;
  for (i64 i = 0; i < n; ++i) {
    if (!(weight[i] > 0)) continue;
    last = i;
    sum += weight[i];
    if (sum > fraction * total) break;
  }
  return last;
}

static i64 draw_token(Race& race, const SampleAttrs& a, double fraction) {
  // A temperature too small for float32 leaves weights of 0 and 1 either way.
  const float divisor = std::max(static_cast<float>(a.temperature), std::numeric_limits<float>::min());
  const bool takes_best = a.top_k > 0 && a.top_k < race.n;
  if (!takes_best && a.typical_p >= 1 && a.top_p >= 1 && a.min_p <= 0) {  // everybody: no list is needed
    const F32x16 shift = splat(race.largest), by = splat(divisor);
    for_each(race.n,
             [&](auto v, i64 i) { v.store(race.weight + i, exp((v.load(race.x + i) - shift) / by)); });
    return draw(race.weight, race.n, fraction);
  }
  if (takes_best) {
    enter_best(race, a.top_k);
  } else {
    enter_all(race);
  }
  keep_typical(race, a.typical_p);
  keep_top_p(race, a.top_p);
  keep_min_p(race, a.min_p);
  if (!race.in_order) {
    for (i64 i = 0; i < race.count; ++i) race.items[i] = static_cast<Item>(place_of(race.items[i]));
    std::sort(race.items, race.items + race.count);
  }
  race.weigh(divisor);
  return place_of(race.items[draw(race.weight, race.count, fraction)]);
}

static void sample_kernel(KernelCall& call) {
  const SampleAttrs a(*call.attrs);
  const AxisLines in(call.in[0], -1);
  const i64 n = in.length;
  const Buffers b = get_buffers(call, n);
  if (b.items == nullptr) return;
  for (i64 r = call.begin; r < call.end; ++r) {
    const float* x = read_row(call.in[0], in.lines.offset(r), n, in.stride, b.row);
    if (has_nan(x, n)) return call.fail(fmt::format("row {} of the logits holds a nan", r));
    const float largest = largest_of(x, n);
    if (std::isinf(largest)) return call.fail(fmt::format("the largest logit of row {} is {}", r, largest));
    i64& out = call.out.mutable_ptr<i64>()[r];
    if (a.temperature == 0) {
      out = std::find(x, x + n, largest) - x;
      continue;
    }
    Race race{x, n, largest, b.weight, b.items};
    out = draw_token(race, a, sample_fraction(a.seed, a.position, r));
  }
}

static void sample_probs_kernel(KernelCall& call) {
  const AxisLines in(call.in[0], -1);
  const i64 n = in.length;
  const Buffers b = get_buffers(call, n);
  if (b.items == nullptr) return;
  const u64 seed = static_cast<u64>(call.attrs->int_at(0)),
            position = static_cast<u64>(call.attrs->int_at(1));
  for (i64 r = call.begin; r < call.end; ++r) {
    const float* x = read_row(call.in[0], in.lines.offset(r), n, in.stride, b.row);
    double total = 0;
    for (i64 i = 0; i < n; ++i) {
      if (!(x[i] >= 0)) return call.fail(fmt::format("found a probability of {} in row {}", x[i], r));
      total += x[i];
    }
    if (!(total > 0) || std::isinf(total)) {
      return call.fail(fmt::format("the probabilities of row {} sum to {}", r, total));
    }
    call.out.mutable_ptr<i64>()[r] = draw(x, n, sample_fraction(seed, position, r));
  }
}

}  // namespace tl::cpu::TL_SIMD
#endif
