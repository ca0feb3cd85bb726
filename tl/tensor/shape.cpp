#include "tl/tensor/shape.h"

#include <fmt/format.h>

#include <utility>

namespace tl {

Result<void> check_addressable(const TensorType& type) {
  i64 size = 1;
  for (const i64 d : type.shape) {
    if (d == kUnknownDim || d == 0) continue;
    if (d < 0) return fail(Code::BadProgram, "found the negative dim {} in {}", d, to_string(type.shape));
    if (__builtin_mul_overflow(size, d, &size) || size > kMaxElements)
      return fail(Code::BadProgram, "{} is too large: no more than {} elements can be addressed",
                  to_string(type), kMaxElements);
  }
  return {};
}

i64 numel(const Shape& shape) {
  i64 n = 1;
  bool wraps = false;
  for (const i64 d : shape) {
    if (d == 0) return 0;
    wraps |= __builtin_mul_overflow(n, d, &n);
  }
  return wraps ? INT64_MAX : n;
}

bool is_known(const Shape& shape) {
  for (const i64 d : shape) {
    if (d == kUnknownDim) return false;
  }
  return true;
}

Strides contiguous_strides(const Shape& shape) {
  Strides s;
  s.resize(shape.size());
  i64 step = 1;
  for (int i = shape.size() - 1; i >= 0; --i) {
    s[i] = step;
    step *= shape[i];
  }
  return s;
}

bool is_contiguous(const Shape& shape, const Strides& strides) {
  i64 step = 1;
  for (int i = shape.size() - 1; i >= 0; --i) {
    if (shape[i] == 0) return true;
    if (shape[i] != 1 && strides[i] != step) return false;
    step *= shape[i];
  }
  return true;
}

std::optional<Shape> broadcast(const Shape& a, const Shape& b) {
  Shape out;
  out.resize(std::max(a.size(), b.size()));
  for (int i = 1; i <= out.size(); ++i) {
    const i64 x = i <= a.size() ? a[a.size() - i] : 1;
    const i64 y = i <= b.size() ? b[b.size() - i] : 1;
    i64& z = out[out.size() - i];
    if (x == kUnknownDim || y == kUnknownDim) {
      const i64 other = x == kUnknownDim ? y : x;  // 1 against unknown stays unknown
      z = other == 1 ? kUnknownDim : other;
    } else if (x == y || y == 1) {
      z = x;
    } else if (x == 1) {
      z = y;
    } else {
      return std::nullopt;
    }
  }
  return out;
}

Strides broadcast_strides(const Shape& from, const Strides& strides, const Shape& to) {
  Strides out;
  out.resize(to.size());
  const int lead = to.size() - from.size();
  for (int i = 0; i < from.size(); ++i) out[lead + i] = from[i] == 1 && to[lead + i] != 1 ? 0 : strides[i];
  return out;
}

std::optional<Strides> reshape_strides(const Shape& from, const Strides& strides, const Shape& to) {
  if (is_contiguous(from, strides)) return contiguous_strides(to);
  if (numel(from) == 0) return contiguous_strides(to);
  // Walk both shapes from the left in groups of equal size; within a group the old axes must be mergeable.
  Strides out;
  out.resize(to.size());
  int i = 0, j = 0;
  while (i < from.size() || j < to.size()) {
    const int i0 = i, j0 = j;
    i64 old_size = i < from.size() ? from[i++] : 1;
    i64 new_size = j < to.size() ? to[j++] : 1;
    while (old_size != new_size) {
      if (old_size < new_size) {
        if (i == from.size()) return std::nullopt;
        old_size *= from[i++];
      } else {
        if (j == to.size()) return std::nullopt;
        new_size *= to[j++];
      }
    }
    i64 step = 0, expected = 0;
    bool is_first = true;
    for (int k = i - 1; k >= i0; --k) {
      if (from[k] == 1) continue;
      if (std::exchange(is_first, false)) {
        step = strides[k];
      } else if (strides[k] != expected) {
        return std::nullopt;
      }
      expected = strides[k] * from[k];  // below 0 where the axis goes backwards
    }
    for (int k = j - 1; k >= j0; --k) {
      out[k] = step;
      step *= to[k];
    }
  }
  return out;
}

std::optional<int> normalise_axis(i64 axis, int rank) {
  if (axis < 0) axis += rank;
  if (axis < 0 || axis >= rank) return std::nullopt;
  return static_cast<int>(axis);
}

Result<int> checked_axis(i64 axis, const Shape& shape) {
  if (const auto a = normalise_axis(axis, shape.size())) return *a;
  return fail(Code::BadProgram, "axis {} is out of range for {}", axis, to_string(shape));
}

std::string to_string(const Shape& shape) {
  std::string s = "[";
  for (int i = 0; i < shape.size(); ++i) {
    if (i > 0) s += ", ";
    s += shape[i] == kUnknownDim ? "?" : fmt::format("{}", shape[i]);
  }
  return s + "]";
}

std::string to_string(const TensorType& type) {
  return fmt::format("{}{}", name_of(type.dtype), type.rank_known ? to_string(type.shape) : "[..]");
}

}  // namespace tl
