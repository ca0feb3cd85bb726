#include <type_traits>

#include "tl/backend/cpu/simd.h"
#include "tl/ops/reduce/reduce.h"

#ifndef TL_SIMD
#define TL_SIMD_FILE "tl/ops/reduce/reduce_cpu.cpp"
#include "tl/backend/cpu/targets.h"

namespace tl::cpu {
#define TL_REDUCE(name)                           \
  void name(KernelCall& call) {                   \
    TL_SIMD_PICK(call.simd, name##_kernel)(call); \
  }
TL_REDUCE(sum)
TL_REDUCE(mean)
TL_REDUCE(prod)
TL_REDUCE(max)
TL_REDUCE(min)
TL_REDUCE(any)
TL_REDUCE(all)
TL_REDUCE(variance)
TL_REDUCE(std)
TL_REDUCE(norm)
TL_REDUCE(argmax)
TL_REDUCE(argmin)
TL_REDUCE(cumsum)
#undef TL_REDUCE
}  // namespace tl::cpu

#else
#include "tl/ops/norm/norm_rows.inc"

namespace tl::cpu::TL_SIMD {

static constexpr i64 kTile = 128;   // columns side by side
static constexpr i64 kChunk = 512;  // elements of one line looked at together; whole lanes

// --- reading: float for up to 32 bits of float, double for float64, i64 for the rest ---

template <typename T>
static void copy_numbers(T* to, const Operand& x, i64 offset, i64 n, i64 stride) {
  const auto copy = [&](const auto* from) {
    for (i64 i = 0; i < n; ++i) to[i] = static_cast<T>(from[offset + i * stride]);
  };
  switch (x.dtype) {
    case DType::F64:
      return copy(x.ptr<double>());
    case DType::I8:
      return copy(x.ptr<i8>());
    case DType::I16:
      return copy(x.ptr<i16>());
    case DType::I32:
      return copy(x.ptr<i32>());
    case DType::I64:
      return copy(x.ptr<i64>());
    case DType::U8:
      return copy(x.ptr<u8>());
    default:
      break;
  }
  for (i64 i = 0; i < n; ++i) to[i] = load_as_int(x.dtype, x.address(), offset + i * stride) != 0;  // bool
}

template <typename T>
TL_INLINE const T* read_numbers(const Operand& x, i64 offset, i64 n, i64 stride, T* buffer) {
  if constexpr (std::is_same_v<T, float>) return read_row(x, offset, n, stride, buffer);
  constexpr DType kSame = std::is_same_v<T, double> ? DType::F64 : DType::I64;
  if (x.dtype == kSame && stride == 1) return x.ptr<T>() + offset;
  if constexpr (!std::is_same_v<T, float>) copy_numbers(buffer, x, offset, n, stride);
  return buffer;
}

// Calls f(pointer to numbers, how many, the first one's place) for all elements of one output in order, kTile
// at most.
template <typename T, i64 kSize, typename F>
TL_INLINE void each_chunk(const Operand& x, const StridedIndex& reduced, i64 base, F f) {
  T buffer[kSize];
  const i64 n = reduced.count(), run = reduced.inner_count(), stride = reduced.stride();
  for (i64 i = 0; i < n;) {
    const i64 count = std::min(kSize, n - i);
    if (count <= run - i % run) {
      f(read_numbers(x, base + reduced.offset(i), count, stride, buffer), count, i);
    } else {  // across runs: together, so that only the last chunk is short
      for (i64 j = 0; j < count;) {
        const i64 part = std::min(count - j, run - (i + j) % run);
        const T* from = read_numbers(x, base + reduced.offset(i + j), part, stride, buffer + j);
        if (from != buffer + j) std::copy(from, from + part, buffer + j);
        j += part;
      }
      f(static_cast<const T*>(buffer), count, i);
    }
    i += count;
  }
}

// --- what is reduced: start, step (with the column, for what differs by output), fold, finish ---

template <typename T>
using Wide = std::conditional_t<std::is_same_v<T, i64>, u64, double>;  // u64: wraps

template <typename T>
struct Sum {
  using Acc = Wide<T>;
  static constexpr Acc kStart = 0;
  TL_INLINE Acc step(Acc a, T v, i64) const { return a + static_cast<Acc>(v); }
  TL_INLINE Acc fold(Acc a, Acc b) const { return a + b; }
};

// For means of int64, whose sums do not fit.
struct WideSum {
  using Acc = i128;
  static constexpr Acc kStart = 0;
  TL_INLINE Acc step(Acc a, i64 v, i64) const { return a + v; }
  TL_INLINE Acc fold(Acc a, Acc b) const { return a + b; }
};

template <typename T>
struct Product {
  using Acc = Wide<T>;
  static constexpr Acc kStart = 1;
  TL_INLINE Acc step(Acc a, T v, i64) const { return a * static_cast<Acc>(v); }
  TL_INLINE Acc fold(Acc a, Acc b) const { return a * b; }
};

template <typename T>
struct Largest {
  using Acc = T;
  static constexpr T kStart =
      std::is_same_v<T, i64> ? std::numeric_limits<T>::min() : -std::numeric_limits<T>::infinity();
  // NaN replaces everything and is replaced by nothing.
  TL_INLINE T step(T a, T v, i64) const { return ((v > a) | (v != v)) != 0 ? v : a; }
  TL_INLINE T fold(T a, T b) const { return step(a, b, 0); }
};

template <typename T>
struct Smallest {
  using Acc = T;
  static constexpr T kStart =
      std::is_same_v<T, i64> ? std::numeric_limits<T>::max() : std::numeric_limits<T>::infinity();
  TL_INLINE T step(T a, T v, i64) const { return ((v < a) | (v != v)) != 0 ? v : a; }
  TL_INLINE T fold(T a, T b) const { return step(a, b, 0); }
};

template <typename T>
struct Some {
  using Acc = i32;
  static constexpr Acc kStart = 0;
  TL_INLINE Acc step(Acc a, T v, i64) const { return a | static_cast<i32>(v != T{0}); }
  TL_INLINE Acc fold(Acc a, Acc b) const { return a | b; }
};

template <typename T>
struct Every {
  using Acc = i32;
  static constexpr Acc kStart = 1;
  TL_INLINE Acc step(Acc a, T v, i64) const { return a & static_cast<i32>(v != T{0}); }
  TL_INLINE Acc fold(Acc a, Acc b) const { return a & b; }
};

template <typename T>
struct Squares {
  using Acc = double;
  static constexpr Acc kStart = 0;
  const double* centre;  // of each column, or null for 0
  TL_INLINE Acc step(Acc a, T v, i64 column) const {
    const double d = static_cast<double>(v) - (centre != nullptr ? centre[column] : 0.0);
    return a + d * d;
  }
  TL_INLINE Acc fold(Acc a, Acc b) const { return a + b; }
};

// The same of whole numbers, around means that need not be doubles.
struct WholeSquares {
  using Acc = double;
  static constexpr Acc kStart = 0;
  const Mean* centre;
  TL_INLINE Acc step(Acc a, i64 v, i64 column) const {
    const double d = centre[column].distance(v);
    return a + d * d;
  }
  TL_INLINE Acc fold(Acc a, Acc b) const { return a + b; }
};

// --- the two walks ---

// Folds lanes [0, used) of 16 in halves; the others hold the start value and would change nothing.
template <typename Red, typename Acc>
TL_INLINE Acc fold_lanes(Red red, Acc* lane, i64 used) {
  for (i64 half = 8; half > 0; half /= 2) {
    for (i64 i = 0; i < half && i + half < used; ++i) lane[i] = red.fold(lane[i], lane[i + half]);
  }
  return lane[0];
}

// One output: elements along the reduced axes, 16 at a time.
template <typename T, typename Red>
static typename Red::Acc reduce_line(const Operand& x, const StridedIndex& reduced, i64 base, Red red) {
  typename Red::Acc lane[kLanes];
  std::fill(lane, lane + kLanes, Red::kStart);
  each_chunk<T, kChunk>(x, reduced, base, [&](const T* v, i64 count, i64) {
    i64 i = 0;
    for (; i + kLanes <= count; i += kLanes) {
      for (i64 l = 0; l < kLanes; ++l) lane[l] = red.step(lane[l], v[i + l], 0);
    }
    for (; i < count; ++i) lane[i % kLanes] = red.step(lane[i % kLanes], v[i], 0);
  });
  return fold_lanes(red, lane, kLanes);
}

// `width` outputs side by side (at most kTile), `step` elements apart: every element of theirs goes to the
// lane that reduce_line would put it in.
template <typename T, typename Red>
static void reduce_columns(const Operand& x, const StridedIndex& reduced, i64 base, i64 step, i64 width,
                           Red red, typename Red::Acc* totals) {
  using Acc = typename Red::Acc;
  Acc lane[kLanes][kTile];
  T buffer[kTile];
  const i64 n = reduced.count(), used = std::min<i64>(n, kLanes);
  for (i64 l = 0; l < kLanes; ++l) std::fill(lane[l], lane[l] + width, Red::kStart);
  for (i64 i = 0; i < n; ++i) {
    const T* v = read_numbers(x, base + reduced.offset(i), width, step, buffer);
    Acc* to = lane[i % kLanes];
    for (i64 c = 0; c < width; ++c) to[c] = red.step(to[c], v[c], c);
  }
  for (i64 half = 8; half > 0; half /= 2) {
    for (i64 l = 0; l < half && l + half < used; ++l) {
      for (i64 c = 0; c < width; ++c) lane[l][c] = red.fold(lane[l][c], lane[l + half][c]);
    }
  }
  std::copy(lane[0], lane[0] + width, totals);
}

// A part of the outputs that lie evenly, and where their elements are.
struct Tile {
  const Operand& x;
  const StridedIndex& reduced;
  i64 base, step, width;

  template <typename T, typename Red>
  TL_INLINE void reduce(Red red, typename Red::Acc* totals) const {
    if (width == 1) {
      totals[0] = reduce_line<T>(x, reduced, base, red);
    } else {
      reduce_columns<T>(x, reduced, base, step, width, red, totals);
    }
  }
};

// f(first output, tile) over this part's outputs. Side by side where that reads memory in its order.
template <typename F>
TL_INLINE void each_tile(KernelCall& call, F f) {
  const ReduceAxes axes(call);
  const i64 run = axes.kept.inner_count(), step = axes.kept.stride();
  const bool columns = axes.reduced.count() > 1 && std::abs(step) < std::abs(axes.reduced.stride());
  for (i64 o = call.begin; o < call.end;) {
    const i64 width = columns ? std::min({kTile, call.end - o, run - o % run}) : 1;
    f(o, Tile{call.in[0], axes.reduced, axes.kept.offset(o), step, width});
    o += width;
  }
}

// f(T{}) with the type this dtype's elements are computed in.
template <typename F>
TL_INLINE void with_number(DType dtype, F f) {
  if (dtype == DType::F64) return f(double{});
  if (is_float(dtype)) return f(float{});
  f(i64{});
}

template <typename Acc>
TL_INLINE void store_total(const Operand& out, i64 at, Acc value) {
  if constexpr (std::is_floating_point_v<Acc>) {
    store_from_double(out.dtype, out.data, at, static_cast<double>(value));
  } else {
    store_from_int(out.dtype, out.data, at, static_cast<i64>(value));
  }
}

template <template <typename> typename Red>
TL_INLINE void reduce_plainly(KernelCall& call) {
  with_number(call.in[0].dtype, [&](auto zero) {
    using T = decltype(zero);
    each_tile(call, [&](i64 output, const Tile& tile) {
      typename Red<T>::Acc totals[kTile];
      tile.template reduce<T>(Red<T>{}, totals);
      for (i64 c = 0; c < tile.width; ++c) store_total(call.out, output + c, totals[c]);
    });
  });
}

static void sum_kernel(KernelCall& call) {
  reduce_plainly<Sum>(call);
}
static void prod_kernel(KernelCall& call) {
  reduce_plainly<Product>(call);
}
static void max_kernel(KernelCall& call) {
  reduce_plainly<Largest>(call);
}
static void min_kernel(KernelCall& call) {
  reduce_plainly<Smallest>(call);
}
static void any_kernel(KernelCall& call) {
  reduce_plainly<Some>(call);
}
static void all_kernel(KernelCall& call) {
  reduce_plainly<Every>(call);
}

template <typename T>
TL_INLINE void tile_means(const Tile& tile, double* means) {
  double totals[kTile];
  tile.template reduce<T>(Sum<T>{}, totals);
  const double n = static_cast<double>(tile.reduced.count());
  for (i64 c = 0; c < tile.width; ++c) means[c] = totals[c] / n;
}

// Not inlined: what it needs must not cost the floats anything.
[[gnu::noinline]] static void whole_means(const Tile& tile, Mean* means) {
  i128 totals[kTile];
  tile.reduce<i64>(WideSum{}, totals);
  for (i64 c = 0; c < tile.width; ++c) means[c] = whole_mean(totals[c], tile.reduced.count());
}

// value(tile, output numbers) per tile, as floats.
template <typename F>
TL_INLINE void reduce_to_floats(KernelCall& call, F value) {
  with_number(call.in[0].dtype, [&](auto zero) {
    each_tile(call, [&](i64 output, const Tile& tile) {
      double values[kTile];
      value(zero, tile, values);
      for (i64 c = 0; c < tile.width; ++c)
        store_from_double(call.out.dtype, call.out.data, output + c, values[c]);
    });
  });
}

[[gnu::noinline]] static void whole_mean_values(const Tile& tile, double* values) {
  Mean means[kTile];
  whole_means(tile, means);
  for (i64 c = 0; c < tile.width; ++c) values[c] = means[c].value();
}

static void mean_kernel(KernelCall& call) {
  reduce_to_floats(call, [](auto zero, const Tile& tile, double* values) {
    if constexpr (std::is_same_v<decltype(zero), i64>) {
      whole_mean_values(tile, values);
    } else {
      tile_means<decltype(zero)>(tile, values);
    }
  });
}

static void norm_kernel(KernelCall& call) {
  reduce_to_floats(call, [](auto zero, const Tile& tile, double* values) {
    using T = decltype(zero);
    tile.template reduce<T>(Squares<T>{nullptr}, values);
    for (i64 c = 0; c < tile.width; ++c) values[c] = std::sqrt(values[c]);
  });
}

template <typename T>
TL_INLINE void tile_variances(const Tile& tile, i64 correction, double* values) {
  if constexpr (std::is_same_v<T, i64>) {
    Mean means[kTile];
    whole_means(tile, means);
    tile.template reduce<T>(WholeSquares{means}, values);
  } else {
    double means[kTile];
    tile_means<T>(tile, means);
    tile.template reduce<T>(Squares<T>{means}, values);
  }
  for (i64 c = 0; c < tile.width; ++c) values[c] /= static_cast<double>(tile.reduced.count() - correction);
}

static void variance_kernel(KernelCall& call) {
  const i64 correction = call.attrs->int_at(1);
  reduce_to_floats(call, [=](auto zero, const Tile& tile, double* values) {
    tile_variances<decltype(zero)>(tile, correction, values);
  });
}

static void std_kernel(KernelCall& call) {
  const i64 correction = call.attrs->int_at(1);
  reduce_to_floats(call, [=](auto zero, const Tile& tile, double* values) {
    tile_variances<decltype(zero)>(tile, correction, values);
    for (i64 c = 0; c < tile.width; ++c) values[c] = std::sqrt(values[c]);
  });
}

// --- the place of the largest ---

// First place of the largest (sign 1) or smallest (sign -1) of one output; the first NaN if there is one.
template <typename T>
static i64 find_extremum(const Operand& x, const StridedIndex& reduced, i64 base, bool largest) {
  const Largest<T> more{};
  const Smallest<T> less{};
  T best{};
  i64 place = -1;
  each_chunk<T, kTile>(x, reduced, base, [&](const T* v, i64 count, i64 first) {
    T lane[kTile];
    T extremum = v[0];
    if (count == kTile) {  // where most chunks end: nothing better in here
      std::copy(v, v + kTile / 2, lane);
      for (i64 i = 0; i < kTile / 2; ++i) {
        lane[i] = largest ? more.step(lane[i], v[i + kTile / 2], 0) : less.step(lane[i], v[i + kTile / 2], 0);
      }
      for (i64 half = kTile / 4; half > 0; half /= 2) {
        for (i64 i = 0; i < half; ++i) {
          lane[i] = largest ? more.step(lane[i], lane[i + half], 0) : less.step(lane[i], lane[i + half], 0);
        }
      }
      extremum = lane[0];
    } else {
      for (i64 i = 1; i < count; ++i)
        extremum = largest ? more.step(extremum, v[i], 0) : less.step(extremum, v[i], 0);
    }
    const bool is_better =
        place < 0 || (extremum != extremum ? best == best : (largest ? extremum > best : extremum < best));
    if (!is_better) return;
    best = extremum;
    for (i64 i = 0; i < count; ++i) {
      if (v[i] == best || (v[i] != v[i] && best != best)) {
        place = first + i;
        return;
      }
    }
  });
  return place;
}

TL_INLINE void find_extrema(KernelCall& call, bool largest) {
  const ReduceAxes axes(call);
  with_number(call.in[0].dtype, [&](auto zero) {
    for (i64 o = call.begin; o < call.end; ++o) {
      call.out.mutable_ptr<i64>()[o] =
          find_extremum<decltype(zero)>(call.in[0], axes.reduced, axes.kept.offset(o), largest);
    }
  });
}

static void argmax_kernel(KernelCall& call) {
  find_extrema(call, true);
}
static void argmin_kernel(KernelCall& call) {
  find_extrema(call, false);
}

// --- running sums ---

template <typename T>
static void running_sum(const Operand& x, const Operand& out, const AxisLines& in, const AxisLines& to,
                        i64 line) {
  const i64 from = in.lines.offset(line), at = to.lines.offset(line);
  T buffer[kTile];
  Wide<T> total = 0;
  for (i64 i = 0; i < in.length; i += kTile) {
    const i64 count = std::min(kTile, in.length - i);
    const T* v = read_numbers(x, from + i * in.stride, count, in.stride, buffer);
    for (i64 j = 0; j < count; ++j) {
      total += static_cast<Wide<T> >(v[j]);
      store_total(out, at + (i + j) * to.stride, total);
    }
  }
}

static void cumsum_kernel(KernelCall& call) {
  const AxisLines in(call.in[0], call.attrs->int_at(0)), out(call.out, call.attrs->int_at(0));
  with_number(call.in[0].dtype, [&](auto zero) {
    for (i64 r = call.begin; r < call.end; ++r) running_sum<decltype(zero)>(call.in[0], call.out, in, out, r);
  });
}

}  // namespace tl::cpu::TL_SIMD
#endif
